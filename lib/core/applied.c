// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * When a configuration was last applied: one line for each network namespace, "TIME IS_OK" in
 * /run/ecbpf/applied-INODE.
 */
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "core/applied.h"
#include "core/run_dir.h"

#define NAME "applied"

void applied_note(bool is_ok)
{
	char path[PATH_MAX], work[PATH_MAX];
	long long when = time(NULL);
	bool is_written = false;
	FILE *out;

	if (!is_ok)
		applied_read(&when);
	if (ecbpf_run_path(NAME, path) || ecbpf_run_dir_make())
		return;
	snprintf(work, sizeof(work), "%.64s.%d", path, getpid());
	out = fopen(work, "wxe");
	if (out) {
		is_written = fprintf(out, "%lld %d\n", when, is_ok) > 0;
		is_written &= !fclose(out);
	}
	if (out && (!is_written || rename(work, path)))
		unlink(work);
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
