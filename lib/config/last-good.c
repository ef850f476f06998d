// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A copy of the last configuration that was applied whole.
 *
 * It has what was read, not what is in the files by now: the text of the configuration, and behind
 * it the sections that name copies of its rules and lists, as a file in conf.d would. Copies are
 * named by their content, so none is written twice while it is whole; the rename of the
 * configuration, which comes last, makes all of them valid at once.
 *
 * A disk may lose what was written, and a list that has lost a line is a valid list: each copy is
 * compared with its name, and the configuration with its last line, before it is used.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config/conf.h"
#include "core/error.h"
#include "core/file.h"
#include "core/handle.h"
#include "core/hash.h"
#include "core/state_dir.h"
#include "fw/rules.h"

#define NAME	  "ecbpf.conf"
#define PARTS_MAX (1 + ECBPF_FILTER_LISTS)
#define END	  "# end " /* and the hash of all before it */
#define END_LEN	  (sizeof(END) - 1 + 16 + 1)

struct copy {
	struct ecbpf *e;
	int fd; /* of the directory */
	char dir[PATH_MAX];
	char names[PARTS_MAX][64];
	size_t count;
	struct conf_text text;
};

/* One for each configuration: a network namespace may have its own */
static int source_name(struct ecbpf *e, const char *file, char ret_name[64], char *ret_path)
{
	__u64 hash = ECBPF_HASH_INIT;
	char cwd[PATH_MAX] = "";

	if (!file) {
		snprintf(ret_name, 64, "last-good");
		snprintf(ret_path, PATH_MAX, "installed");
		return 0;
	}
	if (*file != '/' && !getcwd(cwd, sizeof(cwd)))
		return ecbpf_fail(e, -errno, "%s: %s", file, strerror(errno));
	if (snprintf(ret_path, PATH_MAX, "%s%s%s", cwd, *cwd ? "/" : "", file) >= PATH_MAX)
		return ecbpf_fail(e, -ENAMETOOLONG, "%s: too long a name", file);
	ecbpf_hash_add(&hash, ret_path, strlen(ret_path));
	snprintf(ret_name, 64, "last-good-%016llx", hash);
	return 0;
}

/* A file of the directory. @ret_text: for free(). Return: 0 or -errno */
static int file_read(int dir, const char *name, char **ret_text, size_t *ret_size)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	return ecbpf_file_read(fd, ret_text, ret_size);
}

/* Is it what is saved already? */
static bool is_saved(const struct copy *c, const char *name, const char *text, size_t size)
{
	_cleanup_free_ char *saved = NULL;
	size_t saved_size = 0;

	return !file_read(c->fd, name, &saved, &saved_size) && saved && saved_size == size &&
	       !memcmp(saved, text, size);
}

/* A copy of rules or of a list; the name is for the caller's text */
static int part_write(struct copy *c, const char *kind, const char *text, const char **ret_name)
{
	char *name = c->names[c->count++];
	__u64 hash = ECBPF_HASH_INIT;

	ecbpf_hash_add(&hash, text, strlen(text));
	snprintf(name, sizeof(c->names[0]), "%s-%016llx-%zu", kind, hash, strlen(text));
	*ret_name = name;
	return is_saved(c, name, text, strlen(text))
		       ? 0
		       : conf_file_write(c->e, c->dir, name, text, strlen(text));
}

static int rules_write(struct copy *c, const struct ecbpf_config *config)
{
	_cleanup_free_ char *text = NULL;
	const char *name;
	int err;

	if (!config->rules.text || !*config->rules.text)
		return 0;
	err = fw_print_whole(c->e, config->ruleset, &text);
	if (!err)
		err = part_write(c, "fw.rules", text, &name);
	if (!err)
		conf_printf(&c->text, "[fw]\nrules = %s/%s\n", c->dir, name);
	return err;
}

static int list_write(struct copy *c, const struct conf_list *list, const char *key)
{
	_cleanup_free_ char *text = NULL;
	const char *name;
	int err;

	if (!list->files.count)
		return 0;
	err = conf_list_text(c->e, list, &text);
	if (!err)
		err = part_write(c, key, text, &name);
	if (!err) /* nothing first: the copy is instead of the files */
		conf_printf(&c->text, "[filter]\n%s =\n%s = %s/%s\n", key, key, c->dir, name);
	return err;
}

/* Copies that the configuration does not name any more, and what one that was killed has left */
static void others_remove(const struct copy *c)
{
	DIR *dir = opendir(c->dir);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		bool is_kept = !strcmp(entry->d_name, NAME);

		for (size_t i = 0; i < c->count; i++)
			is_kept |= !strcmp(entry->d_name, c->names[i]);
		if (!is_kept)
			unlinkat(c->fd, entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

static int copy_write(struct copy *c, const struct ecbpf_config *config)
{
	__u64 hash = ECBPF_HASH_INIT;
	int err;

	conf_printf(&c->text, "%s", config->source.text ?: "");
	err = rules_write(c, config);
	if (!err)
		err = list_write(c, &config->lists[ECBPF_FILTER_BLOCK], "drop");
	if (!err)
		err = list_write(c, &config->lists[ECBPF_FILTER_ALLOW], "allow");
	if (!err && !c->text.is_lost) {
		ecbpf_hash_add(&hash, c->text.text, c->text.len);
		conf_printf(&c->text, END "%016llx\n", hash);
	}
	if (!err && (c->text.is_lost || config->source.is_lost))
		err = ecbpf_fail_memory(c->e);
	if (err)
		return err;
	/* what it names has to be on the disk before it is */
	if (fsync(c->fd))
		return ecbpf_fail(c->e, -errno, "%s: %s", c->dir, strerror(errno));
	if (is_saved(c, NAME, c->text.text, c->text.len))
		return 0;
	err = conf_file_write(c->e, c->dir, NAME, c->text.text, c->text.len);
	if (!err && fsync(c->fd))
		return ecbpf_fail(c->e, -errno, "%s: %s", c->dir, strerror(errno));
	return err;
}

int conf_last_good_save(struct ecbpf *e, const char *file, const struct ecbpf_config *config)
{
	char name[64], source[PATH_MAX];
	struct copy c = {.e = e};
	int err;

	err = source_name(e, file, name, source);
	if (err)
		return err;
	c.fd = ecbpf_state_dir_make(e, name, c.dir);
	if (c.fd < 0)
		return c.fd;
	conf_printf(&c.text, "# Written by ecbpf-loader watch: what it has applied last.\n# %s\n",
		    source);
	err = copy_write(&c, config);
	if (!err)
		others_remove(&c);
	free(c.text.text);
	close(c.fd);
	return err;
}

/* --- reading ------------------------------------------------------------------------------ */

static int fail_damaged(struct ecbpf *e, const char *dir, const char *name)
{
	return ecbpf_fail(e, -EINVAL,
			  "%s/%s: this copy is damaged, so none of them is used; they are written "
			  "again when a configuration is applied whole",
			  dir, name);
}

static int fail_unreadable(struct ecbpf *e, int err, const char *dir, const char *name)
{
	return ecbpf_fail(e, err, "%s/%s: %s", dir, name, strerror(-err));
}

static bool has_end(const char *text, size_t size)
{
	char end[END_LEN + 1];
	__u64 hash = ECBPF_HASH_INIT;

	if (size < END_LEN)
		return false;
	ecbpf_hash_add(&hash, text, size - END_LEN);
	snprintf(end, sizeof(end), END "%016llx\n", hash);
	return !memcmp(text + size - END_LEN, end, END_LEN);
}

/* Has this copy what its name says? Others are files of the user */
static int part_check(struct ecbpf *e, int fd, const char *dir, const char *path)
{
	_cleanup_free_ char *text = NULL;
	__u64 hash = ECBPF_HASH_INIT;
	size_t len = strlen(dir), size = 0;
	const char *name = path + len + 1;
	char end[64];
	int err;

	if (strncmp(path, dir, len) || path[len] != '/')
		return 0;
	err = file_read(fd, name, &text, &size);
	if (err)
		return fail_unreadable(e, err, dir, name);
	ecbpf_hash_add(&hash, text, size);
	snprintf(end, sizeof(end), "-%016llx-%zu", hash, size);
	len = strlen(name);
	return len > strlen(end) && !strcmp(name + len - strlen(end), end)
		       ? 0
		       : fail_damaged(e, dir, name);
}

static int parts_check(struct ecbpf *e, int fd, const char *dir, const char *path)
{
	struct ecbpf_config *config;
	int err = conf_read_words(e, path, &config);

	if (err)
		return err;
	if (config->rules.text)
		err = part_check(e, fd, dir, config->rules.text);
	for (size_t i = 0; i < ECBPF_FILTER_LISTS && !err; i++)
		for (size_t k = 0; k < config->lists[i].files.count && !err; k++)
			err = part_check(e, fd, dir, config->lists[i].files.items[k].text);
	ecbpf_config_free(config);
	return err;
}

static int copy_check(struct ecbpf *e, int fd, const char *dir, const char *path)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int err = file_read(fd, NAME, &text, &size);

	if (err)
		return fail_unreadable(e, err, dir, NAME);
	return has_end(text, size) ? parts_check(e, fd, dir, path) : fail_damaged(e, dir, NAME);
}

int conf_last_good_read(struct ecbpf *e, const char *file, struct ecbpf_config **ret_config,
			time_t *ret_time)
{
	char name[64], source[PATH_MAX], dir[PATH_MAX], path[PATH_MAX + 16];
	_cleanup_close_ int fd = -1;
	struct stat st = {};
	int err;

	err = source_name(e, file, name, source);
	if (err)
		return err;
	fd = ecbpf_state_dir_open(e, name, dir);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	if (fd < 0 || (fstatat(fd, NAME, &st, AT_SYMLINK_NOFOLLOW) && errno == ENOENT))
		return ecbpf_fail(e, -ENOENT, "no configuration has been applied whole yet");
	snprintf(path, sizeof(path), "%s/" NAME, dir);
	err = copy_check(e, fd, dir, path);
	if (err)
		return err;
	*ret_time = st.st_mtime;
	return ecbpf_config_read(e, path, ret_config);
}
