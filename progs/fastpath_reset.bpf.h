/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage fastpath: answers packets of flows that the kernel has reset with a TCP RST, as the kernel
 * would (RFC 9293 section 3.5.2), within a rate limit.
 */
#ifndef ECBPF_FASTPATH_RESET_BPF_H
#define ECBPF_FASTPATH_RESET_BPF_H

#include <ecbpf/bucket.bpf.h>
#include <ecbpf/csum.bpf.h>
#include "fastpath.bpf.h"
#include <ecbpf/verdict.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_bucket);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_resets SEC(".maps");

#define RESET_TTL 64 /* net.ipv4.ip_default_ttl */

static __always_inline void reset_swap_eth(void *eth)
{
	__u16 *word = eth;

#pragma unroll
	for (int i = 0; i < 3; i++) {
		__u16 dest = word[i];

		word[i] = word[i + 3];
		word[i + 3] = dest;
	}
}

/* Turn the TCP header of the packet into that of the answer. @pseudo: sum of the pseudo header */
static __always_inline void reset_tcp(void *l4, __u64 pseudo)
{
	__u32 *word = l4;

	word[0] = word[0] << 16 | word[0] >> 16; /* ports */
	word[1] = word[2]; /* sequence: the acknowledgement, as the client expects */
	word[2] = 0;
	word[3] = bpf_htonl(0x50040000); /* no options, RST, no window */
	word[4] = 0;
	*(__sum16 *)(l4 + 16) = ecbpf_csum_fold(pseudo + ecbpf_csum_add(l4, 20));
}

static __always_inline void reset_ip4(void *l3)
{
	__u32 *word = l3, source = word[3];

	word[0] = bpf_htonl(0x45000000 | (sizeof(struct iphdr) + sizeof(struct tcphdr)));
	word[1] = bpf_htonl(ECBPF_FRAG_DF);
	word[2] = bpf_htonl((__u32)RESET_TTL << 24 | IPPROTO_TCP << 16);
	word[3] = word[4];
	word[4] = source;
	*(__sum16 *)(l3 + 10) = ecbpf_csum_fold(ecbpf_csum_add(l3, 20));
	reset_tcp(l3 + sizeof(struct iphdr), ecbpf_csum_add(l3 + 12, 8) + bpf_htonl(IPPROTO_TCP) +
						     bpf_htonl(sizeof(struct tcphdr)));
}

static __always_inline void reset_ip6(void *l3)
{
	__u32 *word = l3;

	word[0] = bpf_htonl(0x60000000);
	word[1] = bpf_htonl(sizeof(struct tcphdr) << 16 | IPPROTO_TCP << 8 | RESET_TTL);
#pragma unroll
	for (int i = 2; i < 6; i++) {
		__u32 source = word[i];

		word[i] = word[i + 4];
		word[i + 4] = source;
	}
	reset_tcp(l3 + sizeof(struct ipv6hdr), ecbpf_csum_add(l3 + 8, 32) + bpf_htonl(IPPROTO_TCP) +
						       bpf_htonl(sizeof(struct tcphdr)));
}

/* Return: the flow may be answered now */
static __noinline int fastpath_reset_is_due(const struct ecbpf_fastpath *settings,
					    struct ecbpf_flow *flow)
{
	struct ecbpf_bucket *bucket;
	__u32 key = 0, now = bpf_jiffies64();

	if (!settings->reset_pps || now - flow->punted < settings->reset_gap)
		return false;
	bucket = bpf_map_lookup_elem(&fastpath_resets, &key);
	if (!bucket || !ecbpf_bucket_take(bucket, &settings->reset, 1))
		return false;
	flow->punted = now;
	return true;
}

/* @off, @headers: constants, so that the verifier knows all offsets */
static __always_inline bool reset_write(struct xdp_md *ctx, __u32 off, __u32 headers)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;

	if (data + off + headers > data_end)
		return false;
	reset_swap_eth(data);
	if (headers == FASTPATH_HEADERS4)
		reset_ip4(data + off);
	else
		reset_ip6(data + off);
	return true;
}

/*
 * Turn the packet into its answer. @off: offset of the IP header; @headers: FASTPATH_HEADERS4 or
 * FASTPATH_HEADERS6. Return: false if it failed
 */
__noinline int fastpath_reset_make(struct xdp_md *ctx, __u32 off, __u32 headers, __u32 frame_len)
{
	const __u32 eth = sizeof(struct ecbpf_eth_hdr);
	bool is_tagged = off > eth;

	if (bpf_xdp_adjust_tail(ctx, (int)(off + headers) - (int)frame_len))
		return false;
	if (headers == FASTPATH_HEADERS4)
		return is_tagged ? reset_write(ctx, eth + 4, FASTPATH_HEADERS4)
				 : reset_write(ctx, eth, FASTPATH_HEADERS4);
	return is_tagged ? reset_write(ctx, eth + 4, FASTPATH_HEADERS6)
			 : reset_write(ctx, eth, FASTPATH_HEADERS6);
}

#endif /* ECBPF_FASTPATH_RESET_BPF_H */
