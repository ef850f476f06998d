// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How a program was loaded: a record that is kept with the program. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include "bpf/info.h"
#include "bpf/loaded.h"
#include "bpf/program.h"
#include "core/handle.h"
#include "core/hash.h"

__u64 ecbpf_fingerprint(const void *object, size_t size)
{
	__u64 hash = ECBPF_HASH_INIT;

	ecbpf_hash_add(&hash, object, size);
	return hash;
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
	if (ecbpf_program_is_file(spec))
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

/* Add the constants of the predecessor */
static int spec_inherit(const struct predecessor *predecessor, struct loaded *loaded)
{
	_cleanup_free_ struct loaded *old = calloc(1, sizeof(*old));
	const char *line;
	int len, err = 0;

	if (!old)
		return -ENOMEM;
	err = ecbpf_loaded_read(predecessor->fd, old);
	if (err)
		return err == -ENOENT || err == -EPROTO ? 0 : err;
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

/*
 * Also the maps that only user space reads: they live as long as the program, and can be pinned
 * again if somebody removes their pins
 */
static int maps_bind(struct ecbpf *e, int prog_fd, const struct program *program)
{
	const struct bpf_map *map;

	bpf_object__for_each_map (map, program->obj) {
		if (program->is_ours && bpf_map__pin_path(map) && bpf_map__fd(map) >= 0 &&
		    bpf_prog_bind_map(prog_fd, bpf_map__fd(map), NULL))
			return ecbpf_fail(e, -errno, "%s: cannot keep its map %s: %s",
					  program->name, bpf_map__name(map), strerror(errno));
	}
	return 0;
}

int ecbpf_loaded_write(struct ecbpf *e, int prog_fd, const struct ecbpf_program *spec,
		       const struct predecessor *predecessor, const struct program *program,
		       bool is_owned)
{
	struct loaded loaded = {.fingerprint = program->fingerprint, .is_owned = is_owned};
	int err;

	err = spec_write(spec, &loaded);
	if (!err && predecessor->fd >= 0 && predecessor->has_constants)
		err = spec_inherit(predecessor, &loaded);
	if (err == -E2BIG)
		return ecbpf_fail(e, err, "%s: its settings are more than %d characters",
				  program->name, LOADED_SPEC_SIZE);
	if (err)
		return ecbpf_fail(e, err, "%s: cannot read the loaded program: %s", program->name,
				  strerror(-err));
	return maps_bind(e, prog_fd, program)
		       ?: ecbpf_loaded_bind(e, prog_fd, program->name, &loaded);
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
