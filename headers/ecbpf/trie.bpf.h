/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Longest-prefix match in the tables of trie.h. It compiles for user space too (testing/unit),
 * where ecbpf_trie_word() and ecbpf_trie_entry() are given by the includer.
 */
#ifndef ECBPF_TRIE_BPF_H
#define ECBPF_TRIE_BPF_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <ecbpf/trie.h>

#ifdef __bpf__
/* The pool @name of one table or several. Chunks are of one size, so that lookups are inlined */
#define ECBPF_TRIE_POOL(name)                                       \
	struct {                                                    \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);           \
		__uint(max_entries, ECBPF_TRIE_CHUNKS);             \
		__type(key, __u32);                                 \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                \
		__array(                                            \
			values, struct {                            \
				__uint(type, BPF_MAP_TYPE_ARRAY);   \
				__uint(max_entries, 1);             \
				__uint(map_flags, BPF_F_MMAPABLE);  \
				__uint(key_size, 4);                 \
				__uint(value_size, sizeof(struct ecbpf_trie_chunk)); \
			});                                         \
	} name SEC(".maps")

static __always_inline const __u64 *ecbpf_trie_chunk(void *pool, __u32 place)
{
	__u32 key = place >> ECBPF_TRIE_CHUNK_SHIFT, zero = 0;
	void *map = bpf_map_lookup_elem(pool, &key);
	const struct ecbpf_trie_chunk *chunk;

	if (!map)
		return NULL;
	chunk = bpf_map_lookup_elem(map, &zero);
	return chunk ? chunk->words : NULL;
}

/* The word at a place; 0 if there is none, which is an empty slot */
static __always_inline __u64 ecbpf_trie_word(void *pool, __u32 place)
{
	const __u64 *words = ecbpf_trie_chunk(pool, place);

	return words ? *(const volatile __u64 *)&words[place & (ECBPF_TRIE_CHUNK_WORDS - 1)] : 0;
}

/* The IPv6 entry at a place; NULL if there is none */
static __always_inline const __u64 *ecbpf_trie_entry(void *pool, __u32 place)
{
	const __u64 *words = ecbpf_trie_chunk(pool, place);

	return words ? &words[place & (ECBPF_TRIE_CHUNK_WORDS - 4)] : NULL;
}
#endif

/* Does an IPv4 address, in the upper half of @key, lie in the prefix of a leaf? */
static __always_inline bool ecbpf_trie_match4(__u64 leaf, __u64 key)
{
	return !((leaf ^ key) >> 1 >> (leaf >> 26 & 63)) && leaf;
}

static __always_inline __u32 ecbpf_trie_value4(__u64 leaf)
{
	return leaf >> 2 & ECBPF_TRIE_VALUE_MAX;
}

/* Its value, if the address lies in the prefix of the leaf, else 0 */
static __always_inline __u32 ecbpf_trie_value6(void *pool, __u64 leaf, __u64 hi, __u64 lo)
{
	__u32 len = (__u32)leaf >> 24;
	const __u64 *entry;

	if (!leaf)
		return 0;
	entry = ecbpf_trie_entry(pool, leaf >> 32);
	if (!entry)
		return 0;
	hi ^= entry[0];
	if (len > 64) {
		if (hi || (lo ^ entry[1]) >> (128 - len))
			return 0;
	} else if (len && hi >> (64 - len)) {
		return 0;
	}
	return entry[2];
}

/* The node of a root, as a slot */
static __always_inline __u64 ecbpf_trie_root(__u32 root)
{
	__u64 place = root >> ECBPF_TRIE_ROOT_SHIFT;

	return place * ECBPF_TRIE_ROOT_ALIGN << 32 | (root & ECBPF_TRIE_ROOT_STRIDE) << 8 |
	       (root & ECBPF_TRIE_ROOT_BEST) / (ECBPF_TRIE_ROOT_BEST / ECBPF_TRIE_BEST) |
	       ECBPF_TRIE_NODE;
}

/**
 * ecbpf_trie_lookup4() - longest prefix that an IPv4 address lies in
 * @pool: an ECBPF_TRIE_POOL()
 * @roots: of the table, ecbpf_trie_head.roots, read once for a packet
 * @addr: as it stands in the packet
 *
 * Return: its value, 0 if there is none.
 */
static __always_inline __u32 ecbpf_trie_lookup4(void *pool, __u64 roots, __be32 addr)
{
	__u64 key = (__u64)bpf_ntohl(addr) << 32, slot, best = 0, leaf;

	if (!(roots & ECBPF_TRIE_ROOT_STRIDE))
		return 0;
	slot = ecbpf_trie_root(roots);
	for (int i = 0; i < ECBPF_TRIE_DEPTH4; i++) {
		__u32 place = slot >> 32;

		if (slot & ECBPF_TRIE_BEST) {
			leaf = ecbpf_trie_word(pool, place - 1);
			if (ecbpf_trie_match4(leaf, key))
				best = leaf;
		}
		place += key << (slot >> 16 & 31) >> (64 - (slot >> 8 & 31));
		slot = ecbpf_trie_word(pool, place);
		if ((slot & ECBPF_TRIE_KIND) != ECBPF_TRIE_NODE) {
			if (ecbpf_trie_match4(slot, key))
				best = slot;
			break;
		}
	}
	return ecbpf_trie_value4(best);
}

/**
 * ecbpf_trie_lookup6() - longest prefix that an IPv6 address lies in
 * @addr: 16 bytes as they stand in the packet, bounds already checked
 *
 * Else as ecbpf_trie_lookup4().
 */
static __always_inline __u32 ecbpf_trie_lookup6(void *pool, __u64 roots, const void *addr)
{
	__u64 hi, lo, slot;
	__u32 best = 0, value;

	roots >>= 32;
	if (!(roots & ECBPF_TRIE_ROOT_STRIDE))
		return 0;
	/* by halves: packets are aligned to two bytes, and some machines care */
	hi = (__u64)bpf_ntohl(((const __u32 *)addr)[0]) << 32 | bpf_ntohl(((const __u32 *)addr)[1]);
	lo = (__u64)bpf_ntohl(((const __u32 *)addr)[2]) << 32 | bpf_ntohl(((const __u32 *)addr)[3]);
	slot = ecbpf_trie_root(roots);
	for (int i = 0; i < ECBPF_TRIE_DEPTH6; i++) {
		__u32 place = slot >> 32, depth = slot >> 16 & 127;
		__u64 bits;

		if (slot & ECBPF_TRIE_BEST) {
			value = ecbpf_trie_value6(pool, ecbpf_trie_word(pool, place - 1), hi, lo);
			if (value)
				best = value;
		}
		if (depth < 64) /* a stride may take bits of both halves */
			bits = hi << depth | lo >> 1 >> (63 - depth);
		else
			bits = lo << (depth - 64);
		place += bits >> (64 - (slot >> 8 & 31));
		slot = ecbpf_trie_word(pool, place);
		if ((slot & ECBPF_TRIE_KIND) != ECBPF_TRIE_NODE) {
			value = ecbpf_trie_value6(pool, slot, hi, lo);
			if (value)
				best = value;
			break;
		}
	}
	return best;
}

#endif /* ECBPF_TRIE_BPF_H */
