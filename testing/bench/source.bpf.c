// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Drops listed IPv4 sources: the same few lines for XDP and for TC, to compare the two. What people
 * write for themselves, without any check of what else is in the packet.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, __u32);
	__type(value, __u32);
} sources SEC(".maps");

static __always_inline bool is_listed(const void *data, const void *data_end)
{
	const struct ethhdr *eth = data;
	const struct iphdr *ip = (const void *)(eth + 1);
	__u32 source;

	if ((const void *)(ip + 1) > data_end || eth->h_proto != bpf_htons(ETH_P_IP))
		return false;
	source = ip->saddr;
	return bpf_map_lookup_elem(&sources, &source);
}

SEC("xdp")
int source_xdp(struct xdp_md *ctx)
{
	return is_listed((void *)(long)ctx->data, (void *)(long)ctx->data_end) ? XDP_DROP
									       : XDP_PASS;
}

SEC("tc")
int source_tc(struct __sk_buff *skb)
{
	return is_listed((void *)(long)skb->data, (void *)(long)skb->data_end) ? TC_ACT_SHOT
									       : TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
