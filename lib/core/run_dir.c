// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The directory of what ends with the boot, see run_dir.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/netns.h"
#include "core/run_dir.h"

int ecbpf_run_path(const char *name, char ret_path[PATH_MAX])
{
	struct stat own;
	int err = ecbpf_netns_own(&own);

	if (!err)
		snprintf(ret_path, PATH_MAX, ECBPF_RUN_DIR "/%.64s-%llu", name,
			 (unsigned long long)own.st_ino);
	return err;
}

int ecbpf_run_dir_make(void)
{
	return mkdir(ECBPF_RUN_DIR, 0755) && errno != EEXIST ? -errno : 0;
}

int ecbpf_run_write(const char *path, mode_t mode, const void *data, size_t size)
{
	char work[PATH_MAX + 16];
	int fd, err = ecbpf_run_dir_make();
	ssize_t written;

	if (err)
		return err;
	snprintf(work, sizeof(work), "%s.%d", path, getpid());
	unlink(work); /* of a process that was killed */
	fd = open(work, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	written = write(fd, data, size);
	if (written != (ssize_t)size)
		err = written < 0 ? -errno : -ENOSPC;
	if (close(fd) && !err)
		err = -errno;
	if (!err && rename(work, path))
		err = -errno;
	if (err)
		unlink(work);
	return err;
}
