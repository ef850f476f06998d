/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Layout of a generation of a table, for its writers. Programs see the part in <ecbpf/trie.h>.
 * Besides, a generation has in its pool:
 *
 *	header	struct generation, at the start of the first chunk, which also holds the IPv4 root
 *	hash	all leaves, by prefix, with open addressing; only writers use it
 *	nodes	before slot 0: two words with the key of the path, and the covering prefix
 *
 * A prefix of length L is stored
 *
 *	in the node with depth < L <= depth + stride, in all slots that it covers, unless a longer
 *	prefix of the same node has the slot; in a slot with a child, as covering prefix of the
 *	child
 *	or as covering prefix of a node of depth >= L, if L > depth + stride of its parent
 *	or in a slot, as the only prefix below it
 *
 * A running program may read any block: blocks that left the trie are reused only after all program
 * runs have ended that may have seen them.
 */
#ifndef ECBPF_LIB_TRIE_LAYOUT_H
#define ECBPF_LIB_TRIE_LAYOUT_H

#include <stdbool.h>
#include <string.h>
#include "bpf/trie.h"

#define CHUNK_BYTES (sizeof(struct ecbpf_trie_chunk))
#define NODE_BEFORE 4 /* words before slot 0: unused, path (high, low), covering prefix */
#define NODE_WORDS  (NODE_BEFORE + (1 << ECBPF_TRIE_STRIDE))
#define PENDING_MAX 32768
#define STRIDE	    ECBPF_TRIE_STRIDE

struct generation {
	__u64 count[2];	 /* prefixes, IPv4 and IPv6 */
	__u32 root[2];	 /* as in the head, but with the stride even if it is empty */
	__u32 hash;	 /* word index of the hash table */
	__u32 hash_bits; /* log2 of its words */
	__u32 next;	 /* word index of the free words, up to @end */
	__u32 end;
	__u32 free_nodes; /* word index; the first word of a free block has that of the next */
	__u32 free_entries;
	__u32 pending_count;	    /* retired blocks, which a program may still read */
	__u32 pending[PENDING_MAX]; /* word indices; of nodes that of slot 0 */
	__u32 chunks_count;
	__u32 chunks[ECBPF_TRIE_CHUNKS];
};

#define ROOT4_INDEX                                                                    \
	(((sizeof(struct generation) / 8 + NODE_BEFORE) / ECBPF_TRIE_ROOT_ALIGN + 1) * \
	 ECBPF_TRIE_ROOT_ALIGN)

struct ecbpf_trie {
	struct ecbpf *e;
	const struct ecbpf_trie_memory *memory;
	void *data;
	struct ecbpf_trie_head *head;
	struct generation *gen; /* live, or being built */
	bool is_building;
	bool is_lost; /* somebody else removed parts of it: no generation until one is built */
	int err;      /* of an allocation */
	__u64 *chunks[ECBPF_TRIE_CHUNKS];
};

struct key {
	__u64 hi;
	__u64 lo;
	__u32 len;
};

/* --- words ------------------------------------------------------------------------------------ */

/* word() for a chunk that is not mapped yet. Never NULL; errors are in t->err */
__u64 *trie_word_map(struct ecbpf_trie *t, __u32 index);

static inline __u64 *word(struct ecbpf_trie *t, __u32 index)
{
	__u32 id = index >> ECBPF_TRIE_CHUNK_SHIFT;

	if (id >= ECBPF_TRIE_CHUNKS || !t->chunks[id])
		return trie_word_map(t, index);
	return &t->chunks[id][index & (ECBPF_TRIE_CHUNK_WORDS - 1)];
}

static inline __u64 load(struct ecbpf_trie *t, __u32 index)
{
	return *word(t, index);
}

/* After all stores to the words that @value refers to */
static inline void store(struct ecbpf_trie *t, __u32 index, __u64 value)
{
	__atomic_store_n(word(t, index), value, __ATOMIC_RELEASE);
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

/* Depth of the node in which a prefix of length @len ends */
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

static inline __u64 node_slot(__u32 index, __u32 depth, __u32 stride)
{
	return (__u64)index << 32 | depth << 16 | stride << 8 | ECBPF_TRIE_NODE;
}

static inline __u32 node_index(__u64 node)
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

static inline __u64 node_cover(struct ecbpf_trie *t, __u64 node)
{
	return node & ECBPF_TRIE_COVER ? load(t, node_index(node) - 1) : 0;
}

static inline struct key node_path(struct ecbpf_trie *t, __u64 node)
{
	struct key path = {.hi = load(t, node_index(node) - 3),
			   .lo = load(t, node_index(node) - 2),
			   .len = node_depth(node)};

	return path;
}

/* Word index of the slot of a node for a key */
static inline __u32 slot_of(__u64 node, const struct key *key)
{
	return node_index(node) + key_bits(key, node_depth(node), node_stride(node));
}

/* Words of a node from slot 0 on: slots and their bitmap */
static inline __u32 stride_words(__u32 stride)
{
	return (1U << stride) + (stride < ECBPF_TRIE_WIDE ? 0 : 1U << (stride - 6));
}

/* Store into a slot that may be empty. The bitmap first: a program reads it before the slot */
static inline void slot_fill(struct ecbpf_trie *t, __u64 node, __u32 index, __u64 value)
{
	__u32 slot = index - node_index(node), bits;

	if (node_stride(node) >= ECBPF_TRIE_WIDE) {
		bits = node_index(node) + (1U << node_stride(node)) + slot / 64;
		store(t, bits, load(t, bits) | 1ULL << (slot & 63));
	}
	store(t, index, value);
}

/* Set the covering prefix of a node that no program can read yet. Return: its slot value */
static inline __u64 with_cover(struct ecbpf_trie *t, __u64 node, __u64 leaf)
{
	*word(t, node_index(node) - 1) = leaf;
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
	return node_index(node) / ECBPF_TRIE_ROOT_ALIGN << ECBPF_TRIE_ROOT_SHIFT |
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

/* A handle without a generation. NULL: @data was closed */
struct ecbpf_trie *trie_handle_new(struct ecbpf *e, const struct ecbpf_trie_memory *memory,
				   void *data, struct ecbpf_trie_head *head);
/* Have parts of the live generation been removed? Return: 1, 0 or -errno */
int trie_generation_check(struct ecbpf_trie *t);

/* As ecbpf_trie_open_memory(); one that is lost has no generation */
int trie_open_lost(struct ecbpf *e, const struct ecbpf_trie_memory *memory, void *data,
		   struct ecbpf_trie_head *head, struct ecbpf_trie **ret_trie);

/* --- trie_alloc.c ----------------------------------------------------------------------------- */

/* Set the error text; returns @err */
int trie_fail(struct ecbpf_trie *t, int err);
void trie_chunks_drop(struct ecbpf_trie *t, const __u32 *ids, size_t count);
/* Words in new chunks. Return: 0 and the index of the first one and behind the last; -errno */
int trie_words_make(struct ecbpf_trie *t, __u32 words, __u32 *ret_index, __u32 *ret_end);
/* A block at a word index that is a multiple of @align. Return: 0, t->err */
__u32 trie_block_alloc(struct ecbpf_trie *t, __u32 words, __u32 align);
/* A node with empty slots, at @depth of the path of @key. Return: 0, t->err */
__u64 trie_node_new(struct ecbpf_trie *t, __u32 depth, __u32 stride, const struct key *key);
__u64 trie_leaf_new(struct ecbpf_trie *t, const struct ecbpf_trie_op *op);
void trie_node_retire(struct ecbpf_trie *t, __u64 node);
void trie_leaf_retire(struct ecbpf_trie *t, __u64 leaf);
/* Make retired blocks free, once no program can read them */
void trie_pending_free(struct ecbpf_trie *t);
/* Make sure that there is room for most changes, so that a change cannot fail half way */
int trie_room_make(struct ecbpf_trie *t);
void trie_generation_drop(struct ecbpf_trie *t, const struct generation *gen);
/* Free chunks of the table that are not of its live generation */
void trie_orphans_drop(struct ecbpf_trie *t);

/* --- trie_hash.c ------------------------------------------------------------------------------ */

/* Word index of a prefix in the hash table, or of the empty word where it belongs */
__u32 trie_hash_find(struct ecbpf_trie *t, int family, const struct key *key);
#define TRIE_NEAR 8 /* of prefixes that are looked for: how many before it is @near, and @far */
#define TRIE_FAR  16
void trie_hash_expect(struct ecbpf_trie *t, const struct ecbpf_trie_op *far,
		      const struct ecbpf_trie_op *near);
void trie_hash_delete(struct ecbpf_trie *t, __u32 index);
/* The leaf of the longest covering prefix of @key that is longer than @above; 0 if none */
__u64 trie_hash_cover(struct ecbpf_trie *t, int family, const struct key *key, __u32 above);

/* --- trie_change.c ---------------------------------------------------------------------------- */

/* Add a prefix below a node on its path; it is longer than the depth of the node */
void trie_add(struct ecbpf_trie *t, __u64 node, const struct key *key, __u64 leaf);
void trie_remove(struct ecbpf_trie *t, __u64 root, const struct key *key, __u64 leaf);

#endif /* ECBPF_LIB_TRIE_LAYOUT_H */
