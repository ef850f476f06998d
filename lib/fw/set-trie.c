// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A set in the kernel: its entry of `fw_sets` and its trie.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bpf/map.h"
#include "bpf/trie.h"
#include "core/error.h"
#include "core/util.h"
#include "fw/live.h"

/* All entries of fw_sets: 3 MB */
static int heads_open(struct ecbpf *e, const struct fw_maps *maps, struct ecbpf_view *ret_heads)
{
	return ecbpf_view_open(e, maps->sets, "fw_sets", sizeof(struct ecbpf_trie_head), ret_heads);
}

static int head_open(struct ecbpf *e, const struct fw_maps *maps, __u16 entry,
		     struct ecbpf_view *ret_head)
{
	return ecbpf_view_open_entry(e, maps->sets, "fw_sets", sizeof(struct ecbpf_trie_head),
				     entry, ret_head);
}

static struct ecbpf_trie_head *head_of(const struct ecbpf_view *heads, __u32 entry)
{
	return (struct ecbpf_trie_head *)heads->at + entry;
}

/* Does the entry have a trie, even an unfinished one of a killed process? */
static bool set_is_made(const struct ecbpf_trie_head *head)
{
	return head->roots || head->dirty;
}

static int fail_lost(struct ecbpf *e, const char *name)
{
	return ecbpf_fail(
		e, -ENODATA,
		"parts of set '%s' were removed from ecbpf's maps, and it does not match all "
		"of its addresses: 'ecbpf-fw set replace' repairs it, or 'apply' of rules "
		"that have them",
		name);
}

int fw_set_open(struct ecbpf *e, const struct fw_maps *maps, const char *name, __u16 entry,
		bool is_replaced, struct ecbpf_view *ret_head, struct ecbpf_trie **ret_trie)
{
	struct ecbpf_view head;
	int err;

	err = head_open(e, maps, entry, &head);
	if (err)
		return err;
	if (is_replaced)
		err = ecbpf_trie_open_lost(e, maps->pool, head.at, entry, ret_trie);
	else if (set_is_made(head.at))
		err = ecbpf_trie_open(e, maps->pool, head.at, entry, ret_trie);
	else /* each set has a trie, even if it is empty */
		err = -ENODATA;
	if (err == -ENODATA)
		fail_lost(e, name);
	if (err)
		ecbpf_view_close(&head);
	else
		*ret_head = head;
	return err;
}

int fw_set_check(struct ecbpf *e, const struct fw_maps *maps, const char *name, __u16 entry)
{
	_cleanup_view_ struct ecbpf_view head = {};
	int found = head_open(e, maps, entry, &head);

	if (found)
		return found;
	found = set_is_made(head.at) ? ecbpf_trie_check(e, maps->pool, head.at, entry) : 1;
	if (found > 0)
		fail_lost(e, name);
	return found;
}

void fw_set_close(struct ecbpf_view *head, struct ecbpf_trie *trie)
{
	ecbpf_trie_close(trie);
	ecbpf_view_close(head);
}

/* Return: how many sets are not of @state. @is_freed: free them */
static size_t sets_left(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *state,
			bool is_freed)
{
	_cleanup_view_ struct ecbpf_view heads = {};
	bool used[ECBPF_FW_SETS] = {};
	size_t count = 0;

	if (heads_open(e, maps, &heads))
		return 0;
	for (size_t i = 0; i < state->ruleset->sets_count; i++)
		used[state->sets[i]] = true;
	for (__u32 i = 0; i < ECBPF_FW_SETS; i++) {
		if (used[i] || !set_is_made(head_of(&heads, i)))
			continue;
		count++;
		if (is_freed)
			ecbpf_trie_delete(e, maps->pool, head_of(&heads, i), i);
	}
	return count;
}

bool fw_sets_are_left(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *state)
{
	return sets_left(e, maps, state, false);
}

/* Free all sets that are not of @state; no packet may use them any more */
void fw_sets_free(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *state)
{
	sets_left(e, maps, state, true);
}

struct ecbpf_trie_op fw_trie_op(const struct ecbpf_prefix *prefix, __u32 value)
{
	struct ecbpf_trie_op op = {.family = prefix->family, .len = prefix->len, .value = value};

	for (size_t i = 0; i < 8; i++) {
		op.hi = op.hi << 8 | prefix->addr[i];
		op.lo = op.lo << 8 | prefix->addr[8 + i];
	}
	return op;
}

static int set_build(struct ecbpf *e, const struct fw_maps *maps, __u16 entry,
		     const struct fw_set *set)
{
	_cleanup_free_ struct ecbpf_trie_op *ops = NULL;
	_cleanup_view_ struct ecbpf_view head = {};
	struct ecbpf_trie *trie = NULL;
	int err;

	ops = calloc(set->prefixes_count + 1, sizeof(*ops));
	if (!ops)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < set->prefixes_count; i++)
		ops[i] = fw_trie_op(&set->prefixes[i], 1);
	err = head_open(e, maps, entry, &head);
	if (err)
		return err;
	if (!set_is_made(head.at)) {
		err = ecbpf_trie_new(e, maps->pool, head.at, entry, ops, set->prefixes_count);
	} else {
		/* of the previous rules of a trial, or of live rules that became unknown (is_lost)
		 */
		err = ecbpf_trie_open_lost(e, maps->pool, head.at, entry, &trie);
		if (!err)
			err = ecbpf_trie_build(trie, ops, set->prefixes_count);
		ecbpf_trie_close(trie);
	}
	return err;
}

/* Build the sets that have no entry yet */
int fw_sets_assign(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *old,
		   struct fw_state *new)
{
	bool used[ECBPF_FW_SETS] = {};
	__u32 next = 0;
	int err = 0;

	for (size_t i = 0; i < old->ruleset->sets_count; i++)
		used[old->sets[i]] = true;
	for (size_t i = 0; !err && i < new->ruleset->sets_count; i++) {
		if (new->sets[i] != FW_NO_ENTRY)
			continue;
		new->sets[i] = fw_entry_take(used, &next);
		err = set_build(e, maps, new->sets[i], &new->ruleset->sets[i]);
	}
	return err;
}

static struct ecbpf_prefix prefix_of(const struct ecbpf_trie_op *op)
{
	struct ecbpf_prefix prefix = {.family = op->family, .len = op->len};

	for (size_t i = 0; i < 8; i++) {
		prefix.addr[i] = op->hi >> (56 - 8 * i);
		prefix.addr[8 + i] = op->lo >> (56 - 8 * i);
	}
	return prefix;
}

int fw_set_read(struct ecbpf *e, const struct fw_maps *maps, __u16 entry, struct fw_set *set)
{
	_cleanup_free_ struct ecbpf_trie_op *ops = NULL;
	struct ecbpf_trie *trie = NULL;
	struct ecbpf_view head;
	size_t count = 0;
	int err;

	err = fw_set_open(e, maps, set->name, entry, false, &head, &trie);
	if (err)
		return err;
	err = ecbpf_trie_entries(trie, &ops, &count);
	fw_set_close(&head, trie);
	if (err)
		return err;
	set->prefixes = calloc(count + 1, sizeof(*set->prefixes));
	if (!set->prefixes)
		return ecbpf_fail_memory(e);
	for (; set->prefixes_count < count; set->prefixes_count++)
		set->prefixes[set->prefixes_count] = prefix_of(&ops[set->prefixes_count]);
	return 0;
}

/* For more changes than fit into the journal: build the set anew, beside the old one */
int fw_set_rebuild(struct ecbpf *e, struct ecbpf_trie *trie, const struct ecbpf_trie_op *ops,
		   size_t count)
{
	_cleanup_free_ struct ecbpf_trie_op *old = NULL, *all = NULL;
	size_t old_count = 0, i = 0, j = 0, kept = 0;
	int err;

	err = ecbpf_trie_entries(trie, &old, &old_count);
	if (err)
		return err;
	all = calloc(old_count + count + 1, sizeof(*all));
	if (!all)
		return ecbpf_fail_memory(e);
	while (i < old_count || j < count) {
		int order = i == old_count ? 1
			    : j == count   ? -1
					   : ecbpf_trie_compare(&old[i], &ops[j]);

		if (order < 0)
			all[kept++] = old[i];
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): no error came before */
		else if (ops[j].value)
			all[kept++] = ops[j];
		i += order <= 0;
		j += order >= 0;
	}
	return ecbpf_trie_build(trie, all, kept);
}
