// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Parts of rules: what the tables cannot say in one row. A rule of inet has a part for each family,
 * one with `port` a part for the source port and one for the destination port. No packet matches
 * two parts of a rule. They share its index, and with it the number, the counter and the limit.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fw/build.h"

void fw_parts_free(struct fw_parts *parts)
{
	free(parts->own);
	free(parts->index);
	free(parts->ranges);
	*parts = (struct fw_parts){};
}

static bool has_port(const struct fw_rule *rule)
{
	return rule->tcp.port.count || rule->udp.port.count;
}

/* The values that @values does not have, into @ranges. Return: how many ranges they are */
static size_t invert(const struct fw_values *values, struct fw_range *ranges)
{
	size_t count = 0;
	__u32 next = 0;

	for (size_t i = 0; i < values->count; i++) {
		if (values->ranges[i].first > next)
			ranges[count++] = (struct fw_range){next, values->ranges[i].first - 1};
		next = values->ranges[i].last + 1U;
	}
	if (next <= 65535)
		ranges[count++] = (struct fw_range){next, 65535};
	return count;
}

/* Of the part for the destination port: not those of the source part */
static void dport_part(struct fw_rule *part, __u8 proto, const struct fw_values *port,
		       struct fw_values *sport, struct fw_values *dport, struct fw_range **ranges)
{
	if (!(part->protos & proto))
		return;
	*sport = (struct fw_values){.ranges = *ranges};
	sport->count = port->count ? invert(port, *ranges) : 0;
	*dport = *port;
	*ranges += sport->count;
	if (!sport->count)
		part->protos &= ~proto;
}

static void add(struct fw_parts *parts, const struct fw_rule *rule, __u8 family, size_t index)
{
	struct fw_rule *part = &parts->own[parts->count];

	if (!rule->protos && !rule->malformed)
		return;
	*part = *rule;
	parts->index[parts->count++] = index;
	if (rule->family != FW_INET)
		return;
	part->family = family;
	fw_addrs_of_family(&part->src, family);
	fw_addrs_of_family(&part->dst, family);
	if (family == 6 && part->protos & FW_PROTO_ICMP6)
		part->icmp = part->icmp6;
	part->protos &= ~FW_PROTO_ICMP6; /* those of inet have both */
}

static void split(struct fw_parts *parts, const struct fw_rule *rule, size_t index,
		  struct fw_range **ranges)
{
	struct fw_rule source = *rule, dest = *rule;
	__u8 first = rule->family == FW_INET ? 4 : rule->family;
	__u8 last = rule->family == FW_INET ? 6 : rule->family;

	if (rule->tcp.port.count)
		source.tcp.sport = rule->tcp.port;
	if (rule->udp.port.count)
		source.udp.sport = rule->udp.port;
	dest.protos &= (rule->tcp.port.count ? FW_PROTO_TCP : 0) |
		       (rule->udp.port.count ? FW_PROTO_UDP : 0);
	dport_part(&dest, FW_PROTO_TCP, &rule->tcp.port, &dest.tcp.sport, &dest.tcp.dport, ranges);
	dport_part(&dest, FW_PROTO_UDP, &rule->udp.port, &dest.udp.sport, &dest.udp.dport, ranges);
	for (__u8 family = first; family <= last; family += 2) {
		add(parts, &source, family, index);
		if (has_port(rule))
			add(parts, &dest, family, index);
	}
}

int fw_parts_make(const struct ecbpf_fw_ruleset *ruleset, struct fw_parts *parts)
{
	size_t count = 0, ranges_count = 0;
	struct fw_range *ranges;

	for (size_t i = 0; i < ruleset->rules_count; i++) {
		const struct fw_rule *rule = &ruleset->rules[i];

		count += (rule->family == FW_INET ? 2UL : 1UL) * (has_port(rule) ? 2UL : 1UL);
		if (has_port(rule))
			ranges_count += rule->tcp.port.count + rule->udp.port.count + 2;
	}
	*parts = (struct fw_parts){.rules = ruleset->rules, .count = ruleset->rules_count};
	parts->index = calloc(count + 1, sizeof(*parts->index));
	if (!parts->index)
		return -ENOMEM;
	if (count == ruleset->rules_count) {
		for (size_t i = 0; i < count; i++)
			parts->index[i] = i;
		return 0;
	}
	parts->own = calloc(count, sizeof(*parts->own));
	parts->ranges = ranges = calloc(ranges_count + 1, sizeof(*ranges));
	if (!parts->own || !ranges) {
		fw_parts_free(parts);
		return -ENOMEM;
	}
	parts->rules = parts->own;
	parts->count = 0;
	for (size_t i = 0; i < ruleset->rules_count; i++)
		split(parts, &ruleset->rules[i], i, &ranges);
	return 0;
}
