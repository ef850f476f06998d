// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The files that are installed in conf.d.
 *
 * Each of them may name interfaces, rules and lists: a directory that cannot be listed is an error,
 * or all that they declare would be removed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "config.h"
#include "config/conf.h"
#include "core/array.h"
#include "core/error.h"

#define DIR_NAME ECBPF_CONFIG_DIR "/conf.d"

static int fail_dir(struct ecbpf *e, int err)
{
	return ecbpf_fail(e, err,
			  DIR_NAME ": cannot be listed: %s; it has to be a directory, or not to be "
				   "there",
			  strerror(-err));
}

/* As "*.conf" in a shell: not those whose name begins with a dot */
static bool is_taken(const char *name)
{
	size_t len = strlen(name);

	return *name != '.' && len > 5 && !strcmp(name + len - 5, ".conf");
}

static int name_add(struct ecbpf *e, const char *name, struct conf_drop_ins *files)
{
	char **added;

	if (!is_taken(name))
		return 0;
	added = ecbpf_array_add(&files->names, &files->count, sizeof(*added));
	if (!added || asprintf(added, DIR_NAME "/%s", name) < 0) {
		files->count -= !!added;
		return ecbpf_fail_memory(e);
	}
	return 0;
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int conf_drop_ins_list(struct ecbpf *e, struct conf_drop_ins *ret)
{
	struct conf_drop_ins files = {};
	struct dirent *entry;
	struct stat st;
	int err = 0;
	DIR *dir;

	*ret = files;
	dir = opendir(DIR_NAME);
	/* a symbolic link to nothing is there */
	if (!dir && errno == ENOENT && lstat(DIR_NAME, &st) && errno == ENOENT)
		return 0;
	if (!dir)
		return fail_dir(e, -errno);
	while (!err && (errno = 0, entry = readdir(dir)))
		err = name_add(e, entry->d_name, &files);
	if (!err && errno)
		err = fail_dir(e, -errno);
	closedir(dir);
	if (err) {
		conf_drop_ins_free(&files);
		return err;
	}
	if (files.count)
		qsort(files.names, files.count, sizeof(*files.names), name_compare);
	*ret = files;
	return 0;
}

void conf_drop_ins_free(struct conf_drop_ins *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->names[i]);
	free(files->names);
	*files = (struct conf_drop_ins){};
}
