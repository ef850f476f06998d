// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The ruleset model: its memory, and questions about it.
 */
#include <stdlib.h>
#include <string.h>
#include "fw/rules.h"

static void free_values(struct fw_values *values)
{
	free(values->ranges);
}

void fw_rule_free(struct fw_rule *rule)
{
	free(rule->name);
	free(rule->src.prefixes);
	free(rule->dst.prefixes);
	free_values(&rule->length);
	free_values(&rule->vlan);
	free_values(&rule->ttl);
	free_values(&rule->tcp.sport);
	free_values(&rule->tcp.dport);
	free_values(&rule->tcp.window);
	free_values(&rule->udp.sport);
	free_values(&rule->udp.dport);
	free_values(&rule->icmp.type);
	free_values(&rule->icmp.code);
	free_values(&rule->proto);
}

void fw_set_free(struct fw_set *set)
{
	free(set->path);
	free(set->prefixes);
}

void ecbpf_fw_ruleset_free(struct ecbpf_fw_ruleset *ruleset)
{
	if (!ruleset)
		return;
	for (size_t i = 0; i < ruleset->rules_count; i++)
		fw_rule_free(&ruleset->rules[i]);
	for (size_t i = 0; i < ruleset->sets_count; i++)
		fw_set_free(&ruleset->sets[i]);
	free(ruleset->rules);
	free(ruleset->sets);
	free(ruleset->assertions);
	free(ruleset);
}

static int compare_prefixes(const void *a, const void *b)
{
	/* the length comes last in the structure, and so in the order */
	return memcmp(a, b, sizeof(struct fw_prefix));
}

size_t fw_prefixes_sort(struct fw_prefix *prefixes, size_t count)
{
	size_t left = 0, i = 1;

	/* lists tend to be in order, and a million takes time */
	while (i < count && compare_prefixes(&prefixes[i - 1], &prefixes[i]) < 0)
		i++;
	if (i >= count)
		return count;
	qsort(prefixes, count, sizeof(*prefixes), compare_prefixes);
	for (i = 0; i < count; i++)
		if (!left || compare_prefixes(&prefixes[left - 1], &prefixes[i]))
			prefixes[left++] = prefixes[i];
	return left;
}

bool fw_values_have(const struct fw_values *values, __u32 value)
{
	if (!values->count)
		return true;
	for (size_t i = 0; i < values->count; i++)
		if (values->ranges[i].first <= value && value <= values->ranges[i].last)
			return true;
	return false;
}

bool fw_prefix_has(const struct fw_prefix *prefix, const void *addr)
{
	const __u8 *bytes = addr;
	unsigned int whole = prefix->len / 8, rest = prefix->len % 8;

	return !memcmp(prefix->addr, bytes, whole) &&
	       (!rest || !((prefix->addr[whole] ^ bytes[whole]) >> (8 - rest)));
}

/* A tenth of a second, and at least one packet, be it the largest */
__u64 fw_limit_burst(const struct fw_limit *limit)
{
	__u64 least = limit->is_bytes ? 65535 : 1;

	return limit->rate / 10 > least ? limit->rate / 10 : least;
}

struct fw_set *fw_set_find(const struct ecbpf_fw_ruleset *ruleset, const char *name, size_t len)
{
	for (size_t i = 0; i < ruleset->sets_count; i++)
		if (strlen(ruleset->sets[i].name) == len &&
		    !memcmp(ruleset->sets[i].name, name, len))
			return &ruleset->sets[i];
	return NULL;
}

void ecbpf_fw_summary(const struct ecbpf_fw_ruleset *ruleset, struct ecbpf_fw_summary *ret)
{
	*ret = (struct ecbpf_fw_summary){
		.rules = ruleset->rules_count,
		.sets = ruleset->sets_count,
		.assertions = ruleset->assertions_count,
	};
	for (size_t i = 0; i < ruleset->sets_count; i++)
		ret->prefixes += ruleset->sets[i].prefixes_count;
}

void ecbpf_fw_set_at(const struct ecbpf_fw_ruleset *ruleset, size_t index, struct ecbpf_fw_set *ret)
{
	const struct fw_set *set = &ruleset->sets[index];

	*ret = (struct ecbpf_fw_set){
		.name = set->name, .family = set->family, .prefixes = set->prefixes_count};
	for (size_t i = 0; i < ruleset->rules_count; i++) {
		const struct fw_rule *rule = &ruleset->rules[i];

		ret->rules += (rule->src.kind == FW_ADDRS_SET && rule->src.set == index) ||
			      (rule->dst.kind == FW_ADDRS_SET && rule->dst.set == index);
	}
}

size_t ecbpf_fw_assertions(const struct ecbpf_fw_ruleset *ruleset,
			   const struct ecbpf_fw_assertion **ret_assertions)
{
	*ret_assertions = ruleset->assertions;
	return ruleset->assertions_count;
}

const char *ecbpf_fw_rule_name(const struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	return ruleset->rules[index].name;
}
