// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tables of prefixes: the hash table of all leaves.
 */
#include "bpf/trie_layout.h"

static __u32 hash_of(const struct ecbpf_trie *t, int family, const struct key *key)
{
	__u64 h = key->hi * 0x9e3779b97f4a7c15ULL;

	h = (h ^ h >> 32 ^ key->lo) * 0xc2b2ae3d27d4eb4fULL;
	h = (h ^ h >> 29 ^ (key->len << 8 | family)) * 0x9e3779b97f4a7c15ULL;
	return h >> (64 - t->gen->hash_bits);
}

__u32 trie_hash_find(struct ecbpf_trie *t, int family, const struct key *key)
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
 * In a large table, each word that is looked at is waited for. Who looks for many prefixes asks for
 * the words of later ones ahead
 */
void trie_hash_expect(struct ecbpf_trie *t, const struct ecbpf_trie_op *far,
		      const struct ecbpf_trie_op *near)
{
	struct key far_key = op_key(far), near_key = op_key(near);
	__u64 leaf = load(t, t->gen->hash + hash_of(t, near->family, &near_key));

	__builtin_prefetch(word(t, t->gen->hash + hash_of(t, far->family, &far_key)), 1);
	if (leaf && leaf_family(leaf) == 6)
		__builtin_prefetch(word(t, leaf >> 32));
}

/*
 * Close the gap: entries that would no longer be found move into it. An entry is copied before its
 * old word is cleared, so that a killed writer leaves it twice, but does not lose it.
 */
void trie_hash_delete(struct ecbpf_trie *t, __u32 index)
{
	__u32 mask = (1U << t->gen->hash_bits) - 1, base = t->gen->hash, gap = index - base;

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

__u64 trie_hash_cover(struct ecbpf_trie *t, int family, const struct key *key, __u32 above)
{
	for (__u32 len = key->len - 1; len > above; len--) {
		struct key cut = key_cut(key, len);
		__u64 leaf = load(t, trie_hash_find(t, family, &cut));

		if (leaf)
			return leaf;
	}
	return 0;
}
