/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Access to the tables of the live generation.
 */
#ifndef ECBPF_FW_GENERATION_BPF_H
#define ECBPF_FW_GENERATION_BPF_H

#include "fw_maps.bpf.h"

/*
 * The slot, computed by a branch: the processor predicts it, and does not wait for the load of
 * fw_active before it reads the tables
 */
static __always_inline __u32 fw_slot_of(__u32 active)
{
	__u32 slot = 0;

	if (active & ECBPF_FW_SLOT) {
		slot = 1;
		barrier_var(slot);
	}
	return slot;
}

static __always_inline const struct ecbpf_fw_small *fw_small_get(__u32 active)
{
	__u32 slot = fw_slot_of(active), key = 0;
	void *map = bpf_map_lookup_elem(&fw_small, &slot);

	return map ? bpf_map_lookup_elem(map, &key) : NULL;
}

static __always_inline const union ecbpf_fw_cell *fw_cells(void *map, __u32 entry)
{
	const struct ecbpf_fw_cells *cells = bpf_map_lookup_elem(map, &entry);

	return cells ? cells->cells : NULL;
}

static __always_inline const union ecbpf_fw_cell *fw_medium_get(__u32 active)
{
	__u32 slot = active & ECBPF_FW_SLOT;
	void *map = bpf_map_lookup_elem(&fw_medium, &slot);

	return map ? fw_cells(map, 0) : NULL;
}

static __always_inline const union ecbpf_fw_cell *fw_large_get(__u32 active, __u32 entry)
{
	__u32 slot = active & ECBPF_FW_SLOT;
	void *map = bpf_map_lookup_elem(&fw_large, &slot);

	return map ? fw_cells(map, entry) : NULL;
}

static __always_inline const struct ecbpf_fw_tables *fw_cells_tables(const union ecbpf_fw_cell *s)
{
	if (!s)
		return NULL;
	barrier_var(s); /* no arithmetic before the NULL check */
	return (const void *)&s[ECBPF_FW_TABLES_CELL];
}

static __always_inline const struct ecbpf_fw_tables *fw_tables(__u32 active)
{
	switch (active & ~ECBPF_FW_SLOT) {
	case ECBPF_FW_SMALL: {
		const struct ecbpf_fw_small *small = fw_small_get(active);

		return small ? &small->tables : NULL;
	}
	case ECBPF_FW_MEDIUM:
		return fw_cells_tables(fw_medium_get(active));
	case ECBPF_FW_LARGE:
		return fw_cells_tables(fw_large_get(active, ECBPF_FW_LARGE_TABLES));
	default:
		return NULL;
	}
}

/* The same, of a medium or large generation */
static __always_inline const struct ecbpf_fw_tables *fw_cells_tables_get(__u32 active)
{
	if ((active & ~ECBPF_FW_SLOT) == ECBPF_FW_MEDIUM)
		return fw_cells_tables(fw_medium_get(active));
	return fw_cells_tables(fw_large_get(active, ECBPF_FW_LARGE_TABLES));
}

/* Mask for the index of a rule: as a bound it costs no branch, and the tables are larger */
#define FW_INDEX_MASK 16383
_Static_assert(ECBPF_FW_RULES_MAX <= FW_INDEX_MASK + 1, "masked");

/*
 * Is an index in bounds? The barriers keep it in one 64-bit register: kernels before 6.6 do not
 * carry a bound over to values that were computed from the index before the check.
 */
#define FW_IS_BELOW(index, max)                    \
	({                                         \
		bool is_below;                     \
		barrier_var(index);                \
		is_below = (index) < (__u64)(max); \
		if (is_below)                      \
			barrier_var(index);        \
		is_below;                          \
	})

/* The chunk that has word @block of a vector; the barrier lets the verifier see its bound */
static __always_inline __u64 fw_chunk(__u64 block)
{
	__u64 chunk = block / ECBPF_FW_CHUNK;

	barrier_var(chunk);
	return chunk;
}

/* Number of the lowest bit that is set; @bits is not 0 */
static __always_inline __u32 fw_lowest(__u64 bits)
{
	static const __u8 number[64] = {
		0,  1,	2,  53, 3,  7,	54, 27, 4,  38, 41, 8,	34, 55, 48, 28,
		62, 5,	39, 46, 44, 42, 22, 9,	24, 35, 59, 56, 49, 18, 29, 11,
		63, 52, 6,  26, 37, 40, 33, 47, 61, 45, 43, 21, 23, 58, 17, 10,
		51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15, 30, 14, 13, 12,
	};

	return number[(bits & -bits) * 0x022fdd63cc95386dULL >> 58] & 63;
}

/* The rule of the lowest bit of word @block. Masked: 6.1 does not see the bound of the index */
static __always_inline __u32 fw_rule_at(const struct ecbpf_fw_tables *t, __u64 block, __u64 bits)
{
	__u64 position = block * 64 + fw_lowest(bits);

	barrier_var(position);
	return t->rules[position & FW_INDEX_MASK];
}

#endif /* ECBPF_FW_GENERATION_BPF_H */
