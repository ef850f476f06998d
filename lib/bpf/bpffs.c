// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The BPF file system: where it is, our locks in it, and the names of pins.
 *
 *	BPFFS/ecbpf/NAME				maps of ours that programs share
 *	BPFFS/ecbpf/dispatch-IFINDEX-ID -> net:[INODE]	network namespace of a dispatcher of ours
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
#include "core/internal.h"

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

/*
 * Interface numbers mean nothing outside of their network namespace, and namespaces may share a BPF
 * file system: who cleans up in one must leave the pins of another alone.
 */
static int netns_path(struct ecbpf *e, char *path, size_t size, int ifindex, __u32 id)
{
	return format_path(e, path, size, "%s/ecbpf/dispatch-%d-%u", e->bpffs, ifindex, id);
}

static int netns_read(const char *path, char *ret, size_t size)
{
	ssize_t len = readlink(path, ret, size - 1);

	if (len < 0)
		return -errno;
	ret[len] = '\0';
	return 0;
}

int ecbpf_netns_mark(struct ecbpf *e, int ifindex, __u32 id)
{
	char path[PATH_MAX], netns[NETNS_SIZE];
	int err;

	err = netns_read("/proc/self/ns/net", netns, sizeof(netns));
	if (err)
		return ecbpf_fail(e, err, "/proc/self/ns/net: %s", strerror(-err));
	err = netns_path(e, path, sizeof(path), ifindex, id);
	if (!err && symlink(netns, path))
		err = ecbpf_fail(e, -errno, "cannot make %s: %s", path, strerror(errno));
	return err;
}

bool ecbpf_netns_is_other(struct ecbpf *e, int ifindex, __u32 id, char *ret_netns)
{
	char path[PATH_MAX], netns[NETNS_SIZE];

	return !netns_path(e, path, sizeof(path), ifindex, id) &&
	       !netns_read(path, ret_netns, NETNS_SIZE) &&
	       !netns_read("/proc/self/ns/net", netns, sizeof(netns)) && strcmp(netns, ret_netns);
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
	err = netns_path(e, path, sizeof(path), ifindex, id);
	if (err)
		return err;
	if (unlink(path) && errno != ENOENT)
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

int ecbpf_for_each_pin(struct ecbpf *e, ecbpf_pin_fn fn, void *data)
{
	char path[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	int err;
	DIR *dir;

	err = ecbpf_pin_path(e, path, sizeof(path), "");
	if (err)
		return err;
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT
			       ? 0
			       : ecbpf_fail(e, -errno, "cannot read %s: %s", path, strerror(errno));
	while (!err && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		err = ecbpf_pin_path(e, path, sizeof(path), entry->d_name);
		if (!err && !lstat(path, &st))
			err = fn(e, path, S_ISLNK(st.st_mode), data);
	}
	closedir(dir);
	return err;
}

bool ecbpf_map_is_used(__u32 map_id)
{
	__u32 id = 0;

	while (!bpf_prog_get_next_id(id, &id)) {
		_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
		struct bpf_prog_info info = {};
		__u32 ids[64];

		if (fd < 0)
			continue;
		info.map_ids = (unsigned long)ids;
		info.nr_map_ids = ARRAY_SIZE(ids);
		if (ecbpf_prog_info(fd, &info))
			continue;
		for (__u32 i = 0; i < info.nr_map_ids && i < ARRAY_SIZE(ids); i++) {
			if (ids[i] == map_id)
				return true;
		}
	}
	return false;
}

static int pin_is_used(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	bool *used = data;
	int fd;

	(void)e;
	if (is_symlink || *used)
		return 0;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0; /* a directory; unpin_one() leaves it */
	*used = bpf_obj_get_info_by_fd(fd, &info, &len) || ecbpf_map_is_used(info.id);
	close(fd);
	return 0;
}

bool ecbpf_pins_are_used(struct ecbpf *e)
{
	bool used = false;

	return ecbpf_for_each_pin(e, pin_is_used, &used) || used;
}

static int unpin_one(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	(void)data;
	if (!is_symlink && unlink(path) && errno != EISDIR && errno != EPERM && errno != ENOENT)
		return ecbpf_fail(e, -errno, "cannot remove %s: %s", path, strerror(errno));
	return 0;
}

int ecbpf_unpin_maps(struct ecbpf *e)
{
	return ecbpf_for_each_pin(e, unpin_one, NULL);
}
