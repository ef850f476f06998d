// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Bit vectors and their classes: equal vectors are stored once, and so are equal chunks of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/internal.h"
#include "fw/build.h"

#define ROW_BYTES (ECBPF_FW_BLOCKS * sizeof(__u64))
#define HASH_SIZE (2UL * ECBPF_FW_SLOTS)

void fw_row_set(__u64 *row, size_t bit, bool value)
{
	__u64 mask = 1ULL << (bit % 64);

	row[bit / 64] = value ? row[bit / 64] | mask : row[bit / 64] & ~mask;
}

void fw_row_flip(__u64 *row, size_t bit)
{
	row[bit / 64] ^= 1ULL << (bit % 64);
}

struct space *fw_space_of(struct build *b, size_t dim)
{
	return &b->spaces[b->size == ECBPF_FW_LARGE ? dim : 0];
}

/* Slot with this content. Return: its number, 0 if there is no room */
static __u16 space_intern(struct space *space, const union ecbpf_fw_slot *slot)
{
	__u64 hash = 0;
	__u32 at;

	for (size_t i = 0; i < ECBPF_FW_CHUNK; i++)
		hash = (hash ^ slot->chunk[i]) * 0x9e3779b97f4a7c15ULL ^ hash >> 29;
	for (at = hash >> 32;; at++) {
		at %= HASH_SIZE;
		if (!space->hash[at])
			break;
		if (!memcmp(&space->slots[space->hash[at]], slot, sizeof(*slot)))
			return space->hash[at];
	}
	if (space->next >= space->end)
		return 0;
	space->slots[space->next] = *slot;
	space->hash[at] = space->next;
	return space->next++;
}

static int small_class(struct build *b, __u64 row, __u16 *ret_class)
{
	__u64 *rows = b->small->rows;

	for (size_t i = b->small_rows; i > ECBPF_FW_ANY; i--) {
		if (rows[i - 1] != row)
			continue;
		*ret_class = i - 1;
		return 0;
	}
	if (b->small_rows == ECBPF_FW_SMALL_CLASSES)
		return -E2BIG;
	*ret_class = b->small_rows;
	rows[b->small_rows++] = row;
	return 0;
}

/* The class of the row at work */
int fw_row_class(struct build *b, size_t dim, __u16 *ret_class)
{
	union ecbpf_fw_slot row = {};
	__u16 class;

	if (b->size == ECBPF_FW_SMALL)
		return small_class(b, b->row[0], ret_class);
	for (size_t i = 0; i < b->blocks; i++) {
		if (b->row[i])
			row.row.sums[i / 64] |= 1ULL << (i % 64);
	}
	for (size_t i = 0; i * ECBPF_FW_CHUNK < b->blocks; i++) {
		row.row.chunks[i] = space_intern(fw_space_of(b, dim),
						 (const void *)&b->row[i * ECBPF_FW_CHUNK]);
		if (!row.row.chunks[i])
			return -E2BIG;
	}
	class = space_intern(fw_space_of(b, dim), &row);
	if (!class)
		return -E2BIG;
	*ret_class = class;
	return 0;
}

int fw_space_init(struct space *space, void *slots, __u32 end)
{
	*space = (struct space){.slots = slots, .next = 3, .end = end};
	space->hash = calloc(HASH_SIZE, sizeof(*space->hash));
	if (!space->hash)
		return -ENOMEM;
	memset(&space->slots[2], 0xff, sizeof(space->slots[2]));
	memset(space->slots[ECBPF_FW_ANY].row.sums, 0xff, sizeof(space->slots->row.sums));
	for (size_t i = 0; i < ARRAY_SIZE(space->slots->row.chunks); i++)
		space->slots[ECBPF_FW_ANY].row.chunks[i] = 2;
	return 0;
}
