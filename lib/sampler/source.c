// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The descriptors that a reader of samples needs, opened with the privileges that this takes */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/perf_event.h>
#include <bpf/bpf.h>
#include "bpf/info.h"
#include "bpf/map.h"
#include "bpf/synchronize.h"
#include "core/error.h"
#include "core/privilege.h"
#include "sampler/sampler.h"

struct ecbpf_sampler_source {
	struct ecbpf *e;
	struct bpf_object *obj;
	__u32 map_id; /* of `samples` */
	/* the rings are there as long as they are mapped by somebody */
	size_t ring_size;
	void **rings;
	size_t count;
	struct ecbpf_sampler_fds *fds; /* NULL: taken */
};

void ecbpf_sampler_fds_close(struct ecbpf_sampler_fds *fds)
{
	if (!fds)
		return;
	close_fd(&fds->samples);
	for (size_t i = 0; i < fds->count; i++)
		close_fd(&fds->rings[i].fd);
	close_fd(&fds->stats);
	close_fd(&fds->lock);
	free(fds);
}

/* The lock is held and there is no ring: what was put and is accounted for nowhere is lost */
static int count_abandoned(struct ecbpf_sampler_source *source)
{
	struct ecbpf_sampling_state state;
	struct ecbpf_sampler_stats *stats;
	_cleanup_view_ struct ecbpf_view view = {};
	__u64 known;
	int err;

	err = ecbpf_view_open(source->e, source->fds->stats, "sampler_stats", sizeof(*stats),
			      &view);
	if (!err)
		err = sampler_state_sum(source->e, source->obj, &state);
	if (err)
		return err;
	stats = view.at;
	known = stats->published + stats->send_errors + stats->abandoned;
	if (state.put > known)
		stats->abandoned += state.put - known;
	return 0;
}

static int fail_ring(struct ecbpf_sampler_source *source, int err)
{
	return ecbpf_fail(source->e, err, "cannot make a ring of %zu bytes for each CPU: %s%s",
			  (size_t)source->fds->ring_bytes, strerror(-err),
			  err == -EPERM || err == -ENOMEM
				  ? " (CAP_PERFMON, and RLIMIT_MEMLOCK or CAP_IPC_LOCK)"
				  : "");
}

/* One that is offline has no ring */
static int ring_open(struct ecbpf_sampler_source *source, int cpu)
{
	struct ecbpf_sampler_fds *fds = source->fds;
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_BPF_OUTPUT,
		.sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1,
		.watermark = 1,
		.wakeup_watermark = fds->ring_bytes / 4,
	};
	void *memory;
	int fd;

	fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return errno == ENODEV ? 0 : fail_ring(source, -errno);
	fds->rings[fds->count].cpu = cpu;
	fds->rings[fds->count++].fd = fd;
	memory = mmap(NULL, source->ring_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return fail_ring(source, -errno);
	source->rings[source->count++] = memory;
	if (ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) ||
	    bpf_map_update_elem(fds->samples, &cpu, &fd, BPF_ANY))
		return fail_ring(source, -errno);
	return 0;
}

/*
 * The kernel takes rings out of the map when the file is closed by which they were put into it: it
 * is one of its own, for the reader to close, or to die with
 */
static int samples_open(struct ecbpf_sampler_source *source, __u32 *ret_cpus)
{
	struct bpf_map_info info = {};
	int err;

	err = ecbpf_map_info(sampler_map(source->obj, "samples"), &info);
	if (err)
		return ecbpf_fail(source->e, err, "map samples: %s", strerror(-err));
	source->map_id = info.id;
	*ret_cpus = info.max_entries;
	source->fds->samples = ecbpf_map_open(source->e, "samples", NULL);
	return source->fds->samples < 0 ? source->fds->samples : 0;
}

static int source_setup(struct ecbpf_sampler_source *source)
{
	int cpus = libbpf_num_possible_cpus(), err;
	struct ecbpf_sampler_fds *fds = source->fds;
	__u32 entries = 0;

	err = ecbpf_require(source->e, ECBPF_NEEDS_SAMPLES);
	if (!err)
		err = sampler_maps_open(source->e, &source->obj);
	if (err)
		return err;
	fds->lock = sampler_lock(source->e, true);
	if (fds->lock < 0)
		return fds->lock;
	fds->stats = fcntl(sampler_map(source->obj, "sampler_stats"), F_DUPFD_CLOEXEC, 0);
	if (fds->stats < 0)
		return ecbpf_fail(source->e, -errno, "map sampler_stats: %s", strerror(errno));
	err = samples_open(source, &entries);
	if (!err)
		err = count_abandoned(source);
	for (int cpu = 0; !err && cpu < cpus && (__u32)cpu < entries; cpu++)
		err = ring_open(source, cpu);
	return err;
}

int ecbpf_sampler_source_open(struct ecbpf *e, size_t ring_bytes,
			      struct ecbpf_sampler_source **ret_source)
{
	int cpus = libbpf_num_possible_cpus(), err;
	struct ecbpf_sampler_source *source;
	size_t page = sysconf(_SC_PAGESIZE);

	if (ring_bytes < page || ring_bytes & (ring_bytes - 1) || ring_bytes > INT_MAX)
		return ecbpf_fail(e, -EINVAL, "ring of %zu bytes: not a power of two times %zu",
				  ring_bytes, page);
	if (cpus < 0)
		return ecbpf_fail(e, cpus, "cannot count CPUs: %s", strerror(-cpus));
	source = calloc(1, sizeof(*source));
	if (!source)
		return ecbpf_fail_memory(e);
	source->e = e;
	source->ring_size = page + ring_bytes;
	source->rings = calloc(cpus, sizeof(*source->rings));
	source->fds = calloc(1, sizeof(*source->fds) + cpus * sizeof(source->fds->rings[0]));
	if (source->fds) {
		source->fds->lock = source->fds->samples = source->fds->stats = -1;
		source->fds->ring_bytes = ring_bytes;
	}
	err = source->rings && source->fds ? source_setup(source) : ecbpf_fail_memory(e);
	if (err)
		ecbpf_sampler_source_close(source);
	else
		*ret_source = source;
	return err;
}

struct ecbpf_sampler_fds *ecbpf_sampler_source_fds(struct ecbpf_sampler_source *source)
{
	struct ecbpf_sampler_fds *fds = source->fds;

	source->fds = NULL;
	return fds;
}

int ecbpf_sampler_source_status(struct ecbpf_sampler_source *source,
				struct ecbpf_sampler_status *ret_status)
{
	int err = sampler_status_read(source->e, source->obj, ret_status);

	if (!err)
		ret_status->is_read = true;
	return err;
}

bool ecbpf_sampler_source_is_stale(struct ecbpf_sampler_source *source)
{
	struct bpf_map_info info = {};
	_cleanup_close_ int fd = ecbpf_map_open(source->e, "samples", &info);

	return fd < 0 ? fd == -ENOENT : info.id != source->map_id;
}

void ecbpf_sampler_source_settle(struct ecbpf_sampler_source *source)
{
	ecbpf_synchronize(source->e);
}

void ecbpf_sampler_source_close(struct ecbpf_sampler_source *source)
{
	if (!source)
		return;
	for (size_t i = 0; i < source->count; i++)
		munmap(source->rings[i], source->ring_size);
	free(source->rings);
	ecbpf_sampler_fds_close(source->fds);
	bpf_object__close(source->obj);
	free(source);
}
