// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Constants (.rodata) of a program, which are its settings. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include "bpf/constants.h"
#include "bpf/info.h"
#include "bpf/metadata.h"
#include "core/error.h"
#include "core/handle.h"

/* Where constant @name lies in the not yet loaded object; NULL: it has none of that name */
void *ecbpf_constant_find(struct bpf_object *obj, const char *name, __u32 *ret_size,
			  const struct btf_type **ret_type)
{
	const struct btf_var_secinfo *info;
	struct bpf_map *map;
	size_t size;
	char *data;

	info = ecbpf_btf_sec_var(bpf_object__btf(obj), ".rodata", name, ret_type);
	if (!info)
		return NULL;
	bpf_object__for_each_map (map, obj) {
		const char *suffix = strrchr(bpf_map__name(map), '.');

		if (!bpf_map__is_internal(map) || !suffix || strcmp(suffix, ".rodata"))
			continue;
		data = (char *)bpf_map__initial_value(map, &size);
		if (!data || info->offset + info->size > size)
			return NULL;
		*ret_size = info->size;
		return data + info->offset;
	}
	return NULL;
}

bool ecbpf_constant_set(struct bpf_object *obj, const char *name, __u64 value)
{
	const struct btf_type *type;
	__u32 size;
	void *at;

	at = ecbpf_constant_find(obj, name, &size, &type);
	if (!at || size > sizeof(value))
		return false;
	memcpy(at, &value, size); /* little-endian, see parse.bpf.h */
	return true;
}

/* A setting whose type is an enum takes the enum's values only */
static bool enum_has(const struct btf *btf, const struct btf_type *type, __u64 value,
		     char *ret_names, size_t size)
{
	const struct btf_enum *entry = btf_enum(type);
	size_t len = 0;

	for (int i = 0; i < btf_vlen(type); i++, entry++) {
		if (entry->val >= 0 && (__u64)entry->val == value)
			return true;
		if (len < size)
			len += snprintf(ret_names + len, size - len, "%s%d (%s)", i ? ", " : "",
					entry->val, btf__name_by_offset(btf, entry->name_off));
	}
	return false;
}

/* "count: has no setting 'x'; it has malformed_action, xdp_frags" */
static int fail_setting(struct ecbpf *e, const char *file, struct bpf_object *obj, const char *name)
{
	const struct btf *btf = bpf_object__btf(obj);
	const struct btf_type *datasec = ecbpf_btf_datasec(btf, ".rodata"), *type;
	const struct btf_var_secinfo *info = datasec ? btf_var_secinfos(datasec) : NULL;
	char names[512] = "";
	size_t len = 0;

	for (int i = 0; datasec && i < btf_vlen(datasec) && len < sizeof(names); i++, info++) {
		const struct btf_type *var = btf__type_by_id(btf, info->type);

		type = btf__type_by_id(btf, btf__resolve_type(btf, var->type));
		if (btf_is_int(type) || btf_is_enum(type))
			len += snprintf(names + len, sizeof(names) - len, "%s%s",
					len ? ", " : "; it has ",
					btf__name_by_offset(btf, var->name_off));
	}
	return ecbpf_fail(e, -EINVAL, "%s: has no setting '%s'%s", file, name, names);
}

int ecbpf_setting_apply(struct ecbpf *e, const char *file, struct bpf_object *obj,
			const char *setting)
{
	const char *equals = strchr(setting, '=');
	_cleanup_free_ char *name = NULL;
	const struct btf_type *type;
	char *end, names[256];
	__u64 value, max;
	__u32 size;

	if (!equals || equals == setting || !equals[1])
		return ecbpf_fail(e, -EINVAL, "setting '%s' is not NAME=NUMBER", setting);
	name = strndup(setting, equals - setting);
	if (!name)
		return ecbpf_fail_memory(e);
	if (!ecbpf_constant_find(obj, name, &size, &type) ||
	    (!btf_is_int(type) && !btf_is_enum(type)))
		return fail_setting(e, file, obj, name);
	max = size >= 8 ? ~0ULL : (1ULL << size * 8) - 1;
	if (btf_is_int(type) && btf_int_encoding(type) & BTF_INT_BOOL)
		max = 1;
	errno = 0;
	value = strtoull(equals + 1, &end, 0);
	if (errno || *end || equals[1] == '-' || value > max)
		return ecbpf_fail(e, -EINVAL, "setting %s: '%s' is not a number from 0 to %llu",
				  name, equals + 1, max);
	if (btf_is_enum(type) && !enum_has(bpf_object__btf(obj), type, value, names, sizeof(names)))
		return ecbpf_fail(e, -EINVAL, "setting %s: '%s' is not one of %s", name, equals + 1,
				  names);
	ecbpf_constant_set(obj, name, value);
	return 0;
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

/* As the replaced program has them, but for those that are about how it is loaded */
int ecbpf_constants_inherit(struct ecbpf *e, struct bpf_object *obj, int old_fd)
{
	const struct btf *btf = bpf_object__btf(obj);
	const struct btf_type *datasec = ecbpf_btf_datasec(btf, ".rodata"), *type;
	const struct btf_var_secinfo *info;
	int err;

	if (!datasec)
		return 0;
	info = btf_var_secinfos(datasec);
	for (int i = 0; i < btf_vlen(datasec); i++, info++) {
		const char *name =
			btf__name_by_offset(btf, btf__type_by_id(btf, info->type)->name_off);
		__u32 size;
		void *at;

		if (!strncmp(name, "fused_", 6) || !strcmp(name, "xdp_frags"))
			continue;
		at = ecbpf_constant_find(obj, name, &size, &type);
		err = at ? ecbpf_constant_read(old_fd, name, at, size) : 0;
		if (err && err != -ENOENT)
			return ecbpf_fail(e, err, "setting %s: cannot read the old one: %s", name,
					  strerror(-err));
	}
	return 0;
}
