// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Whether the maps of a loaded program are those that are pinned. Its BTF says which maps are
 * pinned by their names; the kernel says which maps it uses, by names of 15 characters.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include "bpf/bpffs.h"
#include "bpf/fused.h"
#include "bpf/info.h"
#include "bpf/metadata.h"
#include "bpf/own_pins.h"
#include "bpf/program.h"
#include "core/array.h"
#include "core/util.h"

#define MAPS_MAX 64

struct own_maps {
	size_t count;
	struct {
		__u32 id;
		char name[BPF_OBJ_NAME_LEN];
		bool is_pinned;
	} items[MAPS_MAX];
};

static int maps_read(const struct bpf_prog_info *info, const __u32 *ids, struct own_maps *ret)
{
	ret->count = 0;
	for (__u32 i = 0; i < info->nr_map_ids && i < MAPS_MAX; i++) {
		_cleanup_close_ int fd = bpf_map_get_fd_by_id(ids[i]);
		struct bpf_map_info map = {};

		if (fd < 0 || ecbpf_map_info(fd, &map))
			return -EIO;
		ret->items[i].id = map.id;
		ret->items[i].is_pinned = false;
		snprintf(ret->items[i].name, sizeof(ret->items[i].name), "%s", map.name);
		ret->count++;
	}
	return 0;
}

/* Return: 0, the id of what is pinned there; -ENOENT; other errors */
static int pin_id(struct ecbpf *e, const char *name, __u32 *ret_id)
{
	struct bpf_map_info info = {};
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	int err;

	err = ecbpf_pin_path(e, path, sizeof(path), name);
	if (err)
		return err;
	fd = bpf_obj_get(path);
	err = fd < 0 ? -errno : ecbpf_map_info(fd, &info);
	*ret_id = info.id;
	return err;
}

static void lost_set(struct own_pin *ret, const char *name, bool is_missing)
{
	if (*ret->name && !is_missing)
		return;
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	ret->is_missing = is_missing;
}

static bool is_cut(const char *cut, const char *name)
{
	return !strncmp(cut, name, BPF_OBJ_NAME_LEN - 1);
}

/* Which names, of those that the kernel cut to the same, are pinned to one of its maps? */
static void pins_compare(struct ecbpf *e, const struct btf *btf, const __u8 *stages,
			 const char *prefix, struct own_maps *maps, struct own_pin *ret)
{
	const struct btf_type *datasec = ecbpf_btf_datasec(btf, ".maps");
	__u32 others[MAPS_MAX];
	size_t others_count = 0;
	const char *name;

	for (int i = 0; datasec && i < btf_vlen(datasec) && !ret->is_missing; i++) {
		__u32 var_id = btf_var_secinfos(datasec)[i].type, id = 0;
		bool is_own = false;
		int err;

		if (!ecbpf_btf_map_pinned(btf, var_id, &name) ||
		    (stages && ecbpf_is_of_other_stage(name, stages)) ||
		    strncmp(name, prefix, strlen(prefix)))
			continue;
		err = pin_id(e, name, &id);
		if (err == -ENOENT)
			lost_set(ret, name, true);
		for (size_t k = 0; k < maps->count && !err; k++) {
			if (maps->items[k].id != id || !is_cut(maps->items[k].name, name))
				continue;
			maps->items[k].is_pinned = is_own = true;
		}
		if (!err && !is_own && others_count < MAPS_MAX)
			others[others_count++] = var_id;
	}
	for (size_t i = 0; i < others_count; i++) {
		ecbpf_btf_map_pinned(btf, others[i], &name);
		for (size_t k = 0; k < maps->count; k++)
			if (!maps->items[k].is_pinned && is_cut(maps->items[k].name, name))
				lost_set(ret, name, false);
	}
}

bool ecbpf_own_pin_lost(struct ecbpf *e, int prog_fd, const char *prefix, struct own_pin *ret)
{
	struct bpf_prog_info info = {};
	struct fused_layout layout;
	struct own_maps maps;
	__u32 ids[MAPS_MAX];
	struct btf *btf;
	int err;

	*ret = (struct own_pin){};
	info.map_ids = (unsigned long)ids;
	info.nr_map_ids = ARRAY_SIZE(ids);
	if (ecbpf_prog_info(prog_fd, &info) || maps_read(&info, ids, &maps))
		return false;
	err = ecbpf_fused_layout(prog_fd, &layout);
	if ((err && err != -ENOENT) || ecbpf_prog_btf(&info, &btf))
		return false;
	if (ecbpf_btf_schema(btf))
		pins_compare(e, btf, err ? NULL : layout.stages, prefix, &maps, ret);
	btf__free(btf);
	return *ret->name;
}

bool ecbpf_pins_are_others(struct ecbpf *e, int prog_fd)
{
	struct own_pin lost;

	return ecbpf_own_pin_lost(e, prog_fd, "", &lost);
}
