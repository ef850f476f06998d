// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Changes of rules and sets in the log of changes at runtime.
 *
 * A change of rules is written as what differs: rules by their names, or by their text, and where
 * they stand, by the rules beside them. Their numbers would be others in another ruleset.
 */
#include <stdlib.h>
#include <string.h>
#include "core/error.h"
#include "core/runtime_log.h"
#include "fw/live.h"

/* "name NAME" or "rule TEXT", behind @what */
static void rule_line(struct runtime_change *c, const char *what,
		      const struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	const char *name = ruleset->rules[index].name;
	_cleanup_free_ char *text = name ? NULL : ecbpf_fw_rule_text(ruleset, index);

	runtime_change_line(c, "%s %s %s", what, name ? "name" : "rule", name ?: text ?: "");
}

void fw_log_rule(struct runtime_change *c, const struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	_cleanup_free_ char *text = ecbpf_fw_rule_text(ruleset, index);

	rule_line(c, "add", ruleset, index);
	runtime_change_line(c, "text %s", text ?: "");
	if (index + 1 < ruleset->rules_count)
		rule_line(c, "before", ruleset, index + 1);
	if (index)
		rule_line(c, "after", ruleset, index - 1);
}

void fw_log_set_line(struct runtime_change *c, const char *name, __u8 family)
{
	runtime_change_line(c, "create %s %s",
			    family == 4	  ? "ip"
			    : family == 6 ? "ip6"
					  : "both",
			    name);
}

static bool is_same(const struct ecbpf_fw_ruleset *a, size_t i, const struct ecbpf_fw_ruleset *b,
		    size_t k)
{
	_cleanup_free_ char *x = NULL, *y = NULL;

	if (a->rules[i].text && b->rules[k].text)
		return !strcmp(a->rules[i].text, b->rules[k].text);
	x = ecbpf_fw_rule_text(a, i);
	y = ecbpf_fw_rule_text(b, k);
	return x && y && !strcmp(x, y);
}

void fw_log_change(struct ecbpf *e, const struct ecbpf_fw_ruleset *old,
		   const struct ecbpf_fw_ruleset *new)
{
	size_t first = 0, old_end = old->rules_count, new_end = new->rules_count;
	struct runtime_change c;

	if (!runtime_change_begin(e, &c, "fw change"))
		return;
	for (size_t i = 0; i < new->sets_count; i++)
		if (!fw_set_find(old, new->sets[i].name, strlen(new->sets[i].name)))
			fw_log_set_line(&c, new->sets[i].name, new->sets[i].family);
	while (first < old_end && first < new_end && is_same(old, first, new, first))
		first++;
	while (old_end > first && new_end > first && is_same(old, old_end - 1, new, new_end - 1)) {
		old_end--;
		new_end--;
	}
	for (size_t i = first; i < old_end; i++)
		rule_line(&c, "delete", old, i);
	/* the last one first: each finds the one behind it */
	for (size_t i = new_end; i > first; i--)
		fw_log_rule(&c, new, i - 1);
	for (size_t i = 0; i < old->sets_count; i++)
		if (!fw_set_find(new, old->sets[i].name, strlen(old->sets[i].name)))
			runtime_change_line(&c, "destroy %s", old->sets[i].name);
	runtime_change_end(&c);
}

void fw_log_ruleset(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset)
{
	_cleanup_free_ char *text = NULL;
	struct saved_error error;
	struct runtime_change c;
	char *rest = NULL;

	if (!runtime_change_begin(e, &c, "fw apply"))
		return;
	ecbpf_error_save(e, &error);
	/* files of sets may be others at a reboot, or gone */
	if (!fw_print_whole(e, ruleset, &text))
		for (char *line = strtok_r(text, "\n", &rest); line;
		     line = strtok_r(NULL, "\n", &rest))
			runtime_change_line(&c, "%s", line);
	ecbpf_error_restore(e, &error);
	runtime_change_end(&c);
}

void fw_log_set(struct ecbpf *e, const struct fw_set *set, enum ecbpf_fw_set_change change,
		const struct ecbpf_list *list)
{
	static const char *const verbs[] = {
		[ECBPF_FW_SET_ADD] = "add",
		[ECBPF_FW_SET_DELETE] = "delete",
		[ECBPF_FW_SET_REPLACE] = "replace",
	};
	const char *force =
		change != ECBPF_FW_SET_DELETE && e->list_policy & ECBPF_LIST_FORCE ? " force" : "";
	struct runtime_change c;

	if (!runtime_change_begin(e, &c, "fw set %s %s%s", set->name, verbs[change], force))
		return;
	for (size_t i = 0; i < list->count; i++) {
		const struct ecbpf_prefix *prefix = &list->entries[i].prefix;
		char text[ECBPF_PREFIX_TEXT];

		if (set->family && set->family != prefix->family)
			continue;
		ecbpf_prefix_format(prefix, text);
		runtime_change_line(&c, "%s", text);
	}
	runtime_change_end(&c);
}

int fw_log_taken_back(struct ecbpf *e, const struct fw_maps *maps, struct fw_live *live)
{
	__u32 before = live->stored.before;
	struct fw_state old = {}, new = {};
	int err;

	if (!(before & ECBPF_FW_LOGGED) || e->is_applying)
		return 0;
	err = fw_state_read(e, maps, before & ECBPF_FW_GENERATION, false, &old);
	if (!err && before & ECBPF_FW_WHOLE) {
		for (size_t i = 0; !err && i < old.ruleset->sets_count; i++)
			err = fw_set_read(e, maps, old.sets[i], &old.ruleset->sets[i]);
		if (!err)
			fw_log_ruleset(e, old.ruleset);
	} else if (!err) {
		err = fw_state_read(e, maps, live->stored.word & ECBPF_FW_GENERATION, false, &new);
		if (!err)
			fw_log_change(e, new.ruleset, old.ruleset);
	}
	fw_state_free(&new);
	fw_state_free(&old);
	if (err && !fw_text_is_lost(err) && err != -ENODATA) /* who makes rules anew may do so */
		return err;
	live->stored.before &= ~(__u32)ECBPF_FW_LOGGED;
	return fw_live_store(e, maps, &live->stored);
}
