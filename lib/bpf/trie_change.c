// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tables of prefixes: changes of the nodes that packets may be at.
 */
#include "bpf/trie_layout.h"

/* Give a node that packets may be at, and that had no `best`, one: before it is said to be there */
static void best_store(struct ecbpf_trie *t, __u32 place, __u64 leaf)
{
	__u64 node = load(t, place);

	store(t, node_place(node) - 1, leaf);
	if (!leaf)
		store(t, place, node & ~(__u64)ECBPF_TRIE_COVER);
	else if (!(node & ECBPF_TRIE_COVER))
		store(t, place, node | ECBPF_TRIE_COVER);
}

/* A copy of a node, without its `best`. The original is retired */
static __u64 node_copy(struct ecbpf_trie *t, __u64 node)
{
	struct key path = node_path(t, node);
	__u64 copy = trie_node_new(t, node_depth(node), node_stride(node), &path);

	if (!copy)
		return 0;
	for (__u32 i = 0; i < stride_words(node_stride(node)); i++)
		*word(t, node_place(copy) + i) = load(t, node_place(node) + i);
	trie_node_retire(t, node);
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

	node = trie_node_new(t, depth, STRIDE, &path);
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
		trie_add(t, node, &best_key, best);
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
		node = trie_node_new(t, to, STRIDE, &key_b);
		if (!node)
			return 0;
		node = with_best(t, node, a);
	} else {
		to = min_u32(common, key_a.len - 1) / STRIDE * STRIDE;
		if (to < depth)
			to = depth;
		node = trie_node_new(t, to, STRIDE, &key_b);
		if (!node)
			return 0;
		trie_add(t, node, &key_a, a);
	}
	trie_add(t, node, &key_b, b);
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
void trie_add(struct ecbpf_trie *t, __u64 node, const struct key *key, __u64 leaf)
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
			trie_add(t, new, key, leaf);
			store(t, place, new);
		}
		return;
	}
	if (!t->err)
		add_here(t, node, key, leaf);
}

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
	trie_node_retire(t, node);
	return true;
}

/* The slots of a node that @key covers and that @leaf stands in */
static void delete_here(struct ecbpf_trie *t, __u64 node, const struct key *key, __u64 leaf)
{
	__u64 cover = trie_hash_cover(t, leaf_family(leaf), key, node_depth(node));
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

void trie_remove(struct ecbpf_trie *t, __u64 root, const struct key *key, __u64 leaf)
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
