// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tables of prefixes: building a generation.
 */
#include <errno.h>
#include <stdlib.h>
#include "bpf/trie_layout.h"
#include "core/util.h"

#define HASH_BITS_MIN  10
#define FILL_SHIFT     1     /* of a node wider than STRIDE, half of the slots are used at least */
#define FILL_SHIFT_TOP 4     /* a sixteenth of a root, and of what most of the table is below */
#define TOP_MIN	       65536 /* prefixes */

/* Sorted prefixes, and their leaves */
struct source {
	const struct ecbpf_trie_op *ops;
	const __u64 *leaves;
};

/* Stride of a node at @depth for the prefixes [from, to), which share @depth bits */
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
 * Build the slot that ends at @depth for the prefixes [from, to), all of which are longer, sorted
 * so that covering prefixes come first; @cover: a leaf that covers the slot, or 0.
 */
static __u64 build_slot(struct ecbpf_trie *t, const struct source *src, __u32 depth, size_t from,
			size_t to, __u64 cover)
{
	struct key first, last;
	__u32 common, width;
	__u64 node;

	if (from == to)
		return cover;
	if (to - from == 1 && !cover)
		return src->leaves[from];
	first = op_key(&src->ops[from]);
	last = op_key(&src->ops[to - 1]);
	common = key_common(&first, &last);
	if (!cover && first.len <= common) { /* the first covers all others */
		struct key next = op_key(&src->ops[from + 1]);

		common = min_u32(key_common(&next, &last), next.len - 1) / STRIDE * STRIDE;
		if (first.len <= common) {
			cover = src->leaves[from++];
			first = next;
			common = key_common(&first, &last);
		} else {
			common = first.len;
		}
	}
	depth = min_u32(common, first.len - 1) / STRIDE * STRIDE;
	width = src->ops[from].family == 4 ? 32 : 128;
	node = trie_node_new(t, depth, stride_for(src, from, to, depth, width), &first);
	if (!node)
		return 0;
	build_node(t, src, node, from, to);
	return cover ? with_cover(t, node, cover) : node;
}

static void build_node(struct ecbpf_trie *t, const struct source *src, __u64 node, size_t from,
		       size_t to)
{
	__u32 end = node_end(node);
	size_t i = from;

	while (i < to && !t->err) {
		struct key key = op_key(&src->ops[i]);
		__u32 index = slot_of(node, &key);
		size_t next = i + 1;

		if (key.len <= end) {
			for (__u32 n = 0; n < 1U << (end - key.len); n++)
				slot_fill(t, node, index + n, src->leaves[i]);
			i = next;
			continue;
		}
		for (; next < to; next++) {
			struct key other = op_key(&src->ops[next]);

			if (slot_of(node, &other) != index)
				break;
		}
		slot_fill(t, node, index, build_slot(t, src, end, i, next, load(t, index)));
		i = next;
	}
}

/* Build the trie of a family below its root */
static void build_root(struct ecbpf_trie *t, const struct source *src, __u64 node, int family,
		       size_t from, size_t to)
{
	if (from < to && !src->ops[from].len)
		node = with_cover(t, node, src->leaves[from++]);
	build_node(t, src, node, from, to);
	t->gen->root[family == 6] = root_of(node);
}

/* A generation with its header and IPv4 root. Return: the root; 0, t->err */
static __u64 generation_new(struct ecbpf_trie *t, __u32 stride)
{
	__u32 words = ROOT4_INDEX + stride_words(stride), index, end;
	int err;

	err = trie_words_make(t, words, &index, &end);
	if (err) {
		t->err = err;
		return 0;
	}
	t->gen->next = index + words;
	t->gen->end = end;
	return node_slot(index + ROOT4_INDEX, 0, stride);
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
	t->gen->hash = trie_block_alloc(t, 1U << t->gen->hash_bits, NODE_WORDS);
	root6 = trie_node_new(t, 0, stride_for(&src, split, count, 0, 128), &none);
	for (size_t i = 0; i < count && !t->err; i++) {
		struct key key = op_key(&ops[i]);

		if (i + TRIE_FAR < count)
			trie_hash_expect(t, &ops[i + TRIE_FAR], &ops[i + TRIE_NEAR]);
		leaves[i] = trie_leaf_new(t, &ops[i]);
		*word(t, trie_hash_find(t, ops[i].family, &key)) = leaves[i];
	}
	if (t->err)
		return;
	build_root(t, &src, root4, 4, 0, split);
	build_root(t, &src, root6, 6, split, count);
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

/* Most callers have sorted them */
static bool is_sorted(const struct ecbpf_trie_op *entries, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		if (ecbpf_trie_compare(&entries[i - 1], &entries[i]) > 0)
			return false;
	}
	return true;
}

int ecbpf_trie_build(struct ecbpf_trie *t, struct ecbpf_trie_op *entries, size_t count)
{
	_cleanup_free_ __u64 *leaves = malloc((count + 1) * sizeof(*leaves));
	struct generation *old = t->gen;
	int err;

	if (!leaves)
		return trie_fail(t, -ENOMEM);
	if (!is_sorted(entries, count))
		qsort(entries, count, sizeof(*entries), ecbpf_trie_compare);
	/* without roots, it would tell the next writer that there never were any prefixes */
	if (!t->is_lost)
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
			trie_generation_drop(t, t->gen);
		t->gen = old;
		__atomic_store_n(&t->head->dirty, 0, __ATOMIC_RELEASE);
		return trie_fail(t, err);
	}
	if (t->is_lost)
		__atomic_store_n(&t->head->journal_count, 0, __ATOMIC_RELEASE);
	roots_store(t);
	if (t->is_lost) {
		t->is_lost = false;
		trie_orphans_drop(t);
	}
	if (old) {
		t->memory->wait(t->data);
		trie_generation_drop(t, old);
	}
	__atomic_store_n(&t->head->dirty, 0, __ATOMIC_RELEASE);
	trie_room_make(t);
	return 0;
}
