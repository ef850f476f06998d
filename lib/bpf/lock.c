// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Exclusive locks on the directories of pins. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "bpf/bpffs.h"
#include "bpf/lock.h"
#include "core/handle.h"

#define WAIT_MS 1000 /* before it is said */

/* Process and name of the one that has the lock, as /proc/locks tells it; else "another process" */
static void holder_name(int fd, char *ret, size_t size)
{
	FILE *locks = fopen("/proc/locks", "re");
	char line[256], path[64], name[32] = "";
	unsigned long long inode;
	struct stat st;
	int pid;

	snprintf(ret, size, "another process");
	if (!locks)
		return;
	while (!fstat(fd, &st) && fgets(line, sizeof(line), locks)) {
		if (sscanf(line, "%*s FLOCK %*s %*s %d %*x:%*x:%llu", &pid, &inode) != 2 ||
		    inode != st.st_ino || pid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		fclose(locks);
		locks = fopen(path, "re");
		if (locks && fgets(name, sizeof(name), locks))
			name[strcspn(name, "\n")] = '\0';
		snprintf(ret, size, "process %d%s%s%s", pid, *name ? " (" : "", name,
			 *name ? ")" : "");
		break;
	}
	if (locks)
		fclose(locks);
}

/* As flock(), but after a second it says who has the lock, and goes on waiting */
static int lock_wait(struct ecbpf *e, int fd, const char *path)
{
	char name[64];

	for (int ms = 0; ms < WAIT_MS; ms += 20) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK)
			return -1;
		nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000L}, NULL);
	}
	holder_name(fd, name, sizeof(name));
	ecbpf_log(e, ECBPF_LOG_WARN, "waiting for %s, which has locked %s", name, path);
	while (flock(fd, LOCK_EX)) {
		if (errno != EINTR)
			return -1;
	}
	return 0;
}

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
	if (lock_wait(e, fd, path)) {
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

int ecbpf_lock_make(struct ecbpf *e)
{
	int err = ecbpf_bpffs_open(e, true);

	return err ? err : ecbpf_lock(e);
}

int ecbpf_lock_hold(struct ecbpf *e)
{
	int fd;

	if (!e->holds) {
		fd = ecbpf_lock_make(e);
		if (fd < 0)
			return fd;
		e->held = fd + 1;
	}
	e->holds++;
	return 0;
}

void ecbpf_lock_release(struct ecbpf *e)
{
	if (--e->holds)
		return;
	close(e->held - 1);
	e->held = 0;
}

int ecbpf_libxdp_lock(struct ecbpf *e)
{
	return lock_dir(e, "xdp");
}
