/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Search in a medium or large generation.
 */
#ifndef ECBPF_FW_LARGE_BPF_H
#define ECBPF_FW_LARGE_BPF_H

#include "fw_class.bpf.h"
#include "fw_rule.bpf.h"
#include "fw_set.bpf.h"

/* Store the classes of the addresses; @src, @dst: words of the dimensions; @mask: how many, - 1 */
static __always_inline void fw_class_addrs(__u32 active, struct fw_packet *p,
					   const struct ecbpf_fw_tables *t, const __u32 *src,
					   const __u32 *dst, __u64 mask)
{
	if (p->is_ip6) {
		p->class[ECBPF_FW_SRC] = fw_class6(active, 0);
		p->class[ECBPF_FW_DST] = fw_class6(active, 1);
	} else {
		p->class[ECBPF_FW_SRC] =
			fw_lpm4(src, mask, &t->roots[0][0], bpf_ntohl(p->addr[0][0]));
		p->class[ECBPF_FW_DST] =
			fw_lpm4(dst, mask, &t->roots[1][0], bpf_ntohl(p->addr[1][0]));
	}
	barrier(); /* values read back from the map are unknown to the verifier */
}

/* The memory of a dimension; @map: the generation */
static __always_inline const union ecbpf_fw_cell *fw_dim_cells(void *map, __u32 *key, __u32 dim,
							       bool is_large)
{
	const struct ecbpf_fw_cells *cells;

	*key = is_large ? dim : 0;
	cells = bpf_map_lookup_elem(map, key);
	return cells ? cells->cells : NULL;
}

/*
 * Search. One long function, because each call would keep values on the stack, which is full.
 * Return: the deciding rule so far; if nothing is pending, it is final and counted
 */
static __always_inline __u32 fw_match_vectors(__u32 active, void *map, const bool is_large)
{
	const __u32 blocks = is_large ? ECBPF_FW_BLOCKS : ECBPF_FW_MEDIUM_RULES / 64;
	const __u32 summary_words = is_large ? ECBPF_FW_SUMMARY_WORDS : 1;
	const union ecbpf_fw_cell *base, *dst;
	const struct ecbpf_fw_field *fields;
	const struct ecbpf_fw_tables *t;
	volatile struct fw_packet *p = fw_packet();
	__u32 key = 0;

	t = fw_cells_tables(fw_dim_cells(map, &key, ECBPF_FW_LARGE_TABLES, is_large));
	base = fw_dim_cells(map, &key, ECBPF_FW_SRC, is_large);
	dst = is_large ? fw_dim_cells(map, &key, ECBPF_FW_DST, is_large) : base;
	if (!p || !t || !base || !dst)
		return FW_UNDECIDED;
	fw_class_addrs(active, (struct fw_packet *)p, t, base->words, dst->words,
		       ECBPF_FW_CELLS * 16 - 1);
	fields = fw_fields(t, p->l4);
	p->rule = FW_UNDECIDED;
	p->summary_at = 0;
	p->pending_count = 0;
#pragma unroll
	for (__u32 i = 0; i < summary_words; i++)
		p->summary[i] = ~0ULL;
#pragma unroll
	for (int dim = 0; dim < ECBPF_FW_DIMS; dim++) {
		const struct ecbpf_fw_vector *vector;
		__u64 class;

		if (is_large)
			base = fw_dim_cells(map, &key, dim, is_large);
		if (!base)
			return FW_UNDECIDED;
		if (dim == ECBPF_FW_SRC || dim == ECBPF_FW_DST) {
			class = p->class[dim];
		} else {
			class = fw_class(t, fields, dim, p->value[dim]);
			p->class[dim] = class;
		}
		barrier_var(class);
		vector = &base[class & (ECBPF_FW_CELLS - 1)].vector;
#pragma unroll
		for (__u32 i = 0; i < summary_words; i++)
			p->summary[i] &= vector->summary[i];
		barrier(); /* here and below: keep values in memory, not on the stack */
	}
	if (t->uses_count && !is_large)
		fw_sets_find(active);

	for (__u32 i = 0; i < blocks + summary_words; i++) {
		__u64 bits = ~0ULL, pending, summary_at, block, at;
		__u32 rule;

		/* else clang computes member addresses before the loop, and spills them */
		barrier_var(p);
		barrier_var(t);
		block = p->summary_at;
		if (!FW_IS_BELOW(block, summary_words))
			break;
		summary_at = p->summary[block];
		if (!summary_at) {
			p->summary_at = block + 1;
			continue;
		}
		p->summary[block] = summary_at & (summary_at - 1);
		block = block * 64 + fw_lowest(summary_at);
		if (!FW_IS_BELOW(block, blocks))
			break;
		if (t->first[block] >= p->rule >> ECBPF_FW_RULE_INDEX)
			continue;
#pragma unroll
		for (int dim = 0; dim < ECBPF_FW_DIMS; dim++) {
			__u64 cell = p->class[dim];

			if (is_large)
				base = fw_dim_cells(map, &key, dim, is_large);
			if (!base)
				return FW_UNDECIDED;
			cell = base[cell].vector.chunks[fw_chunk(block)];
			bits &= base[cell].chunk[block % ECBPF_FW_CHUNK];
		}
		if (bits && t->uses_count)
			bits &= fw_sets_word(active, block);
		pending = bits & ~t->deciding[block];
		bits &= t->deciding[block];
		if (bits) {
			rule = fw_rule_at(t, block, bits);
			if (rule < p->rule)
				p->rule = rule;
		}
		if (pending) {
			at = p->pending_count;
			if (!FW_IS_BELOW(at, blocks))
				break;
			p->pending[at] = pending;
			p->pending_block[at] = block;
			p->pending_count = at + 1;
		}
	}
	return p->pending_count ? p->rule : fw_end(t, p->rule, p->frame_len);
}

__noinline __u32 fw_match_medium(__u32 active)
{
	__u32 slot = active & ECBPF_FW_SLOT;
	void *map = bpf_map_lookup_elem(&fw_medium, &slot);

	return map ? fw_match_vectors(active, map, false) : FW_UNDECIDED;
}

__noinline __u32 fw_match_large(__u32 active)
{
	__u32 slot = active & ECBPF_FW_SLOT;
	void *map = bpf_map_lookup_elem(&fw_large, &slot);

	return map ? fw_match_vectors(active, map, true) : FW_UNDECIDED;
}

static __always_inline __u32 fw_match(__u32 active)
{
	if ((active & ~ECBPF_FW_SLOT) == ECBPF_FW_MEDIUM)
		return fw_match_medium(active);
	/* called here: deeper, the stack of ecbpf_fused would exceed 512 bytes */
	fw_sets_find(active);
	return fw_match_large(active);
}

#endif /* ECBPF_FW_LARGE_BPF_H */
