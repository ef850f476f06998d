/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sets of addresses that rules test.
 */
#ifndef ECBPF_FW_SET_BPF_H
#define ECBPF_FW_SET_BPF_H

#include "fw_generation.bpf.h"
#include "fw_packet.bpf.h"

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
		return !!ecbpf_trie_lookup6(&fw_set_pool, roots, addr);
	return !!ecbpf_trie_lookup4(&fw_set_pool, roots, *addr);
}

/*
 * Look the packet up in all sets: fw_packet.found gets a bit for each use whose set has it. In
 * memory: in a register, kernels before 6.3 would track its value and walk all subsets of the bits.
 */
__noinline int fw_sets_find(__u32 active)
{
	const struct ecbpf_fw_tables *t = fw_tables(active);
	volatile struct fw_packet *p = fw_packet();

	if (!t || !p)
		return 0;
	p->found = 0;
	for (__u32 i = 0; i < ECBPF_FW_USES_MAX; i++) {
		__u32 use;

		if (i >= t->uses_count)
			break;
		use = t->uses[i];
		if (fw_set_has(use))
			p->found |= 1ULL << i;
	}
	return 0;
}

/* Return: the rules of word @block whose tests of sets the packet passes; medium and large only */
__noinline __u64 fw_sets_word(__u32 active, __u64 block)
{
	const struct ecbpf_fw_tables *t = fw_tables(active);
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
	for (__u32 i = 0; i < ECBPF_FW_USES_MAX; i++) {
		__u64 cell;

		if (i >= t->uses_count || !FW_IS_BELOW(block, ECBPF_FW_BLOCKS))
			break;
		cell = t->use_classes[i][found >> i & 1];
		cell = cells[cell].vector.chunks[fw_chunk(block)];
		bits &= cells[cell].chunk[block % ECBPF_FW_CHUNK];
	}
	return bits;
}

#endif /* ECBPF_FW_SET_BPF_H */
