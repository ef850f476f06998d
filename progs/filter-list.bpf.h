/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage filter, lists: sources that are blocked, unless they are allowed. Functions are global, so
 * that the verifier walks each of them once, however many slots ecbpf_fused has.
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

ECBPF_TRIE_POOL(filter_tries);
ECBPF_TRIE_POOL(filter_sources);

/* As many as prefixes of one address can be in each other */
#define FILTER_PARENTS 129

/* Where a list begins; 0: it has no prefixes of the family, or was never written to */
static __always_inline __u64 filter_roots(enum ecbpf_filter_list list)
{
	const struct ecbpf_filter_lists *lists;
	__u32 key = 0;

	lists = bpf_map_lookup_elem(&filter_lists, &key);
	return lists ? *(const volatile __u64 *)&lists->tables[list].roots : 0;
}

static __always_inline bool filter_list_is_empty(__u64 roots, __u32 version)
{
	return !(roots >> (version == 6 ? 32 : 0) & ECBPF_TRIE_ROOT_STRIDE);
}

static __always_inline struct ecbpf_filter_source *filter_source(__u32 number)
{
	__u32 place = number * ECBPF_FILTER_SOURCE_WORDS;
	const __u64 *words = ecbpf_trie_chunk(&filter_sources, place);

	place &= ECBPF_TRIE_CHUNK_WORDS - ECBPF_FILTER_SOURCE_WORDS;
	return words ? (struct ecbpf_filter_source *)&words[place] : NULL;
}

/* The number of a source, or of the one that is left of those it lies in; 0 if all have expired */
__noinline int filter_live(__u32 number)
{
	const struct ecbpf_filter_source *source = filter_source(number);
	__u64 now;

	if (!source || !source->expires)
		return source ? number : 0;
	now = bpf_ktime_get_ns();
	for (int i = 0; i < FILTER_PARENTS; i++) {
		if (!source->expires || source->expires > now)
			return number;
		number = source->parent;
		source = number ? filter_source(number) : NULL;
		if (!source)
			return 0;
	}
	return 0;
}

/* Return: the number of the source that a packet's one lies in; 0: none */
__noinline int filter_find4(struct xdp_md *ctx, __u32 l3_off, __u32 list)
{
	const struct iphdr *ip = ecbpf_header(ctx, l3_off, sizeof(*ip));
	__u64 roots = list ? filter_roots(ECBPF_FILTER_BLOCK) : filter_roots(ECBPF_FILTER_ALLOW);

	return ip ? ecbpf_trie_lookup4(&filter_tries, roots, ip->saddr) : 0;
}

__noinline int filter_find6(struct xdp_md *ctx, __u32 l3_off, __u32 list)
{
	const struct ipv6hdr *ip6 = ecbpf_header(ctx, l3_off, sizeof(*ip6));
	__u64 roots = list ? filter_roots(ECBPF_FILTER_BLOCK) : filter_roots(ECBPF_FILTER_ALLOW);

	return ip6 ? ecbpf_trie_lookup6(&filter_tries, roots, &ip6->saddr) : 0;
}

static __always_inline __u32 filter_find(struct xdp_md *ctx, __u32 l3_off, __u32 version,
					 enum ecbpf_filter_list list)
{
	__u32 number =
		version == 6 ? filter_find6(ctx, l3_off, list) : filter_find4(ctx, l3_off, list);

	return number ? filter_live(number) : 0;
}

/*
 * Return: the reason to drop a packet for its source; 0: there is none. Most packets are on no
 * list: whether they are allowed is asked of those only that are blocked.
 */
__noinline int filter_blocked(struct xdp_md *ctx, __u32 l3_off, __u32 version, __u32 frame_len)
{
	__u32 blocked = filter_find(ctx, l3_off, version, ECBPF_FILTER_BLOCK), allowed = 0;
	struct ecbpf_filter_source *source;

	if (!blocked)
		return 0;
	if (!filter_list_is_empty(filter_roots(ECBPF_FILTER_ALLOW), version))
		allowed = filter_find(ctx, l3_off, version, ECBPF_FILTER_ALLOW);
	source = filter_source(allowed ? allowed : blocked);
	if (source) {
		__sync_fetch_and_add(&source->packets, 1);
		__sync_fetch_and_add(&source->bytes, frame_len);
	}
	if (allowed)
		return 0;
	return version == 6 ? ECBPF_REASON_BLOCKED6 : ECBPF_REASON_BLOCKED;
}

#endif /* ECBPF_FILTER_LIST_BPF_H */
