// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Sets of the live ruleset: created, changed, printed, deleted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bpf/map.h"
#include "bpf/trie.h"
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/list-policy.h"
#include "core/prefix.h"
#include "core/runtime_log.h"
#include "fw/guard.h"
#include "fw/live.h"

static int set_find(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, const char *name,
		    size_t *ret_index)
{
	const struct fw_set *set = fw_set_find(ruleset, name, strlen(name));

	if (!set) {
		ecbpf_fail(e, -ENOENT, "there is no set '%s'", name);
		return -ENOENT;
	}
	*ret_index = set - ruleset->sets;
	return 0;
}

/* A session, and the index of the set in its ruleset */
static int set_open(struct ecbpf *e, const char *name, struct fw_session *ret, size_t *ret_index)
{
	int err;

	err = fw_session_open(e, FW_SESSION_SETS, ret);
	if (err)
		return err;
	err = set_find(e, ret->old.ruleset, name, ret_index);
	if (err)
		fw_session_close(ret);
	return err;
}

/*
 * Of a list: a set of one family takes that family; the others are left out, and counted. @ret_ops:
 * for free()
 */
static int set_ops(struct ecbpf *e, const struct fw_set *set, const struct ecbpf_list *list,
		   __u32 value, struct ecbpf_trie_op **ret_ops, size_t *ret_count)
{
	struct ecbpf_trie_op *ops = calloc(list->count + 1, sizeof(*ops));
	size_t count = 0;

	if (!ops)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < list->count; i++)
		if (!set->family || set->family == list->entries[i].prefix.family)
			ops[count++] = fw_trie_op(&list->entries[i].prefix, value);
	*ret_ops = ops;
	*ret_count = count;
	if (count < list->count && list->is_words)
		return ecbpf_fail(e, -EINVAL, "set '%s' is of %s: IPv%d prefixes do not fit",
				  set->name, set->family == 4 ? "ip" : "ip6",
				  set->family == 4 ? 6 : 4);
	if (count < list->count)
		ecbpf_log(e, ECBPF_LOG_WARN, "set '%s' is of %s: %zu IPv%d prefix%s left out",
			  set->name, set->family == 4 ? "ip" : "ip6", list->count - count,
			  set->family == 4 ? 6 : 4, list->count - count == 1 ? "" : "es");
	return 0;
}

/* Sort; the last one of duplicates stays. Return: how many are left */
static size_t ops_unique(struct ecbpf_trie_op *ops, size_t count)
{
	size_t kept = 0;

	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): no error came before */
	qsort(ops, count, sizeof(*ops), ecbpf_trie_compare);
	for (size_t i = 0; i < count; i++) {
		if (kept && !ecbpf_trie_compare(&ops[kept - 1], &ops[i]))
			kept--;
		ops[kept++] = ops[i];
	}
	return kept;
}

static size_t set_count(struct ecbpf_trie *trie)
{
	return ecbpf_trie_count(trie, 4) + ecbpf_trie_count(trie, 6);
}

/* What a change of a set must not do, unless it is forced */
static int set_check(struct ecbpf *e, const struct fw_session *s, size_t index,
		     const struct ecbpf_list *list)
{
	const struct fw_set *set = &s->old.ruleset->sets[index];
	struct lockout lockout;
	int err;

	if (!list->count || !fw_set_blocks(s->old.ruleset, index))
		return 0;
	err = ecbpf_lockout_begin(e, &lockout);
	for (size_t i = 0; i < list->count && !err; i++)
		if (!set->family || set->family == list->entries[i].prefix.family)
			ecbpf_lockout_check(&lockout, &list->entries[i].prefix);
	return ecbpf_lockout_end(&lockout, err);
}

/* What is to be deleted is there */
static int set_check_delete(struct ecbpf *e, const struct fw_set *set, struct ecbpf_trie *trie,
			    const struct ecbpf_list *list)
{
	for (size_t i = 0; i < list->count && !(e->list_policy & ECBPF_LIST_IF_EXISTS); i++) {
		const struct ecbpf_prefix *prefix = &list->entries[i].prefix;
		struct ecbpf_trie_op op = fw_trie_op(prefix, 0);
		char text[ECBPF_PREFIX_TEXT];

		if ((set->family && set->family != prefix->family) || ecbpf_trie_find(trie, &op))
			continue;
		ecbpf_prefix_format(prefix, text);
		return ecbpf_fail(e, -ENOENT, "'%s' is not in set '%s'", text, set->name);
	}
	return 0;
}

/* Of a family that no rule of the set has */
static void set_warn(struct ecbpf *e, const struct fw_session *s, size_t index,
		     const struct ecbpf_list *list)
{
	const struct fw_set *set = &s->old.ruleset->sets[index];
	size_t counts[2] = {};

	for (size_t i = 0; i < list->count; i++)
		if (!set->family || set->family == list->entries[i].prefix.family)
			counts[list->entries[i].prefix.family == 6]++;
	fw_warn_set(e, NULL, s->old.ruleset, index, counts);
}

/* Check that the set does not exceed its maximum size with @ops */
static int set_room(struct ecbpf *e, const struct fw_set *set, struct ecbpf_trie *trie,
		    const struct ecbpf_trie_op *ops, size_t count)
{
	size_t total = trie ? set_count(trie) : 0;

	for (size_t i = 0; ops && i < count; i++)
		total += !trie || (ops[i].value && !ecbpf_trie_find(trie, &ops[i]));
	if (total > FW_SET_PREFIXES_MAX)
		return ecbpf_fail(e, -E2BIG, "set '%s' would have %zu prefixes, %d is the most",
				  set->name, total, FW_SET_PREFIXES_MAX);
	return 0;
}

/* Make the set exactly @ops, which are sorted */
static int set_replace(struct ecbpf *e, struct ecbpf_trie *trie, struct ecbpf_trie_op *ops,
		       size_t count)
{
	size_t before = set_count(trie), same = 0;
	int err;

	err = ecbpf_trie_same(trie, ops, count, &same);
	if (!err)
		err = ecbpf_trie_build(trie, ops, count);
	if (!err) {
		e->changed.added += count - same;
		e->changed.removed += before - same;
	}
	return err;
}

/* A set that only one of two generations has: which one will be live is not known yet */
static int set_waits(struct ecbpf *e, const struct fw_session *s, size_t index)
{
	const char *name = s->old.ruleset->sets[index].name;
	const struct fw_set *before;
	struct fw_state state = {};
	bool is_same;
	int err;

	if (!s->live.waits)
		return 0;
	err = fw_state_read(e, &s->maps, s->live.stored.before & ECBPF_FW_GENERATION, true, &state);
	if (err)
		return err;
	before = fw_set_find(state.ruleset, name, strlen(name));
	is_same = before && state.sets[before - state.ruleset->sets] == s->old.sets[index];
	fw_state_free(&state);
	return is_same ? 0 : fw_live_check(e, &s->live);
}

int ecbpf_fw_set_change(struct ecbpf *e, const char *name, enum ecbpf_fw_set_change change,
			const struct ecbpf_list *list)
{
	_cleanup_free_ struct ecbpf_trie_op *ops = NULL;
	struct ecbpf_view head;
	struct ecbpf_trie *trie = NULL;
	struct fw_session s;
	size_t index, count = 0, before = 0, after;
	int err;

	err = set_open(e, name, &s, &index);
	if (err)
		return err;
	err = set_waits(e, &s, index);
	if (!err)
		err = set_ops(e, &s.old.ruleset->sets[index], list,
			      change == ECBPF_FW_SET_DELETE ? 0 : 1, &ops, &count);
	if (!err)
		err = fw_set_open(e, &s.maps, name, s.old.sets[index],
				  change == ECBPF_FW_SET_REPLACE, &head, &trie);
	if (!err) {
		count = ops_unique(ops, count);
		before = set_count(trie);
		if (change == ECBPF_FW_SET_DELETE)
			err = set_check_delete(e, &s.old.ruleset->sets[index], trie, list);
		else
			err = set_check(e, &s, index, list);
		if (!err)
			err = fw_guard_set(e, &s, index, change, list, trie);
		if (!err && change == ECBPF_FW_SET_REPLACE)
			err = fw_set_check_empty(e, &s.old.ruleset->sets[index], before, count);
		if (!err && change != ECBPF_FW_SET_DELETE)
			err = set_room(e, &s.old.ruleset->sets[index],
				       change == ECBPF_FW_SET_REPLACE ? NULL : trie, ops, count);
		runtime_log_ahead(e);
		if (!err)
			fw_log_set(e, &s.old.ruleset->sets[index], change, list);
		if (!err && change == ECBPF_FW_SET_REPLACE)
			err = set_replace(e, trie, ops, count);
		else if (!err && count > ECBPF_TRIE_JOURNAL)
			err = fw_set_rebuild(e, trie, ops, count);
		else if (!err)
			err = ecbpf_trie_change(trie, ops, count);
		after = set_count(trie);
		if (!err && change == ECBPF_FW_SET_ADD)
			e->changed.added += after - before;
		else if (!err && change == ECBPF_FW_SET_DELETE)
			e->changed.removed += before - after;
		runtime_log_settle(e, !err && (change != ECBPF_FW_SET_DELETE || after != before));
		if (!err && change != ECBPF_FW_SET_DELETE)
			set_warn(e, &s, index, list);
		fw_set_close(&head, trie);
	}
	fw_session_close(&s);
	return err;
}

static int set_add(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, void *data)
{
	const struct fw_set *wanted = data;
	struct fw_set *set;

	if (fw_set_find(ruleset, wanted->name, strlen(wanted->name)))
		return ecbpf_fail(e, -EEXIST, "there is a set '%s' already", wanted->name);
	if (ruleset->sets_count == FW_SETS_MAX)
		return ecbpf_fail(e, -E2BIG, "there are %d sets, which is the maximum",
				  FW_SETS_MAX);
	set = ecbpf_array_add(&ruleset->sets, &ruleset->sets_count, sizeof(*set));
	if (!set)
		return ecbpf_fail_memory(e);
	*set = *wanted;
	return 0;
}

int ecbpf_fw_set_create(struct ecbpf *e, const char *name, __u8 family)
{
	struct fw_set set = {};

	if (!*name || strlen(name) > FW_SET_NAME_MAX ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") !=
		    strlen(name))
		return ecbpf_fail(e, -EINVAL,
				  "'%s' is not a name of a set: 1 to %d of a-z A-Z 0-9 _ - .", name,
				  FW_SET_NAME_MAX);
	if (family && family != 4 && family != 6)
		return ecbpf_fail(e, -EINVAL, "a set is of family 4 or 6, or of both, 0");
	set.family = family;
	strcpy(set.name, name);
	return ecbpf_fw_change(e, set_add, &set);
}

int fw_set_remove(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, void *data)
{
	const char *name = data;
	size_t index;
	int err;

	err = set_find(e, ruleset, name, &index);
	if (err)
		return err;
	for (size_t i = 0; i < ruleset->rules_count; i++) {
		struct fw_rule *rule = &ruleset->rules[i];

		if (fw_rule_uses_set(rule, index))
			return ecbpf_fail(e, -EBUSY, "rule %zu uses set '%s'", i + 1, name);
		rule->src.set -= rule->src.kind == FW_ADDRS_SET && rule->src.set > index;
		rule->dst.set -= rule->dst.kind == FW_ADDRS_SET && rule->dst.set > index;
	}
	fw_set_free(&ruleset->sets[index]);
	memmove(&ruleset->sets[index], &ruleset->sets[index + 1],
		(--ruleset->sets_count - index) * sizeof(*ruleset->sets));
	return 0;
}

int ecbpf_fw_set_delete(struct ecbpf *e, const char *name)
{
	return ecbpf_fw_change(e, fw_set_remove, (void *)name);
}

int ecbpf_fw_set_print(struct ecbpf *e, const char *name, FILE *out)
{
	struct fw_set set = {};
	struct fw_session s;
	size_t index;
	int err;

	err = set_open(e, name, &s, &index);
	if (err)
		return err;
	strcpy(set.name, s.old.ruleset->sets[index].name);
	err = fw_set_read(e, &s.maps, s.old.sets[index], &set);
	fw_session_close(&s);
	for (size_t i = 0; !err && i < set.prefixes_count; i++) {
		char text[ECBPF_PREFIX_TEXT];

		ecbpf_prefix_format(&set.prefixes[i], text);
		if (fprintf(out, "%s\n", text) < 0)
			err = ecbpf_fail(e, -EIO, "set '%s' could not be written", name);
	}
	free(set.prefixes);
	return err;
}
