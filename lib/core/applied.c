// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * When a configuration was last applied: one line for each network namespace, "TIME IS_OK" in
 * /run/ecbpf/applied-INODE.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "core/applied.h"

#define DIR "/run/ecbpf"

static bool applied_path(char path[PATH_MAX])
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st))
		return false;
	snprintf(path, PATH_MAX, DIR "/applied-%llu", (unsigned long long)st.st_ino);
	return true;
}

void applied_note(bool is_ok)
{
	char path[PATH_MAX], work[PATH_MAX];
	long long when = time(NULL);
	bool is_written = false;
	FILE *out;

	if (!is_ok)
		applied_read(&when);
	if (!applied_path(path) || (mkdir(DIR, 0755) && errno != EEXIST))
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
	file = applied_path(path) ? fopen(path, "re") : NULL;
	if (!file)
		return false;
	if (fscanf(file, "%lld %d", ret_when, &is_ok) != 2)
		is_ok = 0;
	fclose(file);
	return is_ok;
}
