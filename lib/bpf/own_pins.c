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
#include "core/handle.h"
#include "core/util.h"

#define MAPS_MAX 64

struct own_maps {
	size_t count;
	struct {
		__u32 id, type, value_size;
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
		ret->items[i].type = map.type;
		ret->items[i].value_size = map.value_size;
		ret->items[i].is_pinned = false;
		snprintf(ret->items[i].name, sizeof(ret->items[i].name), "%s", map.name);
		ret->count++;
	}
	return 0;
}

struct missing_pin {
	const char *name;
	int fd;
};

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

struct own_prog {
	struct btf *btf;
	struct fused_layout layout;
	const __u8 *stages; /* in @layout; NULL: not fused */
	struct own_maps maps;
};

/* @ret: of a program of ours; @ret->btf: for btf__free(). Return: 0; -ENOENT none of ours; errors
 */
static int own_prog_read(int prog_fd, struct own_prog *ret)
{
	struct bpf_prog_info info = {};
	__u32 ids[MAPS_MAX];
	int err;

	info.map_ids = (unsigned long)ids;
	info.nr_map_ids = ARRAY_SIZE(ids);
	err = ecbpf_prog_info(prog_fd, &info) ?: maps_read(&info, ids, &ret->maps);
	if (err)
		return err;
	err = ecbpf_fused_layout(prog_fd, &ret->layout);
	if (err && err != -ENOENT)
		return err;
	ret->stages = err ? NULL : ret->layout.stages;
	err = ecbpf_prog_btf(&info, &ret->btf);
	if (!err && !ecbpf_btf_schema(ret->btf)) {
		btf__free(ret->btf);
		err = -ENOENT;
	}
	return err;
}

bool ecbpf_own_pin_lost(struct ecbpf *e, int prog_fd, const char *prefix, struct own_pin *ret)
{
	struct own_prog own;

	*ret = (struct own_pin){};
	if (own_prog_read(prog_fd, &own))
		return false;
	pins_compare(e, own.btf, own.stages, prefix, &own.maps, ret);
	btf__free(own.btf);
	return *ret->name;
}

int ecbpf_own_pins_check(struct ecbpf *e, int prog_fd, const char *prefix)
{
	const struct btf_type *datasec;
	struct own_pin lost = {};
	struct own_prog own;
	bool has_some = false;
	const char *name;

	if (own_prog_read(prog_fd, &own))
		return -ENOENT;
	datasec = ecbpf_btf_datasec(own.btf, ".maps");
	for (int i = 0; datasec && i < btf_vlen(datasec); i++)
		has_some |=
			ecbpf_btf_map_pinned(own.btf, btf_var_secinfos(datasec)[i].type, &name) &&
			!(own.stages && ecbpf_is_of_other_stage(name, own.stages)) &&
			!strncmp(name, prefix, strlen(prefix));
	if (has_some)
		pins_compare(e, own.btf, own.stages, prefix, &own.maps, &lost);
	btf__free(own.btf);
	return has_some ? !*lost.name : -ENOENT;
}

bool ecbpf_pins_are_others(struct ecbpf *e, int prog_fd)
{
	struct own_pin lost;

	return ecbpf_own_pin_lost(e, prog_fd, "", &lost);
}

/* The map of a name that is cut; the definition tells those that are cut to the same. Return: fd */
static int map_find(const struct own_prog *own, __u32 var_id, const char *name)
{
	for (size_t i = 0; i < own->maps.count; i++) {
		if (is_cut(own->maps.items[i].name, name) &&
		    ecbpf_btf_map_is(own->btf, var_id, own->maps.items[i].type,
				     own->maps.items[i].value_size))
			return bpf_map_get_fd_by_id(own->maps.items[i].id);
	}
	return -1;
}

/* Its maps without pins. Return: how many; 0 also if one is of another program, or cannot be had */
static size_t missing_find(struct ecbpf *e, const struct own_prog *own,
			   struct missing_pin ret[MAPS_MAX])
{
	const struct btf_type *datasec = ecbpf_btf_datasec(own->btf, ".maps");
	size_t count = 0;
	const char *name;

	for (size_t i = 0; i < MAPS_MAX; i++)
		ret[i].fd = -1;
	if (ecbpf_btf_schema(own->btf) != ECBPF_SCHEMA) /* its maps are to go */
		return 0;
	for (int i = 0; datasec && i < btf_vlen(datasec) && count < MAPS_MAX; i++) {
		__u32 var_id = btf_var_secinfos(datasec)[i].type, id = 0;
		bool is_own = false;
		int err;

		if (!ecbpf_btf_map_pinned(own->btf, var_id, &name) ||
		    (own->stages && ecbpf_is_of_other_stage(name, own->stages)))
			continue;
		err = pin_id(e, name, &id);
		for (size_t k = 0; k < own->maps.count && !err; k++)
			is_own |= own->maps.items[k].id == id &&
				  is_cut(own->maps.items[k].name, name);
		if (err && err != -ENOENT)
			return 0;
		if (!err && !is_own)
			return 0;
		if (!err)
			continue;
		ret[count].name = name;
		ret[count].fd = map_find(own, var_id, name);
		if (ret[count++].fd < 0)
			return 0;
	}
	return count;
}

static void missing_close(struct missing_pin missing[MAPS_MAX])
{
	for (size_t i = 0; i < MAPS_MAX; i++)
		close_fd(&missing[i].fd);
}

bool ecbpf_own_pins_can_restore(struct ecbpf *e, int prog_fd)
{
	struct missing_pin missing[MAPS_MAX];
	struct own_prog own;
	size_t count;

	if (own_prog_read(prog_fd, &own))
		return false;
	count = missing_find(e, &own, missing);
	missing_close(missing);
	btf__free(own.btf);
	return count;
}

int ecbpf_own_pins_restore(struct ecbpf *e, int prog_fd)
{
	struct missing_pin missing[MAPS_MAX];
	char path[PATH_MAX];
	struct own_prog own;
	size_t count;
	int err = 0;

	if (own_prog_read(prog_fd, &own))
		return 0;
	count = missing_find(e, &own, missing);
	for (size_t i = 0; i < count && !err; i++) {
		err = ecbpf_pin_path(e, path, sizeof(path), missing[i].name);
		if (!err && bpf_obj_pin(missing[i].fd, path) && errno != EEXIST)
			err = ecbpf_fail(e, -errno, "cannot pin %s again: %s", path,
					 strerror(errno));
	}
	missing_close(missing);
	btf__free(own.btf);
	return err ? err : (int)count;
}
