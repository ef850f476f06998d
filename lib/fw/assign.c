// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Entries in the kernel for a new ruleset: a rule that stays keeps its counter and its limit.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/error.h"
#include "core/util.h"
#include "fw/live.h"

void fw_state_free(struct fw_state *state)
{
	ecbpf_fw_ruleset_free(state->ruleset);
	free(state->counters);
	free(state->limits);
	free(state->sets);
	*state = (struct fw_state){};
}

/* Allocate the arrays of @new for its rules and sets */
int fw_state_alloc(struct ecbpf *e, struct fw_state *new)
{
	new->counters = calloc(new->ruleset->rules_count + 1, sizeof(*new->counters));
	new->limits = calloc(new->ruleset->rules_count + 1, sizeof(*new->limits));
	new->sets = calloc(new->ruleset->sets_count + 1, sizeof(*new->sets));
	if (!new->counters || !new->limits || !new->sets)
		return ecbpf_fail_memory(e);
	memset(new->sets, 0xff, new->ruleset->sets_count * sizeof(*new->sets));
	return 0;
}

/* What identifies a rule from one ruleset to the next: its name, else its text */
struct identity {
	const char *key;
	bool is_name;
	size_t index;
};

/* Of the rules; the same key: 0 */
static int key_compare(const struct identity *x, const struct identity *y)
{
	return x->is_name != y->is_name ? x->is_name - y->is_name : strcmp(x->key, y->key);
}

static int identity_compare(const void *a, const void *b)
{
	const struct identity *x = a, *y = b;
	int order = key_compare(x, y);

	return order ? order : x->index < y->index ? -1 : 1;
}

static struct identity identity_of(const struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	const struct fw_rule *rule = &ruleset->rules[index];

	return (struct identity){
		.key = rule->name ?: rule->text, .is_name = rule->name, .index = index};
}

/* Of the rules from @first on, which have a text */
static struct identity *identities_of(const struct ecbpf_fw_ruleset *ruleset, size_t first)
{
	size_t count = ruleset->rules_count - first;
	struct identity *all = calloc(count + 1, sizeof(*all));

	for (size_t i = 0; all && i < count; i++)
		all[i] = identity_of(ruleset, first + i);
	if (all)
		qsort(all, count, sizeof(*all), identity_compare);
	return all;
}

/* @ret_same: for each rule of @new, the same rule of @old, or FW_NO_ENTRY */
static int match_rules(struct ecbpf *e, const struct ecbpf_fw_ruleset *old,
		       const struct ecbpf_fw_ruleset *new, __u16 *ret_same)
{
	_cleanup_free_ struct identity *a = NULL, *b = NULL;
	size_t first = 0, i = 0, j = 0;

	memset(ret_same, 0xff, new->rules_count * sizeof(*ret_same));
	/* of equal ones the first belongs to the first, and so on: those in front stay alone */
	for (; first < old->rules_count && first < new->rules_count; first++) {
		struct identity x = identity_of(old, first), y = identity_of(new, first);

		if (key_compare(&x, &y))
			break;
		ret_same[first] = first;
	}
	a = identities_of(old, first);
	b = identities_of(new, first);
	while (a && b && i < old->rules_count - first && j < new->rules_count - first) {
		int order = key_compare(&a[i], &b[j]);

		if (!order)
			ret_same[b[j].index] = a[i].index;
		i += order <= 0;
		j += order >= 0;
	}
	return a && b ? 0 : ecbpf_fail_memory(e);
}

static int counters_assign(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *old,
			   struct fw_state *new, const __u16 *same)
{
	_cleanup_free_ bool *used = calloc(ECBPF_FW_COUNTERS, sizeof(*used));
	__u32 next = 0;
	int err = 0;

	if (!used)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < old->ruleset->rules_count; i++)
		used[old->counters[i]] = true;
	for (size_t i = 0; !err && i < new->ruleset->rules_count; i++) {
		if (same[i] != FW_NO_ENTRY) {
			new->counters[i] = old->counters[same[i]];
			continue;
		}
		new->counters[i] = fw_entry_take(used, &next);
		err = fw_counter_clear(e, maps, new->counters[i]);
	}
	return err;
}

/* Assign entries to the rules and sets of @new, and make the texts of its rules */
int fw_state_assign(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *old,
		    struct fw_state *new)
{
	_cleanup_free_ __u16 *same = calloc(new->ruleset->rules_count + 1, sizeof(*same));
	struct fw_rule *rule = new->ruleset->rules;
	int err;

	for (size_t i = 0; same && i < new->ruleset->rules_count; i++, rule++) {
		rule->text = rule->text ?: fw_rule_print(new->ruleset, rule);
		if (!rule->text)
			return ecbpf_fail_memory(e);
	}
	if (!same)
		return ecbpf_fail_memory(e);
	err = match_rules(e, old->ruleset, new->ruleset, same);
	if (!err)
		err = counters_assign(e, maps, old, new, same);
	if (!err)
		err = fw_limits_assign(e, maps, old, new, same);
	return err ? err : fw_sets_assign(e, maps, old, new);
}
