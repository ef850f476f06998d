// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The BPF file system: where it is, and paths in it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>
#include "bpf/bpffs.h"
#include "bpf/frozen.h"
#include "core/array.h"
#include "core/handle.h"

int ecbpf_path_format(struct ecbpf *e, char *path, size_t size, const char *format, ...)
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
int ecbpf_fail_dir(struct ecbpf *e, const char *what, const char *path)
{
	int err = -errno;
	bool is_denied = err == -EACCES || err == -EPERM;

	return ecbpf_fail(e, is_denied ? -EPERM : err, "cannot %s %s: %s%s", what, path,
			  strerror(-err), is_denied ? " (must be root)" : "");
}

static bool is_trusted(const struct stat *st)
{
	return !st->st_uid || st->st_uid == geteuid();
}

/* Not libxdp's */
static bool is_ours(const char *dir)
{
	return !strcmp(strrchr(dir, '/'), "/ecbpf");
}

/*
 * Pins are trusted, so nobody but root, or the user that this process runs as, may have put them
 * there. @others: what other users must not do. A BPF file system that all may write to is safe
 * after that, if it is sticky: they cannot move or remove this directory.
 */
static int check_dir(struct ecbpf *e, const char *path, mode_t others)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : ecbpf_fail_dir(e, "look at", path);
	/* ip(8) without libbpf makes libxdp's directory a link to its own, "tc" */
	if (S_ISLNK(st.st_mode) && is_trusted(&st) && !is_ours(path) && stat(path, &st))
		return ecbpf_fail_dir(e, "look at", path);
	if (!S_ISDIR(st.st_mode))
		return ecbpf_fail(
			e, -EACCES,
			"%s is not a directory, and not made by ecbpf: mend it by 'rm %s'", path,
			path);
	if (!is_trusted(&st))
		return ecbpf_fail(e, -EACCES,
				  "%s belongs to user %u, whose pins are not trusted: mend it by "
				  "'rm -r %s && chmod 700 %s'",
				  path, st.st_uid, path, e->bpffs);
	if (st.st_mode & others)
		return ecbpf_fail(e, -EACCES,
				  "%s has mode %04o, and other users must not have access: mend it "
				  "by 'chmod 700 %s'",
				  path, st.st_mode & 07777, path);
	return 0;
}

int ecbpf_bpffs_check_dir(struct ecbpf *e, const char *path)
{
	/* whoever can open ours can lock it, too; libxdp's has the mode that libxdp gives it */
	return check_dir(e, path, is_ours(path) ? 0077 : 0022);
}

static int check_root(struct ecbpf *e)
{
	struct stat st;

	if (stat(e->bpffs, &st))
		return ecbpf_fail_dir(e, "look at", e->bpffs);
	if (!is_trusted(&st))
		return ecbpf_fail(e, -EACCES,
				  "%s belongs to user %u, whose pins are not trusted: mend it by "
				  "'chown root %s && chmod 700 %s'",
				  e->bpffs, st.st_uid, e->bpffs, e->bpffs);
	if (st.st_mode & 0022 && !(st.st_mode & S_ISVTX))
		return ecbpf_fail(e, -EACCES,
				  "%s has mode %04o, so that other users can replace its "
				  "directories: mend it by 'chmod 700 %s'",
				  e->bpffs, st.st_mode & 07777, e->bpffs);
	return 0;
}

/* May the pins be trusted? Directories that are missing are fine */
static int check_all(struct ecbpf *e)
{
	static const char *const names[] = {"ecbpf", "xdp"};
	char path[PATH_MAX];
	int err = check_root(e);

	for (size_t i = 0; i < ARRAY_SIZE(names) && !err; i++) {
		err = ecbpf_path_format(e, path, sizeof(path), "%s/%s", e->bpffs, names[i]);
		if (!err)
			err = ecbpf_bpffs_check_dir(e, path);
	}
	return err;
}

static int make_dir(struct ecbpf *e, const char *name)
{
	char path[PATH_MAX];
	int err;

	err = ecbpf_path_format(e, path, sizeof(path), "%s/%s", e->bpffs, name);
	if (err)
		return err;
	if (mkdir(path, 0700) && errno != EEXIST)
		return ecbpf_fail_dir(e, "make", path);
	return ecbpf_bpffs_check_dir(e, path); /* someone else may just have made it */
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
	err = statfs(path, &fs) ? errno : 0;
	if (err == EACCES)
		return ecbpf_fail(e, -EPERM, "%s: permission denied: must be root", path);
	if (err && err != ENOENT && err != ENOTDIR)
		return ecbpf_fail_dir(e, "look at", path);
	if (err || (unsigned long)fs.f_type != BPF_FS_MAGIC)
		return ecbpf_fail(e, -ENODEV,
				  "no BPF file system at %s: 'mount -t bpf -o mode=0700 bpf %s' "
				  "makes one",
				  path, path);
	strcpy(e->bpffs, path);
	e->explain_fn = ecbpf_frozen_explain;
	err = check_all(e);
	if (!err && make)
		err = make_dir(e, "ecbpf");
	if (!err && make)
		err = make_dir(e, "xdp");
	if (err == -EACCES)
		e->bpffs[0] = '\0'; /* nothing there is to be used */
	return err;
}

int ecbpf_pin_path(struct ecbpf *e, char *path, size_t size, const char *name)
{
	return ecbpf_path_format(e, path, size, "%s/ecbpf/%s", e->bpffs, name);
}

int ecbpf_is_there(struct ecbpf *e, const char *path)
{
	struct stat st;

	if (!stat(path, &st))
		return 1;
	return errno == ENOENT ? 0 : ecbpf_fail(e, -errno, "%s: %s", path, strerror(errno));
}

int ecbpf_pin_is_there(struct ecbpf *e, const char *name)
{
	char path[PATH_MAX];
	int err;

	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = ecbpf_pin_path(e, path, sizeof(path), name);
	return err ? err : ecbpf_is_there(e, path);
}
