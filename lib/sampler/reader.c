// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The reader of the rings of samples */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/perf_event.h>
#include <bpf/bpf.h>
#include "bpf/map.h"
#include "bpf/bpffs.h"
#include "bpf/info.h"
#include "bpf/synchronize.h"
#include "chain/dispatcher.h"
#include "chain/live.h"
#include "chain/pins.h"
#include "core/error.h"
#include "core/privilege.h"
#include "sampler/sampler.h"

struct ecbpf_sampler_reader {
	struct ecbpf *e;
	struct bpf_object *obj;
	struct perf_buffer *rings;
	struct ecbpf_view view;
	struct ecbpf_sampler_stats *stats; /* in that */
	__u32 map_id;			   /* of `samples` */
	int lock;
	ecbpf_sample_fn fn; /* during a read, like @data */
	void *data;
};

static enum bpf_perf_event_ret take(void *data, int cpu, struct perf_event_header *event)
{
	/* a raw sample, PERF_SAMPLE_RAW */
	const struct {
		struct perf_event_header header;
		__u32 size;
		char bytes[];
	} *raw = (void *)event;
	struct ecbpf_sampler_reader *reader = data;
	struct ecbpf_sample sample;
	int ret;

	/* what the ring had no room for, the programs have counted */
	if (event->type != PERF_RECORD_SAMPLE)
		return LIBBPF_PERF_EVENT_CONT;
	if (raw->size < sizeof(sample)) {
		reader->stats->send_errors++;
		return LIBBPF_PERF_EVENT_CONT;
	}
	memcpy(&sample, raw->bytes, sizeof(sample)); /* it is aligned to 4 bytes */
	if (sample.cap_len > raw->size - sizeof(sample))
		sample.cap_len = raw->size - sizeof(sample);
	ret = reader->fn(reader->data, cpu, &sample, raw->bytes + sizeof(sample));
	if (ret < 0) {
		reader->stats->send_errors++;
	} else {
		reader->stats->bytes += ret;
		reader->stats->published++;
	}
	return LIBBPF_PERF_EVENT_CONT;
}

static int rings_open(struct ecbpf_sampler_reader *reader, size_t ring_bytes)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_BPF_OUTPUT,
		.sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1,
		.watermark = 1,
		.wakeup_watermark = ring_bytes / 4,
	};
	size_t page = sysconf(_SC_PAGESIZE);
	int err;

	if (ring_bytes < page || ring_bytes & (ring_bytes - 1))
		return ecbpf_fail(reader->e, -EINVAL,
				  "ring of %zu bytes: not a power of two times %zu", ring_bytes,
				  page);
	reader->rings = perf_buffer__new_raw(sampler_map(reader->obj, "samples"), ring_bytes / page,
					     &attr, take, reader, NULL);
	if (reader->rings)
		return 0;
	err = -errno;
	return ecbpf_fail(reader->e, err, "cannot make a ring of %zu bytes for each CPU: %s%s",
			  ring_bytes, strerror(-err),
			  err == -EPERM || err == -ENOMEM
				  ? " (CAP_PERFMON, and RLIMIT_MEMLOCK or CAP_IPC_LOCK)"
				  : "");
}

/* The lock is held and there is no ring: what was put and is accounted for nowhere is lost */
static int count_abandoned(struct ecbpf_sampler_reader *reader)
{
	struct ecbpf_sampler_stats *stats = reader->stats;
	struct ecbpf_sampling_state state;
	__u64 known = stats->published + stats->send_errors + stats->abandoned;
	int err;

	err = sampler_state_sum(reader->e, reader->obj, &state);
	if (!err && state.put > known)
		stats->abandoned += state.put - known;
	return err;
}

static int reader_setup(struct ecbpf_sampler_reader *reader, size_t ring_bytes)
{
	struct bpf_map_info info = {};
	int err;

	err = ecbpf_require(reader->e, ECBPF_NEEDS_SAMPLES);
	if (!err)
		err = sampler_maps_open(reader->e, &reader->obj);
	if (err)
		return err;
	reader->lock = sampler_lock(reader->e, true);
	if (reader->lock < 0)
		return reader->lock;
	err = ecbpf_map_info(sampler_map(reader->obj, "samples"), &info);
	if (err)
		return ecbpf_fail(reader->e, err, "map samples: %s", strerror(-err));
	reader->map_id = info.id;
	err = ecbpf_view_open(reader->e, sampler_map(reader->obj, "sampler_stats"), "sampler_stats",
			      sizeof(*reader->stats), &reader->view);
	if (err)
		return err;
	reader->stats = reader->view.at;
	err = count_abandoned(reader);
	return err ? err : rings_open(reader, ring_bytes);
}

int ecbpf_sampler_open(struct ecbpf *e, size_t ring_bytes, struct ecbpf_sampler_reader **ret_reader)
{
	struct ecbpf_sampler_reader *reader = calloc(1, sizeof(*reader));
	int err;

	if (!reader)
		return ecbpf_fail_memory(e);
	reader->e = e;
	reader->lock = -1;
	err = reader_setup(reader, ring_bytes);
	if (err)
		ecbpf_sampler_close(reader);
	else
		*ret_reader = reader;
	return err;
}

int ecbpf_sampler_read(struct ecbpf_sampler_reader *reader, int timeout_ms, ecbpf_sample_fn fn,
		       void *data)
{
	int ret;

	reader->fn = fn;
	reader->data = data;
	ret = perf_buffer__poll(reader->rings, timeout_ms);
	if (ret >= 0) /* those that are not a quarter full, too: no CPU's samples get old */
		ret = perf_buffer__consume(reader->rings);
	return ret < 0 ? ret : 0;
}

struct ecbpf_sampler_stats *ecbpf_sampler_stats(struct ecbpf_sampler_reader *reader)
{
	return reader->stats;
}

int ecbpf_sampler_reader_status(struct ecbpf_sampler_reader *reader,
				struct ecbpf_sampler_status *ret_status)
{
	int err = sampler_status_read(reader->e, reader->obj, ret_status);

	if (!err)
		ret_status->is_read = true;
	return err;
}

bool ecbpf_sampler_is_stale(struct ecbpf_sampler_reader *reader)
{
	struct bpf_map_info info = {};
	_cleanup_close_ int fd = ecbpf_map_open(reader->e, "samples", &info);

	return fd < 0 ? fd == -ENOENT : info.id != reader->map_id;
}

int ecbpf_sampler_drain(struct ecbpf_sampler_reader *reader, ecbpf_sample_fn fn, void *data)
{
	int cpus = libbpf_num_possible_cpus(), ret;

	for (int cpu = 0; cpu < cpus; cpu++)
		bpf_map_delete_elem(sampler_map(reader->obj, "samples"), &cpu);
	ecbpf_synchronize(reader->e);
	reader->fn = fn;
	reader->data = data;
	ret = perf_buffer__consume(reader->rings);
	return ret < 0 ? ret : 0;
}

void ecbpf_sampler_close(struct ecbpf_sampler_reader *reader)
{
	if (!reader)
		return;
	perf_buffer__free(reader->rings);
	ecbpf_view_close(&reader->view);
	bpf_object__close(reader->obj);
	close_fd(&reader->lock);
	free(reader);
}

/*
 * From the pins: to look at a program by its id takes CAP_SYS_ADMIN, which a reader need not have.
 * They may go while we look; then the chain is another one and is asked for again.
 */
int ecbpf_sampler_chain(struct ecbpf *e, int ifindex, __u32 known_id, __u32 *ret_id,
			char *ret_names, size_t size)
{
	struct bpf_prog_info info;
	enum ecbpf_mode mode;
	char path[PATH_MAX];
	size_t used = 0;
	__u32 id = 0;
	int err, fd;

	err = ecbpf_attached(e, ifindex, &id, &mode);
	if (err)
		return err;
	*ret_id = id;
	if (id == known_id)
		return 0;
	if (size)
		*ret_names = '\0';
	for (int slot = 0; id && slot < DISPATCHER_MEMBERS && used < size; slot++) {
		if (ecbpf_member_path(e, path, sizeof(path), ifindex, id, slot, "prog"))
			break;
		fd = bpf_obj_get(path);
		if (fd < 0)
			break;
		info = (struct bpf_prog_info){};
		if (!ecbpf_prog_info(fd, &info))
			used += snprintf(ret_names + used, size - used, "%s%s", slot ? "," : "",
					 info.name);
		close(fd);
	}
	return 0;
}
