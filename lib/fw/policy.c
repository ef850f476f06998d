// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a set must not do unless it is forced: become empty, or block this host by a rule.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "core/handle.h"
#include "core/list-policy.h"
#include "fw/rules.h"

bool fw_set_blocks(const struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	for (size_t i = 0; i < ruleset->rules_count; i++) {
		const struct fw_rule *rule = &ruleset->rules[i];

		if (rule->action == FW_DROP && !rule->is_dry && rule->src.kind == FW_ADDRS_SET &&
		    !rule->src.is_negated && rule->src.set == index)
			return true;
	}
	return false;
}

int fw_set_check_empty(struct ecbpf *e, const struct fw_set *set, size_t before, size_t after)
{
	char what[64];

	snprintf(what, sizeof(what), "set '%s'", set->name);
	return ecbpf_list_check_empty(e, what, before, after);
}

int fw_rules_check_empty(struct ecbpf *e, const struct ecbpf_fw_ruleset *new,
			 const struct ecbpf_fw_ruleset *old)
{
	/* sets alone are for rules that are added later */
	if (new->rules_count || (new->sets_count && !old->rules_count) ||
	    e->list_policy & ECBPF_LIST_ALLOW_EMPTY)
		return 0;
	if (!old->rules_count)
		return ecbpf_fail(e, -EPERM,
				  "it has neither rules nor sets: refused without "
				  "--allow-empty");
	return ecbpf_fail(e, -EPERM,
			  "it has no rules, and %zu %s live: refused without --allow-empty",
			  old->rules_count, old->rules_count == 1 ? "is" : "are");
}

/* Return: a set that is left alone, and by which no rule has dropped; its addresses are of @old */
static const struct fw_set *set_begins_to_block(const struct ecbpf_fw_ruleset *new, size_t index,
						const struct ecbpf_fw_ruleset *old)
{
	const struct fw_set *set = &new->sets[index];
	const struct fw_set *was = fw_set_find(old, set->name, strlen(set->name));

	return set->is_live && was && fw_set_blocks(new, index) &&
			       !fw_set_blocks(old, was - old->sets)
		       ? was
		       : NULL;
}

bool fw_set_needs_old(const struct ecbpf_fw_ruleset *new, size_t index,
		      const struct ecbpf_fw_ruleset *old)
{
	const struct fw_set *set = &new->sets[index];

	return (set->path && !set->prefixes_count) || set_begins_to_block(new, index, old);
}

int fw_set_check_new_block(struct ecbpf *e, const struct fw_set *set)
{
	struct lockout lockout;
	int err = ecbpf_lockout_begin(e, &lockout);

	for (size_t i = 0; i < set->prefixes_count && !err; i++)
		ecbpf_lockout_check(&lockout, &set->prefixes[i]);
	return ecbpf_lockout_end(&lockout, err);
}

int fw_sets_check(struct ecbpf *e, const struct ecbpf_fw_ruleset *new,
		  const struct ecbpf_fw_ruleset *old)
{
	struct lockout lockout = {.e = e};
	bool has_begun = false;
	int err = 0;

	for (size_t i = 0; i < new->sets_count && !err; i++) {
		const struct fw_set *set = &new->sets[i];
		const struct fw_set *was = fw_set_find(old, set->name, strlen(set->name));

		if (set->path)
			err = fw_set_check_empty(e, set, was ? was->prefixes_count : 0,
						 set->prefixes_count);
		/*
		 * a configuration that was accepted, and an address that the host got after that:
		 * nothing would run at boot. What a file lists can be mended without the rules
		 */
		if (!set->path && e->is_applying)
			continue;
		if (set->is_live)
			set = set_begins_to_block(new, i, old);
		if (err || !set || set->is_accepted || !set->prefixes_count ||
		    !fw_set_blocks(new, i))
			continue;
		if (!has_begun)
			err = ecbpf_lockout_begin(e, &lockout);
		has_begun = true;
		for (size_t k = 0; k < set->prefixes_count && !err; k++)
			ecbpf_lockout_check(&lockout, &set->prefixes[k]);
	}
	return ecbpf_lockout_end(&lockout, err);
}
