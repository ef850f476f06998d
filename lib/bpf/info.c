// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the kernel says of a loaded program or map. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include "bpf/info.h"
#include "core/util.h"

int ecbpf_prog_info(int fd, struct bpf_prog_info *info)
{
	__u32 len = sizeof(*info);

	return bpf_obj_get_info_by_fd(fd, info, &len) ? -errno : 0;
}

int ecbpf_map_info(int fd, struct bpf_map_info *info)
{
	__u32 len = sizeof(*info);

	return bpf_obj_get_info_by_fd(fd, info, &len) ? -errno : 0;
}

/* The kernel cuts names at 15 characters; BTF has all of them */
void ecbpf_prog_name(const struct bpf_prog_info *info, const struct btf *btf, char *ret,
		     size_t size)
{
	struct bpf_func_info func = {};
	struct bpf_prog_info again = {};
	const struct btf_type *t;
	int fd;

	snprintf(ret, size, "%s", info->name);
	if (!btf || strlen(info->name) < BPF_OBJ_NAME_LEN - 1)
		return;
	fd = bpf_prog_get_fd_by_id(info->id);
	if (fd < 0)
		return;
	again.func_info = (unsigned long)&func;
	again.nr_func_info = 1;
	again.func_info_rec_size = sizeof(func);
	if (!ecbpf_prog_info(fd, &again) && again.nr_func_info) {
		t = btf__type_by_id(btf, func.type_id);
		if (t)
			snprintf(ret, size, "%s", btf__name_by_offset(btf, t->name_off));
	}
	close(fd);
}

int ecbpf_btf_get(__u32 id, struct btf **ret_btf)
{
	*ret_btf = id ? btf__load_from_kernel_by_id(id) : NULL;
	return id && !*ret_btf ? -errno : 0;
}

int ecbpf_prog_btf(const struct bpf_prog_info *info, struct btf **ret_btf)
{
	return ecbpf_btf_get(info->btf_id, ret_btf);
}

int ecbpf_prog_map(int prog_fd, const char *name, struct bpf_map_info *ret_info)
{
	struct bpf_prog_info info = {};
	__u32 ids[64];
	int err;

	info.map_ids = (unsigned long)ids;
	info.nr_map_ids = ARRAY_SIZE(ids);
	err = ecbpf_prog_info(prog_fd, &info);
	if (err)
		return err;
	for (__u32 i = 0; i < info.nr_map_ids && i < ARRAY_SIZE(ids); i++) {
		struct bpf_map_info map = {};
		size_t suffix;
		int fd;

		/* the program keeps its maps: that one cannot be asked does not mean it has gone */
		fd = bpf_map_get_fd_by_id(ids[i]);
		if (fd < 0)
			return -errno;
		err = ecbpf_map_info(fd, &map);
		if (err) {
			close(fd);
			return err;
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
