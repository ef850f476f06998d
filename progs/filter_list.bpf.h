/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage filter: lists of blocked and of allowed sources. Functions are global, so that the verifier
 * walks each of them once for all slots of ecbpf_fused.
 */
#ifndef ECBPF_FILTER_LIST_BPF_H
#define ECBPF_FILTER_LIST_BPF_H

#include <ecbpf/filter.h>
#include <ecbpf/stage.bpf.h>
#include <ecbpf/trie.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct ecbpf_filter_lists);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} filter_lists SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_filter_hits);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} filter_hits SEC(".maps");

ECBPF_TRIE_POOL(filter_tries);
ECBPF_TRIE_LOOKUP(filter_tries, &filter_tries)
ECBPF_TRIE_POOL(filter_sources);

/* Prefixes of one address that can overlap, at most */
#define FILTER_PARENTS 129

/* Return: roots of a list; 0: it was never written */
static __always_inline __u64 filter_roots(enum ecbpf_filter_list list)
{
	const struct ecbpf_filter_lists *lists;
	__u32 key = 0;

	lists = bpf_map_lookup_elem(&filter_lists, &key);
	return lists ? *(const volatile __u64 *)&lists->tables[list].roots : 0;
}

/*
 * May a source be on the block list? For most packets one bit says no. Inline, so that they pay no
 * call. @first: 32 bits of the source, in host byte order
 */
static __always_inline bool filter_is_near(__u32 first, __u32 version)
{
	__u64 roots = filter_roots(ECBPF_FILTER_BLOCK);

	return version &&
	       ecbpf_trie_is_near(&filter_tries, version == 6 ? roots >> 32 : roots, first);
}

static __always_inline bool filter_list_is_empty(__u64 roots, __u32 version)
{
	return !(roots >> (version == 6 ? 32 : 0) & ECBPF_TRIE_ROOT_STRIDE);
}

static __always_inline struct ecbpf_filter_source *filter_source(__u32 number)
{
	__u32 index = number * ECBPF_FILTER_SOURCE_WORDS;
	const __u64 *words = ecbpf_trie_chunk(&filter_sources, index);

	if (!words)
		return NULL;
	barrier_var(words); /* check, then add: kernels before 6.6 need this order */
	index &= ECBPF_TRIE_CHUNK_WORDS - ECBPF_FILTER_SOURCE_WORDS;
	return (struct ecbpf_filter_source *)&words[index];
}

/* Prefixes that are looked at in one call: the verifier walks each round of a loop */
#define FILTER_PARENTS_PART 4

/* Beside the number of a source, which has fewer bits: the search is to go on there */
#define FILTER_MORE (1U << 31)
_Static_assert(ECBPF_TRIE_VALUE_BITS < 31, "FILTER_MORE");

/*
 * Return: this source, or its longest covering prefix that has not expired; 0 if none; a source and
 * FILTER_MORE if it has not been looked at
 */
__noinline __u32 filter_live_part(__u32 number)
{
	const struct ecbpf_filter_source *source;
	__u64 now = bpf_ktime_get_ns();

	for (int i = 0; i < FILTER_PARENTS_PART; i++) {
		source = number ? filter_source(number) : NULL;
		if (!source)
			return 0;
		if (!source->expires || source->expires > now)
			return number;
		number = source->parent;
	}
	return number | FILTER_MORE;
}

/* Go on where one call has not found it. Few have so many covering prefixes that have expired */
__noinline __u32 filter_live_rest(__u32 number)
{
	for (int i = 0; i < FILTER_PARENTS / FILTER_PARENTS_PART + 1; i++) {
		if (!(number & FILTER_MORE))
			return number;
		number = filter_live_part(number & ~FILTER_MORE);
	}
	return 0;
}

/* The same, without a call for most of them */
static __always_inline __u32 filter_number_live(__u32 number)
{
	const struct ecbpf_filter_source *source = number ? filter_source(number) : NULL;

	if (!source)
		return 0;
	if (!source->expires)
		return number;
	number = filter_live_part(number);
	return number & FILTER_MORE ? filter_live_rest(number) : number;
}

/* Return: number of the longest prefix that contains the source of a packet; 0: none */
static __always_inline __u32 filter_find4(struct xdp_md *ctx, __u32 l3_off,
					  enum ecbpf_filter_list list)
{
	const struct iphdr *ip = ecbpf_header(ctx, l3_off, sizeof(*ip));

	return ip ? filter_tries_lookup4(filter_roots(list), ip->saddr) : 0;
}

static __always_inline __u32 filter_find6(struct xdp_md *ctx, __u32 l3_off,
					  enum ecbpf_filter_list list)
{
	const struct ipv6hdr *ip6 = ecbpf_header(ctx, l3_off, sizeof(*ip6));

	return ip6 ? filter_tries_lookup6(filter_roots(list), &ip6->saddr) : 0;
}

/* The same on the allow list */
__noinline int filter_allowed4(struct xdp_md *ctx, __u32 l3_off)
{
	return filter_find4(ctx, l3_off, ECBPF_FILTER_ALLOW);
}

__noinline int filter_allowed6(struct xdp_md *ctx, __u32 l3_off)
{
	return filter_find6(ctx, l3_off, ECBPF_FILTER_ALLOW);
}

/* Add what this CPU has counted in a place to its source */
__noinline int filter_hit_add(__u32 place)
{
	struct ecbpf_filter_source *source;
	struct ecbpf_filter_hits *hits;
	struct ecbpf_filter_hit *hit;
	__u32 zero = 0;

	hits = bpf_map_lookup_elem(&filter_hits, &zero);
	if (!hits)
		return 0;
	hit = &hits->at[place & (ECBPF_FILTER_HITS - 1)];
	source = hit->number ? filter_source(hit->number) : NULL;
	if (source) {
		__sync_fetch_and_add(&source->packets, hit->packets);
		__sync_fetch_and_add(&source->bytes, hit->bytes);
	}
	hit->packets = 0;
	hit->bytes = 0;
	return 0;
}

static __always_inline void filter_count(__u32 number, __u32 frame_len)
{
	struct ecbpf_filter_hits *hits;
	struct ecbpf_filter_hit *hit;
	__u32 zero = 0;

	hits = bpf_map_lookup_elem(&filter_hits, &zero);
	if (!hits)
		return;
	hit = &hits->at[number & (ECBPF_FILTER_HITS - 1)];
	if (hit->number != number || hit->packets >= ECBPF_FILTER_HITS_ENOUGH) {
		filter_hit_add(number);
		hit->number = number;
	}
	hit->packets++;
	hit->bytes += frame_len;
}

/* Count a packet of a listed source. @allowed: number on the allow list, or 0. Return: drop it */
static __always_inline bool filter_drops(__u32 blocked, __u32 allowed, __u32 frame_len)
{
	allowed = filter_number_live(allowed);
	filter_count(allowed ?: blocked, frame_len);
	return !allowed;
}

/*
 * Return: the reason to drop a packet for its source; 0: do not. Most sources are on no list, so
 * the allow list is read only for blocked ones.
 */
__noinline int filter_blocked4(struct xdp_md *ctx, __u32 l3_off, __u32 frame_len)
{
	__u32 blocked = filter_number_live(filter_find4(ctx, l3_off, ECBPF_FILTER_BLOCK));
	__u32 allowed = 0;

	if (!blocked)
		return 0;
	if (!filter_list_is_empty(filter_roots(ECBPF_FILTER_ALLOW), 4))
		allowed = filter_allowed4(ctx, l3_off);
	return filter_drops(blocked, allowed, frame_len) ? ECBPF_REASON_BLOCKED : 0;
}

__noinline int filter_blocked6(struct xdp_md *ctx, __u32 l3_off, __u32 frame_len)
{
	__u32 blocked = filter_number_live(filter_find6(ctx, l3_off, ECBPF_FILTER_BLOCK));
	__u32 allowed = 0;

	if (!blocked)
		return 0;
	if (!filter_list_is_empty(filter_roots(ECBPF_FILTER_ALLOW), 6))
		allowed = filter_allowed6(ctx, l3_off);
	return filter_drops(blocked, allowed, frame_len) ? ECBPF_REASON_BLOCKED6 : 0;
}

#endif /* ECBPF_FILTER_LIST_BPF_H */
