// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The TC egress program, which grants leases.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include "bpf/bpffs.h"
#include "bpf/info.h"
#include "bpf/loaded.h"
#include "bpf/map.h"
#include "bpf/object.h"
#include "bpf/percpu.h"
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/names.h"
#include "fastpath/fastpath.h"
#include "fastpath/tc.h"
#include "progs/fastpath_egress.skel.h"

/*
 * Identify our filter at TC. It is the last one: no lease is granted for packets that another
 * filter drops or changes. A filter that ends classification keeps us from seeing its packets.
 */
#define EGRESS_HANDLE	1
#define EGRESS_PRIORITY 0xffff

NAMES_FUNCTION(ecbpf_egress_name, ECBPF_EGRESS_COUNTERS, NAMES_NAME)
NAMES_FUNCTION(ecbpf_egress_text, ECBPF_EGRESS_COUNTERS, NAMES_TEXT)

/* Load the TC program with its maps. @groups: size of the table; 0: that of the existing maps */
int fastpath_egress_open(struct ecbpf *e, __u32 groups, struct bpf_object **ret_obj)
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
			err = ecbpf_map_adopt(e, path, map);
		if (!err)
			err = bpf_map__set_pin_path(map, path);
		if (!err && groups && strstr("fastpath_flows fastpath_tags", bpf_map__name(map)) &&
		    strlen(bpf_map__name(map)) > strlen("fastpath"))
			err = bpf_map__set_max_entries(map, groups);
		if (err)
			goto out;
	}
	err = ecbpf_object_load(e, obj, false);
	if (err == -EBADMSG)
		goto out;
	if (err) {
		ecbpf_fail(e, err, "fastpath_egress: the kernel refuses the program: %s%s",
			   strerror(-err), err == -EPERM ? " (must be root)" : "");
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

/*
 * *@ret_id: 0: no program, or no interface. With the queueing discipline 'ingress' it is that of
 * the filter at ingress which versions before took for one at egress
 */
static int egress_query(struct ecbpf *e, int ifindex, __u32 *ret_id)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = EGRESS_HANDLE, .priority = EGRESS_PRIORITY);
	int err;

	*ret_id = 0;
	err = bpf_tc_query(&hook, &opts);
	if (!err)
		*ret_id = opts.prog_id;
	/* EINVAL: no clsact */
	return !err || err == -ENOENT || err == -EINVAL || err == -ENODEV || err == -EOPNOTSUPP
		       ? 0
		       : ecbpf_fail(e, err, "interface %d: cannot ask for its TC program: %s",
				    ifindex, strerror(-err));
}

int fastpath_egress_find(struct ecbpf *e, int ifindex, int *ret_fd, bool *ret_is_current)
{
	struct bpf_prog_info info = {};
	_cleanup_close_ int fd = -1;
	struct loaded loaded;
	const void *bytes;
	size_t size;
	__u32 id;
	int err;

	*ret_fd = -1;
	err = egress_query(e, ifindex, &id);
	if (err || !id)
		return err;
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0 && errno == ENOENT)
		return 0;
	err = fd < 0 ? -errno : ecbpf_prog_info(fd, &info);
	if (!err && strcmp(info.name, "ecbpf_egress"))
		return 0;
	if (!err && ret_is_current) {
		bytes = fastpath_egress_bpf__elf_bytes(&size);
		err = ecbpf_loaded_read(fd, &loaded);
		*ret_is_current = !err && loaded.fingerprint == ecbpf_fingerprint(bytes, size) &&
				  !fastpath_tc_is_ingress(e, ifindex);
		if (err == -ENOENT || err == -EPROTO) /* of another version */
			err = 0;
	}
	if (err)
		return ecbpf_fail(e, err, "interface %d: cannot look at its TC program: %s",
				  ifindex, strerror(-err));
	*ret_fd = take_fd(&fd);
	return 0;
}

int fastpath_egress_is_there(struct ecbpf *e, int ifindex, bool *ret_is_there)
{
	int fd, err;

	err = fastpath_egress_find(e, ifindex, &fd, NULL);
	*ret_is_there = fd >= 0;
	close_fd(&fd);
	return err;
}

static bool is_place(const struct fastpath_tc_filter *filter)
{
	return !filter->chain && filter->prio == EGRESS_PRIORITY;
}

/* A priority is for filters of one kind and protocol */
static void format_filter(const char *iface, const struct fastpath_tc_filter *filter,
			  struct fastpath_obstacle *ret)
{
	char program[96] = "";

	if (filter->id)
		snprintf(program, sizeof(program), ": %s (id %u)", filter->name, filter->id);
	snprintf(ret->what, sizeof(ret->what),
		 "TC egress filter %u, handle 0x%x, is not the fast path's, but one of kind %s%s",
		 filter->prio, filter->handle, filter->kind, program);
	snprintf(ret->fix, sizeof(ret->fix), "tc filter del dev %s egress pref %u", iface,
		 filter->prio);
}

bool fastpath_egress_obstacle(struct ecbpf *e, const char *iface, int ifindex,
			      struct fastpath_obstacle *ret)
{
	_cleanup_free_ struct fastpath_tc_filter *filters = NULL;
	struct saved_error error;
	bool is_there = false;
	size_t count = 0;

	*ret = (struct fastpath_obstacle){};
	if (fastpath_tc_is_ingress(e, ifindex)) {
		snprintf(ret->what, sizeof(ret->what),
			 "its queueing discipline ingress has no place at egress, clsact has both; "
			 "filters at ingress have to be added again");
		snprintf(ret->fix, sizeof(ret->fix),
			 "tc qdisc del dev %s ingress && tc qdisc add dev %s clsact", iface, iface);
		return true;
	}
	ecbpf_error_save(e, &error);
	if (!fastpath_tc_filters(e, ifindex, &filters, &count))
		fastpath_egress_is_there(e, ifindex, &is_there);
	ecbpf_error_restore(e, &error);
	for (size_t i = 0; i < count && !is_there && !*ret->what; i++)
		if (is_place(&filters[i]) &&
		    (filters[i].handle == EGRESS_HANDLE || strcmp(filters[i].kind, "bpf") ||
		     filters[i].protocol != ETH_P_ALL))
			format_filter(iface, &filters[i], ret);
	return *ret->what;
}

static int fail_obstacle(struct ecbpf *e, const char *iface, const struct fastpath_obstacle *o)
{
	return ecbpf_fail(e, -EBUSY, "%s: %s; run '%s'", iface, o->what, o->fix);
}

int fastpath_egress_attach(struct ecbpf *e, const char *iface, int ifindex, int prog_fd)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = EGRESS_HANDLE, .priority = EGRESS_PRIORITY,
		    .prog_fd = prog_fd);
	struct fastpath_obstacle obstacle;
	__u32 id, now;
	int err;

	if (fastpath_egress_obstacle(e, iface, ifindex, &obstacle))
		return fail_obstacle(e, iface, &obstacle);
	err = egress_query(e, ifindex, &id);
	if (err)
		return err;
	if (id)
		opts.flags = BPF_TC_F_REPLACE;
	err = bpf_tc_hook_create(&hook); /* of an 'ingress', it says that there is one */
	if (err && err != -EEXIST)
		return ecbpf_fail(e, err, "%s: cannot add the clsact queueing discipline: %s",
				  iface, strerror(-err));
	err = bpf_tc_attach(&hook, &opts);
	/* the kernel's answer may have got lost */
	if (err && !egress_query(e, ifindex, &now) && now && now != id)
		err = 0;
	if (err)
		return ecbpf_fail(e, err, "%s: cannot attach at TC egress: %s", iface,
				  strerror(-err));
	return 0;
}

int fastpath_egress_detach(struct ecbpf *e, int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = EGRESS_HANDLE, .priority = EGRESS_PRIORITY);
	bool is_there;
	int err;

	err = fastpath_egress_is_there(e, ifindex, &is_there);
	if (err || !is_there)
		return err;
	err = bpf_tc_detach(&hook, &opts);
	/* the kernel's answer may have got lost */
	if (err && !fastpath_egress_is_there(e, ifindex, &is_there) && !is_there)
		err = 0;
	return err ? ecbpf_fail(e, err, "interface %d: cannot remove its TC program: %s", ifindex,
				strerror(-err))
		   : 0;
}

int fastpath_egress_read(struct ecbpf *e, struct ecbpf_egress_counters *ret)
{
	_cleanup_close_ int fd = fastpath_map_open(e, "fastpath_egress", NULL);
	int err;

	if (fd < 0)
		return fd;
	err = ecbpf_percpu_sum(fd, 0, ret, sizeof(*ret));
	return err ? ecbpf_fail(e, err, "map fastpath_egress: %s", strerror(-err)) : 0;
}

static int earlier_add(struct ecbpf *e, struct fastpath_earlier **items, size_t *count,
		       const char *what, const char *name, __u32 id)
{
	struct fastpath_earlier *item = ecbpf_array_add(items, count, sizeof(*item));

	if (!item)
		return ecbpf_fail_memory(e);
	if (id)
		snprintf(item->text, sizeof(item->text), "%s %s (id %u)", what, name, id);
	else
		snprintf(item->text, sizeof(item->text), "%s of kind %s", what, name);
	return 0;
}

int ecbpf_fastpath_earlier(struct ecbpf *e, int ifindex, struct fastpath_earlier **ret,
			   size_t *ret_count)
{
	_cleanup_free_ struct fastpath_tc_filter *filters = NULL;
	__u32 ids[FASTPATH_TCX];
	size_t links = fastpath_tcx(ifindex, ids), count = 0;
	int err;

	*ret = NULL;
	*ret_count = 0;
	err = fastpath_tc_filters(e, ifindex, &filters, &count);
	for (size_t i = 0; i < links && !err; i++) {
		_cleanup_close_ int fd = bpf_prog_get_fd_by_id(ids[i]);
		struct bpf_prog_info info = {};

		if (fd >= 0 && !ecbpf_prog_info(fd, &info))
			err = earlier_add(e, ret, ret_count, "TCX program", info.name, ids[i]);
	}
	for (size_t i = 0; i < count && !err; i++) {
		const struct fastpath_tc_filter *f = &filters[i];

		if (!f->chain && f->prio < EGRESS_PRIORITY)
			err = earlier_add(e, ret, ret_count, "TC filter", f->id ? f->name : f->kind,
					  f->id);
	}
	return err;
}
