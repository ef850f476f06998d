// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tables of prefixes: their interface, see trie.h.
 */
#include <errno.h>
#include <stdlib.h>
#include "bpf/trie_layout.h"
#include "core/error.h"
#include "core/handle.h"

#define PENDING_ENOUGH 1024 /* retired blocks that are worth waiting for program runs */

size_t ecbpf_trie_count(const struct ecbpf_trie *t, int family)
{
	return t->gen ? t->gen->count[family == 6] : 0;
}

size_t ecbpf_trie_bytes(const struct ecbpf_trie *t)
{
	return t->gen ? t->gen->chunks_count * CHUNK_BYTES : 0;
}

__u32 ecbpf_trie_find(struct ecbpf_trie *t, const struct ecbpf_trie_op *prefix)
{
	struct key key = op_key(prefix);
	__u64 leaf;

	if (!t->gen)
		return 0;
	t->err = 0;
	leaf = load(t, trie_hash_find(t, prefix->family, &key));

	return leaf ? leaf_value(t, leaf) : 0;
}

int ecbpf_trie_find_all(struct ecbpf_trie *t, const struct ecbpf_trie_op *prefixes, size_t count,
			__u32 *ret_values)
{
	if (!t->gen)
		return trie_fail(t, -ENODATA);
	t->err = 0;
	for (size_t i = 0; i < count; i++) {
		struct key key = op_key(&prefixes[i]);
		__u64 leaf;

		if (i + TRIE_FAR < count)
			trie_hash_expect(t, &prefixes[i + TRIE_FAR], &prefixes[i + TRIE_NEAR]);
		leaf = load(t, trie_hash_find(t, prefixes[i].family, &key));
		ret_values[i] = leaf ? leaf_value(t, leaf) : 0;
	}
	return t->err ? trie_fail(t, t->err) : 0;
}

int ecbpf_trie_same(struct ecbpf_trie *t, const struct ecbpf_trie_op *prefixes, size_t count,
		    size_t *ret_same)
{
	size_t same = 0;

	t->err = 0;
	if (!t->gen)
		count = 0;
	for (size_t i = 0; i < count; i++) {
		struct key key = op_key(&prefixes[i]);

		if (i + TRIE_FAR < count)
			trie_hash_expect(t, &prefixes[i + TRIE_FAR], &prefixes[i + TRIE_NEAR]);
		same += !!load(t, trie_hash_find(t, prefixes[i].family, &key));
	}
	if (t->err)
		return trie_fail(t, t->err);
	*ret_same = same;
	return 0;
}

static bool leaf_has(struct ecbpf_trie *t, __u64 leaf, const struct key *key)
{
	struct key path;

	if (!leaf)
		return false;
	path = leaf_key(t, leaf);
	return key_common(&path, key) >= path.len;
}

__u32 ecbpf_trie_match(struct ecbpf_trie *t, const struct ecbpf_trie_op *address, __u32 *ret_len)
{
	struct key key = op_key(address);
	__u64 slot, match = 0, leaf;

	if (!t->gen)
		return 0;
	slot = root_slot(t->gen->root[address->family == 6]);
	t->err = 0;
	while (!t->err && is_node(slot) && node_stride(slot)) {
		leaf = node_cover(t, slot);
		if (leaf_has(t, leaf, &key))
			match = leaf;
		slot = load(t, slot_of(slot, &key));
	}
	if (!is_node(slot) && leaf_has(t, slot, &key))
		match = slot;
	*ret_len = leaf_len(match);
	return match ? leaf_value(t, match) : 0;
}

int ecbpf_trie_entries(struct ecbpf_trie *t, struct ecbpf_trie_op **ret_entries, size_t *ret_count)
{
	size_t size = 0, count = 0, unique = 0;
	struct ecbpf_trie_op *ops;
	__u32 words;

	if (!t->gen)
		return trie_fail(t, -ENODATA);
	words = 1U << t->gen->hash_bits;
	t->err = 0;
	for (__u32 i = 0; i < words; i++)
		size += !!load(t, t->gen->hash + i);
	ops = malloc((size + 1) * sizeof(*ops));
	if (!ops)
		return trie_fail(t, -ENOMEM);
	for (__u32 i = 0; i < words && count < size; i++) {
		__u64 leaf = load(t, t->gen->hash + i);
		struct key key;

		if (!leaf)
			continue;
		key = leaf_key(t, leaf);
		ops[count++] = (struct ecbpf_trie_op){
			.hi = key.hi,
			.lo = key.lo,
			.value = leaf_value(t, leaf),
			.family = leaf_family(leaf),
			.len = key.len,
		};
	}
	if (t->err) {
		free(ops);
		return trie_fail(t, t->err);
	}
	qsort(ops, count, sizeof(*ops), ecbpf_trie_compare);
	/* see trie_hash_delete() */
	for (size_t i = 0; i < count; i++) {
		if (!unique || ecbpf_trie_compare(&ops[unique - 1], &ops[i]))
			ops[unique++] = ops[i];
	}
	*ret_entries = ops;
	*ret_count = unique;
	return 0;
}

int ecbpf_trie_values(struct ecbpf_trie *t, __u32 **ret_values, size_t *ret_count)
{
	__u32 words, *values;
	size_t count = 0;

	if (!t->gen)
		return trie_fail(t, -ENODATA);
	words = 1U << t->gen->hash_bits;
	values = malloc(words * sizeof(*values));
	if (!values)
		return trie_fail(t, -ENOMEM);
	t->err = 0;
	for (__u32 i = 0; i < words; i++) {
		__u64 leaf = load(t, t->gen->hash + i);

		if (leaf)
			values[count++] = leaf_value(t, leaf);
	}
	if (t->err) {
		free(values);
		return trie_fail(t, t->err);
	}
	*ret_values = values;
	*ret_count = count;
	return 0;
}

static void op_do(struct ecbpf_trie *t, const struct ecbpf_trie_op *op)
{
	struct key key = op_key(op);
	__u32 index = trie_hash_find(t, op->family, &key);
	__u64 old = load(t, index), leaf, root;
	int i = op->family == 6;

	if (t->err || (!old && !op->value))
		return;
	root = root_slot(t->gen->root[i]);
	if (op->value && old && op->family == 6) {
		store(t, (old >> 32) + 2, op->value);
		return;
	}
	if (op->value) {
		leaf = trie_leaf_new(t, op);
		if (!leaf)
			return;
		store(t, index, leaf);
		if (op->len) {
			trie_add(t, root, &key, leaf);
		} else {
			store(t, node_index(root) - 1, leaf);
			t->gen->root[i] |= ECBPF_TRIE_ROOT_COVER;
		}
		t->gen->count[i] += !old;
		roots_store(t);
		return;
	}
	if (op->len)
		trie_remove(t, root, &key, old);
	else
		store(t, node_index(root) - 1, 0);
	if (t->err)
		return;
	trie_hash_delete(t, index);
	trie_leaf_retire(t, old);
	if (!--t->gen->count[i])
		roots_store(t);
}

/* Make changes by building a new generation */
static int rebuild(struct ecbpf_trie *t, const struct ecbpf_trie_op *ops, size_t count)
{
	_cleanup_free_ struct ecbpf_trie_op *entries = NULL;
	struct ecbpf_trie_op *found, *grown;
	size_t old = 0, all, kept = 0;
	int err;

	err = ecbpf_trie_entries(t, &entries, &old);
	if (err)
		return err;
	grown = realloc(entries, (old + count + 1) * sizeof(*entries));
	if (!grown)
		return trie_fail(t, -ENOMEM);
	entries = grown;
	all = old;
	for (size_t i = 0; i < count; i++) {
		found = bsearch(&ops[i], entries, old, sizeof(*entries), ecbpf_trie_compare);
		for (size_t j = old; j < all && !found; j++) {
			if (!ecbpf_trie_compare(&entries[j], &ops[i]))
				found = &entries[j];
		}
		if (found)
			found->value = ops[i].value;
		else
			entries[all++] = ops[i];
	}
	for (size_t i = 0; i < all; i++) {
		if (entries[i].value)
			entries[kept++] = entries[i];
	}
	return ecbpf_trie_build(t, entries, kept);
}

/* Complete an interrupted change; parts of it may be done twice */
static int journal_redo(struct ecbpf_trie *t)
{
	int err = rebuild(t, t->head->journal, t->head->journal_count);

	if (!err)
		__atomic_store_n(&t->head->journal_count, 0, __ATOMIC_RELEASE);
	return err;
}

int ecbpf_trie_change(struct ecbpf_trie *t, const struct ecbpf_trie_op *ops, size_t count)
{
	__u64 total, words;
	int err;

	if (count > ECBPF_TRIE_JOURNAL)
		return trie_fail(t, -E2BIG);
	if (!count)
		return 0;
	if (!t->gen)
		return trie_fail(t, -ENODATA);
	total = t->gen->count[0] + t->gen->count[1];
	words = 1ULL << t->gen->hash_bits;
	if (total + count > words / 4 * 3)
		return rebuild(t, ops, count);
	err = trie_room_make(t);
	if (err)
		return trie_fail(t, err);

	t->err = 0;
	memcpy(t->head->journal, ops, count * sizeof(*ops));
	__atomic_store_n(&t->head->journal_count, count, __ATOMIC_RELEASE);
	for (size_t i = 0; i < count && !t->err; i++)
		op_do(t, &ops[i]);
	if (t->err)
		return journal_redo(t);
	__atomic_store_n(&t->head->journal_count, 0, __ATOMIC_RELEASE);

	/* programs see the change: now prepare for the next one */
	if (t->gen->pending_count > PENDING_ENOUGH)
		trie_pending_free(t);
	trie_room_make(t);
	return 0;
}

/* Return: 1, 0 or -errno */
static int generation_has(struct ecbpf_trie *t, const struct generation *gen)
{
	if (!gen->chunks_count || gen->chunks_count > ECBPF_TRIE_CHUNKS)
		return 0; /* it has the chunk that it lies in */
	for (__u32 i = 0; i < gen->chunks_count; i++)
		if (!t->memory->is_used(t->data, gen->chunks[i]))
			return 0;
	return 1;
}

/* Chunks without a generation are those of a writer that was killed, or somebody cleared the head
 */
static int head_is_cleared(struct ecbpf_trie *t)
{
	int found = 0;

	for (__u32 id = 1; id < ECBPF_TRIE_CHUNKS && !found && !t->head->dirty; id++)
		if (t->memory->is_used(t->data, id))
			found = t->memory->is_own(t->data, id);
	return found;
}

int trie_generation_check(struct ecbpf_trie *t)
{
	__u64 roots = t->head->roots;
	__u32 index = node_index(root_slot(roots)) - ROOT4_INDEX;
	const struct generation *gen;
	int found;

	if (!roots)
		return head_is_cleared(t);
	if (!t->memory->is_used(t->data, index >> ECBPF_TRIE_CHUNK_SHIFT))
		return 1;
	t->err = 0;
	gen = (const void *)word(t, index);
	found = t->err ? t->err : generation_has(t, gen);
	return found < 0 ? found : !found;
}

/* Open the live generation, and complete an interrupted change */
static int generation_open(struct ecbpf_trie *t)
{
	bool is_dirty = t->head->dirty || t->head->journal_count;
	__u64 roots = t->head->roots;
	int err = trie_generation_check(t);

	if (err < 0)
		return trie_fail(t, err);
	t->is_lost = err;
	if (t->is_lost)
		return 0;
	if (roots) {
		t->gen = (void *)word(t, node_index(root_slot(roots)) - ROOT4_INDEX);
		if (t->err)
			return trie_fail(t, t->err);
		if (t->head->journal_count)
			err = journal_redo(t);
	} else {
		err = ecbpf_trie_build(t, NULL, 0);
	}
	if (!err && is_dirty && t->gen)
		trie_orphans_drop(t);
	return err;
}

struct ecbpf_trie *trie_handle_new(struct ecbpf *e, const struct ecbpf_trie_memory *memory,
				   void *data, struct ecbpf_trie_head *head)
{
	struct ecbpf_trie *t = calloc(1, sizeof(*t));

	if (!t) {
		memory->close(data);
		return NULL;
	}
	t->e = e;
	t->memory = memory;
	t->data = data;
	t->head = head;
	return t;
}

int trie_open_lost(struct ecbpf *e, const struct ecbpf_trie_memory *memory, void *data,
		   struct ecbpf_trie_head *head, struct ecbpf_trie **ret_trie)
{
	struct ecbpf_trie *t = trie_handle_new(e, memory, data, head);
	int err;

	if (!t)
		return ecbpf_fail_memory(e);
	err = generation_open(t);
	if (err) {
		ecbpf_trie_close(t);
		return err;
	}
	*ret_trie = t;
	return 0;
}

int ecbpf_trie_open_memory(struct ecbpf *e, const struct ecbpf_trie_memory *memory, void *data,
			   struct ecbpf_trie_head *head, struct ecbpf_trie **ret_trie)
{
	struct ecbpf_trie *t;
	int err = trie_open_lost(e, memory, data, head, &t);

	if (!err && t->is_lost) {
		err = trie_fail(t, -ENODATA);
		ecbpf_trie_close(t);
	} else if (!err) {
		*ret_trie = t;
	}
	return err;
}

bool ecbpf_trie_is_lost(const struct ecbpf_trie *t)
{
	return t->is_lost;
}

void ecbpf_trie_close(struct ecbpf_trie *t)
{
	if (!t)
		return;
	t->memory->close(t->data);
	free(t);
}
