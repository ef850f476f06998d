// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Warnings about rules that do not do what they look like.
 */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/handle.h"
#include "core/util.h"
#include "fw/cover.h"
#include "fw/rules.h"

#define SHOWN_MAX 10
#define FRAME_MAX 1514 /* a full frame of Ethernet */

/* @file: NULL: a rule that is no part of a file */
struct warner {
	struct ecbpf *e;
	const char *file;
	size_t count;
};

__attribute__((format(printf, 3, 4))) static void warn(struct warner *w, const struct fw_rule *rule,
						       const char *format, ...)
{
	char text[512];
	va_list args;

	if (w->count++ >= SHOWN_MAX)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (w->file && rule->line)
		ecbpf_log(w->e, ECBPF_LOG_WARN, "%s:%u: %s", w->file, rule->line, text);
	else
		ecbpf_log(w->e, ECBPF_LOG_WARN, "%s", text);
}

static void warn_end(const struct warner *w)
{
	if (w->count > SHOWN_MAX)
		ecbpf_log(w->e, ECBPF_LOG_WARN, "%s%s%zu more warnings about rules", w->file ?: "",
			  w->file ? ": " : "", w->count - SHOWN_MAX);
}

/* --- rules that match nothing ----------------------------------------------------------------- */

static bool tests_tcp(const struct fw_rule *rule)
{
	return rule->tcp.sport.count || rule->tcp.dport.count || rule->tcp.port.count ||
	       rule->tcp.window.count || rule->tcp.mask;
}

static bool tests_udp(const struct fw_rule *rule)
{
	return rule->udp.sport.count || rule->udp.dport.count || rule->udp.port.count;
}

static bool tests_icmp(const struct fw_rule *rule)
{
	return rule->icmp.type.count || rule->icmp.code.count;
}

static bool tests_icmp6(const struct fw_rule *rule)
{
	return rule->icmp6.type.count || rule->icmp6.code.count ||
	       (rule->family == 6 && tests_icmp(rule));
}

/* The shortest well-formed frame of one of the rule's protocols */
static unsigned int length_min(const struct fw_rule *rule)
{
	unsigned int upper = 20, length = 14 + (rule->vlan.count ? 4 : 0);
	bool is_later = rule->frags & 1 << ECBPF_FRAG_LATER;

	if (rule->protos & (FW_PROTO_UDP | FW_PROTO_ICMP))
		upper = 8;
	if (rule->protos & FW_PROTO_NUMBER ||
	    (is_later && ((rule->protos & FW_PROTO_TCP && !tests_tcp(rule)) ||
			  (rule->protos & FW_PROTO_UDP && !tests_udp(rule)) ||
			  (rule->protos & FW_PROTO_ICMP && !tests_icmp(rule)))))
		upper = 0;
	return length + (rule->family == 6 ? 40 : 20) + upper;
}

/* Does a packet that is malformed for @reason have what the rule tests? */
static bool has_fields(const struct fw_rule *rule, __u32 reason, unsigned int length_last)
{
	if (reason == ECBPF_REASON_RUNT)
		return !rule->family && !rule->vlan.count && fw_values_have(&rule->length, 0);
	if (rule->family == FW_INET
		    ? !fw_malformed_families(reason)
		    : rule->family && !(fw_malformed_families(reason) & 1 << rule->family))
		return false;
	return length_last >= 14 + (rule->family == 6 ? 40U : rule->family ? 20U : 0U);
}

/* Return: why no packet matches; NULL: some may */
static const char *matches_nothing(const struct fw_rule *rule)
{
	const struct fw_values *length = &rule->length;
	unsigned int last = length->count ? length->ranges[length->count - 1].last : ~0U;

	for (__u32 i = 1; rule->malformed && i <= ECBPF_REASON_MALFORMED_LAST; i++)
		if (rule->malformed & 1U << i && has_fields(rule, i, last))
			return NULL;
	if (rule->malformed)
		return "a packet that is malformed so has no such address, tag or length that "
		       "could be read";
	if (last < length_min(rule))
		return "a frame of this length has no room for these headers";
	return NULL;
}

static bool has_extensions_only(const struct fw_rule *rule)
{
	if (rule->family != 6 || rule->protos != FW_PROTO_NUMBER)
		return false;
	for (__u32 proto = 0; proto < 256; proto++)
		if (fw_values_have(&rule->proto, proto) && !fw_is_extension(proto))
			return false;
	return true;
}

/* Return: the number, if the rule is of nothing but one of both ICMPs; 0 */
static __u32 only_icmp(const struct fw_rule *rule)
{
	__u32 proto;

	if (rule->protos != FW_PROTO_NUMBER || rule->proto.count != 1)
		return 0;
	proto = rule->proto.ranges[0].first;
	return rule->proto.ranges[0].last == proto &&
			       (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		       ? proto
		       : 0;
}

/* `proto icmp` in a rule of ip6 or inet */
static void check_icmp(struct warner *w, const struct fw_rule *rule)
{
	__u32 proto = only_icmp(rule);
	const char *name = proto == IPPROTO_ICMP ? "ip" : "ip6";

	if (proto && rule->family == FW_INET)
		warn(w, rule,
		     "protocol %u is that of ICMP in %s only: write icmp and icmp6, or %s "
		     "instead of inet",
		     proto, name, name);
	else if (proto && rule->family != (proto == IPPROTO_ICMP ? 4 : 6))
		warn(w, rule, "protocol %u is not that of ICMP in %s: write %s", proto,
		     rule->family == 6 ? "ip6" : "ip", rule->family == 6 ? "icmp6" : "icmp");
}

/* --- options that test nothing ---------------------------------------------------------------- */

static bool tests_nothing(const struct fw_rule *rule)
{
	(void)rule;
	return false;
}

/* By the group of @any: is a field tested that the same packets lack? */
static const struct any_option {
	bool (*tests_others)(const struct fw_rule *rule);
	const char *name;
	enum fw_any any;
	unsigned int max;
} any_options[] = {
	{tests_nothing, "vlan", FW_ANY_VLAN, 4095},
	{tests_tcp, "sport", FW_ANY_TCP_SPORT, 65535},
	{tests_tcp, "dport", FW_ANY_TCP_DPORT, 65535},
	{tests_tcp, "port", FW_ANY_TCP_PORT, 65535},
	{tests_tcp, "window", FW_ANY_WINDOW, 65535},
	{tests_udp, "sport", FW_ANY_UDP_SPORT, 65535},
	{tests_udp, "dport", FW_ANY_UDP_DPORT, 65535},
	{tests_udp, "port", FW_ANY_UDP_PORT, 65535},
	{tests_icmp, "type", FW_ANY_ICMP_TYPE, 255},
	{tests_icmp, "code", FW_ANY_ICMP_CODE, 255},
	{tests_icmp6, "type", FW_ANY_ICMP6_TYPE, 255},
	{tests_icmp6, "code", FW_ANY_ICMP6_CODE, 255},
};

/* Packets that have no such field match, too: of each protocol's options, the first is named */
static void check_any(struct warner *w, const struct fw_rule *rule)
{
	bool takes_later = rule->frags & 1 << ECBPF_FRAG_LATER;
	bool (*told)(const struct fw_rule *rule) = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(any_options); i++) {
		const struct any_option *option = &any_options[i];
		bool is_vlan = option->any == FW_ANY_VLAN;

		if (!(rule->any & option->any) || option->tests_others == told ||
		    option->tests_others(rule) || !(is_vlan || takes_later))
			continue;
		told = option->tests_others;
		warn(w, rule,
		     "'%s any' tests nothing, and %s match, too: write %s 0-%u, or leave it out",
		     option->name, is_vlan ? "untagged frames" : "later fragments", option->name,
		     option->max);
	}
	if (rule->any & FW_ANY_FLAGS && told != tests_tcp && !tests_tcp(rule) && takes_later)
		warn(w, rule,
		     "'flags' alone tests nothing, and later fragments match, too: leave it out");
}

/* --- all of these ----------------------------------------------------------------------------- */

static void check_rule(struct warner *w, const struct fw_rule *rule)
{
	const struct fw_values *length = &rule->length;
	unsigned int last = length->count ? length->ranges[length->count - 1].last : FRAME_MAX;
	const char *why = matches_nothing(rule);

	if (why)
		warn(w, rule, "this rule matches nothing: %s", why);
	else if (has_extensions_only(rule))
		warn(w, rule,
		     "this rule matches %s: of IPv6, 'proto' is the protocol behind all extension "
		     "headers; for packets with extension headers write 'options proto any', for "
		     "fragments 'frag any proto any'",
		     rule->frags & 1 << ECBPF_FRAG_LATER ? "later fragments only" : "nothing");
	check_icmp(w, rule);
	if (rule->protos & FW_PROTO_TCP && rule->protos & FW_PROTO_UDP &&
	    tests_tcp(rule) != tests_udp(rule) && !(rule->any & FW_ANY_PORTS))
		warn(w, rule,
		     "this rule matches all of %s: ports are of the protocol before them; write "
		     "them behind both: tcp dport 53 udp dport 53",
		     tests_tcp(rule) ? "udp" : "tcp");
	check_any(w, rule);
	if (rule->action == FW_LIMIT && rule->limit.is_bytes && rule->limit.burst < last &&
	    rule->limit.burst < FRAME_MAX)
		warn(w, rule,
		     "'burst %llu' is bytes, and drops all longer frames: a full frame of Ethernet "
		     "has %d",
		     (unsigned long long)rule->limit.burst, FRAME_MAX);
}

/* @index: of a rule; @by: of the one that covers it */
static void warn_covered(struct warner *w, const struct ecbpf_fw_ruleset *ruleset, size_t index,
			 size_t by)
{
	const struct fw_rule *rule = &ruleset->rules[by];

	warn(w, &ruleset->rules[index],
	     "this rule never matches: rule %zu (line %u) %s all packets that it could match",
	     by + 1, rule->line, rule->action == FW_PASS ? "passes" : "drops");
}

void fw_warn_rule(struct ecbpf *e, const struct fw_rule *rule)
{
	struct warner w = {.e = e};

	check_rule(&w, rule);
}

/* --- sets ------------------------------------------------------------------------------------- */

static bool is_negated_set(const struct fw_addrs *addrs)
{
	return addrs->kind == FW_ADDRS_SET && addrs->is_negated;
}

bool fw_rule_negates_set(const struct fw_rule *rule)
{
	return is_negated_set(&rule->src) || is_negated_set(&rule->dst);
}

/* `!@NAME` of a set without addresses of a family is all of it, as `!{}` would be */
static void check_negated(struct warner *w, const struct ecbpf_fw_ruleset *ruleset,
			  const struct fw_rule *rule, const struct fw_addrs *addrs,
			  size_t (*counts)[2])
{
	const char *name = ruleset->sets[addrs->set].name;
	const size_t *count = counts[addrs->set];
	bool has_none[2];

	if (count[0] == FW_NOT_KNOWN)
		return;
	for (int i = 0; i < 2; i++)
		has_none[i] = !count[i] && fw_rule_has_family(rule, i ? 6 : 4);
	if (has_none[0] || has_none[1])
		warn(w, rule, "'!@%s' matches all addresses of %s: set '%s' has none of them", name,
		     has_none[0] && has_none[1] ? "ip and ip6"
		     : has_none[0]		? "ip"
						: "ip6",
		     name);
}

static void check_negated_sets(struct warner *w, const struct ecbpf_fw_ruleset *ruleset,
			       const struct fw_rule *rule, size_t (*counts)[2])
{
	if (is_negated_set(&rule->src))
		check_negated(w, ruleset, rule, &rule->src, counts);
	if (is_negated_set(&rule->dst))
		check_negated(w, ruleset, rule, &rule->dst, counts);
}

void fw_warn_negated(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset,
		     const struct fw_rule *rule, size_t (*counts)[2])
{
	struct warner w = {.e = e};

	check_negated_sets(&w, ruleset, rule, counts);
}

void fw_warn_set(struct ecbpf *e, const char *file, const struct ecbpf_fw_ruleset *ruleset,
		 size_t index, const size_t *counts)
{
	const struct fw_set *set = &ruleset->sets[index];
	unsigned int families = 0; /* of rules that use it */

	for (size_t i = 0; i < ruleset->rules_count; i++) {
		const struct fw_rule *rule = &ruleset->rules[i];

		if (fw_rule_uses_set(rule, index))
			families |= rule->family == FW_INET ? 1 << 4 | 1 << 6 : 1 << rule->family;
	}
	for (int i = 0; i < 2; i++) {
		__u8 family = i ? 6 : 4;

		if (counts[i] && families && !(families & 1 << family))
			ecbpf_log(e, ECBPF_LOG_WARN,
				  "%s%sset '%s': no rule matches %s %zu IPv%d prefix%s: only rules "
				  "of %s use the set",
				  file ?: "", file ? ": " : "", set->name,
				  counts[i] == 1 ? "its" : "any of its", counts[i], family,
				  counts[i] == 1 ? "" : "es", i ? "ip" : "ip6");
	}
}

void fw_warn_rules(struct ecbpf *e, const char *file, const struct ecbpf_fw_ruleset *ruleset)
{
	struct warner w = {.e = e, .file = file};
	size_t *covered = fw_covered(ruleset);
	size_t counts[FW_SETS_MAX][2] = {};

	for (size_t i = 0; i < ruleset->sets_count; i++) {
		const struct fw_set *set = &ruleset->sets[i];

		for (size_t k = 0; k < set->prefixes_count; k++)
			counts[i][set->prefixes[k].family == 6]++;
		if (set->is_live)
			counts[i][0] = FW_NOT_KNOWN;
	}
	for (size_t i = 0; i < ruleset->rules_count; i++) {
		check_rule(&w, &ruleset->rules[i]);
		check_negated_sets(&w, ruleset, &ruleset->rules[i], counts);
		if (covered && covered[i] != FW_NOT_COVERED)
			warn_covered(&w, ruleset, i, covered[i]);
	}
	free(covered);
	warn_end(&w);
	for (size_t i = 0; i < ruleset->sets_count; i++)
		if (!ruleset->sets[i].is_live)
			fw_warn_set(e, file, ruleset, i, counts[i]);
}
