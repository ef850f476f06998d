/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fields of the current packet that rules test.
 */
#ifndef ECBPF_FW_PACKET_BPF_H
#define ECBPF_FW_PACKET_BPF_H

#include "fw_maps.bpf.h"

/* Entries for ECBPF_FW_BLOCKS words; a power of two, so that an index needs a mask and no branch */
#define FW_PENDING 256
_Static_assert(FW_PENDING >= ECBPF_FW_BLOCKS, "masked");

/*
 * The fields of the current packet that rules test, and the state of its search. They are in a map
 * because the stack is too small, and because global functions take only numbers (5.10). Global
 * functions are needed: the verifier checks them once, not once for each path that calls them.
 *
 * XDP programs do not interrupt each other on a CPU. On older kernels a packet can interrupt a run
 * by BPF_PROG_TEST_RUN, which then returns the result for that packet.
 */
struct fw_packet {
	__be32 addr[2][4];	    /* source, destination; of IPv4 the first word */
	__u32 value[ECBPF_FW_DIMS]; /* of fields */
	__u16 class[ECBPF_FW_DIMS];
	__u32 frame_len;
	__u32 l4; /* enum ecbpf_fw_l4 */
	__u32 is_ip6;
	__u32 rule;	  /* the deciding rule so far */
	__u32 summary_at; /* the word of the summary that is read */
	__u32 pending_count;
	__u64 summary[ECBPF_FW_SUMMARY_WORDS];
	__u64 found;			 /* see fw_match_small(), fw_sets_find() */
	__u64 pending[FW_PENDING];	 /* words of rules that match and do not decide */
	__u16 pending_block[FW_PENDING]; /* their block */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fw_packet);
} fw_packet_at SEC(".maps");

static __always_inline struct fw_packet *fw_packet(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&fw_packet_at, &key);
}

/* Index: is it IPv6, protocol */
static const __u8 fw_l4_table[2][256] = {
	[0][IPPROTO_TCP] = ECBPF_FW_L4_TCP,   [0][IPPROTO_UDP] = ECBPF_FW_L4_UDP,
	[0][IPPROTO_ICMP] = ECBPF_FW_L4_ICMP, [1][IPPROTO_TCP] = ECBPF_FW_L4_TCP,
	[1][IPPROTO_UDP] = ECBPF_FW_L4_UDP,   [1][IPPROTO_ICMPV6] = ECBPF_FW_L4_ICMP6,
};

/* Without branches where possible: each one doubles the paths that the verifier walks */

static __always_inline __u32 fw_is_ip6(const struct ecbpf_record *rec)
{
	return rec->version >> 1 & 1;
}

static __always_inline __u32 fw_l4(const struct ecbpf_record *rec)
{
	__u32 has_l4 = (rec->l4_off + 0xffffU) >> 16;

	if (rec->reason) /* never of plain packets, the compiler knows */
		return ECBPF_FW_L4_OTHER;
	return fw_l4_table[fw_is_ip6(rec)][rec->proto] | has_l4 * ECBPF_FW_L4_THERE;
}

/*
 * @ip: the IP header. For IPv4 it is read again: the parser's branches leave known values in the
 * record, and the verifier would walk all that follows once for each of them
 */
static __always_inline __u32 fw_kind(const struct ecbpf_record *rec, const __u8 *ip)
{
	__u32 kind = (__u32)rec->frag << ECBPF_FW_KIND_FRAG;

	_Static_assert(ECBPF_IP6_EXT_MAX <= 8, "a flag");
	_Static_assert(ECBPF_REASON_MALFORMED_LAST < 256, "takes the place of the protocol");
	if (!ip || rec->reason)
		return ECBPF_FW_KIND_OF_MALFORMED(rec->reason, rec->version);
	if (rec->version == 4) /* the flag: the header has more than 5 words */
		return kind | ((const struct iphdr *)ip)->protocol |
		       ((ip[0] & 15) + 10) >> 4 << ECBPF_FW_KIND_OPTIONS;
	return kind | rec->proto | (rec->ext_count + 7) >> 3 << ECBPF_FW_KIND_OPTIONS |
	       1 << ECBPF_FW_KIND_IP6;
}

static __always_inline __u32 fw_length(__u32 frame_len)
{
	__u32 is_long = (65535 - (__s64)frame_len) >> 63; /* all bits set, or none */

	return (frame_len & ~is_long & 65535) | (is_long & ECBPF_FW_LENGTH_LONG);
}

static __always_inline __u32 fw_ttl(const struct ecbpf_record *rec, const __u8 *ip)
{
	if (!ip || rec->reason) /* rules of malformed packets do not test it */
		return 0;
	return rec->version == 4 ? ip[8] : ip[7] | 1 << 8;
}

/* An outer tag with VID 0 has a priority only: the kernel goes by the next one (IEEE 802.1Q 9.6) */
static __always_inline __u32 fw_vlan(const struct ecbpf_record *rec)
{
	__u32 has_none = ((__s32)rec->vlan_count - 1) >> 31, vid = rec->vlan_tci[0] & 0xfff;

	if (!vid)
		vid = rec->vlan_tci[1] & 0xfff;
	return vid | (has_none & ECBPF_FW_VLAN_NONE);
}

/* TCP window, in network order, or code of ICMP */
static __always_inline __u32 fw_code(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	const struct tcphdr *tcp;

	if (rec->proto != IPPROTO_TCP || !rec->l4_off)
		return rec->icmp_code;
	tcp = ecbpf_header(ctx, rec->l4_off, sizeof(*tcp));
	return tcp ? tcp->window : 0; /* NULL: malformed */
}

/* The packet's value in dimension @dim, a constant; @ip: the IP header */
static __always_inline __u32 fw_value(struct xdp_md *ctx, const struct ecbpf_record *rec,
				      const __u8 *ip, enum ecbpf_fw_dim dim)
{
	switch (dim) {
	case ECBPF_FW_KIND:
		return fw_kind(rec, ip);
	case ECBPF_FW_LENGTH:
		return fw_length(rec->frame_len);
	case ECBPF_FW_VLAN:
		return fw_vlan(rec);
	case ECBPF_FW_TTL:
		return fw_ttl(rec, ip);
	case ECBPF_FW_SPORT:
		return rec->sport;
	case ECBPF_FW_DPORT:
		return rec->dport;
	case ECBPF_FW_TYPE:
		return rec->tcp_flags | rec->icmp_type;
	case ECBPF_FW_CODE:
		return fw_code(ctx, rec);
	default:
		return 0;
	}
}

/* Store the fields of the packet. Return: the packet; NULL never happens, the verifier wants it */
static __always_inline struct fw_packet *fw_packet_set(struct xdp_md *ctx,
						       const struct ecbpf_record *rec)
{
	const __u8 *ip = ecbpf_header(ctx, rec->l3_off, sizeof(struct iphdr));
	struct fw_packet *p = fw_packet();

	if (!p || (!ip && !rec->reason))
		return NULL;
	barrier_var(ip); /* else clang takes it for valid where the reason is 0; Linux 6.1 cannot
			    know */
#pragma unroll
	for (int dim = 0; dim < ECBPF_FW_DIMS; dim++)
		p->value[dim] = fw_value(ctx, rec, ip, dim);
	p->frame_len = rec->frame_len;
	p->l4 = fw_l4(rec);
	p->is_ip6 = fw_is_ip6(rec);
	if (!rec->version) /* only rules that do not look at addresses match it */
		return p;
	if (!ip)
		return NULL;
	if (rec->version == 4) {
		p->addr[0][0] = ((const struct iphdr *)ip)->saddr;
		p->addr[1][0] = ((const struct iphdr *)ip)->daddr;
	} else {
		const struct ipv6hdr *ip6 = ecbpf_header(ctx, rec->l3_off, sizeof(*ip6));

		if (!ip6)
			return NULL;
		__builtin_memcpy(p->addr, &ip6->saddr, sizeof(p->addr));
	}
	return p;
}

#endif /* ECBPF_FW_PACKET_BPF_H */
