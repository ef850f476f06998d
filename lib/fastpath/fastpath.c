// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The fast path: its maps, its programs at XDP and TC, its settings and its table.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/ethtool.h>
#include <linux/in.h>
#include <linux/sockios.h>
#include "core/internal.h"
#include "fastpath/ipvs.h"
#include <ecbpf/libecbpf-fastpath.h>
#include "progs/fastpath_egress.skel.h"

/*
 * By these, at TC, everybody's egress filters are told apart. Ours is the last: what another one
 * drops or changes has not been learned before. One that ends the classification costs leases.
 */
#define EGRESS_HANDLE	1
#define EGRESS_PRIORITY 0xffff

#define LEASE_MS_MIN 100

/* So many times as often flows are sampled once their client has sent a FIN */
#define SAMPLE_FIN 8

#define CLEANUP(function) __attribute__((cleanup(function)))

/* --- names -------------------------------------------------------------------------------- */

const char *ecbpf_egress_name(__u32 counter)
{
	switch (counter) {
#define X(value, NAME, name, text) \
	case value:                \
		return name;
		ECBPF_EGRESS_COUNTERS(X)
#undef X
	default:
		return NULL;
	}
}

const char *ecbpf_egress_text(__u32 counter)
{
	switch (counter) {
#define X(value, NAME, name, text) \
	case value:                \
		return text;
		ECBPF_EGRESS_COUNTERS(X)
#undef X
	default:
		return NULL;
	}
}

/* --- maps --------------------------------------------------------------------------------- */

static int map_open(struct ecbpf *e, const char *name, struct bpf_map_info *ret_info)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	char path[PATH_MAX];
	int err, fd;

	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = ecbpf_pin_path(e, path, sizeof(path), name);
	if (err)
		return err;
	fd = bpf_obj_get(path);
	if (fd < 0 && errno == ENOENT) {
		ecbpf_fail(e, -ENOENT, "the fast path is not loaded: no %s", path);
		return -ENOENT;
	}
	if (fd < 0)
		return ecbpf_fail(e, -errno, "%s: %s%s", path, strerror(errno),
				  errno == EPERM || errno == EACCES ? " (must be root)" : "");
	if (bpf_obj_get_info_by_fd(fd, &info, &len)) {
		err = ecbpf_fail(e, -errno, "%s: %s", path, strerror(errno));
		close(fd);
		return err;
	}
	if (ret_info)
		*ret_info = info;
	return fd;
}

/* A map of which user space has a view */
struct view {
	void *at;
	size_t size;
	__u32 entries;
};

static int view_open(struct ecbpf *e, const char *name, size_t value_size, struct view *ret_view)
{
	_cleanup_close_ int fd = -1;
	struct bpf_map_info info = {};
	struct view view;

	fd = map_open(e, name, &info);
	if (fd < 0)
		return fd;
	if (info.value_size != value_size) {
		ecbpf_fail(e, -EPROTO, "map %s: of another version of ecbpf", name);
		return -EPROTO;
	}
	view.entries = info.max_entries;
	view.size = (size_t)info.max_entries * value_size;
	view.at = mmap(NULL, view.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (view.at == MAP_FAILED) {
		ecbpf_fail(e, -errno, "map %s: %s", name, strerror(errno));
		return -ENOMEM;
	}
	*ret_view = view;
	return 0;
}

static void view_close(struct view *view)
{
	if (view->size)
		munmap(view->at, view->size);
	view->size = 0;
}

/* --- time --------------------------------------------------------------------------------- */

/* A jiffy is what the coarse clock advances by (kernel/time/posix-timers.c) */
static __u32 jiffies_hz(void)
{
	struct timespec tick = {};

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || tick.tv_nsec <= 0)
		return 100;
	return (1000000000 + tick.tv_nsec / 2) / tick.tv_nsec;
}

/*
 * Up to whole jiffies, and down to milliseconds: what is read back is never less than what was
 * given, and gives the same jiffies again.
 */
static __u32 jiffies_from_ms(__u32 ms, __u32 hz)
{
	__u32 jiffies = ((__u64)ms * hz + 999) / 1000;

	return jiffies ? jiffies : 1;
}

static __u32 ms_from_jiffies(__u64 jiffies, __u32 hz)
{
	return jiffies * 1000 / hz;
}

/* As leases say it. By way of the context: what a program returns has 32 bits */
static int jiffies_now(struct ecbpf *e, __u64 *ret_now)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64},
		{.code = BPF_STX | BPF_MEM | BPF_DW,
		 .dst_reg = BPF_REG_6,
		 .src_reg = BPF_REG_0,
		 .off = offsetof(struct __sk_buff, cb)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union {
		struct __sk_buff skb;
		char room[1024]; /* this kernel's may be longer */
	} context = {};
	char frame[64] = "";
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_out = &context, .ctx_size_out = sizeof(context));
	_cleanup_close_ int fd = -1;
	__u64 now;

	fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "ecbpf_now", "GPL", insns, ARRAY_SIZE(insns),
			   NULL);
	if (fd < 0 || bpf_prog_test_run_opts(fd, &opts))
		return ecbpf_fail(e, -errno, "cannot ask the kernel for its time: %s%s",
				  strerror(errno), errno == EPERM ? " (must be root)" : "");
	memcpy(&now, context.skb.cb, sizeof(now));
	*ret_now = ECBPF_LEASE_NOW(now);
	return 0;
}

/* --- settings ----------------------------------------------------------------------------- */

/* Of a load that was killed they may be all 0 */
static int settings_open(struct ecbpf *e, struct view *ret_view)
{
	struct ecbpf_fastpath *settings;
	int err;

	err = view_open(e, "fastpath", sizeof(*settings), ret_view);
	if (err)
		return err;
	settings = ret_view->at;
	if (!settings->hz)
		settings->hz = jiffies_hz();
	return 0;
}

static void settings_read(const struct ecbpf_fastpath *f, struct ecbpf_fastpath_settings *ret)
{
	*ret = (struct ecbpf_fastpath_settings){
		.lease_ms = ms_from_jiffies(f->lease, f->hz),
		.sample_ms = ms_from_jiffies(f->sample, f->hz),
		.inactive_ms = ms_from_jiffies(f->inactive, f->hz),
		.target_pps = f->target_pps,
		.spike_percent = f->spike_percent,
		.max_percent = f->max_percent,
		.reset_pps = f->reset_pps,
		.monitor = f->flags & ECBPF_FASTPATH_MONITOR,
		.limit = f->flags & ECBPF_FASTPATH_LIMIT,
	};
}

static void settings_write(struct ecbpf_fastpath *v, const struct ecbpf_fastpath_settings *s)
{
	__u32 window = v->hz / 20 ? v->hz / 20 : 1;

	v->lease = jiffies_from_ms(s->lease_ms, v->hz);
	v->sample = jiffies_from_ms(s->sample_ms, v->hz);
	v->sample_fin = jiffies_from_ms(s->sample_ms / SAMPLE_FIN, v->hz);
	v->inactive = jiffies_from_ms(s->inactive_ms, v->hz);
	v->window = window;
	v->target = (__u64)s->target_pps * window / v->hz;
	v->ceiling = (__u64)s->target_pps * (100 + s->spike_percent) / 100 * window / v->hz;
	v->drop_max = s->max_percent * 65536 / 100;
	v->reset_gap = v->hz / 10 ? v->hz / 10 : 1;
	v->target_pps = s->target_pps;
	v->spike_percent = s->spike_percent;
	v->max_percent = s->max_percent;
	v->reset_pps = s->reset_pps;
	v->reset = (struct ecbpf_rate){
		.refill = s->reset_pps,
		.cost = v->hz,
		.max = (__u64)s->reset_pps * v->hz / 10 + v->hz,
		.full = v->hz,
	};
	v->flags =
		(s->monitor ? ECBPF_FASTPATH_MONITOR : 0) | (s->limit ? ECBPF_FASTPATH_LIMIT : 0);
}

/* They become what settings_read() gives back: times are whole jiffies */
static int settings_check(struct ecbpf *e, struct ecbpf_fastpath_settings *s, __u32 hz)
{
	struct ecbpf_fastpath f = {.hz = hz};
	const struct {
		const char *name;
		__u32 value, min, max;
	} ranges[] = {
		{"lease", s->lease_ms, LEASE_MS_MIN, 60000},
		{"sample", s->sample_ms, 10, 60000},
		{"inactive", s->inactive_ms, 20, 86400000},
		{"target-pps", s->target_pps, 1, 1000000000},
		{"spike", s->spike_percent, 1, 1000},
		{"max", s->max_percent, 0, 100},
		{"reset-pps", s->reset_pps, 0, 10000000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		if (ranges[i].value < ranges[i].min || ranges[i].value > ranges[i].max)
			return ecbpf_fail(e, -EINVAL, "%s: %u is not from %u to %u", ranges[i].name,
					  ranges[i].value, ranges[i].min, ranges[i].max);
	}
	settings_write(&f, s);
	settings_read(&f, s);
	if (s->sample_ms >= s->inactive_ms)
		return ecbpf_fail(e, -EINVAL,
				  "sample (%u ms) must be less than inactive (%u ms): a flow "
				  "would be idle between two packets to IPVS",
				  s->sample_ms, s->inactive_ms);
	return 0;
}

int ecbpf_fastpath_check(struct ecbpf *e, struct ecbpf_fastpath_settings *settings)
{
	struct ecbpf_fastpath_settings checked = *settings;
	int err = settings_check(e, &checked, jiffies_hz());

	if (!err)
		*settings = checked;
	return err;
}

/* An entry of IPVS must not run out while XDP forwards its packets */
static int settings_check_ipvs(struct ecbpf *e, const struct ecbpf_fastpath_settings *s,
			       struct ecbpf_fastpath_settings *ret_better)
{
	struct ipvs_timeouts timeouts;
	char error[sizeof(e->error)];
	__u32 least;
	int err;

	strcpy(error, e->error);
	err = ecbpf_ipvs_timeouts(e, &timeouts);
	if (err == -ENOENT) {
		strcpy(e->error, error);
		return 0; /* no IPVS, nothing to hold it against */
	}
	if (err)
		return err;
	least = timeouts.tcp_fin < timeouts.udp ? timeouts.tcp_fin : timeouts.udp;
	if (ret_better) {
		__u64 inactive = (__u64)timeouts.tcp * 500, sample = (__u64)least * 500;

		*ret_better = *s;
		if (inactive < s->inactive_ms)
			ret_better->inactive_ms = inactive;
		if (sample < s->sample_ms)
			ret_better->sample_ms = sample;
		if (ret_better->sample_ms >= ret_better->inactive_ms)
			ret_better->sample_ms = ret_better->inactive_ms / 2;
	}
	if (s->inactive_ms >= (__u64)timeouts.tcp * 1000)
		return ecbpf_fail(e, -EINVAL,
				  "inactive (%u ms) must be less than IPVS's TCP timeout (%u s, "
				  "see 'ipvsadm -l --timeout')",
				  s->inactive_ms, timeouts.tcp);
	if (s->sample_ms >= (__u64)least * 1000)
		return ecbpf_fail(e, -EINVAL,
				  "sample (%u ms) must be less than IPVS's timeouts of UDP and of "
				  "TCP after a FIN (%u s and %u s)",
				  s->sample_ms, timeouts.udp, timeouts.tcp_fin);
	return 0;
}

/*
 * Of what is to be instead of @live. What stays is not held against IPVS's timeouts: whoever has
 * lowered them since does not keep others from being set.
 */
static int settings_check_change(struct ecbpf *e, const struct ecbpf_fastpath *live,
				 struct ecbpf_fastpath_settings *s)
{
	struct ecbpf_fastpath_settings before;
	int err;

	err = settings_check(e, s, live->hz);
	if (err)
		return err;
	settings_read(live, &before);
	if (s->sample_ms == before.sample_ms && s->inactive_ms == before.inactive_ms)
		return 0;
	return settings_check_ipvs(e, s, NULL);
}

int ecbpf_fastpath_get(struct ecbpf *e, struct ecbpf_fastpath_settings *ret_settings)
{
	CLEANUP(view_close) struct view view = {};
	int err;

	ecbpf_capture(e);
	err = settings_open(e, &view);
	if (err)
		return err;
	settings_read(view.at, ret_settings);
	return 0;
}

int ecbpf_fastpath_set(struct ecbpf *e, const struct ecbpf_fastpath_settings *settings)
{
	struct ecbpf_fastpath_settings wanted = *settings;
	CLEANUP(view_close) struct view view = {};
	_cleanup_close_ int lock = -1, fd = -1;
	struct ecbpf_fastpath changed;
	__u32 key = 0;
	int err;

	ecbpf_capture(e);
	err = settings_open(e, &view);
	if (err)
		return err;
	err = settings_check_change(e, view.at, &wanted);
	if (err)
		return err;
	lock = ecbpf_lock(e);
	if (lock < 0)
		return lock;
	fd = map_open(e, "fastpath", NULL);
	if (fd < 0)
		return fd;
	/* by the kernel, in one system call: who is killed in the middle leaves no half of them */
	changed = *(const struct ecbpf_fastpath *)view.at;
	settings_write(&changed, &wanted);
	if (bpf_map_update_elem(fd, &key, &changed, BPF_EXIST))
		return ecbpf_fail(e, -errno, "map fastpath: %s", strerror(errno));
	return ecbpf_fastpath_refresh(e, NULL);
}

/* --- UDP services ------------------------------------------------------------------------- */

static struct ecbpf_udp_service udp_key(const struct ipvs_service *service)
{
	struct ecbpf_udp_service key = {.mark = service->mark, .port = htons(service->port)};

	memcpy(key.addr, service->addr, sizeof(key.addr));
	return key;
}

static bool udp_keeps_server(const struct ipvs_service *service)
{
	return !service->is_one_packet && (service->mark || service->proto == IPPROTO_UDP);
}

/* What is in the map and not among the services goes */
static void udp_remove(int fd, const struct ipvs_service *services, size_t count)
{
	struct ecbpf_udp_service key, next;
	bool is_last;

	is_last = bpf_map_get_next_key(fd, NULL, &next);
	while (!is_last) {
		bool is_wanted = false;

		key = next;
		is_last = bpf_map_get_next_key(fd, &key, &next);
		for (size_t i = 0; i < count; i++) {
			struct ecbpf_udp_service service = udp_key(&services[i]);

			if (udp_keeps_server(&services[i]) && !memcmp(&service, &key, sizeof(key)))
				is_wanted = true;
		}
		if (!is_wanted)
			bpf_map_delete_elem(fd, &key);
	}
}

int ecbpf_fastpath_refresh(struct ecbpf *e, size_t *ret_count)
{
	_cleanup_free_ struct ipvs_service *services = NULL;
	size_t services_count = 0, count = 0;
	_cleanup_close_ int fd = -1;
	__u8 value = 1;
	int err;

	ecbpf_capture(e);
	fd = map_open(e, "fastpath_udp", NULL);
	if (fd < 0)
		return fd;
	err = ecbpf_ipvs_services(e, &services, &services_count);
	if (err && err != -ENOENT)
		return err;
	for (size_t i = 0; i < services_count; i++) {
		struct ecbpf_udp_service key = udp_key(&services[i]);

		if (!udp_keeps_server(&services[i]))
			continue;
		count++;
		if (bpf_map_update_elem(fd, &key, &value, BPF_ANY))
			return ecbpf_fail(e, -errno, "list of UDP services: %s",
					  errno == E2BIG ? "it is full" : strerror(errno));
	}
	udp_remove(fd, services, services_count);
	if (ret_count)
		*ret_count = count;
	return 0;
}

/* --- load --------------------------------------------------------------------------------- */

/* How many flows a table was made for */
__u32 ecbpf_fastpath_capacity(__u32 groups)
{
	return (__u64)groups * ECBPF_FLOW_WAYS * 8 / 15;
}

/* Pinned maps of ours go, so that they can be made anew. @data: size_t, how many; or NULL */
static int unpin_ours(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	size_t *count = data;

	if (is_symlink || strncmp(strrchr(path, '/') + 1, "fastpath", 8))
		return 0;
	if (unlink(path) && errno != ENOENT)
		return ecbpf_fail(e, -errno, "cannot remove %s: %s", path, strerror(errno));
	if (count)
		(*count)++;
	return 0;
}

/*
 * Are there maps, and will they do? @ret_groups: size of the table to make; 0: that of the maps
 * which are there
 */
static int maps_check(struct ecbpf *e, __u32 flows, __u32 *ret_groups)
{
	__u32 groups = ECBPF_FLOW_GROUPS(flows ? flows : ECBPF_FLOWS_DEFAULT);
	struct bpf_map_info info;
	_cleanup_close_ int fd = -1;

	fd = map_open(e, "fastpath_flows", &info);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	if (fd < 0 || !ecbpf_map_is_used(info.id)) {
		*ret_groups = groups;
		return ecbpf_for_each_pin(e, unpin_ours, NULL);
	}
	if (flows && info.max_entries != groups)
		return ecbpf_fail(e, -EBUSY,
				  "the fast path is loaded, for %u flows: 'ecbpf-fastpath unload' "
				  "first",
				  ecbpf_fastpath_capacity(info.max_entries));
	*ret_groups = 0;
	return 0;
}

/* The TC program, loaded, with its maps */
static int egress_open(struct ecbpf *e, __u32 groups, struct bpf_object **ret_obj)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "fastpath_egress",
		    .kernel_log_buf = e->detail, .kernel_log_size = ECBPF_DETAIL_SIZE);
	struct bpf_object *obj;
	char path[PATH_MAX];
	struct loaded loaded = {};
	struct bpf_program *prog;
	struct bpf_map *map;
	const void *bytes;
	size_t size;
	int err;

	bytes = fastpath_egress_bpf__elf_bytes(&size);
	obj = bpf_object__open_mem(bytes, size, &opts);
	err = libbpf_get_error(obj);
	if (err)
		return ecbpf_fail(e, err, "fastpath_egress: %s", strerror(-err));
	bpf_object__for_each_map (map, obj) {
		if (bpf_map__is_internal(map))
			continue;
		err = ecbpf_pin_path(e, path, sizeof(path), bpf_map__name(map));
		if (!err)
			err = ecbpf_pinned_map_check(e, path, map);
		if (!err)
			err = bpf_map__set_pin_path(map, path);
		if (!err && groups && strstr("fastpath_flows fastpath_tags", bpf_map__name(map)) &&
		    strlen(bpf_map__name(map)) > strlen("fastpath"))
			err = bpf_map__set_max_entries(map, groups);
		if (err)
			goto out;
	}
	err = bpf_object__load(obj);
	if (err) {
		ecbpf_fail(e, err, "fastpath_egress: the kernel refuses it: %s%s", strerror(-err),
			   err == -EPERM ? " (must be root)" : "");
		goto out;
	}
	prog = bpf_object__find_program_by_name(obj, "ecbpf_egress");
	loaded.fingerprint = ecbpf_fingerprint(bytes, size);
	err = ecbpf_loaded_bind(e, bpf_program__fd(prog), "fastpath_egress", &loaded);
	if (err)
		goto out;
	*ret_obj = obj;
	return 0;
out:
	bpf_object__close(obj);
	return err;
}

static int egress_query(int ifindex, __u32 *ret_id)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = EGRESS_HANDLE, .priority = EGRESS_PRIORITY);
	int err;

	err = bpf_tc_query(&hook, &opts);
	if (!err)
		*ret_id = opts.prog_id;
	return err;
}

/* @ret_is_current: it is the one of this library, and not of another version; or NULL */
static bool egress_is_there(int ifindex, bool *ret_is_current)
{
	struct bpf_prog_info info = {};
	_cleanup_close_ int fd = -1;
	struct loaded loaded;
	const void *bytes;
	size_t size;
	__u32 id = 0;

	if (egress_query(ifindex, &id))
		return false;
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0 || ecbpf_prog_info(fd, &info) || strcmp(info.name, "ecbpf_egress"))
		return false;
	if (!ret_is_current)
		return true;
	bytes = fastpath_egress_bpf__elf_bytes(&size);
	*ret_is_current = !ecbpf_loaded_read(fd, &loaded) &&
			  loaded.fingerprint == ecbpf_fingerprint(bytes, size);
	return true;
}

static int egress_attach(struct ecbpf *e, const char *iface, int prog_fd)
{
	int ifindex = ecbpf_iface_index(e, iface);
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = EGRESS_HANDLE, .priority = EGRESS_PRIORITY,
		    .prog_fd = prog_fd);
	__u32 id;
	int err;

	if (ifindex < 0)
		return ifindex;
	if (!egress_query(ifindex, &id)) {
		if (!egress_is_there(ifindex, NULL))
			return ecbpf_fail(e, -EBUSY,
					  "%s: another program is TC egress filter %u, handle %u",
					  iface, EGRESS_PRIORITY, EGRESS_HANDLE);
		opts.flags = BPF_TC_F_REPLACE;
	}
	err = bpf_tc_hook_create(&hook);
	if (err && err != -EEXIST)
		return ecbpf_fail(e, err, "%s: cannot add the clsact queueing discipline: %s",
				  iface, strerror(-err));
	err = bpf_tc_attach(&hook, &opts);
	if (err)
		return ecbpf_fail(e, err, "%s: cannot attach at TC egress: %s", iface,
				  strerror(-err));
	return 0;
}

static void egress_detach(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = EGRESS_HANDLE, .priority = EGRESS_PRIORITY);

	if (egress_is_there(ifindex, NULL))
		bpf_tc_detach(&hook, &opts);
}

/* Secrets and defaults; the table stays off */
static int settings_init(struct ecbpf *e, struct ecbpf_fastpath *f, bool monitor)
{
	struct ecbpf_fastpath_settings settings = ECBPF_FASTPATH_SETTINGS_INIT, better;
	int err;

	settings.monitor = monitor;
	err = settings_check_ipvs(e, &settings, &better);
	if (err == -EINVAL) {
		settings = better;
		ecbpf_log(e, ECBPF_LOG_WARN, "%s: begins with inactive=%u sample=%u", e->error,
			  settings.inactive_ms, settings.sample_ms);
	} else if (err) {
		return err;
	}
	if (getrandom(&f->seed, sizeof(f->seed), 0) != sizeof(f->seed) ||
	    getrandom(&f->mult, sizeof(f->mult), 0) != sizeof(f->mult))
		return ecbpf_fail(e, -errno, "cannot get random numbers: %s", strerror(errno));
	f->mult |= 1;
	settings_write(f, &settings);
	return 0;
}

/* Is the stage in this chain? @ret_counters: of it, or NULL */
static const struct ecbpf_member *chain_stage(const struct ecbpf_chain *chain,
					      const struct ecbpf_counters **ret_counters)
{
	for (size_t i = 0; i < chain->members_count; i++) {
		const struct ecbpf_member *member = &chain->members[i];

		for (size_t slot = 0; slot < member->stages_count; slot++) {
			if (member->stages[slot].stage != ECBPF_STAGE_FASTPATH)
				continue;
			if (ret_counters)
				*ret_counters = &member->stages[slot].counters;
			return member;
		}
	}
	return NULL;
}

static int check_ifaces(struct ecbpf *e, const struct ecbpf_fastpath_load *load)
{
	if (!load->in_count && !load->out_count)
		return ecbpf_fail(e, -EINVAL, "no interface");
	for (size_t i = 0; i < load->out_count; i++) {
		int ifindex = ecbpf_iface_index(e, load->out[i]);

		if (ifindex < 0)
			return ifindex;
	}
	for (size_t i = 0; i < load->in_count; i++) {
		struct ecbpf_chain *chain;
		bool is_there;
		int err;

		err = ecbpf_chain_get(e, load->in[i], &chain);
		if (err)
			return err;
		is_there = chain_stage(chain, NULL);
		ecbpf_chain_free(chain);
		if (is_there)
			return ecbpf_fail(
				e, -EEXIST,
				"%s: the fast path is there already; 'ecbpf-fastpath unload' "
				"takes it away",
				load->in[i]);
	}
	return 0;
}

/* Where packets may be redirected to */
static int ports_add(struct ecbpf *e, const struct ecbpf_fastpath_load *load)
{
	_cleanup_close_ int fd = map_open(e, "fastpath_ports", NULL);

	if (fd < 0)
		return fd;
	for (size_t i = 0; i < load->in_count + load->out_count; i++) {
		const char *iface =
			i < load->in_count ? load->in[i] : load->out[i - load->in_count];
		int ifindex = ecbpf_iface_index(e, iface);

		if (ifindex < 0)
			return ifindex;
		if (bpf_map_update_elem(fd, &ifindex, &ifindex, BPF_ANY))
			return ecbpf_fail(e, -errno, "%s: cannot make it a port: %s", iface,
					  strerror(errno));
	}
	return 0;
}

static int xdp_load(struct ecbpf *e, const struct ecbpf_fastpath_load *load)
{
	if (!load->in_count)
		return 0;
	return ecbpf_chain_load_stage(e, load->in, load->in_count, ECBPF_STAGE_FASTPATH,
				      load->is_fused, load->mode);
}

/* The interfaces that the TC program was not on before are undone */
static int egress_load(struct ecbpf *e, const struct ecbpf_fastpath_load *load, int prog_fd,
		       int *ret_undo, size_t *ret_undo_count)
{
	for (size_t i = 0; i < load->in_count + load->out_count; i++) {
		const char *iface =
			i < load->in_count ? load->in[i] : load->out[i - load->in_count];
		int ifindex = ecbpf_iface_index(e, iface), err;

		if (ifindex < 0)
			return ifindex;
		if (!egress_is_there(ifindex, NULL))
			ret_undo[(*ret_undo_count)++] = ifindex;
		err = egress_attach(e, iface, prog_fd);
		if (err)
			return err;
	}
	return 0;
}

/* NETDEV_XDP_ACT_NDO_XMIT; not in the headers of Linux 6.1 */
#define FEATURE_NDO_XMIT (1 << 2)

/* Does the card take VLAN tags off what comes in? */
static bool iface_takes_tags(const char *iface)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_value value = {.cmd = ETHTOOL_GFLAGS};
	struct ifreq request = {.ifr_data = (void *)&value};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", iface);
	return fd >= 0 && !ioctl(fd, SIOCETHTOOL, &request) && value.data & ETH_FLAG_RXVLAN;
}

/* Its driver has XDP, and nothing set up to send what other interfaces redirect there */
static bool iface_cannot_xmit(struct ecbpf *e, const char *iface)
{
	__u64 features = 0;

	return !ecbpf_features(e, iface, &features) && features && !(features & FEATURE_NDO_XMIT);
}

/* What the kernel allows, and loses packets by */
static void load_warn(struct ecbpf *e, const struct ecbpf_fastpath_load *load)
{
	bool is_native = false;

	for (size_t i = 0; i < load->in_count; i++) {
		enum ecbpf_mode mode = ECBPF_MODE_UNSPEC;
		__u32 id;

		if (ecbpf_attached(e, ecbpf_iface_index(e, load->in[i]), &id, &mode))
			continue;
		is_native |= mode == ECBPF_MODE_NATIVE;
		if (mode == ECBPF_MODE_SKB && iface_takes_tags(load->in[i]))
			ecbpf_log(e, ECBPF_LOG_WARN,
				  "%s: in skb mode XDP does not see VLAN tags that the card takes "
				  "off, and packets leave with them: 'ethtool -K %s rxvlan off'",
				  load->in[i], load->in[i]);
	}
	if (!is_native || load->in_count + load->out_count < 2)
		return;
	for (size_t i = 0; i < load->in_count + load->out_count; i++) {
		const char *iface =
			i < load->in_count ? load->in[i] : load->out[i - load->in_count];

		if (iface_cannot_xmit(e, iface))
			ecbpf_log(e, ECBPF_LOG_WARN,
				  "%s: drops what other interfaces redirect there, as it is set up "
				  "now: 'ecbpf-loader load %s pass', of a veth at its other end",
				  iface, iface);
	}
}

/* Turn it on, or off with 0. Who writes all settings does not do so meanwhile */
static int groups_set(struct ecbpf *e, struct ecbpf_fastpath *settings, __u32 groups)
{
	_cleanup_close_ int lock = ecbpf_lock(e);

	if (lock < 0)
		return lock;
	*(volatile __u32 *)&settings->groups = groups;
	return 0;
}

static int load_all(struct ecbpf *e, const struct ecbpf_fastpath_load *load, int prog_fd,
		    struct ecbpf_fastpath *settings, __u32 groups)
{
	_cleanup_free_ int *undo = calloc(load->in_count + load->out_count, sizeof(*undo));
	size_t undo_count = 0;
	char error[sizeof(e->error)];
	int err;

	if (!undo)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	err = egress_load(e, load, prog_fd, undo, &undo_count);
	if (!err)
		err = xdp_load(e, load);
	if (err)
		goto undo_egress;
	err = ports_add(e, load);
	if (!err)
		err = ecbpf_fastpath_refresh(e, NULL);
	if (err)
		goto undo_xdp;
	err = groups_set(e, settings, groups);
	if (!err) {
		load_warn(e, load);
		return 0;
	}
undo_xdp:
	strcpy(error, e->error);
	if (ecbpf_chain_unload_stage(e, load->in, load->in_count, ECBPF_STAGE_FASTPATH))
		ecbpf_log(e, ECBPF_LOG_WARN, "%s", e->error);
	strcpy(e->error, error);
undo_egress:
	for (size_t i = 0; i < undo_count; i++)
		egress_detach(undo[i]);
	return err;
}

/* The settings there are, or new ones, which are off; and then all the rest */
static int load_settings(struct ecbpf *e, const struct ecbpf_fastpath_load *load,
			 struct bpf_object *egress)
{
	CLEANUP(view_close) struct view settings = {}, flows = {};
	struct bpf_program *prog = bpf_object__find_program_by_name(egress, "ecbpf_egress");
	int err;

	err = settings_open(e, &settings);
	if (!err)
		err = view_open(e, "fastpath_flows", sizeof(struct ecbpf_flow_group), &flows);
	if (!err && !((struct ecbpf_fastpath *)settings.at)->groups)
		err = settings_init(e, settings.at, load->monitor);
	if (!err)
		err = load_all(e, load, bpf_program__fd(prog), settings.at, flows.entries);
	return err;
}

static int load_locked(struct ecbpf *e, const struct ecbpf_fastpath_load *load)
{
	struct bpf_object *egress = NULL, *stage = NULL;
	char error[sizeof(e->error)];
	__u32 groups = 0;
	int err;

	err = check_ifaces(e, load);
	if (!err)
		err = maps_check(e, load->flows, &groups);
	if (err)
		return err;
	err = egress_open(e, groups, &egress);
	if (!err)
		err = ecbpf_stage_maps(e, "fastpath", &stage); /* which has some more */
	if (!err)
		err = load_settings(e, load, egress);
	bpf_object__close(egress);
	bpf_object__close(stage);
	if (err && groups) { /* these maps were made here */
		strcpy(error, e->error);
		ecbpf_for_each_pin(e, unpin_ours, NULL);
		strcpy(e->error, error);
	}
	return err;
}

int ecbpf_fastpath_load(struct ecbpf *e, const struct ecbpf_fastpath_load *load)
{
	int err;

	ecbpf_capture(e);
	if (load->flows && (load->flows < ECBPF_FLOWS_MIN || load->flows > ECBPF_FLOWS_MAX))
		return ecbpf_fail(e, -EINVAL, "flows: %u is not from %u to %u", load->flows,
				  ECBPF_FLOWS_MIN, ECBPF_FLOWS_MAX);
	err = ecbpf_bpffs_open(e, true);
	if (!err)
		err = ecbpf_lock_hold(e);
	if (err)
		return err;
	err = load_locked(e, load);
	ecbpf_lock_release(e);
	return err;
}

/* --- what there is ------------------------------------------------------------------------ */

int ecbpf_fastpath_state(struct ecbpf *e, bool *ret_is_on, __u32 *ret_groups)
{
	CLEANUP(view_close) struct view settings = {};
	struct bpf_map_info info = {};
	_cleanup_close_ int fd = -1;
	int err;

	err = settings_open(e, &settings);
	if (err)
		return err;
	fd = map_open(e, "fastpath_flows", &info);
	if (fd < 0)
		return fd;
	*ret_is_on = ((const struct ecbpf_fastpath *)settings.at)->groups;
	*ret_groups = info.max_entries;
	return 0;
}

int ecbpf_fastpath_leave(struct ecbpf *e, const char *iface)
{
	_cleanup_close_ int fd = map_open(e, "fastpath_ports", NULL);
	int ifindex = ecbpf_iface_index(e, iface);

	if (fd < 0)
		return fd;
	if (ifindex < 0)
		return ifindex;
	egress_detach(ifindex);
	if (bpf_map_delete_elem(fd, &ifindex) && errno != ENOENT)
		return ecbpf_fail(e, -errno, "%s: cannot be a port no more: %s", iface,
				  strerror(errno));
	return 0;
}

/* The interfaces of this network namespace that the fast path is on; *@ret_ports: for free() */
int ecbpf_fastpath_ports(struct ecbpf *e, struct ecbpf_fastpath_port **ret_ports, size_t *ret_count)
{
	struct if_nameindex *ifaces = if_nameindex();
	struct ecbpf_fastpath_port *ports = NULL;
	_cleanup_close_ int fd = -1;
	size_t count = 0;

	if (!ifaces)
		return ecbpf_fail(e, -errno, "list of interfaces: %s", strerror(errno));
	fd = map_open(e, "fastpath_ports", NULL);
	for (struct if_nameindex *i = ifaces; i->if_index; i++) {
		struct ecbpf_fastpath_port port = {};
		const struct ecbpf_counters *counters = NULL;
		const struct ecbpf_member *member = NULL;
		struct ecbpf_fastpath_port *more;
		struct ecbpf_chain *chain;
		__u32 out;

		port.is_out = egress_is_there(i->if_index, &port.is_current);
		port.is_port = fd >= 0 && !bpf_map_lookup_elem(fd, &i->if_index, &out);
		if (!ecbpf_chain_get(e, i->if_name, &chain)) {
			member = chain_stage(chain, &counters);
			if (member) {
				port.is_in = true;
				port.is_fused = !strcmp(member->name, "ecbpf_fused");
				port.counters = *counters;
			}
			ecbpf_chain_free(chain);
		}
		if (!port.is_in && !port.is_out && !port.is_port)
			continue;
		snprintf(port.iface, sizeof(port.iface), "%s", i->if_name);
		more = realloc(ports, (count + 1) * sizeof(*ports));
		if (!more) {
			free(ports);
			if_freenameindex(ifaces);
			return ecbpf_fail(e, -ENOMEM, "out of memory");
		}
		ports = more;
		ports[count++] = port;
	}
	if_freenameindex(ifaces);
	*ret_ports = ports;
	*ret_count = count;
	return 0;
}

int ecbpf_fastpath_repair(struct ecbpf *e, size_t *ret_count)
{
	_cleanup_free_ struct ecbpf_fastpath_port *ports = NULL;
	struct bpf_object *obj = NULL;
	size_t ports_count = 0, count = 0;
	struct bpf_program *prog;
	int err, lock;

	ecbpf_capture(e);
	err = map_open(e, "fastpath_flows", NULL);
	if (err < 0)
		return err;
	close(err);
	err = ecbpf_fastpath_ports(e, &ports, &ports_count);
	if (err)
		return err;
	lock = ecbpf_lock(e);
	if (lock < 0)
		return lock;
	err = egress_open(e, 0, &obj);
	prog = err ? NULL : bpf_object__find_program_by_name(obj, "ecbpf_egress");
	for (size_t i = 0; i < ports_count && !err; i++) {
		const char *iface = ports[i].iface;
		struct ecbpf_fastpath_load load = {.out = &iface, .out_count = 1};

		if (ports[i].is_out && ports[i].is_current && ports[i].is_port)
			continue;
		if (!ports[i].is_out || !ports[i].is_current)
			err = egress_attach(e, iface, bpf_program__fd(prog));
		if (!err)
			err = ports_add(e, &load);
		count += !err;
	}
	bpf_object__close(obj);
	close(lock);
	if (!err && ret_count)
		*ret_count = count;
	return err;
}

int ecbpf_fastpath_look(struct ecbpf *e, struct fastpath_look *ret_look)
{
	CLEANUP(view_close) struct view view = {};
	struct fastpath_look look = {};
	const struct ecbpf_fastpath *f;
	struct bpf_map_info info;
	int err;

	err = settings_open(e, &view);
	if (err)
		return err;
	f = view.at;
	look.is_on = f->groups;
	settings_read(f, &look.settings);
	err = map_open(e, "fastpath_flows", &info);
	if (err >= 0) {
		close(err);
		look.megabytes = (__u64)info.max_entries * info.value_size >> 20;
	}
	err = settings_check_ipvs(e, &look.settings, &look.better);
	look.is_unfit = err == -EINVAL;
	if (look.is_unfit)
		snprintf(look.text, sizeof(look.text), "%.255s", e->error);
	err = ecbpf_fastpath_ports(e, &look.ports, &look.ports_count);
	if (!err)
		*ret_look = look;
	return err;
}

static int unload_locked(struct ecbpf *e)
{
	_cleanup_free_ struct ecbpf_fastpath_port *ports = NULL;
	_cleanup_free_ const char **ifaces = NULL;
	CLEANUP(view_close) struct view settings = {};
	size_t count = 0, in_count = 0, pins = 0;
	int err;

	err = settings_open(e, &settings);
	if (!err)
		err = groups_set(e, settings.at, 0);
	if (err && err != -ENOENT)
		return err;
	err = ecbpf_fastpath_ports(e, &ports, &count);
	if (err)
		return err;
	ifaces = calloc(count + 1, sizeof(*ifaces));
	if (!ifaces)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		if (ports[i].is_in)
			ifaces[in_count++] = ports[i].iface;
	}
	if (in_count) {
		err = ecbpf_chain_unload_stage(e, ifaces, in_count, ECBPF_STAGE_FASTPATH);
		if (err)
			return err;
	}
	for (size_t i = 0; i < count; i++) {
		if (ports[i].is_out)
			egress_detach(if_nametoindex(ports[i].iface));
	}
	err = ecbpf_for_each_pin(e, unpin_ours, &pins);
	if (!err && !count && !pins)
		return ecbpf_fail(e, -ENOENT, "the fast path is not loaded");
	return err;
}

int ecbpf_fastpath_unload(struct ecbpf *e)
{
	int err;

	ecbpf_capture(e);
	err = ecbpf_bpffs_open(e, true);
	if (!err)
		err = ecbpf_lock_hold(e);
	if (err)
		return err;
	err = unload_locked(e);
	ecbpf_lock_release(e);
	return err;
}

/* --- addresses ---------------------------------------------------------------------------- */

int ecbpf_prefix_parse(const char *text, struct ecbpf_prefix *ret_prefix)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct ecbpf_prefix prefix = {};
	char addr[INET6_ADDRSTRLEN], *end;
	unsigned long bits, max = 128;

	if (len >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (inet_pton(AF_INET, addr, prefix.addr + 12) == 1) {
		memset(prefix.addr + 10, 0xff, 2);
		max = 32;
	} else if (inet_pton(AF_INET6, addr, prefix.addr) != 1) {
		return -EINVAL;
	}
	bits = max;
	if (slash) {
		if (!slash[1] || slash[1 + strspn(slash + 1, "0123456789")])
			return -EINVAL;
		errno = 0;
		bits = strtoul(slash + 1, &end, 10);
		if (errno || bits > max)
			return -EINVAL;
	}
	prefix.len = bits + (max == 32 ? 96 : 0);
	for (int bit = prefix.len; bit < 128; bit++) {
		if (prefix.addr[bit / 8] & 0x80 >> bit % 8)
			return -EINVAL; /* 192.0.2.1/24: which is meant? */
	}
	*ret_prefix = prefix;
	return 0;
}

static bool is_ip4(const __u8 *addr)
{
	static const __u8 mapped[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(addr, mapped, sizeof(mapped));
}

void ecbpf_prefix_format(const struct ecbpf_prefix *prefix, char *ret_text)
{
	bool ip4 = is_ip4(prefix->addr) && prefix->len >= 96;
	unsigned int bits = ip4 ? prefix->len - 96 : prefix->len;
	char addr[INET6_ADDRSTRLEN];

	inet_ntop(ip4 ? AF_INET : AF_INET6, prefix->addr + (ip4 ? 12 : 0), addr, sizeof(addr));
	if (bits == (ip4 ? 32 : 128))
		snprintf(ret_text, ECBPF_PREFIX_TEXT, "%s", addr);
	else
		snprintf(ret_text, ECBPF_PREFIX_TEXT, "%s/%u", addr, bits);
}

static bool prefix_has(const struct ecbpf_prefix *prefix, const __u8 *addr)
{
	unsigned int bytes = prefix->len / 8, bits = prefix->len % 8;

	return !memcmp(prefix->addr, addr, bytes) &&
	       (!bits || !((prefix->addr[bytes] ^ addr[bytes]) >> (8 - bits)));
}

static struct ecbpf_exclude_key exclude_key(const struct ecbpf_prefix *prefix)
{
	struct ecbpf_exclude_key key = {.prefix_len = prefix->len};

	memcpy(key.addr, prefix->addr, sizeof(key.addr));
	return key;
}

int ecbpf_fastpath_exclude_add(struct ecbpf *e, const struct ecbpf_prefix *prefix)
{
	struct ecbpf_exclude_key key = exclude_key(prefix);
	struct ecbpf_fastpath_filter filter = {.client = prefix};
	_cleanup_close_ int fd = -1;
	__u8 value = 1;
	int err;

	ecbpf_capture(e);
	fd = map_open(e, "fastpath_exclude", NULL);
	if (fd < 0)
		return fd;
	if (bpf_map_update_elem(fd, &key, &value, BPF_ANY))
		return ecbpf_fail(e, -errno, "exclude: %s",
				  errno == ENOSPC ? "the list is full" : strerror(errno));
	err = ecbpf_fastpath_flush(e, &filter, NULL);
	filter = (struct ecbpf_fastpath_filter){.service = prefix};
	return err ? err : ecbpf_fastpath_flush(e, &filter, NULL);
}

int ecbpf_fastpath_exclude_delete(struct ecbpf *e, const struct ecbpf_prefix *prefix)
{
	struct ecbpf_exclude_key key = exclude_key(prefix);
	char text[ECBPF_PREFIX_TEXT];
	_cleanup_close_ int fd = -1;

	ecbpf_capture(e);
	fd = map_open(e, "fastpath_exclude", NULL);
	if (fd < 0)
		return fd;
	if (!bpf_map_delete_elem(fd, &key))
		return 0;
	ecbpf_prefix_format(prefix, text);
	return ecbpf_fail(e, -errno, "%s: %s", text,
			  errno == ENOENT ? "is not excluded" : strerror(errno));
}

static int prefix_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ecbpf_prefix));
}

int ecbpf_fastpath_exclude_list(struct ecbpf *e, struct ecbpf_prefix **ret_prefixes,
				size_t *ret_count)
{
	struct ecbpf_exclude_key key, *at = NULL;
	_cleanup_free_ struct ecbpf_prefix *prefixes = NULL;
	_cleanup_close_ int fd = -1;
	struct ecbpf_prefix *more;
	size_t count = 0;

	ecbpf_capture(e);
	fd = map_open(e, "fastpath_exclude", NULL);
	if (fd < 0)
		return fd;
	while (!bpf_map_get_next_key(fd, at, &key)) {
		at = &key;
		more = realloc(prefixes, (count + 1) * sizeof(*prefixes));
		if (!more)
			return ecbpf_fail(e, -ENOMEM, "out of memory");
		prefixes = more;
		prefixes[count] = (struct ecbpf_prefix){.len = key.prefix_len};
		memcpy(prefixes[count++].addr, key.addr, sizeof(key.addr));
	}
	if (count)
		qsort(prefixes, count, sizeof(*prefixes), prefix_compare);
	*ret_prefixes = prefixes;
	prefixes = NULL;
	*ret_count = count;
	return 0;
}

/* --- flows -------------------------------------------------------------------------------- */

/* Of what lies in a slot of the table; it may change while it is read */
static bool flow_read(const struct ecbpf_flow *slot, const struct ecbpf_fastpath *settings,
		      struct ecbpf_flow *ret)
{
	__u64 lease = *(const volatile __u64 *)&slot->lease;

	*ret = *slot;
	return lease && ret->key.version && ret->key.generation == settings->generation &&
	       *(const volatile __u64 *)&slot->lease == lease;
}

static void addr_copy(__u8 *to, const struct ecbpf_flow_key *key, bool is_dest)
{
	if (key->version == 4) {
		memset(to, 0, 10);
		memset(to + 10, 0xff, 2);
		memcpy(to + 12, (const __u8 *)key->addrs + (is_dest ? 4 : 0), 4);
	} else {
		memcpy(to, key->addrs + (is_dest ? 2 : 0), 16);
	}
}

static void flow_decode(const struct ecbpf_flow *flow, const struct ecbpf_fastpath *settings,
			__u64 now, struct ecbpf_fastpath_flow *ret)
{
	__s64 left = (__s64)ECBPF_LEASE_END(flow->lease) - (__s64)now;
	/* 32 bits; below 0 if XDP has set it since `now` was read */
	__s64 up = (__s32)((__u32)now - flow->up);

	*ret = (struct ecbpf_fastpath_flow){
		.client_port = ntohs(flow->key.ports & 0xffff),
		.service_port = ntohs(flow->key.ports >> 16),
		.proto = flow->key.proto,
		.is_dead = ECBPF_LEASE_HOP(flow->lease) == ECBPF_HOP_DEAD,
		.is_ending = flow->flags & ECBPF_FLOW_FIN,
		.lease_ms = left * 1000 / settings->hz,
		.up_ms = (up > 0 ? up : 0) * 1000 / settings->hz,
		.packets = flow->packets,
	};
	addr_copy(ret->client, &flow->key, false);
	addr_copy(ret->service, &flow->key, true);
}

static bool flow_matches(const struct ecbpf_fastpath_flow *flow,
			 const struct ecbpf_fastpath_filter *filter)
{
	const struct ecbpf_fastpath_flow *want = filter ? filter->flow : NULL;

	if (!filter)
		return true;
	if (filter->client && !prefix_has(filter->client, flow->client))
		return false;
	if (filter->service && !prefix_has(filter->service, flow->service))
		return false;
	if (filter->dest && memcmp(filter->dest, flow->hop.dest, sizeof(flow->hop.dest)))
		return false;
	return !want || (want->proto == flow->proto && want->client_port == flow->client_port &&
			 want->service_port == flow->service_port &&
			 !memcmp(want->client, flow->client, sizeof(want->client)) &&
			 !memcmp(want->service, flow->service, sizeof(want->service)));
}

/* What IPVS and the neighbour table say */
struct ipvs {
	struct ipvs_conn *conns;
	size_t conns_count;
	struct ipvs_neighbour *neighbours;
	size_t neighbours_count;
	bool is_there;
};

static void ipvs_close(struct ipvs *ipvs)
{
	free(ipvs->conns);
	free(ipvs->neighbours);
}

static int ipvs_open(struct ecbpf *e, struct ipvs *ret_ipvs)
{
	int err;

	err = ecbpf_ipvs_conns(e, &ret_ipvs->conns, &ret_ipvs->conns_count);
	if (err == -ENOENT)
		return 0;
	if (err)
		return err;
	ret_ipvs->is_there = true;
	return ecbpf_ipvs_neighbours(e, &ret_ipvs->neighbours, &ret_ipvs->neighbours_count);
}

static const __u8 *neighbour_mac(const struct ipvs *ipvs, const __u8 *addr)
{
	for (size_t i = 0; i < ipvs->neighbours_count; i++) {
		if (!memcmp(ipvs->neighbours[i].addr, addr, 16))
			return ipvs->neighbours[i].mac;
	}
	return NULL;
}

/* Let the flow know what IPVS says of it */
static void ipvs_join(const struct ipvs *ipvs, struct ecbpf_fastpath_flow *flow)
{
	struct ipvs_conn key = {
		.client_port = flow->client_port,
		.service_port = flow->service_port,
		.proto = flow->proto,
	};
	const struct ipvs_conn *conn;
	const __u8 *mac;

	if (!ipvs->is_there) {
		flow->agreement = ECBPF_NO_IPVS;
		return;
	}
	memcpy(key.client, flow->client, sizeof(key.client));
	memcpy(key.service, flow->service, sizeof(key.service));
	conn = ecbpf_ipvs_find(ipvs->conns, ipvs->conns_count, &key);
	if (!conn) {
		if (flow->lease_ms > 0 && !flow->is_dead)
			flow->agreement = ECBPF_NO_ENTRY;
		return;
	}
	memcpy(flow->real, conn->real, sizeof(flow->real));
	flow->real_port = conn->real_port;
	snprintf(flow->ipvs_state, sizeof(flow->ipvs_state), "%s", conn->state);
	flow->ipvs_timer_s = conn->timer_s;
	mac = neighbour_mac(ipvs, conn->real);
	if (mac && flow->lease_ms > 0 && !flow->is_dead &&
	    memcmp(mac, flow->hop.dest, sizeof(flow->hop.dest)))
		flow->agreement = ECBPF_OTHER_SERVER;
}

/* All that is needed to walk the table */
struct table {
	struct view settings;
	struct view flows;
	struct ecbpf_hop_entry *hops;
	__u64 now;
};

static void table_close(struct table *table)
{
	view_close(&table->settings);
	view_close(&table->flows);
	free(table->hops);
}

/* What is read, not seen as it is: right before the walk */
static int table_read(struct ecbpf *e, struct table *table)
{
	_cleanup_close_ int fd = map_open(e, "fastpath_hops", NULL);

	if (fd < 0)
		return fd;
	table->hops = calloc(ECBPF_HOPS, sizeof(*table->hops));
	if (!table->hops)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	for (__u32 i = 1; i < ECBPF_HOPS; i++) {
		if (bpf_map_lookup_elem(fd, &i, &table->hops[i]))
			return ecbpf_fail(e, -errno, "map fastpath_hops: %s", strerror(errno));
		if (!table->hops[i].hop.ifindex)
			break; /* they are given out in order */
	}
	return jiffies_now(e, &table->now);
}

/* @ret_ipvs: read with it, which may take seconds; or NULL */
static int table_open(struct ecbpf *e, struct ipvs *ret_ipvs, struct table *ret_table)
{
	int err;

	err = settings_open(e, &ret_table->settings);
	if (!err)
		err = view_open(e, "fastpath_flows", sizeof(struct ecbpf_flow_group),
				&ret_table->flows);
	if (!err && ret_ipvs)
		err = ipvs_open(e, ret_ipvs);
	return err ? err : table_read(e, ret_table);
}

typedef int (*slot_fn)(void *data, struct ecbpf_flow *slot, const struct ecbpf_fastpath_flow *flow);

static int table_walk(const struct table *table, const struct ecbpf_fastpath_filter *filter,
		      slot_fn fn, void *data)
{
	const struct ecbpf_fastpath *settings = table->settings.at;
	struct ecbpf_flow *slots = table->flows.at, copy;
	size_t count = (size_t)table->flows.entries * ECBPF_FLOW_WAYS;
	struct ecbpf_fastpath_flow flow;
	int err;

	for (size_t i = 0; i < count; i++) {
		__u32 hop;

		if (!slots[i].lease || !flow_read(&slots[i], settings, &copy))
			continue;
		flow_decode(&copy, settings, table->now, &flow);
		hop = ECBPF_LEASE_HOP(copy.lease);
		if (hop < ECBPF_HOPS)
			flow.hop = table->hops[hop].hop;
		if (!flow_matches(&flow, filter))
			continue;
		err = fn(data, &slots[i], &flow);
		if (err)
			return err;
	}
	return 0;
}

struct flows_call {
	ecbpf_fastpath_flow_fn fn;
	void *data;
	struct ipvs *ipvs;
};

static int flows_call(void *data, struct ecbpf_flow *slot, const struct ecbpf_fastpath_flow *flow)
{
	const struct flows_call *call = data;
	struct ecbpf_fastpath_flow joined = *flow;

	(void)slot;
	ipvs_join(call->ipvs, &joined);
	return call->fn(call->data, &joined);
}

int ecbpf_fastpath_flows(struct ecbpf *e, const struct ecbpf_fastpath_filter *filter,
			 ecbpf_fastpath_flow_fn fn, void *data)
{
	CLEANUP(table_close) struct table table = {};
	CLEANUP(ipvs_close) struct ipvs ipvs = {};
	struct flows_call call = {.fn = fn, .data = data, .ipvs = &ipvs};
	int err;

	ecbpf_capture(e);
	err = table_open(e, &ipvs, &table);
	return err ? err : table_walk(&table, filter, flows_call, &call);
}

/* Until the next one goes up */
static long long explain_sample_ms(const struct ecbpf_fastpath_settings *settings,
				   const struct ecbpf_fastpath_flow *flow)
{
	return (long long)(flow->is_ending ? settings->sample_ms / SAMPLE_FIN
					   : settings->sample_ms) -
	       flow->up_ms;
}

static int explain_found(void *data, const struct ecbpf_fastpath_flow *flow)
{
	struct ecbpf_fastpath_explanation *explanation = data;

	explanation->flow = *flow;
	explanation->is_known = true;
	return 1;
}

/* As the program decides, in its order */
static __u32 explain_reason(const struct ecbpf_fastpath_explanation *explanation,
			    const struct ecbpf_fastpath_settings *settings)
{
	const struct ecbpf_fastpath_flow *flow = &explanation->flow;

	if (!explanation->is_known)
		return ECBPF_REASON_FP_UNKNOWN;
	if (flow->lease_ms <= 0)
		return ECBPF_REASON_FP_EXPIRED;
	if (flow->is_dead)
		return settings->reset_pps ? ECBPF_REASON_FP_RESET : ECBPF_REASON_FP_DEAD;
	if (explanation->sample_ms <= 0)
		return ECBPF_REASON_FP_SAMPLE;
	return settings->monitor ? ECBPF_REASON_FP_MONITOR : ECBPF_REASON_FP_LEASE;
}

int ecbpf_fastpath_explain(struct ecbpf *e, const struct ecbpf_fastpath_flow *flow,
			   struct ecbpf_fastpath_explanation *ret_explanation)
{
	struct ecbpf_fastpath_explanation explanation = {.flow = *flow};
	struct ecbpf_fastpath_filter filter = {.flow = flow};
	_cleanup_free_ struct ecbpf_prefix *prefixes = NULL;
	struct ecbpf_fastpath_settings settings = {};
	CLEANUP(ipvs_close) struct ipvs ipvs = {};
	size_t count = 0;
	int err;

	err = ecbpf_fastpath_get(e, &settings);
	if (!err)
		err = ecbpf_fastpath_exclude_list(e, &prefixes, &count);
	if (!err)
		err = ecbpf_fastpath_flows(e, &filter, explain_found, &explanation);
	if (err < 0)
		return err;
	if (!explanation.is_known) {
		err = ipvs_open(e, &ipvs);
		if (err)
			return err;
		ipvs_join(&ipvs, &explanation.flow);
	}
	for (size_t i = 0; i < count; i++)
		explanation.is_excluded |= prefix_has(&prefixes[i], flow->client) ||
					   prefix_has(&prefixes[i], flow->service);
	explanation.sample_ms = explain_sample_ms(&settings, &explanation.flow);
	explanation.reason = explain_reason(&explanation, &settings);
	*ret_explanation = explanation;
	return 0;
}

static int flush_one(void *data, struct ecbpf_flow *slot, const struct ecbpf_fastpath_flow *flow)
{
	size_t *count = data;

	*(volatile __u64 *)&slot->lease = 0;
	*count += flow->lease_ms > 0;
	return 0;
}

/* A new generation, and nothing that is in the table counts; then there is time to tidy up */
static size_t flush_all(const struct table *table)
{
	struct ecbpf_fastpath *settings = table->settings.at;
	size_t slots = (size_t)table->flows.entries * ECBPF_FLOW_WAYS, count = 0;
	struct ecbpf_flow *flows = table->flows.at;
	__u16 generation = settings->generation + 1;

	*(volatile __u16 *)&settings->generation = generation;
	for (size_t i = 0; i < slots; i++) {
		__u64 lease = *(volatile __u64 *)&flows[i].lease;

		if (!lease || flows[i].key.generation == generation)
			continue;
		*(volatile __u64 *)&flows[i].lease = 0;
		count += ECBPF_LEASE_END(lease) > table->now;
	}
	return count;
}

int ecbpf_fastpath_flush(struct ecbpf *e, const struct ecbpf_fastpath_filter *filter,
			 size_t *ret_count)
{
	CLEANUP(table_close) struct table table = {};
	_cleanup_close_ int lock = -1;
	size_t count = 0;
	int err;

	ecbpf_capture(e);
	err = table_open(e, NULL, &table);
	if (err)
		return err;
	lock = ecbpf_lock(e); /* not while the settings are written, which say the generation */
	if (lock < 0)
		return lock;
	if (filter)
		table_walk(&table, filter, flush_one, &count);
	else
		count = flush_all(&table);
	if (ret_count)
		*ret_count = count;
	return 0;
}

/* --- status ------------------------------------------------------------------------------- */

struct status_count {
	struct ecbpf_fastpath_status *status;
	__u32 inactive_ms;
};

static int status_count(void *data, struct ecbpf_flow *slot, const struct ecbpf_fastpath_flow *flow)
{
	const struct status_count *count = data;

	(void)slot;
	if (flow->lease_ms > 0 && flow->is_dead)
		count->status->dead++;
	else if (flow->lease_ms > 0)
		count->status->flows++;
	else if (-flow->lease_ms < count->inactive_ms)
		count->status->idle++;
	return 0;
}

static int egress_read(struct ecbpf *e, struct ecbpf_egress_counters *ret)
{
	_cleanup_free_ struct ecbpf_egress_counters *values = NULL;
	int cpus = libbpf_num_possible_cpus();
	_cleanup_close_ int fd = -1;
	__u32 key = 0;

	fd = map_open(e, "fastpath_egress", NULL);
	if (fd < 0)
		return fd;
	values = cpus > 0 ? calloc(cpus, sizeof(*values)) : NULL;
	if (!values)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	if (bpf_map_lookup_elem(fd, &key, values))
		return ecbpf_fail(e, -errno, "map fastpath_egress: %s", strerror(errno));
	memset(ret, 0, sizeof(*ret));
	for (int cpu = 0; cpu < cpus; cpu++) {
		for (int i = 0; i < ECBPF_EGRESS_MAX; i++)
			ret->packets[i] += values[cpu].packets[i];
	}
	return 0;
}

static int status_fill(struct ecbpf *e, const struct table *table,
		       struct ecbpf_fastpath_status *status)
{
	struct ecbpf_fastpath_settings settings = {};
	struct status_count count = {.status = status};
	_cleanup_free_ struct ecbpf_prefix *prefixes = NULL;
	size_t prefixes_count = 0;
	int err;

	status->capacity = ecbpf_fastpath_capacity(table->flows.entries);
	status->bytes =
		table->flows.size + (__u64)table->flows.entries * sizeof(struct ecbpf_flow_tags) +
		ECBPF_PENDINGS * sizeof(struct ecbpf_pending) + ECBPF_SHIELD_SEEN * sizeof(__u32) +
		ECBPF_HOPS * sizeof(struct ecbpf_hop_entry);
	while (status->hops + 1 < ECBPF_HOPS && table->hops[status->hops + 1].hop.ifindex)
		status->hops++;
	status->is_on = ((const struct ecbpf_fastpath *)table->settings.at)->groups;
	settings_read(table->settings.at, &settings);
	count.inactive_ms = settings.inactive_ms;
	table_walk(table, NULL, status_count, &count);
	err = egress_read(e, &status->egress);
	if (!err)
		err = ecbpf_fastpath_exclude_list(e, &prefixes, &prefixes_count);
	if (err)
		return err;
	status->excluded = prefixes_count;
	return ecbpf_fastpath_ports(e, &status->ports, &status->ports_count);
}

int ecbpf_fastpath_status(struct ecbpf *e, struct ecbpf_fastpath_status **ret_status)
{
	CLEANUP(table_close) struct table table = {};
	struct ecbpf_fastpath_status *status;
	int err;

	ecbpf_capture(e);
	err = table_open(e, NULL, &table);
	if (err)
		return err;
	status = calloc(1, sizeof(*status));
	if (!status)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	err = status_fill(e, &table, status);
	if (err)
		ecbpf_fastpath_status_free(status);
	else
		*ret_status = status;
	return err;
}

void ecbpf_fastpath_status_free(struct ecbpf_fastpath_status *status)
{
	if (!status)
		return;
	free(status->ports);
	free(status);
}
