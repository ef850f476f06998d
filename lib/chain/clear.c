// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Setting the counters of an interface's programs to zero. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "bpf/fused.h"
#include "bpf/info.h"
#include "bpf/percpu.h"
#include "chain/clear.h"
#include "core/handle.h"

/* Entries of a map of a program that may have gone meanwhile */
static int map_zero(int prog_fd, const char *name, __u32 key, __u32 count)
{
	_cleanup_close_ int fd = ecbpf_prog_map(prog_fd, name, NULL);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	return ecbpf_percpu_zero(fd, key, count);
}

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
			err = map_zero(fd, "counters", layout.counters[slot], 1);
	}
	if (!err && member->has_count && (!stage || stage == ECBPF_STAGE_COUNT))
		err = map_zero(fd, "count_protocols", 0, ECBPF_COUNT_MAX);
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
