// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The BPF file system: where it is, our locks in it, and the names of pins.
 *
 *	BPFFS/ecbpf/NAME				maps of ours that programs share
 *	BPFFS/xdp/dispatch-IFINDEX-ID/progN-(prog|link)	libxdp's: members of dispatcher ID
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>
#include "internal.h"

static int format_path(struct ecbpf *e, char *path, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static int format_path(struct ecbpf *e, char *path, size_t size, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(path, size, format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= size)
		return ecbpf_fail(e, -ENAMETOOLONG, "%s: path too long", e->bpffs);
	return 0;
}

/* A directory of ours or of libxdp's that cannot be used */
static int fail_dir(struct ecbpf *e, const char *what, const char *path)
{
	int err = -errno;

	return ecbpf_fail(e, err, "cannot %s %s: %s%s", what, path, strerror(-err),
			  err == -EACCES || err == -EPERM ? " (must be root)" : "");
}

static int make_dir(struct ecbpf *e, const char *name)
{
	char path[PATH_MAX];
	int err;

	err = format_path(e, path, sizeof(path), "%s/%s", e->bpffs, name);
	if (err)
		return err;
	if (mkdir(path, 0700) && errno != EEXIST)
		return fail_dir(e, "make", path);
	return 0;
}

int ecbpf_bpffs_open(struct ecbpf *e, bool make)
{
	const char *path = secure_getenv("LIBXDP_BPFFS");
	struct statfs fs;
	int err;

	if (!path)
		path = "/sys/fs/bpf";
	if (strlen(path) >= sizeof(e->bpffs))
		return ecbpf_fail(e, -ENAMETOOLONG, "LIBXDP_BPFFS: path too long");
	if (statfs(path, &fs) && errno == EACCES)
		return ecbpf_fail(e, -EPERM, "%s: permission denied: must be root", path);
	if (statfs(path, &fs) || (unsigned long)fs.f_type != BPF_FS_MAGIC)
		return ecbpf_fail(e, -ENODEV,
				  "no BPF file system at %s: 'mount -t bpf bpf %s' makes one", path,
				  path);
	strcpy(e->bpffs, path);
	if (!make)
		return 0;
	err = make_dir(e, "ecbpf");
	return err ? err : make_dir(e, "xdp");
}

static int lock_dir(struct ecbpf *e, const char *name)
{
	char path[PATH_MAX];
	int fd, err;

	err = format_path(e, path, sizeof(path), "%s/%s", e->bpffs, name);
	if (err)
		return err;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_dir(e, "open", path);
	while (flock(fd, LOCK_EX)) {
		if (errno == EINTR)
			continue;
		err = fail_dir(e, "lock", path);
		close(fd);
		return err;
	}
	return fd;
}

int ecbpf_lock(struct ecbpf *e)
{
	return lock_dir(e, "ecbpf");
}

int ecbpf_libxdp_lock(struct ecbpf *e)
{
	return lock_dir(e, "xdp");
}

int ecbpf_pin_path(struct ecbpf *e, char *path, size_t size, const char *name)
{
	return format_path(e, path, size, "%s/ecbpf/%s", e->bpffs, name);
}

int ecbpf_dispatcher_path(struct ecbpf *e, char *path, size_t size, int ifindex, __u32 id)
{
	return format_path(e, path, size, "%s/xdp/dispatch-%d-%u", e->bpffs, ifindex, id);
}

int ecbpf_member_path(struct ecbpf *e, char *path, size_t size, int ifindex, __u32 id, int slot,
		      const char *what)
{
	return format_path(e, path, size, "%s/xdp/dispatch-%d-%u/prog%d-%s", e->bpffs, ifindex, id,
			   slot, what);
}

int ecbpf_unpin_dispatcher(struct ecbpf *e, int ifindex, __u32 id)
{
	char path[PATH_MAX];
	int err;

	for (int slot = 0; slot < DISPATCHER_MEMBERS; slot++) {
		err = ecbpf_member_path(e, path, sizeof(path), ifindex, id, slot, "link");
		if (err)
			return err;
		if (unlink(path) && errno != ENOENT)
			return ecbpf_fail(e, -errno, "cannot remove %s: %s", path, strerror(errno));
		err = ecbpf_member_path(e, path, sizeof(path), ifindex, id, slot, "prog");
		if (err)
			return err;
		if (unlink(path) && errno != ENOENT)
			return ecbpf_fail(e, -errno, "cannot remove %s: %s", path, strerror(errno));
	}
	err = ecbpf_dispatcher_path(e, path, sizeof(path), ifindex, id);
	if (err)
		return err;
	if (rmdir(path) && errno != ENOENT)
		return ecbpf_fail(e, -errno, "cannot remove %s: %s", path, strerror(errno));
	return 0;
}

int ecbpf_for_each_dispatcher(struct ecbpf *e, ecbpf_dispatcher_fn fn, void *data)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int err;
	DIR *dir;

	err = format_path(e, path, sizeof(path), "%s/xdp", e->bpffs);
	if (err)
		return err;
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT
			       ? 0
			       : ecbpf_fail(e, -errno, "cannot read %s: %s", path, strerror(errno));
	while (!err && (entry = readdir(dir))) {
		int ifindex;
		char rest;
		__u32 id;

		if (sscanf(entry->d_name, "dispatch-%d-%u%c", &ifindex, &id, &rest) == 2)
			err = fn(e, ifindex, id, data);
	}
	closedir(dir);
	return err;
}
