// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Packets that were not captured to their end.
 *
 * The parser runs on the frame with any bytes behind the captured ones. It reads in the order of
 * the wire. A fact of the record is the same for all frames that begin so if all that the parser
 * had read when it found it was captured: its path up to there is the same for all of them.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "core/prefix.h"
#include "core/util.h"
#include "fw/known.h"

struct xdp_md;
static inline __u32 ecbpf_frame_len(struct xdp_md *ctx, __u32 linear_len)
{
	(void)ctx;
	return linear_len;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#include <ecbpf/parse.bpf.h>
#pragma GCC diagnostic pop

#define RECORD_FIELDS (FW_FIELD_LINK | FW_FIELD_TTL | FW_FIELD_UPPER | FW_FIELD_REASON)
#define TCP_DOFF_END  13
#define SRC_END4      16
#define SRC_END6      24

static bool is_ip4(const struct ecbpf_record *rec)
{
	return rec->ethertype == htons(ETH_P_IP);
}

/* The parser looked at more than was captured: which of its facts stand nevertheless */
static unsigned int fields_before_cut(const struct ecbpf_record *rec, size_t captured)
{
	unsigned int fields = FW_FIELD_LINK;

	if (!rec->l3_off || captured < rec->l3_off)
		return 0;
	if (captured < rec->l3_off + (is_ip4(rec) ? 10U : 8U))
		return fields;
	fields |= FW_FIELD_TTL;
	/* where the header above IP begins, the fixed header of IP says, or extension headers do */
	if (!rec->l4_off || (captured < rec->l4_off && !is_ip4(rec) &&
			     rec->l4_off > rec->l3_off + sizeof(struct ipv6hdr)))
		return fields;
	fields |= FW_FIELD_UPPER;
	/* of others, lengths alone say whether they are malformed */
	if (rec->proto != IPPROTO_TCP || captured >= rec->l4_off + (size_t)TCP_DOFF_END)
		fields |= FW_FIELD_REASON;
	return fields;
}

static unsigned int fields_upper(size_t captured)
{
	static const struct {
		size_t end; /* bytes of the header */
		unsigned int field;
	} ends[] = {
		{1, FW_FIELD_TYPE},    {2, FW_FIELD_CODE | FW_FIELD_SPORT},
		{4, FW_FIELD_DPORT},   {14, FW_FIELD_FLAGS},
		{16, FW_FIELD_WINDOW},
	};
	unsigned int fields = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (captured >= ends[i].end)
			fields |= ends[i].field;
	return fields;
}

void fw_known_set(struct fw_known *known, const __u8 *frame, size_t captured, size_t size)
{
	struct ecbpf_record *rec = &known->rec;
	size_t addrs_end;

	known->frame = frame;
	ecbpf_parse(NULL, (void *)frame, (void *)(frame + size), rec);
	known->fields = captured >= rec->hdr_len ? RECORD_FIELDS : fields_before_cut(rec, captured);
	if (!(known->fields & FW_FIELD_LINK))
		return;
	if (rec->l3_off) {
		addrs_end = rec->l3_off + (is_ip4(rec) ? SRC_END4 : SRC_END6);
		if (captured >= addrs_end)
			known->fields |= FW_FIELD_SRC;
		if (captured >= addrs_end + ecbpf_addr_size(is_ip4(rec) ? 4 : 6))
			known->fields |= FW_FIELD_DST;
	}
	if (known->fields & FW_FIELD_UPPER && rec->l4_off && captured > rec->l4_off)
		known->fields |= fields_upper(captured - rec->l4_off);
}

const __u8 *fw_known_addr(const struct fw_known *known, int side)
{
	const struct ecbpf_record *rec = &known->rec;

	if (!(known->fields & (side ? FW_FIELD_DST : FW_FIELD_SRC)))
		return NULL;
	return known->frame + rec->l3_off +
	       (is_ip4(rec) ? SRC_END4 - 4 + 4 * side : SRC_END6 - 16 + 16 * side);
}

/* --- rules ------------------------------------------------------------------------------------ */

static enum fw_match match_of(bool matches)
{
	return matches ? FW_MATCH_YES : FW_MATCH_NO;
}

static enum fw_match both(enum fw_match a, enum fw_match b)
{
	return a < b ? a : b;
}

static enum fw_match either(enum fw_match a, enum fw_match b)
{
	return a > b ? a : b;
}

static int compare_prefixes(const void *a, const void *b)
{
	return ecbpf_prefix_compare(a, b);
}

/* Is the address in one of the prefixes, which are sorted, and can overlap? */
static bool prefixes_have(const struct ecbpf_prefix *prefixes, size_t count, __u8 family,
			  const __u8 *addr)
{
	struct ecbpf_prefix key;

	for (unsigned int len = 0; count && len <= ecbpf_addr_bits(family); len++) {
		key = (struct ecbpf_prefix){.family = family, .len = len};
		memcpy(key.addr, addr, ecbpf_addr_size(family));
		ecbpf_prefix_mask(&key);
		if (bsearch(&key, prefixes, count, sizeof(key), compare_prefixes))
			return true;
	}
	return false;
}

static enum fw_match match_addr(const struct fw_known *known,
				const struct ecbpf_fw_ruleset *ruleset,
				const struct fw_addrs *addrs, int side)
{
	const __u8 *addr = fw_known_addr(known, side);
	const struct ecbpf_prefix *prefixes = addrs->prefixes;
	size_t count = addrs->prefixes_count;

	if (addrs->kind == FW_ADDRS_ANY)
		return FW_MATCH_YES;
	if (!addr)
		return FW_MATCH_MAYBE;
	if (addrs->kind == FW_ADDRS_SET) {
		prefixes = ruleset->sets[addrs->set].prefixes;
		count = ruleset->sets[addrs->set].prefixes_count;
	}
	return match_of(prefixes_have(prefixes, count, is_ip4(&known->rec) ? 4 : 6, addr) !=
			addrs->is_negated);
}

/* A field of @size bytes at @off of the header above IP */
static enum fw_match match_upper(const struct fw_known *known, enum fw_field field,
				 const struct fw_values *values, size_t off, size_t size)
{
	const __u8 *at = known->frame + known->rec.l4_off + off;

	if (!values->count)
		return FW_MATCH_YES;
	if (!known->rec.l4_off)
		return FW_MATCH_NO;
	if (!(known->fields & field))
		return FW_MATCH_MAYBE;
	return match_of(fw_values_have(values, size == 1 ? at[0] : at[0] << 8 | at[1]));
}

static enum fw_match match_tcp(const struct fw_known *known, const struct fw_rule *rule)
{
	enum fw_match match = FW_MATCH_YES;

	if (rule->tcp.mask && !known->rec.l4_off)
		return FW_MATCH_NO;
	if (rule->tcp.mask)
		match = known->fields & FW_FIELD_FLAGS
				? match_of((known->rec.tcp_flags & rule->tcp.mask) ==
					   rule->tcp.flags)
				: FW_MATCH_MAYBE;
	match = both(match, match_upper(known, FW_FIELD_SPORT, &rule->tcp.sport, 0, 2));
	match = both(match, match_upper(known, FW_FIELD_DPORT, &rule->tcp.dport, 2, 2));
	return both(match, match_upper(known, FW_FIELD_WINDOW, &rule->tcp.window, 14, 2));
}

static enum fw_match match_udp(const struct fw_known *known, const struct fw_rule *rule)
{
	return both(match_upper(known, FW_FIELD_SPORT, &rule->udp.sport, 0, 2),
		    match_upper(known, FW_FIELD_DPORT, &rule->udp.dport, 2, 2));
}

static enum fw_match match_icmp(const struct fw_known *known, const struct fw_rule *rule)
{
	return both(match_upper(known, FW_FIELD_TYPE, &rule->icmp.type, 0, 1),
		    match_upper(known, FW_FIELD_CODE, &rule->icmp.code, 1, 1));
}

/* Protocol, fragment, options */
static enum fw_match match_protos(const struct fw_known *known, const struct fw_rule *rule)
{
	const struct ecbpf_record *rec = &known->rec;
	enum fw_match match = FW_MATCH_NO;

	if (!(known->fields & FW_FIELD_UPPER))
		return FW_MATCH_MAYBE;
	if (!(rule->frags >> rec->frag & 1) ||
	    (rule->options && !(is_ip4(rec) ? rec->flags & ECBPF_IP_OPTIONS : rec->ext_count)))
		return FW_MATCH_NO;
	if (rule->protos & FW_PROTO_TCP && rec->proto == IPPROTO_TCP)
		match = match_tcp(known, rule);
	if (rule->protos & FW_PROTO_UDP && rec->proto == IPPROTO_UDP)
		match = match_udp(known, rule);
	if (rule->protos & FW_PROTO_ICMP &&
	    rec->proto == (is_ip4(rec) ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		match = match_icmp(known, rule);
	if (rule->protos & FW_PROTO_NUMBER)
		match = either(match, match_of(fw_values_have(&rule->proto, rec->proto)));
	return match;
}

static enum fw_match match_vlan(const struct fw_known *known, const struct fw_rule *rule)
{
	const __u16 *tci = known->rec.vlan_tci;

	if (!rule->vlan.count)
		return FW_MATCH_YES;
	if (!(known->fields & FW_FIELD_LINK))
		return FW_MATCH_MAYBE;
	return match_of(known->rec.vlan_count &&
			fw_values_have(&rule->vlan, (tci[0] & 0xfff) ?: tci[1] & 0xfff));
}

static enum fw_match match_ttl(const struct fw_known *known, const struct fw_rule *rule)
{
	if (!rule->ttl.count)
		return FW_MATCH_YES;
	if (!(known->fields & FW_FIELD_TTL))
		return FW_MATCH_MAYBE;
	return match_of(fw_values_have(
		&rule->ttl, known->frame[known->rec.l3_off + (is_ip4(&known->rec) ? 8 : 7)]));
}

/* Is the packet of the rule's family, and well-formed or malformed as the rule wants it? */
static enum fw_match match_family(const struct fw_known *known, const struct fw_rule *rule)
{
	const struct ecbpf_record *rec = &known->rec;

	if (known->fields & FW_FIELD_REASON) {
		if (rule->malformed ? !(rec->reason && rule->malformed >> rec->reason & 1)
				    : rec->reason)
			return FW_MATCH_NO;
		return match_of(!rule->family || rule->family == rec->version);
	}
	/* one of this family, or one without, or too little is there to say */
	if (known->fields & FW_FIELD_LINK && rule->family && rule->family != (is_ip4(rec) ? 4 : 6))
		return FW_MATCH_NO;
	return FW_MATCH_MAYBE;
}

enum fw_match fw_known_match(const struct fw_known *known, const struct ecbpf_fw_ruleset *ruleset,
			     const struct fw_rule *rule)
{
	enum fw_match match = match_family(known, rule);

	if (match == FW_MATCH_NO || !fw_values_have(&rule->length, known->rec.frame_len))
		return FW_MATCH_NO;
	match = both(match, match_vlan(known, rule));
	if (!rule->malformed) {
		match = both(match, match_ttl(known, rule));
		match = both(match, match_protos(known, rule));
	}
	if (match == FW_MATCH_NO)
		return FW_MATCH_NO;
	match = both(match, match_addr(known, ruleset, &rule->src, 0));
	return both(match, match_addr(known, ruleset, &rule->dst, 1));
}
