// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Rulesets: their memory, and changes to them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/internal.h"
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

int ecbpf_fw_rule_insert(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, size_t index,
			 const char *text)
{
	struct fw_rule rule, *rules;
	int err;

	if (index > ruleset->rules_count)
		return ecbpf_fail(e, -EINVAL, "no rule %zu to put a rule before; there are %zu",
				  index + 1, ruleset->rules_count);
	if (ruleset->rules_count == FW_RULES_MAX)
		return ecbpf_fail(e, -E2BIG, "there are %d rules already; no more are possible",
				  FW_RULES_MAX);
	err = fw_rule_parse(e, ruleset, text, &rule);
	if (err)
		return err;
	rules = realloc(ruleset->rules, (ruleset->rules_count + 1) * sizeof(*rules));
	if (!rules) {
		fw_rule_free(&rule);
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	}
	memmove(&rules[index + 1], &rules[index], (ruleset->rules_count - index) * sizeof(*rules));
	rules[index] = rule;
	ruleset->rules = rules;
	ruleset->rules_count++;
	return 0;
}

int ecbpf_fw_rule_replace(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, size_t index,
			  const char *text)
{
	struct fw_rule rule;
	int err;

	if (index >= ruleset->rules_count)
		return ecbpf_fail(e, -EINVAL, "no rule %zu; there are %zu", index + 1,
				  ruleset->rules_count);
	err = fw_rule_parse(e, ruleset, text, &rule);
	if (err)
		return err;
	if (!rule.name) {
		rule.name = ruleset->rules[index].name;
		ruleset->rules[index].name = NULL;
	}
	fw_rule_free(&ruleset->rules[index]);
	ruleset->rules[index] = rule;
	return 0;
}

void ecbpf_fw_rule_delete(struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	fw_rule_free(&ruleset->rules[index]);
	ruleset->rules_count--;
	memmove(&ruleset->rules[index], &ruleset->rules[index + 1],
		(ruleset->rules_count - index) * sizeof(*ruleset->rules));
}

/* Return: the number that all of the text is, or 0 */
static size_t parse_index(const char *text)
{
	size_t number = 0;

	if (strlen(text) > 9)
		return 0;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return 0;
		number = number * 10 + *text - '0';
	}
	return number;
}

int ecbpf_fw_rule_find(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, const char *what,
		       size_t *ret_index)
{
	size_t number = parse_index(what), len = strlen(what), found = 0, first = 0, last = 0;

	if (number) {
		if (number > ruleset->rules_count)
			return ecbpf_fail(e, -ENOENT, "no rule %zu; there are %zu", number,
					  ruleset->rules_count);
		*ret_index = number - 1;
		return 0;
	}
	if (len >= 2 && what[0] == '"' && what[len - 1] == '"') {
		what++;
		len -= 2;
	}
	for (size_t i = 0; i < ruleset->rules_count; i++) {
		const char *name = ruleset->rules[i].name;

		if (!name || strlen(name) != len || memcmp(name, what, len))
			continue;
		if (!found++)
			first = i;
		last = i;
	}
	if (!found)
		return ecbpf_fail(e, -ENOENT, "no rule has the name '%.*s'", (int)len, what);
	if (found > 1)
		return ecbpf_fail(e, -EINVAL,
				  "%zu rules have the name '%.*s', the first is %zu, the last %zu; "
				  "give the number",
				  found, (int)len, what, first + 1, last + 1);
	*ret_index = first;
	return 0;
}

char *ecbpf_fw_rule_text(const struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	return fw_rule_print(ruleset, &ruleset->rules[index]);
}

const char *ecbpf_fw_rule_name(const struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	return ruleset->rules[index].name;
}
