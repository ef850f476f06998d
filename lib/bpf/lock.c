// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Exclusive locks on the directories of pins. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "bpf/bpffs.h"
#include "bpf/lock.h"
#include "core/handle.h"

static int lock_dir(struct ecbpf *e, const char *name)
{
	char path[PATH_MAX];
	int fd, err;

	err = ecbpf_path_format(e, path, sizeof(path), "%s/%s", e->bpffs, name);
	if (err)
		return err;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ecbpf_fail_dir(e, "open", path);
	while (flock(fd, LOCK_EX)) {
		if (errno == EINTR)
			continue;
		err = ecbpf_fail_dir(e, "lock", path);
		close(fd);
		return err;
	}
	return fd;
}

int ecbpf_lock(struct ecbpf *e)
{
	int fd;

	if (!e->held)
		return lock_dir(e, "ecbpf");
	/* all of them are one lock, which ends with the last */
	fd = fcntl(e->held - 1, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? ecbpf_fail(e, -errno, "cannot lock: %s", strerror(errno)) : fd;
}

int ecbpf_lock_hold(struct ecbpf *e)
{
	int fd = ecbpf_lock(e);

	if (fd < 0)
		return fd;
	e->held = fd + 1;
	return 0;
}

void ecbpf_lock_release(struct ecbpf *e)
{
	close(e->held - 1);
	e->held = 0;
}

int ecbpf_libxdp_lock(struct ecbpf *e)
{
	return lock_dir(e, "xdp");
}
