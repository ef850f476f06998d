// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A file that is replaced in one step */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "config/conf.h"
#include "core/handle.h"

FILE *conf_file_begin(struct ecbpf *e, const char *dir, char *work, size_t size)
{
	FILE *out = NULL;
	int fd;

	snprintf(work, size, "%s/.ecbpf-XXXXXX", dir);
	fd = mkstemp(work);
	if (fd >= 0)
		out = fdopen(fd, "w");
	if (out)
		return out;
	ecbpf_fail(e, -errno, "%s: %s", work, strerror(errno));
	if (fd >= 0) {
		close(fd);
		unlink(work);
	}
	return NULL;
}

int conf_file_end(struct ecbpf *e, FILE *out, const char *work, const char *dir, const char *name)
{
	char path[PATH_MAX];
	int err = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (ferror(out) || fflush(out) || fsync(fileno(out)))
		err = -(errno ?: EIO);
	if (fclose(out) && !err)
		err = -errno;
	if (!err && rename(work, path))
		err = -errno;
	if (!err)
		return 0;
	ecbpf_fail(e, err, "%s: %s", path, strerror(-err));
	unlink(work);
	return err;
}
