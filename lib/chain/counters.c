// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counters of loaded programs. They are found through the program itself (its maps, by name), not
 * through pins: they live exactly as long as the program does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/btf.h>
#include "core/internal.h"

int ecbpf_prog_map(int prog_fd, const char *name, struct bpf_map_info *ret_info)
{
	struct bpf_prog_info info = {};
	__u32 ids[64], len = sizeof(info);

	info.map_ids = (unsigned long)ids;
	info.nr_map_ids = ARRAY_SIZE(ids);
	if (bpf_obj_get_info_by_fd(prog_fd, &info, &len))
		return -errno;
	for (__u32 i = 0; i < info.nr_map_ids && i < ARRAY_SIZE(ids); i++) {
		struct bpf_map_info map = {};
		size_t suffix;
		int fd;

		fd = bpf_map_get_fd_by_id(ids[i]);
		if (fd < 0)
			continue;
		len = sizeof(map);
		if (bpf_obj_get_info_by_fd(fd, &map, &len)) {
			close(fd);
			continue;
		}
		/* libbpf names sections of globals "OBJECT.rodata" and cuts the front to fit */
		suffix = strlen(map.name) > strlen(name) ? strlen(map.name) - strlen(name) : 0;
		if (!strcmp(map.name, name) || (*name == '.' && !strcmp(map.name + suffix, name))) {
			if (ret_info)
				*ret_info = map;
			return fd;
		}
		close(fd);
	}
	return -ENOENT;
}

/* All CPUs' values of entry @key, each rounded up to 8 bytes; for free() */
static void *percpu_values(int fd, __u32 key, const struct bpf_map_info *map, int *ret_cpus)
{
	int cpus = libbpf_num_possible_cpus();
	void *values;

	if (cpus < 0)
		return NULL;
	values = calloc(cpus, (map->value_size + 7) & ~7U);
	if (values && bpf_map_lookup_elem(fd, &key, values)) {
		free(values);
		return NULL;
	}
	*ret_cpus = cpus;
	return values;
}

static int counters_sum(int fd, const struct bpf_map_info *map, __u32 slot,
			struct ecbpf_counters *ret)
{
	const struct ecbpf_counters *values;
	int cpus;

	if (map->value_size != sizeof(*ret))
		return -EPROTO;
	values = percpu_values(fd, slot, map, &cpus);
	if (!values)
		return -errno;
	memset(ret, 0, sizeof(*ret));
	for (int cpu = 0; cpu < cpus; cpu++) {
		for (int i = 0; i < ECBPF_ACTION_MAX; i++) {
			ret->packets[i] += values[cpu].packets[i];
			ret->bytes[i] += values[cpu].bytes[i];
		}
		for (int i = 0; i < ECBPF_REASON_MAX; i++)
			ret->reasons[i] += values[cpu].reasons[i];
	}
	free((void *)values);
	return 0;
}

static void count_sum(int prog_fd, struct ecbpf_member *member)
{
	_cleanup_close_ int fd = -1;
	struct bpf_map_info map;

	fd = ecbpf_prog_map(prog_fd, "count_protocols", &map);
	if (fd < 0 || map.value_size != sizeof(struct ecbpf_count) ||
	    map.max_entries != ECBPF_COUNT_MAX)
		return;
	for (__u32 class = 0; class < ECBPF_COUNT_MAX; class ++) {
		const struct ecbpf_count *values;
		int cpus;

		values = percpu_values(fd, class, &map, &cpus);
		if (!values)
			return;
		for (int cpu = 0; cpu < cpus; cpu++) {
			member->count[class].packets += values[cpu].packets;
			member->count[class].bytes += values[cpu].bytes;
		}
		free((void *)values);
	}
	member->has_count = true;
}

int ecbpf_constant_read(int prog_fd, const char *name, void *ret, __u32 size)
{
	_cleanup_free_ char *values = NULL;
	_cleanup_close_ int fd = -1;
	struct bpf_map_info map = {};
	__u32 off, found, key = 0;
	struct btf *btf;
	int err;

	fd = ecbpf_prog_map(prog_fd, ".rodata", &map);
	if (fd < 0)
		return fd;
	btf = btf__load_from_kernel_by_id(map.btf_id);
	if (!btf)
		return -errno;
	err = ecbpf_btf_var(btf, ".rodata", name, &off, &found);
	btf__free(btf);
	if (err)
		return err;
	values = calloc(1, map.value_size);
	if (!values)
		return -ENOMEM;
	if (bpf_map_lookup_elem(fd, &key, values))
		return -errno;
	if (found != size || off + size > map.value_size)
		return -EPROTO;
	memcpy(ret, values + off, size);
	return 0;
}

int ecbpf_fused_layout(int prog_fd, struct fused_layout *ret_layout)
{
	struct fused_layout layout = {};
	int err;

	err = ecbpf_constant_read(prog_fd, "fused_stages", layout.stages, sizeof(layout.stages));
	if (!err)
		err = ecbpf_constant_read(prog_fd, "fused_counters", layout.counters,
					  sizeof(layout.counters));
	if (!err)
		*ret_layout = layout;
	return err;
}

static __u8 stage_by_program(const char *name)
{
#define X(value, NAME, stage, prio, text)   \
	if (!strcmp(name, "ecbpf_" #stage)) \
		return value;
	ECBPF_STAGES(X)
#undef X
	return ECBPF_STAGE_NONE;
}

int ecbpf_counters_read(struct ecbpf *e, int prog_fd, struct ecbpf_member *member)
{
	struct fused_layout layout = {};
	_cleanup_close_ int fd = -1;
	struct bpf_map_info map;
	int err;

	fd = ecbpf_prog_map(prog_fd, "counters", &map);
	if (fd < 0)
		return ecbpf_fail(e, fd, "%s: its map 'counters' is missing", member->name);
	if (!strcmp(member->name, "ecbpf_fused")) {
		err = ecbpf_fused_layout(prog_fd, &layout);
		if (err)
			return ecbpf_fail(e, err, "%s: cannot read its stages: %s", member->name,
					  strerror(-err));
	} else {
		layout.stages[0] = stage_by_program(member->name);
	}
	for (__u32 slot = 0; slot < map.max_entries && slot < ECBPF_FUSED_SLOTS; slot++) {
		if (slot && !layout.stages[slot])
			break;
		member->stages[slot].stage = layout.stages[slot];
		err = counters_sum(fd, &map, layout.counters[slot], &member->stages[slot].counters);
		if (err)
			return ecbpf_fail(e, err, "%s: cannot read its counters: %s", member->name,
					  strerror(-err));
		member->stages_count = slot + 1;
		if (layout.stages[slot] == ECBPF_STAGE_COUNT)
			count_sum(prog_fd, member);
	}
	return 0;
}

/* One entry of a per-CPU map, or all (@key -1) */
static int map_zero(int prog_fd, const char *name, int key)
{
	_cleanup_free_ char *zero = NULL;
	_cleanup_close_ int fd = -1;
	int cpus = libbpf_num_possible_cpus();
	struct bpf_map_info map = {};
	__u32 first, end;

	fd = ecbpf_prog_map(prog_fd, name, &map);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (cpus < 0)
		return cpus;
	zero = calloc(cpus, (map.value_size + 7) & ~7U);
	if (!zero)
		return -ENOMEM;
	first = key < 0 ? 0 : key;
	end = key < 0 ? map.max_entries : first + 1;
	for (; first < end; first++) {
		if (bpf_map_update_elem(fd, &first, zero, BPF_EXIST))
			return -errno;
	}
	return 0;
}

int ecbpf_counters_zero(int prog_fd, __u32 entry)
{
	return map_zero(prog_fd, "counters", entry);
}

static int member_clear(const struct ecbpf_member *member, __u32 stage)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(member->id);
	struct fused_layout layout = {};
	int err = 0;

	if (fd < 0)
		return 0; /* unloaded meanwhile */
	if (!strcmp(member->name, "ecbpf_fused"))
		err = ecbpf_fused_layout(fd, &layout);
	for (size_t slot = 0; slot < member->stages_count && !err; slot++) {
		if (!stage || member->stages[slot].stage == stage)
			err = map_zero(fd, "counters", layout.counters[slot]);
	}
	if (!err && member->has_count && (!stage || stage == ECBPF_STAGE_COUNT))
		err = map_zero(fd, "count_protocols", -1);
	return err;
}

int ecbpf_counters_clear_stage(struct ecbpf *e, const char *iface, __u32 stage)
{
	struct ecbpf_chain *chain;
	int err;

	err = ecbpf_chain_get(e, iface, &chain);
	if (err)
		return err;
	for (size_t i = 0; i < chain->members_count && !err; i++) {
		const struct ecbpf_member *member = &chain->members[i];

		if (!member->is_ours || member->schema != ECBPF_SCHEMA)
			continue;
		err = member_clear(member, stage);
		if (err)
			ecbpf_fail(e, err, "%s: cannot clear counters of %s: %s", iface,
				   member->name, strerror(-err));
	}
	ecbpf_chain_free(chain);
	return err;
}

int ecbpf_counters_clear(struct ecbpf *e, const char *iface)
{
	return ecbpf_counters_clear_stage(e, iface, ECBPF_STAGE_NONE);
}
