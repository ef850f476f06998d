/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage fastpath: makes of a packet what the kernel would have sent: addresses and tag of its next
 * hop, one less TTL. The packet is changed only if all of it can be.
 */
#ifndef ECBPF_FASTPATH_REWRITE_BPF_H
#define ECBPF_FASTPATH_REWRITE_BPF_H

#include <ecbpf/fastpath.h>
#include <ecbpf/parse.bpf.h>

/* As ip_decrease_ttl() of the kernel: never a checksum of all ones (RFC 1624) */
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

/* The addresses, as words: six bytes copied one by one would be twelve instructions each */
static __always_inline void fastpath_addresses(void *eth, const struct ecbpf_hop *hop)
{
	const __u32 *from = (const void *)hop;
	__u32 *to = eth;

	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
}

static __always_inline void fastpath_tag(void *eth, const struct ecbpf_hop *hop)
{
	*(__be16 *)(eth + 12) = bpf_htons(ETH_P_8021Q);
	*(__be16 *)(eth + 14) = bpf_htons(hop->vlan_tci);
}

/* Return: false if it cannot be, and nothing is changed */
static __always_inline bool fastpath_rewrite(struct xdp_md *ctx, const struct ecbpf_record *rec,
					     const struct ecbpf_hop *hop)
{
	bool is_tagged = rec->vlan_count, will_be = hop->flags & ECBPF_HOP_TAGGED;
	__u32 l3_off = sizeof(struct ecbpf_eth_hdr) + (is_tagged ? 4 : 0);
	void *data, *data_end;

	/* a 54th byte there is: the packet is as long as Ethernet, IPv4 and TCP at least */
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + l3_off + sizeof(struct iphdr) > data_end)
		return false;
	if (is_tagged == will_be) {
		fastpath_addresses(data, hop);
		if (will_be)
			fastpath_tag(data, hop);
		fastpath_ttl(rec->version, data + l3_off);
		return true;
	}
	if (bpf_xdp_adjust_head(ctx, will_be ? -4 : 4))
		return false;
	l3_off = sizeof(struct ecbpf_eth_hdr) + (will_be ? 4 : 0);
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + l3_off + sizeof(struct iphdr) > data_end)
		return false; /* never */
	fastpath_addresses(data, hop);
	if (will_be)
		fastpath_tag(data, hop);
	*(__be16 *)(data + l3_off - 2) = rec->ethertype;
	fastpath_ttl(rec->version, data + l3_off);
	return true;
}

#endif /* ECBPF_FASTPATH_REWRITE_BPF_H */
