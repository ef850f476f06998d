// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Whether a map of ours exists; asking does not make it */
#include <stdio.h>
#include <string.h>
#include "bpf/bpffs.h"
#include "chain/lost.h"
#include "config/conf.h"
#include "core/error.h"

int conf_is_pinned(struct ecbpf *e, const char *map)
{
	return ecbpf_pin_is_there(e, map);
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
