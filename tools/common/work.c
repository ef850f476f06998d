// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Files that get their place in one step, see work.h */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tools/common/work.h"

#define TRIES 10 /* where others do the same at once */

int tool_work_open(const char *path, mode_t mode, struct tool_work *work)
{
	char dir[PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');

	if (strlen(path) + sizeof(".XXXXXX") > PATH_MAX)
		return -ENAMETOOLONG;
	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path) + 1, path);
	*work->name = '\0';
	work->fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (work->fd < 0) {
		sprintf(work->name, "%s.XXXXXX", path);
		work->fd = mkostemp(work->name, O_CLOEXEC);
		if (work->fd < 0)
			*work->name = '\0';
	}
	return work->fd < 0 || fchmod(work->fd, mode) ? -errno : 0;
}

/* Give a file without a name this one */
static int name_give(const struct tool_work *work, const char *path)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", work->fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

int tool_work_publish(struct tool_work *work, const char *path)
{
	if (!*work->name)
		return name_give(work, path);
	if (renameat2(AT_FDCWD, work->name, AT_FDCWD, path, RENAME_NOREPLACE))
		return -errno;
	*work->name = '\0';
	return 0;
}

int tool_work_replace(struct tool_work *work, const char *path)
{
	bool has_name = *work->name;
	int err = -EBUSY;

	for (int i = 0; i < TRIES && err; i++) {
		if (!has_name) {
			/* always the same one, so that one that was left is replaced */
			sprintf(work->name, "%s.ecbpf~", path);
			unlink(work->name);
			err = name_give(work, work->name);
			if (err == -EEXIST)
				continue;
			if (err) {
				*work->name = '\0';
				return err;
			}
		}
		err = rename(work->name, path) ? -errno : 0;
		if (has_name || err != -ENOENT)
			break;
	}
	if (!err)
		*work->name = '\0';
	return err;
}

void tool_work_end(struct tool_work *work)
{
	if (*work->name)
		unlink(work->name);
	if (work->fd >= 0)
		close(work->fd);
	work->fd = -1;
}
