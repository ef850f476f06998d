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
#include "core/applied.h"
#include "core/handle.h"
#include "core/run_dir.h"

#define NAME "applied"

void applied_note(struct ecbpf *e, bool is_ok)
{
	long long when = time(NULL);
	char path[PATH_MAX], text[32];
	int err;

	if (!is_ok)
		applied_read(&when);
	err = ecbpf_run_path(NAME, path);
	if (err)
		return;
	snprintf(text, sizeof(text), "%lld %d\n", when, is_ok);
	err = ecbpf_run_write(path, 0644, text, strlen(text));
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
