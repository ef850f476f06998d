// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Loading a BPF object so that all of it can be read back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include "bpf/info.h"
#include "bpf/metadata.h"
#include "bpf/object.h"
#include "core/handle.h"

int ecbpf_object_make(struct ecbpf *e, struct bpf_object *obj)
{
	int err = bpf_object__load(obj);
	bool is_left_out = false;
	struct bpf_map *map;

	if (!err)
		return 0;
	bpf_object__for_each_map (map, obj)
		is_left_out |= bpf_map__is_internal(map) && !bpf_map__autocreate(map);
	if (!is_left_out)
		return err;
	e->is_misled = true;
	return ecbpf_fail(e, -EBADMSG,
			  "object %s: libbpf leaves out its constants: memory or a privilege was "
			  "missing when it asked what this kernel has",
			  bpf_object__name(obj));
}

static int fail_readback(struct ecbpf *e, const char *kind, const char *name, const char *what)
{
	e->is_misled = true; /* it may be for this once: another process finds out */
	return ecbpf_fail(e, -EBADMSG,
			  "%s %s: the kernel has it without %s, so that it could not be read back: "
			  "memory or a privilege is missing",
			  kind, name, what);
}

/* libbpf gives BTF to maps of these types */
static bool has_btf(const struct bpf_map *map)
{
	switch (bpf_map__type(map)) {
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
	case BPF_MAP_TYPE_LPM_TRIE:
		return bpf_map__btf_value_type_id(map);
	default:
		return false;
	}
}

static int map_check(struct ecbpf *e, const struct bpf_map *map, bool wants_btf)
{
	const char *name = bpf_map__name(map);
	struct bpf_map_info info = {};
	int err;

	err = ecbpf_map_info(bpf_map__fd(map), &info);
	if (err)
		return ecbpf_fail(e, err, "map %s: %s", name, strerror(-err));
	if (!*info.name)
		return fail_readback(e, "map", name, "its name");
	return wants_btf && !info.btf_id ? fail_readback(e, "map", name, "its BTF") : 0;
}

static int program_check(struct ecbpf *e, const struct bpf_program *prog, bool is_ours)
{
	const char *name = bpf_program__name(prog);
	struct bpf_prog_info info = {};
	struct btf *btf;
	__u32 schema;
	int err;

	err = ecbpf_prog_info(bpf_program__fd(prog), &info);
	if (err)
		return ecbpf_fail(e, err, "%s: %s", name, strerror(-err));
	if (!*info.name)
		return fail_readback(e, "program", name, "its name");
	if (!is_ours)
		return 0;
	if (ecbpf_prog_btf(&info, &btf))
		return fail_readback(e, "program", name, "its BTF");
	schema = ecbpf_btf_schema(btf);
	btf__free(btf);
	return schema ? 0 : fail_readback(e, "program", name, "its BTF");
}

static __u32 global_functions(const struct btf *btf)
{
	__u32 count = 0;

	for (__u32 id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);

		count += btf_is_func(type) && btf_vlen(type) == BTF_FUNC_GLOBAL;
	}
	return count;
}

/* Has the kernel got the BTF of the object, and are its global functions global there? */
static bool is_btf_whole(const struct bpf_object *obj, int fd)
{
	_cleanup_free_ void *bytes = NULL;
	struct bpf_btf_info info = {};
	__u32 len = sizeof(info);
	struct btf *btf;
	bool is_whole;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return false;
	bytes = malloc(info.btf_size);
	info = (struct bpf_btf_info){.btf = (unsigned long)bytes, .btf_size = info.btf_size};
	if (!bytes || bpf_obj_get_info_by_fd(fd, &info, &len))
		return false;
	btf = btf__new(bytes, info.btf_size);
	is_whole = !libbpf_get_error(btf) &&
		   global_functions(btf) == global_functions(bpf_object__btf(obj));
	btf__free(btf);
	return is_whole;
}

/*
 * libbpf (to 1.6 at least) goes on where the kernel refuses the BTF of an object, and says so in
 * one line only; and where its probe for global functions fails, be it for want of memory, it makes
 * them static, and says nothing. The verifier walks them at each call then: that takes minutes.
 * Without programs the load ends at once. BTF comes before maps, of which libbpf says each.
 */
static void give_up_without_btf(struct ecbpf *e, const char *format)
{
	struct bpf_object *obj = e->loading;
	struct bpf_program *prog;
	int fd;

	if (!obj)
		return;
	if (!strstr(format, "Error loading .BTF into kernel")) {
		fd = bpf_object__btf_fd(obj);
		if (fd < 0)
			return;
		e->loading = NULL; /* once */
		if (is_btf_whole(obj, fd))
			return;
	}
	bpf_object__for_each_program (prog, obj)
		bpf_program__set_autoload(prog, false);
	e->loading = NULL;
	e->has_given_up = true;
}

static int object_load(struct ecbpf *e, struct bpf_object *obj)
{
	int err;

	ecbpf_capture(e);
	e->loading = obj;
	e->has_given_up = false;
	e->libbpf_fn = give_up_without_btf;
	err = ecbpf_object_make(e, obj);
	e->libbpf_fn = NULL;
	e->loading = NULL;
	return !err && e->has_given_up
		       ? fail_readback(e, "object", bpf_object__name(obj), "its BTF")
		       : err;
}

int ecbpf_object_load(struct ecbpf *e, struct bpf_object *obj, bool is_ours)
{
	__u64 wants_btf = 0; /* a bit for each map; libbpf forgets the types of those without */
	struct bpf_program *prog;
	struct bpf_map *map;
	__u64 bit = 1;
	int err;

	bpf_object__for_each_map (map, obj) {
		wants_btf |= has_btf(map) ? bit : 0;
		bit <<= 1;
	}
	err = object_load(e, obj);
	if (err)
		return err;
	bit = 1;
	bpf_object__for_each_map (map, obj) {
		if (bpf_map__fd(map) >= 0 && bpf_map__autocreate(map))
			err = map_check(e, map, wants_btf & bit);
		if (err)
			return err;
		bit <<= 1;
	}
	bpf_object__for_each_program (prog, obj) {
		if (bpf_program__fd(prog) >= 0)
			err = program_check(e, prog, is_ours);
		if (err)
			return err;
	}
	return 0;
}
