/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Longest-prefix match: layout of a table of prefixes in its maps. trie.bpf.h looks addresses up,
 * lib/bpf/trie*.c write.
 *
 * A table has two tries, IPv4 and IPv6, in a pool: an array of maps, each of which is one chunk of
 * 64-bit words. A word index counts words from the start of the pool; a block of words may extend
 * from one chunk into the next. All words are in host byte order.
 *
 * Keys are 128 bits, IPv4 in the highest 32. A node at depth D with stride S stands for keys that
 * agree in their first D bits and has 2^S slots, chosen by the next S; both are even. A path may
 * skip bits (path compression): they are checked at the end, when each prefix found on the path is
 * compared with the whole key. A slot is a word:
 *
 *	empty	0
 *	leaf	a prefix that covers the slot and ends in this node, or the only one below the slot
 *	node	word index of its slot 0, depth, stride, and whether the word before slot 0 holds
 *		its covering prefix: a leaf that covers the whole node, or ends in skipped bits
 *
 * The slots of a wide node are followed by a bitmap of them, 64 bits to a word, lowest first. A bit
 * is 0 if the slot is empty; then the slot is not read. Most addresses are in no list; 512 KiB of
 * bitmap stay in the cache where 32 MiB of slots do not.
 *
 * The last leaf on the path that matches the key is the answer. So a change of the table stores one
 * word in each slot that it concerns, and a concurrent lookup sees the table as before the change
 *or as after it.
 *
 *	bits	63..32		31..26	 25..2		1..0
 *	leaf4	address		63 - len value		1
 *	leaf6	index of entry	len, 31..24, 23..2: 0	3
 *	node	index of slot 0	depth, 22..16; stride, 12..8; has a covering prefix, 2	2
 *
 * An IPv6 entry is four words, aligned: address (high, low), value, 0.
 *
 * ABI: see ECBPF_SCHEMA.
 */
#ifndef ECBPF_TRIE_H
#define ECBPF_TRIE_H

#include <linux/types.h>

#define ECBPF_TRIE_CHUNK_SHIFT 17 /* words of a chunk: 1 MiB */
#define ECBPF_TRIE_CHUNK_WORDS (1 << ECBPF_TRIE_CHUNK_SHIFT)
#define ECBPF_TRIE_CHUNKS      1024 /* of a pool, at most */

/* Values are 1 and up: 0 is "no prefix matches" */
#define ECBPF_TRIE_VALUE_BITS 24
#define ECBPF_TRIE_VALUE_MAX  ((1U << ECBPF_TRIE_VALUE_BITS) - 1)

/* A slot's kind */
#define ECBPF_TRIE_KIND	 3
#define ECBPF_TRIE_LEAF4 1
#define ECBPF_TRIE_NODE	 2
#define ECBPF_TRIE_LEAF6 3
#define ECBPF_TRIE_COVER 4 /* the node has a covering prefix */

#define ECBPF_TRIE_STRIDE     2	 /* of a node, 64 bytes; full nodes have multiples of it */
#define ECBPF_TRIE_STRIDE_MAX 22 /* 32 MiB */
#define ECBPF_TRIE_WIDE	      12 /* nodes of this stride and more have a bitmap of their slots */
#define ECBPF_TRIE_DEPTH4     (32 / ECBPF_TRIE_STRIDE)
#define ECBPF_TRIE_DEPTH6     (128 / ECBPF_TRIE_STRIDE)

struct ecbpf_trie_chunk {
	__u64 words[ECBPF_TRIE_CHUNK_WORDS];
};

/*
 * A root: word index of its node in units of 32, bits 31..8; has a covering prefix, bit 5; stride,
 * 4..0, which is 0 if there are no prefixes. Its depth is 0.
 */
#define ECBPF_TRIE_ROOT_STRIDE 31
#define ECBPF_TRIE_ROOT_COVER  32
#define ECBPF_TRIE_ROOT_SHIFT  8
#define ECBPF_TRIE_ROOT_ALIGN  32

#define ECBPF_TRIE_JOURNAL 256 /* prefixes that a change without a new generation can have */

/* A change of one prefix; see lib/bpf/trie.h */
struct ecbpf_trie_op {
	__u64 hi;
	__u64 lo;
	__u32 value; /* 0: delete */
	__u8 family; /* 4 or 6 */
	__u8 len;
	__u16 reserved;
};

/**
 * struct ecbpf_trie_head - head of a table: an entry of an array map
 * @roots: of IPv4 in the lower half, of IPv6 in the upper one: a generation is published by storing
 *	   this word. 0: no generation yet
 * @dirty: a change is in progress, or was when its writer died
 * @journal_count: entries of @journal that are not done yet
 */
struct ecbpf_trie_head {
	__u64 roots;
	__u32 dirty;
	__u32 journal_count;
	struct ecbpf_trie_op journal[ECBPF_TRIE_JOURNAL];
};
_Static_assert(sizeof(struct ecbpf_trie_head) == 16 + 24 * ECBPF_TRIE_JOURNAL, "ABI");

#endif /* ECBPF_TRIE_H */
