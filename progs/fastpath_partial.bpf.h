/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage fastpath: finds packets whose TCP or UDP checksum is not complete.
 *
 * A sender on this host (a container behind a veth) leaves the checksum to the card: the field
 * holds the sum of the pseudo-header only (CHECKSUM_PARTIAL). The kernel's skb says so, XDP does
 * not see it; the stack would complete the checksum on the way out, XDP cannot, and the receiver
 * drops the packet. A complete checksum has this value once in 65,535 packets: these go to the
 * stack, too.
 */
#ifndef ECBPF_FASTPATH_PARTIAL_BPF_H
#define ECBPF_FASTPATH_PARTIAL_BPF_H

#include <ecbpf/csum.bpf.h>
#include <ecbpf/parse.bpf.h>

/* @l3, @l4: headers of a packet of ecbpf_parse_plain() */
static __always_inline bool fastpath_is_partial(const struct ecbpf_record *rec, const void *l3,
						const void *l4)
{
	__u64 sum;

	if (rec->version == 4)
		sum = ecbpf_csum_add(l3 + 12, 8) + bpf_htons(rec->l3_len - sizeof(struct iphdr));
	else
		sum = ecbpf_csum_add(l3 + 8, 32) + bpf_htons(rec->l3_len - sizeof(struct ipv6hdr));
	sum += bpf_htons(rec->proto);
	/* equal when folded: the difference is a multiple of 65535 */
	sum += 0xffff - *(const __u16 *)(l4 + (rec->proto == IPPROTO_TCP ? 16 : 6));
	return ecbpf_csum_is_ones(sum);
}

#endif /* ECBPF_FASTPATH_PARTIAL_BPF_H */
