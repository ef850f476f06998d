// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The reader of the rings of samples, which takes no privilege and calls no bpf(2) */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/perf_event.h>
#include "bpf/map.h"
#include "core/error.h"
#include "sampler/sampler.h"

struct ecbpf_sampler_reader {
	struct ecbpf *e;
	struct ecbpf_sampler_fds *fds;
	void **rings; /* of each of those; a page with head and tail, then samples */
	struct pollfd *polls;
	size_t page;
	struct ecbpf_sampler_stats *stats;
	char *copy; /* of a sample that goes on at the beginning of its ring */
};

/* No sample is longer: the size of a record has 16 bits */
#define RECORD_MAX (1 << 16)

/* @fn: as in ecbpf_sampler_read() */
static void take(struct ecbpf_sampler_reader *reader, int cpu,
		 const struct perf_event_header *event, ecbpf_sample_fn fn, void *data)
{
	/* a raw sample, PERF_SAMPLE_RAW */
	const struct {
		struct perf_event_header header;
		__u32 size;
		char bytes[];
	} *raw = (const void *)event;
	struct ecbpf_sample sample;
	int ret;

	/* what the ring had no room for, the programs have counted */
	if (event->type != PERF_RECORD_SAMPLE)
		return;
	if (raw->size < sizeof(sample)) {
		reader->stats->send_errors++;
		return;
	}
	memcpy(&sample, raw->bytes, sizeof(sample)); /* it is aligned to 4 bytes */
	if (sample.cap_len > raw->size - sizeof(sample))
		sample.cap_len = raw->size - sizeof(sample);
	ret = fn(data, cpu, &sample, raw->bytes + sizeof(sample));
	if (ret < 0) {
		reader->stats->send_errors++;
	} else {
		reader->stats->bytes += ret;
		reader->stats->published++;
	}
}

/* The record at @at, in one piece; the kernel aligns records, and so headers, to 8 bytes */
static const struct perf_event_header *record_at(struct ecbpf_sampler_reader *reader, char *samples,
						 __u64 at)
{
	size_t size = reader->fds->ring_bytes, first = size - (at & (size - 1));
	const struct perf_event_header *event = (void *)(samples + (at & (size - 1)));

	if (event->size <= first)
		return event;
	memcpy(reader->copy, event, first);
	memcpy(reader->copy + first, samples, event->size - first);
	return (void *)reader->copy;
}

/* What is there when this is called: a flood on one CPU does not keep the others waiting */
static void ring_read(struct ecbpf_sampler_reader *reader, size_t ring, ecbpf_sample_fn fn,
		      void *data)
{
	struct perf_event_mmap_page *page = reader->rings[ring];
	__u64 head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE), at = page->data_tail;
	const struct perf_event_header *event;

	while (at != head) {
		event = record_at(reader, (char *)page + reader->page, at);
		at += event->size;
		take(reader, reader->fds->rings[ring].cpu, event, fn, data);
	}
	__atomic_store_n(&page->data_tail, at, __ATOMIC_RELEASE);
}

static int reader_setup(struct ecbpf_sampler_reader *reader)
{
	struct ecbpf_sampler_fds *fds = reader->fds;
	size_t size = reader->page + fds->ring_bytes;

	reader->rings = calloc(fds->count, sizeof(*reader->rings));
	reader->polls = calloc(fds->count, sizeof(*reader->polls));
	reader->copy = malloc(RECORD_MAX);
	if (!reader->rings || !reader->polls || !reader->copy)
		return ecbpf_fail_memory(reader->e);
	reader->stats = ecbpf_map_memory(fds->stats, sizeof(*reader->stats));
	if (!reader->stats)
		return ecbpf_fail(reader->e, -errno, "map sampler_stats: %s", strerror(errno));
	for (size_t i = 0; i < fds->count; i++) {
		void *ring =
			mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fds->rings[i].fd, 0);

		if (ring == MAP_FAILED)
			return ecbpf_fail(reader->e, -errno, "ring of CPU %d: %s",
					  fds->rings[i].cpu, strerror(errno));
		reader->rings[i] = ring;
		reader->polls[i] = (struct pollfd){.fd = fds->rings[i].fd, .events = POLLIN};
	}
	return 0;
}

int ecbpf_sampler_open(struct ecbpf *e, struct ecbpf_sampler_fds *fds,
		       struct ecbpf_sampler_reader **ret_reader)
{
	struct ecbpf_sampler_reader *reader = calloc(1, sizeof(*reader));
	int err;

	if (!reader) {
		ecbpf_sampler_fds_close(fds);
		return ecbpf_fail_memory(e);
	}
	reader->e = e;
	reader->fds = fds;
	reader->page = sysconf(_SC_PAGESIZE);
	err = reader_setup(reader);
	if (err)
		ecbpf_sampler_close(reader);
	else
		*ret_reader = reader;
	return err;
}

int ecbpf_sampler_read(struct ecbpf_sampler_reader *reader, int timeout_ms, ecbpf_sample_fn fn,
		       void *data)
{
	if (poll(reader->polls, reader->fds->count, timeout_ms) < 0)
		return -errno;
	/* those that are not a quarter full, too: no CPU's samples get old */
	for (size_t i = 0; i < reader->fds->count; i++)
		ring_read(reader, i, fn, data);
	return 0;
}

struct ecbpf_sampler_stats *ecbpf_sampler_stats(struct ecbpf_sampler_reader *reader)
{
	return reader->stats;
}

void ecbpf_sampler_stop(struct ecbpf_sampler_reader *reader)
{
	close_fd(&reader->fds->samples);
}

void ecbpf_sampler_close(struct ecbpf_sampler_reader *reader)
{
	if (!reader)
		return;
	for (size_t i = 0; reader->rings && i < reader->fds->count; i++)
		if (reader->rings[i])
			munmap(reader->rings[i], reader->page + reader->fds->ring_bytes);
	if (reader->stats)
		munmap(reader->stats, sizeof(*reader->stats));
	ecbpf_sampler_fds_close(reader->fds);
	free(reader->rings);
	free(reader->polls);
	free(reader->copy);
	free(reader);
}
