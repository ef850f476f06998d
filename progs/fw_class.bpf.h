/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Equivalence classes of the values of a packet: longest-prefix match of addresses, tables of
 * fields.
 */
#ifndef ECBPF_FW_CLASS_BPF_H
#define ECBPF_FW_CLASS_BPF_H

#include "fw_generation.bpf.h"
#include "fw_packet.bpf.h"

/*
 * An index into words is kept in one 64-bit register and masked right before its use: kernels
 * before 6.6 lose the bounds of 32-bit halves and of sums.
 */
static __always_inline __u32 fw_word(const __u32 *words, __u64 index, __u64 mask)
{
	barrier_var(index);
	return words[index & mask];
}

static __always_inline const __u32 *fw_leaf(const __u32 *words, __u64 index, __u64 mask)
{
	barrier_var(index);
	return &words[index & mask];
}

/* Mask for the bits of an address that index a node: 8 or 4 bits */
static __always_inline __u32 fw_node_bits(__u32 node)
{
	_Static_assert(ECBPF_FW_LPM_WIDE == 1U << 27, "shifted by 4, the sign");
	return ((__s32)(node << 4) >> 31 & 0xf0) | 0xf;
}

/* Follow a word that is a reference. Return: the next word */
static __always_inline __u32 fw_lpm4_step(const __u32 *words, __u64 mask, __u32 word, __u32 addr)
{
	const __u32 *leaf;

	if (!(word & ECBPF_FW_LPM_LEAF))
		/* the mask removes the bits above the node's first word */
		return fw_word(words,
			       (word << 4) + (addr >> (word >> ECBPF_FW_LPM_SHIFT & 31) &
					      fw_node_bits(word)),
			       mask);
	leaf = fw_leaf(words, word << 2, mask & ~3);
	return (addr ^ leaf[0]) & leaf[1] ? leaf[3] : leaf[2];
}

/*
 * So many steps are done at once for IPv6: the verifier walks each round of a loop. Few addresses
 * need more
 */
#define FW_LPM6_PART  6
#define FW_LPM6_BEGIN 0 /* no reference */

/* @mask: number of words - 1. Return: the class of the address */
static __always_inline __u32 fw_lpm4(const __u32 *words, __u64 mask,
				     const struct ecbpf_fw_root *root, __u32 addr)
{
	__u32 word =
		fw_word(words, root->at + (addr >> (32 - ECBPF_FW_LPM_ROOT4) & root->mask), mask);

	for (int i = 0; i < ECBPF_FW_LPM_STEPS4; i++) {
		if (!(word & ECBPF_FW_LPM_REFERENCE))
			break;
		word = fw_lpm4_step(words, mask, word, addr);
	}
	return word;
}

/*
 * Follow a word of an IPv6 address, FW_LPM6_PART steps at most. @word: FW_LPM6_BEGIN: begin at the
 * root. Return: the class, or the word that is to be followed
 */
static __always_inline __u32 fw_lpm6(const __u32 *words, __u64 mask,
				     const struct ecbpf_fw_root *root, const __be32 *addr,
				     __u64 word)
{
	__u64 high = (__u64)bpf_ntohl(addr[0]) << 32 | bpf_ntohl(addr[1]);
	__u64 low = (__u64)bpf_ntohl(addr[2]) << 32 | bpf_ntohl(addr[3]);

	if (word == FW_LPM6_BEGIN)
		word = fw_word(words, root->at + (high >> (64 - ECBPF_FW_LPM_ROOT6) & root->mask),
			       mask);
	for (int i = 0; i < FW_LPM6_PART; i++) {
		if (!(word & ECBPF_FW_LPM_REFERENCE))
			break;
		if (word & ECBPF_FW_LPM_LEAF) {
			const __u32 *leaf = fw_leaf(words, word << 4, mask & ~15);
			const __u64 *wide = (const __u64 *)leaf;

			word = ((high ^ wide[0]) & wide[2]) | ((low ^ wide[1]) & wide[3]) ? leaf[9]
											  : leaf[8];
		} else {
			__u32 shift = word >> ECBPF_FW_LPM_SHIFT & 127;
			__u64 half = shift & 64 ? high : low;

			word = fw_word(words,
				       (word << 4) + (half >> (shift & 63) & fw_node_bits(word)),
				       mask);
		}
	}
	return word;
}

/*
 * The class of the packet's IPv6 address; @side: 0: source, 1: destination; @word: as of fw_lpm6().
 * The address is read last: its words would need stack across the lookups
 */
__noinline __u32 fw_class6_part(__u32 active, __u64 side, __u32 word)
{
	const struct ecbpf_fw_tables *t = fw_tables(active);
	const struct fw_packet *p = fw_packet();
	const struct ecbpf_fw_small *small;
	const union ecbpf_fw_cell *cells;
	const struct ecbpf_fw_root *root;
	const __be32 *addr;

	if (!t || !p)
		return ECBPF_FW_ANY;
	barrier_var(side);
	root = &t->roots[side & 1][1];
	addr = p->addr[side & 1];
	if ((active & ~ECBPF_FW_SLOT) == ECBPF_FW_SMALL) {
		small = fw_small_get(active);
		return small ? fw_lpm6(small->words, ECBPF_FW_SMALL_WORDS - 1, root, addr, word)
			     : 0;
	}
	cells = (active & ~ECBPF_FW_SLOT) == ECBPF_FW_MEDIUM
			? fw_medium_get(active)
			: fw_large_get(active, ECBPF_FW_SRC + side);
	return cells ? fw_lpm6(cells->words, ECBPF_FW_CELLS * 16 - 1, root, addr, word) : 0;
}

/* The class of an address that one call did not find */
__noinline __u32 fw_class6_rest(__u32 active, __u64 side, __u32 word)
{
	for (int i = 0; i < ECBPF_FW_LPM_STEPS6 / FW_LPM6_PART; i++) {
		if (!(word & ECBPF_FW_LPM_REFERENCE))
			break;
		word = fw_class6_part(active, side, word);
	}
	return word;
}

static __always_inline __u32 fw_class6(__u32 active, __u64 side)
{
	__u32 word = fw_class6_part(active, side, FW_LPM6_BEGIN);

	return word & ECBPF_FW_LPM_REFERENCE ? fw_class6_rest(active, side, word) : word;
}

/* The class of a value in dimension @dim; @fields: see fw_fields() */
static __always_inline __u32 fw_class(const struct ecbpf_fw_tables *t,
				      const struct ecbpf_fw_field *fields, enum ecbpf_fw_dim dim,
				      __u32 value)
{
	__u64 off = fields[dim].off + ((value & fields[dim].mask) << 1);

	barrier_var(off); /* as in fw_word() */
	return *(const __u16 *)((const void *)t + (off & (ECBPF_FW_TABLES_SIZE - 2)));
}

static __always_inline const struct ecbpf_fw_field *fw_fields(const struct ecbpf_fw_tables *t,
							      __u64 l4)
{
	barrier_var(l4); /* else clang knows the values of fw_l4_table, and omits the mask */
	return t->fields[l4 & (ECBPF_FW_L4_MAX - 1)];
}

#endif /* ECBPF_FW_CLASS_BPF_H */
