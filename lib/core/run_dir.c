// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The directory of what ends with the boot, see run_dir.h. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include "core/netns.h"
#include "core/run_dir.h"

int ecbpf_run_path(const char *name, char ret_path[PATH_MAX])
{
	struct stat own;
	int err = ecbpf_netns_own(&own);

	if (!err)
		snprintf(ret_path, PATH_MAX, ECBPF_RUN_DIR "/%.64s-%llu", name,
			 (unsigned long long)own.st_ino);
	return err;
}

int ecbpf_run_dir_make(void)
{
	return mkdir(ECBPF_RUN_DIR, 0755) && errno != EEXIST ? -errno : 0;
}
