// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage filter: drops packets that no legitimate host sends, packets of blocked sources, and
 * fragments, which a director cannot balance because later fragments have no ports. First fragments
 * may be answered with packet too big (filter_ptb.bpf.h). Run priority 10: before all other stages.
 */
#include <ecbpf/stage.bpf.h>
#include <ecbpf/filter.h>
#include <ecbpf/tcp.h>
#include "filter_list.bpf.h"
#include "filter_ptb.bpf.h"

/* Return: the check that a malformed packet fails; its other headers are not checked */
static __always_inline __u32 filter_malformed(const struct ecbpf_record *rec)
{
	if (rec->reason == ECBPF_REASON_IP6_EXT_LIMIT)
		return ECBPF_FILTER_CHECK_IP6_EXT_LIMIT;
	/* RFC 1858 section 3: the transport header continues in the second fragment */
	if (rec->frag == ECBPF_FRAG_FIRST && rec->l4_off && rec->reason != ECBPF_REASON_TCP_DOFF)
		return ECBPF_FILTER_CHECK_FRAG_TINY;
	return ECBPF_FILTER_CHECK_MALFORMED;
}

/*
 * Checks of well-formed packets have no branches: each would double the work of the verifier, and
 * ecbpf_fused has this stage in each of its slots.
 */

/* Return: 1 if @value, below 2^63, is 0; else 0 */
static __always_inline __u64 filter_is_zero(__u64 value)
{
	barrier_var(value); /* or the compiler makes it a comparison with a branch */
	return (value - 1) >> 63;
}

/* The same for any value */
static __always_inline __u64 filter_is_zero64(__u64 value)
{
	value |= -value;
	barrier_var(value);
	return ~value >> 63;
}

/* RFC 1122 section 3.2.1.3, RFC 6890: 0/8, 127/8, 224/4, 240/4 are invalid sources */
static __always_inline __u32 filter_ip4_addrs(const struct iphdr *ip)
{
	__u32 saddr = ip->saddr, daddr = ip->daddr;
	__u64 first = saddr & 0xff, is_martian;

	/* 0 - 1 has the highest bit, 224 + 32 that of 256 */
	is_martian = (first - 1) >> 63 | filter_is_zero(first ^ 127) | (first + 32) >> 8;
	return filter_is_zero(saddr ^ daddr) * ECBPF_FILTER_CHECK_LAND |
	       is_martian * ECBPF_FILTER_CHECK_MARTIAN;
}

/* RFC 4291 section 2: ::/64 contains the unspecified, loopback and IPv4-mapped addresses */
static __always_inline __u32 filter_ip6_addrs(const struct ipv6hdr *ip6)
{
	const __u64 *saddr = (const void *)&ip6->saddr, *daddr = (const void *)&ip6->daddr;
	__u64 is_martian;

	is_martian = filter_is_zero64(saddr[0]) | filter_is_zero((saddr[0] & 0xff) ^ 0xff);
	return filter_is_zero64((saddr[0] ^ daddr[0]) | (saddr[1] ^ daddr[1])) *
		       ECBPF_FILTER_CHECK_LAND |
	       is_martian * ECBPF_FILTER_CHECK_MARTIAN;
}

#define FILTER_DHCP_SERVER bpf_htons(67)

/*
 * Hosts without an address send DHCP (RFC 2131) and IGMP from 0.0.0.0, and ICMPv6 from ::. Linux
 * accepts any other broadcast from 0.0.0.0, too. Global, so that the verifier walks it once.
 */
__noinline int filter_is_asking(struct xdp_md *ctx, __u32 l3_off, __u32 version, __u32 proto,
				__u32 dport)
{
	if (version == 4) {
		const struct iphdr *ip = ecbpf_header(ctx, l3_off, sizeof(*ip));
		bool is_dhcp = proto == IPPROTO_UDP && dport == FILTER_DHCP_SERVER;

		if (!ip || ip->saddr)
			return false;
		return proto == IPPROTO_IGMP || (is_dhcp && ip->daddr == 0xffffffff);
	} else {
		const struct ipv6hdr *ip6 = ecbpf_header(ctx, l3_off, sizeof(*ip6));
		const __u64 *saddr = (const void *)&ip6->saddr;

		return ip6 && !saddr[0] && !saddr[1] && proto == IPPROTO_ICMPV6;
	}
}

/* The option that tells routers to look into a packet (RFC 2113), and no other one */
#define FILTER_ROUTER_ALERT bpf_htonl(0x94040000)

/* IGMP (RFC 3376) and RSVP (RFC 2205) need it. Global, as filter_is_asking() */
__noinline int filter_is_router_alert(struct xdp_md *ctx, __u32 l3_off, __u32 proto)
{
	const __u32 *ip = ecbpf_header(ctx, l3_off, sizeof(struct iphdr) + 4);

	return ip && (*(const __u8 *)ip & 15) == 6 && ip[5] == FILTER_ROUTER_ALERT &&
	       (proto == IPPROTO_IGMP || proto == IPPROTO_RSVP);
}

#define FIN ECBPF_TCP_FIN
#define SYN ECBPF_TCP_SYN
#define RST ECBPF_TCP_RST
#define PSH ECBPF_TCP_PSH
#define ACK ECBPF_TCP_ACK
#define URG ECBPF_TCP_URG

/* Indexed by the lower six flags; those of ECN do not matter */
#define FLAGS(flags)                                                                          \
	[flags] = ((flags) == 0) * ECBPF_FILTER_CHECK_TCP_NULL |                              \
		  (((flags) & (FIN | PSH | URG | ACK)) == (FIN | PSH | URG)) *                \
			  ECBPF_FILTER_CHECK_TCP_XMAS |                                       \
		  (((flags) & (SYN | FIN)) == (SYN | FIN)) * ECBPF_FILTER_CHECK_TCP_SYN_FIN | \
		  (((flags) & (SYN | RST)) == (SYN | RST)) * ECBPF_FILTER_CHECK_TCP_SYN_RST
#define FLAGS4(flags)  FLAGS(flags), FLAGS((flags) + 1), FLAGS((flags) + 2), FLAGS((flags) + 3)
#define FLAGS16(flags) FLAGS4(flags), FLAGS4((flags) + 4), FLAGS4((flags) + 8), FLAGS4((flags) + 12)

static const __u16 filter_tcp_flags[64] = {FLAGS16(0), FLAGS16(16), FLAGS16(32), FLAGS16(48)};

static __always_inline __u32 filter_l4(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	__u64 is_length_wrong, found = 0, ports = rec->ports;

	if (rec->proto == IPPROTO_TCP) {
		found = filter_tcp_flags[rec->tcp_flags & 0x3f];
	} else if (rec->proto == IPPROTO_UDP) {
		const struct udphdr *udp = ecbpf_header(ctx, rec->l4_off, sizeof(*udp));

		/* in a first fragment it is the length of the whole datagram */
		if (udp && rec->frag != ECBPF_FRAG_FIRST) {
			is_length_wrong =
				1 ^ filter_is_zero(bpf_ntohs(udp->len) ^
						   (rec->l3_off + rec->l3_len - rec->l4_off));
			found = is_length_wrong * ECBPF_FILTER_CHECK_UDP_LENGTH;
		}
	} else {
		return 0;
	}
	/* a port of 0 borrows, which sets its highest bit */
	ports = (ports - 0x10001) & ~ports & 0x80008000;
	return found | ((ports | ports >> 16) * ECBPF_FILTER_CHECK_PORT_ZERO >> 15 &
			ECBPF_FILTER_CHECK_PORT_ZERO);
}

/* In place of checks: a frame that is not IP */
#define FILTER_NOT_IP (1U << 31)

/* A frame that is not IP. Global, so that the verifier walks it once */
__noinline __u32 filter_not_inspected(__u32 ethertype)
{
	const struct ecbpf_filter_settings *settings = filter_settings_get();
	__u32 reason = ecbpf_link_reason(ethertype), action = XDP_PASS;

	if (reason && settings && settings->drop_links)
		action = XDP_DROP;
	return ECBPF_VERDICT(action, reason);
}

/* Return: bit of a check if the record has a flag */
#define FILTER_FLAG(rec, flag, check) (((rec)->flags & (flag)) * ((check) / (flag)))

/*
 * Return: checks that the packet fails, bits of enum ecbpf_filter_check, or FILTER_NOT_IP.
 * @ret_key: first 32 bits of its source, in host byte order, for filter_is_near()
 */
static __always_inline __u32 filter_check(struct xdp_md *ctx, const struct ecbpf_record *rec,
					  __u32 *ret_key)
{
	__u32 found;

	if (rec->version == 4) {
		const struct iphdr *ip = ecbpf_header(ctx, rec->l3_off, sizeof(*ip));

		if (!ip)
			return 0;
		*ret_key = bpf_ntohl(ip->saddr);
		found = filter_ip4_addrs(ip) |
			FILTER_FLAG(rec, ECBPF_IP_OPTIONS, ECBPF_FILTER_CHECK_IP_OPTIONS) |
			FILTER_FLAG(rec, ECBPF_IP_RESERVED, ECBPF_FILTER_CHECK_IP_RESERVED);
	} else if (rec->version == 6) {
		const struct ipv6hdr *ip6 = ecbpf_header(ctx, rec->l3_off, sizeof(*ip6));

		if (!ip6)
			return 0;
		*ret_key = bpf_ntohl(ip6->saddr.s6_addr32[0]);
		found = filter_ip6_addrs(ip6) |
			FILTER_FLAG(rec, ECBPF_IP6_ROUTING0, ECBPF_FILTER_CHECK_IP6_ROUTING0);
	} else {
		return rec->reason ? filter_malformed(rec) : FILTER_NOT_IP;
	}
	if (rec->reason)
		return filter_malformed(rec);
	if (rec->l4_off)
		found |= filter_l4(ctx, rec);
	/* RFC 3128: the TCP header must be in the first fragment only */
	if (rec->frag == ECBPF_FRAG_LATER && rec->proto == IPPROTO_TCP &&
	    rec->frag_off < sizeof(struct tcphdr))
		found |= ECBPF_FILTER_CHECK_FRAG_OVERLAP;
	return found;
}

/* Return: reason of the lowest bit of @found. Global, so that the verifier walks it once */
__noinline int filter_reason(__u32 found, __u32 malformed)
{
	found &= -found;
	switch (found) {
#define CHECK(NAME)                     \
	case ECBPF_FILTER_CHECK_##NAME: \
		return ECBPF_REASON_##NAME
		CHECK(FRAG_TINY);
		CHECK(FRAG_OVERLAP);
		CHECK(IP_OPTIONS);
		CHECK(IP_RESERVED);
		CHECK(MARTIAN);
		CHECK(LAND);
		CHECK(TCP_NULL);
		CHECK(TCP_XMAS);
		CHECK(TCP_SYN_FIN);
		CHECK(TCP_SYN_RST);
		CHECK(UDP_LENGTH);
		CHECK(PORT_ZERO);
		CHECK(IP6_ROUTING0);
#undef CHECK
	}
	return malformed;
}

static __always_inline bool filter_is_frag(const struct ecbpf_record *rec)
{
	return rec->frag == ECBPF_FRAG_FIRST || rec->frag == ECBPF_FRAG_LATER;
}

/* A fragment, where not all of them pass. Return: a verdict; 0: the packet continues */
static __always_inline __u32 filter_frag(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	__u32 verdict = filter_fragment(ctx, FILTER_OFFSETS(rec), FILTER_KINDS(rec));

	if ((verdict & 0xff) != XDP_TX)
		return verdict;
	verdict = ecbpf_verdict_early(ctx, ECBPF_STAGE_FILTER, verdict);
	if (!filter_answer(ctx, FILTER_OFFSETS(rec), FILTER_KINDS(rec)))
		return verdict;
	/* cannot happen, as the length was checked: but never send half an answer */
	return ECBPF_VERDICT(XDP_DROP, ECBPF_REASON_PTB_ROOM + (rec->version == 6)) |
	       ECBPF_VERDICT_DRAWN;
}

/* Apply the settings to a packet that fails checks or is a fragment */
static __always_inline __u32 filter_judge(struct xdp_md *ctx, const struct ecbpf_record *rec,
					  __u32 found)
{
	const struct ecbpf_filter_settings *settings = filter_settings_get();
	__u32 drop, reason = ECBPF_REASON_NONE, verdict;

	if (!settings)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	if (found & ECBPF_FILTER_CHECK_MARTIAN &&
	    filter_is_asking(ctx, rec->l3_off, rec->version, rec->proto, rec->dport))
		found &= ~ECBPF_FILTER_CHECK_MARTIAN;
	if (found & ECBPF_FILTER_CHECK_IP_OPTIONS &&
	    filter_is_router_alert(ctx, rec->l3_off, rec->proto)) {
		found &= ~ECBPF_FILTER_CHECK_IP_OPTIONS;
		reason = ECBPF_REASON_ROUTER_ALERT;
	}
	drop = settings->drop_flip ^ ECBPF_FILTER_DROP_DEFAULT;
	found &= drop | settings->count;
	if (found) {
		drop &= found;
		reason = filter_reason(drop ? drop : found, rec->reason);
		barrier_var(reason); /* see filter_stage() */
		reason &= 0x7f;
		if (drop)
			return ECBPF_VERDICT(XDP_DROP, reason);
	}
	if (filter_is_frag(rec) && (rec->version == 4 ? settings->frags : settings->frags6)) {
		verdict = filter_frag(ctx, rec);
		if (verdict)
			return verdict;
	}
	return ECBPF_VERDICT(XDP_PASS, reason);
}

static __always_inline __u32 filter_stage(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	__u32 key = 0, found = filter_check(ctx, rec, &key), reason;

	/* also for malformed packets, if their source can be read */
	if (filter_is_near(key, rec->version)) {
		reason = rec->version == 6 ? filter_blocked6(ctx, rec->l3_off, rec->frame_len)
					   : filter_blocked4(ctx, rec->l3_off, rec->frame_len);
		barrier_var(reason); /* clang 19 knows the return values; the verifier does not */
		reason &= 0x7f;
		if (reason)
			return ECBPF_VERDICT(XDP_DROP, reason);
	}
	/* nearly all packets: the settings are not read */
	if (__builtin_expect(!found && !filter_is_frag(rec), 1))
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	if (found & FILTER_NOT_IP)
		return filter_not_inspected(rec->ethertype);
	return filter_judge(ctx, rec, found);
}

ECBPF_STAGE_PROGRAM(filter, FILTER);
