// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Bit vectors and their classes: equal vectors are stored once, and so are equal chunks of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/util.h"
#include "fw/build.h"

#define VECTOR_BYTES (ECBPF_FW_BLOCKS * sizeof(__u64))
#define HASH_SIZE    (2UL * ECBPF_FW_CELLS)

void fw_vector_set(__u64 *vector, size_t bit, bool value)
{
	__u64 mask = 1ULL << (bit % 64);

	vector[bit / 64] = value ? vector[bit / 64] | mask : vector[bit / 64] & ~mask;
}

void fw_vector_flip(__u64 *vector, size_t bit)
{
	vector[bit / 64] ^= 1ULL << (bit % 64);
}

struct space *fw_space_of(struct build *b, size_t dim)
{
	return &b->spaces[b->size == ECBPF_FW_LARGE ? dim : 0];
}

/* Find or make a cell with this content. Return: its number, 0 if there is no room */
static __u16 space_intern(struct space *space, const union ecbpf_fw_cell *cell)
{
	__u64 hash = 0;
	__u32 at;

	for (size_t i = 0; i < ECBPF_FW_CHUNK; i++)
		hash = (hash ^ cell->chunk[i]) * 0x9e3779b97f4a7c15ULL ^ hash >> 29;
	for (at = hash >> 32;; at++) {
		at %= HASH_SIZE;
		if (!space->hash[at])
			break;
		if (!memcmp(&space->cells[space->hash[at]], cell, sizeof(*cell)))
			return space->hash[at];
	}
	if (space->next >= space->end)
		return 0;
	space->cells[space->next] = *cell;
	space->hash[at] = space->next;
	return space->next++;
}

static int small_class(struct build *b, __u64 vector, __u16 *ret_class)
{
	__u64 *vectors = b->small->vectors;

	for (size_t i = b->small_vectors; i > ECBPF_FW_ANY; i--) {
		if (vectors[i - 1] != vector)
			continue;
		*ret_class = i - 1;
		return 0;
	}
	if (b->small_vectors == ECBPF_FW_SMALL_CLASSES)
		return -E2BIG;
	*ret_class = b->small_vectors;
	vectors[b->small_vectors++] = vector;
	return 0;
}

/* Find or make the class of b->vector */
int fw_vector_class(struct build *b, size_t dim, __u16 *ret_class)
{
	struct space *space = fw_space_of(b, dim);
	bool is_same = b->last_space == space;
	struct ecbpf_fw_vector *vector = &b->last_vector.vector;

	if (b->size == ECBPF_FW_SMALL)
		return small_class(b, b->vector[0], ret_class);
	for (size_t i = 0; i * ECBPF_FW_CHUNK < b->blocks; i++) {
		const union ecbpf_fw_cell *chunk = (const void *)&b->vector[i * ECBPF_FW_CHUNK];

		/* from one vector to the next, most chunks stay */
		if (b->last_space == space && !memcmp(chunk, &b->last[i], sizeof(*chunk)))
			continue;
		is_same = false;
		b->last[i] = *chunk;
		vector->chunks[i] = space_intern(space, chunk);
		if (!vector->chunks[i])
			return -E2BIG;
		for (size_t word = i * ECBPF_FW_CHUNK; word < (i + 1) * ECBPF_FW_CHUNK; word++)
			fw_vector_set(vector->summary, word, b->vector[word]);
	}
	if (!is_same) {
		b->last_space = space;
		b->last_class = space_intern(space, &b->last_vector);
	}
	*ret_class = b->last_class;
	return b->last_class ? 0 : -E2BIG;
}

int fw_space_init(struct space *space, void *cells, __u32 end)
{
	*space = (struct space){.cells = cells, .next = 3, .end = end};
	space->hash = calloc(HASH_SIZE, sizeof(*space->hash));
	if (!space->hash)
		return -ENOMEM;
	memset(&space->cells[2], 0xff, sizeof(space->cells[2]));
	memset(space->cells[ECBPF_FW_ANY].vector.summary, 0xff,
	       sizeof(space->cells->vector.summary));
	for (size_t i = 0; i < ARRAY_SIZE(space->cells->vector.chunks); i++)
		space->cells[ECBPF_FW_ANY].vector.chunks[i] = 2;
	return 0;
}
