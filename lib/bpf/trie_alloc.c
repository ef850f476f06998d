// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tables of prefixes: the memory of nodes and leaves.
 */
#include <errno.h>
#include "bpf/trie_layout.h"
#include "core/handle.h"

#define ENTRY_WORDS 4
#define ROOM_WORDS  4096 /* free before a change starts */

int trie_fail(struct ecbpf_trie *t, int err)
{
	if (err == -ENOSPC)
		return ecbpf_fail(t->e, err, "too many prefixes: the pool of %zu MiB is full",
				  ECBPF_TRIE_CHUNKS * CHUNK_BYTES >> 20);
	if (err == -ENODATA)
		return ecbpf_fail(t->e, err,
				  "parts of a table of prefixes were removed from "
				  "ecbpf's maps");
	return ecbpf_fail(t->e, err, "table of prefixes: %s", strerror(-err));
}

/* On an error, return a dummy word: t->err is set, and callers discard what they read */
__u64 *trie_word_map(struct ecbpf_trie *t, __u32 index)
{
	static __u64 nowhere[1 << STRIDE];
	__u32 id = index >> ECBPF_TRIE_CHUNK_SHIFT;

	if (id >= ECBPF_TRIE_CHUNKS) {
		t->err = -EINVAL;
		return nowhere;
	}
	t->chunks[id] = t->memory->get(t->data, id);
	if (!t->chunks[id]) {
		t->err = -errno;
		return nowhere;
	}
	return &t->chunks[id][index & (ECBPF_TRIE_CHUNK_WORDS - 1)];
}

void trie_chunks_drop(struct ecbpf_trie *t, const __u32 *ids, size_t count)
{
	t->memory->drop(t->data, ids, count);
	for (size_t i = 0; i < count; i++)
		t->chunks[ids[i]] = NULL;
}

/* The first chunk of a generation has its header */
static int chunks_make(struct ecbpf_trie *t, __u32 count)
{
	__u32 ids[ECBPF_TRIE_CHUNKS] = {}, first, run = 0, made;
	struct generation *gen = t->gen;
	__u64 *words;
	int err = 0;

	/* not chunk 0: word index 0 means none */
	for (first = 1; run < count && first + run < ECBPF_TRIE_CHUNKS;) {
		if (!t->chunks[first + run] && !t->memory->is_used(t->data, first + run)) {
			run++;
		} else {
			first += run + 1;
			run = 0;
		}
	}
	if (run < count)
		return -ENOSPC;
	for (made = 0; made < count && !err; made++) {
		words = t->memory->make(t->data, first + made);
		if (!words) {
			err = -errno;
			break;
		}
		ids[made] = first + made;
		t->chunks[first + made] = words;
		if (!gen)
			gen = (struct generation *)words;
	}
	if (!err && !t->is_building)
		err = t->memory->publish(t->data, ids, count);
	if (err || !gen) { /* count is never 0 */
		trie_chunks_drop(t, ids, made);
		return err ? err : -EINVAL;
	}
	t->gen = gen;
	for (__u32 i = 0; i < count; i++)
		gen->chunks[gen->chunks_count++] = first + i;
	return first;
}

int trie_words_make(struct ecbpf_trie *t, __u32 words, __u32 *ret_index, __u32 *ret_end)
{
	__u32 count = (words + ECBPF_TRIE_CHUNK_WORDS - 1) >> ECBPF_TRIE_CHUNK_SHIFT;
	int first = chunks_make(t, count);

	if (first < 0)
		return first;
	*ret_index = (__u32)first << ECBPF_TRIE_CHUNK_SHIFT;
	*ret_end = *ret_index + count * ECBPF_TRIE_CHUNK_WORDS;
	return 0;
}

__u32 trie_block_alloc(struct ecbpf_trie *t, __u32 words, __u32 align)
{
	struct generation *gen = t->gen;
	__u32 index = (gen->next + align - 1) / align * align, end = gen->end;
	int err;

	if (index + words > end) {
		err = trie_words_make(t, words, &index, &end);
		if (err) {
			t->err = err;
			return 0;
		}
		if (end - (index + words) < gen->end - gen->next)
			return index; /* keep the old rest, which is larger than the new one */
		gen->end = end;
	}
	gen->next = index + words;
	return index;
}

__u64 trie_node_new(struct ecbpf_trie *t, __u32 depth, __u32 stride, const struct key *key)
{
	__u32 before = depth ? NODE_BEFORE : ECBPF_TRIE_ROOT_ALIGN, index;
	struct generation *gen = t->gen;
	struct key path = key_cut(key, depth);

	if (stride == STRIDE && depth && gen->free_nodes) {
		index = gen->free_nodes;
		gen->free_nodes = load(t, index);
		for (__u32 i = 0; i < 1U << STRIDE; i++)
			*word(t, index + i) = 0;
	} else {
		index = trie_block_alloc(t, before + stride_words(stride),
					 depth ? NODE_WORDS : ECBPF_TRIE_ROOT_ALIGN);
		if (!index)
			return 0;
		index += before;
	}
	*word(t, index - 3) = path.hi;
	*word(t, index - 2) = path.lo;
	*word(t, index - 1) = 0;
	return node_slot(index, depth, stride);
}

__u64 trie_leaf_new(struct ecbpf_trie *t, const struct ecbpf_trie_op *op)
{
	struct generation *gen = t->gen;
	__u32 index;

	if (op->family == 4)
		return op->hi | (__u64)(63 - op->len) << 26 | (__u64)op->value << 2 |
		       ECBPF_TRIE_LEAF4;
	index = gen->free_entries;
	if (index) {
		gen->free_entries = load(t, index);
	} else {
		index = trie_block_alloc(t, ENTRY_WORDS, ENTRY_WORDS);
		if (!index)
			return 0;
	}
	*word(t, index) = op->hi;
	*word(t, index + 1) = op->lo;
	*word(t, index + 2) = op->value;
	return (__u64)index << 32 | (__u64)op->len << 24 | ECBPF_TRIE_LEAF6;
}

void trie_pending_free(struct ecbpf_trie *t)
{
	struct generation *gen = t->gen;

	t->memory->wait(t->data);
	for (__u32 i = 0; i < gen->pending_count; i++) {
		__u32 index = gen->pending[i] >> 1 << 1;
		__u32 *list = gen->pending[i] & 1 ? &gen->free_nodes : &gen->free_entries;

		*word(t, index) = *list;
		*list = index;
	}
	gen->pending_count = 0;
}

/* Word indices of blocks are multiples of 4: the lowest bit says whether it is a node */
static void retire(struct ecbpf_trie *t, __u32 index, bool is_a_node)
{
	struct generation *gen = t->gen;

	/* blocks beyond PENDING_MAX stay unused until the next generation */
	if (gen->pending_count < PENDING_MAX)
		gen->pending[gen->pending_count++] = index | is_a_node;
}

void trie_node_retire(struct ecbpf_trie *t, __u64 node)
{
	if (node_stride(node) == STRIDE) /* wide nodes are freed with their generation */
		retire(t, node_index(node), true);
}

void trie_leaf_retire(struct ecbpf_trie *t, __u64 leaf)
{
	if ((leaf & ECBPF_TRIE_KIND) == ECBPF_TRIE_LEAF6)
		retire(t, leaf >> 32, false);
}

int trie_room_make(struct ecbpf_trie *t)
{
	if (t->gen->end - t->gen->next >= ROOM_WORDS)
		return 0;
	return trie_words_make(t, ROOM_WORDS, &t->gen->next, &t->gen->end);
}

void trie_generation_drop(struct ecbpf_trie *t, const struct generation *gen)
{
	__u32 ids[ECBPF_TRIE_CHUNKS], count = gen->chunks_count;

	memcpy(ids, gen->chunks, count * sizeof(*ids));
	trie_chunks_drop(t, ids, count);
}

void trie_orphans_drop(struct ecbpf_trie *t)
{
	__u32 orphans[ECBPF_TRIE_CHUNKS], count = 0;
	const struct generation *gen = t->gen;

	t->memory->wait(t->data);
	for (__u32 id = 0; id < ECBPF_TRIE_CHUNKS; id++) {
		bool is_known = false;

		for (__u32 i = 0; i < gen->chunks_count && !is_known; i++)
			is_known = gen->chunks[i] == id;
		if (!is_known && t->memory->is_used(t->data, id) &&
		    t->memory->is_own(t->data, id) > 0)
			orphans[count++] = id;
	}
	trie_chunks_drop(t, orphans, count);
	__atomic_store_n(&t->head->dirty, 0, __ATOMIC_RELEASE);
}
