// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The BPF file system: where it is, and paths in it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include "bpf/bpffs.h"
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

	return ecbpf_fail(e, err, "cannot %s %s: %s%s", what, path, strerror(-err),
			  err == -EACCES || err == -EPERM ? " (must be root)" : "");
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

int ecbpf_pin_path(struct ecbpf *e, char *path, size_t size, const char *name)
{
	return ecbpf_path_format(e, path, size, "%s/ecbpf/%s", e->bpffs, name);
}
