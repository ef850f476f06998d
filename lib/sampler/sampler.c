// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The sampler: settings and counters in pinned maps, and the reader of the rings.
 *
 * All maps are those of the embedded object `sampler`: loading it without its program makes those
 * that are missing, with the definitions that the programs have.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/perf_event.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/bpffs.h"
#include "bpf/info.h"
#include "bpf/program.h"
#include "bpf/synchronize.h"
#include "chain/dispatcher.h"
#include "chain/live.h"
#include "chain/pins.h"
#include "core/handle.h"
#include <ecbpf/libecbpf-sampler.h>

/* The directory that a reader has locked, as pins cannot be. Next to the maps */
#define READER_LOCK "sampler_reader"

struct ecbpf_sampler_reader {
	struct ecbpf *e;
	struct bpf_object *obj;
	struct perf_buffer *rings;
	struct ecbpf_sampler_stats *stats;
	__u32 map_id; /* of `samples` */
	int lock;
	ecbpf_sample_fn fn; /* during a read, like @data */
	void *data;
};

static int map_fd(const struct bpf_object *obj, const char *name)
{
	return bpf_object__find_map_fd_by_name(obj, name);
}

/* Are the maps there, made by a load or a reader before? */
static int maps_find(struct ecbpf *e)
{
	char path[PATH_MAX];
	struct stat st;
	int err;

	ecbpf_capture(e);
	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = ecbpf_pin_path(e, path, sizeof(path), "sampler_stats");
	if (err)
		return err;
	if (!stat(path, &st))
		return 0;
	err = -errno;
	return ecbpf_fail(e, err,
			  err == -ENOENT ? "no sampler is loaded: there is no %s"
					 : "cannot look at %s",
			  path);
}

static int maps_open(struct ecbpf *e, struct bpf_object **ret_obj)
{
	int err;

	ecbpf_capture(e);
	err = ecbpf_bpffs_open(e, true);
	return err ? err : ecbpf_stage_maps(e, "sampler", ret_obj);
}

/* --- settings and counters ---------------------------------------------------------------- */

static int state_sum(struct ecbpf *e, const struct bpf_object *obj,
		     struct ecbpf_sampling_state *ret_state)
{
	_cleanup_free_ struct ecbpf_sampling_state *values = NULL;
	struct ecbpf_sampling_state sum = {};
	int cpus = libbpf_num_possible_cpus();
	__u32 key = 0;

	values = cpus < 0 ? NULL : calloc(cpus, sizeof(*values));
	if (!values)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	if (bpf_map_lookup_elem(map_fd(obj, "sampling_state"), &key, values))
		return ecbpf_fail(e, -errno, "cannot read sampling_state: %s", strerror(errno));
	for (int cpu = 0; cpu < cpus; cpu++) {
		sum.put += values[cpu].put;
		sum.capped += values[cpu].capped;
		sum.lost += values[cpu].lost;
		sum.unread += values[cpu].unread;
	}
	*ret_state = sum;
	return 0;
}

static int reader_lock(struct ecbpf *e)
{
	char path[PATH_MAX];
	int err, fd;

	err = ecbpf_pin_path(e, path, sizeof(path), READER_LOCK);
	if (err)
		return err;
	if (mkdir(path, 0700) && errno != EEXIST)
		return ecbpf_fail(e, -errno, "cannot make %s: %s", path, strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ecbpf_fail(e, -errno, "cannot open %s: %s", path, strerror(errno));
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	err = -errno;
	close(fd);
	if (err == -EWOULDBLOCK)
		return ecbpf_fail(e, -EBUSY, "samples are read by another process already");
	return ecbpf_fail(e, err, "cannot lock %s: %s", path, strerror(-err));
}

static int status_read(struct ecbpf *e, const struct bpf_object *obj,
		       struct ecbpf_sampler_status *ret_status)
{
	struct ecbpf_sampler_status status = {};
	__u32 key = 0;
	int err;

	err = state_sum(e, obj, &status.kernel);
	if (err)
		return err;
	if (bpf_map_lookup_elem(map_fd(obj, "sampling"), &key, &status.settings) ||
	    bpf_map_lookup_elem(map_fd(obj, "sampler_stats"), &key, &status.reader))
		return ecbpf_fail(e, -errno, "cannot read the sampler's maps: %s", strerror(errno));
	*ret_status = status;
	return 0;
}

int ecbpf_sampler_status(struct ecbpf *e, struct ecbpf_sampler_status *ret_status)
{
	struct bpf_object *obj;
	int err, lock;

	err = maps_find(e);
	if (!err)
		err = maps_open(e, &obj);
	if (err)
		return err;
	err = status_read(e, obj, ret_status);
	bpf_object__close(obj);
	if (err)
		return err;
	lock = reader_lock(e);
	ret_status->is_read = lock == -EBUSY;
	if (lock >= 0)
		close(lock);
	return 0;
}

/* User space may set the countdowns to zero, "not drawn yet", at any time */
static int gaps_reset(const struct bpf_object *obj)
{
	_cleanup_free_ struct ecbpf_sampling_gap *zero = NULL;
	int cpus = libbpf_num_possible_cpus();
	__u32 key = 0;

	if (cpus < 0)
		return cpus;
	zero = calloc(cpus, sizeof(*zero));
	if (!zero)
		return -ENOMEM;
	return bpf_map_update_elem(map_fd(obj, "sampling_gap"), &key, zero, BPF_ANY) ? -errno : 0;
}

int ecbpf_sampler_set(struct ecbpf *e, const struct ecbpf_sampling *settings)
{
	struct bpf_object *obj;
	__u32 key = 0;
	int err;

	if (settings->snap_len > ECBPF_SNAP_MAX)
		return ecbpf_fail(e, -EINVAL, "snaplen %u is above %u", settings->snap_len,
				  ECBPF_SNAP_MAX);
	err = maps_open(e, &obj);
	if (err)
		return err;
	err = bpf_map_update_elem(map_fd(obj, "sampling"), &key, settings, BPF_ANY) ? -errno : 0;
	if (!err)
		err = gaps_reset(obj);
	bpf_object__close(obj);
	if (err)
		return ecbpf_fail(e, err, "cannot set the sampler: %s", strerror(-err));
	return 0;
}

static bool has_sampler(struct ecbpf *e, const char *iface)
{
	struct ecbpf_chain *chain;
	bool has = false;

	if (ecbpf_chain_get(e, iface, &chain))
		return false;
	for (size_t m = 0; m < chain->members_count; m++) {
		const struct ecbpf_member *member = &chain->members[m];

		for (size_t s = 0; s < member->stages_count; s++)
			has |= member->stages[s].stage == ECBPF_STAGE_SAMPLER;
	}
	ecbpf_chain_free(chain);
	return has;
}

int ecbpf_sampler_off(struct ecbpf *e)
{
	struct ecbpf_sampler_status status;
	struct if_nameindex *all;
	bool has = false;
	int err;

	err = ecbpf_sampler_status(e, &status);
	if (err)
		return err == -ENOENT ? 0 : err;
	all = if_nameindex();
	if (!all)
		return ecbpf_fail(e, -errno, "cannot list interfaces: %s", strerror(errno));
	for (struct if_nameindex *i = all; i->if_index && !has; i++)
		has = has_sampler(e, i->if_name);
	if_freenameindex(all);
	if (has)
		return 0;
	memset(status.settings.rate, 0, sizeof(status.settings.rate));
	return ecbpf_sampler_set(e, &status.settings);
}

/* --- reading samples ---------------------------------------------------------------------- */

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
	reader->rings = perf_buffer__new_raw(map_fd(reader->obj, "samples"), ring_bytes / page,
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

	err = state_sum(reader->e, reader->obj, &state);
	if (!err && state.put > known)
		stats->abandoned += state.put - known;
	return err;
}

static int reader_setup(struct ecbpf_sampler_reader *reader, size_t ring_bytes)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	int err;

	err = maps_open(reader->e, &reader->obj);
	if (err)
		return err;
	reader->lock = reader_lock(reader->e);
	if (reader->lock < 0)
		return reader->lock;
	if (bpf_obj_get_info_by_fd(map_fd(reader->obj, "samples"), &info, &len))
		return ecbpf_fail(reader->e, -errno, "samples: %s", strerror(errno));
	reader->map_id = info.id;
	reader->stats = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
			     map_fd(reader->obj, "sampler_stats"), 0);
	if (reader->stats == MAP_FAILED) {
		reader->stats = NULL;
		return ecbpf_fail(reader->e, -errno, "sampler_stats: %s", strerror(errno));
	}
	err = count_abandoned(reader);
	return err ? err : rings_open(reader, ring_bytes);
}

int ecbpf_sampler_open(struct ecbpf *e, size_t ring_bytes, struct ecbpf_sampler_reader **ret_reader)
{
	struct ecbpf_sampler_reader *reader = calloc(1, sizeof(*reader));
	int err;

	if (!reader)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
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
	int err = status_read(reader->e, reader->obj, ret_status);

	if (!err)
		ret_status->is_read = true;
	return err;
}

bool ecbpf_sampler_is_stale(struct ecbpf_sampler_reader *reader)
{
	struct bpf_map_info info = {};
	_cleanup_close_ int fd = -1;
	__u32 len = sizeof(info);
	char path[PATH_MAX];

	if (ecbpf_pin_path(reader->e, path, sizeof(path), "samples"))
		return false;
	fd = bpf_obj_get(path);
	return fd < 0 ? errno == ENOENT
		      : !bpf_obj_get_info_by_fd(fd, &info, &len) && info.id != reader->map_id;
}

int ecbpf_sampler_drain(struct ecbpf_sampler_reader *reader, ecbpf_sample_fn fn, void *data)
{
	int cpus = libbpf_num_possible_cpus(), ret;

	for (int cpu = 0; cpu < cpus; cpu++)
		bpf_map_delete_elem(map_fd(reader->obj, "samples"), &cpu);
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
	if (reader->stats)
		munmap(reader->stats, sysconf(_SC_PAGESIZE));
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
