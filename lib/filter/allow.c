// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Changes of the allow list that would cut the operator off: a client whom the drop list has, too,
 * comes in only by the allow list.
 */
#include <string.h>
#include "core/handle.h"
#include "core/list-policy.h"
#include "core/prefix.h"
#include "filter/filter.h"

/* @is_deleted: the allow list loses these entries; else it has no others */
struct allow_change {
	struct filter_lists *l;
	const struct ecbpf_filter_entry *entries;
	size_t count;
	bool is_deleted;
};

/* As list_delete_locked() takes them: with a tag, only if it is that of the source */
static bool is_among(const struct ecbpf_filter_entry *entries, size_t count,
		     const struct ecbpf_prefix *prefix, const struct ecbpf_filter_source *source)
{
	for (size_t i = 0; i < count; i++)
		if (!ecbpf_prefix_compare(&entries[i].prefix, prefix) &&
		    (!*entries[i].tag || !strcmp(entries[i].tag, source->tag)))
			return true;
	return false;
}

/* Is the address in an entry that has not expired, and is none of @without? */
static bool is_listed(struct filter_lists *l, __u32 list, const struct ecbpf_prefix *addr,
		      const struct ecbpf_filter_entry *without, size_t count)
{
	for (unsigned int len = 0; len <= addr->len; len++) {
		struct ecbpf_filter_entry entry = {.prefix = *addr};
		const struct ecbpf_filter_source *source;
		struct ecbpf_trie_op op;
		__u32 number;

		entry.prefix.len = len;
		ecbpf_prefix_mask(&entry.prefix);
		op = filter_entry_op(&entry);
		number = ecbpf_trie_find(l->tries[list], &op);
		source = number ? filter_source_get(l, number) : NULL;
		if (source && (!source->expires || source->expires > l->now) &&
		    !is_among(without, count, &entry.prefix, source))
			return true;
	}
	return false;
}

static bool is_cut(const struct ecbpf_prefix *addr, void *data)
{
	const struct allow_change *c = data;

	if (!is_listed(c->l, ECBPF_FILTER_BLOCK, addr, NULL, 0) ||
	    !is_listed(c->l, ECBPF_FILTER_ALLOW, addr, NULL, 0))
		return false;
	if (c->is_deleted)
		return !is_listed(c->l, ECBPF_FILTER_ALLOW, addr, c->entries, c->count);
	for (size_t i = 0; i < c->count; i++)
		if (ecbpf_prefix_has(&c->entries[i].prefix, addr))
			return false;
	return true;
}

int filter_allow_check(struct filter_lists *l, const struct ecbpf_filter_entry *entries,
		       size_t count, bool is_deleted)
{
	struct allow_change change = {l, entries, count, is_deleted};
	struct lockout lockout = {.e = l->e};
	int err;

	if (l->is_lost[ECBPF_FILTER_ALLOW] || l->is_lost[ECBPF_FILTER_BLOCK])
		return 0;
	err = ecbpf_lockout_sessions(&lockout);
	if (!err)
		ecbpf_lockout_find(&lockout, is_cut, &change, "in the drop list");
	return ecbpf_lockout_end(&lockout, err);
}
