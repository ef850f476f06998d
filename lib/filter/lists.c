// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Changes of a list.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bpf/bpffs.h"
#include "bpf/synchronize.h"
#include "bpf/transaction.h"
#include "chain/lost.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/list-policy.h"
#include "core/runtime_log.h"
#include "filter/filter.h"

#define PENDING_ENOUGH 1024 /* to wait for packets */

static const struct ecbpf_trie_memory *const memory = &ecbpf_trie_pool_memory;

/* An input, or an entry of a table; sorted by prefix */
struct change {
	struct ecbpf_trie_op op; /* value: 0 to delete */
	__u32 old;		 /* source that it had; 0: none */
	bool is_moved; /* to another source, with the counters of @old, which were these */
	__u64 packets, bytes;
};

/* Equal prefixes in the order of the call */
static int op_compare(const void *a, const void *b)
{
	const struct ecbpf_trie_op *x = a, *y = b;
	int cmp = ecbpf_trie_compare(x, y);

	return cmp ? cmp : x->value < y->value ? -1 : x->value > y->value;
}

/* A permanent entry gets an expiry: whoever made it may not have meant it to end */
static void note_temporary(struct ecbpf_filter_changes *changes,
			   const struct ecbpf_filter_entry *entry, struct ecbpf_prefix *first)
{
	if (!changes->temporary++)
		*first = entry->prefix;
}

/* Of prefixes, and what the table has of each. *@ret: for free() */
static int changes_of(struct filter_lists *l, __u32 list, const struct ecbpf_trie_op *ops,
		      size_t count, struct change **ret)
{
	struct change *changes = calloc(count + 1, sizeof(*changes));
	_cleanup_free_ __u32 *old = calloc(count + 1, sizeof(*old));
	int err = changes && old ? 0 : ecbpf_fail_memory(l->e);

	/* a list that is lost has none: filter_lists_repair() finds what it had */
	if (!err && !l->is_lost[list])
		err = ecbpf_trie_find_all(l->tries[list], ops, count, old);
	if (err) {
		free(changes);
		return err;
	}
	for (size_t i = 0; i < count; i++)
		changes[i] = (struct change){.op = ops[i], .old = old[i]};
	*ret = changes;
	return 0;
}

/* Sorted, none twice: the last one counts. @first: see list_warn_temporary() */
static int changes_make(struct filter_lists *l, __u32 list,
			const struct ecbpf_filter_entry *entries, size_t count, struct change **ret,
			size_t *ret_count, struct ecbpf_filter_changes *sums,
			struct ecbpf_prefix *first)
{
	_cleanup_free_ struct ecbpf_trie_op *ops = malloc((count + 1) * sizeof(*ops));
	size_t kept = 0;

	if (!ops)
		return ecbpf_fail_memory(l->e);
	for (size_t i = 0; i < count; i++) {
		ops[i] = filter_entry_op(&entries[i]);
		ops[i].value = i + 1;
	}
	qsort(ops, count, sizeof(*ops), op_compare);
	for (size_t i = 0; i < count; i++) {
		const struct ecbpf_filter_entry *entry = &entries[ops[i].value - 1];

		if (i + 1 == count || ecbpf_trie_compare(&ops[i], &ops[i + 1]))
			ops[kept++] = ops[i];
		else if (!entry->expires && entries[ops[i + 1].value - 1].expires)
			note_temporary(sums, entry, first);
	}
	*ret_count = kept;
	return changes_of(l, list, ops, kept, ret);
}

/* The source for an entry: the one that there is if it is the same. Return: number or -errno */
static int source_for(struct filter_lists *l, const struct ecbpf_filter_entry *entry,
		      struct change *change, struct ecbpf_filter_changes *changes,
		      struct ecbpf_prefix *first)
{
	struct ecbpf_filter_source fresh = {.loaded = (l->now + l->offset) / NSEC}, *source;
	struct ecbpf_filter_source *old = NULL, counted;
	int number, err;

	if (change->old) {
		old = filter_source_get(l, change->old);
		if (!old)
			return -errno;
	}
	if (old && old->expires && old->expires <= l->now)
		old = NULL; /* nobody would see that it goes on */
	if (old) {
		__u64 expires = old->expires ? (old->expires + l->offset + NSEC / 2) / NSEC : 0;

		bool is_kept =
			l->e->list_policy & ECBPF_LIST_KEEP_PERMANENT && !expires && entry->expires;

		if (is_kept || (expires == entry->expires && !strcmp(old->tag, entry->tag))) {
			changes->same++;
			return change->old;
		}
		counted = *old;
		err = filter_hits_add(l, change->old, &counted);
		if (err)
			return err;
		change->is_moved = true;
		change->packets = fresh.packets = counted.packets;
		change->bytes = fresh.bytes = counted.bytes;
		fresh.loaded = counted.loaded;
		changes->updated++;
		changes->permanent += expires && !entry->expires;
		if (!expires && entry->expires)
			note_temporary(changes, entry, first);
	} else {
		changes->added++;
	}
	/* an expiry that is over already: not 0, which would be never */
	if (entry->expires)
		fresh.expires = (__s64)(entry->expires * NSEC) > l->offset
					? entry->expires * NSEC - l->offset
					: 1;
	strcpy(fresh.tag, entry->tag);
	number = filter_source_new(l, &source);
	if (source)
		*source = fresh;
	return number;
}

/* Does a longer-lived or any prefix of the table lie above? Return: its source; 0: none */
static __u32 cover_of(struct filter_lists *l, __u32 list, const struct ecbpf_trie_op *op,
		      __u64 expires)
{
	__u32 match = 0;

	/* tells most times, and looks at few chunks, each of which takes its time to map */
	if (!ecbpf_trie_match(l->tries[list], op, &match))
		return 0;
	for (int len = match < op->len ? (int)match : op->len - 1; len >= 0; len--) {
		struct ecbpf_trie_op cut = {.family = op->family, .len = len};
		const struct ecbpf_filter_source *source;
		__u32 number;

		cut.hi = len >= 64 ? op->hi : len ? op->hi & ~0ULL << (64 - len) : 0;
		cut.lo = len > 64 ? op->lo & ~0ULL << (128 - len) : 0;
		number = ecbpf_trie_find(l->tries[list], &cut);
		source = number ? filter_source_get(l, number) : NULL;
		if (source && (!source->expires || source->expires > expires))
			return number;
	}
	return 0;
}

/*
 * What the table will be, and @retired, if it is nothing but @changes. Numbers of sources tell what
 * stays: to sort all that was there takes longer.
 */
static int after_replace(struct filter_lists *l, __u32 list, const struct change *changes,
			 size_t count, struct ecbpf_trie_op **ret, __u32 *retired,
			 size_t *retired_count)
{
	struct ecbpf_trie_op *after = malloc((count + 1) * sizeof(*after));
	__u8 *stays = calloc(1, ECBPF_TRIE_VALUE_MAX + 1);
	_cleanup_free_ __u32 *old = NULL;
	size_t old_count = 0;
	int err;

	err = !stays || !after	 ? ecbpf_fail_memory(l->e)
	      : l->is_lost[list] ? 0 /* filter_lists_repair() finds those that are retired */
				 : ecbpf_trie_values(l->tries[list], &old, &old_count);
	if (err) {
		free(after);
		free(stays);
		return err;
	}
	for (size_t i = 0; i < count; i++) {
		after[i] = changes[i].op;
		stays[changes[i].old & ECBPF_TRIE_VALUE_MAX] = 1;
	}
	for (size_t i = 0; i < old_count; i++) {
		__u8 *known = &stays[old[i] & ECBPF_TRIE_VALUE_MAX];

		if (!*known)
			retired[(*retired_count)++] = old[i];
		*known = 1;
	}
	free(stays);
	*ret = after;
	return 0;
}

/* What the table will be: @changes are sorted. What has expired is left out */
static int after_make(struct filter_lists *l, __u32 list, const struct change *changes,
		      size_t count, struct ecbpf_trie_op **ret, size_t *ret_count, __u32 *retired,
		      size_t *retired_count)
{
	_cleanup_free_ struct ecbpf_trie_op *old = NULL;
	size_t old_count, i = 0, j = 0, kept = 0;
	struct ecbpf_trie_op *after;
	int err;

	err = ecbpf_trie_entries(l->tries[list], &old, &old_count);
	if (err)
		return err;
	after = malloc((old_count + count + 1) * sizeof(*after));
	if (!after)
		return ecbpf_fail_memory(l->e);
	while (i < old_count || j < count) {
		int cmp = i == old_count ? 1
			  : j == count	 ? -1
					 : ecbpf_trie_compare(&old[i], &changes[j].op);
		const struct ecbpf_filter_source *source;

		if (cmp >= 0) {
			if (changes[j].op.value)
				after[kept++] = changes[j].op;
			j++;
			i += !cmp;
			continue;
		}
		source = filter_source_get(l, old[i].value);
		if (source && (!source->expires || source->expires > l->now))
			after[kept++] = old[i];
		else
			retired[(*retired_count)++] = old[i].value;
		i++;
	}
	*ret = after;
	*ret_count = kept;
	return 0;
}

/*
 * Do the changes need the whole list, to remove expired prefixes or to set parents? Return: 1, 0 or
 * -errno
 */
static int changes_need_list(struct filter_lists *l, __u32 list, const struct change *changes,
			     size_t count, bool is_replace)
{
	const struct ecbpf_filter_lists *head = l->head;
	bool is_sweep = head->expiring[list] && head->first_expiry[list] <= l->now;
	bool need = is_replace || is_sweep || count > ECBPF_TRIE_JOURNAL;

	for (size_t i = 0; i < count; i++) {
		bool is_host = changes[i].op.len == (changes[i].op.family == 6 ? 128 : 32);
		const struct ecbpf_filter_source *source;

		source = filter_source_get(l, changes[i].op.value ?: changes[i].old);
		if (!source)
			return filter_fail_sources(l, -errno);
		need |= head->expiring[list] && !is_host;
		need |= source->expires && (count > 1 || !is_host);
		source = changes[i].old ? filter_source_get(l, changes[i].old) : NULL;
		need |= source && source->expires && count > 1;
	}
	return need;
}

/* Parent and expiry of one changed host address; no other prefix has it as its parent */
static void host_account(struct filter_lists *l, __u32 list, const struct change *change)
{
	struct ecbpf_filter_lists *head = l->head;
	struct ecbpf_filter_source *source = filter_source_get(l, change->op.value ?: change->old);
	const struct ecbpf_filter_source *old =
		change->old ? filter_source_get(l, change->old) : NULL;
	__u64 first = head->first_expiry[list];

	if (old && old->expires)
		head->expiring[list]--;
	if (!change->op.value || !source->expires)
		return;
	source->parent = cover_of(l, list, &change->op, source->expires);
	head->expiring[list]++;
	if (!first || source->expires < first)
		head->first_expiry[list] = source->expires;
}

static int trie_change(struct filter_lists *l, __u32 list, const struct change *changes,
		       size_t count)
{
	_cleanup_free_ struct ecbpf_trie_op *ops = malloc((count + 1) * sizeof(*ops));

	if (!ops)
		return ecbpf_fail_memory(l->e);
	for (size_t i = 0; i < count; i++)
		ops[i] = changes[i].op;
	return ecbpf_trie_change(l->tries[list], ops, count);
}

/* Look at the sources, before the table changes: then sources_retire() has them */
static int sources_get(struct filter_lists *l, const __u32 *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!filter_source_get(l, numbers[i]))
			return filter_fail_sources(l, -errno);
	}
	return 0;
}

static void sources_retire(struct filter_lists *l, const __u32 *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		filter_source_retire(l, numbers[i]);
	if (l->head->pending_count > PENDING_ENOUGH)
		filter_sources_free(l);
}

static int changes_do(struct filter_lists *l, __u32 list, const struct change *changes,
		      size_t count, bool is_replace, size_t *ret_swept)
{
	_cleanup_free_ struct ecbpf_trie_op *ops = NULL;
	_cleanup_free_ __u32 *retired = NULL;
	size_t retired_count = 0, total, replaced, after = count;
	int err, need_list;

	need_list = changes_need_list(l, list, changes, count, is_replace);
	if (need_list < 0)
		return need_list;
	total = ecbpf_trie_count(l->tries[list], 4) + ecbpf_trie_count(l->tries[list], 6) + count;
	retired = malloc((total + 1) * sizeof(*retired));
	if (!retired)
		return ecbpf_fail_memory(l->e);
	for (size_t i = 0; i < count; i++)
		if (changes[i].old && changes[i].old != changes[i].op.value)
			retired[retired_count++] = changes[i].old;
	replaced = retired_count;
	if (need_list) {
		if (is_replace)
			err = after_replace(l, list, changes, count, &ops, retired, &retired_count);
		else
			err = after_make(l, list, changes, count, &ops, &after, retired,
					 &retired_count);
		if (!err)
			err = filter_parents_set(l, list, ops, after);
		if (err)
			return err;
	} else if (count == 1 && changes->op.value != changes->old) {
		host_account(l, list, changes);
	}
	*ret_swept = retired_count - replaced;
	err = sources_get(l, retired, retired_count);
	if (err)
		return err;
	if (is_replace || count > ECBPF_TRIE_JOURNAL || *ret_swept)
		err = ecbpf_trie_build(l->tries[list], ops, after);
	else
		err = trie_change(l, list, changes, count);
	if (!err)
		sources_retire(l, retired, retired_count);
	return err;
}

static int sources_publish(struct filter_lists *l)
{
	int err = l->made_count ? memory->publish(l->pool, l->made, l->made_count) : 0;

	if (err)
		return filter_fail_sources(l, err);
	l->made_count = 0;
	return 0;
}

/* Without what has expired; none if the lists were not opened: they are not there */
static int entries_get(struct filter_lists *l, __u32 list, struct ecbpf_filter_entry **ret_entries,
		       size_t *ret_count)
{
	_cleanup_free_ struct ecbpf_trie_op *ops = NULL;
	struct ecbpf_filter_entry *entries;
	size_t count = 0, kept = 0;
	int err;

	err = l->pool ? filter_list_check(l, list) : 0;
	if (!err && l->pool)
		err = ecbpf_trie_entries(l->tries[list], &ops, &count);
	if (err)
		return err;
	entries = calloc(count + 1, sizeof(*entries));
	if (!entries)
		return ecbpf_fail_memory(l->e);
	for (size_t i = 0; i < count; i++) {
		const struct ecbpf_filter_source *source = filter_source_get(l, ops[i].value);

		/* what is damaged is no entry; what could not be read is one */
		if (!source && errno != EPROTO && errno != ENOENT) {
			free(entries);
			return filter_fail_sources(l, -errno);
		}
		if (source && (!source->expires || source->expires > l->now)) {
			struct ecbpf_filter_source counted = *source;

			err = filter_hits_add(l, ops[i].value, &counted);
			if (err) {
				free(entries);
				return err;
			}
			filter_entry_set(l, &ops[i], &counted, &entries[kept++]);
		}
	}
	*ret_entries = entries;
	*ret_count = kept;
	return 0;
}

static const char *const names[ECBPF_FILTER_LISTS] = {
	[ECBPF_FILTER_ALLOW] = "the allow list",
	[ECBPF_FILTER_BLOCK] = "the drop list",
};

int ecbpf_filter_list_check(struct ecbpf *e, __u32 list, size_t before,
			    const struct ecbpf_filter_entry *entries, size_t count,
			    const struct ecbpf_filter_entry *allow, size_t allow_count)
{
	struct lockout lockout;
	int err;

	err = ecbpf_list_check_empty(e, names[list], before, count);
	if (err || !count || list != ECBPF_FILTER_BLOCK)
		return err;
	err = ecbpf_lockout_begin(e, &lockout);
	if (!err)
		err = ecbpf_lockout_sessions(&lockout);
	for (size_t i = 0; i < allow_count && !err; i++)
		ecbpf_lockout_allow(&lockout, &allow[i].prefix);
	for (size_t i = 0; i < count && !err; i++)
		ecbpf_lockout_check(&lockout, &entries[i].prefix);
	return ecbpf_lockout_end(&lockout, err);
}

/* Likewise, beside what is there */
static int list_check(struct filter_lists *l, __u32 list, const struct ecbpf_filter_entry *entries,
		      size_t count, bool is_replace)
{
	_cleanup_free_ struct ecbpf_filter_entry *allow = NULL;
	size_t before = 0, allow_count = 0;
	int err = 0;

	if (is_replace)
		before = ecbpf_trie_count(l->tries[list], 4) + ecbpf_trie_count(l->tries[list], 6);
	if (is_replace && list == ECBPF_FILTER_ALLOW)
		err = filter_allow_check(l, entries, count, false);
	if (list == ECBPF_FILTER_BLOCK && count && !l->is_lost[ECBPF_FILTER_ALLOW])
		err = entries_get(l, ECBPF_FILTER_ALLOW, &allow, &allow_count);
	return err ? err
		   : ecbpf_filter_list_check(l->e, list, before, entries, count, allow,
					     allow_count);
}

/* For a change: entries are checked before anything is opened */
static int lists_open_with(struct ecbpf *e, const struct ecbpf_filter_entry *entries, size_t count,
			   struct filter_lists *l)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = filter_entry_check(e, &entries[i]);
	return err ? err : filter_lists_open(e, l);
}

/* A change failed before its table was published. What cannot be repaired is by the next change */
static void list_undo(struct filter_lists *l)
{
	struct saved_error error;

	ecbpf_error_save(l->e, &error);
	memory->drop(l->pool, l->made, l->made_count);
	for (size_t i = 0; i < l->made_count; i++)
		l->chunks[l->made[i]] = NULL;
	l->made_count = 0;
	filter_lists_repair(l);
	ecbpf_error_restore(l->e, &error);
}

/* A table was published. One that was lost leaves sources that only the repair finds */
static void list_done(struct filter_lists *l, __u32 list)
{
	if (!l->is_lost[list]) {
		__atomic_store_n(&l->head->dirty, 0, __ATOMIC_RELEASE);
		return;
	}
	l->is_lost[list] = false;
	if (filter_lists_repair(l)) /* the next change tries it again */
		ecbpf_log(l->e, ECBPF_LOG_WARN, "%s", l->e->error);
}

/* Packets that were counted for the old sources after their counters were taken over */
static int counters_settle(struct filter_lists *l, const struct change *changes, size_t count)
{
	bool is_stable = false, is_any = false;
	int err = 0;

	for (size_t i = 0; i < count && !is_any; i++)
		is_any = changes[i].is_moved;
	if (!is_any)
		return 0;
	ecbpf_synchronize(l->e);
	/* what a CPU adds to a source meanwhile would be missing, or there twice */
	for (int tries = 0; tries < 10 && !is_stable && !err; tries++) {
		__u64 before = 0, after = 0;

		for (size_t i = 0; i < count; i++)
			if (changes[i].is_moved)
				before += filter_source_get(l, changes[i].old)->packets;
		err = filter_hits_read(l);
		for (size_t i = 0; i < count; i++)
			if (changes[i].is_moved)
				after += filter_source_get(l, changes[i].old)->packets;
		is_stable = before == after;
	}
	for (size_t i = 0; i < count && !err; i++) {
		struct ecbpf_filter_source old, *new;

		if (!changes[i].is_moved)
			continue;
		old = *filter_source_get(l, changes[i].old);
		new = filter_source_get(l, changes[i].op.value);
		err = filter_hits_add(l, changes[i].old, &old);
		__atomic_fetch_add(&new->packets, old.packets - changes[i].packets,
				   __ATOMIC_RELAXED);
		__atomic_fetch_add(&new->bytes, old.bytes - changes[i].bytes, __ATOMIC_RELAXED);
	}
	return err;
}

static void list_warn_temporary(struct ecbpf *e, __u32 list,
				const struct ecbpf_filter_changes *changes,
				const struct ecbpf_prefix *first)
{
	char text[ECBPF_PREFIX_TEXT];

	if (!changes->temporary)
		return;
	ecbpf_prefix_format(first, text);
	ecbpf_log(e, ECBPF_LOG_WARN, "%s: '%s'%s had no expiry, and expires from now on",
		  names[list], text, changes->temporary > 1 ? " and others" : "");
}

static int list_change_locked(struct ecbpf *e, __u32 list, const struct ecbpf_filter_entry *entries,
			      size_t count, bool is_replace,
			      struct ecbpf_filter_changes *ret_changes)
{
	struct filter_lists l cleanup_filter_lists = FILTER_LISTS_INIT;
	struct ecbpf_filter_changes sums = {};
	_cleanup_free_ struct change *changes = NULL;
	struct ecbpf_prefix first = {};
	size_t unique = 0, swept = 0;
	int err;

	err = lists_open_with(e, entries, count, &l);
	if (!err && !is_replace)
		err = filter_list_check(&l, list);
	if (!err)
		err = list_check(&l, list, entries, count, is_replace);
	if (!err)
		err = changes_make(&l, list, entries, count, &changes, &unique, &sums, &first);
	if (err)
		return err;
	sums.same = count - unique;
	filter_log_list(e, list, is_replace ? "replace" : "add", entries, count);
	__atomic_store_n(&l.head->dirty, 1, __ATOMIC_RELEASE);
	if (l.is_lost[list])
		filter_sources_skip(&l);
	for (size_t i = 0; i < unique; i++) {
		struct change *change = &changes[i];
		__u64 added = sums.added;
		int number;

		/* in a large list, each entry and each source is waited for */
		if (i + 8 < unique) {
			__builtin_prefetch(&entries[changes[i + 8].op.value - 1]);
			if (changes[i + 8].old)
				__builtin_prefetch(filter_source_get(&l, changes[i + 8].old));
		}
		number = source_for(&l, &entries[change->op.value - 1], change, &sums, &first);
		if (number < 0) {
			err = filter_fail_sources(&l, number);
			break;
		}
		change->op.value = number;
		/* of many, it takes longer than all else */
		if (sums.added > added && unique <= ECBPF_TRIE_JOURNAL)
			sums.covered += !!cover_of(&l, list, &change->op, l.now);
	}
	if (!err)
		err = sources_publish(&l);
	if (!err)
		err = changes_do(&l, list, changes, unique, is_replace, &swept);
	if (err) {
		list_undo(&l);
		return err;
	}
	list_done(&l, list);
	if (counters_settle(&l, changes, unique))
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "packets that came during the change are not counted: %s", e->error);
	list_warn_temporary(e, list, &sums, &first);
	sums.deleted = is_replace ? swept : 0;
	if (ret_changes)
		*ret_changes = sums;
	return 0;
}

static int list_change(struct ecbpf *e, __u32 list, const struct ecbpf_filter_entry *entries,
		       size_t count, bool is_replace, struct ecbpf_filter_changes *ret_changes)
{
	struct transaction t;
	int err = ecbpf_transaction_begin(e, &t);

	if (err)
		return err;
	runtime_log_ahead(e);
	err = list_change_locked(e, list, entries, count, is_replace, ret_changes);
	runtime_log_settle(e, !err);
	return ecbpf_transaction_end(e, &t, err);
}

int ecbpf_filter_list_add(struct ecbpf *e, __u32 list, const struct ecbpf_filter_entry *entries,
			  size_t count, struct ecbpf_filter_changes *ret_changes)
{
	return list_change(e, list, entries, count, false, ret_changes);
}

int ecbpf_filter_list_replace(struct ecbpf *e, __u32 list, const struct ecbpf_filter_entry *entries,
			      size_t count, struct ecbpf_filter_changes *ret_changes)
{
	return list_change(e, list, entries, count, true, ret_changes);
}

static int list_delete_locked(struct ecbpf *e, __u32 list, const struct ecbpf_filter_entry *entries,
			      size_t count)
{
	struct filter_lists l cleanup_filter_lists = FILTER_LISTS_INIT;
	_cleanup_free_ struct change *changes = NULL;
	struct ecbpf_filter_changes sums = {};
	size_t unique = 0, kept = 0, swept = 0;
	struct ecbpf_prefix first;
	int err;

	err = lists_open_with(e, entries, count, &l);
	if (!err)
		err = filter_list_check(&l, list);
	if (!err)
		err = changes_make(&l, list, entries, count, &changes, &unique, &sums, &first);
	for (size_t i = 0; i < unique && !err; i++) {
		const struct ecbpf_filter_entry *entry = &entries[changes[i].op.value - 1];
		const struct ecbpf_filter_source *source;
		char text[ECBPF_PREFIX_TEXT];

		changes[i].op.value = 0;
		source = changes[i].old ? filter_source_get(&l, changes[i].old) : NULL;
		if (source && source->expires && source->expires <= l.now)
			source = NULL;
		if (source && (!*entry->tag || !strcmp(entry->tag, source->tag))) {
			changes[kept++] = changes[i];
			continue;
		}
		ecbpf_prefix_format(&entry->prefix, text);
		if (!(e->list_policy & ECBPF_LIST_IF_EXISTS))
			err = ecbpf_fail(e, -ENOENT, "'%s' is not listed%s%s", text,
					 source ? " with the tag " : "", source ? entry->tag : "");
	}
	if (!err && kept && list == ECBPF_FILTER_ALLOW)
		err = filter_allow_check(&l, entries, count, true);
	if (err || !kept)
		return err;
	filter_log_list(e, list, "delete", entries, count);
	__atomic_store_n(&l.head->dirty, 1, __ATOMIC_RELEASE);
	err = changes_do(&l, list, changes, kept, false, &swept);
	if (err) {
		list_undo(&l);
		return err;
	}
	__atomic_store_n(&l.head->dirty, 0, __ATOMIC_RELEASE);
	e->changed.removed += kept;
	return 0;
}

int ecbpf_filter_list_delete(struct ecbpf *e, __u32 list, const struct ecbpf_filter_entry *entries,
			     size_t count)
{
	struct transaction t;
	int err = ecbpf_transaction_begin(e, &t);

	if (err)
		return err;
	runtime_log_ahead(e);
	err = list_delete_locked(e, list, entries, count);
	runtime_log_settle(e, !err);
	return ecbpf_transaction_end(e, &t, err);
}

/* Return: 1; 0 nothing was ever listed, and reading makes no maps; -ESTALE; errors */
static int lists_are_there(struct ecbpf *e)
{
	int found = ecbpf_pin_is_there(e, "filter_lists");

	if (found || e->renews_maps)
		return found;
	return ecbpf_lost_check(e, "filter") ?: ecbpf_pin_is_there(e, "filter_lists");
}

int ecbpf_filter_list_get(struct ecbpf *e, __u32 list, struct ecbpf_filter_entry **ret_entries,
			  size_t *ret_count)
{
	struct filter_lists l cleanup_filter_lists = FILTER_LISTS_INIT;
	int err;

	l.e = e;
	err = lists_are_there(e);
	if (err > 0)
		err = filter_lists_open(e, &l);
	return err ? err : entries_get(&l, list, ret_entries, ret_count);
}

int ecbpf_filter_list_size(struct ecbpf *e, __u32 list, struct ecbpf_filter_size *ret_size)
{
	struct filter_lists l cleanup_filter_lists = FILTER_LISTS_INIT;
	struct ecbpf_filter_size size = {};
	int err;

	err = lists_are_there(e);
	*ret_size = size;
	if (err > 0)
		err = filter_lists_open(e, &l);
	if (!err && l.pool)
		err = filter_list_check(&l, list);
	if (err || !l.pool)
		return err;
	size.prefixes[0] = ecbpf_trie_count(l.tries[list], 4);
	size.prefixes[1] = ecbpf_trie_count(l.tries[list], 6);
	size.bytes = ecbpf_trie_bytes(l.tries[list]) +
		     (size.prefixes[0] + size.prefixes[1]) * sizeof(struct ecbpf_filter_source);
	*ret_size = size;
	return 0;
}
