/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Search in a small generation.
 */
#ifndef ECBPF_FW_SMALL_BPF_H
#define ECBPF_FW_SMALL_BPF_H

#include "fw_class.bpf.h"
#include "fw_rule.bpf.h"
#include "fw_set.bpf.h"

/* The fields of a packet in two numbers, the arguments of fw_match_small(): shifts */
#define FW_TTL	 12 /* behind the kind; 9 bits */
#define FW_VLAN	 21 /* 13 bits */
#define FW_L4	 34
#define FW_DPORT 16 /* behind the source port */
#define FW_CODE	 32

/* Result of fw_match_small(): call fw_match_small_slow() */
#define FW_SLOW 0

static __always_inline __u64 fw_vector(const __u64 *vectors, __u64 index, __u64 mask)
{
	barrier_var(index); /* as in fw_word() */
	return vectors[index & mask];
}

static __always_inline __u64 fw_small_vector(const struct ecbpf_fw_small *small, __u32 class)
{
	return fw_vector(small->vectors, class, ECBPF_FW_SMALL_CLASSES - 1);
}

/*
 * The first two rows: the kind, and TCP flags or type of ICMP. Most packets match no rule by then.
 * Return: the rules that are left; @ret_l4: enum ecbpf_fw_l4
 */
static __always_inline __u64 fw_small_first(const struct ecbpf_fw_small *small, __u64 kind,
					    __u64 type, __u64 *ret_l4)
{
	const struct ecbpf_fw_small_kind *row;
	__u64 bits;

	barrier_var(kind);
	row = &small->kind[kind & (ECBPF_FW_KINDS - 1)];
	bits = row->vector;
	if (!bits) /* no rule matches the protocol */
		return 0;
	*ret_l4 = row->l4;
	return bits & fw_vector(small->type, *ret_l4 << 8 | type, ECBPF_FW_L4_MAX * 256 - 1);
}

/* @bits: of fw_small_first(). Return: those of them whose source IPv4 address @addr is */
static __always_inline __u64 fw_small_source4(const struct ecbpf_fw_small *small, __u64 bits,
					      __u32 addr)
{
	return bits & fw_small_vector(small, fw_lpm4(small->words, ECBPF_FW_SMALL_WORDS - 1,
						     &small->tables.roots[0][0], addr));
}

/*
 * @bits: those that match kind, type and source
 * @addrs: source, destination; of IPv6 only the destination's class
 * @facts, @l4: see FW_TTL, FW_DPORT
 *
 * Return: the rules that match the packet; tests of sets are not evaluated.
 */
static __always_inline __u64 fw_small_bits(const struct ecbpf_fw_small *small, __u64 bits,
					   __u64 addrs, __u64 facts, __u64 l4, __u32 frame_len)
{
	__u32 dst = addrs;
	const struct ecbpf_fw_tables *t = &small->tables;
	const struct ecbpf_fw_field *fields;
	__u64 length = fw_length(frame_len), kind = facts >> FW_L4;

	if (!(facts >> ECBPF_FW_KIND_IP6 & 1))
		dst = fw_lpm4(small->words, ECBPF_FW_SMALL_WORDS - 1, &t->roots[1][0], dst);
	bits &= fw_small_vector(small, dst);
	if (!bits)
		return 0;
	bits &= fw_vector(small->ttl, facts >> FW_TTL, 511);
	bits &= fw_vector(small->vlan, facts >> FW_VLAN, 2 * ECBPF_FW_VLAN_NONE - 1);
	/*
	 * Constant tables where they can be, to save the load of @fields: those of the length and
	 * of TCP's ports and window are always filled in a small generation, also if no rule tests
	 * the field. Class 0 of an empty one would match no rule. See lib/fw/compile-fields.c
	 */
	barrier_var(length);
	bits &= fw_small_vector(small, t->length[length & (2 * ECBPF_FW_LENGTH_LONG - 1)]);
	if (kind == (ECBPF_FW_L4_TCP | ECBPF_FW_L4_THERE)) {
		bits &= fw_small_vector(small, t->sport[0][l4 & 0xffff]);
		bits &= fw_small_vector(small, t->dport[0][l4 >> FW_DPORT & 0xffff]);
		return bits & fw_small_vector(small, t->window[l4 >> FW_CODE & 0xffff]);
	}
	fields = fw_fields(t, kind);
	bits &= fw_small_vector(small, fw_class(t, fields, ECBPF_FW_SPORT, l4 & 0xffff));
	bits &= fw_small_vector(small,
				fw_class(t, fields, ECBPF_FW_DPORT, l4 >> FW_DPORT & 0xffff));
	return bits &
	       fw_small_vector(small, fw_class(t, fields, ECBPF_FW_CODE, l4 >> FW_CODE & 0xffff));
}

/* The rule of the lowest of @bits, which are not 0 */
static __always_inline const struct ecbpf_fw_small_rule *
fw_small_rule(const struct ecbpf_fw_small *small, __u64 bits)
{
	__u64 number = ECBPF_FW_SMALL_RULE(bits & -bits);

	barrier_var(number);
	return &small->by_bit[number & 63];
}

/* The deciding rules @bits match; the first one decides. Return: ECBPF_VERDICT() */
static __always_inline __u32 fw_small_end(const struct ecbpf_fw_small *small, __u64 bits,
					  __u32 frame_len)
{
	const struct ecbpf_fw_small_rule *rule;

	if (!bits) {
		fw_decide(FW_UNDECIDED);
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	}
	rule = fw_small_rule(small, bits);
	fw_decide(rule->rule);
	fw_count_at(rule->counter, frame_len);
	return rule->verdict;
}

/*
 * @active: word of fw_active, behind it the length of the frame; the others as of fw_small_bits().
 * Return: ECBPF_VERDICT(), or FW_SLOW
 */
__noinline __u32 fw_match_small(__u64 active, __u64 bits, __u64 addrs, __u64 facts, __u64 l4)
{
	const struct ecbpf_fw_small *small = fw_small_get(active);
	__u32 frame_len = active >> 32;
	struct fw_packet *p;

	if (!small)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	bits = fw_small_bits(small, bits, addrs, facts, l4, frame_len);
	if (bits & small->slow) {
		p = fw_packet();
		if (!p)
			return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
		p->found = bits;
		p->frame_len = frame_len;
		p->is_ip6 = facts >> ECBPF_FW_KIND_IP6 & 1;
		if (!p->is_ip6) {
			p->addr[0][0] = bpf_htonl(addrs >> 32);
			p->addr[1][0] = bpf_htonl(addrs);
		}
		return FW_SLOW;
	}
	return fw_small_end(small, bits, frame_len);
}

static __always_inline __u32 fw_small_try(struct xdp_md *ctx, const struct ecbpf_record *rec,
					  __u32 active)
{
	const __u8 *ip = ecbpf_header(ctx, rec->l3_off, sizeof(struct iphdr));
	const struct ecbpf_fw_small *small = fw_small_get(active);
	__u64 bits, addrs, facts, l4 = 0, type = rec->tcp_flags | rec->icmp_type;
	__u64 more = active | (__u64)rec->frame_len << 32;

	if (!rec->version) /* see fw_packet_set() */
		ip = NULL;
	if (!small || (rec->version && !ip))
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	facts = fw_kind(rec, ip);
	bits = fw_small_first(small, facts, type, &l4);
	if (!bits) {
		fw_decide(FW_UNDECIDED);
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	}
	barrier_var(ip); /* the verifier does not know that it is valid where there is a version */
	if (!ip) {
		addrs = 0;
	} else if (rec->version == 4) {
		const struct iphdr *ip4 = (const struct iphdr *)ip;

		addrs = (__u64)bpf_ntohl(ip4->saddr) << 32 | bpf_ntohl(ip4->daddr);
		bits = fw_small_source4(small, bits, addrs >> 32);
	} else {
		const struct ipv6hdr *ip6 = ecbpf_header(ctx, rec->l3_off, sizeof(*ip6));
		struct fw_packet *p = fw_packet();

		if (!ip6 || !p)
			return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
		__builtin_memcpy(p->addr, &ip6->saddr, sizeof(p->addr));
		bits &= fw_small_vector(small, fw_class6(active, 0));
		addrs = bits ? fw_class6(active, 1) : 0;
	}
	if (!bits) {
		fw_decide(FW_UNDECIDED);
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	}
	facts |= fw_ttl(rec, ip) << FW_TTL | (__u64)fw_vlan(rec) << FW_VLAN | l4 << FW_L4;
	l4 = ip ? rec->ports | (__u64)fw_code(ctx, rec) << FW_CODE : 0;
	return fw_match_small(more, bits, addrs, facts, l4);
}

/* For packets that match a rule that tests a set or does not decide. Return: ECBPF_VERDICT() */
__noinline __u32 fw_match_small_slow(__u32 active)
{
	const struct ecbpf_fw_small *small = fw_small_get(active);
	struct fw_packet *p = fw_packet();
	__u64 bits, pending;
	__u32 end;

	if (!small || !p)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	bits = p->found;
	for (__u32 i = 0; i < ECBPF_FW_USES_MAX; i++) {
		__u64 has;

		if (i >= small->tables.uses_count)
			break;
		has = fw_set_has(small->tables.uses[i]);
		bits &= fw_vector(small->use_vectors, i * 2 + has, ECBPF_FW_USES_MAX * 2 - 1);
	}
	pending = bits & ~small->tables.deciding[0];
	bits ^= pending;
	end = bits ? fw_small_rule(small, bits)->rule : FW_UNDECIDED;
	for (int i = 0; i < ECBPF_FW_SMALL_RULES; i++) {
		const struct ecbpf_fw_small_rule *rule;

		if (!pending)
			break;
		rule = fw_small_rule(small, pending);
		if (rule->rule >= end)
			break;
		if (fw_do(rule->rule, rule->counter, rule->limit)) {
			fw_decide(rule->rule);
			return rule->verdict;
		}
		pending &= pending - 1;
	}
	return fw_small_end(small, bits, p->frame_len);
}

#endif /* ECBPF_FW_SMALL_BPF_H */
