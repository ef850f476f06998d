/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sets of addresses that rules test.
 */
#ifndef ECBPF_FW_SET_BPF_H
#define ECBPF_FW_SET_BPF_H

#include "fw_generation.bpf.h"
#include "fw_packet.bpf.h"

ECBPF_TRIE_LOOKUP(fw_set, &fw_set_pool)

/* @use: ecbpf_fw_tables.uses. Return: 1 if the packet's address is in the set, else 0 */
__noinline int fw_set_has(__u32 use)
{
	__u32 id = use & 0xffff;
	const struct ecbpf_trie_head *head = bpf_map_lookup_elem(&fw_sets, &id);
	struct fw_packet *p = fw_packet();
	const __be32 *addr;
	__u64 roots;

	if (!head || !p || !(use & ECBPF_FW_USE_IP6) != !p->is_ip6)
		return 0;
	roots = *(const volatile __u64 *)&head->roots;
	addr = use & ECBPF_FW_USE_DST ? p->addr[1] : p->addr[0];
	if (use & ECBPF_FW_USE_IP6)
		return !!fw_set_lookup6(roots, addr);
	return !!fw_set_lookup4(roots, *addr);
}

/* Sets that one call looks at: the verifier walks each round of a loop */
#define FW_SETS_PART 16

/*
 * Look the packet up in FW_SETS_PART sets from number @from on: fw_packet.found gets a bit for each
 * use whose set has it. In memory: in a register, kernels before 6.3 would track its value and walk
 * all subsets of the bits. Medium and large only. Return: 1 if there are more sets
 */
__noinline int fw_sets_part(__u32 active, __u32 from)
{
	const struct ecbpf_fw_tables *t = fw_cells_tables_get(active);
	volatile struct fw_packet *p = fw_packet();

	if (!t || !p)
		return 0;
	if (!from)
		p->found = 0;
	for (__u32 i = 0; i < FW_SETS_PART; i++) {
		__u64 number = from + i;

		if (number >= t->uses_count)
			return 0;
		barrier_var(number);
		number &= ECBPF_FW_USES_MAX - 1;
		if (fw_set_has(t->uses[number]))
			p->found |= 1ULL << number;
	}
	return from + FW_SETS_PART < t->uses_count;
}

__noinline int fw_sets_rest(__u32 active)
{
	for (__u32 from = FW_SETS_PART; from < ECBPF_FW_USES_MAX; from += FW_SETS_PART) {
		if (!fw_sets_part(active, from))
			break;
	}
	return 0;
}

static __always_inline void fw_sets_find(__u32 active)
{
	if (fw_sets_part(active, 0))
		fw_sets_rest(active);
}

/*
 * Return: the rules of word @block whose tests of FW_SETS_PART sets from number @from on the packet
 * passes; medium and large only
 */
__noinline __u64 fw_sets_word(__u32 active, __u64 block, __u64 from)
{
	const struct ecbpf_fw_tables *t = fw_cells_tables_get(active);
	const union ecbpf_fw_cell *cells;
	struct fw_packet *p = fw_packet();
	__u64 bits = ~0ULL, found;

	if (!t || !p)
		return 0;
	found = p->found;
	cells = (active & ~ECBPF_FW_SLOT) == ECBPF_FW_MEDIUM
			? fw_medium_get(active)
			: fw_large_get(active, ECBPF_FW_LARGE_SETS);
	if (!cells)
		return 0;
	for (__u32 i = 0; i < FW_SETS_PART; i++) {
		__u64 number = from + i, cell;

		if (number >= t->uses_count || !FW_IS_BELOW(block, ECBPF_FW_BLOCKS))
			break;
		barrier_var(number);
		number &= ECBPF_FW_USES_MAX - 1;
		cell = t->use_classes[number][found >> number & 1];
		cell = cells[cell].vector.chunks[fw_chunk(block)];
		bits &= cells[cell].chunk[block % ECBPF_FW_CHUNK];
	}
	return bits;
}

#endif /* ECBPF_FW_SET_BPF_H */
