// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage fastpath, as it is, meeting another CPU: at a chosen instant the flow that it has found is
 * replaced, or the hop of its lease, as fastpath_egress would. Two CPUs meet there too seldom for a
 * test.
 */
#include <ecbpf/stage.bpf.h>
#include "../../progs/fastpath.bpf.h"
#include "../../progs/fastpath_partial.bpf.h"
#include "../../progs/fastpath_reset.bpf.h"
#include "../../progs/fastpath_rewrite.bpf.h"
#include "../../progs/fastpath_shield.bpf.h"

enum race_instant {
	RACE_FOUND = 1, /* its key was compared */
	RACE_LEASED,	/* its lease was read */
	RACE_WAITS,	/* the same, and this CPU goes on much later: the hop is another flow's */
};

struct race {
	__u64 instant; /* of enum race_instant */
	struct ecbpf_flow flow;
	struct ecbpf_hop hop;
	__u64 wait;   /* jiffies */
	__u64 waited; /* since then */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct race);
} race SEC(".maps");

static __always_inline struct ecbpf_flow *race_at(struct ecbpf_flow *flow, __u64 instant)
{
	struct race *r;
	__u32 key = 0;

	barrier();
	r = bpf_map_lookup_elem(&race, &key);
	if (flow && r && r->instant == instant) {
		flow->key = r->flow.key;
		flow->lease = r->flow.lease;
	}
	if (flow && r && r->instant == RACE_WAITS && instant == RACE_LEASED) {
		struct ecbpf_hop_entry *entry;

		key = ECBPF_LEASE_HOP(flow->lease);
		entry = bpf_map_lookup_elem(&fastpath_hops, &key);
		if (entry)
			entry->hop = r->hop;
		r->waited = r->wait;
	}
	barrier();
	return flow;
}

static __always_inline __u64 race_jiffies(void)
{
	const struct race *r;
	__u32 key = 0;

	r = bpf_map_lookup_elem(&race, &key);
	return bpf_jiffies64() + (r ? r->waited : 0);
}

#define bpf_jiffies64()	   race_jiffies()
#define fastpath_find(...) race_at(fastpath_find(__VA_ARGS__), RACE_FOUND)
#undef barrier
#define barrier() race_at(flow, RACE_LEASED) /* there is one, in fastpath_decide() */
#include "../../progs/fastpath.bpf.c"
