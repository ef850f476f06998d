// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tables of prefixes: adding, deleting, building. The layout that programs see is in
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
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "core/internal.h"
#include "bpf/trie.h"

#define CHUNK_BYTES    (sizeof(struct ecbpf_trie_chunk))
#define NODE_BEFORE    4 /* words before slot 0: unused, path (high, low), best */
#define NODE_WORDS     (NODE_BEFORE + (1 << ECBPF_TRIE_STRIDE))
#define ENTRY_WORDS    4
#define HASH_BITS_MIN  10
#define PENDING_MAX    32768
#define PENDING_ENOUGH 1024 /* to wait for packets */
#define ROOM_WORDS     4096 /* free, before a change is decided */
#define STRIDE	       ECBPF_TRIE_STRIDE
#define FILL_SHIFT     1     /* of a node wider than STRIDE, half of the slots are used at least */
#define FILL_SHIFT_TOP 4     /* a sixteenth of a root, and of what most of the table is below */
#define TOP_MIN	       65536 /* prefixes */

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

static __u64 *word(struct ecbpf_trie *t, __u32 place)
{
	static __u64 nowhere[1 << STRIDE];
	__u32 id = place >> ECBPF_TRIE_CHUNK_SHIFT;

	if (id >= ECBPF_TRIE_CHUNKS) {
		t->err = -EINVAL;
		return nowhere;
	}
	if (!t->chunks[id]) {
		t->chunks[id] = t->memory->get(t->data, id);
		if (!t->chunks[id]) {
			t->err = -errno;
			return nowhere;
		}
	}
	return &t->chunks[id][place & (ECBPF_TRIE_CHUNK_WORDS - 1)];
}

static __u64 load(struct ecbpf_trie *t, __u32 place)
{
	return *word(t, place);
}

/* What it points to was written before */
static void store(struct ecbpf_trie *t, __u32 place, __u64 value)
{
	__atomic_store_n(word(t, place), value, __ATOMIC_RELEASE);
}

/* --- keys ------------------------------------------------------------------------------------- */

static __u32 key_bits(const struct key *key, __u32 depth, __u32 stride)
{
	__u64 bits;

	if (depth < 64)
		bits = key->hi << depth | key->lo >> 1 >> (63 - depth);
	else
		bits = key->lo << (depth - 64);
	return bits >> (64 - stride);
}

/* Length of the prefix that two addresses have in common */
static __u32 key_common(const struct key *a, const struct key *b)
{
	if (a->hi != b->hi)
		return __builtin_clzll(a->hi ^ b->hi);
	return a->lo != b->lo ? 64 + __builtin_clzll(a->lo ^ b->lo) : 128;
}

static __u32 min_u32(__u32 a, __u32 b)
{
	return a < b ? a : b;
}

static struct key key_cut(const struct key *key, __u32 len)
{
	struct key cut = {.len = len};

	cut.hi = len >= 64 ? key->hi : len ? key->hi & ~0ULL << (64 - len) : 0;
	cut.lo = len >= 128 ? key->lo : len > 64 ? key->lo & ~0ULL << (128 - len) : 0;
	return cut;
}

/* Depth of the node that a prefix of length @len ends in */
static __u32 depth_of(__u32 len)
{
	return (len - 1) / STRIDE * STRIDE;
}

/* --- leaves ----------------------------------------------------------------------------------- */

static bool is_node(__u64 slot)
{
	return (slot & ECBPF_TRIE_KIND) == ECBPF_TRIE_NODE;
}

static __u32 leaf_len(__u64 leaf)
{
	if ((leaf & ECBPF_TRIE_KIND) == ECBPF_TRIE_LEAF4)
		return 63 - (leaf >> 26 & 63);
	return leaf >> 24 & 255;
}

static struct key leaf_key(struct ecbpf_trie *t, __u64 leaf)
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

static __u32 leaf_value(struct ecbpf_trie *t, __u64 leaf)
{
	if ((leaf & ECBPF_TRIE_KIND) == ECBPF_TRIE_LEAF4)
		return leaf >> 2 & ECBPF_TRIE_VALUE_MAX;
	return load(t, (leaf >> 32) + 2);
}

/* --- nodes, as slots -------------------------------------------------------------------------- */

static __u64 node_slot(__u32 place, __u32 depth, __u32 stride)
{
	return (__u64)place << 32 | depth << 16 | stride << 8 | ECBPF_TRIE_NODE;
}

static __u32 node_place(__u64 node)
{
	return node >> 32;
}

static __u32 node_depth(__u64 node)
{
	return node >> 16 & 127;
}

static __u32 node_stride(__u64 node)
{
	return node >> 8 & 31;
}

static __u32 node_end(__u64 node)
{
	return node_depth(node) + node_stride(node);
}

static __u64 node_best(struct ecbpf_trie *t, __u64 node)
{
	return node & ECBPF_TRIE_BEST ? load(t, node_place(node) - 1) : 0;
}

static struct key node_path(struct ecbpf_trie *t, __u64 node)
{
	struct key path = {.hi = load(t, node_place(node) - 3),
			   .lo = load(t, node_place(node) - 2),
			   .len = node_depth(node)};

	return path;
}

/* Place of the slot of a node that a key goes through */
static __u32 slot_of(__u64 node, const struct key *key)
{
	return node_place(node) + key_bits(key, node_depth(node), node_stride(node));
}

/* Words of a node from slot 0 on: slots, and the map of them */
static __u32 stride_words(__u32 stride)
{
	return (1U << stride) + (stride < ECBPF_TRIE_WIDE ? 0 : 1U << (stride - 6));
}

/* Store into a slot that may be empty: first of all it is said that there is something in it */
static void slot_fill(struct ecbpf_trie *t, __u64 node, __u32 place, __u64 value)
{
	__u32 index = place - node_place(node), bits;

	if (node_stride(node) >= ECBPF_TRIE_WIDE) {
		bits = node_place(node) + (1U << node_stride(node)) + index / 64;
		store(t, bits, load(t, bits) | 1ULL << (index & 63));
	}
	store(t, place, value);
}

static __u64 root_slot(__u32 root)
{
	__u64 slot = node_slot((root >> ECBPF_TRIE_ROOT_SHIFT) * ECBPF_TRIE_ROOT_ALIGN, 0,
			       root & ECBPF_TRIE_ROOT_STRIDE);

	return root & ECBPF_TRIE_ROOT_BEST ? slot | ECBPF_TRIE_BEST : slot;
}

static __u32 root_of(__u64 node)
{
	return node_place(node) / ECBPF_TRIE_ROOT_ALIGN << ECBPF_TRIE_ROOT_SHIFT |
	       node_stride(node) | (node & ECBPF_TRIE_BEST ? ECBPF_TRIE_ROOT_BEST : 0);
}

/* The roots of this generation, for the head */
static void roots_store(struct ecbpf_trie *t)
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

/* --- memory ----------------------------------------------------------------------------------- */

static void chunks_drop(struct ecbpf_trie *t, const __u32 *ids, size_t count)
{
	t->memory->drop(t->data, ids, count);
	for (size_t i = 0; i < count; i++)
		t->chunks[ids[i]] = NULL;
}

/* Chunks with numbers in a row; the first of a generation has its header. Return: the first's, or
 * -errno */
static int chunks_make(struct ecbpf_trie *t, __u32 count)
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
		chunks_drop(t, ids, made);
		return err ? err : -EINVAL;
	}
	t->gen = gen;
	for (__u32 i = 0; i < count; i++)
		gen->chunks[gen->chunks_count++] = first + i;
	return first;
}

/* Room for a block at a place that is a multiple of @align. Return: 0, t->err */
static __u32 block_alloc(struct ecbpf_trie *t, __u32 words, __u32 align)
{
	struct generation *gen = t->gen;
	__u32 place = (gen->next + align - 1) / align * align, end = gen->end, chunks;
	int first;

	if (place + words > end) {
		chunks = (words + ECBPF_TRIE_CHUNK_WORDS - 1) >> ECBPF_TRIE_CHUNK_SHIFT;
		first = chunks_make(t, chunks);
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
static __u64 node_new(struct ecbpf_trie *t, __u32 depth, __u32 stride, const struct key *key)
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
		place = block_alloc(t, before + stride_words(stride),
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

static __u64 leaf_new(struct ecbpf_trie *t, const struct ecbpf_trie_op *op)
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
		place = block_alloc(t, ENTRY_WORDS, ENTRY_WORDS);
		if (!place)
			return 0;
	}
	*word(t, place) = op->hi;
	*word(t, place + 1) = op->lo;
	*word(t, place + 2) = op->value;
	return (__u64)place << 32 | (__u64)op->len << 24 | ECBPF_TRIE_LEAF6;
}

/* Retired blocks can be had again */
static void pending_free(struct ecbpf_trie *t)
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

static void node_retire(struct ecbpf_trie *t, __u64 node)
{
	if (node_stride(node) == STRIDE) /* wide ones come with a generation, and go with it */
		retire(t, node_place(node), true);
}

static void leaf_retire(struct ecbpf_trie *t, __u64 leaf)
{
	if ((leaf & ECBPF_TRIE_KIND) == ECBPF_TRIE_LEAF6)
		retire(t, leaf >> 32, false);
}

/* --- the hash table --------------------------------------------------------------------------- */

static __u32 hash_of(const struct ecbpf_trie *t, int family, const struct key *key)
{
	__u64 h = key->hi * 0x9e3779b97f4a7c15ULL;

	h = (h ^ h >> 32 ^ key->lo) * 0xc2b2ae3d27d4eb4fULL;
	h = (h ^ h >> 29 ^ (key->len << 8 | family)) * 0x9e3779b97f4a7c15ULL;
	return h >> (64 - t->gen->hash_bits);
}

static int leaf_family(__u64 leaf)
{
	return (leaf & ECBPF_TRIE_KIND) == ECBPF_TRIE_LEAF4 ? 4 : 6;
}

/* Place in the table of a prefix, or the empty one where it would stand */
static __u32 hash_find(struct ecbpf_trie *t, int family, const struct key *key)
{
	__u32 mask = (1U << t->gen->hash_bits) - 1, i = hash_of(t, family, key);

	for (; !t->err; i = (i + 1) & mask) {
		__u64 leaf = load(t, t->gen->hash + i);
		struct key other;

		if (!leaf)
			break;
		if (leaf_len(leaf) != key->len || leaf_family(leaf) != family)
			continue;
		other = leaf_key(t, leaf);
		if (other.hi == key->hi && other.lo == key->lo)
			break;
	}
	return t->gen->hash + i;
}

/*
 * Close the gap: what would be found no more moves into it. It is copied before its old place is
 * emptied, so that a writer that is killed leaves it twice, not lost.
 */
static void hash_delete(struct ecbpf_trie *t, __u32 place)
{
	__u32 mask = (1U << t->gen->hash_bits) - 1, base = t->gen->hash, gap = place - base;

	for (__u32 i = (gap + 1) & mask; !t->err; i = (i + 1) & mask) {
		__u64 leaf = load(t, base + i);
		struct key key;
		__u32 home;

		if (!leaf)
			break;
		key = leaf_key(t, leaf);
		home = hash_of(t, leaf_family(leaf), &key);
		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		store(t, base + gap, leaf);
		gap = i;
	}
	store(t, base + gap, 0);
}

/* The leaf of the longest prefix above @key that is longer than @above; 0 if there is none */
static __u64 hash_cover(struct ecbpf_trie *t, int family, const struct key *key, __u32 above)
{
	for (__u32 len = key->len - 1; len > above; len--) {
		struct key cut = key_cut(key, len);
		__u64 leaf = load(t, hash_find(t, family, &cut));

		if (leaf)
			return leaf;
	}
	return 0;
}

/* --- adding ----------------------------------------------------------------------------------- */

static void add_below(struct ecbpf_trie *t, __u64 node, const struct key *key, __u64 leaf);

/* The slot of a node that points to @node, with `best`. Not for nodes that packets may be at */
static __u64 with_best(struct ecbpf_trie *t, __u64 node, __u64 leaf)
{
	*word(t, node_place(node) - 1) = leaf;
	return leaf ? node | ECBPF_TRIE_BEST : node & ~(__u64)ECBPF_TRIE_BEST;
}

/* Give a node that packets may be at, and that had no `best`, one: before it is said to be there */
static void best_store(struct ecbpf_trie *t, __u32 place, __u64 leaf)
{
	__u64 node = load(t, place);

	store(t, node_place(node) - 1, leaf);
	if (!leaf)
		store(t, place, node & ~(__u64)ECBPF_TRIE_BEST);
	else if (!(node & ECBPF_TRIE_BEST))
		store(t, place, node | ECBPF_TRIE_BEST);
}

/* A copy of a node, without its `best`. The original is retired */
static __u64 node_copy(struct ecbpf_trie *t, __u64 node)
{
	struct key path = node_path(t, node);
	__u64 copy = node_new(t, node_depth(node), node_stride(node), &path);

	if (!copy)
		return 0;
	for (__u32 i = 0; i < stride_words(node_stride(node)); i++)
		*word(t, node_place(copy) + i) = load(t, node_place(node) + i);
	node_retire(t, node);
	return copy;
}

/*
 * A node at @depth between the slot that has @child and it. Its `best` goes along if it ends above
 * the child. Return: the new node, of which packets know nothing yet
 */
static __u64 node_between(struct ecbpf_trie *t, __u32 depth, __u64 child)
{
	struct key path = node_path(t, child), best_key;
	__u64 best = node_best(t, child), node;

	node = node_new(t, depth, STRIDE, &path);
	if (!node)
		return 0;
	if (best && leaf_len(best) <= depth + STRIDE) {
		child = node_copy(t, child);
		if (!child)
			return 0;
	} else {
		best = 0;
	}
	*word(t, slot_of(node, &path)) = child;
	if (best && leaf_len(best) <= depth) {
		node = with_best(t, node, best);
	} else if (best) {
		best_key = leaf_key(t, best);
		add_below(t, node, &best_key, best);
	}
	return node;
}

/* A node for two leaves of one slot that ends at @depth. One may cover the other */
static __u64 node_of_two(struct ecbpf_trie *t, __u32 depth, __u64 a, __u64 b)
{
	struct key key_a = leaf_key(t, a), key_b = leaf_key(t, b);
	__u32 common = key_common(&key_a, &key_b), to;
	__u64 node;

	if (key_a.len > key_b.len) {
		struct key key = key_a;
		__u64 leaf = a;

		key_a = key_b, a = b;
		key_b = key, b = leaf;
	}
	to = depth_of(key_b.len);
	if (common >= key_a.len && key_a.len <= to) {
		node = node_new(t, to, STRIDE, &key_b);
		if (!node)
			return 0;
		node = with_best(t, node, a);
	} else {
		to = min_u32(common, key_a.len - 1) / STRIDE * STRIDE;
		if (to < depth)
			to = depth;
		node = node_new(t, to, STRIDE, &key_b);
		if (!node)
			return 0;
		add_below(t, node, &key_a, a);
	}
	add_below(t, node, &key_b, b);
	return node;
}

/* A prefix that ends in a node: to all slots that it covers */
static void add_here(struct ecbpf_trie *t, __u64 node, const struct key *key, __u64 leaf)
{
	__u32 end = node_end(node), place = slot_of(node, key);

	for (__u32 last = place + (1U << (end - key->len)); place < last && !t->err; place++) {
		__u64 slot = load(t, place), best, new;

		if (is_node(slot)) {
			best = node_best(t, slot);
			if (!best || (leaf_len(best) <= end && leaf_len(best) <= key->len)) {
				best_store(t, place, leaf);
			} else if (leaf_len(best) > end) {
				new = node_between(t, end, slot);
				if (new)
					store(t, place, with_best(t, new, leaf));
			}
		} else if (!slot || leaf_len(slot) <= key->len) {
			slot_fill(t, node, place, leaf);
		} else if (leaf_len(slot) > end) {
			new = node_of_two(t, end, leaf, slot);
			if (new)
				store(t, place, new);
		}
	}
}

/* A prefix longer than the depth of a node that lies on its path */
static void add_below(struct ecbpf_trie *t, __u64 node, const struct key *key, __u64 leaf)
{
	while (key->len > node_end(node) && !t->err) {
		__u32 place = slot_of(node, key), common, end = node_end(node);
		__u64 slot = load(t, place), new;
		struct key path;

		if (!slot) {
			slot_fill(t, node, place, leaf);
			return;
		}
		if (!is_node(slot)) {
			path = leaf_key(t, slot);
			if (path.len == key->len && path.hi == key->hi && path.lo == key->lo)
				new = leaf;
			else
				new = node_of_two(t, end, slot, leaf);
			if (new)
				store(t, place, new);
			return;
		}
		path = node_path(t, slot);
		common = min_u32(key_common(key, &path), node_depth(slot));
		if (common == node_depth(slot) && key->len > common) {
			node = slot;
			continue;
		}
		if (common >= key->len) { /* it ends in what the slot skips */
			__u64 best = node_best(t, slot);

			if (!best || leaf_len(best) == key->len) {
				best_store(t, place, leaf);
				return;
			}
			new = node_between(t, depth_of(key->len), slot);
		} else {
			new = node_between(t, common / STRIDE * STRIDE, slot);
		}
		if (new) {
			add_below(t, new, key, leaf);
			store(t, place, new);
		}
		return;
	}
	if (!t->err)
		add_here(t, node, key, leaf);
}

/* --- deleting --------------------------------------------------------------------------------- */

/* A slot whose node has no more than one thing in it gets that thing. Return: true if so */
static bool collapse(struct ecbpf_trie *t, __u32 place)
{
	__u64 node = load(t, place), best = node_best(t, node), only = 0;

	if (node_stride(node) != STRIDE)
		return false;
	for (__u32 i = 0; i < 1U << STRIDE; i++) {
		__u64 slot = load(t, node_place(node) + i);

		if (!slot)
			continue;
		if (only && slot != only)
			return false;
		only = slot;
	}
	if (only && best)
		return false;
	store(t, place, only ? only : best);
	node_retire(t, node);
	return true;
}

/* The slots of a node that @key covers and that @leaf stands in */
static void delete_here(struct ecbpf_trie *t, __u64 node, const struct key *key, __u64 leaf)
{
	__u64 cover = hash_cover(t, leaf_family(leaf), key, node_depth(node));
	__u32 place = slot_of(node, key), last = place + (1U << (node_end(node) - key->len));

	for (; place < last && !t->err; place++) {
		__u64 slot = load(t, place);

		if (slot == leaf) {
			store(t, place, cover);
		} else if (is_node(slot) && node_best(t, slot) == leaf) {
			best_store(t, place, cover);
			collapse(t, place);
		}
	}
}

static void delete_leaf(struct ecbpf_trie *t, __u64 root, const struct key *key, __u64 leaf)
{
	__u32 path[ECBPF_TRIE_DEPTH6], steps = 0, place;
	__u64 node = root, slot;

	while (!t->err) {
		if (key->len <= node_end(node)) {
			delete_here(t, node, key, leaf);
			break;
		}
		place = slot_of(node, key);
		slot = load(t, place);
		if (slot == leaf) {
			store(t, place, 0);
			break;
		}
		if (!is_node(slot))
			break;
		if (key->len <= node_depth(slot)) {
			if (node_best(t, slot) == leaf) {
				best_store(t, place, 0);
				path[steps++] = place;
			}
			break;
		}
		path[steps++] = place;
		node = slot;
	}
	while (steps && !t->err && collapse(t, path[--steps]))
		;
}

/* --- building --------------------------------------------------------------------------------- */

/* What is to be built of: prefixes in order, and their leaves */
struct source {
	const struct ecbpf_trie_op *ops;
	const __u64 *leaves;
};

static struct key op_key(const struct ecbpf_trie_op *op)
{
	return (struct key){.hi = op->hi, .lo = op->lo, .len = op->len};
}

/* How wide to make a node at @depth for the prefixes [from, to), which share so many bits */
static __u32 stride_for(const struct source *src, size_t from, size_t to, __u32 depth, __u32 width)
{
	__u32 stride = STRIDE, fill_shift = FILL_SHIFT;
	size_t count = to - from;

	if (!depth || count >= TOP_MIN)
		fill_shift = FILL_SHIFT_TOP;
	while (stride + STRIDE <= ECBPF_TRIE_STRIDE_MAX && depth + stride + STRIDE <= width &&
	       count >> (stride + STRIDE - fill_shift))
		stride += STRIDE;
	for (; stride > STRIDE; stride -= STRIDE) {
		__u32 used = 0, last = ~0U;

		for (size_t i = from; i < to; i++) {
			struct key key = op_key(&src->ops[i]);
			__u32 bits = key_bits(&key, depth, stride);

			if (key.len > depth && bits != last) {
				used++;
				last = bits;
			}
		}
		if (used >> (stride - fill_shift))
			break;
	}
	return stride;
}

static void build_node(struct ecbpf_trie *t, const struct source *src, __u64 node, size_t from,
		       size_t to);

/*
 * The slot that ends at @depth for the prefixes [from, to), all longer, in the order that covering
 * ones come first; @best: a leaf that covers the slot, or 0.
 */
static __u64 build_slot(struct ecbpf_trie *t, const struct source *src, __u32 depth, size_t from,
			size_t to, __u64 best)
{
	struct key first, last;
	__u32 common, width;
	__u64 node;

	if (from == to)
		return best;
	if (to - from == 1 && !best)
		return src->leaves[from];
	first = op_key(&src->ops[from]);
	last = op_key(&src->ops[to - 1]);
	common = key_common(&first, &last);
	if (!best && first.len <= common) { /* covers all others */
		struct key next = op_key(&src->ops[from + 1]);

		common = min_u32(key_common(&next, &last), next.len - 1) / STRIDE * STRIDE;
		if (first.len <= common) {
			best = src->leaves[from++];
			first = next;
			common = key_common(&first, &last);
		} else {
			common = first.len;
		}
	}
	depth = min_u32(common, first.len - 1) / STRIDE * STRIDE;
	width = src->ops[from].family == 4 ? 32 : 128;
	node = node_new(t, depth, stride_for(src, from, to, depth, width), &first);
	if (!node)
		return 0;
	build_node(t, src, node, from, to);
	return best ? with_best(t, node, best) : node;
}

static void build_node(struct ecbpf_trie *t, const struct source *src, __u64 node, size_t from,
		       size_t to)
{
	__u32 end = node_end(node);
	size_t i = from;

	while (i < to && !t->err) {
		struct key key = op_key(&src->ops[i]);
		__u32 place = slot_of(node, &key);
		size_t next = i + 1;

		if (key.len <= end) {
			for (__u32 n = 0; n < 1U << (end - key.len); n++)
				slot_fill(t, node, place + n, src->leaves[i]);
			i = next;
			continue;
		}
		for (; next < to; next++) {
			struct key other = op_key(&src->ops[next]);

			if (slot_of(node, &other) != place)
				break;
		}
		slot_fill(t, node, place, build_slot(t, src, end, i, next, load(t, place)));
		i = next;
	}
}

int ecbpf_trie_compare(const void *a, const void *b)
{
	const struct ecbpf_trie_op *x = a, *y = b;

	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	if (x->hi != y->hi)
		return x->hi < y->hi ? -1 : 1;
	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	return x->len - y->len;
}

/* The root's node of a family's trie gets what is below it */
static void build_root(struct ecbpf_trie *t, const struct source *src, __u64 node, int family,
		       size_t from, size_t to)
{
	if (from < to && !src->ops[from].len)
		node = with_best(t, node, src->leaves[from++]);
	build_node(t, src, node, from, to);
	t->gen->root[family == 6] = root_of(node);
}

/* A generation with nothing but its header and the IPv4 root. Return: that node; 0, t->err */
static __u64 generation_new(struct ecbpf_trie *t, __u32 stride)
{
	__u32 words = ROOT4_PLACE + stride_words(stride), chunks, place;
	int first;

	chunks = (words + ECBPF_TRIE_CHUNK_WORDS - 1) >> ECBPF_TRIE_CHUNK_SHIFT;
	first = chunks_make(t, chunks);
	if (first < 0) {
		t->err = first;
		return 0;
	}
	place = (__u32)first << ECBPF_TRIE_CHUNK_SHIFT;
	t->gen->next = place + words;
	t->gen->end = place + chunks * ECBPF_TRIE_CHUNK_WORDS;
	return node_slot(place + ROOT4_PLACE, 0, stride);
}

static void generation_build(struct ecbpf_trie *t, const struct ecbpf_trie_op *ops, __u64 *leaves,
			     size_t count)
{
	struct source src = {.ops = ops, .leaves = leaves};
	static const struct key none;
	__u64 root4, root6;
	size_t split = 0;

	while (split < count && ops[split].family == 4)
		split++;
	root4 = generation_new(t, stride_for(&src, 0, split, 0, 32));
	if (!root4)
		return;
	t->gen->count[0] = split;
	t->gen->count[1] = count - split;
	t->gen->hash_bits = HASH_BITS_MIN;
	while (1ULL << t->gen->hash_bits < count * 2)
		t->gen->hash_bits++;
	t->gen->hash = block_alloc(t, 1U << t->gen->hash_bits, NODE_WORDS);
	root6 = node_new(t, 0, stride_for(&src, split, count, 0, 128), &none);
	for (size_t i = 0; i < count && !t->err; i++) {
		struct key key = op_key(&ops[i]);

		leaves[i] = leaf_new(t, &ops[i]);
		*word(t, hash_find(t, ops[i].family, &key)) = leaves[i];
	}
	if (t->err)
		return;
	build_root(t, &src, root4, 4, 0, split);
	build_root(t, &src, root6, 6, split, count);
}

static int fail(struct ecbpf_trie *t, int err)
{
	if (err == -ENOSPC)
		return ecbpf_fail(t->e, err, "too many prefixes: the pool of %zu MiB is full",
				  ECBPF_TRIE_CHUNKS * CHUNK_BYTES >> 20);
	return ecbpf_fail(t->e, err, "table of prefixes: %s", strerror(-err));
}

/* Room for most changes, so that what is decided can be done at once */
static int room_make(struct ecbpf_trie *t)
{
	if (t->gen->end - t->gen->next < ROOM_WORDS) {
		int first = chunks_make(t, 1);

		if (first < 0)
			return first;
		t->gen->next = (__u32)first << ECBPF_TRIE_CHUNK_SHIFT;
		t->gen->end = t->gen->next + ECBPF_TRIE_CHUNK_WORDS;
	}
	return 0;
}

static void generation_drop(struct ecbpf_trie *t, const struct generation *gen)
{
	__u32 ids[ECBPF_TRIE_CHUNKS], count = gen->chunks_count;

	memcpy(ids, gen->chunks, count * sizeof(*ids));
	chunks_drop(t, ids, count);
}

int ecbpf_trie_build(struct ecbpf_trie *t, struct ecbpf_trie_op *entries, size_t count)
{
	_cleanup_free_ __u64 *leaves = malloc((count + 1) * sizeof(*leaves));
	struct generation *old = t->gen;
	int err;

	if (!leaves)
		return fail(t, -ENOMEM);
	if (count)
		qsort(entries, count, sizeof(*entries), ecbpf_trie_compare);
	__atomic_store_n(&t->head->dirty, 1, __ATOMIC_RELEASE);
	t->gen = NULL;
	t->is_building = true;
	t->err = 0;
	generation_build(t, entries, leaves, count);
	t->is_building = false;
	err = t->err;
	if (!err)
		err = t->memory->publish(t->data, t->gen->chunks, t->gen->chunks_count);
	if (err) {
		if (t->gen)
			generation_drop(t, t->gen);
		t->gen = old;
		__atomic_store_n(&t->head->dirty, 0, __ATOMIC_RELEASE);
		return fail(t, err);
	}
	roots_store(t);
	if (old) {
		t->memory->wait(t->data);
		generation_drop(t, old);
	}
	__atomic_store_n(&t->head->dirty, 0, __ATOMIC_RELEASE);
	room_make(t);
	return 0;
}

/* --- the table -------------------------------------------------------------------------------- */

size_t ecbpf_trie_count(const struct ecbpf_trie *t, int family)
{
	return t->gen->count[family == 6];
}

size_t ecbpf_trie_bytes(const struct ecbpf_trie *t)
{
	return t->gen->chunks_count * CHUNK_BYTES;
}

__u32 ecbpf_trie_find(struct ecbpf_trie *t, const struct ecbpf_trie_op *prefix)
{
	struct key key = op_key(prefix);
	__u64 leaf;

	t->err = 0;
	leaf = load(t, hash_find(t, prefix->family, &key));

	return leaf ? leaf_value(t, leaf) : 0;
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
	__u64 slot = root_slot(t->gen->root[address->family == 6]), best = 0, leaf;

	t->err = 0;
	while (!t->err && is_node(slot) && node_stride(slot)) {
		leaf = node_best(t, slot);
		if (leaf_has(t, leaf, &key))
			best = leaf;
		slot = load(t, slot_of(slot, &key));
	}
	if (!is_node(slot) && leaf_has(t, slot, &key))
		best = slot;
	*ret_len = leaf_len(best);
	return best ? leaf_value(t, best) : 0;
}

int ecbpf_trie_entries(struct ecbpf_trie *t, struct ecbpf_trie_op **ret_entries, size_t *ret_count)
{
	__u32 words = 1U << t->gen->hash_bits;
	size_t size = 0, count = 0, unique = 0;
	struct ecbpf_trie_op *ops;

	t->err = 0;
	for (__u32 i = 0; i < words; i++)
		size += !!load(t, t->gen->hash + i);
	ops = malloc((size + 1) * sizeof(*ops));
	if (!ops)
		return fail(t, -ENOMEM);
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
		return fail(t, t->err);
	}
	qsort(ops, count, sizeof(*ops), ecbpf_trie_compare);
	/* see hash_delete() */
	for (size_t i = 0; i < count; i++) {
		if (!unique || ecbpf_trie_compare(&ops[unique - 1], &ops[i]))
			ops[unique++] = ops[i];
	}
	*ret_entries = ops;
	*ret_count = unique;
	return 0;
}

static void op_do(struct ecbpf_trie *t, const struct ecbpf_trie_op *op)
{
	struct key key = op_key(op);
	__u32 place = hash_find(t, op->family, &key);
	__u64 old = load(t, place), leaf, root;
	int i = op->family == 6;

	if (t->err || (!old && !op->value))
		return;
	root = root_slot(t->gen->root[i]);
	if (op->value && old && op->family == 6) {
		store(t, (old >> 32) + 2, op->value);
		return;
	}
	if (op->value) {
		leaf = leaf_new(t, op);
		if (!leaf)
			return;
		store(t, place, leaf);
		if (op->len) {
			add_below(t, root, &key, leaf);
		} else {
			store(t, node_place(root) - 1, leaf);
			t->gen->root[i] |= ECBPF_TRIE_ROOT_BEST;
		}
		t->gen->count[i] += !old;
		roots_store(t);
		return;
	}
	if (op->len)
		delete_leaf(t, root, &key, old);
	else
		store(t, node_place(root) - 1, 0);
	if (t->err)
		return;
	hash_delete(t, place);
	leaf_retire(t, old);
	if (!--t->gen->count[i])
		roots_store(t);
}

/* Do changes by building anew what they lead to */
static int rebuild(struct ecbpf_trie *t, const struct ecbpf_trie_op *ops, size_t count)
{
	_cleanup_free_ struct ecbpf_trie_op *entries = NULL;
	struct ecbpf_trie_op *found, *grown;
	size_t old, all, kept = 0;
	int err;

	err = ecbpf_trie_entries(t, &entries, &old);
	if (err)
		return err;
	grown = realloc(entries, (old + count + 1) * sizeof(*entries));
	if (!grown)
		return fail(t, -ENOMEM);
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

/* What was decided is done, though it may be again */
static int journal_redo(struct ecbpf_trie *t)
{
	int err = rebuild(t, t->head->journal, t->head->journal_count);

	if (!err)
		__atomic_store_n(&t->head->journal_count, 0, __ATOMIC_RELEASE);
	return err;
}

int ecbpf_trie_change(struct ecbpf_trie *t, const struct ecbpf_trie_op *ops, size_t count)
{
	__u64 total = t->gen->count[0] + t->gen->count[1], words = 1ULL << t->gen->hash_bits;
	int err;

	if (count > ECBPF_TRIE_JOURNAL)
		return fail(t, -E2BIG);
	if (!count)
		return 0;
	if (total + count > words / 4 * 3)
		return rebuild(t, ops, count);
	err = room_make(t);
	if (err)
		return fail(t, err);

	t->err = 0;
	memcpy(t->head->journal, ops, count * sizeof(*ops));
	__atomic_store_n(&t->head->journal_count, count, __ATOMIC_RELEASE);
	for (size_t i = 0; i < count && !t->err; i++)
		op_do(t, &ops[i]);
	if (t->err)
		return journal_redo(t);
	__atomic_store_n(&t->head->journal_count, 0, __ATOMIC_RELEASE);

	/* it is done, and packets see it: time for what need not be done now */
	if (t->gen->pending_count > PENDING_ENOUGH)
		pending_free(t);
	room_make(t);
	return 0;
}

/* Chunks of a writer that died before it published them, or before it dropped them */
static void orphans_drop(struct ecbpf_trie *t)
{
	const struct generation *gen = t->gen;

	t->memory->wait(t->data);
	for (__u32 id = 0; id < ECBPF_TRIE_CHUNKS; id++) {
		bool is_known = false;

		for (__u32 i = 0; i < gen->chunks_count && !is_known; i++)
			is_known = gen->chunks[i] == id;
		if (!is_known && t->memory->is_used(t->data, id) && t->memory->is_own(t->data, id))
			chunks_drop(t, &id, 1);
	}
	__atomic_store_n(&t->head->dirty, 0, __ATOMIC_RELEASE);
}

/* The generation that is live; whatever was interrupted is completed */
static int generation_open(struct ecbpf_trie *t)
{
	bool is_dirty = t->head->dirty || t->head->journal_count;
	__u64 roots = t->head->roots;
	int err = 0;

	if (roots) {
		t->gen = (void *)word(t, node_place(root_slot(roots)) - ROOT4_PLACE);
		if (t->err)
			return fail(t, t->err);
		if (t->head->journal_count)
			err = journal_redo(t);
	} else {
		err = ecbpf_trie_build(t, NULL, 0);
	}
	if (!err && is_dirty && t->gen)
		orphans_drop(t);
	return err;
}

/* A handle without a generation. NULL: @data was closed */
static struct ecbpf_trie *handle_new(struct ecbpf *e, const struct ecbpf_trie_memory *memory,
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

int ecbpf_trie_open_memory(struct ecbpf *e, const struct ecbpf_trie_memory *memory, void *data,
			   struct ecbpf_trie_head *head, struct ecbpf_trie **ret_trie)
{
	struct ecbpf_trie *t = handle_new(e, memory, data, head);
	int err;

	if (!t)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	err = generation_open(t);
	if (err) {
		ecbpf_trie_close(t);
		return err;
	}
	*ret_trie = t;
	return 0;
}

void ecbpf_trie_close(struct ecbpf_trie *t)
{
	if (!t)
		return;
	t->memory->close(t->data);
	free(t);
}

/* --- chunks in a pool of maps ----------------------------------------------------------------- */

struct pool {
	struct ecbpf *e;
	int fd;
	char name[BPF_OBJ_NAME_LEN];	 /* of the table's chunks */
	int fds[ECBPF_TRIE_CHUNKS];	 /* of chunks that are not published yet, + 1 */
	__u64 *words[ECBPF_TRIE_CHUNKS]; /* mapped */
};

static int pool_chunk_fd(const struct pool *pool, __u32 id)
{
	__u32 map_id;

	if (bpf_map_lookup_elem(pool->fd, &id, &map_id))
		return -errno;
	return bpf_map_get_fd_by_id(map_id);
}

static __u64 *pool_map(struct pool *pool, __u32 id, int fd)
{
	void *words = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (words == MAP_FAILED)
		return NULL;
	pool->words[id] = words;
	return words;
}

static __u64 *pool_get(void *data, __u32 id)
{
	struct pool *pool = data;
	_cleanup_close_ int fd = pool_chunk_fd(pool, id);

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	return pool_map(pool, id, fd);
}

static __u64 *pool_make(void *data, __u32 id)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	struct pool *pool = data;
	int fd;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, pool->name, sizeof(__u32), CHUNK_BYTES, 1, &opts);
	if (fd < 0)
		return NULL;
	if (!pool_map(pool, id, fd)) {
		close(fd);
		return NULL;
	}
	pool->fds[id] = fd + 1;
	return pool->words[id];
}

/* In one step where the kernel can (5.15), as each waits until all packets on their way are done */
static int pool_publish(void *data, const __u32 *ids, size_t count)
{
	struct pool *pool = data;
	__u32 fds[ECBPF_TRIE_CHUNKS], keys[ECBPF_TRIE_CHUNKS], total = 0, done;
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	int err = 0;

	for (size_t i = 0; i < count; i++) {
		if (!pool->fds[ids[i]])
			continue;
		keys[total] = ids[i];
		fds[total++] = pool->fds[ids[i]] - 1;
	}
	done = total;
	if (!total)
		return 0;
	if (total == 1 || bpf_map_update_batch(pool->fd, keys, fds, &done, &opts)) {
		for (__u32 i = 0; i < total && !err; i++)
			err = bpf_map_update_elem(pool->fd, &keys[i], &fds[i], BPF_ANY) ? -errno
											: 0;
	}
	for (__u32 i = 0; i < total && !err; i++) {
		close(fds[i]);
		pool->fds[keys[i]] = 0;
	}
	return err;
}

static void pool_drop(void *data, const __u32 *ids, size_t count)
{
	struct pool *pool = data;

	for (size_t i = 0; i < count; i++) {
		bpf_map_delete_elem(pool->fd, &ids[i]);
		if (pool->fds[ids[i]])
			close(pool->fds[ids[i]] - 1);
		pool->fds[ids[i]] = 0;
		if (pool->words[ids[i]])
			munmap(pool->words[ids[i]], CHUNK_BYTES);
		pool->words[ids[i]] = NULL;
	}
}

static bool pool_is_used(void *data, __u32 id)
{
	const struct pool *pool = data;
	__u32 map_id;

	return !bpf_map_lookup_elem(pool->fd, &id, &map_id) || errno != ENOENT;
}

static bool pool_is_own(void *data, __u32 id)
{
	const struct pool *pool = data;
	_cleanup_close_ int fd = pool_chunk_fd(pool, id);
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) &&
	       !strcmp(info.name, pool->name);
}

static void pool_wait(void *data)
{
	struct pool *pool = data;

	ecbpf_wait_for_packets(pool->e);
}

static void pool_close(void *data)
{
	struct pool *pool = data;

	for (__u32 id = 0; id < ECBPF_TRIE_CHUNKS; id++) {
		if (pool->fds[id])
			close(pool->fds[id] - 1);
		if (pool->words[id])
			munmap(pool->words[id], CHUNK_BYTES);
	}
	free(pool);
}

const struct ecbpf_trie_memory ecbpf_trie_pool_memory = {
	.get = pool_get,
	.make = pool_make,
	.publish = pool_publish,
	.drop = pool_drop,
	.is_used = pool_is_used,
	.is_own = pool_is_own,
	.wait = pool_wait,
	.close = pool_close,
};

void *ecbpf_trie_pool_open(struct ecbpf *e, int pool_fd, __u32 id)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->e = e;
	pool->fd = pool_fd;
	snprintf(pool->name, sizeof(pool->name), "trie_%u", id);
	return pool;
}

int ecbpf_trie_open(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id,
		    struct ecbpf_trie **ret_trie)
{
	void *pool = ecbpf_trie_pool_open(e, pool_fd, id);

	if (!pool)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	return ecbpf_trie_open_memory(e, &ecbpf_trie_pool_memory, pool, head, ret_trie);
}

int ecbpf_trie_new(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id,
		   struct ecbpf_trie_op *entries, size_t count)
{
	void *pool = ecbpf_trie_pool_open(e, pool_fd, id);
	struct ecbpf_trie *t;
	int err;

	t = pool ? handle_new(e, &ecbpf_trie_pool_memory, pool, head) : NULL;
	if (!t)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	err = ecbpf_trie_build(t, entries, count);
	ecbpf_trie_close(t);
	return err;
}

int ecbpf_trie_delete(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id)
{
	void *pool = ecbpf_trie_pool_open(e, pool_fd, id);

	if (!pool)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	/* the chunks by their names, not by what is written in them: it need not be whole */
	__atomic_store_n(&head->dirty, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&head->roots, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&head->journal_count, 0, __ATOMIC_RELEASE);
	for (__u32 chunk = 0; chunk < ECBPF_TRIE_CHUNKS; chunk++) {
		if (pool_is_used(pool, chunk) && pool_is_own(pool, chunk))
			pool_drop(pool, &chunk, 1);
	}
	__atomic_store_n(&head->dirty, 0, __ATOMIC_RELEASE);
	pool_close(pool);
	return 0;
}
