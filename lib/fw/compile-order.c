// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Positions of rules: which bit of the vectors stands for which rule.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/util.h"
#include "fw/build.h"

bool fw_is_deciding(const struct fw_rule *rule)
{
	return !rule->is_dry && (rule->action == FW_DROP || rule->action == FW_PASS);
}

/* Sort key of deciding rules: first the field that selects packets best, then its values */
struct sort_key {
	__u64 value;
	__u32 field;
	__u32 index;
};

static bool key_values(struct sort_key *key, __u32 field, const struct fw_values *values)
{
	if (!values->count)
		return false;
	key->field = field;
	key->value = values->ranges[0].first;
	return true;
}

static bool key_addrs(struct sort_key *key, __u32 field, const struct fw_addrs *addrs)
{
	if (addrs->kind != FW_ADDRS_LIST || addrs->is_negated || !addrs->prefixes_count)
		return false;
	key->field = field;
	key->value = 0;
	for (size_t i = 0; i < 8; i++)
		key->value = key->value << 8 | addrs->prefixes[0].addr[i];
	return true;
}

static struct sort_key key_of(const struct fw_rule *rule, size_t index)
{
	struct sort_key key = {.index = index, .field = 99};

	if (key_addrs(&key, 0, &rule->src) || key_addrs(&key, 1, &rule->dst) ||
	    key_values(&key, 2, &rule->tcp.dport) || key_values(&key, 3, &rule->udp.dport) ||
	    key_values(&key, 4, &rule->tcp.sport) || key_values(&key, 5, &rule->udp.sport) ||
	    key_values(&key, 6, &rule->length) || key_values(&key, 7, &rule->tcp.window) ||
	    key_values(&key, 8, &rule->icmp.type) || key_values(&key, 9, &rule->ttl) ||
	    key_values(&key, 10, &rule->vlan))
		key.field = key.field * 2 + (rule->family == 6);
	return key;
}

static int key_compare(const void *a, const void *b)
{
	const struct sort_key *x = a, *y = b;

	if (x->field != y->field)
		return x->field < y->field ? -1 : 1;
	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

static int index_compare(const void *a, const void *b)
{
	return *(const __u16 *)a - *(const __u16 *)b;
}

int fw_order_make(struct build *b)
{
	_cleanup_free_ struct sort_key *keys = calloc(b->count + 1, sizeof(*keys));
	size_t deciding = 0, next;

	b->order = calloc(b->count + 1, sizeof(*b->order));
	b->position = calloc(b->count + 1, sizeof(*b->position));
	if (!keys || !b->order || !b->position)
		return -ENOMEM;
	for (size_t i = 0; i < b->count; i++) {
		if (fw_is_deciding(&b->rules[i]))
			keys[deciding++] = key_of(&b->rules[i], i);
	}
	qsort(keys, deciding, sizeof(*keys), key_compare);
	for (size_t i = 0; i < deciding; i++)
		b->order[i] = keys[i].index;
	for (size_t i = 0; i < deciding; i += 64)
		qsort(&b->order[i], deciding - i < 64 ? deciding - i : 64, sizeof(*b->order),
		      index_compare);
	next = deciding;
	for (size_t i = 0; i < b->count; i++) {
		if (!fw_is_deciding(&b->rules[i]))
			b->order[next++] = i;
	}
	for (size_t i = 0; i < b->count; i++)
		b->position[b->order[i]] = i;
	return 0;
}

static __u32 rule_word(const struct fw_rule *rule, size_t index)
{
	static const __u32 actions[] = {
		[FW_DROP] = ECBPF_FW_RULE_DROP,
		[FW_PASS] = ECBPF_FW_RULE_PASS,
		[FW_COUNT] = ECBPF_FW_RULE_COUNT,
		[FW_LIMIT] = ECBPF_FW_RULE_LIMIT,
	};

	return (__u32)index << ECBPF_FW_RULE_INDEX | actions[rule->action] |
	       (rule->is_dry ? ECBPF_FW_RULE_DRY : 0);
}

void fw_rules_make(struct build *b, const __u16 *counters, const __u16 *limits)
{
	struct ecbpf_fw_tables *t = b->tables;

	memset(t->first, 0xff, sizeof(t->first));
	for (size_t i = 0; i < b->count; i++) {
		const struct fw_rule *rule = &b->rules[i];
		size_t position = b->position[i], index = b->index[i];

		t->rules[position] = rule_word(rule, index);
		t->counters[index] = counters[index];
		t->limits[index] = rule->action == FW_LIMIT ? limits[index] : 0;
		fw_vector_set(t->deciding, position, fw_is_deciding(rule));
		if (index < t->first[position / 64])
			t->first[position / 64] = index;
	}
}
