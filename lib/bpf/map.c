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
	int err;

	/* maps of one object share their BTF, and an ID is not given again for a long time */
	if (info->btf_id && info->btf_id == e->known_btf)
		return 0;
	err = ecbpf_map_schema(info, &schema);
	/* Without CAP_SYS_ADMIN, which BTF by ID needs, the sampler's counters are read */
	if (err == -EPERM && !ecbpf_has_capability(CAP_SYS_ADMIN))
		return 0;
	if (err)
		return ecbpf_fail(e, err, "%s: cannot read its BTF: %s", path, strerror(-err));
	if (schema == ECBPF_SCHEMA)
		e->known_btf = info->btf_id;
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

/* As ecbpf_map_open(), when the BPF file system has been looked at */
static int map_open(struct ecbpf *e, const char *name, struct bpf_map_info *ret_info)
{
	struct bpf_map_info info = {};
	char path[PATH_MAX];
	int err, fd;

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

int ecbpf_map_open(struct ecbpf *e, const char *name, struct bpf_map_info *ret_info)
{
	int err = ecbpf_bpffs_open(e, false);

	return err ? err : map_open(e, name, ret_info);
}

int ecbpf_maps_open(struct ecbpf *e, const char *const *names, int *const *fds, size_t count,
		    const char **ret_missing)
{
	int err = ecbpf_bpffs_open(e, false);

	for (size_t i = 0; i < count; i++)
		*fds[i] = -1;
	*ret_missing = *names;
	for (size_t i = 0; !err && i < count; i++) {
		*ret_missing = names[i];
		*fds[i] = map_open(e, names[i], NULL);
		err = *fds[i] < 0 ? *fds[i] : 0;
	}
	for (size_t i = 0; err && i < count; i++)
		close_fd(fds[i]);
	return err;
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

/* @count: from @first on; 0: all */
static int view_open(struct ecbpf *e, int fd, const char *name, size_t value_size, __u32 first,
		     __u32 count, struct ecbpf_view *ret_view)
{
	size_t page = sysconf(_SC_PAGESIZE), at, skipped;
	struct bpf_map_info info = {};
	struct ecbpf_view view;
	int err;

	err = ecbpf_map_info(fd, &info);
	if (err)
		return ecbpf_fail(e, err, "map %s: %s", name, strerror(-err));
	if (info.value_size != value_size)
		return ecbpf_fail(e, -EPROTO, "map %s: of another version of ecbpf", name);
	if (first + count > info.max_entries)
		return ecbpf_fail(e, -EPROTO, "map %s: of another version of ecbpf", name);
	view.entries = count ?: info.max_entries;
	at = first * value_size;
	skipped = at % page;
	view.size = skipped + view.entries * value_size;
	view.memory = mmap(NULL, view.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at - skipped);
	if (view.memory == MAP_FAILED)
		return ecbpf_fail(e, -errno, "map %s: %s", name, strerror(errno));
	view.at = (char *)view.memory + skipped;
	*ret_view = view;
	return 0;
}

int ecbpf_view_open(struct ecbpf *e, int fd, const char *name, size_t value_size,
		    struct ecbpf_view *ret_view)
{
	return view_open(e, fd, name, value_size, 0, 0, ret_view);
}

int ecbpf_view_open_entry(struct ecbpf *e, int fd, const char *name, size_t value_size, __u32 entry,
			  struct ecbpf_view *ret_view)
{
	return view_open(e, fd, name, value_size, entry, 1, ret_view);
}

void ecbpf_view_close(struct ecbpf_view *view)
{
	if (view->memory)
		munmap(view->memory, view->size);
	*view = (struct ecbpf_view){};
}
