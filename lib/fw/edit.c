// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Changes to a ruleset: insert, replace, delete and find rules.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "fw/rules.h"

static int rule_insert(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, size_t index,
		       const char *text, bool is_kept)
{
	struct fw_rule rule, *at;
	int err;

	if (index > ruleset->rules_count)
		return ecbpf_fail(e, -EINVAL, "no rule %zu to insert before; there are %zu",
				  index + 1, ruleset->rules_count);
	if (ruleset->rules_count == FW_RULES_MAX)
		return ecbpf_fail(e, -E2BIG, "there are %d rules, which is the maximum",
				  FW_RULES_MAX);
	err = fw_rule_parse(e, ruleset, text, is_kept, &rule);
	if (err)
		return err;
	if (!ecbpf_array_add(&ruleset->rules, &ruleset->rules_count, sizeof(rule))) {
		fw_rule_free(&rule);
		return ecbpf_fail_memory(e);
	}
	at = &ruleset->rules[index];
	memmove(at + 1, at, (ruleset->rules_count - 1 - index) * sizeof(*at));
	*at = rule;
	if (!is_kept)
		fw_warn_rule(e, at);
	return 0;
}

int ecbpf_fw_rule_insert(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, size_t index,
			 const char *text)
{
	return rule_insert(e, ruleset, index, text, false);
}

int fw_rule_insert_kept(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, size_t index,
			const char *text)
{
	return rule_insert(e, ruleset, index, text, true);
}

int ecbpf_fw_rule_replace(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, size_t index,
			  const char *text)
{
	const char *name;
	struct fw_rule rule;
	int err;

	if (index >= ruleset->rules_count)
		return ecbpf_fail(e, -EINVAL, "no rule %zu; there are %zu", index + 1,
				  ruleset->rules_count);
	err = fw_rule_parse(e, ruleset, text, false, &rule);
	if (err)
		return err;
	name = ruleset->rules[index].name;
	if (!rule.name && name) {
		rule.name = strdup(name);
		if (!rule.name) {
			fw_rule_free(&rule);
			return ecbpf_fail_memory(e);
		}
	}
	fw_rule_free(&ruleset->rules[index]);
	ruleset->rules[index] = rule;
	fw_warn_rule(e, &ruleset->rules[index]);
	return 0;
}

void ecbpf_fw_rule_delete(struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	fw_rule_free(&ruleset->rules[index]);
	ruleset->rules_count--;
	memmove(&ruleset->rules[index], &ruleset->rules[index + 1],
		(ruleset->rules_count - index) * sizeof(*ruleset->rules));
}

/* Return: the number, or 0 if the text is not one */
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
	if (len && strspn(what, "0") == len)
		return ecbpf_fail(e, -ENOENT, "no rule %s: rules are numbered from 1", what);
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
