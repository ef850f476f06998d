// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What BTF says of an object file, or of a loaded program or map. */
#include <errno.h>
#include <string.h>
#include "bpf/metadata.h"

#define METADATA_SECTION ".ecbpf_metadata"
#define PIN_BY_NAME	 1 /* LIBBPF_PIN_BY_NAME, which libbpf has for programs only */

const struct btf_type *ecbpf_btf_datasec(const struct btf *btf, const char *sec)
{
	for (__u32 id = 1; btf && id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (btf_is_datasec(t) && !strcmp(btf__name_by_offset(btf, t->name_off), sec))
			return t;
	}
	return NULL;
}

const struct btf_var_secinfo *ecbpf_btf_sec_var(const struct btf *btf, const char *sec,
						const char *name, const struct btf_type **ret_type)
{
	const struct btf_type *datasec = ecbpf_btf_datasec(btf, sec);
	const struct btf_var_secinfo *info;

	if (!datasec)
		return NULL;
	info = btf_var_secinfos(datasec);
	for (int i = 0; i < btf_vlen(datasec); i++, info++) {
		const struct btf_type *var = btf__type_by_id(btf, info->type);

		if (strcmp(btf__name_by_offset(btf, var->name_off), name))
			continue;
		*ret_type = btf__type_by_id(btf, btf__resolve_type(btf, var->type));
		return info;
	}
	return NULL;
}

int ecbpf_btf_var(const struct btf *btf, const char *sec, const char *name, __u32 *ret_off,
		  __u32 *ret_size)
{
	const struct btf_type *type;
	const struct btf_var_secinfo *info = ecbpf_btf_sec_var(btf, sec, name, &type);

	if (!info)
		return -ENOENT;
	*ret_off = info->offset;
	*ret_size = info->size;
	return 0;
}

/* __uint(name, N) is "int (*name)[N]" */
static bool btf_uint(const struct btf *btf, const struct btf_type *type, __u32 *ret)
{
	if (!type || !btf_is_ptr(type))
		return false;
	type = btf__type_by_id(btf, type->type);
	if (!type || !btf_is_array(type))
		return false;
	*ret = btf_array(type)->nelems;
	return true;
}

/* Of the definition of a map: its member of that name */
static const struct btf_type *map_member(const struct btf *btf, __u32 var_id, const char *name)
{
	const struct btf_type *var = btf__type_by_id(btf, var_id), *type;

	if (!var || !btf_is_var(var))
		return NULL;
	type = btf__type_by_id(btf, btf__resolve_type(btf, var->type));
	for (int i = 0; type && btf_is_struct(type) && i < btf_vlen(type); i++) {
		const struct btf_member *m = &btf_members(type)[i];

		if (!strcmp(btf__name_by_offset(btf, m->name_off), name))
			return btf__type_by_id(btf, m->type);
	}
	return NULL;
}

bool ecbpf_btf_map_is(const struct btf *btf, __u32 var_id, __u32 type, __u32 value_size)
{
	const struct btf_type *value = map_member(btf, var_id, "value");
	__u32 number;

	if (btf_uint(btf, map_member(btf, var_id, "type"), &number) && number != type)
		return false;
	if (value && btf_is_ptr(value))
		return btf__resolve_size(btf, value->type) == value_size;
	return !btf_uint(btf, map_member(btf, var_id, "value_size"), &number) ||
	       number == value_size;
}

bool ecbpf_btf_map_pinned(const struct btf *btf, __u32 var_id, const char **ret_name)
{
	const struct btf_type *var = btf__type_by_id(btf, var_id);
	__u32 pinning;

	if (!btf_uint(btf, map_member(btf, var_id, "pinning"), &pinning) || pinning != PIN_BY_NAME)
		return false;
	*ret_name = btf__name_by_offset(btf, var->name_off);
	return true;
}

bool ecbpf_btf_number(const struct btf *btf, const char *sec, const char *name, __u32 *ret)
{
	const struct btf_type *type;

	return ecbpf_btf_sec_var(btf, sec, name, &type) && btf_uint(btf, type, ret);
}

__u32 ecbpf_btf_schema(const struct btf *btf)
{
	const struct btf_type *type;
	__u32 schema = 0;

	if (ecbpf_btf_sec_var(btf, METADATA_SECTION, "ecbpf_metadata", &type) &&
	    btf_is_struct(type) && btf_vlen(type) >= 1)
		btf_uint(btf, btf__type_by_id(btf, btf_members(type)->type), &schema);
	return schema;
}
