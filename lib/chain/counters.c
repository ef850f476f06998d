// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counters of loaded programs. They are found through the program itself (its maps, by name), not
 * through pins: they live exactly as long as the program does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bpf/fused.h"
#include "bpf/info.h"
#include "bpf/percpu.h"
#include "chain/counters.h"
#include "core/handle.h"

static void count_sum(int prog_fd, struct ecbpf_member *member)
{
	_cleanup_close_ int fd = -1;
	struct bpf_map_info map;

	fd = ecbpf_prog_map(prog_fd, "count_protocols", &map);
	if (fd < 0 || map.value_size != sizeof(struct ecbpf_count) ||
	    map.max_entries != ECBPF_COUNT_MAX)
		return;
	for (__u32 class = 0; class < ECBPF_COUNT_MAX; class ++) {
		if (ecbpf_percpu_sum(fd, class, &member->count[class],
				     sizeof(member->count[class])))
			return;
	}
	member->has_count = true;
}

static __u8 stage_by_program(const char *name)
{
#define X(value, NAME, stage, prio, text)   \
	if (!strcmp(name, "ecbpf_" #stage)) \
		return value;
	ECBPF_STAGES(X)
#undef X
	return ECBPF_STAGE_NONE;
}

int ecbpf_counters_read(struct ecbpf *e, int prog_fd, struct ecbpf_member *member)
{
	struct fused_layout layout = {};
	_cleanup_close_ int fd = -1;
	struct bpf_map_info map;
	int err;

	fd = ecbpf_prog_map(prog_fd, "counters", &map);
	if (fd < 0)
		return ecbpf_fail(e, fd, "%s: its map 'counters' is missing", member->name);
	if (!strcmp(member->name, "ecbpf_fused")) {
		err = ecbpf_fused_layout(prog_fd, &layout);
		if (err)
			return ecbpf_fail(e, err, "%s: cannot read its stages: %s", member->name,
					  strerror(-err));
	} else {
		layout.stages[0] = stage_by_program(member->name);
	}
	for (__u32 slot = 0; slot < map.max_entries && slot < ECBPF_FUSED_SLOTS; slot++) {
		if (slot && !layout.stages[slot])
			break;
		member->stages[slot].stage = layout.stages[slot];
		err = ecbpf_percpu_sum(fd, layout.counters[slot], &member->stages[slot].counters,
				       sizeof(member->stages[slot].counters));
		if (err)
			return ecbpf_fail(e, err, "%s: cannot read its counters: %s", member->name,
					  strerror(-err));
		member->stages_count = slot + 1;
		if (layout.stages[slot] == ECBPF_STAGE_COUNT)
			count_sum(prog_fd, member);
	}
	return 0;
}
