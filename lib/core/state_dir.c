// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The directory of what outlives a reboot, see state_dir.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/handle.h"
#include "core/state_dir.h"

const char *ecbpf_state_dir(void)
{
	const char *dir = getenv("ECBPF_STATE_DIR");

	return dir && *dir ? dir : "/var/lib/ecbpf";
}

int ecbpf_state_dir_open(struct ecbpf *e, const char *name, char *ret_path)
{
	struct stat st;
	int fd;

	if (snprintf(ret_path, PATH_MAX, "%s/%s", ecbpf_state_dir(), name) >= PATH_MAX)
		return ecbpf_fail(e, -ENAMETOOLONG, "%s: too long a name", ecbpf_state_dir());
	fd = open(ret_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return ecbpf_fail(e, -errno, "%s: %s", ret_path, strerror(errno));
	if (!fstat(fd, &st) && st.st_uid == geteuid() && !(st.st_mode & 022))
		return fd;
	close(fd);
	return ecbpf_fail(e, -EPERM, "%s: others may write to it: chown root, chmod 0700",
			  ret_path);
}

int ecbpf_state_dir_make(struct ecbpf *e, const char *name, char *ret_path)
{
	const char *dir = ecbpf_state_dir();
	int fd = ecbpf_state_dir_open(e, name, ret_path);

	if (fd != -ENOENT)
		return fd;
	if (mkdir(dir, 0700) && errno != EEXIST)
		return ecbpf_fail(e, -errno, "cannot make %s: %s", dir, strerror(errno));
	if (mkdir(ret_path, 0700) && errno != EEXIST)
		return ecbpf_fail(e, -errno, "cannot make %s: %s", ret_path, strerror(errno));
	fd = ecbpf_state_dir_open(e, name, ret_path);
	return fd == -ENOENT ? ecbpf_fail(e, fd, "%s: %s", ret_path, strerror(ENOENT)) : fd;
}
