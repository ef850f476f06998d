// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The firewall's maps: made, opened, and filled.
 */
#include <errno.h>
#include <stddef.h>
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

/* Where ecbpf_fw_tables.any is in the map of a generation */
static size_t any_offset(__u32 size)
{
	size_t tables = ECBPF_FW_TABLES_CELL * sizeof(union ecbpf_fw_cell);

	if (size == ECBPF_FW_SMALL)
		tables = offsetof(struct ecbpf_fw_small, tables);
	else if (size == ECBPF_FW_LARGE)
		tables += ECBPF_FW_LARGE_TABLES * sizeof(struct ecbpf_fw_cells);
	return tables + offsetof(struct ecbpf_fw_tables, any);
}

/* By what all tables have. Return: 0; -ENOENT they were cleared; other errors */
static int tables_check(__u32 id, __u32 size)
{
	size_t page = sysconf(_SC_PAGESIZE), at = any_offset(size);
	_cleanup_close_ int fd = bpf_map_get_fd_by_id(id);
	const char *memory;
	__u16 any;

	if (fd < 0)
		return errno == EPERM ? 0 : -errno; /* who may not look does not know */
	memory = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, (off_t)(at - at % page));
	if (memory == MAP_FAILED)
		return -errno;
	memcpy(&any, memory + at % page, sizeof(any));
	munmap((void *)memory, page);
	return any == ECBPF_FW_ANY ? 0 : -ENOENT;
}

int fw_slot_find(struct ecbpf *e, const struct fw_maps *maps, __u32 generation)
{
	__u32 slot = generation & ECBPF_FW_SLOT, size = generation & ~ECBPF_FW_SLOT, id;
	int err = -ENOENT;

	if (size == ECBPF_FW_SMALL || size == ECBPF_FW_MEDIUM || size == ECBPF_FW_LARGE)
		err = bpf_map_lookup_elem(fw_generation_map(maps, size), &slot, &id)
			      ? -errno
			      : tables_check(id, size);
	return err && err != -ENOENT ? fw_fail_map(e, "of rules", err) : err;
}

int fw_slot_check(struct ecbpf *e, const struct fw_maps *maps, __u32 active)
{
	int err = fw_slot_find(e, maps, active);

	if (err == -ENOENT)
		return ecbpf_fail(
			e, err,
			"the tables of the live rules were removed from ecbpf's maps, and "
			"every packet passes; 'ecbpf-fw apply' repairs it");
	return err;
}
