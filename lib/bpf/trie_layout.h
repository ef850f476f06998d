/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What writers know of a table of prefixes. The layout that programs see is in
 * <ecbpf/trie.h>; beside it a generation has a header and a hash table in its pool:
 *
 *	header	struct generation, at the beginning of its first chunk, where the IPv4 root is, too
 *	hash	of all leaves, by prefix: what is in the table. Open addressing; only writers use it
 *	nodes	before slot 0: two words with the key of the node's path, and `best`
 *
 * Where a prefix of length L stands:
 *
 *	in the node with depth < L <= depth + stride: in all slots that it covers; a longer one of
 *	the same node wins there. Where the slot has a child, in the child's `best` instead
 *	in the `best` of a node of depth >= L, if L > depth + stride of the parent
 *	in the slot, as the only one below it
 *
 * Nothing that a packet on its way may see changes its meaning: blocks that fell out of the trie
 * are used again only after a grace period.
 */
#ifndef ECBPF_LIB_TRIE_LAYOUT_H
#define ECBPF_LIB_TRIE_LAYOUT_H

#include <stdbool.h>
#include <string.h>
#include "bpf/trie.h"

#define CHUNK_BYTES (sizeof(struct ecbpf_trie_chunk))
#define NODE_BEFORE 4 /* words before slot 0: unused, path (high, low), best */
#define NODE_WORDS  (NODE_BEFORE + (1 << ECBPF_TRIE_STRIDE))
#define PENDING_MAX 32768
#define STRIDE	    ECBPF_TRIE_STRIDE

struct generation {
	__u64 count[2];	 /* prefixes, IPv4 and IPv6 */
	__u32 root[2];	 /* as in the head, but with the stride even if it is empty */
	__u32 hash;	 /* its place */
	__u32 hash_bits; /* log2 of its words */
	__u32 next;	 /* place of the next free word, up to... */
	__u32 end;
	__u32 free_nodes; /* first word: the next one's place */
	__u32 free_entries;
	__u32 pending_count;	    /* retired, not to be written to yet: */
	__u32 pending[PENDING_MAX]; /* place; of nodes that of slot 0 */
	__u32 chunks_count;
	__u32 chunks[ECBPF_TRIE_CHUNKS];
};

#define ROOT4_PLACE                                                                    \
	(((sizeof(struct generation) / 8 + NODE_BEFORE) / ECBPF_TRIE_ROOT_ALIGN + 1) * \
	 ECBPF_TRIE_ROOT_ALIGN)

struct ecbpf_trie {
	struct ecbpf *e;
	const struct ecbpf_trie_memory *memory;
	void *data;
	struct ecbpf_trie_head *head;
	struct generation *gen; /* live, or the one that is being built */
	bool is_building;
	int err; /* of an allocation */
	__u64 *chunks[ECBPF_TRIE_CHUNKS];
};

struct key {
	__u64 hi;
	__u64 lo;
	__u32 len;
};

/* --- words ------------------------------------------------------------------------------------ */

/* For word(): a chunk that is not mapped yet. Never NULL, see t->err */
__u64 *trie_word_map(struct ecbpf_trie *t, __u32 place);

static inline __u64 *word(struct ecbpf_trie *t, __u32 place)
{
	__u32 id = place >> ECBPF_TRIE_CHUNK_SHIFT;

	if (id >= ECBPF_TRIE_CHUNKS || !t->chunks[id])
		return trie_word_map(t, place);
	return &t->chunks[id][place & (ECBPF_TRIE_CHUNK_WORDS - 1)];
}

static inline __u64 load(struct ecbpf_trie *t, __u32 place)
{
	return *word(t, place);
}

/* What it points to was written before */
static inline void store(struct ecbpf_trie *t, __u32 place, __u64 value)
{
	__atomic_store_n(word(t, place), value, __ATOMIC_RELEASE);
}

/* --- keys ------------------------------------------------------------------------------------- */

static inline __u32 key_bits(const struct key *key, __u32 depth, __u32 stride)
{
	__u64 bits;

	if (depth < 64)
		bits = key->hi << depth | key->lo >> 1 >> (63 - depth);
	else
		bits = key->lo << (depth - 64);
	return bits >> (64 - stride);
}

/* Length of the prefix that two addresses have in common */
static inline __u32 key_common(const struct key *a, const struct key *b)
{
	if (a->hi != b->hi)
		return __builtin_clzll(a->hi ^ b->hi);
	return a->lo != b->lo ? 64 + __builtin_clzll(a->lo ^ b->lo) : 128;
}

static inline __u32 min_u32(__u32 a, __u32 b)
{
	return a < b ? a : b;
}

static inline struct key key_cut(const struct key *key, __u32 len)
{
	struct key cut = {.len = len};

	cut.hi = len >= 64 ? key->hi : len ? key->hi & ~0ULL << (64 - len) : 0;
	cut.lo = len >= 128 ? key->lo : len > 64 ? key->lo & ~0ULL << (128 - len) : 0;
	return cut;
}

static inline struct key op_key(const struct ecbpf_trie_op *op)
{
	return (struct key){.hi = op->hi, .lo = op->lo, .len = op->len};
}

/* Depth of the node that a prefix of length @len ends in */
static inline __u32 depth_of(__u32 len)
{
	return (len - 1) / STRIDE * STRIDE;
}

/* --- leaves ----------------------------------------------------------------------------------- */

static inline bool is_node(__u64 slot)
{
	return (slot & ECBPF_TRIE_KIND) == ECBPF_TRIE_NODE;
}

static inline __u32 leaf_len(__u64 leaf)
{
	if ((leaf & ECBPF_TRIE_KIND) == ECBPF_TRIE_LEAF4)
		return 63 - (leaf >> 26 & 63);
	return leaf >> 24 & 255;
}

static inline int leaf_family(__u64 leaf)
{
	return (leaf & ECBPF_TRIE_KIND) == ECBPF_TRIE_LEAF4 ? 4 : 6;
}

static inline struct key leaf_key(struct ecbpf_trie *t, __u64 leaf)
{
	struct key key = {.len = leaf_len(leaf)};

	if ((leaf & ECBPF_TRIE_KIND) == ECBPF_TRIE_LEAF4) {
		key.hi = leaf >> 32 << 32;
	} else {
		key.hi = load(t, leaf >> 32);
		key.lo = load(t, (leaf >> 32) + 1);
	}
	return key;
}

static inline __u32 leaf_value(struct ecbpf_trie *t, __u64 leaf)
{
	if ((leaf & ECBPF_TRIE_KIND) == ECBPF_TRIE_LEAF4)
		return leaf >> 2 & ECBPF_TRIE_VALUE_MAX;
	return load(t, (leaf >> 32) + 2);
}

/* --- nodes, as slots -------------------------------------------------------------------------- */

static inline __u64 node_slot(__u32 place, __u32 depth, __u32 stride)
{
	return (__u64)place << 32 | depth << 16 | stride << 8 | ECBPF_TRIE_NODE;
}

static inline __u32 node_place(__u64 node)
{
	return node >> 32;
}

static inline __u32 node_depth(__u64 node)
{
	return node >> 16 & 127;
}

static inline __u32 node_stride(__u64 node)
{
	return node >> 8 & 31;
}

static inline __u32 node_end(__u64 node)
{
	return node_depth(node) + node_stride(node);
}

static inline __u64 node_best(struct ecbpf_trie *t, __u64 node)
{
	return node & ECBPF_TRIE_COVER ? load(t, node_place(node) - 1) : 0;
}

static inline struct key node_path(struct ecbpf_trie *t, __u64 node)
{
	struct key path = {.hi = load(t, node_place(node) - 3),
			   .lo = load(t, node_place(node) - 2),
			   .len = node_depth(node)};

	return path;
}

/* Place of the slot of a node that a key goes through */
static inline __u32 slot_of(__u64 node, const struct key *key)
{
	return node_place(node) + key_bits(key, node_depth(node), node_stride(node));
}

/* Words of a node from slot 0 on: slots, and the map of them */
static inline __u32 stride_words(__u32 stride)
{
	return (1U << stride) + (stride < ECBPF_TRIE_WIDE ? 0 : 1U << (stride - 6));
}

/* Store into a slot that may be empty: first of all it is said that there is something in it */
static inline void slot_fill(struct ecbpf_trie *t, __u64 node, __u32 place, __u64 value)
{
	__u32 index = place - node_place(node), bits;

	if (node_stride(node) >= ECBPF_TRIE_WIDE) {
		bits = node_place(node) + (1U << node_stride(node)) + index / 64;
		store(t, bits, load(t, bits) | 1ULL << (index & 63));
	}
	store(t, place, value);
}

/* The slot of a node that points to @node, with `best`. Not for nodes that packets may be at */
static inline __u64 with_best(struct ecbpf_trie *t, __u64 node, __u64 leaf)
{
	*word(t, node_place(node) - 1) = leaf;
	return leaf ? node | ECBPF_TRIE_COVER : node & ~(__u64)ECBPF_TRIE_COVER;
}

static inline __u64 root_slot(__u32 root)
{
	__u64 slot = node_slot((root >> ECBPF_TRIE_ROOT_SHIFT) * ECBPF_TRIE_ROOT_ALIGN, 0,
			       root & ECBPF_TRIE_ROOT_STRIDE);

	return root & ECBPF_TRIE_ROOT_COVER ? slot | ECBPF_TRIE_COVER : slot;
}

static inline __u32 root_of(__u64 node)
{
	return node_place(node) / ECBPF_TRIE_ROOT_ALIGN << ECBPF_TRIE_ROOT_SHIFT |
	       node_stride(node) | (node & ECBPF_TRIE_COVER ? ECBPF_TRIE_ROOT_COVER : 0);
}

/* The roots of this generation, for the head */
static inline void roots_store(struct ecbpf_trie *t)
{
	__u64 roots = 0;

	for (int i = 0; i < 2; i++) {
		__u32 root = t->gen->root[i];

		if (!t->gen->count[i])
			root &= ~ECBPF_TRIE_ROOT_STRIDE;
		roots |= (__u64)root << (i * 32);
	}
	__atomic_store_n(&t->head->roots, roots, __ATOMIC_RELEASE);
}

/* --- trie.c ----------------------------------------------------------------------------------- */

/* Set the error text; returns @err */
int trie_fail(struct ecbpf_trie *t, int err);
/* A handle without a generation. NULL: @data was closed */
struct ecbpf_trie *trie_handle_new(struct ecbpf *e, const struct ecbpf_trie_memory *memory,
				   void *data, struct ecbpf_trie_head *head);

/* --- trie_alloc.c ----------------------------------------------------------------------------- */

void trie_chunks_drop(struct ecbpf_trie *t, const __u32 *ids, size_t count);
/* Chunks with numbers in a row; the first of a generation has its header. Return: the first's, or
 * -errno */
int trie_chunks_make(struct ecbpf_trie *t, __u32 count);
/* Room for a block at a place that is a multiple of @align. Return: 0, t->err */
__u32 trie_block_alloc(struct ecbpf_trie *t, __u32 words, __u32 align);
/* A node with empty slots at @depth of the path of @key. Return: 0, t->err */
__u64 trie_node_new(struct ecbpf_trie *t, __u32 depth, __u32 stride, const struct key *key);
__u64 trie_leaf_new(struct ecbpf_trie *t, const struct ecbpf_trie_op *op);
void trie_node_retire(struct ecbpf_trie *t, __u64 node);
void trie_leaf_retire(struct ecbpf_trie *t, __u64 leaf);
/* Retired blocks can be had again */
void trie_pending_free(struct ecbpf_trie *t);
/* Room for most changes, so that what is decided can be done at once */
int trie_room_make(struct ecbpf_trie *t);
void trie_generation_drop(struct ecbpf_trie *t, const struct generation *gen);

/* --- trie_hash.c ------------------------------------------------------------------------------ */

/* Place in the table of a prefix, or the empty one where it would stand */
__u32 trie_hash_find(struct ecbpf_trie *t, int family, const struct key *key);
void trie_hash_delete(struct ecbpf_trie *t, __u32 place);
/* The leaf of the longest prefix above @key that is longer than @above; 0 if there is none */
__u64 trie_hash_cover(struct ecbpf_trie *t, int family, const struct key *key, __u32 above);

/* --- trie_change.c ---------------------------------------------------------------------------- */

/* A prefix longer than the depth of a node that lies on its path */
void trie_add(struct ecbpf_trie *t, __u64 node, const struct key *key, __u64 leaf);
void trie_remove(struct ecbpf_trie *t, __u64 root, const struct key *key, __u64 leaf);

#endif /* ECBPF_LIB_TRIE_LAYOUT_H */
