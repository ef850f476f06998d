/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Longest-prefix match in the tables of trie.h. For user space (testing/unit) the includer defines
 * barrier_var(), ecbpf_trie_word() and ecbpf_trie_entry().
 */
#ifndef ECBPF_TRIE_BPF_H
#define ECBPF_TRIE_BPF_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <ecbpf/trie.h>

#ifdef __bpf__
#include <bpf/bpf_helpers.h>

/* A pool of one table or several. Chunks have one size, so that lookups are inlined */
#define ECBPF_TRIE_POOL(name)                                                        \
	struct {                                                                     \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                            \
		__uint(max_entries, ECBPF_TRIE_CHUNKS);                              \
		__type(key, __u32);                                                  \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                                 \
		__array(                                                             \
			values, struct {                                             \
				__uint(type, BPF_MAP_TYPE_ARRAY);                    \
				__uint(max_entries, 1);                              \
				__uint(map_flags, BPF_F_MMAPABLE);                   \
				__uint(key_size, sizeof(__u32));                     \
				__uint(value_size, sizeof(struct ecbpf_trie_chunk)); \
			});                                                          \
	} name SEC(".maps")

static __always_inline const __u64 *ecbpf_trie_chunk(void *pool, __u32 index)
{
	__u32 key = index >> ECBPF_TRIE_CHUNK_SHIFT, zero = 0;
	void *map = bpf_map_lookup_elem(pool, &key);
	const struct ecbpf_trie_chunk *chunk;

	if (!map)
		return NULL;
	chunk = bpf_map_lookup_elem(map, &zero);
	return chunk ? chunk->words : NULL;
}

/* The word at an index; 0, an empty slot, if its chunk does not exist */
static __always_inline __u64 ecbpf_trie_word(void *pool, __u32 index)
{
	const __u64 *words = ecbpf_trie_chunk(pool, index);

	return words ? *(const volatile __u64 *)&words[index & (ECBPF_TRIE_CHUNK_WORDS - 1)] : 0;
}

/* The IPv6 entry at a word index; NULL if its chunk does not exist */
static __always_inline const __u64 *ecbpf_trie_entry(void *pool, __u32 index)
{
	const __u64 *words = ecbpf_trie_chunk(pool, index);

	return words ? &words[index & (ECBPF_TRIE_CHUNK_WORDS - 4)] : NULL;
}
#endif

/* Does the prefix of a leaf contain an IPv4 address, in the upper half of @key? */
static __always_inline bool ecbpf_trie_match4(__u64 leaf, __u64 key)
{
	return !((leaf ^ key) >> 1 >> (leaf >> 26 & 63)) && leaf;
}

/* 0 to 64 bits */
static __always_inline __u64 ecbpf_trie_shift(__u64 value, __u64 bits)
{
	return value >> (bits >> 1) >> (bits - (bits >> 1));
}

/*
 * Return: all ones if the first @len bits of two halves are zero, else 0; @len: 0 to 128. Without
 * branches: each would double the verifier's work in every round of a loop.
 */
static __always_inline __u64 ecbpf_trie_is_zero(__u64 hi, __u64 lo, __u64 len)
{
	__u64 beyond = len - 64, is_short = (__s64)beyond >> 63, rest;

	barrier_var(is_short); /* or the compiler inserts a branch */
	rest = ecbpf_trie_shift(hi, -beyond & is_short) |
	       ecbpf_trie_shift(lo, 64 - (beyond & ~is_short));
	rest |= -rest;
	barrier_var(rest);
	return (rest >> 63) - 1;
}

/* Return: 64 bits of two halves, from bit @depth on; @depth: 0 to 127 */
static __always_inline __u64 ecbpf_trie_bits(__u64 hi, __u64 lo, __u64 depth)
{
	__u64 is_high = (depth >> 6) - 1; /* all ones, or 0 */

	barrier_var(is_high);
	depth &= 63;
	return (hi & is_high) << depth | (lo & ~is_high) << depth |
	       (lo & is_high) >> 1 >> (63 - depth);
}

/* Return: slot @index of the node at word @node; 0 if it is empty. The bitmap spares the read then
 */
static __always_inline __u64 ecbpf_trie_slot(void *pool, __u32 node, __u32 stride, __u32 index)
{
	if (stride >= ECBPF_TRIE_WIDE &&
	    !(ecbpf_trie_word(pool, node + (1U << stride) + index / 64) >> (index & 63) & 1))
		return 0;
	return ecbpf_trie_word(pool, node + index);
}

static __always_inline bool ecbpf_trie_is_node(__u64 slot)
{
	return (slot & ECBPF_TRIE_KIND) == ECBPF_TRIE_NODE;
}

static __always_inline __u32 ecbpf_trie_root_node(__u32 root)
{
	return (root >> ECBPF_TRIE_ROOT_SHIFT) * ECBPF_TRIE_ROOT_ALIGN;
}

/**
 * ecbpf_trie_is_near() - cheap test before a lookup
 * @pool: an ECBPF_TRIE_POOL()
 * @root: ecbpf_trie_head.roots, the family's half
 * @first: 32 bits of the address, in host byte order
 *
 * Return: false if a lookup would find nothing. It reads one word.
 */
static __always_inline bool ecbpf_trie_is_near(void *pool, __u32 root, __u32 first)
{
	__u32 node = ecbpf_trie_root_node(root), stride = root & ECBPF_TRIE_ROOT_STRIDE, index;

	if (!stride)
		return false;
	if (root & ECBPF_TRIE_ROOT_COVER)
		return true;
	index = (__u64)first << 32 >> (64 - stride);
	if (stride < ECBPF_TRIE_WIDE)
		return ecbpf_trie_word(pool, node + index);
	return ecbpf_trie_word(pool, node + (1U << stride) + index / 64) >> (index & 63) & 1;
}

/* --- one node: @slot: one that is a node; @key: an IPv4 address in the upper half ------------- */

/* Return: the covering prefix of the node if it contains the address, else @match */
static __always_inline __u64 ecbpf_trie_cover4(void *pool, __u64 slot, __u64 key, __u64 match)
{
	__u64 leaf = ecbpf_trie_word(pool, (__u32)(slot >> 32) - 1);

	return ecbpf_trie_match4(leaf, key) ? leaf : match;
}

/* The same for IPv6: a prefix of the node's path, which is stored beside it */
static __always_inline __u64 ecbpf_trie_cover6(void *pool, __u64 slot, __u64 hi, __u64 lo,
					       __u64 match)
{
	const __u64 *entry = ecbpf_trie_entry(pool, (__u32)(slot >> 32) - 4);
	__u64 leaf, is_match;

	if (!entry)
		return match;
	leaf = *(const volatile __u64 *)&entry[3];
	is_match =
		-(leaf & 1) & ecbpf_trie_is_zero(hi ^ entry[1], lo ^ entry[2], (__u32)leaf >> 24);
	return match ^ ((match ^ leaf) & is_match);
}

/* Return: the node's slot for the address */
static __always_inline __u64 ecbpf_trie_next4(void *pool, __u64 slot, __u64 key)
{
	__u32 stride = slot >> 8 & 31;

	return ecbpf_trie_slot(pool, slot >> 32, stride, key << (slot >> 16 & 31) >> (64 - stride));
}

static __always_inline __u64 ecbpf_trie_next6(void *pool, __u64 slot, __u64 hi, __u64 lo)
{
	__u32 stride = slot >> 8 & 31;

	return ecbpf_trie_slot(pool, slot >> 32, stride,
			       ecbpf_trie_bits(hi, lo, slot >> 16 & 127) >> (64 - stride));
}

/* --- the end: @slot: one that is no node; @match: the longest covering prefix, or 0 ----------- */

static __always_inline __u32 ecbpf_trie_end4(__u64 slot, __u64 key, __u64 match)
{
	if (ecbpf_trie_match4(slot, key))
		match = slot;
	return match >> 2 & ECBPF_TRIE_VALUE_MAX;
}

static __always_inline __u32 ecbpf_trie_end6(void *pool, __u64 slot, __u64 hi, __u64 lo,
					     __u64 match)
{
	const __u64 *entry;

	if (slot) {
		entry = ecbpf_trie_entry(pool, slot >> 32);
		if (entry && ecbpf_trie_is_zero(hi ^ entry[0], lo ^ entry[1], (__u32)slot >> 24))
			return entry[2];
	}
	entry = match ? ecbpf_trie_entry(pool, match >> 32) : NULL;
	return entry ? entry[2] : 0;
}

/*
 * Nodes below the root that a lookup reads by itself. The verifier walks each round of a loop, so
 * that all 63 would be 20,000 instructions in each place that looks something up. Paths of more
 * nodes are rare; what is left of them is done by a global function, which is walked once and calls
 * others for each node.
 */
#define ECBPF_TRIE_NODES 4

typedef __u32 ecbpf_trie_deep4_fn(__u64 slot, __u64 key, __u64 match);
typedef __u32 ecbpf_trie_deep6_fn(__u64 slot, __u64 hi, __u64 lo, __u64 match);

static __always_inline __u32 ecbpf_trie_find4(void *pool, __u64 roots, __be32 addr,
					      ecbpf_trie_deep4_fn *deep)
{
	__u32 node = ecbpf_trie_root_node(roots), stride = roots & ECBPF_TRIE_ROOT_STRIDE;
	__u64 key = (__u64)bpf_ntohl(addr) << 32, slot, match = 0;

	if (!stride)
		return 0;
	if (roots & ECBPF_TRIE_ROOT_COVER)
		match = ecbpf_trie_word(pool, node - 1);
	slot = ecbpf_trie_slot(pool, node, stride, key >> (64 - stride));
	for (int i = 0; ecbpf_trie_is_node(slot); i++) {
		if (i == ECBPF_TRIE_NODES)
			return deep(slot, key, match);
		if (slot & ECBPF_TRIE_COVER)
			match = ecbpf_trie_cover4(pool, slot, key, match);
		slot = ecbpf_trie_next4(pool, slot, key);
	}
	return ecbpf_trie_end4(slot, key, match);
}

static __always_inline __u32 ecbpf_trie_find6(void *pool, __u64 roots, const void *addr,
					      ecbpf_trie_deep6_fn *deep)
{
	const __be32 *words = addr; /* not 64 bits wide: packets are not aligned to that */
	__u64 hi, lo, slot, match = 0;
	__u32 node, stride;

	roots >>= 32;
	node = ecbpf_trie_root_node(roots);
	stride = roots & ECBPF_TRIE_ROOT_STRIDE;
	if (!stride)
		return 0;
	hi = (__u64)bpf_ntohl(words[0]) << 32 | bpf_ntohl(words[1]);
	lo = (__u64)bpf_ntohl(words[2]) << 32 | bpf_ntohl(words[3]);
	if (roots & ECBPF_TRIE_ROOT_COVER)
		match = ecbpf_trie_word(pool, node - 1);
	slot = ecbpf_trie_slot(pool, node, stride, hi >> (64 - stride));
	for (int i = 0; ecbpf_trie_is_node(slot); i++) {
		if (i == ECBPF_TRIE_NODES)
			return deep(slot, hi, lo, match);
		if (slot & ECBPF_TRIE_COVER)
			match = ecbpf_trie_cover6(pool, slot, hi, lo, match);
		slot = ecbpf_trie_next6(pool, slot, hi, lo);
	}
	return ecbpf_trie_end6(pool, slot, hi, lo, match);
}

/**
 * ECBPF_TRIE_LOOKUP() - define lookups of the longest prefix that contains an address
 * @name: of the functions
 * @pool: an ECBPF_TRIE_POOL()
 *
 *	__u32 NAME_lookup4(__u64 roots, __be32 addr)
 *	__u32 NAME_lookup6(__u64 roots, const void *addr)
 *
 * @roots: of the table, ecbpf_trie_head.roots
 * @addr: as in the packet; of IPv6: 16 bytes, bounds checked by the caller
 *
 * Return: value of the prefix, 0 if there is none.
 */
#define ECBPF_TRIE_LOOKUP(name, pool)                                                     \
	__noinline __u64 name##_cover4(__u64 slot, __u64 key, __u64 match)                \
	{                                                                                 \
		return ecbpf_trie_cover4(pool, slot, key, match);                         \
	}                                                                                 \
                                                                                          \
	__noinline __u64 name##_cover6(__u64 slot, __u64 hi, __u64 lo, __u64 match)       \
	{                                                                                 \
		return ecbpf_trie_cover6(pool, slot, hi, lo, match);                      \
	}                                                                                 \
                                                                                          \
	__noinline __u64 name##_next4(__u64 slot, __u64 key)                              \
	{                                                                                 \
		return ecbpf_trie_next4(pool, slot, key);                                 \
	}                                                                                 \
                                                                                          \
	__noinline __u64 name##_next6(__u64 slot, __u64 hi, __u64 lo)                     \
	{                                                                                 \
		return ecbpf_trie_next6(pool, slot, hi, lo);                              \
	}                                                                                 \
                                                                                          \
	__noinline __u32 name##_deep4(__u64 slot, __u64 key, __u64 match)                 \
	{                                                                                 \
		for (int i = 0; i < ECBPF_TRIE_DEPTH4 && ecbpf_trie_is_node(slot); i++) { \
			if (slot & ECBPF_TRIE_COVER)                                      \
				match = name##_cover4(slot, key, match);                  \
			slot = name##_next4(slot, key);                                   \
		}                                                                         \
		return ecbpf_trie_end4(slot, key, match);                                 \
	}                                                                                 \
                                                                                          \
	__noinline __u32 name##_deep6(__u64 slot, __u64 hi, __u64 lo, __u64 match)        \
	{                                                                                 \
		for (int i = 0; i < ECBPF_TRIE_DEPTH6 && ecbpf_trie_is_node(slot); i++) { \
			if (slot & ECBPF_TRIE_COVER)                                      \
				match = name##_cover6(slot, hi, lo, match);               \
			slot = name##_next6(slot, hi, lo);                                \
		}                                                                         \
		return ecbpf_trie_end6(pool, slot, hi, lo, match);                        \
	}                                                                                 \
                                                                                          \
	static __always_inline __u32 name##_lookup4(__u64 roots, __be32 addr)             \
	{                                                                                 \
		return ecbpf_trie_find4(pool, roots, addr, name##_deep4);                 \
	}                                                                                 \
                                                                                          \
	static __always_inline __u32 name##_lookup6(__u64 roots, const void *addr)        \
	{                                                                                 \
		return ecbpf_trie_find6(pool, roots, addr, name##_deep6);                 \
	}

#endif /* ECBPF_TRIE_BPF_H */
