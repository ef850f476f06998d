// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Does one rule match all packets that another one matches?
 *
 * Packets are told apart by family or, if they are malformed, by reason; by protocol; and by kind
 * of fragment. Of packets of one kind a rule tests each field by itself, but for `port`.
 */
#include <netinet/in.h>
#include <string.h>
#include "core/prefix.h"
#include "core/util.h"
#include "fw/within.h"

#define FRAGS 4

/* --- values ----------------------------------------------------------------------------------- */

/*
 * Are all values of @inner, from @min on, in @outer? @max: the most that there is; @is_there: all
 * packets have the field, with a value up to @max
 */
static bool values_within(const struct fw_values *inner, const struct fw_values *outer, __u32 min,
			  __u32 max, bool is_there)
{
	const struct fw_range all = {.first = 0, .last = max};
	const struct fw_range *ranges = inner->count ? inner->ranges : &all;
	size_t count = inner->count ? inner->count : 1, at = 0;

	if (!outer->count)
		return true;
	if (!inner->count && !is_there)
		return false;
	for (size_t i = 0; i < count; i++) {
		__u32 first = ranges[i].first > min ? ranges[i].first : min;

		if (ranges[i].last < first)
			continue;
		while (at < outer->count && outer->ranges[at].last < first)
			at++;
		if (at == outer->count || outer->ranges[at].first > first ||
		    outer->ranges[at].last < ranges[i].last)
			return false;
	}
	return true;
}

static bool values_are_empty(const struct fw_values *values, __u32 min)
{
	return values->count && values->ranges[values->count - 1].last < min;
}

/* --- addresses -------------------------------------------------------------------------------- */

static __u64 big_endian(const __u8 *at, size_t size)
{
	__u64 value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | at[i];
	return value;
}

/* The lower @bits of a number */
static __u64 mask_of(unsigned int bits)
{
	return bits >= 64 ? ~0ULL : (1ULL << bits) - 1;
}

struct fw_addr fw_addr_make(const struct ecbpf_prefix *prefix, bool is_last)
{
	unsigned int bits = ecbpf_addr_bits(prefix->family) - prefix->len;
	struct fw_addr addr = {};

	if (prefix->family == 4) {
		addr.low = big_endian(prefix->addr, 4);
	} else {
		addr.high = big_endian(prefix->addr, 8);
		addr.low = big_endian(prefix->addr + 8, 8);
	}
	if (is_last) {
		addr.low |= mask_of(bits);
		addr.high |= bits > 64 ? mask_of(bits - 64) : 0;
	}
	return addr;
}

int fw_addr_compare(struct fw_addr a, struct fw_addr b)
{
	if (a.high != b.high)
		return a.high < b.high ? -1 : 1;
	return a.low < b.low ? -1 : a.low > b.low;
}

struct fw_addr fw_addr_next(struct fw_addr addr)
{
	addr.low++;
	addr.high += !addr.low;
	return addr;
}

/* The first prefix of the list from *@at on that ends at @addr or behind it; NULL: there is none */
static const struct ecbpf_prefix *list_seek(const struct fw_addrs *list, size_t *at,
					    struct fw_addr addr)
{
	size_t end = list->prefixes_count;

	while (*at < end) {
		size_t middle = *at + (end - *at) / 2;

		if (fw_addr_compare(fw_addr_make(&list->prefixes[middle], true), addr) < 0)
			*at = middle + 1;
		else
			end = middle;
	}
	return *at < list->prefixes_count ? &list->prefixes[*at] : NULL;
}

/* Is all of @inner in the prefixes of @outer? */
static bool list_within(const struct fw_addrs *inner, const struct fw_addrs *outer, size_t *steps)
{
	size_t at = 0;

	for (size_t i = 0; i < inner->prefixes_count; i++, (*steps)++) {
		struct fw_addr addr = fw_addr_make(&inner->prefixes[i], false);
		struct fw_addr last = fw_addr_make(&inner->prefixes[i], true);
		const struct ecbpf_prefix *prefix;

		for (;;) {
			prefix = list_seek(outer, &at, addr);
			if (!prefix || fw_addr_compare(fw_addr_make(prefix, false), addr) > 0)
				return false;
			addr = fw_addr_make(prefix, true);
			if (fw_addr_compare(addr, last) >= 0)
				break;
			addr = fw_addr_next(addr);
			(*steps)++;
		}
	}
	return true;
}

static bool lists_overlap(const struct fw_addrs *a, const struct fw_addrs *b, size_t *steps)
{
	size_t at = 0;

	for (size_t i = 0; i < a->prefixes_count; i++, (*steps)++) {
		const struct ecbpf_prefix *prefix =
			list_seek(b, &at, fw_addr_make(&a->prefixes[i], false));

		if (prefix && fw_addr_compare(fw_addr_make(prefix, false),
					      fw_addr_make(&a->prefixes[i], true)) <= 0)
			return true;
	}
	return false;
}

/* Is each address in one of both? @b may be NULL */
static bool lists_are_all(__u8 family, const struct fw_addrs *a, const struct fw_addrs *b)
{
	const struct ecbpf_prefix any = {.family = family};
	const struct fw_addr last = fw_addr_make(&any, true);
	size_t at_a = 0, at_b = 0;
	struct fw_addr addr = {};

	for (;;) {
		const struct ecbpf_prefix *prefix = list_seek(a, &at_a, addr);

		if (!prefix || fw_addr_compare(fw_addr_make(prefix, false), addr) > 0)
			prefix = b ? list_seek(b, &at_b, addr) : NULL;
		if (!prefix || fw_addr_compare(fw_addr_make(prefix, false), addr) > 0)
			return false;
		addr = fw_addr_make(prefix, true);
		if (!fw_addr_compare(addr, last))
			return true;
		addr = fw_addr_next(addr);
	}
}

/* Does it match each address? */
static bool addrs_are_all(__u8 family, const struct fw_addrs *addrs)
{
	return addrs->kind == FW_ADDRS_ANY || (addrs->kind == FW_ADDRS_LIST && !addrs->is_negated &&
					       lists_are_all(family, addrs, NULL));
}

static bool addrs_within(__u8 family, const struct fw_addrs *inner, const struct fw_addrs *outer,
			 size_t *steps)
{
	if (outer->kind == FW_ADDRS_ANY)
		return true;
	if (inner->kind == FW_ADDRS_SET || outer->kind == FW_ADDRS_SET)
		return (inner->kind == outer->kind && inner->set == outer->set &&
			inner->is_negated == outer->is_negated) ||
		       addrs_are_all(family, outer);
	if (inner->kind == FW_ADDRS_ANY)
		return addrs_are_all(family, outer);
	if (inner->is_negated)
		return outer->is_negated ? list_within(outer, inner, steps)
					 : lists_are_all(family, outer, inner);
	return outer->is_negated ? !lists_overlap(inner, outer, steps)
				 : list_within(inner, outer, steps);
}

/* --- protocols -------------------------------------------------------------------------------- */

static __u8 icmp_of(const struct fw_rule *rule)
{
	return rule->family == 6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
}

/* What the rule tests of the header above IP of packets of @proto; NONE: it matches no such packet
 */
enum part {
	PART_NONE,
	PART_ANY, /* nothing */
	PART_TCP,
	PART_UDP,
	PART_ICMP,
};

static enum part part_of(const struct fw_rule *rule, __u8 proto)
{
	if (proto == IPPROTO_TCP && rule->protos & FW_PROTO_TCP)
		return PART_TCP;
	if (proto == IPPROTO_UDP && rule->protos & FW_PROTO_UDP)
		return PART_UDP;
	if (proto == icmp_of(rule) && rule->protos & FW_PROTO_ICMP)
		return PART_ICMP;
	if (rule->protos & FW_PROTO_NUMBER && fw_values_have(&rule->proto, proto))
		return PART_ANY;
	return PART_NONE;
}

static bool part_tests(const struct fw_rule *rule, enum part part)
{
	switch (part) {
	case PART_TCP:
		return rule->tcp.sport.count || rule->tcp.dport.count || rule->tcp.port.count ||
		       rule->tcp.window.count || rule->tcp.mask;
	case PART_UDP:
		return rule->udp.sport.count || rule->udp.dport.count || rule->udp.port.count;
	case PART_ICMP:
		return rule->icmp.type.count || rule->icmp.code.count;
	default:
		return false;
	}
}

struct ports {
	const struct fw_values *source;
	const struct fw_values *dest;
	const struct fw_values *either;
};

static bool ports_within(struct ports inner, struct ports outer, bool is_there)
{
	static const struct fw_values any = {};

	if (outer.either->count && inner.either->count)
		return values_within(inner.either, outer.either, 0, 65535, is_there);
	if (outer.either->count) /* each packet with one of these as source or as destination */
		return values_within(inner.source, outer.either, 0, 65535, is_there) ||
		       values_within(inner.dest, outer.either, 0, 65535, is_there);
	if (inner.either
		    ->count) /* any source port is one of a packet with such a destination port */
		inner.source = inner.dest = &any;
	return values_within(inner.source, outer.source, 0, 65535, is_there) &&
	       values_within(inner.dest, outer.dest, 0, 65535, is_there);
}

#define PORTS(header) ((struct ports){&(header).sport, &(header).dport, &(header).port})

/* @inner_part: the same as @outer_part, or PART_ANY; @is_there: the packets have the header */
static bool part_within(const struct fw_rule *inner, enum part inner_part,
			const struct fw_rule *outer, enum part outer_part, bool is_there)
{
	static const struct fw_rule any = {};

	if (inner_part == PART_ANY)
		inner = &any;
	switch (outer_part) {
	case PART_TCP:
		return !(outer->tcp.mask & ~inner->tcp.mask) &&
		       (inner->tcp.flags & outer->tcp.mask) == outer->tcp.flags &&
		       ports_within(PORTS(inner->tcp), PORTS(outer->tcp), is_there) &&
		       values_within(&inner->tcp.window, &outer->tcp.window, 0, 65535, is_there);
	case PART_UDP:
		return ports_within(PORTS(inner->udp), PORTS(outer->udp), is_there);
	case PART_ICMP:
		return values_within(&inner->icmp.type, &outer->icmp.type, 0, 255, is_there) &&
		       values_within(&inner->icmp.code, &outer->icmp.code, 0, 255, is_there);
	default:
		return outer_part == PART_ANY;
	}
}

/* Are there well-formed packets of this protocol and fragment kind that match the rule? */
static bool kind_is_possible(const struct fw_rule *rule, __u8 proto, enum ecbpf_frag frag)
{
	if (!(rule->frags >> frag & 1) || (rule->family == 4 && frag == ECBPF_FRAG_ATOMIC))
		return false;
	if (frag == ECBPF_FRAG_LATER)
		return !part_tests(rule, part_of(rule, proto));
	return rule->family == 4 || !fw_is_extension(proto);
}

/* The shortest frame of this kind that can match the rule */
static __u32 kind_length_min(const struct fw_rule *rule, __u8 proto, enum ecbpf_frag frag)
{
	__u32 length = 14 + (rule->vlan.count ? 4 : 0);

	if (rule->family == 4)
		length += 20 + (rule->options ? 4 : 0);
	else
		length += 40 + (rule->options || frag != ECBPF_FRAG_NONE ? 8 : 0);
	if (frag == ECBPF_FRAG_LATER)
		return length;
	if (proto == IPPROTO_TCP)
		return length + 20;
	return length + (proto == IPPROTO_UDP || proto == icmp_of(rule) ? 8 : 0);
}

/* Of packets of this protocol and fragment kind */
static bool kind_within(const struct fw_rule *inner, const struct fw_rule *outer, __u8 proto,
			enum ecbpf_frag frag)
{
	__u32 min = kind_length_min(inner, proto, frag);

	if (!kind_is_possible(inner, proto, frag) || values_are_empty(&inner->length, min))
		return true;
	if (!(outer->frags >> frag & 1) ||
	    (outer->options && !inner->options &&
	     (inner->family == 4 || frag == ECBPF_FRAG_NONE)) ||
	    !values_within(&inner->length, &outer->length, min, 65535, false))
		return false;
	return part_within(inner, part_of(inner, proto), outer, part_of(outer, proto),
			   frag != ECBPF_FRAG_LATER);
}

/* Are there well-formed packets of this protocol that match the rule? */
static bool proto_is_possible(const struct fw_rule *rule, __u8 proto)
{
	if (part_of(rule, proto) == PART_NONE)
		return false;
	for (__u32 frag = 0; frag < FRAGS; frag++)
		if (kind_is_possible(rule, proto, frag) &&
		    !values_are_empty(&rule->length, kind_length_min(rule, proto, frag)))
			return true;
	return false;
}

/* --- malformed packets ------------------------------------------------------------------------ */

/* What a malformed packet may have, whose header of IP was read: bits 1 << version; 1: none */
static unsigned int malformed_versions(__u32 reason)
{
	unsigned int families = fw_malformed_families(reason);

	/* also before its addresses */
	return families | (!families || reason == ECBPF_REASON_IP_TRUNC);
}

/* Lengths of packets that are malformed so */
static struct fw_range malformed_lengths(const struct fw_rule *rule, __u32 reason)
{
	__u32 min = rule->family == 4 ? 34 : rule->family == 6 ? 54 : 14;

	if (reason == ECBPF_REASON_RUNT)
		return (struct fw_range){0, 13};
	return (struct fw_range){min + (rule->vlan.count ? 4 : 0), 65535};
}

/* Does the rule, of one version, match packets that are malformed for @reason? */
static bool malformed_is_possible(const struct fw_rule *rule, __u32 reason)
{
	struct fw_range lengths = malformed_lengths(rule, reason);

	if (!(rule->malformed >> reason & 1) ||
	    !(malformed_versions(reason) & 1U << rule->family) ||
	    (reason == ECBPF_REASON_RUNT && rule->vlan.count))
		return false;
	if (!rule->length.count)
		return true;
	for (size_t i = 0; i < rule->length.count; i++)
		if (rule->length.ranges[i].first <= lengths.last &&
		    rule->length.ranges[i].last >= lengths.first)
			return true;
	return false;
}

static bool malformed_within(const struct fw_rule *inner, const struct fw_rule *outer, __u32 reason)
{
	struct fw_range lengths = malformed_lengths(inner, reason);

	if (!malformed_is_possible(inner, reason))
		return true;
	if (!(outer->malformed >> reason & 1))
		return false;
	for (__u32 length = 0; reason == ECBPF_REASON_RUNT && length <= lengths.last; length++)
		if (fw_values_have(&inner->length, length) &&
		    !fw_values_have(&outer->length, length))
			return false;
	return reason == ECBPF_REASON_RUNT ||
	       values_within(&inner->length, &outer->length, lengths.first, 65535, false);
}

/* --- rules ------------------------------------------------------------------------------------ */

bool fw_rule_of_kind(const struct fw_rule *rule, enum fw_kind kind, struct fw_rule *ret)
{
	__u8 version = fw_kind_version(kind);
	bool has = false;

	if (!!rule->malformed != (kind >= FW_KIND_MALFORMED) ||
	    (rule->family && !(version && fw_rule_has_family(rule, version))))
		return false;
	*ret = *rule;
	if (rule->family == FW_INET) {
		fw_addrs_of_family(&ret->src, version);
		fw_addrs_of_family(&ret->dst, version);
		if (version == 6 && ret->protos & FW_PROTO_ICMP6)
			ret->icmp = ret->icmp6;
		ret->protos &= ~FW_PROTO_ICMP6; /* those of inet have both */
	}
	ret->family = version;
	for (__u32 reason = 1; ret->malformed && reason <= ECBPF_REASON_MALFORMED_LAST; reason++)
		has |= malformed_is_possible(ret, reason);
	for (__u32 proto = 0; !has && !ret->malformed && proto < 256; proto++)
		has = proto_is_possible(ret, proto);
	return has;
}

static bool protos_within(const struct fw_rule *inner, const struct fw_rule *outer)
{
	for (__u32 proto = 0; proto < 256; proto++) {
		if (part_of(inner, proto) == PART_NONE)
			continue;
		for (__u32 frag = 0; frag < FRAGS; frag++)
			if (!kind_within(inner, outer, proto, frag))
				return false;
	}
	return true;
}

bool fw_rule_within(const struct fw_rule *inner, const struct fw_rule *outer, size_t *steps)
{
	__u8 family = inner->family;

	if (!values_within(&inner->vlan, &outer->vlan, 0, 4095, false))
		return false;
	for (__u32 reason = 1; inner->malformed && reason <= ECBPF_REASON_MALFORMED_LAST; reason++)
		if (!malformed_within(inner, outer, reason))
			return false;
	if (!inner->malformed &&
	    !(values_within(&inner->ttl, &outer->ttl, 0, 255, true) && protos_within(inner, outer)))
		return false;
	return !family || (addrs_within(family, &inner->src, &outer->src, steps) &&
			   addrs_within(family, &inner->dst, &outer->dst, steps));
}
