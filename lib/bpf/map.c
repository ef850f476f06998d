// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Pinned maps: opening one, checking its schema, mapping its memory. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <bpf/bpf.h>
#include "bpf/bpffs.h"
#include "bpf/info.h"
#include "bpf/map.h"
#include "bpf/metadata.h"
#include "core/handle.h"
#include "core/privilege.h"

int ecbpf_map_schema(const struct bpf_map_info *info, __u32 *ret_schema)
{
	struct btf *btf;
	int err = ecbpf_btf_get(info->btf_id, &btf);

	*ret_schema = ecbpf_btf_schema(btf);
	btf__free(btf);
	return err;
}

static int check_schema(struct ecbpf *e, const char *path, const struct bpf_map_info *info)
{
	__u32 schema;
	int err = ecbpf_map_schema(info, &schema);

	/* Without CAP_SYS_ADMIN, which BTF by ID needs, the sampler's counters are read */
	if (err == -EPERM && !ecbpf_has_capability(CAP_SYS_ADMIN))
		return 0;
	if (err)
		return ecbpf_fail(e, err, "%s: cannot read its BTF: %s", path, strerror(-err));
	if (!schema || schema == ECBPF_SCHEMA)
		return 0;
	return ecbpf_fail(
		e, -EPROTO,
		"%s is of schema %u, this ecbpf has %u: 'ecbpf-loader doctor' says how to "
		"replace it",
		path, schema, ECBPF_SCHEMA);
}

static int fail_map(struct ecbpf *e, const char *path, int err)
{
	return ecbpf_fail(e, err, "%s: %s%s", path, strerror(-err),
			  err == -EPERM || err == -EACCES ? " (must be root)" : "");
}

int ecbpf_map_open(struct ecbpf *e, const char *name, struct bpf_map_info *ret_info)
{
	struct bpf_map_info info = {};
	char path[PATH_MAX];
	int err, fd;

	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = ecbpf_pin_path(e, path, sizeof(path), name);
	if (err)
		return err;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fail_map(e, path, -errno);
	err = ecbpf_map_info(fd, &info);
	err = err ? fail_map(e, path, err) : check_schema(e, path, &info);
	if (err) {
		close(fd);
		return err;
	}
	if (ret_info)
		*ret_info = info;
	return fd;
}

int ecbpf_map_adopt(struct ecbpf *e, const char *path, struct bpf_map *map)
{
	_cleanup_close_ int fd = bpf_obj_get(path);
	struct bpf_map_info info = {};
	int err;

	if (fd < 0 || ecbpf_map_info(fd, &info))
		return 0;
	err = check_schema(e, path, &info);
	if (err)
		return err;
	bpf_map__set_max_entries(map, info.max_entries);
	/* the kernel adds a flag to a devmap, which libbpf before 1.6 takes for another map */
	if (info.type == BPF_MAP_TYPE_DEVMAP_HASH)
		bpf_map__set_map_flags(map, info.map_flags);
	return 0;
}

void *ecbpf_map_memory(int fd, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int ecbpf_view_open(struct ecbpf *e, int fd, const char *name, size_t value_size,
		    struct ecbpf_view *ret_view)
{
	struct bpf_map_info info = {};
	struct ecbpf_view view;
	int err;

	err = ecbpf_map_info(fd, &info);
	if (err)
		return ecbpf_fail(e, err, "map %s: %s", name, strerror(-err));
	if (info.value_size != value_size)
		return ecbpf_fail(e, -EPROTO, "map %s: of another version of ecbpf", name);
	view.entries = info.max_entries;
	view.size = (size_t)info.max_entries * value_size;
	view.at = ecbpf_map_memory(fd, view.size);
	if (!view.at)
		return ecbpf_fail(e, -errno, "map %s: %s", name, strerror(errno));
	*ret_view = view;
	return 0;
}

void ecbpf_view_close(struct ecbpf_view *view)
{
	if (view->at)
		munmap(view->at, view->size);
	*view = (struct ecbpf_view){};
}
