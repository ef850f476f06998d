// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * `fw_active`: which generation is live, until when, and panic. See struct ecbpf_fw_live.
 */
#include <errno.h>
#include <string.h>
#include <bpf/bpf.h>
#include "bpf/jiffies.h"
#include "core/handle.h"
#include "core/time.h"
#include "fw/live.h"

int fw_live_store(struct ecbpf *e, const struct fw_maps *maps, const struct ecbpf_fw_live *live)
{
	__u32 key = 0;

	/* what was written to the memory of maps comes first */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return bpf_map_update_elem(maps->active, &key, live, BPF_ANY)
		       ? fw_fail_map(e, "fw_active", -errno)
		       : 0;
}

static int stored_get(struct ecbpf *e, const struct fw_maps *maps, struct ecbpf_fw_live *ret)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(maps->active, &key, ret) ? fw_fail_map(e, "fw_active", -errno)
							    : 0;
}

int fw_live_get(struct ecbpf *e, const struct fw_maps *maps, struct fw_live *ret)
{
	struct fw_live now = {};
	__u64 jiffies = 0;
	int err = stored_get(e, maps, &now.stored);

	if (err)
		return err;
	now.generation = now.stored.word & ECBPF_FW_GENERATION;
	if (now.stored.word & ECBPF_FW_LIVE_UNCONFIRMED) {
		err = ecbpf_jiffies(e, &jiffies);
		if (err)
			return err;
		now.left = (__s64)(now.stored.deadline - jiffies);
		now.waits = now.left > 0;
		now.is_over = !now.waits;
		if (now.is_over)
			now.generation = now.stored.before & ECBPF_FW_GENERATION;
	}
	*ret = now;
	return 0;
}

int fw_active_get(struct ecbpf *e, const struct fw_maps *maps, __u32 *ret_active)
{
	struct fw_live now = {};
	int err = fw_live_get(e, maps, &now);

	if (!err)
		*ret_active = now.generation;
	return err;
}

int fw_active_set(struct ecbpf *e, const struct fw_maps *maps, __u32 generation)
{
	struct ecbpf_fw_live live = {};
	int err = stored_get(e, maps, &live);

	if (err)
		return err;
	live.word = generation | (live.word & ECBPF_FW_LIVE_PANIC);
	return fw_live_store(e, maps, &live);
}

int fw_active_set_for(struct ecbpf *e, const struct fw_maps *maps, __u32 generation, __u32 before,
		      __u32 seconds)
{
	struct ecbpf_fw_live live = {};
	__u64 jiffies = 0;
	int err;

	err = stored_get(e, maps, &live);
	if (!err)
		err = ecbpf_jiffies(e, &jiffies);
	if (err)
		return err;
	live.before = before;
	live.deadline = jiffies + (__u64)seconds * ecbpf_hz();
	err = fw_live_store(e, maps, &live); /* not looked at yet */
	live.word = generation | (live.word & ECBPF_FW_LIVE_PANIC) | ECBPF_FW_LIVE_UNCONFIRMED;
	return err ?: fw_live_store(e, maps, &live);
}

__u32 fw_live_left(const struct fw_live *now)
{
	__u32 hz = ecbpf_hz();

	return now->waits ? (now->left + hz - 1) / hz : 0;
}

int fw_live_check(struct ecbpf *e, const struct fw_live *now)
{
	if (!now->waits)
		return 0;
	return ecbpf_fail(e, -EBUSY,
			  "a change of the rules waits for 'ecbpf-fw confirm', for another %u s: "
			  "confirm it, or take it back by 'ecbpf-fw undo', before others",
			  fw_live_left(now));
}
