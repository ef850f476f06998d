// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Whether a map of ours exists; asking does not make it */
#include <limits.h>
#include <sys/stat.h>
#include "bpf/bpffs.h"
#include "config/conf.h"

int conf_is_pinned(struct ecbpf *e, const char *map)
{
	char path[PATH_MAX];
	struct stat st;
	int err;

	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = ecbpf_pin_path(e, path, sizeof(path), map);
	return err ? err : !stat(path, &st);
}
