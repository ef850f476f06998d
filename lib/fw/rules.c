// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The ruleset model: its memory, and questions about it.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include "core/array.h"
#include "core/util.h"
#include "core/prefix.h"
#include "fw/rules.h"

/* All struct fw_values of a rule */
static const size_t rule_values[] = {
	offsetof(struct fw_rule, length),     offsetof(struct fw_rule, vlan),
	offsetof(struct fw_rule, ttl),	      offsetof(struct fw_rule, tcp.sport),
	offsetof(struct fw_rule, tcp.dport),  offsetof(struct fw_rule, tcp.window),
	offsetof(struct fw_rule, udp.sport),  offsetof(struct fw_rule, udp.dport),
	offsetof(struct fw_rule, icmp.type),  offsetof(struct fw_rule, icmp.code),
	offsetof(struct fw_rule, proto),      offsetof(struct fw_rule, tcp.port),
	offsetof(struct fw_rule, udp.port),   offsetof(struct fw_rule, icmp6.type),
	offsetof(struct fw_rule, icmp6.code),
};

static struct fw_values *values_at(struct fw_rule *rule, size_t i)
{
	return (struct fw_values *)((char *)rule + rule_values[i]);
}

void fw_rule_free(struct fw_rule *rule)
{
	if (rule->is_lent)
		return;
	free(rule->name);
	free(rule->text);
	free(rule->src.prefixes);
	free(rule->dst.prefixes);
	for (size_t i = 0; i < ARRAY_SIZE(rule_values); i++)
		free(values_at(rule, i)->ranges);
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
	ecbpf_fw_ruleset_free(ruleset->lender);
	free(ruleset);
}

/*
 * Replace the pointer at @pointer_p by one to a copy of its array. Return: false without memory,
 * the pointer is NULL then
 */
static bool copy_array(void *pointer_p, size_t count, size_t size)
{
	void *items;

	memcpy(&items, pointer_p, sizeof(items));
	if (!items)
		return true;
	items = ecbpf_array_copy(items, count, size);
	memcpy(pointer_p, &items, sizeof(items));
	return items;
}

static bool copy_string(char **string)
{
	return copy_array(string, *string ? strlen(*string) + 1 : 0, 1);
}

static bool copy_prefixes(struct ecbpf_prefix **prefixes, size_t count)
{
	return copy_array(prefixes, count, sizeof(**prefixes));
}

/* Replace all pointers of @rule by copies. fw_rule_free() is safe also when this fails */
static bool copy_rule(struct fw_rule *rule)
{
	bool ok = copy_string(&rule->name);

	rule->is_lent = false;
	ok &= copy_string(&rule->text);
	ok &= copy_prefixes(&rule->src.prefixes, rule->src.prefixes_count);
	ok &= copy_prefixes(&rule->dst.prefixes, rule->dst.prefixes_count);
	for (size_t i = 0; i < ARRAY_SIZE(rule_values); i++) {
		struct fw_values *values = values_at(rule, i);

		ok &= copy_array(&values->ranges, values->count, sizeof(*values->ranges));
	}
	return ok;
}

static bool copy_set(struct fw_set *set)
{
	bool ok = copy_string(&set->path);

	return copy_prefixes(&set->prefixes, set->prefixes_count) && ok;
}

static bool lend_rule(struct fw_rule *rule)
{
	rule->is_lent = true;
	return true;
}

static struct ecbpf_fw_ruleset *ruleset_copy(const struct ecbpf_fw_ruleset *ruleset,
					     bool (*copy_its_rule)(struct fw_rule *rule))
{
	struct ecbpf_fw_ruleset *copy = calloc(1, sizeof(*copy));
	bool ok;

	if (!copy)
		return NULL;
	copy->rules = ruleset->rules;
	copy->sets = ruleset->sets;
	copy->assertions = ruleset->assertions;
	ok = copy_array(&copy->rules, ruleset->rules_count, sizeof(*copy->rules));
	ok &= copy_array(&copy->sets, ruleset->sets_count, sizeof(*copy->sets));
	ok &= copy_array(&copy->assertions, ruleset->assertions_count, sizeof(*copy->assertions));
	copy->assertions_count = ruleset->assertions_count;
	while (ok && copy->rules_count < ruleset->rules_count)
		ok = copy_its_rule(&copy->rules[copy->rules_count++]);
	while (ok && copy->sets_count < ruleset->sets_count)
		ok = copy_set(&copy->sets[copy->sets_count++]);
	if (ok)
		return copy;
	ecbpf_fw_ruleset_free(copy);
	return NULL;
}

struct ecbpf_fw_ruleset *fw_ruleset_copy(const struct ecbpf_fw_ruleset *ruleset)
{
	return ruleset_copy(ruleset, copy_rule);
}

struct ecbpf_fw_ruleset *fw_ruleset_lend(const struct ecbpf_fw_ruleset *ruleset)
{
	return ruleset_copy(ruleset, lend_rule);
}

static int compare_prefixes(const void *a, const void *b)
{
	return ecbpf_prefix_compare(a, b);
}

size_t fw_prefixes_sort(struct ecbpf_prefix *prefixes, size_t count)
{
	size_t left = 0, i = 1;

	/* most lists are sorted already, and sorting a million takes time */
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

void fw_addrs_of_family(struct fw_addrs *addrs, __u8 family)
{
	size_t ip6 = 0; /* the first one */

	if (addrs->kind != FW_ADDRS_LIST)
		return;
	while (ip6 < addrs->prefixes_count && addrs->prefixes[ip6].family == 4)
		ip6++;
	if (family == 6)
		addrs->prefixes += ip6;
	addrs->prefixes_count = family == 6 ? addrs->prefixes_count - ip6 : ip6;
	if (addrs->prefixes_count && !addrs->prefixes->len)
		addrs->kind = FW_ADDRS_ANY;
}

unsigned int fw_malformed_families(__u32 reason)
{
	switch (reason) {
	case ECBPF_REASON_IP_TRUNC: /* within its options */
	case ECBPF_REASON_IP_IHL:
	case ECBPF_REASON_IP_LEN_SHORT:
	case ECBPF_REASON_IP_LEN_LONG:
		return 1 << 4;
	case ECBPF_REASON_IP6_LEN_LONG:
	case ECBPF_REASON_IP6_JUMBO:
	case ECBPF_REASON_IP6_EXT_TRUNC:
	case ECBPF_REASON_IP6_EXT_LIMIT:
		return 1 << 6;
	case ECBPF_REASON_TCP_TRUNC:
	case ECBPF_REASON_TCP_DOFF:
	case ECBPF_REASON_UDP_TRUNC:
	case ECBPF_REASON_ICMP_TRUNC:
		return 1 << 4 | 1 << 6;
	}
	return 0;
}

bool fw_is_extension(__u32 proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_FRAGMENT ||
	       proto == IPPROTO_AH || proto == IPPROTO_DSTOPTS;
}

const char *fw_family_name(__u8 family)
{
	return family == 4 ? "ip" : family == 6 ? "ip6" : "inet";
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

/* What the rate gives in a tenth of a second, but one packet of any size at least */
__u64 fw_limit_burst(const struct fw_limit *limit)
{
	__u64 least = limit->is_bytes ? 65535 : 1;

	return limit->rate / 10 > least ? limit->rate / 10 : least;
}

__u8 fw_limit_src_len(__u8 family)
{
	return family == 4 ? 32 : 64;
}

struct fw_set *fw_set_find(const struct ecbpf_fw_ruleset *ruleset, const char *name, size_t len)
{
	for (size_t i = 0; i < ruleset->sets_count; i++)
		if (strlen(ruleset->sets[i].name) == len &&
		    !memcmp(ruleset->sets[i].name, name, len))
			return &ruleset->sets[i];
	return NULL;
}

const char *fw_set_family(const struct fw_set *set)
{
	return set->family == 4 ? "ip" : set->family == 6 ? "ip6" : "ip and ip6";
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

	*ret = (struct ecbpf_fw_set){.name = set->name,
				     .family = set->family,
				     .is_live = set->is_live,
				     .prefixes = set->prefixes_count};
	for (size_t i = 0; i < ruleset->rules_count; i++)
		ret->rules += fw_rule_uses_set(&ruleset->rules[i], index);
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
