// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The directories of pins. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "bpf/bpffs.h"
#include "bpf/info.h"
#include "bpf/map.h"
#include "bpf/pins.h"
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "ecbpf/stage.h"

int ecbpf_for_each_entry(struct ecbpf *e, const char *path, ecbpf_entry_fn fn, void *data)
{
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	dir = opendir(path);
	if (!dir)
		return errno == ENOENT
			       ? 0
			       : ecbpf_fail(e, -errno, "cannot read %s: %s", path, strerror(errno));
	while (!err) {
		errno = 0;
		entry = readdir(dir);
		if (!entry && errno)
			err = ecbpf_fail(e, -errno, "cannot read %s: %s", path, strerror(errno));
		if (!entry)
			break;
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			err = fn(e, entry->d_name, data);
	}
	closedir(dir);
	return err;
}

struct pin_call {
	ecbpf_pin_fn fn;
	void *data;
};

static int pin_call(struct ecbpf *e, const char *name, void *data)
{
	const struct pin_call *call = data;
	char path[PATH_MAX];
	struct stat st;
	int err;

	if (name[0] == '.')
		return 0;
	err = ecbpf_pin_path(e, path, sizeof(path), name);
	if (err)
		return err;
	if (lstat(path, &st))
		return errno == ENOENT
			       ? 0
			       : ecbpf_fail(e, -errno, "cannot read %s: %s", path, strerror(errno));
	return call->fn(e, path, S_ISLNK(st.st_mode), call->data);
}

int ecbpf_for_each_pin(struct ecbpf *e, ecbpf_pin_fn fn, void *data)
{
	struct pin_call call = {.fn = fn, .data = data};
	char path[PATH_MAX];
	int err;

	err = ecbpf_pin_path(e, path, sizeof(path), "");
	return err ? err : ecbpf_for_each_entry(e, path, pin_call, &call);
}

bool ecbpf_has_pins(struct ecbpf *e)
{
	char path[PATH_MAX];

	return ecbpf_pin_path(e, path, sizeof(path), "") || !access(path, F_OK) || errno != ENOENT;
}

bool ecbpf_map_is_used(__u32 map_id)
{
	__u32 id = 0;

	while (!bpf_prog_get_next_id(id, &id)) {
		_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
		struct bpf_prog_info info = {};
		__u32 ids[64];

		/* in doubt, it is used */
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return true;
		info.map_ids = (unsigned long)ids;
		info.nr_map_ids = ARRAY_SIZE(ids);
		if (ecbpf_prog_info(fd, &info))
			return true;
		for (__u32 i = 0; i < info.nr_map_ids && i < ARRAY_SIZE(ids); i++) {
			if (ids[i] == map_id)
				return true;
		}
	}
	return errno != ENOENT;
}

static int pin_is_used(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	struct bpf_map_info info = {};
	bool *used = data;
	int fd;

	(void)e;
	if (is_symlink || *used)
		return 0;
	fd = bpf_obj_get(path);
	if (fd < 0 && errno != EISDIR && errno != EPERM && errno != EACCES && errno != EINVAL &&
	    errno != ENOENT)
		*used = true; /* in doubt */
	if (fd < 0)
		return 0; /* a directory; unpin_one() leaves it */
	*used = ecbpf_map_info(fd, &info) || ecbpf_map_is_used(info.id);
	close(fd);
	return 0;
}

bool ecbpf_pins_are_used(struct ecbpf *e)
{
	bool used = false;

	return ecbpf_for_each_pin(e, pin_is_used, &used) || used;
}

struct pins_of {
	struct bpf_prog_info info;
	__u32 ids[64];
	int count;
};

static int pin_of(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	_cleanup_close_ int fd = is_symlink ? -1 : bpf_obj_get(path);
	struct bpf_map_info info = {};
	struct pins_of *of = data;

	(void)e;
	if (fd < 0 || ecbpf_map_info(fd, &info))
		return 0;
	for (__u32 i = 0; i < of->info.nr_map_ids && i < ARRAY_SIZE(of->ids); i++)
		of->count += of->ids[i] == info.id;
	return 0;
}

int ecbpf_pins_of(struct ecbpf *e, int prog_fd)
{
	struct pins_of of = {.info.nr_map_ids = ARRAY_SIZE(of.ids)};
	int err;

	of.info.map_ids = (unsigned long)of.ids;
	err = ecbpf_prog_info(prog_fd, &of.info);
	if (!err)
		err = ecbpf_for_each_pin(e, pin_of, &of);
	return err ?: of.count;
}

static int pin_schema(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	_cleanup_close_ int fd = is_symlink ? -1 : bpf_obj_get(path);
	struct bpf_map_info info = {};
	__u32 *other = data, schema;

	(void)e;
	if (fd >= 0 && !ecbpf_map_info(fd, &info) && !ecbpf_map_schema(&info, &schema) && schema &&
	    schema != ECBPF_SCHEMA)
		*other = schema;
	return 0;
}

__u32 ecbpf_pins_other_schema(struct ecbpf *e)
{
	__u32 schema = 0;

	if (ecbpf_bpffs_open(e, false) || ecbpf_for_each_pin(e, pin_schema, &schema))
		return 0;
	return schema;
}

static bool is_taken(const struct taken *t, const char *name)
{
	if (!t->names)
		return !strncmp(name, t->prefix, strlen(t->prefix));
	for (size_t i = 0; t->names[i]; i++)
		if (!strcmp(name, t->names[i]))
			return true;
	return false;
}

static int pin_take(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	struct taken *t = data;
	struct taken_pin *pin;
	struct stat st;

	if (is_symlink || (!lstat(path, &st) && S_ISDIR(st.st_mode)) ||
	    !is_taken(t, strrchr(path, '/') + 1))
		return 0;
	pin = ecbpf_array_add(&t->pins, &t->count, sizeof(*pin));
	if (!pin)
		return ecbpf_fail_memory(e);
	pin->path = strdup(path);
	pin->fd = pin->path ? bpf_obj_get(path) : -1;
	if (!pin->path)
		return ecbpf_fail_memory(e);
	if (pin->fd < 0)
		return ecbpf_fail(e, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int pins_take(struct ecbpf *e, struct taken t, struct taken *ret)
{
	int err;

	err = ecbpf_for_each_pin(e, pin_take, &t);
	for (size_t i = 0; i < t.count && !err; i++) {
		if (unlink(t.pins[i].path) && errno != ENOENT)
			err = ecbpf_fail(e, -errno, "cannot remove %s: %s", t.pins[i].path,
					 strerror(errno));
		else
			t.pins[i].is_taken = true;
	}
	if (err)
		ecbpf_pins_end(e, &t, err);
	else
		*ret = t;
	return err;
}

int ecbpf_pins_take(struct ecbpf *e, const char *prefix, struct taken *ret)
{
	return pins_take(e, (struct taken){.prefix = prefix}, ret);
}

int ecbpf_pins_take_names(struct ecbpf *e, const char *const *names, struct taken *ret)
{
	return pins_take(e, (struct taken){.names = names}, ret);
}

/* A map of the change that failed may be there */
static int pin_again(const struct taken_pin *pin)
{
	if (!bpf_obj_pin(pin->fd, pin->path))
		return 0;
	if (errno != EEXIST)
		return -errno;
	unlink(pin->path);
	return bpf_obj_pin(pin->fd, pin->path) ? -errno : 0;
}

void ecbpf_pins_end(struct ecbpf *e, struct taken *t, int err)
{
	for (size_t i = 0; i < t->count; i++) {
		struct taken_pin *pin = &t->pins[i];

		int again = err && pin->is_taken ? pin_again(pin) : 0;

		if (again)
			ecbpf_log(e, ECBPF_LOG_WARN, "cannot pin %s again: %s", pin->path,
				  strerror(-again));
		close_fd(&pin->fd);
		free(pin->path);
	}
	free(t->pins);
	*t = (struct taken){};
}

int ecbpf_unpin_maps(struct ecbpf *e)
{
	struct taken t;
	int err = ecbpf_pins_take(e, "", &t);

	if (err)
		return err;
	e->changed.removed += t.count;
	ecbpf_pins_end(e, &t, 0);
	return 0;
}
