/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage fastpath: rewrites a packet as the kernel would, with the addresses and VLAN tag of its
 * next hop and a decremented TTL. A packet is changed completely or not at all.
 */
#ifndef ECBPF_FASTPATH_REWRITE_BPF_H
#define ECBPF_FASTPATH_REWRITE_BPF_H

#include <ecbpf/fastpath.h>
#include <ecbpf/parse.bpf.h>

/* As ip_decrease_ttl() of the kernel: the checksum never becomes all ones (RFC 1624) */
static __always_inline void fastpath_ttl(__u8 version, void *l3)
{
	__u32 check;

	if (version == 6) {
		((__u8 *)l3)[7]--;
		return;
	}
	((__u8 *)l3)[8]--;
	check = *(__u16 *)(l3 + 10) + bpf_htons(0x0100);
	*(__u16 *)(l3 + 10) = check + (check >= 0xffff);
}

/* In words: copied byte by byte, each address would take twelve instructions */
static __always_inline void fastpath_addresses(void *eth, const struct ecbpf_hop *hop)
{
	const __u32 *from = (const void *)hop;
	__u32 *to = eth;

	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
}

/* @l3_off: a constant, so that the verifier knows all offsets */
static __always_inline bool fastpath_rewrite_at(struct xdp_md *ctx, const struct ecbpf_record *rec,
						const struct ecbpf_hop *hop, __u32 l3_off)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;

	if (data + l3_off + sizeof(struct iphdr) > data_end)
		return false; /* never */
	fastpath_addresses(data, hop);
	if (l3_off > sizeof(struct ecbpf_eth_hdr)) {
		*(__be16 *)(data + 12) = bpf_htons(ETH_P_8021Q);
		*(__be16 *)(data + 14) = bpf_htons(hop->vlan_tci);
	}
	*(__be16 *)(data + l3_off - 2) = rec->ethertype;
	fastpath_ttl(rec->version, data + l3_off);
	return true;
}

/* Return: false if nothing was changed */
static __always_inline bool fastpath_rewrite(struct xdp_md *ctx, const struct ecbpf_record *rec,
					     const struct ecbpf_hop *hop)
{
	bool is_tagged = rec->vlan_count, tag_it = hop->flags & ECBPF_HOP_TAGGED;

	if (is_tagged != tag_it && bpf_xdp_adjust_head(ctx, tag_it ? -4 : 4))
		return false;
	if (tag_it)
		return fastpath_rewrite_at(ctx, rec, hop, sizeof(struct ecbpf_eth_hdr) + 4);
	return fastpath_rewrite_at(ctx, rec, hop, sizeof(struct ecbpf_eth_hdr));
}

#endif /* ECBPF_FASTPATH_REWRITE_BPF_H */
