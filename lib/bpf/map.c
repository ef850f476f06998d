// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Maps: those that are pinned, and values of all CPUs. */
#include <errno.h>
#include <stdlib.h>
#include <bpf/bpf.h>
#include "bpf/info.h"
#include "bpf/map.h"
#include "bpf/metadata.h"
#include "core/handle.h"

/* Return: of the map, 0 if it does not say (a devmap has no BTF) */
static __u32 map_schema(const struct bpf_map_info *info)
{
	struct btf *btf;
	__u32 schema;

	if (!info->btf_id)
		return 0;
	btf = btf__load_from_kernel_by_id(info->btf_id);
	schema = ecbpf_btf_schema(btf);
	btf__free(btf);
	return schema;
}

int ecbpf_pinned_map_check(struct ecbpf *e, const char *path, struct bpf_map *map)
{
	_cleanup_close_ int fd = bpf_obj_get(path);
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), schema;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return 0;
	schema = map_schema(&info);
	if (schema && schema != ECBPF_SCHEMA)
		return ecbpf_fail(e, -EPROTO,
				  "%s is of schema %u, this ecbpf has %u: unload all its programs, "
				  "then 'ecbpf-loader clean'",
				  path, schema, ECBPF_SCHEMA);
	if (!map)
		return 0;
	bpf_map__set_max_entries(map, info.max_entries);
	/* the kernel adds a flag to a devmap, which libbpf before 1.6 takes for another map */
	if (info.type == BPF_MAP_TYPE_DEVMAP_HASH)
		bpf_map__set_map_flags(map, info.map_flags);
	return 0;
}

/* All CPUs' values of entry @key, each rounded up to 8 bytes; for free() */
void *ecbpf_percpu_values(int fd, __u32 key, const struct bpf_map_info *map, int *ret_cpus)
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

/* One entry of a per-CPU map, or all (@key -1) */
int ecbpf_percpu_zero(int prog_fd, const char *name, int key)
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
