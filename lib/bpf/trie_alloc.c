// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tables of prefixes: the memory of nodes and leaves.
 */
#include <errno.h>
#include "bpf/trie_layout.h"

#define ENTRY_WORDS 4
#define ROOM_WORDS  4096 /* free, before a change is decided */

/* Where words are that cannot be had: t->err is set, and nobody uses what is read */
__u64 *trie_word_map(struct ecbpf_trie *t, __u32 place)
{
	static __u64 nowhere[1 << STRIDE];
	__u32 id = place >> ECBPF_TRIE_CHUNK_SHIFT;

	if (id >= ECBPF_TRIE_CHUNKS) {
		t->err = -EINVAL;
		return nowhere;
	}
	t->chunks[id] = t->memory->get(t->data, id);
	if (!t->chunks[id]) {
		t->err = -errno;
		return nowhere;
	}
	return &t->chunks[id][place & (ECBPF_TRIE_CHUNK_WORDS - 1)];
}

void trie_chunks_drop(struct ecbpf_trie *t, const __u32 *ids, size_t count)
{
	t->memory->drop(t->data, ids, count);
	for (size_t i = 0; i < count; i++)
		t->chunks[ids[i]] = NULL;
}

/* Chunks with numbers in a row; the first of a generation has its header. Return: the first's, or
 * -errno */
int trie_chunks_make(struct ecbpf_trie *t, __u32 count)
{
	__u32 ids[ECBPF_TRIE_CHUNKS] = {}, first, run = 0, made;
	struct generation *gen = t->gen;
	__u64 *words;
	int err = 0;

	/* not number 0: its first place would be none */
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
	if (err || !gen) { /* and no count is 0 */
		trie_chunks_drop(t, ids, made);
		return err ? err : -EINVAL;
	}
	t->gen = gen;
	for (__u32 i = 0; i < count; i++)
		gen->chunks[gen->chunks_count++] = first + i;
	return first;
}

/* Room for a block at a place that is a multiple of @align. Return: 0, t->err */
__u32 trie_block_alloc(struct ecbpf_trie *t, __u32 words, __u32 align)
{
	struct generation *gen = t->gen;
	__u32 place = (gen->next + align - 1) / align * align, end = gen->end, chunks;
	int first;

	if (place + words > end) {
		chunks = (words + ECBPF_TRIE_CHUNK_WORDS - 1) >> ECBPF_TRIE_CHUNK_SHIFT;
		first = trie_chunks_make(t, chunks);
		if (first < 0) {
			t->err = first;
			return 0;
		}
		place = (__u32)first << ECBPF_TRIE_CHUNK_SHIFT;
		end = place + chunks * ECBPF_TRIE_CHUNK_WORDS;
		if (end - (place + words) < gen->end - gen->next)
			return place; /* what was left is more than what is left of this */
		gen->end = end;
	}
	gen->next = place + words;
	return place;
}

/* A node with empty slots at @depth of the path of @key. Return: 0, t->err */
__u64 trie_node_new(struct ecbpf_trie *t, __u32 depth, __u32 stride, const struct key *key)
{
	__u32 before = depth ? NODE_BEFORE : ECBPF_TRIE_ROOT_ALIGN, place;
	struct generation *gen = t->gen;
	struct key path = key_cut(key, depth);

	if (stride == STRIDE && depth && gen->free_nodes) {
		place = gen->free_nodes;
		gen->free_nodes = load(t, place);
		for (__u32 i = 0; i < 1U << STRIDE; i++)
			*word(t, place + i) = 0;
	} else {
		place = trie_block_alloc(t, before + stride_words(stride),
					 depth ? NODE_WORDS : ECBPF_TRIE_ROOT_ALIGN);
		if (!place)
			return 0;
		place += before;
	}
	*word(t, place - 3) = path.hi;
	*word(t, place - 2) = path.lo;
	*word(t, place - 1) = 0;
	return node_slot(place, depth, stride);
}

__u64 trie_leaf_new(struct ecbpf_trie *t, const struct ecbpf_trie_op *op)
{
	struct generation *gen = t->gen;
	__u32 place;

	if (op->family == 4)
		return op->hi | (__u64)(63 - op->len) << 26 | (__u64)op->value << 2 |
		       ECBPF_TRIE_LEAF4;
	place = gen->free_entries;
	if (place) {
		gen->free_entries = load(t, place);
	} else {
		place = trie_block_alloc(t, ENTRY_WORDS, ENTRY_WORDS);
		if (!place)
			return 0;
	}
	*word(t, place) = op->hi;
	*word(t, place + 1) = op->lo;
	*word(t, place + 2) = op->value;
	return (__u64)place << 32 | (__u64)op->len << 24 | ECBPF_TRIE_LEAF6;
}

/* Retired blocks can be had again */
void trie_pending_free(struct ecbpf_trie *t)
{
	struct generation *gen = t->gen;

	t->memory->wait(t->data);
	for (__u32 i = 0; i < gen->pending_count; i++) {
		__u32 place = gen->pending[i] >> 1 << 1;
		__u32 *list = gen->pending[i] & 1 ? &gen->free_nodes : &gen->free_entries;

		*word(t, place) = *list;
		*list = place;
	}
	gen->pending_count = 0;
}

/* Places are multiples of 4, so that the lowest bit can tell what it is */
static void retire(struct ecbpf_trie *t, __u32 place, bool is_a_node)
{
	struct generation *gen = t->gen;

	/* what is too much until the next wait is lost until the next generation */
	if (gen->pending_count < PENDING_MAX)
		gen->pending[gen->pending_count++] = place | is_a_node;
}

void trie_node_retire(struct ecbpf_trie *t, __u64 node)
{
	if (node_stride(node) == STRIDE) /* wide ones come with a generation, and go with it */
		retire(t, node_place(node), true);
}

void trie_leaf_retire(struct ecbpf_trie *t, __u64 leaf)
{
	if ((leaf & ECBPF_TRIE_KIND) == ECBPF_TRIE_LEAF6)
		retire(t, leaf >> 32, false);
}

/* Room for most changes, so that what is decided can be done at once */
int trie_room_make(struct ecbpf_trie *t)
{
	if (t->gen->end - t->gen->next < ROOM_WORDS) {
		int first = trie_chunks_make(t, 1);

		if (first < 0)
			return first;
		t->gen->next = (__u32)first << ECBPF_TRIE_CHUNK_SHIFT;
		t->gen->end = t->gen->next + ECBPF_TRIE_CHUNK_WORDS;
	}
	return 0;
}

void trie_generation_drop(struct ecbpf_trie *t, const struct generation *gen)
{
	__u32 ids[ECBPF_TRIE_CHUNKS], count = gen->chunks_count;

	memcpy(ids, gen->chunks, count * sizeof(*ids));
	trie_chunks_drop(t, ids, count);
}
