// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage fastpath: forwards packets of flows that IPVS has balanced to the server that IPVS chose.
 * It makes no choice of its own: fastpath_egress grants leases for packets that the kernel sends,
 * and a packet without a lease is passed to the stack. Run priority 50: after stages that drop,
 * before stages that only observe.
 */
#include <ecbpf/stage.bpf.h>
#include "fastpath.bpf.h"
#include "fastpath_partial.bpf.h"
#include "fastpath_reset.bpf.h"
#include "fastpath_rewrite.bpf.h"
#include "fastpath_shield.bpf.h"

/* Interfaces that packets may be redirected to, by interface index */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 256);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_ports SEC(".maps");

/* The MTU of every path is at least this: RFC 8200 section 5, net.ipv4.route.min_pmtu */
#define FASTPATH_MTU_MIN4 552
#define FASTPATH_MTU_MIN6 1280

/* Frames up to this length may be padded on the wire; the kernel would not pad longer ones */
#define FASTPATH_FRAME_MIN ETH_ZLEN

/* Jiffies that a pending packet is kept for: 50 ms */
#define FASTPATH_HOLD(hz) ((hz) / 20)

/*
 * Only packets that ecbpf_parse_plain() accepts are forwarded, and only of their records the
 * compiler knows ext_count. The test drops the code from the other path of ecbpf_run(), where it
 * could never be reached.
 */
#define FASTPATH_IS_PLAIN(rec) __builtin_constant_p((rec)->ext_count)

/*
 * 0, in bits that no flag has: any reason, for the verifier. It walks all that follows once for
 * each value that it knows
 */
#define FASTPATH_ANY(settings) ((__u32)(settings)->flags >> 9)
_Static_assert(ECBPF_FASTPATH_ROUTED < 1 << 9, "the last flag");
_Static_assert(ECBPF_REASON_MAX == 1 << (16 - 9), "any reason");

/* State of one packet */
struct fastpath_packet {
	struct ecbpf_flow_key key;
	__u64 hash;
	__u64 now;
	void *l3;
	void *l4;
};

/* TPID and identifier; not priority and DEI, which a switch may set for each packet */
#define FASTPATH_TAG_MASK bpf_htonl(0xffff0fff)

/* Bytes of the Ethernet header that are read at once: addresses, and the tag if there is one */
#define FASTPATH_ETH (sizeof(struct ecbpf_eth_hdr) + sizeof(struct ecbpf_vlan_hdr))

static __always_inline __u64 fastpath_dest(const void *eth)
{
	return *(const __u64 *)eth & bpf_cpu_to_be64(0xffffffffffff0000);
}

static __always_inline __be32 fastpath_tag(const struct ecbpf_record *rec, const void *eth)
{
	return rec->vlan_count ? *(const __be32 *)(eth + 12) & FASTPATH_TAG_MASK : 0;
}

/* Does the packet come in as the one for which the hop was given out? */
static __always_inline bool fastpath_is_alike(struct xdp_md *ctx, const struct ecbpf_record *rec,
					      const struct ecbpf_ingress *in)
{
	const void *eth = ecbpf_header(ctx, 0, FASTPATH_ETH);

	return eth && fastpath_dest(eth) == *(const __u64 *)in->dest &&
	       fastpath_tag(rec, eth) == in->tag && ctx->ingress_ifindex == in->ifindex;
}

/*
 * Note the packet, for fastpath_egress. One that was noted before is kept for FASTPATH_HOLD(); but
 * one that came in otherwise only if @reason says that this one does not come in as its lease wants
 */
static __always_inline void fastpath_note(struct xdp_md *ctx, const struct ecbpf_fastpath *settings,
					  const struct ecbpf_record *rec,
					  const struct fastpath_packet *pkt, __u32 reason)
{
	const void *eth = ecbpf_header(ctx, 0, FASTPATH_ETH);
	__u32 index = ecbpf_flow_pending(pkt->hash);
	struct ecbpf_pending *pending = bpf_map_lookup_elem(&fastpath_up, &index);
	__u8 is_open = ECBPF_PENDING_OPEN;

	if (!pending || !eth)
		return;
	if (pending->is_open && fastpath_same(&pending->key, &pkt->key) &&
	    (__u8)(pkt->now - pending->at) < FASTPATH_HOLD(settings->hz)) {
		if (reason == ECBPF_REASON_FP_INGRESS || fastpath_is_alike(ctx, rec, &pending->in))
			return;
		is_open = ECBPF_PENDING_MIXED;
	}
	pending->key = pkt->key;
	fastpath_header(rec, pkt->l3, pkt->l4, pending);
	*(__u64 *)pending->in.dest = fastpath_dest(eth);
	pending->in.tag = fastpath_tag(rec, eth);
	pending->in.ifindex = ctx->ingress_ifindex;
	pending->seal = ecbpf_pending_seal(pending, pkt->hash, settings->mult);
	pending->at = pkt->now;
	pending->is_open = is_open;
}

/* The sum of a header of 20 bytes is all ones if its checksum is right (RFC 1071) */
static __always_inline bool fastpath_ip4_is_intact(const void *l3)
{
	const __u32 *word = l3;
	__u64 sum = (__u64)word[0] + word[1] + word[2] + word[3] + word[4];

	return ecbpf_csum_is_ones(sum);
}

/* Would the kernel forward the packet silently, with no change but the TTL? */
static __always_inline __u32 fastpath_check_packet(const struct ecbpf_fastpath *settings,
						   const struct ecbpf_record *rec,
						   const struct fastpath_packet *pkt,
						   const struct ecbpf_flow *flow)
{
	__u32 mtu_min = rec->version == 4 ? FASTPATH_MTU_MIN4 : FASTPATH_MTU_MIN6;
	__u8 ttl = ((const __u8 *)pkt->l3)[rec->version == 4 ? 8 : 7];

	if (ttl <= 1)
		return ECBPF_REASON_FP_TTL;
	if (rec->l3_len > mtu_min &&
	    (rec->l3_len > flow->len || (__u32)pkt->now - flow->len_at >= settings->lease))
		return ECBPF_REASON_FP_LENGTH;
	if (rec->flags & ECBPF_PADDED && rec->frame_len - rec->vlan_count * 4 > FASTPATH_FRAME_MIN)
		return ECBPF_REASON_FP_SPECIAL;
	if (rec->version == 4 && !fastpath_ip4_is_intact(pkt->l3))
		return ECBPF_REASON_FP_CHECKSUM;
	if (fastpath_is_partial(rec, pkt->l3, pkt->l4))
		return ECBPF_REASON_FP_PARTIAL;
	return ECBPF_REASON_NONE;
}

/* TCP flags that IPVS must see. Return: the reason, or 0 */
static __always_inline __u32 fastpath_check_flags(const struct ecbpf_record *rec,
						  struct ecbpf_flow *flow)
{
	if (rec->proto != IPPROTO_TCP ||
	    !(rec->tcp_flags & (ECBPF_TCP_SYN | ECBPF_TCP_RST | ECBPF_TCP_FIN)))
		return ECBPF_REASON_NONE;
	if (rec->tcp_flags & (ECBPF_TCP_SYN | ECBPF_TCP_RST)) {
		/* IPVS may start a new connection: an older lease and an older FIN no longer count
		 */
		flow->lease = 0;
		flow->flags = 0;
		return rec->tcp_flags & ECBPF_TCP_SYN ? ECBPF_REASON_FP_SYN : ECBPF_REASON_FP_RST;
	}
	flow->flags |= ECBPF_FLOW_FIN;
	return ECBPF_REASON_FP_FIN;
}

/*
 * Decide on a packet of @flow. Return: ECBPF_REASON_FP_LEASE: forward it to @ret_hop;
 * ECBPF_REASON_FP_DEAD: the flow is dead; else why the packet is passed to the stack.
 */
static __always_inline __u32 fastpath_decide(struct xdp_md *ctx,
					     const struct ecbpf_fastpath *settings,
					     const struct ecbpf_record *rec,
					     const struct fastpath_packet *pkt,
					     struct ecbpf_flow *flow,
					     const struct ecbpf_hop **ret_hop)
{
	__u64 lease = *(volatile __u64 *)&flow->lease;
	bool is_over = pkt->now >= ECBPF_LEASE_END(lease);
	const struct ecbpf_hop_entry *entry;
	__u32 reason, index;

	barrier(); /* or the compiler takes the key compared before for the one below */
	index = ECBPF_LEASE_HOP(lease) & (ECBPF_HOPS - 1);
	entry = bpf_map_lookup_elem(&fastpath_hops, &index);
	/* first: the flow learns nothing from a packet that the kernel might not even accept */
	if (!is_over && (!entry || !fastpath_is_alike(ctx, rec, &entry->hop.in)))
		return ECBPF_REASON_FP_INGRESS;
	reason = fastpath_check_flags(rec, flow);
	if (reason)
		return reason;
	if (is_over)
		return ECBPF_REASON_FP_EXPIRED;
	if (lease & ECBPF_HOP_DEAD)
		return ECBPF_REASON_FP_DEAD;
	*ret_hop = &entry->hop;
	if ((__u32)pkt->now - flow->punted >=
	    (flow->flags & ECBPF_FLOW_FIN ? settings->sample_fin : settings->sample)) {
		flow->punted = pkt->now;
		return ECBPF_REASON_FP_SAMPLE;
	}
	reason = fastpath_check_packet(settings, rec, pkt, flow);
	if (reason)
		return reason;
	/* another CPU may have replaced the flow meanwhile */
	if (!fastpath_same(&flow->key, &pkt->key) || *(volatile __u64 *)&flow->lease != lease)
		return ECBPF_REASON_FP_UNKNOWN;
	return ECBPF_REASON_FP_LEASE;
}

/*
 * Return: the verdict on a packet to be sent to a hop. @since: when its lease was valid. The hop
 * becomes another one a second after its last lease at the earliest (HOP_GRACE()), so what was
 * read of it is right unless this CPU was stopped for as long.
 */
static __always_inline __u32 fastpath_forward(struct xdp_md *ctx, const struct ecbpf_record *rec,
					      const struct ecbpf_fastpath *settings,
					      struct ecbpf_flow *flow, const struct ecbpf_hop *hop,
					      __u64 since)
{
	__u32 action = XDP_TX, verdict;

	if (settings->flags & ECBPF_FASTPATH_MONITOR)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_FP_MONITOR);
	if (hop->ifindex != hop->in.ifindex) { /* the packet's: three loads less than from ctx */
		action = bpf_redirect_map(&fastpath_ports, hop->ifindex, XDP_PASS);
		if (action != XDP_REDIRECT)
			return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_FP_PORT);
	}
	verdict = ecbpf_verdict_early(ctx, ECBPF_STAGE_FASTPATH,
				      ECBPF_VERDICT(action, ECBPF_REASON_FP_LEASE));
	if (!fastpath_rewrite(ctx, rec, hop))
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_FP_SPECIAL);
	if (ECBPF_LEASE_NOW(bpf_jiffies64()) - since > settings->hz / 2)
		return ECBPF_VERDICT(XDP_DROP, ECBPF_REASON_FP_EXPIRED) | ECBPF_VERDICT_DRAWN;
	flow->packets++;
	return verdict;
}

/*
 * A packet of a flow that the kernel has reset. It is answered here, or passed to the stack, which
 * answers it. Rare code is called, not inlined.
 */
static __always_inline __u32 fastpath_dead(struct xdp_md *ctx, const struct ecbpf_record *rec,
					   const struct ecbpf_fastpath *settings,
					   struct ecbpf_flow *flow, __u32 headers)
{
	__u32 verdict;

	if (rec->proto != IPPROTO_TCP || !(rec->tcp_flags & ECBPF_TCP_ACK) ||
	    settings->flags & ECBPF_FASTPATH_MONITOR || !fastpath_reset_is_due(settings, flow))
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_FP_DEAD);
	verdict = ecbpf_verdict_early(ctx, ECBPF_STAGE_FASTPATH,
				      ECBPF_VERDICT(XDP_TX, ECBPF_REASON_FP_RESET));
	if (!fastpath_reset_make(ctx, rec->l3_off, headers, rec->frame_len)) /* never */
		return ECBPF_VERDICT(XDP_DROP, ECBPF_REASON_FP_DEAD) | ECBPF_VERDICT_DRAWN;
	return verdict;
}

static __always_inline bool fastpath_unknown(struct xdp_md *ctx, const struct ecbpf_record *rec,
					     const struct ecbpf_fastpath *settings,
					     const struct fastpath_packet *pkt)
{
	__u32 info = rec->l3_off | (rec->version == 4 ? SHIELD_IP4 : 0) |
		     (rec->tcp_flags & ECBPF_TCP_SYN ? SHIELD_SYN : 0);

	return fastpath_shield_drops(ctx, pkt->hash, pkt->now, info);
}

static __always_inline __u32 fastpath_flow(struct xdp_md *ctx, const struct ecbpf_record *rec,
					   const struct ecbpf_fastpath *settings, __u32 headers)
{
	struct fastpath_packet pkt;
	const struct ecbpf_hop *hop = NULL;
	struct ecbpf_flow *flow;
	__u32 reason;

	pkt.l3 = ecbpf_header(ctx, rec->l3_off, headers);
	if (!pkt.l3)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_FP_SPECIAL);
	pkt.l4 = pkt.l3 + headers - sizeof(struct tcphdr);
	pkt.now = ECBPF_LEASE_NOW(bpf_jiffies64());
	fastpath_key(rec, pkt.l3, settings->generation, &pkt.key);
	pkt.hash = ecbpf_flow_hash(&pkt.key, settings->seed, settings->mult);
	flow = fastpath_find(&pkt.key, pkt.hash, settings->groups);
	if (flow) {
		reason = fastpath_decide(ctx, settings, rec, &pkt, flow, &hop);
		if (reason == ECBPF_REASON_FP_LEASE && hop)
			return fastpath_forward(ctx, rec, settings, flow, hop, pkt.now);
		if (reason == ECBPF_REASON_FP_DEAD)
			return fastpath_dead(ctx, rec, settings, flow, headers);
	} else {
		reason = rec->tcp_flags & ECBPF_TCP_SYN	  ? ECBPF_REASON_FP_SYN
			 : rec->tcp_flags & ECBPF_TCP_RST ? ECBPF_REASON_FP_RST
							  : ECBPF_REASON_FP_UNKNOWN;
		if (settings->flags & ECBPF_FASTPATH_LIMIT &&
		    fastpath_unknown(ctx, rec, settings, &pkt))
			return ECBPF_VERDICT(XDP_DROP, ECBPF_REASON_FP_SHIELD);
	}
	/* packets that begin or end a connection get no lease */
	if (rec->proto == IPPROTO_UDP ||
	    (rec->tcp_flags & (ECBPF_TCP_SYN | ECBPF_TCP_RST | ECBPF_TCP_FIN | ECBPF_TCP_ACK)) ==
		    ECBPF_TCP_ACK) {
		/* else clang 19 keeps what was read of the packet, and ecbpf_fused has no stack
		 * left */
		barrier_var(pkt.l3);
		barrier_var(pkt.l4);
		/* no lease: none of its packets could be forwarded */
		if (fastpath_is_partial(rec, pkt.l3, pkt.l4))
			return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_FP_PARTIAL);
		reason ^= FASTPATH_ANY(settings);
		fastpath_note(ctx, settings, rec, &pkt, reason);
	}
	return ECBPF_VERDICT(XDP_PASS, reason);
}

/*
 * A TCP or UDP packet that can have no lease, as it is malformed or has what the fast path leaves
 * to the stack: it is one of no known flow, and admitted by chance
 */
static __always_inline bool fastpath_is_shielded(struct xdp_md *ctx, const struct ecbpf_record *rec,
						 const struct ecbpf_fastpath *settings)
{
	return settings->flags & ECBPF_FASTPATH_LIMIT && rec->version &&
	       (rec->proto == IPPROTO_TCP || rec->proto == IPPROTO_UDP) &&
	       fastpath_shield_drops(ctx, 0, ECBPF_LEASE_NOW(bpf_jiffies64()),
				     rec->l3_off | (rec->version == 4 ? SHIELD_IP4 : 0));
}

static __always_inline __u32 fastpath_stage(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	const struct ecbpf_fastpath *settings;

	settings = fastpath_settings();
	if (settings && settings->flags & ECBPF_FASTPATH_LIMIT)
		fastpath_shield_count();
	if (rec->reason)
		return settings && fastpath_is_shielded(ctx, rec, settings)
			       ? ECBPF_VERDICT(XDP_DROP, ECBPF_REASON_FP_SHIELD)
			       : ecbpf_malformed(rec);
	if (!settings || !settings->groups)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	if (rec->proto != IPPROTO_TCP && rec->proto != IPPROTO_UDP)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	if (!FASTPATH_IS_PLAIN(rec))
		return fastpath_is_shielded(ctx, rec, settings)
			       ? ECBPF_VERDICT(XDP_DROP, ECBPF_REASON_FP_SHIELD)
			       : ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_FP_SPECIAL);
	/* two calls, so that the verifier knows the length of the headers */
	if (rec->version == 4)
		return fastpath_flow(ctx, rec, settings, FASTPATH_HEADERS4);
	return fastpath_flow(ctx, rec, settings, FASTPATH_HEADERS6);
}

ECBPF_STAGE_PROGRAM(fastpath, FASTPATH);
