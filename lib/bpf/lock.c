// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Exclusive locks on the directories of pins. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#include "bpf/bpffs.h"
#include "bpf/lock.h"
#include "core/handle.h"
#include "core/privilege.h"

#define STEP_MS	   20
#define TELL_MS	   1000 /* before it is said who is waited for */
#define GIVE_UP_MS 60000
#define NAME_SIZE  96

/* "ecbpf-fw apply": the name of the process, and its first argument. Others choose these, too */
static void command_name(int pid, char *ret, size_t size)
{
	char path[64], line[256] = "", *arg, *name = line;
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	file = fopen(path, "re");
	len = file ? fread(line, 1, sizeof(line) - 2, file) : 0;
	if (file)
		fclose(file);
	line[len] = line[len + 1] = '\0';
	arg = line + strlen(line) + 1;
	if (strrchr(line, '/'))
		name = strrchr(line, '/') + 1;
	snprintf(ret, size, "%.32s%s%.32s", *name ? name : "process", *arg ? " " : "", arg);
	for (char *c = ret; *c; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
}

/* Whoever has the lock, as /proc/locks tells it: "ecbpf-fw apply (pid 123)" */
static void holder_name(int fd, char *ret, size_t size)
{
	FILE *locks = fopen("/proc/locks", "re");
	unsigned int dev_major, dev_minor;
	char line[256], name[NAME_SIZE];
	unsigned long long inode;
	struct stat st;
	int pid;

	snprintf(ret, size, "another process");
	if (!locks)
		return;
	while (!fstat(fd, &st) && fgets(line, sizeof(line), locks)) {
		if (sscanf(line, "%*s FLOCK %*s %*s %d %x:%x:%llu", &pid, &dev_major, &dev_minor,
			   &inode) != 4 ||
		    inode != st.st_ino || makedev(dev_major, dev_minor) != st.st_dev || pid <= 0)
			continue;
		command_name(pid, name, sizeof(name));
		snprintf(ret, size, "%s (pid %d)", name, pid);
		break;
	}
	fclose(locks);
}

/* As flock(), but after a second it says whom it waits for, and does not wait for ever */
static int lock_wait(struct ecbpf *e, int fd, const char *path)
{
	char name[NAME_SIZE + 32];

	for (int ms = 0; flock(fd, LOCK_EX | LOCK_NB); ms += STEP_MS) {
		if (errno != EWOULDBLOCK)
			return ecbpf_fail_dir(e, "lock", path);
		if (ms == TELL_MS || ms >= GIVE_UP_MS)
			holder_name(fd, name, sizeof(name));
		if (ms == TELL_MS)
			ecbpf_log(e, ECBPF_LOG_WARN, "waiting for %s, which has locked %s", name,
				  path);
		if (ms >= GIVE_UP_MS)
			return ecbpf_fail(
				e, -ETIMEDOUT,
				"gave up after %d s: %s has locked %s: nothing is changed",
				ms / 1000, name, path);
		nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
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
	/* libxdp's can be a link of root: see ecbpf_bpffs_check_dir() */
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ecbpf_fail_dir(e, "open", path);
	err = ecbpf_bpffs_check_dir(e, path);
	if (!err)
		err = lock_wait(e, fd, path);
	if (err)
		close(fd);
	return err ? err : fd;
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

int ecbpf_lock_find(struct ecbpf *e)
{
	int err = ecbpf_require(e, ECBPF_NEEDS_IDS);

	if (!err)
		err = ecbpf_bpffs_open(e, false);
	return err ? err : ecbpf_lock(e);
}

int ecbpf_lock_make(struct ecbpf *e)
{
	int err = ecbpf_require(e, ECBPF_NEEDS_IDS);

	if (!err)
		err = ecbpf_bpffs_open(e, true);
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
