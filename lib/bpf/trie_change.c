// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tables of prefixes: changes of nodes that programs may be reading.
 */
#include "bpf/trie_layout.h"

/* Set the covering prefix of a node that programs may read: the word first, then the flag */
static void cover_store(struct ecbpf_trie *t, __u32 index, __u64 leaf)
{
	__u64 node = load(t, index);

	store(t, node_index(node) - 1, leaf);
	if (!leaf)
		store(t, index, node & ~(__u64)ECBPF_TRIE_COVER);
	else if (!(node & ECBPF_TRIE_COVER))
		store(t, index, node | ECBPF_TRIE_COVER);
}

/* A copy of a node without its covering prefix. The original is retired */
static __u64 node_copy(struct ecbpf_trie *t, __u64 node)
{
	struct key path = node_path(t, node);
	__u64 copy = trie_node_new(t, node_depth(node), node_stride(node), &path);

	if (!copy)
		return 0;
	for (__u32 i = 0; i < stride_words(node_stride(node)); i++)
		*word(t, node_index(copy) + i) = load(t, node_index(node) + i);
	trie_node_retire(t, node);
	return copy;
}

/*
 * A node at @depth between @child and its slot. The covering prefix of the child moves into it if
 * it ends there. Return: the new node, which no program can read yet
 */
static __u64 node_between(struct ecbpf_trie *t, __u32 depth, __u64 child)
{
	struct key path = node_path(t, child), cover_key;
	__u64 cover = node_cover(t, child), node;

	node = trie_node_new(t, depth, STRIDE, &path);
	if (!node)
		return 0;
	if (cover && leaf_len(cover) <= depth + STRIDE) {
		child = node_copy(t, child);
		if (!child)
			return 0;
	} else {
		cover = 0;
	}
	*word(t, slot_of(node, &path)) = child;
	if (cover && leaf_len(cover) <= depth) {
		node = with_cover(t, node, cover);
	} else if (cover) {
		cover_key = leaf_key(t, cover);
		trie_add(t, node, &cover_key, cover);
	}
	return node;
}

/* A node for two leaves in one slot, which ends at @depth. One may cover the other */
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
		node = with_cover(t, node, a);
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

/* Add a prefix that ends in a node, to all slots that it covers */
static void add_here(struct ecbpf_trie *t, __u64 node, const struct key *key, __u64 leaf)
{
	__u32 end = node_end(node), index = slot_of(node, key);

	for (__u32 last = index + (1U << (end - key->len)); index < last && !t->err; index++) {
		__u64 slot = load(t, index), cover, new;

		if (is_node(slot)) {
			cover = node_cover(t, slot);
			if (!cover || (leaf_len(cover) <= end && leaf_len(cover) <= key->len)) {
				cover_store(t, index, leaf);
			} else if (leaf_len(cover) > end) {
				new = node_between(t, end, slot);
				if (new)
					store(t, index, with_cover(t, new, leaf));
			}
		} else if (!slot || leaf_len(slot) <= key->len) {
			slot_fill(t, node, index, leaf);
		} else if (leaf_len(slot) > end) {
			new = node_of_two(t, end, leaf, slot);
			if (new)
				store(t, index, new);
		}
	}
}

void trie_add(struct ecbpf_trie *t, __u64 node, const struct key *key, __u64 leaf)
{
	while (key->len > node_end(node) && !t->err) {
		__u32 index = slot_of(node, key), common, end = node_end(node);
		__u64 slot = load(t, index), new;
		struct key path;

		if (!slot) {
			slot_fill(t, node, index, leaf);
			return;
		}
		if (!is_node(slot)) {
			path = leaf_key(t, slot);
			if (path.len == key->len && path.hi == key->hi && path.lo == key->lo)
				new = leaf;
			else
				new = node_of_two(t, end, slot, leaf);
			if (new)
				store(t, index, new);
			return;
		}
		path = node_path(t, slot);
		common = min_u32(key_common(key, &path), node_depth(slot));
		if (common == node_depth(slot) && key->len > common) {
			node = slot;
			continue;
		}
		if (common >= key->len) { /* it ends in the bits that the slot skips */
			__u64 cover = node_cover(t, slot);

			if (!cover || leaf_len(cover) == key->len) {
				cover_store(t, index, leaf);
				return;
			}
			new = node_between(t, depth_of(key->len), slot);
		} else {
			new = node_between(t, common / STRIDE * STRIDE, slot);
		}
		if (new) {
			trie_add(t, new, key, leaf);
			store(t, index, new);
		}
		return;
	}
	if (!t->err)
		add_here(t, node, key, leaf);
}

/* Replace a node with at most one entry by that entry. Return: true if so */
static bool collapse(struct ecbpf_trie *t, __u32 index)
{
	__u64 node = load(t, index), cover = node_cover(t, node), only = 0;

	if (node_stride(node) != STRIDE)
		return false;
	for (__u32 i = 0; i < 1U << STRIDE; i++) {
		__u64 slot = load(t, node_index(node) + i);

		if (!slot)
			continue;
		if (only && slot != only)
			return false;
		only = slot;
	}
	if (only && cover)
		return false;
	store(t, index, only ? only : cover);
	trie_node_retire(t, node);
	return true;
}

/* Remove a leaf from the slots of a node that @key covers */
static void delete_here(struct ecbpf_trie *t, __u64 node, const struct key *key, __u64 leaf)
{
	__u64 cover = trie_hash_cover(t, leaf_family(leaf), key, node_depth(node));
	__u32 index = slot_of(node, key), last = index + (1U << (node_end(node) - key->len));

	for (; index < last && !t->err; index++) {
		__u64 slot = load(t, index);

		if (slot == leaf) {
			store(t, index, cover);
		} else if (is_node(slot) && node_cover(t, slot) == leaf) {
			cover_store(t, index, cover);
			collapse(t, index);
		}
	}
}

void trie_remove(struct ecbpf_trie *t, __u64 root, const struct key *key, __u64 leaf)
{
	__u32 path[ECBPF_TRIE_DEPTH6], steps = 0, index;
	__u64 node = root, slot;

	while (!t->err) {
		if (key->len <= node_end(node)) {
			delete_here(t, node, key, leaf);
			break;
		}
		index = slot_of(node, key);
		slot = load(t, index);
		if (slot == leaf) {
			store(t, index, 0);
			break;
		}
		if (!is_node(slot))
			break;
		if (key->len <= node_depth(slot)) {
			if (node_cover(t, slot) == leaf) {
				cover_store(t, index, 0);
				path[steps++] = index;
			}
			break;
		}
		path[steps++] = index;
		node = slot;
	}
	while (steps && !t->err && collapse(t, path[--steps]))
		;
}
