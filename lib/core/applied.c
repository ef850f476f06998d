// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * When a configuration was last applied: one line for each network namespace, "TIME IS_OK" in
 * /run/ecbpf/applied-INODE.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "core/applied.h"
#include "core/handle.h"
#include "core/run_dir.h"

#define NAME "applied"

/* Return: 0 or -errno */
static int note(const char *path, long long when, bool is_ok)
{
	char work[PATH_MAX];
	int err = 0;
	FILE *out;

	snprintf(work, sizeof(work), "%.64s.%d", path, getpid());
	out = fopen(work, "wxe");
	if (!out)
		return -errno;
	if (fprintf(out, "%lld %d\n", when, is_ok) < 0)
		err = -errno;
	if (fclose(out) && !err)
		err = -errno;
	if (!err && rename(work, path))
		err = -errno;
	if (err)
		unlink(work);
	return err;
}

void applied_note(struct ecbpf *e, bool is_ok)
{
	long long when = time(NULL);
	char path[PATH_MAX];
	int err;

	if (!is_ok)
		applied_read(&when);
	err = ecbpf_run_path(NAME, path);
	if (err)
		return;
	err = ecbpf_run_dir_make() ?: note(path, when, is_ok);
	/* who may not write there has been told so, if it failed */
	if (err && (is_ok || (err != -EACCES && err != -EPERM)))
		ecbpf_log(e, ECBPF_LOG_WARN, "%s: %s: doctor and metrics do not know of this apply",
			  path, strerror(-err));
}

bool applied_read(long long *ret_when)
{
	char path[PATH_MAX];
	int is_ok = 0;
	FILE *file;

	*ret_when = 0;
	file = ecbpf_run_path(NAME, path) ? NULL : fopen(path, "re");
	if (!file)
		return false;
	if (fscanf(file, "%lld %d", ret_when, &is_ok) != 2)
		is_ok = 0;
	fclose(file);
	return is_ok;
}
