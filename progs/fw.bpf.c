// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage fw: a firewall. User space compiles the rules to tables (<ecbpf/fw.h>, lib/fw/compile.c).
 * The fields of a packet are looked up in them, at a cost that hardly depends on the number of
 * rules. Malformed packets get the verdict of ecbpf_malformed(), packets that are not IP pass.
 * Place in the chain: early, behind the filter (default priority 20).
 */
#include <ecbpf/stage.bpf.h>
#include "fw_maps.bpf.h"
#include "fw_packet.bpf.h"
#include "fw_generation.bpf.h"
#include "fw_class.bpf.h"
#include "fw_set.bpf.h"
#include "fw_rule.bpf.h"
#include "fw_small.bpf.h"
#include "fw_large.bpf.h"

static __always_inline __u32 fw_verdict(__u32 rule)
{
	__u32 rank = (rule >> ECBPF_FW_RULE_INDEX) + 1;

	if (rule == FW_UNDECIDED)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	switch (rule & ECBPF_FW_RULE_ACTION) {
	case ECBPF_FW_RULE_PASS:
		return ECBPF_VERDICT_RULE(XDP_PASS, ECBPF_REASON_NONE, rank);
	case ECBPF_FW_RULE_LIMIT:
		return ECBPF_VERDICT_RULE(XDP_DROP, ECBPF_REASON_FW_LIMIT, rank);
	default:
		return ECBPF_VERDICT_RULE(XDP_DROP, ECBPF_REASON_FW_DROP, rank);
	}
}

static __always_inline __u32 fw_stage(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	__u32 zero = 0, live, rule, verdict, *active;
	struct fw_packet *p;

	if (rec->reason)
		return ecbpf_malformed(rec);
	if (!rec->version)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	active = bpf_map_lookup_elem(&fw_active, &zero);
	live = active ? *(volatile __u32 *)active : ECBPF_FW_NONE;
	if (!live)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	if ((live & ~ECBPF_FW_SLOT) == ECBPF_FW_SMALL) {
		verdict = fw_small_try(ctx, rec, live);
		return verdict == FW_SLOW ? fw_match_small_slow(live) : verdict;
	}
	p = fw_packet_set(ctx, rec);
	if (!p)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	rule = fw_match(live);
	if (p->pending_count)
		rule = fw_pending(live, rule);
	return fw_verdict(rule);
}

ECBPF_STAGE_PROGRAM(fw, FW);
