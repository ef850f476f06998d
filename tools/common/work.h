/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A file that is written where nobody sees it, and then gets its place in one step.
 */
#ifndef ECBPF_TOOLS_WORK_H
#define ECBPF_TOOLS_WORK_H

#include <limits.h>
#include <sys/types.h>

/* It has no name, so that nothing is left of it if this process is killed */
struct tool_work {
	int fd;
	char name[PATH_MAX]; /* where the file system has no files without one */
};
#define TOOL_WORK_INIT   \
	{                \
		.fd = -1 \
	}

/* In the directory of @path. @work: for tool_work_end(), also on errors. Return: 0 or -errno */
int tool_work_open(const char *path, mode_t mode, struct tool_work *work);
/* Make it @path, which is not there. Return: 0; -EEXIST; others */
int tool_work_publish(struct tool_work *work, const char *path);
/* Likewise, instead of the file that may be there */
int tool_work_replace(struct tool_work *work, const char *path);
/* If it got no place, it is gone */
void tool_work_end(struct tool_work *work);

#endif /* ECBPF_TOOLS_WORK_H */
