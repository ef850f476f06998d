// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs: opening the object file of one, and loading it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include "bpf/bpffs.h"
#include "bpf/constants.h"
#include "bpf/fused.h"
#include "bpf/info.h"
#include "bpf/map.h"
#include "bpf/metadata.h"
#include "bpf/object.h"
#include "bpf/probe.h"
#include "bpf/program.h"
#include "core/handle.h"
#include "core/hash.h"
#include "core/privilege.h"
#include "progs/count.skel.h"
#include "progs/fastpath.skel.h"
#include "progs/filter.skel.h"
#include "progs/fused.skel.h"
#include "progs/fw.skel.h"
#include "progs/pass.skel.h"
#include "progs/printk.skel.h"
#include "progs/sampler.skel.h"

#define SHORT_BYTES (1 << 24) /* what cannot be had where memory is short */

static const void *stage_object(const char *name, size_t *ret_size)
{
#define X(value, NAME, stage, prio, text) \
	if (!strcmp(name, #stage))        \
		return stage##_bpf__elf_bytes(ret_size);
	ECBPF_STAGES(X)
#undef X
	return NULL;
}

static int hash_add_file(__u64 *hash, int fd)
{
	char buffer[4096];
	ssize_t size;

	if (lseek(fd, 0, SEEK_SET))
		return -errno;
	while ((size = read(fd, buffer, sizeof(buffer))) > 0)
		ecbpf_hash_add(hash, buffer, size);
	return size < 0 ? -errno : 0;
}

bool ecbpf_program_is_file(const struct ecbpf_program *spec)
{
	size_t len = spec->fused ? 0 : strlen(spec->file);

	return len &&
	       (strchr(spec->file, '/') || (len >= 2 && !strcmp(spec->file + len - 2, ".o")));
}

static int fail_stage(struct ecbpf *e, const char *name)
{
	return ecbpf_fail(e, -ENOENT,
			  "%s: no such stage; the name of an object file has a '/' or ends in .o",
			  name);
}

int ecbpf_program_check(struct ecbpf *e, const struct ecbpf_program *spec)
{
	__u8 stages[ECBPF_FUSED_SLOTS];
	size_t size;

	if (spec->fused)
		return ecbpf_fused_parse(e, spec->fused, stages);
	if (!ecbpf_program_is_file(spec))
		return stage_object(spec->file, &size) ? 0 : fail_stage(e, spec->file);
	return access(spec->file, R_OK)
		       ? ecbpf_fail(e, -errno, "%s: %s", spec->file, strerror(errno))
		       : 0;
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
	else if (!ecbpf_program_is_file(spec))
		bytes = stage_object(file, &size);
	if (bytes) {
		opts.object_name = spec->fused ? "fused" : file;
		obj = bpf_object__open_mem(bytes, size, &opts);
		ecbpf_hash_add(hash, bytes, size);
	} else if (!ecbpf_program_is_file(spec)) {
		return fail_stage(e, file);
	} else {
		_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

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

bool ecbpf_is_of_other_stage(const char *name, const __u8 stages[ECBPF_FUSED_SLOTS])
{
	size_t len = strcspn(name, "_");

#define X(value, NAME, stage, prio, text)                        \
	if (len == strlen(#stage) && !memcmp(name, #stage, len)) \
		return !memchr(stages, value, ECBPF_FUSED_SLOTS);
	ECBPF_STAGES(X)
#undef X
	return false;
}

/* Maps of the fast path, whose size `ecbpf-fastpath load` knows, are made only if it runs */
static bool is_map_wanted(const char *map, const __u8 *stages)
{
	return strncmp(map, "fastpath", strlen("fastpath")) != 0 ||
	       !ecbpf_is_of_other_stage(map, stages);
}

/*
 * Make the functions of stages that ecbpf_fused does not run static: kernels before 6.8 verify each
 * global function, even one that nothing calls, and want all maps of it.
 */
static void functions_hide(struct bpf_object *obj, const __u8 *stages)
{
	const struct btf *btf = bpf_object__btf(obj);

	for (__u32 id = 1; id < btf__type_cnt(btf); id++) {
		struct btf_type *type = (struct btf_type *)btf__type_by_id(btf, id);

		if (btf_is_func(type) && btf_vlen(type) == BTF_FUNC_GLOBAL &&
		    ecbpf_is_of_other_stage(btf__name_by_offset(btf, type->name_off), stages))
			type->info &= ~0xffffU; /* BTF_FUNC_STATIC */
	}
}

/* libbpf takes the map that is pinned there, or pins a new one */
static bool may_pin(const struct ecbpf *e, const char *path)
{
	return !e->is_trying || !access(path, F_OK);
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
		if (spec->fused && !is_map_wanted(bpf_map__name(map), program->stages)) {
			bpf_map__set_autocreate(map, false);
			continue;
		}
		if (bpf_map__pin_path(map) && program->is_ours) {
			err = ecbpf_pin_path(e, path, sizeof(path), bpf_map__name(map));
			if (!err)
				err = ecbpf_map_adopt(e, path, map);
			if (err)
				return err;
			err = bpf_map__set_pin_path(map, may_pin(e, path) ? path : NULL);
			if (err)
				return ecbpf_fail(e, err, "%s: %s", path, strerror(-err));
			continue;
		}
		if (bpf_map__pin_path(map) &&
		    (!spec->pin_path || !may_pin(e, bpf_map__pin_path(map))))
			bpf_map__set_pin_path(map, NULL);
		if (bpf_map__pin_path(map) || old_fd < 0)
			continue;
		snprintf(name, sizeof(name), "%s", bpf_map__name(map)); /* as the kernel cuts it */
		fd = ecbpf_prog_map(old_fd, name, &old);
		if (fd < 0 && fd != -ENOENT)
			return ecbpf_fail(e, fd, "map %s: cannot look at the old one: %s", name,
					  strerror(-fd));
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

/* Covers code and constants, not the position in the chain or the index of the counters */
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
		at = ecbpf_constant_find(program->obj, "fused_counters", &at_size, &type);
	if (at) {
		memcpy(counters, at, sizeof(counters));
		memset(at, 0, sizeof(counters));
	}
	ecbpf_hash_add(hash, program->name, strlen(program->name) + 1);
	ecbpf_hash_add(hash, &program->has_frags, sizeof(program->has_frags));
	if (spec->pin_path)
		ecbpf_hash_add(hash, spec->pin_path, strlen(spec->pin_path));
	bpf_object__for_each_map (map, program->obj) {
		if (!bpf_map__is_internal(map))
			continue;
		data = bpf_map__initial_value(map, &size);
		if (data)
			ecbpf_hash_add(hash, data, size);
	}
	if (at)
		memcpy(at, counters, sizeof(counters));
}

/* It takes packets in fragments if it does by itself, or if it is ours and they are @wanted */
static int frags_set(struct ecbpf *e, bool wanted, struct program *program)
{
	int err = ecbpf_frags_probe(e);

	if (err == -EPERM && ecbpf_require(e, ECBPF_NEEDS_ATTACH))
		return 0; /* who may not load anything only checks a configuration */
	if (err)
		return err == -EOPNOTSUPP ? 0 : err;
	program->has_frags = bpf_program__flags(program->prog) & BPF_F_XDP_HAS_FRAGS;
	if (wanted && program->is_ours && ecbpf_constant_set(program->obj, "xdp_frags", 1))
		program->has_frags = true;
	return 0;
}

int ecbpf_program_open(struct ecbpf *e, const struct ecbpf_program *spec,
		       const struct predecessor *predecessor, bool frags,
		       struct program *ret_program)
{
	const char *file = spec->fused ? "ecbpf_fused" : spec->file;
	struct program program = {.is_fused = spec->fused, .fingerprint = ECBPF_HASH_INIT};
	int old_fd = predecessor ? predecessor->fd : -1;
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
	program.prio = spec->prio >= 0 ? (__u32)spec->prio : program.prio;
	if (spec->actions)
		program.actions = spec->actions;

	bpf_object__for_each_program (prog, program.obj)
		bpf_program__set_autoload(prog, prog == program.prog);
	if (spec->fused) {
		err = ecbpf_fused_apply(e, program.obj, spec->fused, old_fd, program.stages);
		if (err)
			goto out;
		functions_hide(program.obj, program.stages);
	}
	err = maps_prepare(e, spec, old_fd, &program);
	if (!err && old_fd >= 0 && predecessor->has_constants)
		err = ecbpf_constants_inherit(e, program.obj, old_fd);
	for (size_t i = 0; !err && i < spec->settings_count; i++)
		err = ecbpf_setting_apply(e, file, program.obj, spec->settings[i]);
	if (!err)
		err = frags_set(e, frags, &program);
	if (err)
		goto out;
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

int ecbpf_stage_open(struct ecbpf *e, const char *stage, struct bpf_object **ret_obj)
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
		bpf_object__close(program.obj);
	else
		*ret_obj = program.obj;
	return err;
}

/* As ecbpf_object_load(). In some places where it has no memory, libbpf returns -1: that is EPERM
 */
static int object_load(struct ecbpf *e, struct bpf_object *obj, bool is_ours)
{
	int err = ecbpf_object_load(e, obj, is_ours);
	void *memory;

	if (err != -EPERM)
		return err;
	memory =
		mmap(NULL, SHORT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	munmap(memory, SHORT_BYTES);
	return err;
}

int ecbpf_stage_load(struct ecbpf *e, const char *stage, struct bpf_object *obj)
{
	int err = object_load(e, obj, true);

	if (!err || err == -EBADMSG)
		return err;
	return ecbpf_fail(e, err, "%s: cannot open its maps: %s%s", stage, strerror(-err),
			  err == -EPERM ? " (must be root, or have CAP_BPF)" : "");
}

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
	err = object_load(e, program->obj, program->is_ours);
	if (err == -ENOMEM && !*e->detail)
		return ecbpf_fail(e, err, "%s: out of memory", program->name);
	if (!err || err == -EBADMSG)
		return err;
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
