// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage count: packets and bytes per protocol. An atomic fragment counts as what it carries.
 * Place: late, to see what the other stages let through (default priority 80).
 */
#include <ecbpf/stage.bpf.h>
#include <ecbpf/count.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ECBPF_COUNT_MAX);
	__type(key, __u32);
	__type(value, struct ecbpf_count);
} count_protocols SEC(".maps");

static __always_inline __u32 count_class(const struct ecbpf_record *rec)
{
	bool is_ip6 = rec->version == 6;

	if (rec->reason)
		return ECBPF_COUNT_MALFORMED;
	if (!rec->version)
		return rec->ethertype == bpf_htons(ETH_P_ARP) ? ECBPF_COUNT_ARP : ECBPF_COUNT_OTHER;
	if (rec->frag == ECBPF_FRAG_FIRST || rec->frag == ECBPF_FRAG_LATER)
		return is_ip6 ? ECBPF_COUNT_IP6_FRAG : ECBPF_COUNT_IP_FRAG;
	if (rec->proto == IPPROTO_TCP)
		return is_ip6 ? ECBPF_COUNT_IP6_TCP : ECBPF_COUNT_IP_TCP;
	if (rec->proto == IPPROTO_UDP)
		return is_ip6 ? ECBPF_COUNT_IP6_UDP : ECBPF_COUNT_IP_UDP;
	if (is_ip6)
		return rec->proto == IPPROTO_ICMPV6 ? ECBPF_COUNT_IP6_ICMP : ECBPF_COUNT_IP6_OTHER;
	return rec->proto == IPPROTO_ICMP ? ECBPF_COUNT_IP_ICMP : ECBPF_COUNT_IP_OTHER;
}

static __always_inline void count_add(__u32 class, __u32 bytes)
{
	struct ecbpf_count *count = bpf_map_lookup_elem(&count_protocols, &class);

	if (!count)
		return;
	count->packets++;
	count->bytes += bytes;
}

static __always_inline __u32 count_stage(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	count_add(count_class(rec), rec->frame_len);
	if (rec->vlan_count)
		count_add(ECBPF_COUNT_VLAN, rec->frame_len);
	if (rec->reason)
		return ecbpf_malformed(rec);
	return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
}

ECBPF_STAGE_PROGRAM(count, COUNT);
