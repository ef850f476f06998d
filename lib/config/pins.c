// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Whether a map of ours exists; asking does not make it */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "bpf/bpffs.h"
#include "chain/lost.h"
#include "config/conf.h"
#include "core/error.h"

int conf_is_pinned(struct ecbpf *e, const char *map)
{
	char path[PATH_MAX];
	int err;

	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = ecbpf_pin_path(e, path, sizeof(path), map);
	return err ? err : ecbpf_is_there(e, path);
}

int conf_has_map(struct ecbpf *e, const char *map)
{
	char stage[16];
	int err = conf_is_pinned(e, map);

	if (err || e->renews_maps)
		return err;
	snprintf(stage, sizeof(stage), "%.*s", (int)strcspn(map, "_"), map);
	return ecbpf_lost_check(e, stage) ?: conf_is_pinned(e, map);
}
