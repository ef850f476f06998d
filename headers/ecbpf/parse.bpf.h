/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one parser. Fills a record (record.h) from a frame; no stage walks headers by itself.
 *
 * The steps below are in wire order and the first defect found ends the walk; record.h says what
 * the fields mean. Everything is bounded: two tags, eight extension headers, no header that
 * begins beyond ECBPF_HDR_MAX. It compiles for user space too (testing/fuzz), where `ctx` is
 * not looked at and ecbpf_frame_len() is given by the includer.
 */
#ifndef ECBPF_PARSE_BPF_H
#define ECBPF_PARSE_BPF_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <ecbpf/reason.h>
#include <ecbpf/record.h>

/* IPv4 fragment word (RFC 791 section 3.1): reserved, DF, MF, then the offset in units of 8 bytes
 */
#define ECBPF_FRAG_RESERVED 0x8000
#define ECBPF_FRAG_DF	    0x4000
#define ECBPF_FRAG_MF	    0x2000
#define ECBPF_FRAG_OFFSET   0x1fff

/* The most that the length fields of IPv4 and IPv6 can say; of the jumbo payload option, the type
 */
#define ECBPF_IP_MAX	65535
#define ECBPF_IP6_JUMBO 0xc2

/*
 * Not struct ethhdr: being packed, it makes clang read the EtherType byte by byte. Packets may be
 * read unaligned on all machines that have a BPF JIT of interest.
 */
struct ecbpf_eth_hdr {
	__u8 dest[ETH_ALEN];
	__u8 source[ETH_ALEN];
	__be16 ethertype;
};

struct ecbpf_vlan_hdr {
	__be16 tci;
	__be16 ethertype;
};

/* ICMP (RFC 792) and ICMPv6 (RFC 4443); <linux/icmp.h> drags in the C library */
struct ecbpf_icmp_hdr {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be32 rest;
};

/* First 8 bytes of any extension header (RFC 8200 section 4, RFC 4302 section 2) */
struct ecbpf_ip6_ext {
	__u8 nexthdr;
	__u8 len; /* in units of 8 bytes, the first 8 not counted; of AH: 4 bytes, 8 */
	union {
		__be16 frag_off; /* fragment header: offset in bytes, 2 bits reserved, M lowest */
		__u8 routing_type;
	};
	__be32 rest;
};

#ifdef ECBPF_PARSE_SKB
/* For packets that are a struct __sk_buff: what is not in the linear part counts, too */
static __always_inline __u32 ecbpf_frame_len(struct xdp_md *ctx, __u32 linear_len)
{
	return ((struct __sk_buff *)ctx)->len;
}
#elif defined(__bpf__)
/*
 * Set by the library for programs that it loads with BPF_F_XDP_HAS_FRAGS, on interfaces whose MTU
 * may need it: data_end is then not always the end of the frame. Asking for the length
 * costs a call, of bpf_xdp_get_buff_len() (5.18).
 */
const volatile bool xdp_frags = false;

static __always_inline __u32 ecbpf_frame_len(struct xdp_md *ctx, __u32 linear_len)
{
	/* the mask: seen to fit 32 bits */
	return xdp_frags ? bpf_xdp_get_buff_len(ctx) & 0x7fffffff : linear_len;
}
#endif

static __always_inline bool ecbpf_is_vlan(__be16 ethertype)
{
	return ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD);
}

/*
 * The upper-layer header at @off; @room: bytes of the IP packet from there on, >= 0. A header is
 * read only when its fixed part lies in the packet and in reach of data_end.
 */
static __always_inline __u8 ecbpf_parse_l4(void *data, void *data_end, __u32 off, __u32 room,
					   __u8 proto, __u8 icmp_proto, struct ecbpf_record *rec)
{
	void *pos = data + off;

	rec->l4_off = off;
	if (proto == IPPROTO_TCP) {
		const struct tcphdr *tcp = pos;
		__u32 hdr;

		if (room < sizeof(*tcp) || (void *)(tcp + 1) > data_end)
			return ECBPF_REASON_TCP_TRUNC;
		rec->hdr_len = off + 14;
		rec->ports = *(__u32 *)pos;
		rec->tcp_flags = ((const __u8 *)tcp)[13];
		hdr = (((const __u8 *)tcp)[12] & 0xf0) >> 2;
		if (hdr < sizeof(*tcp))
			return ECBPF_REASON_TCP_DOFF;
		if (hdr > room)
			return ECBPF_REASON_TCP_TRUNC;
	} else if (proto == IPPROTO_UDP) {
		if (room < sizeof(struct udphdr) || pos + sizeof(struct udphdr) > data_end)
			return ECBPF_REASON_UDP_TRUNC;
		rec->hdr_len = off + 4;
		rec->ports = *(__u32 *)pos;
	} else if (proto == icmp_proto) {
		const struct ecbpf_icmp_hdr *icmp = pos;

		if (room < sizeof(*icmp) || (void *)(icmp + 1) > data_end)
			return ECBPF_REASON_ICMP_TRUNC;
		rec->hdr_len = off + 2;
		rec->icmp_type = icmp->type;
		rec->icmp_code = icmp->code;
	}
	return ECBPF_REASON_NONE;
}

static __always_inline __u8 ecbpf_parse_ip4(void *data, void *data_end, __u32 off,
					    struct ecbpf_record *rec)
{
	const struct iphdr *ip = data + off;
	__u32 frame_len = rec->frame_len, hdr, len;
	__u8 first, proto, flags, reason;
	__u16 frag;
	__s32 room;

	rec->l3_off = off;
	if ((void *)(ip + 1) > data_end)
		return ECBPF_REASON_IP_TRUNC;
	rec->hdr_len = off + 10;
	first = *(const __u8 *)ip;
	if (first >> 4 != 4)
		return ECBPF_REASON_IP_VERSION;
	rec->version = 4;
	hdr = (first & 0xf) * 4;
	if (hdr < sizeof(*ip))
		return ECBPF_REASON_IP_IHL;

	len = bpf_ntohs(ip->tot_len);
	proto = ip->protocol;
	/* BIG TCP: merged to more than the field can say. No wire has such frames */
	if (!len && proto == IPPROTO_TCP && frame_len - off > ECBPF_IP_MAX)
		len = frame_len - off;
	rec->l3_len = len;
	rec->proto = proto;
	frag = bpf_ntohs(ip->frag_off);
	/* by shifts, as each branch here would double what the verifier walks */
	flags = (frag & ECBPF_FRAG_RESERVED) / (ECBPF_FRAG_RESERVED / ECBPF_IP_RESERVED) |
		(frag & ECBPF_FRAG_DF) / (ECBPF_FRAG_DF / ECBPF_IP_DF) |
		(frag & ECBPF_FRAG_MF) / (ECBPF_FRAG_MF / ECBPF_IP_MF);
	rec->frag_off = (frag & ECBPF_FRAG_OFFSET) * 8;
	if (frag & (ECBPF_FRAG_MF | ECBPF_FRAG_OFFSET))
		rec->frag = frag & ECBPF_FRAG_OFFSET ? ECBPF_FRAG_LATER : ECBPF_FRAG_FIRST;

	reason = ECBPF_REASON_NONE;
	if (hdr > sizeof(*ip)) {
		flags |= ECBPF_IP_OPTIONS;
		if ((void *)ip + hdr > data_end)
			reason = ECBPF_REASON_IP_TRUNC;
	}
	/* not len < hdr: where len is 0, Linux 6.1 takes hdr for that, too, and goes on */
	room = len - hdr;
	if (!reason && room < 0)
		reason = ECBPF_REASON_IP_LEN_SHORT;
	if (!reason && off + len > frame_len)
		reason = ECBPF_REASON_IP_LEN_LONG;
	if (!reason && off + len < frame_len)
		flags |= ECBPF_PADDED;
	rec->flags = flags;
	if (reason || frag & ECBPF_FRAG_OFFSET)
		return reason;
	return ecbpf_parse_l4(data, data_end, off + hdr, room, proto, IPPROTO_ICMP, rec);
}

/*
 * Which protocol numbers are extension headers, and the unit of their length field in bytes. A
 * table, not comparisons: the verifier walks every path through the loop below, and a branch for
 * each kind of header would make 3^8 of them.
 */
#define ECBPF_EXT	  0x80
#define ECBPF_EXT_FRAG	  0x40
#define ECBPF_EXT_ROUTING ECBPF_IP6_ROUTING0 /* so that it is the flag, too */
#define ECBPF_EXT_UNIT	  0x0f

static const __u8 ecbpf_ip6_ext_kind[256] = {
	[IPPROTO_HOPOPTS] = ECBPF_EXT | 8,
	[IPPROTO_ROUTING] = ECBPF_EXT | ECBPF_EXT_ROUTING | 8,
	[IPPROTO_FRAGMENT] = ECBPF_EXT | ECBPF_EXT_FRAG,
	[IPPROTO_AH] = ECBPF_EXT | 4,
	[IPPROTO_DSTOPTS] = ECBPF_EXT | 8,
};

/* What the walk over extension headers found, as one number: shifts, and widths in bits */
#define ECBPF_WALK_OFF	   0  /* 16: behind the last header that was walked */
#define ECBPF_WALK_FRAG	   16 /* 16: of fragment headers: offset in bytes, and M lowest */
#define ECBPF_WALK_HDR_LEN 32 /* 12 */
#define ECBPF_WALK_PROTO   44 /* 8: of the header at that offset */
#define ECBPF_WALK_COUNT   52 /* 4: extension headers */
#define ECBPF_WALK_REASON  56 /* 5: enum ecbpf_reason */
#define ECBPF_WALK_IS_FRAG 61 /* 1: there was a fragment header */
#define ECBPF_WALK_FLAG	   62 /* 1: ECBPF_IP6_ROUTING0 */

/*
 * Walk over extension headers from offset @off on, to the end of the packet at @end. Not more than
 * one fragment header is expected (RFC 8200 section 4.5); where an attacker sends several, a first
 * fragment stays one. Without branches where possible, see above.
 */
static __always_inline __u64 ecbpf_ip6_walk_in(void *data, void *data_end, __u64 off, __u32 end,
					       __u64 proto)
{
	__u64 hdr_len = 0, frag = 0, is_frag = 0, flags = 0, count = 0;
	__u64 reason = ECBPF_REASON_NONE;

	_Static_assert(ECBPF_HDR_MAX + 4 < 1 << 12, "ECBPF_WALK_HDR_LEN");
	_Static_assert(ECBPF_IP6_EXT_MAX < 1 << 4, "ECBPF_WALK_COUNT");
	_Static_assert(ECBPF_REASON_MALFORMED_LAST < 1 << 5, "ECBPF_WALK_REASON");
	for (int i = 0; i <= ECBPF_IP6_EXT_MAX; i++) {
		__u64 kind = ecbpf_ip6_ext_kind[proto & 0xff], is_this, word;
		const struct ecbpf_ip6_ext *ext;

		if (!(kind & ECBPF_EXT))
			break;
		if (i == ECBPF_IP6_EXT_MAX || off > ECBPF_HDR_MAX) {
			reason = ECBPF_REASON_IP6_EXT_LIMIT;
			break;
		}
		ext = data + off;
		if (off + sizeof(*ext) > end || (void *)(ext + 1) > data_end) {
			reason = ECBPF_REASON_IP6_EXT_TRUNC;
			break;
		}
		hdr_len = off + 4;
		count++;
		/* all ones if the type is 0 */
		flags |= kind & ECBPF_EXT_ROUTING & ((__u32)ext->routing_type - 1) >> 8;
		proto = ext->nexthdr;
		off += sizeof(*ext) + ext->len * (kind & ECBPF_EXT_UNIT);
		if (off > end) {
			reason = ECBPF_REASON_IP6_EXT_TRUNC;
			break;
		}
		is_this = (kind & ECBPF_EXT_FRAG) / ECBPF_EXT_FRAG;
		barrier_var(is_this); /* or the compiler makes it a branch */
		word = bpf_ntohs(ext->frag_off) * is_this;
		is_frag |= is_this;
		frag |= word & ~6ULL;
		if (word & ~7ULL)
			break;
	}
	if (off > ECBPF_HDR_MAX && !reason && !(frag & ~7ULL))
		reason = ECBPF_REASON_IP6_EXT_LIMIT;
	return off << ECBPF_WALK_OFF | frag << ECBPF_WALK_FRAG | hdr_len << ECBPF_WALK_HDR_LEN |
	       proto << ECBPF_WALK_PROTO | count << ECBPF_WALK_COUNT | reason << ECBPF_WALK_REASON |
	       is_frag << ECBPF_WALK_IS_FRAG | (flags / ECBPF_IP6_ROUTING0) << ECBPF_WALK_FLAG;
}

#if defined(__bpf__) && !defined(ECBPF_PARSE_SKB)
/*
 * Packets with extension headers are few: not inlined, so that the record of all others stays in
 * registers; global, so that the verifier walks it once, not for each way that leads there.
 */
__noinline __u64 ecbpf_ip6_walk(struct xdp_md *ctx, __u32 off, __u32 end, __u32 proto)
{
	return ecbpf_ip6_walk_in((void *)(long)ctx->data, (void *)(long)ctx->data_end,
				 off & (2 * ECBPF_HDR_MAX - 1), end, proto);
}
#endif

/*
 * Payload length of a packet whose field is 0: of BIG TCP, with a jumbo payload option (RFC 2675)
 * that comes first, or since Linux 7.0 without one. Return: 0 if it is neither; @hdr_len: bytes
 * looked at
 */
static __always_inline __u32 ecbpf_parse_jumbo(void *data, void *data_end, __u32 off, __u8 proto,
					       __u32 room, __u32 *hdr_len)
{
	const __u8 *hop = data + off + sizeof(struct ipv6hdr);
	__u32 len;

	if (proto == IPPROTO_TCP)
		return room > ECBPF_IP_MAX ? room : 0;
	if (proto != IPPROTO_HOPOPTS || (void *)(hop + 8) > data_end)
		return 0;
	*hdr_len = off + sizeof(struct ipv6hdr) + 8;
	len = bpf_ntohl(*(const __be32 *)(hop + 4));
	return hop[2] == ECBPF_IP6_JUMBO && hop[3] == 4 && len > ECBPF_IP_MAX && len <= room ? len
											     : 0;
}

static __always_inline __u8 ecbpf_parse_ip6(struct xdp_md *ctx, void *data, void *data_end,
					    __u32 off, struct ecbpf_record *rec)
{
	const struct ipv6hdr *ip6 = data + off;
	__u32 frame_len = rec->frame_len, hdr_len = 0, end, len;
	__u8 proto;

	(void)ctx; /* of programs only */
	rec->l3_off = off;
	if ((void *)(ip6 + 1) > data_end)
		return ECBPF_REASON_IP6_TRUNC;
	rec->hdr_len = off + 8;
	if (*(const __u8 *)ip6 >> 4 != 6)
		return ECBPF_REASON_IP6_VERSION;
	rec->version = 6;
	proto = ip6->nexthdr;
	rec->proto = proto;
	len = bpf_ntohs(ip6->payload_len);
	if (!len) {
		len = ecbpf_parse_jumbo(data, data_end, off, proto, frame_len - off - sizeof(*ip6),
					&hdr_len);
		if (hdr_len)
			rec->hdr_len = hdr_len;
	}
	len += sizeof(*ip6);
	rec->l3_len = len;
	if (len == sizeof(*ip6) && proto == IPPROTO_HOPOPTS)
		return ECBPF_REASON_IP6_JUMBO;
	end = off + len;
	if (end > frame_len)
		return ECBPF_REASON_IP6_LEN_LONG;
	if (end < frame_len)
		rec->flags = ECBPF_PADDED;

	off += sizeof(*ip6);
	if (ecbpf_ip6_ext_kind[proto]) {
#if defined(__bpf__) && !defined(ECBPF_PARSE_SKB)
		__u64 walk = ecbpf_ip6_walk(ctx, off, end, proto);
#else
		__u64 walk = ecbpf_ip6_walk_in(data, data_end, off, end, proto);
#endif
		__u32 walked = walk >> ECBPF_WALK_HDR_LEN & 0xfff;
		__u32 frag = walk >> ECBPF_WALK_FRAG & 0xffff;
		__u8 reason = walk >> ECBPF_WALK_REASON & 31;

		if (walked > hdr_len)
			rec->hdr_len = walked;
		proto = walk >> ECBPF_WALK_PROTO;
		rec->proto = proto;
		rec->ext_count = walk >> ECBPF_WALK_COUNT & 15;
		rec->frag_off = frag & ~7U;
		rec->flags |= (frag & 1) * ECBPF_IP_MF;
		rec->flags |= (walk >> ECBPF_WALK_FLAG & 1) * ECBPF_IP6_ROUTING0;
		if (rec->frag_off)
			rec->frag = ECBPF_FRAG_LATER;
		else if (walk >> ECBPF_WALK_IS_FRAG & 1)
			rec->frag = frag & 1 ? ECBPF_FRAG_FIRST : ECBPF_FRAG_ATOMIC;
		if (reason || rec->frag_off)
			return reason;
		off = walk & 0xffff;
		if (off > ECBPF_HDR_MAX)
			return ECBPF_REASON_IP6_EXT_LIMIT;
	}
	if (proto == IPPROTO_NONE)
		return ECBPF_REASON_NONE;
	return ecbpf_parse_l4(data, data_end, off, end - off, proto, IPPROTO_ICMPV6, rec);
}

/* Ethernet and tags; sets all that depends on neither IP header */
static __always_inline __u8 ecbpf_parse_l2(struct xdp_md *ctx, void *data, void *data_end,
					   struct ecbpf_record *rec)
{
	const struct ecbpf_eth_hdr *eth = data;
	__u32 off = sizeof(*eth);
	__be16 ethertype;

	if ((void *)(eth + 1) > data_end)
		return ECBPF_REASON_RUNT;
	ethertype = eth->ethertype;
#pragma unroll
	for (int i = 0; i < ECBPF_VLAN_MAX; i++) {
		const struct ecbpf_vlan_hdr *tag = data + off;

		if (!ecbpf_is_vlan(ethertype))
			break;
		rec->hdr_len = off;
		rec->ethertype = ethertype;
		if ((void *)(tag + 1) > data_end)
			return ECBPF_REASON_VLAN_TRUNC;
		off += sizeof(*tag);
		rec->vlan_tci[i] = bpf_ntohs(tag->tci);
		rec->vlan_count = i + 1;
		ethertype = tag->ethertype;
	}
	rec->ethertype = ethertype;
	rec->hdr_len = off;
	if (ethertype == bpf_htons(ETH_P_IP))
		return ecbpf_parse_ip4(data, data_end, off, rec);
	if (ethertype == bpf_htons(ETH_P_IPV6))
		return ecbpf_parse_ip6(ctx, data, data_end, off, rec);
	if (ecbpf_is_vlan(ethertype))
		return ECBPF_REASON_VLAN_TAGS;
	return ECBPF_REASON_NONE;
}

/*
 * Of a frame that is not IP, by its EtherType after the tags, network order. Return: the reason to
 * count if it is a link layer that may carry IP and is not looked into, else 0
 */
static __always_inline __u32 ecbpf_link_reason(__u32 ethertype)
{
	__u32 type = bpf_ntohs((__be16)ethertype);

	if (type < ETH_P_802_3_MIN)
		return ECBPF_REASON_LINK_LLC;
	switch (type) {
	case ETH_P_PPP_DISC:
	case ETH_P_PPP_SES:
		return ECBPF_REASON_LINK_PPPOE;
	case ETH_P_MPLS_UC:
	case ETH_P_MPLS_MC:
		return ECBPF_REASON_LINK_MPLS;
	case ETH_P_8021AH:
		return ECBPF_REASON_LINK_PBB;
	case 0x893f: /* IEEE 802.1BR */
		return ECBPF_REASON_LINK_ETAG;
	case 0x8926: /* VN-tag, of Cisco */
		return ECBPF_REASON_LINK_VNTAG;
	case ETH_P_NSH:
		return ECBPF_REASON_LINK_NSH;
	case ETH_P_MACSEC:
		return ECBPF_REASON_LINK_MACSEC;
	case 0x9100: /* before 802.1ad: not registered */
	case 0x9200:
	case 0x9300:
		return ECBPF_REASON_LINK_QINQ;
	case 0x08ff: /* AX.25 */
	case 0x22f3: /* TRILL (RFC 6325) */
	case 0x4305: /* batman-adv */
	case 0x6558: /* Ethernet in Ethernet */
	case 0x8870: /* LLC in jumbo frames */
	case 0x8899: /* Realtek, also tags of switches */
	case 0x88b7: /* extended by an OUI, as SNAP (IEEE 802) */
	case 0x88fb: /* PRP, HSR version 0 */
	case 0x8903: /* FabricPath */
	case 0x8909: /* Cisco metadata: a security group tag */
	case 0x892f: /* HSR */
	case 0xa0ed: /* 6LoWPAN (RFC 7973) */
	case 0xdada: /* tags of switches: EDSA */
	case 0xdadb: /* 802.1Q in DSA */
	case 0xe001: /* A5PSW */
	case 0xed3e: /* inter-FE LFB (RFC 8013) */
		return ECBPF_REASON_LINK_OTHER;
	default:
		return ECBPF_REASON_NONE;
	}
}

/*
 * What ecbpf_parse_plain() compares at once: EtherType, version and IPv4 header length; fragment
 * word and protocol of IPv4. TTL and type of service lie in between and are masked.
 */
#define ECBPF_PLAIN_IP4_MASK   bpf_htonl(0xffffff00)
#define ECBPF_PLAIN_IP4	       bpf_htonl((__u32)ETH_P_IP << 16 | 0x4500)
#define ECBPF_PLAIN_IP6_MASK   bpf_htonl(0xfffff000)
#define ECBPF_PLAIN_IP6	       bpf_htonl((__u32)ETH_P_IPV6 << 16 | 0x6000)
#define ECBPF_PLAIN_PROTO_MASK bpf_htonl((__u32)~ECBPF_FRAG_DF << 16 | 0xff)

/* @l4 and @off: where TCP begins; @room: bytes of the IP packet from there on, may be negative */
static __always_inline bool ecbpf_plain_tcp(const __u8 *l4, __u32 off, __s32 room,
					    struct ecbpf_record *rec)
{
	if (l4[12] < 0x50 || (l4[12] >> 2 & 0x3c) > room)
		return false;
	rec->proto = IPPROTO_TCP;
	rec->l4_off = off;
	rec->hdr_len = off + 14;
	rec->ports = *(__u32 *)l4;
	rec->tcp_flags = l4[13];
	return true;
}

static __always_inline bool ecbpf_plain_udp(const __u8 *l4, __u32 off, __s32 room,
					    struct ecbpf_record *rec)
{
	if (room < (__s32)sizeof(struct udphdr))
		return false;
	rec->proto = IPPROTO_UDP;
	rec->l4_off = off;
	rec->hdr_len = off + 4;
	rec->ports = *(__u32 *)l4;
	return true;
}

/*
 * The flag ECBPF_PADDED of a packet that ends at byte @end, at most @frame_len; or 0. Without a
 * branch: each one here doubles the paths that the verifier walks
 */
static __always_inline __u8 ecbpf_plain_padded(__u32 end, __u32 frame_len)
{
	return ((end - frame_len) >> 31) * ECBPF_PADDED; /* the sign of the difference */
}

/* The IP packet at @data + @off, a constant; what lies before it is in the record */
static __always_inline bool ecbpf_plain_ip(void *data, void *data_end, __u32 off,
					   struct ecbpf_record *rec)
{
	const __u8 *ip = data + off;
	__u32 word = *(__u32 *)(ip - 2), len;

	rec->l3_off = off;
	if ((word & ECBPF_PLAIN_IP4_MASK) == ECBPF_PLAIN_IP4) {
		const __u8 *l4 = ip + sizeof(struct iphdr);

		if ((void *)l4 + sizeof(struct tcphdr) > data_end)
			return false;
		len = bpf_ntohs(*(__be16 *)(ip + 2));
		if (off + len > rec->frame_len)
			return false;
		rec->version = 4;
		rec->ethertype = bpf_htons(ETH_P_IP);
		rec->l3_len = len;
		rec->flags = ip[6] / (0x40 / ECBPF_IP_DF) & ECBPF_IP_DF;
		rec->flags |= ecbpf_plain_padded(off + len, rec->frame_len);
		off += sizeof(struct iphdr);
		len -= sizeof(struct iphdr);
		word = *(__u32 *)(ip + 6) & ECBPF_PLAIN_PROTO_MASK;
		if (word == bpf_htonl(IPPROTO_TCP))
			return ecbpf_plain_tcp(l4, off, len, rec);
		return word == bpf_htonl(IPPROTO_UDP) && ecbpf_plain_udp(l4, off, len, rec);
	}
	if ((word & ECBPF_PLAIN_IP6_MASK) == ECBPF_PLAIN_IP6) {
		const __u8 *l4 = ip + sizeof(struct ipv6hdr);

		if ((void *)l4 + sizeof(struct tcphdr) > data_end)
			return false;
		len = bpf_ntohs(*(__be16 *)(ip + 4));
		off += sizeof(struct ipv6hdr);
		if (off + len > rec->frame_len)
			return false;
		rec->version = 6;
		rec->ethertype = bpf_htons(ETH_P_IPV6);
		rec->l3_len = sizeof(struct ipv6hdr) + len;
		rec->flags = ecbpf_plain_padded(off + len, rec->frame_len);
		if (ip[6] == IPPROTO_TCP)
			return ecbpf_plain_tcp(l4, off, len, rec);
		return ip[6] == IPPROTO_UDP && ecbpf_plain_udp(l4, off, len, rec);
	}
	return false;
}

/*
 * The packets that nearly all traffic is made of: TCP and UDP over IPv4 without options and
 * fragments or IPv6 without extension headers, well-formed, with at most one tag, and long enough
 * for a TCP header. What it finds is what ecbpf_parse() would find, in so few instructions that
 * handing the record on costs more (shared.bpf.h). All offsets are constants, and fields that the
 * program does not use cost nothing.
 *
 * Return: false if it is not such a packet; @rec is then to be filled by somebody else.
 */
static __always_inline bool ecbpf_parse_plain(struct xdp_md *ctx, void *data, void *data_end,
					      struct ecbpf_record *rec)
{
	const struct ecbpf_eth_hdr *eth = data;
	const struct ecbpf_vlan_hdr *tag = (void *)(eth + 1);

	/* all that IPv4 needs, and its shortest frame on a wire has 60 */
	if (data + sizeof(*eth) + sizeof(struct iphdr) + sizeof(struct tcphdr) > data_end)
		return false;
	*rec = (struct ecbpf_record){};
	rec->frame_len = ecbpf_frame_len(ctx, data_end - data);
	if (ecbpf_plain_ip(data, data_end, sizeof(*eth), rec))
		return true;
	if (!ecbpf_is_vlan(eth->ethertype))
		return false;
	rec->vlan_tci[0] = bpf_ntohs(tag->tci);
	rec->vlan_count = 1;
	return ecbpf_plain_ip(data, data_end, sizeof(*eth) + sizeof(*tag), rec);
}

/**
 * ecbpf_parse() - fill a record from a frame
 * @ctx: the program's context; data and data_end are taken from the arguments
 * @data: first byte of the Ethernet header
 * @data_end: end of the linear part
 * @rec: output, all of it written
 *
 * A header that does not lie in the linear part counts as truncated.
 */
static __always_inline void ecbpf_parse(struct xdp_md *ctx, void *data, void *data_end,
					struct ecbpf_record *rec)
{
	*rec = (struct ecbpf_record){};
	rec->frame_len = ecbpf_frame_len(ctx, data_end - data);
	rec->reason = ecbpf_parse_l2(ctx, data, data_end, rec);
}

#if defined(__bpf__) && !defined(ECBPF_PARSE_SKB)
/*
 * For what happens to one packet in many, such as a sample: it parses again, as the record that the
 * stage has would have to be in memory for all packets were it handed in.
 */
static __noinline int ecbpf_parse_rare(struct xdp_md *ctx, struct ecbpf_record *rec)
{
	ecbpf_parse(ctx, (void *)(long)ctx->data, (void *)(long)ctx->data_end, rec);
	return 0;
}

/*
 * A header, for fields that the record does not have. @off: l3_off or l4_off of the record, which
 * says that it is there; @size: a constant. NULL is for the verifier.
 */
static __always_inline void *ecbpf_header(struct xdp_md *ctx, __u32 off, __u32 size)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;

	off &= 2 * ECBPF_HDR_MAX - 1;
	return data + off + size > data_end ? NULL : data + off;
}
#endif

#endif /* ECBPF_PARSE_BPF_H */
