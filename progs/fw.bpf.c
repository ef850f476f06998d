// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage fw: a firewall. User space compiles the rules to tables (<ecbpf/fw.h>, lib/fw/compile.c).
 * The fields of a packet are looked up in them, at a cost that hardly depends on the number of
 * rules. Malformed packets are taken by rules that ask for them, else by the setting `malformed`.
 * Frames that are not IP pass; other link layers, which may carry IP, by the setting
 * `not-inspected`.
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

static __always_inline const struct ecbpf_fw_settings *fw_settings_get(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&fw_settings, &key);
}

/* @verdict: of the rules, which have a number if one decided. Return: a verdict with the reason */
__noinline __u32 fw_malformed(__u32 verdict, __u32 reason)
{
	const struct ecbpf_fw_settings *settings = fw_settings_get();
	__u32 action = XDP_DROP;

	if (verdict >> 16)
		return (verdict & ~(__u32)ECBPF_VERDICT(0, 0xff)) |
		       ECBPF_VERDICT(0, reason & ECBPF_REASON_MALFORMED_LAST);
	if (settings && *(volatile __u32 *)&settings->malformed == XDP_PASS)
		action = XDP_PASS;
	return ECBPF_VERDICT(action, reason & ECBPF_REASON_MALFORMED_LAST);
}

/* A frame that is not IP; @live: a ruleset is */
__noinline __u32 fw_not_inspected(__u32 ethertype, __u32 live)
{
	const struct ecbpf_fw_settings *settings = fw_settings_get();
	__u32 reason = ecbpf_link_reason(ethertype), action = XDP_PASS;

	if (reason && live && settings && *(volatile __u32 *)&settings->not_inspected == XDP_DROP)
		action = XDP_DROP;
	return ECBPF_VERDICT(action, reason);
}

/*
 * Of a word with flags. Return: the generation that is live now, or ECBPF_FW_LIVE_DROP. Jiffies
 * cost nothing to read, and a deadline may be a tick late
 */
__noinline __u32 fw_live_by_flags(__u32 word)
{
	const struct ecbpf_fw_live *active;
	__u32 zero = 0;

	if (word & ECBPF_FW_LIVE_DROP)
		return ECBPF_FW_LIVE_DROP;
	if (word & ECBPF_FW_LIVE_PASS)
		return ECBPF_FW_NONE;
	active = bpf_map_lookup_elem(&fw_active, &zero);
	if (active && word & ECBPF_FW_LIVE_UNCONFIRMED &&
	    (__s64)(bpf_jiffies64() - *(volatile __u64 *)&active->deadline) >= 0)
		word = *(volatile __u32 *)&active->before;
	return word & ECBPF_FW_GENERATION;
}

static __always_inline __u32 fw_search(struct xdp_md *ctx, const struct ecbpf_record *rec,
				       __u32 live)
{
	__u32 rule, verdict;
	struct fw_packet *p;

	if ((live & ~ECBPF_FW_SLOT) == ECBPF_FW_SMALL) {
		verdict = fw_small_try(ctx, rec, live);
		return verdict == FW_SLOW ? fw_match_small_slow(live) : verdict;
	}
	p = fw_packet_set(ctx, rec);
	if (!p)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	rule = fw_match(live, p);
	if (p->pending_count)
		rule = fw_pending(live, rule);
	return fw_verdict(rule);
}

static __always_inline __u32 fw_stage(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	const struct ecbpf_fw_live *active;
	__u32 zero = 0, live;

	active = bpf_map_lookup_elem(&fw_active, &zero);
	live = active ? *(volatile __u32 *)&active->word : ECBPF_FW_NONE;
	if (live > ECBPF_FW_GENERATION) {
		live = fw_live_by_flags(live);
		if (live == ECBPF_FW_LIVE_DROP && (rec->reason || rec->version))
			return ECBPF_VERDICT(XDP_DROP, ECBPF_REASON_FW_PANIC);
	}
	if (!rec->reason && !rec->version)
		return fw_not_inspected(rec->ethertype, live);
	if (!live)
		return rec->reason ? ecbpf_malformed(rec)
				   : ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	if (rec->reason)
		return fw_malformed(fw_search(ctx, rec, live), rec->reason);
	return fw_search(ctx, rec, live);
}

ECBPF_STAGE_PROGRAM(fw, FW);
