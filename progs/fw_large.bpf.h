/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Search in a medium or large generation.
 */
#ifndef ECBPF_FW_LARGE_BPF_H
#define ECBPF_FW_LARGE_BPF_H

#include "fw_class.bpf.h"
#include "fw_rule.bpf.h"
#include "fw_set.bpf.h"

/*
 * A search is done in parts of so many words of the vectors: the verifier walks each round of a
 * loop. Nearly all packets need one part.
 */
#define FW_PART 8

/* The search is not at its end, and to be continued: right now; when sets are looked up */
#define FW_MORE 0xfffffffeU
#define FW_SETS 0xfffffffdU

/*
 * Store the classes of IPv4 addresses; @src, @dst: words of the dimensions; @mask: how many, - 1.
 * Those of IPv6 addresses have been stored before: see fw_match()
 */
static __always_inline void fw_class_addrs(struct fw_packet *p, const struct ecbpf_fw_tables *t,
					   const __u32 *src, const __u32 *dst, __u64 mask)
{
	if (!p->is_ip6) {
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
 * Prepare a search: classes of all fields, and the words of the vectors that are to be read.
 * Return: false if a map is not there
 */
static __always_inline bool fw_match_begin(void *map, const struct ecbpf_fw_tables *t,
					   volatile struct fw_packet *p, const bool is_large)
{
	const __u32 summary_words = is_large ? ECBPF_FW_SUMMARY_WORDS : 1;
	const union ecbpf_fw_cell *base, *dst;
	const struct ecbpf_fw_field *fields;
	__u32 key = 0;

	base = fw_dim_cells(map, &key, ECBPF_FW_SRC, is_large);
	dst = is_large ? fw_dim_cells(map, &key, ECBPF_FW_DST, is_large) : base;
	if (!base || !dst)
		return false;
	fw_class_addrs((struct fw_packet *)p, t, base->words, dst->words, ECBPF_FW_CELLS * 16 - 1);
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
			return false;
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
	return true;
}

/*
 * Search. One long function, because each call would keep values on the stack, which is full.
 * Return: the deciding rule so far; if nothing is pending, it is final and counted. Or FW_MORE,
 * FW_SETS
 */
static __always_inline __u32 fw_match_vectors(__u32 active, void *map, bool is_begun,
					      const bool is_large)
{
	const __u32 blocks = is_large ? ECBPF_FW_BLOCKS : ECBPF_FW_MEDIUM_RULES / 64;
	const __u32 summary_words = is_large ? ECBPF_FW_SUMMARY_WORDS : 1;
	const union ecbpf_fw_cell *base;
	const struct ecbpf_fw_tables *t;
	volatile struct fw_packet *p = fw_packet();
	__u32 key = 0;

	t = fw_cells_tables(fw_dim_cells(map, &key, ECBPF_FW_LARGE_TABLES, is_large));
	if (!p || !t)
		return FW_UNDECIDED;
	if (!is_begun) {
		if (!fw_match_begin(map, t, p, is_large))
			return FW_UNDECIDED;
		if (t->uses_count)
			return FW_SETS;
	}
	base = is_large ? NULL : fw_dim_cells(map, &key, 0, is_large);
	for (int i = 0; i < FW_PART; i++) {
		__u64 bits = ~0ULL, pending, summary_at, block, at;
		__u32 rule;

		/* else clang computes member addresses before the loop, and spills them */
		barrier_var(p);
		barrier_var(t);
		block = p->summary_at;
		if (!FW_IS_BELOW(block, summary_words))
			goto out;
		summary_at = p->summary[block];
		if (!summary_at) {
			p->summary_at = block + 1;
			continue;
		}
		p->summary[block] = summary_at & (summary_at - 1);
		block = block * 64 + fw_lowest(summary_at);
		if (!FW_IS_BELOW(block, blocks))
			goto out;
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
		for (__u64 from = 0; from < ECBPF_FW_USES_MAX; from += FW_SETS_PART) {
			if (!bits || from >= t->uses_count)
				break;
			bits &= fw_sets_word(active, block, from);
		}
		pending = bits & ~t->deciding[block];
		bits &= t->deciding[block];
		if (bits) {
			rule = fw_rule_at(t, block, bits);
			if (rule < p->rule)
				p->rule = rule;
		}
		if (pending) {
			at = p->pending_count;
			barrier_var(at);
			p->pending[at & (FW_PENDING - 1)] = pending;
			p->pending_block[at & (FW_PENDING - 1)] = block;
			p->pending_count = at + 1;
		}
	}
	return FW_MORE;
out:
	return p->pending_count ? p->rule : fw_end(t, p->rule, p->frame_len);
}

/* @is_begun: 0 for the first part of a search, 1 for the next ones */
__noinline __u32 fw_match_medium(__u32 active, __u32 is_begun)
{
	__u32 slot = active & ECBPF_FW_SLOT;
	void *map = bpf_map_lookup_elem(&fw_medium, &slot);

	return map ? fw_match_vectors(active, map, is_begun, false) : FW_UNDECIDED;
}

__noinline __u32 fw_match_large(__u32 active, __u32 is_begun)
{
	__u32 slot = active & ECBPF_FW_SLOT;
	void *map = bpf_map_lookup_elem(&fw_large, &slot);

	return map ? fw_match_vectors(active, map, is_begun, true) : FW_UNDECIDED;
}

static __always_inline __u32 fw_match_part(__u32 active, __u32 is_begun)
{
	return (active & ~ECBPF_FW_SLOT) == ECBPF_FW_MEDIUM ? fw_match_medium(active, is_begun)
							    : fw_match_large(active, is_begun);
}

/* What is left of a search after its first part */
__noinline __u32 fw_match_rest(__u32 active)
{
	const __u32 rounds = ECBPF_FW_BLOCKS + ECBPF_FW_SUMMARY_WORDS;

	for (__u32 i = 0; i <= rounds / FW_PART; i++) {
		__u32 rule = fw_match_part(active, 1);

		if (rule != FW_MORE)
			return rule;
	}
	return FW_UNDECIDED; /* never */
}

/* Classes of IPv6 and sets are looked up here: deeper, ecbpf_fused would need too much stack */
static __always_inline __u32 fw_match(__u32 active, struct fw_packet *p)
{
	__u32 rule;

	if (p->is_ip6) {
		p->class[ECBPF_FW_SRC] = fw_class6(active, 0);
		p->class[ECBPF_FW_DST] = fw_class6(active, 1);
	}
	rule = fw_match_part(active, 0);
	if (rule == FW_SETS) {
		fw_sets_find(active);
		rule = fw_match_part(active, 1);
	}
	return rule == FW_MORE ? fw_match_rest(active) : rule;
}

#endif /* ECBPF_FW_LARGE_BPF_H */
