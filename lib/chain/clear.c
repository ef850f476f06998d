// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Setting the counters of an interface's programs to zero. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "bpf/fused.h"
#include "bpf/map.h"
#include "chain/clear.h"
#include "core/handle.h"

static int member_clear(const struct ecbpf_member *member, __u32 stage)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(member->id);
	struct fused_layout layout = {};
	int err = 0;

	if (fd < 0)
		return 0; /* unloaded meanwhile */
	if (!strcmp(member->name, "ecbpf_fused"))
		err = ecbpf_fused_layout(fd, &layout);
	for (size_t slot = 0; slot < member->stages_count && !err; slot++) {
		if (!stage || member->stages[slot].stage == stage)
			err = ecbpf_percpu_zero(fd, "counters", layout.counters[slot]);
	}
	if (!err && member->has_count && (!stage || stage == ECBPF_STAGE_COUNT))
		err = ecbpf_percpu_zero(fd, "count_protocols", -1);
	return err;
}

int ecbpf_counters_clear_stage(struct ecbpf *e, const char *iface, __u32 stage)
{
	struct ecbpf_chain *chain;
	int err;

	err = ecbpf_chain_get(e, iface, &chain);
	if (err)
		return err;
	for (size_t i = 0; i < chain->members_count && !err; i++) {
		const struct ecbpf_member *member = &chain->members[i];

		if (!member->is_ours || member->schema != ECBPF_SCHEMA)
			continue;
		err = member_clear(member, stage);
		if (err)
			ecbpf_fail(e, err, "%s: cannot clear counters of %s: %s", iface,
				   member->name, strerror(-err));
	}
	ecbpf_chain_free(chain);
	return err;
}

int ecbpf_counters_clear(struct ecbpf *e, const char *iface)
{
	return ecbpf_counters_clear_stage(e, iface, ECBPF_STAGE_NONE);
}
