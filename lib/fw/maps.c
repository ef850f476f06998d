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
#include "chain/lost.h"
#include "core/handle.h"
#include "fw/live.h"

int fw_fail_map(struct ecbpf *e, const char *what, int err)
{
	ecbpf_fail(e, err, "the firewall's map %s: %s", what, strerror(-err));
	return err < 0 ? err : -EIO;
}

/* Write to the map of an array of maps. Return: 0 or -errno */
int fw_map_store(int fd, const void *memory, const struct fw_extent *extents, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		void *to = mmap(NULL, extents[i].size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				extents[i].at);

		if (to == MAP_FAILED)
			return -errno;
		memcpy(to, (const char *)memory + extents[i].at, extents[i].size);
		munmap(to, extents[i].size);
	}
	return 0;
}

/* Make a map that holds @memory, for an array of maps. Return: fd or -errno */
int fw_map_create(const char *name, __u32 flags, size_t entry_bytes, size_t entries,
		  const void *memory, const struct fw_extent *extents, size_t count)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | flags);
	int fd, err;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(__u32), entry_bytes, entries, &opts);
	if (fd < 0)
		return -errno;
	err = fw_map_store(fd, memory, extents, count);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* In the order of ecbpf_fw_maps */
#define FDS(maps)                                                                             \
	{                                                                                     \
		&(maps)->active, &(maps)->settings, &(maps)->small, &(maps)->medium,          \
			&(maps)->large, &(maps)->counters, &(maps)->limits, &(maps)->buckets, \
			&(maps)->groups, &(maps)->sets, &(maps)->pool, &(maps)->text,         \
			&(maps)->stocks                                                       \
	}

void fw_maps_close(struct fw_maps *maps)
{
	int *const fds[] = FDS(maps);

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close_fd(fds[i]);
}

int fw_maps_missing(struct ecbpf *e, const char *name)
{
	_cleanup_close_ int text = -1, active = -1;

	active = ecbpf_map_open(e, "fw_active", NULL);
	text = ecbpf_map_open(e, "fw_text", NULL);
	if (active >= 0 || text >= 0)
		return ecbpf_fail(
			e, -ENOENT,
			"no map %s/ecbpf/%s, though others of the firewall are there: it "
			"was removed; 'ecbpf-fw load' makes it anew, without rules unless "
			"they are given",
			e->bpffs, name);
	return ecbpf_fail(e, -ENOENT, "no map %s/ecbpf/%s: the firewall was never loaded", e->bpffs,
			  name);
}

int fw_maps_find(struct ecbpf *e, struct fw_maps *ret, const char **ret_name)
{
	struct fw_maps maps = {};
	int *const fds[] = FDS(&maps);
	int err;

	err = ecbpf_maps_open(e, ecbpf_fw_maps, fds, ARRAY_SIZE(fds), ret_name);
	if (!err)
		*ret = maps;
	return err;
}

/* Open the pinned maps. Return: 0; -ENOENT there are none */
int fw_maps_open(struct ecbpf *e, struct fw_maps *ret)
{
	const char *name;
	int err = fw_maps_find(e, ret, &name);

	if (err == -ENOENT && !e->renews_maps)
		err = ecbpf_lost_check(e, "fw") ?: fw_maps_find(e, ret, &name);
	return err == -ENOENT ? fw_maps_missing(e, name) : err;
}

/* Make and pin the maps that are missing */
int fw_maps_make(struct ecbpf *e)
{
	struct bpf_object *obj;
	int err = ecbpf_stage_maps(e, "fw", &obj);

	if (!err)
		bpf_object__close(obj);
	return err;
}

int fw_generation_map(const struct fw_maps *maps, enum ecbpf_fw_size size)
{
	return size == ECBPF_FW_SMALL	 ? maps->small
	       : size == ECBPF_FW_MEDIUM ? maps->medium
					 : maps->large;
}

int fw_slot_check(struct ecbpf *e, const struct fw_maps *maps, __u32 active)
{
	__u32 slot = active & ECBPF_FW_SLOT, size = active & ~ECBPF_FW_SLOT, id;
	int err = -ENOENT;

	if (size == ECBPF_FW_SMALL || size == ECBPF_FW_MEDIUM || size == ECBPF_FW_LARGE)
		err = bpf_map_lookup_elem(fw_generation_map(maps, size), &slot, &id) ? -errno : 0;
	if (err == -ENOENT)
		return ecbpf_fail(
			e, err,
			"the tables of the live rules were removed from ecbpf's maps, and "
			"every packet passes; 'ecbpf-fw apply' repairs it");
	return err ? fw_fail_map(e, "of rules", err) : 0;
}
