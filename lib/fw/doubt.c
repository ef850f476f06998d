// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Limits of a trial whose buckets a packet may have used that was not run.
 *
 * In a trial time stands still: buckets only sink. A packet that was not run may have taken its
 * tokens, or not. Of the packets that were run, all that such packets may have taken makes no
 * difference. So a bucket really holds at most what it holds in the trial, and at least that less
 * the tokens in doubt.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <ecbpf/fw.h>
#include "core/array.h"
#include "fw/doubt.h"

#define DOUBTS_MAX 4096 /* of one trial; after them all limits with one are in doubt as a whole */

/**
 * struct doubt - of one bucket
 * @rule: its index
 * @key: of the source; 0: one bucket for all
 * @group: that its hash chooses
 * @is_any: of a source that is not known
 * @units: that may have been taken
 */
struct doubt {
	size_t rule;
	__u64 key[2];
	__u32 group;
	bool is_any;
	__u64 units;
};

struct fw_doubts {
	struct doubt *items;
	size_t count;
	bool are_too_many;
};

void fw_doubts_free(struct fw_doubts *doubts)
{
	if (!doubts)
		return;
	free(doubts->items);
	free(doubts);
}

static bool read_limit(const struct fw_doubt_maps *maps, size_t index,
		       struct ecbpf_fw_limit *ret_limit)
{
	__u32 entry = maps->entries[index];

	return !bpf_map_lookup_elem(maps->limits, &entry, ret_limit);
}

static __u64 need(const struct ecbpf_fw_limit *limit, const struct fw_known *known)
{
	return (limit->is_bytes ? known->rec.frame_len : 1) * limit->rate.cost;
}

static __u64 big_endian(const __u8 *at, size_t size)
{
	__u64 value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | at[i];
	return value;
}

/* As fw_take_per_src() makes it. Return: false if the source is not known */
static bool make_key(const struct ecbpf_fw_limit *limit, const struct fw_known *known,
		     __u64 *ret_key)
{
	const __u8 *addr = fw_known_addr(known, 0);

	ret_key[0] = ret_key[1] = 0;
	if (!limit->groups)
		return true;
	if (!addr)
		return false;
	if (known->rec.version == 6) {
		ret_key[0] = big_endian(addr, 8) & limit->mask[0];
		ret_key[1] = big_endian(addr + 8, 8) & limit->mask[1];
	} else {
		ret_key[1] = big_endian(addr, 4) & limit->mask[1];
	}
	return true;
}

/* As fw_take_per_src() chooses it */
static __u32 group_of(const struct ecbpf_fw_limit *limit, const __u64 *key)
{
	return limit->group + ((__u64)ecbpf_bucket_hash(key, limit->secret) * limit->groups >> 32);
}

int fw_doubt_add(struct fw_doubts **doubts_at, const struct fw_doubt_maps *maps,
		 const struct fw_known *known, size_t index)
{
	struct fw_doubts *doubts = *doubts_at;
	struct doubt new = {.rule = index};
	struct ecbpf_fw_limit limit;
	struct doubt *added;

	if (!doubts)
		doubts = *doubts_at = calloc(1, sizeof(*doubts));
	if (!doubts)
		return -ENOMEM;
	if (!read_limit(maps, index, &limit) || doubts->count == DOUBTS_MAX) {
		doubts->are_too_many = true;
		return 0;
	}
	new.is_any = !make_key(&limit, known, new.key);
	new.group = group_of(&limit, new.key);
	new.units = need(&limit, known);
	for (size_t i = 0; i < doubts->count && !new.is_any; i++) {
		struct doubt *old = &doubts->items[i];

		if (old->rule != index || old->is_any || memcmp(old->key, new.key, sizeof(new.key)))
			continue;
		old->units += new.units;
		return 0;
	}
	added = ecbpf_array_add(&doubts->items, &doubts->count, sizeof(new));
	if (!added)
		return -ENOMEM;
	*added = new;
	return 0;
}

/*
 * Units of the source's bucket. @ret_level: is that of a full bucket already. Return: false if it
 * may share one with others
 */
static bool level_of_source(const struct fw_doubt_maps *maps, const struct ecbpf_fw_limit *limit,
			    const __u64 *key, size_t sources, __u64 *ret_level)
{
	__u32 entry = group_of(limit, key);
	struct ecbpf_bucket_group group;
	size_t free_ways = 0;

	if (bpf_map_lookup_elem(maps->groups, &entry, &group))
		return false;
	for (size_t i = 0; i < ECBPF_BUCKET_WAYS; i++) {
		const struct ecbpf_bucket_way *way = &group.ways[i];

		if (!way->time || way->level >= limit->rate.max) {
			free_ways++;
		} else if (!memcmp(way->key, key, sizeof(way->key))) {
			*ret_level = way->level;
			return true;
		}
	}
	/* each source in doubt may have one of those that are free here */
	return free_ways > sources;
}

/* @ret_level: is that of a full bucket already */
static bool level_of_all(const struct fw_doubt_maps *maps, __u32 entry, __u64 *ret_level)
{
	struct ecbpf_bucket bucket;

	if (bpf_map_lookup_elem(maps->buckets, &entry, &bucket))
		return false;
	if (bucket.time)
		*ret_level = bucket.level;
	return true;
}

enum fw_doubt fw_doubt_of(const struct fw_doubts *doubts, const struct fw_doubt_maps *maps,
			  const struct fw_known *known, size_t index)
{
	__u64 key[2], level, units = 0, wanted;
	struct ecbpf_fw_limit limit;
	size_t sources = 0; /* that may have a bucket of the group */
	bool is_known;
	__u32 group;

	if (!read_limit(maps, index, &limit) || !make_key(&limit, known, key))
		return FW_DOUBT_YES;
	group = group_of(&limit, key);
	for (size_t i = 0; doubts && i < doubts->count; i++) {
		const struct doubt *doubt = &doubts->items[i];

		if (doubt->rule != index || !(doubt->is_any || doubt->group == group))
			continue;
		sources++;
		if (doubt->is_any || !memcmp(doubt->key, key, sizeof(key)))
			units += doubt->units;
	}
	level = limit.rate.max;
	if (!limit.rate.full) { /* full at any time */
		is_known = true;
		units = 0;
	} else if (doubts && doubts->are_too_many) {
		return FW_DOUBT_YES;
	} else if (limit.groups) {
		is_known = level_of_source(maps, &limit, key, sources, &level);
	} else {
		is_known = level_of_all(maps, maps->entries[index], &level);
	}
	if (!is_known)
		return sources ? FW_DOUBT_YES : FW_DOUBT_NO;
	wanted = need(&limit, known);
	if (level < wanted)
		return FW_DOUBT_ABOVE;
	return level - wanted >= units ? FW_DOUBT_NO : FW_DOUBT_YES;
}
