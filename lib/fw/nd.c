// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A warning about rules that stop IPv6 neighbour discovery.
 */
#include <netinet/in.h>
#include "core/handle.h"
#include "fw/parse.h"
#include "fw/rules.h"

/* Router and neighbour solicitations and advertisements (RFC 4861): what ARP is to IPv4 */
#define ND_FIRST 133
#define ND_LAST	 136

/* Does the rule match such packets of some addresses? */
static bool matches_nd(const struct fw_rule *rule, __u8 type)
{
	if (!fw_rule_has_family(rule, 6) || rule->malformed || rule->options || rule->vlan.count ||
	    rule->length.count || !fw_values_have(&rule->ttl, 255) ||
	    !(rule->frags & 1 << ECBPF_FRAG_NONE) || rule->is_dry)
		return false;
	if (rule->protos & FW_PROTO_ICMP6)
		return fw_values_have(&rule->icmp6.type, type) &&
		       fw_values_have(&rule->icmp6.code, 0);
	if (rule->protos & FW_PROTO_ICMP)
		return fw_values_have(&rule->icmp.type, type) &&
		       fw_values_have(&rule->icmp.code, 0);
	return rule->protos & FW_PROTO_NUMBER && fw_values_have(&rule->proto, IPPROTO_ICMPV6);
}

/* Return: number of the rule that drops them from and to everybody, from 1; 0: none does */
static size_t nd_dropped_by(const struct ecbpf_fw_ruleset *ruleset, __u8 type)
{
	for (size_t i = 0; i < ruleset->rules_count; i++) {
		const struct fw_rule *rule = &ruleset->rules[i];

		if (!matches_nd(rule, type))
			continue;
		if (rule->action == FW_PASS)
			return 0;
		if (rule->action == FW_DROP && rule->src.kind == FW_ADDRS_ANY &&
		    rule->dst.kind == FW_ADDRS_ANY)
			return i + 1;
	}
	return 0;
}

void fw_warn_nd(struct ecbpf *e, const char *file, const struct ecbpf_fw_ruleset *ruleset)
{
	for (__u8 type = ND_FIRST; type <= ND_LAST; type++) {
		size_t number = nd_dropped_by(ruleset, type);

		if (!number)
			continue;
		ecbpf_log(
			e, ECBPF_LOG_WARN,
			"%s: rule %zu drops IPv6 neighbour discovery (ICMPv6 types 133 to 136), "
			"without which IPv6 stops working; put before it: ip6 from any to any ttl "
			"255 icmp6 type 133-136 pass",
			file, number);
		return;
	}
}
