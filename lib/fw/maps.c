// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The firewall's maps: made, opened, and filled.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/map.h"
#include "bpf/program.h"
#include "core/handle.h"
#include "fw/live.h"

int fw_fail_map(struct ecbpf *e, const char *what, int err)
{
	ecbpf_fail(e, err, "the firewall's map %s: %s", what, strerror(-err));
	return err < 0 ? err : -EIO;
}

/* Make a map that holds @memory, for an array of maps. Return: fd or -errno */
int fw_map_create(const char *name, __u32 flags, size_t entry_bytes, size_t entries,
		  const void *memory)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | flags);
	const __u64 *from = memory;
	__u64 *to;
	int fd, err;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(__u32), entry_bytes, entries, &opts);
	if (fd < 0)
		return -errno;
	to = ecbpf_map_memory(fd, entries * entry_bytes);
	if (!to) {
		err = -errno;
		close(fd);
		return err;
	}
	/* most of it is zero, as the new map is */
	for (size_t i = 0; i < entries * entry_bytes / sizeof(*to); i++) {
		if (from[i])
			to[i] = from[i];
	}
	munmap(to, entries * entry_bytes);
	return fd;
}

void fw_maps_close(struct fw_maps *maps)
{
	int *fds[] = {&maps->active, &maps->settings, &maps->small,  &maps->medium,
		      &maps->large,  &maps->counters, &maps->limits, &maps->buckets,
		      &maps->groups, &maps->sets,     &maps->pool,   &maps->text};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close_fd(fds[i]);
}

/* Open the pinned maps. Return: 0; -ENOENT there are none */
int fw_maps_missing(struct ecbpf *e, const char *name)
{
	return ecbpf_fail(e, -ENOENT, "no map %s/ecbpf/%s: the firewall was never loaded", e->bpffs,
			  name);
}

int fw_maps_open(struct ecbpf *e, struct fw_maps *ret)
{
	struct fw_maps maps;
	const struct {
		const char *name;
		int *fd;
	} all[] = {
		{"fw_active", &maps.active}, {"fw_settings", &maps.settings},
		{"fw_small", &maps.small},   {"fw_medium", &maps.medium},
		{"fw_large", &maps.large},   {"fw_counters", &maps.counters},
		{"fw_limits", &maps.limits}, {"fw_buckets", &maps.buckets},
		{"fw_groups", &maps.groups}, {"fw_sets", &maps.sets},
		{"fw_set_pool", &maps.pool}, {"fw_text", &maps.text},
	};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		*all[i].fd = -1;
	for (size_t i = 0; !err && i < ARRAY_SIZE(all); i++) {
		*all[i].fd = ecbpf_map_open(e, all[i].name, NULL);
		err = *all[i].fd < 0 ? *all[i].fd : 0;
		if (err == -ENOENT)
			fw_maps_missing(e, all[i].name);
	}
	if (err)
		fw_maps_close(&maps);
	else
		*ret = maps;
	return err;
}

/* Make and pin the maps that are missing */
int fw_maps_make(struct ecbpf *e)
{
	const struct ecbpf_program spec = {.file = "fw", .prio = -1};
	struct program program;
	int err;

	err = ecbpf_program_open(e, &spec, NULL, false, &program);
	if (err)
		return err;
	bpf_program__set_autoload(program.prog, false);
	err = ecbpf_program_load(e, &program);
	ecbpf_program_close(&program);
	return err;
}

int fw_active_get(struct ecbpf *e, const struct fw_maps *maps, __u32 *ret_active)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(maps->active, &key, ret_active)
		       ? fw_fail_map(e, "fw_active", -errno)
		       : 0;
}

int fw_active_set(struct ecbpf *e, const struct fw_maps *maps, __u32 active)
{
	__u32 key = 0;

	/* what was written to the memory of maps comes first */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* atomic: only the lowest of the four bytes changes */
	return bpf_map_update_elem(maps->active, &key, &active, BPF_ANY)
		       ? fw_fail_map(e, "fw_active", -errno)
		       : 0;
}
