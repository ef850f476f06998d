// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Object files: which program is meant, its settings, its maps, and what the verifier says.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/btf.h>
#include <xdp/libxdp.h>
#include "core/internal.h"
#include "progs/count.skel.h"
#include "progs/fastpath.skel.h"
#include "progs/filter.skel.h"
#include "progs/fused.skel.h"
#include "progs/fw.skel.h"
#include "progs/pass.skel.h"
#include "progs/printk.skel.h"
#include "progs/sampler.skel.h"

#define METADATA_SECTION ".ecbpf_metadata"

/* --- BTF ---------------------------------------------------------------------------------- */

static const struct btf_type *btf_datasec(const struct btf *btf, const char *sec)
{
	for (__u32 id = 1; btf && id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (btf_is_datasec(t) && !strcmp(btf__name_by_offset(btf, t->name_off), sec))
			return t;
	}
	return NULL;
}

static const struct btf_var_secinfo *btf_sec_var(const struct btf *btf, const char *sec,
						 const char *name, const struct btf_type **ret_type)
{
	const struct btf_type *datasec = btf_datasec(btf, sec);
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
	const struct btf_var_secinfo *info = btf_sec_var(btf, sec, name, &type);

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

bool ecbpf_btf_number(const struct btf *btf, const char *sec, const char *name, __u32 *ret)
{
	const struct btf_type *type;

	return btf_sec_var(btf, sec, name, &type) && btf_uint(btf, type, ret);
}

__u32 ecbpf_btf_schema(const struct btf *btf)
{
	const struct btf_type *type;
	__u32 schema = 0;

	if (btf_sec_var(btf, METADATA_SECTION, "ecbpf_metadata", &type) && btf_is_struct(type) &&
	    btf_vlen(type) >= 1)
		btf_uint(btf, btf__type_by_id(btf, btf_members(type)->type), &schema);
	return schema;
}

/* --- constants ---------------------------------------------------------------------------- */

/* Where constant @name lies in the not yet loaded object; NULL: it has none of that name */
static void *constant_find(struct bpf_object *obj, const char *name, __u32 *ret_size,
			   const struct btf_type **ret_type)
{
	const struct btf_var_secinfo *info;
	struct bpf_map *map;
	size_t size;
	char *data;

	info = btf_sec_var(bpf_object__btf(obj), ".rodata", name, ret_type);
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

static bool constant_set(struct bpf_object *obj, const char *name, __u64 value)
{
	const struct btf_type *type;
	__u32 size;
	void *at;

	at = constant_find(obj, name, &size, &type);
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
	const struct btf_type *datasec = btf_datasec(btf, ".rodata"), *type;
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

static int setting_apply(struct ecbpf *e, const char *file, struct bpf_object *obj,
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
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	if (!constant_find(obj, name, &size, &type) || (!btf_is_int(type) && !btf_is_enum(type)))
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
	constant_set(obj, name, value);
	return 0;
}

/*
 * Where the counters of each stage are: where those of the same stage were in the program that is
 * replaced, else where none were, from zero on.
 */
static int fused_place_counters(struct ecbpf *e, const __u8 *stages, __u8 *counters, int old_fd)
{
	const __u32 all = (1U << ECBPF_FUSED_SLOTS) - 1;
	struct fused_layout old = {};
	__u32 used = 0, live = 0, is_placed = 0;

	if (old_fd >= 0 && ecbpf_fused_layout(old_fd, &old))
		old_fd = -1; /* something else */
	for (__u32 j = 0; j < ECBPF_FUSED_SLOTS; j++) {
		if (old.stages[j])
			live |= 1U << old.counters[j];
	}
	for (__u32 i = 0; i < ECBPF_FUSED_SLOTS; i++) {
		for (__u32 j = 0; j < ECBPF_FUSED_SLOTS && stages[i]; j++) {
			if (old.stages[j] != stages[i] || used & 1U << old.counters[j])
				continue;
			counters[i] = old.counters[j];
			used |= 1U << counters[i];
			is_placed |= 1U << i;
			break;
		}
	}
	for (__u32 i = 0; i < ECBPF_FUSED_SLOTS; i++) {
		__u32 free = ~(used | live) & all;

		if (!stages[i] || is_placed & 1U << i)
			continue;
		/* a stage that goes may count until it has gone: its place is the last to be taken
		 */
		counters[i] = __builtin_ctz(free ? free : ~used);
		used |= 1U << counters[i];
		if (old_fd >= 0 && ecbpf_counters_zero(old_fd, counters[i]))
			return ecbpf_fail(e, -EIO, "ecbpf_fused: cannot clear its counters");
	}
	return 0;
}

static int fused_apply(struct ecbpf *e, struct bpf_object *obj, const char *list, int old_fd)
{
	_cleanup_free_ char *copy = strdup(list);
	const struct btf_type *type;
	char *word, *rest = copy;
	size_t count = 0;
	__u32 size;
	__u8 *at, *counters;

	if (!copy)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	at = constant_find(obj, "fused_stages", &size, &type);
	if (!at || size != ECBPF_FUSED_SLOTS)
		return ecbpf_fail(e, -EPROTO, "ecbpf_fused: has no fused_stages");
	counters = constant_find(obj, "fused_counters", &size, &type);
	if (!counters || size != ECBPF_FUSED_SLOTS)
		return ecbpf_fail(e, -EPROTO, "ecbpf_fused: has no fused_counters");
	while ((word = strsep(&rest, ","))) {
		__u8 stage = ECBPF_STAGE_NONE;

#define X(value, NAME, name, prio, text) \
	if (!strcmp(word, #name))        \
		stage = value;
		ECBPF_STAGES(X)
#undef X
		if (!stage)
			return ecbpf_fail(e, -EINVAL,
					  "fused: no stage '%s'; there are"
#define X(value, NAME, name, prio, text) " " #name
					  ECBPF_STAGES(X)
#undef X
						  ,
					  word);
		if (count == ECBPF_FUSED_SLOTS)
			return ecbpf_fail(e, -E2BIG, "fused: more than %d stages",
					  ECBPF_FUSED_SLOTS);
		if (count && at[count - 1] == ECBPF_STAGE_SAMPLER)
			return ecbpf_fail(e, -EINVAL,
					  "fused: '%s' after 'sampler', which has to be last",
					  word);
		at[count++] = stage;
	}
	return fused_place_counters(e, at, counters, old_fd);
}

/* As the replaced program has them, but for those that are about how it is loaded */
static int constants_inherit(struct ecbpf *e, struct bpf_object *obj, int old_fd)
{
	const struct btf *btf = bpf_object__btf(obj);
	const struct btf_type *datasec = btf_datasec(btf, ".rodata"), *type;
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
		at = constant_find(obj, name, &size, &type);
		err = at ? ecbpf_constant_read(old_fd, name, at, size) : 0;
		if (err && err != -ENOENT)
			return ecbpf_fail(e, err, "setting %s: cannot read the old one: %s", name,
					  strerror(-err));
	}
	return 0;
}

/* --- what a program was loaded as --------------------------------------------------------- */

#define HASH_INIT 0xcbf29ce484222325 /* FNV-1a, 64 bits */

static void hash_add(__u64 *hash, const void *data, size_t size)
{
	for (const __u8 *p = data; size--; p++)
		*hash = (*hash ^ *p) * 0x100000001b3;
}

__u64 ecbpf_fingerprint(const void *object, size_t size)
{
	__u64 hash = HASH_INIT;

	hash_add(&hash, object, size);
	return hash;
}

static int hash_add_file(__u64 *hash, int fd)
{
	char buffer[4096];
	ssize_t size;

	if (lseek(fd, 0, SEEK_SET))
		return -errno;
	while ((size = read(fd, buffer, sizeof(buffer))) > 0)
		hash_add(hash, buffer, size);
	return size < 0 ? -errno : 0;
}

/* "KEY=VALUE" lines. Return: 0 or -E2BIG */
static int spec_add(char *spec, const char *key, const char *value)
{
	size_t len = strlen(spec), room = LOADED_SPEC_SIZE - len;

	if (value &&
	    snprintf(spec + len, room, "%s%s%s\n", key, *key ? "=" : "", value) >= (int)room)
		return -E2BIG;
	return 0;
}

static int spec_write(const struct ecbpf_program *spec, struct loaded *loaded)
{
	_cleanup_free_ char *path = NULL;
	int err;

	/* a stage, or an object file: that will be looked for from elsewhere */
	if (!spec->fused && !spec->is_stage)
		path = realpath(spec->file, NULL);
	err = spec_add(loaded->spec, "fused", spec->fused);
	if (!err && !spec->fused)
		err = spec_add(loaded->spec, path ? "file" : "stage", path ?: spec->file);
	if (!err)
		err = spec_add(loaded->spec, "section", spec->section);
	if (!err)
		err = spec_add(loaded->spec, "prog-name", spec->name);
	if (!err)
		err = spec_add(loaded->spec, "pin-path", spec->pin_path);
	for (size_t i = 0; i < spec->settings_count && !err; i++)
		err = spec_add(loaded->spec, "", spec->settings[i]);
	return err;
}

const char *ecbpf_loaded_constant(const char *line, int *ret_len)
{
	static const char *const own[] = {
		"fused=", "stage=", "file=", "section=", "prog-name=", "pin-path="};

	while (*line) {
		size_t len = strcspn(line, "\n");
		bool is_own = !len;

		for (size_t i = 0; i < ARRAY_SIZE(own); i++)
			is_own |= !strncmp(line, own[i], strlen(own[i]));
		if (!is_own) {
			*ret_len = len;
			return line;
		}
		line += len + (line[len] == '\n');
	}
	return NULL;
}

/* Constants of the program that it goes on with */
static int spec_inherit(const struct heritage *heritage, struct loaded *loaded)
{
	_cleanup_free_ struct loaded *old = calloc(1, sizeof(*old));
	const char *line;
	int len, err = 0;

	if (!old)
		return -ENOMEM;
	if (ecbpf_loaded_read(heritage->fd, old))
		return 0;
	for (line = ecbpf_loaded_constant(old->spec, &len); line && !err;
	     line = ecbpf_loaded_constant(line + len, &len)) {
		_cleanup_free_ char *constant = strndup(line, len);

		err = constant ? spec_add(loaded->spec, "", constant) : -ENOMEM;
	}
	return err;
}

int ecbpf_loaded_bind(struct ecbpf *e, int prog_fd, const char *name, const struct loaded *loaded)
{
	_cleanup_close_ int fd = -1;
	__u32 key = 0;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, LOADED_MAP, sizeof(key), sizeof(*loaded), 1, NULL);
	if (fd < 0 || bpf_map_update_elem(fd, &key, loaded, BPF_ANY) ||
	    bpf_prog_bind_map(prog_fd, fd, NULL))
		return ecbpf_fail(e, -errno, "%s: cannot note what it was loaded as: %s", name,
				  strerror(errno));
	return 0;
}

int ecbpf_loaded_write(struct ecbpf *e, int prog_fd, const struct ecbpf_program *spec,
		       const struct heritage *heritage, const struct program *program,
		       bool is_owned)
{
	struct loaded loaded = {.fingerprint = program->fingerprint, .is_owned = is_owned};
	int err;

	err = spec_write(spec, &loaded);
	if (!err && heritage->fd >= 0 && heritage->has_constants)
		err = spec_inherit(heritage, &loaded);
	if (err)
		return ecbpf_fail(e, err, "%s: its settings are more than %d characters",
				  program->name, LOADED_SPEC_SIZE);
	return ecbpf_loaded_bind(e, prog_fd, program->name, &loaded);
}

int ecbpf_loaded_read(int prog_fd, struct loaded *ret_loaded)
{
	struct bpf_map_info map = {};
	_cleanup_close_ int fd = -1;
	struct loaded loaded;
	__u32 key = 0;

	fd = ecbpf_prog_map(prog_fd, LOADED_MAP, &map);
	if (fd < 0)
		return fd;
	if (map.value_size != sizeof(loaded))
		return -EPROTO;
	if (bpf_map_lookup_elem(fd, &key, &loaded))
		return -errno;
	loaded.spec[sizeof(loaded.spec) - 1] = '\0';
	*ret_loaded = loaded;
	return 0;
}

/* --- opening ------------------------------------------------------------------------------ */

static const void *stage_object(const char *name, size_t *ret_size)
{
#define X(value, NAME, stage, prio, text) \
	if (!strcmp(name, #stage))        \
		return stage##_bpf__elf_bytes(ret_size);
	ECBPF_STAGES(X)
#undef X
	return NULL;
}

static int object_open(struct ecbpf *e, const struct ecbpf_program *spec, const char *file,
		       struct bpf_object **ret_obj, __u64 *hash)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .pin_root_path = spec->pin_path,
		    .kernel_log_buf = e->detail, .kernel_log_size = ECBPF_DETAIL_SIZE);
	const void *bytes = NULL;
	struct bpf_object *obj;
	char magic[4] = "";
	struct stat st;
	size_t size;
	int err;

	if (spec->fused)
		bytes = fused_bpf__elf_bytes(&size);
	else if (spec->is_stage || (stat(file, &st) && !strchr(file, '/')))
		bytes = stage_object(file, &size);
	if (bytes) {
		opts.object_name = spec->fused ? "fused" : file;
		obj = bpf_object__open_mem(bytes, size, &opts);
		hash_add(hash, bytes, size);
	} else {
		_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);

		if (fd < 0 && errno == ENOENT && !strchr(file, '/'))
			return ecbpf_fail(e, -ENOENT, "%s: no such file, and no such stage", file);
		if (fd < 0)
			return ecbpf_fail(e, -errno, "%s: %s", file, strerror(errno));
		if (fstat(fd, &st) || !S_ISREG(st.st_mode) || read(fd, magic, 4) != 4 ||
		    memcmp(magic, "\177ELF", 4))
			return ecbpf_fail(e, -ENOEXEC, "%s: not an ELF object file", file);
		if (hash_add_file(hash, fd))
			return ecbpf_fail(e, -errno, "%s: %s", file, strerror(errno));
		obj = bpf_object__open_file(file, &opts);
	}
	err = libbpf_get_error(obj);
	if (err) {
		char text[128];

		libbpf_strerror(err, text, sizeof(text));
		return ecbpf_fail(e, err < -4000 ? -ENOEXEC : err,
				  "%s: not a BPF object that libbpf can read: %s", file, text);
	}
	*ret_obj = obj;
	return 0;
}

/* The program that is meant; see struct ecbpf_program */
static int program_find(struct ecbpf *e, const struct ecbpf_program *spec, const char *file,
			struct bpf_object *obj, struct bpf_program **ret_prog)
{
	struct bpf_program *prog, *unknown = NULL;

	bpf_object__for_each_program (prog, obj) {
		const char *section = bpf_program__section_name(prog);

		if (spec->name	    ? !strcmp(bpf_program__name(prog), spec->name)
		    : spec->section ? !strcmp(section, spec->section)
				    : bpf_program__type(prog) == BPF_PROG_TYPE_XDP ||
					      (bpf_program__type(prog) == BPF_PROG_TYPE_UNSPEC &&
					       !strncmp(section, "xdp", 3))) {
			*ret_prog = prog;
			return 0;
		}
		if (bpf_program__type(prog) == BPF_PROG_TYPE_UNSPEC)
			unknown = prog;
	}
	if (spec->name)
		return ecbpf_fail(e, -ENOENT, "%s: no program '%s' in it", file, spec->name);
	if (spec->section)
		return ecbpf_fail(e, -ENOENT, "%s: no section '%s' with a program in it", file,
				  spec->section);
	if (unknown)
		return ecbpf_fail(
			e, -EINVAL,
			"%s: no XDP program in it, but one in a section of no known type, "
			"'%s': --section takes it as XDP",
			file, bpf_program__section_name(unknown));
	return ecbpf_fail(e, -EINVAL, "%s: no XDP program in it", file);
}

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

/*
 * Is a map to be made for ecbpf_fused? Those of the fast path, whose size `ecbpf-fastpath load`
 * knows, only if it runs that stage. Others always: global functions use them, which kernels before
 * 6.8 verify whether somebody calls them or not.
 */
static bool is_map_wanted(const char *map, const char *fused)
{
	static const char stage[] = "fastpath";
	const size_t len = sizeof(stage) - 1;

	if (strncmp(map, stage, len) != 0 || (map[len] && map[len] != '_'))
		return true;
	while (fused) {
		if (strcspn(fused, ",") == len && !strncmp(fused, stage, len))
			return true;
		fused = strchr(fused, ',');
		if (fused)
			fused++;
	}
	return false;
}

static int maps_prepare(struct ecbpf *e, const struct ecbpf_program *spec, int old_fd,
			struct program *program)
{
	char path[PATH_MAX];
	struct bpf_map *map;
	int err;

	bpf_object__for_each_map (map, program->obj) {
		_cleanup_close_ int fd = -1;
		struct bpf_map_info old;
		char name[BPF_OBJ_NAME_LEN];

		if (bpf_map__is_internal(map))
			continue;
		if (spec->fused && !is_map_wanted(bpf_map__name(map), spec->fused)) {
			bpf_map__set_autocreate(map, false);
			continue;
		}
		if (bpf_map__pin_path(map) && program->is_ours) {
			err = ecbpf_pin_path(e, path, sizeof(path), bpf_map__name(map));
			if (!err)
				err = ecbpf_pinned_map_check(e, path, map);
			if (err)
				return err;
			err = bpf_map__set_pin_path(map, path);
			if (err)
				return ecbpf_fail(e, err, "%s: %s", path, strerror(-err));
			continue;
		}
		if (bpf_map__pin_path(map) && !spec->pin_path)
			bpf_map__set_pin_path(map, NULL);
		if (bpf_map__pin_path(map) || old_fd < 0)
			continue;
		snprintf(name, sizeof(name), "%s", bpf_map__name(map)); /* as the kernel cuts it */
		fd = ecbpf_prog_map(old_fd, name, &old);
		if (fd < 0 || old.type != bpf_map__type(map) ||
		    old.key_size != bpf_map__key_size(map) ||
		    old.value_size != bpf_map__value_size(map) ||
		    old.max_entries != bpf_map__max_entries(map) ||
		    old.map_flags != bpf_map__map_flags(map))
			continue;
		err = bpf_map__reuse_fd(map, fd);
		if (err)
			return ecbpf_fail(e, err, "map %s: cannot go on with the old one: %s", name,
					  strerror(-err));
	}
	return 0;
}

/* Priority and chain call actions that the program says itself; libxdp reads them */
static int run_config_read(struct ecbpf *e, const char *file, struct program *program)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = program->obj,
			    .prog_name = program->name);
	struct xdp_program *xdp = xdp_program__create(&opts);
	int err = libxdp_get_error(xdp);

	if (err)
		return ecbpf_fail(e, err, "%s: bad run configuration: %s", file, strerror(-err));
	program->prio = xdp_program__run_prio(xdp);
	program->actions = 0;
	for (__u32 action = XDP_ABORTED; action <= XDP_REDIRECT; action++) {
		if (xdp_program__chain_call_enabled(xdp, action))
			program->actions |= 1U << action;
	}
	xdp_program__close(xdp);
	return 0;
}

/* All that makes a program what it is, besides its place in a chain and that of its counters */
static void fingerprint_finish(const struct ecbpf_program *spec, struct program *program)
{
	__u8 counters[ECBPF_FUSED_SLOTS] = {}, *at = NULL;
	__u64 *hash = &program->fingerprint;
	const struct btf_type *type;
	struct bpf_map *map;
	const void *data;
	__u32 at_size;
	size_t size;

	if (spec->fused)
		at = constant_find(program->obj, "fused_counters", &at_size, &type);
	if (at) {
		memcpy(counters, at, sizeof(counters));
		memset(at, 0, sizeof(counters));
	}
	hash_add(hash, program->name, strlen(program->name) + 1);
	hash_add(hash, &program->has_frags, sizeof(program->has_frags));
	if (spec->pin_path)
		hash_add(hash, spec->pin_path, strlen(spec->pin_path));
	bpf_object__for_each_map (map, program->obj) {
		if (!bpf_map__is_internal(map))
			continue;
		data = bpf_map__initial_value(map, &size);
		if (data)
			hash_add(hash, data, size);
	}
	if (at)
		memcpy(at, counters, sizeof(counters));
}

int ecbpf_program_open(struct ecbpf *e, const struct ecbpf_program *spec,
		       const struct heritage *heritage, bool frags, struct program *ret_program)
{
	const char *file = spec->fused ? "ecbpf_fused" : spec->file;
	struct program program = {.is_fused = spec->fused, .fingerprint = HASH_INIT};
	int old_fd = heritage ? heritage->fd : -1;
	struct bpf_program *prog;
	const struct btf *btf;
	__u32 schema;
	int err;

	e->detail[0] = '\0';
	err = object_open(e, spec, file, &program.obj, &program.fingerprint);
	if (err)
		return err;
	err = program_find(e, spec, file, program.obj, &program.prog);
	if (err)
		goto out;
	snprintf(program.name, sizeof(program.name), "%s", bpf_program__name(program.prog));
	btf = bpf_object__btf(program.obj);
	if (!btf) {
		err = ecbpf_fail(e, -EINVAL, "%s: has no BTF, which a chain needs: compile with -g",
				 file);
		goto out;
	}
	schema = ecbpf_btf_schema(btf);
	program.is_ours = schema;
	if (schema && schema != ECBPF_SCHEMA) {
		err = ecbpf_fail(e, -EPROTO,
				 "%s: built for schema %u, this ecbpf has %u: rebuild it", file,
				 schema, ECBPF_SCHEMA);
		goto out;
	}
	err = run_config_read(e, file, &program);
	if (err)
		goto out;
	if (spec->prio >= 0)
		program.prio = spec->prio;
	if (spec->actions)
		program.actions = spec->actions;

	bpf_object__for_each_program (prog, program.obj)
		bpf_program__set_autoload(prog, prog == program.prog);
	err = maps_prepare(e, spec, old_fd, &program);
	if (!err && spec->fused)
		err = fused_apply(e, program.obj, spec->fused, old_fd);
	if (!err && old_fd >= 0 && heritage->has_constants)
		err = constants_inherit(e, program.obj, old_fd);
	for (size_t i = 0; !err && i < spec->settings_count; i++)
		err = setting_apply(e, file, program.obj, spec->settings[i]);
	if (err)
		goto out;
	if (!ecbpf_frags_probe(e)) {
		program.has_frags = bpf_program__flags(program.prog) & BPF_F_XDP_HAS_FRAGS;
		if (frags && program.is_ours && constant_set(program.obj, "xdp_frags", 1))
			program.has_frags = true;
	}
	fingerprint_finish(spec, &program);
	*ret_program = program;
	return 0;
out:
	bpf_object__close(program.obj);
	return err;
}

void ecbpf_program_close(struct program *program)
{
	bpf_object__close(program->obj);
	program->obj = NULL;
}

int ecbpf_stage_maps(struct ecbpf *e, const char *stage, struct bpf_object **ret_obj)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = stage);
	const struct ecbpf_program spec = ECBPF_PROGRAM_INIT;
	struct program program = {.is_ours = true};
	struct bpf_program *prog;
	const void *bytes;
	size_t size = 0;
	int err;

	bytes = stage_object(stage, &size);
	program.obj = bpf_object__open_mem(bytes, size, &opts);
	err = libbpf_get_error(program.obj);
	if (err)
		return ecbpf_fail(e, err, "%s: %s", stage, strerror(-err));
	bpf_object__for_each_program (prog, program.obj)
		bpf_program__set_autoload(prog, false);
	err = maps_prepare(e, &spec, -1, &program);
	if (err)
		goto out;
	err = bpf_object__load(program.obj);
	if (err) {
		ecbpf_fail(e, err, "%s: cannot open its maps: %s%s", stage, strerror(-err),
			   err == -EPERM ? " (must be root, or have CAP_BPF)" : "");
		goto out;
	}
	*ret_obj = program.obj;
	return 0;
out:
	bpf_object__close(program.obj);
	return err;
}

/* --- loading ------------------------------------------------------------------------------ */

/* The line of a verifier log that says why; the last ones only count instructions */
static void log_verdict(const char *log, char *ret, size_t size)
{
	const char *line = log, *best = "", *end;

	*ret = '\0';
	while (*line) {
		end = strchrnul(line, '\n');
		if (end > line && strncmp(line, "processed ", 10) &&
		    strncmp(line, "verification ", 13) && strncmp(line, "stack depth ", 12) &&
		    strncmp(line, "max_states", 10) && strncmp(line, "peak_states", 11) &&
		    strncmp(line, "mark_read", 9))
			best = line;
		line = *end ? end + 1 : end;
	}
	end = strchrnul(best, '\n');
	snprintf(ret, size, "%.*s", (int)(end - best), best);
}

int ecbpf_program_load(struct ecbpf *e, struct program *program)
{
	char verdict[256];
	int err;

	e->detail[0] = '\0';
	err = bpf_object__load(program->obj);
	if (!err)
		return 0;
	if (err == -EPERM && geteuid())
		return ecbpf_fail(e, err,
				  "%s: permission denied: must be root, or have CAP_BPF, "
				  "CAP_PERFMON and CAP_NET_ADMIN",
				  program->name);
	log_verdict(e->detail, verdict, sizeof(verdict));
	if (*verdict)
		return ecbpf_fail(e, err, "%s: the verifier refuses it: %s", program->name,
				  verdict);
	return ecbpf_fail(e, err, "%s: the kernel refuses it: %s", program->name, strerror(-err));
}
