/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage fastpath: the shield, which drops a share of the unknown flows when more packets come in
 * than the kernel can handle.
 */
#ifndef ECBPF_FASTPATH_SHIELD_BPF_H
#define ECBPF_FASTPATH_SHIELD_BPF_H

#include <ecbpf/bucket.bpf.h>
#include "fastpath.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_shield);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_shield SEC(".maps");

/* Packets of this CPU that are not yet in struct ecbpf_shield */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_shield_cpu SEC(".maps");

/* Flows that were dropped or admitted recently, by hash: SHIELD_*() below */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ECBPF_SHIELD_SEEN);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_shield_seen SEC(".maps");

/* Buckets of sources: IPv4 addresses, /64 of IPv6 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ECBPF_SHIELD_GROUPS);
	__type(key, __u32);
	__type(value, struct ecbpf_bucket_group);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_shield_sources SEC(".maps");

/* Packets that a CPU counts before it adds them to the shared counter: a power of two */
#define SHIELD_BATCH 32

/* An entry of fastpath_shield_seen: jiffy (low 16 bits), admitted, 15 bits of the hash */
#define SHIELD_TAG(hash)      ((__u32)((hash) >> 8) << 17)
#define SHIELD_TAG_MASK	      0xfffe0000
#define SHIELD_ADMITTED	      0x10000
#define SHIELD_AGE(seen, now) ((__u16)((now) - (seen)))

/* Linear from 0 at the target to the maximum at the ceiling */
static __always_inline __u32 shield_ramp(const struct ecbpf_fastpath *settings, __u64 rate)
{
	__u64 target = settings->target, ceiling = settings->ceiling;

	if (rate <= target)
		return 0;
	if (rate >= ceiling)
		return settings->drop_max;
	return (rate - target) * settings->drop_max / (ceiling - target);
}

/* Count a packet of any kind. The CPU that ends a window computes the share to drop in the next */
__noinline int fastpath_shield_count(void)
{
	const struct ecbpf_fastpath *settings = fastpath_settings();
	struct ecbpf_shield *shield;
	__u64 now, elapsed, rate;
	__u32 key = 0, *local;

	local = bpf_map_lookup_elem(&fastpath_shield_cpu, &key);
	if (!local || !settings || ++*local & (SHIELD_BATCH - 1))
		return 0;
	shield = bpf_map_lookup_elem(&fastpath_shield, &key);
	if (!shield)
		return 0;
	__sync_fetch_and_add(&shield->count, SHIELD_BATCH);
	now = bpf_jiffies64();
	if (now - *(volatile __u64 *)&shield->since < settings->window)
		return 0;
	bpf_spin_lock(&shield->lock);
	elapsed = now - shield->since;
	if (elapsed >= settings->window && elapsed) {
		rate = shield->count * settings->window / elapsed;
		shield->count = 0;
		shield->since = now;
		shield->rate = (shield->rate + rate) / 2;
		shield->drop = shield_ramp(settings, shield->rate);
	}
	bpf_spin_unlock(&shield->lock);
	return 0;
}

/* Facts of a packet, for fastpath_shield_drops() */
#define SHIELD_L3_OFF 0xffff
#define SHIELD_IP4    (1U << 16)
#define SHIELD_SYN    (1U << 17)

#define SHIELD_IF_SOURCE 2

/*
 * Does the source of a packet have a token left? For packets that are admitted because of what
 * their flow did before: it may be a tool that repeats the same SYN, or goes on with an admitted
 * flow.
 */
__noinline int fastpath_shield_has_source(struct xdp_md *ctx, __u32 info)
{
	const struct ecbpf_fastpath *settings = fastpath_settings();
	struct ecbpf_rate rate = {.refill = ECBPF_SHIELD_REPEATS};
	__u32 off = (info & SHIELD_L3_OFF) + (info & SHIELD_IP4 ? 12 : 8), index;
	const __u64 *addr = ecbpf_header(ctx, off, sizeof(*addr));
	struct ecbpf_bucket_group *group;
	__u64 key[2] = {}, hash;

	if (!addr || !settings)
		return false;
	rate.cost = settings->hz;
	rate.max = (__u64)ECBPF_SHIELD_REPEATS * settings->hz;
	rate.full = settings->hz;
	key[0] = info & SHIELD_IP4 ? *(const __u32 *)addr : *addr;
	key[1] = info & SHIELD_IP4;
	hash = ecbpf_flow_mix(settings->seed, key[0], settings->mult);
	hash = ecbpf_flow_mix(hash, settings->seed + key[1], settings->mult);
	index = hash >> 32 & (ECBPF_SHIELD_GROUPS - 1);
	group = bpf_map_lookup_elem(&fastpath_shield_sources, &index);
	return group && !(ecbpf_bucket_take_key(group, &rate, key, hash, 1, bpf_jiffies64()) &
			  ECBPF_BUCKET_REFUSED);
}

/*
 * A flow whose SYN is repeated after about a second is no flood: TCP repeats a lost SYN. Return:
 * the packet is admitted; SHIELD_IF_SOURCE: if its source may have one more
 */
static __always_inline __u32 shield_admits(const struct ecbpf_fastpath *settings, __u64 hash,
					   __u64 now, bool is_syn, bool is_lucky)
{
	__u32 index = hash >> 44 & (ECBPF_SHIELD_SEEN - 1), tag = SHIELD_TAG(hash), old;
	__u32 *seen = bpf_map_lookup_elem(&fastpath_shield_seen, &index);
	bool is_known, is_late;

	if (!seen)
		return is_lucky;
	old = *seen;
	is_known = old && (old & SHIELD_TAG_MASK) == tag && SHIELD_AGE(old, now) < 8 * settings->hz;
	is_late = is_known && SHIELD_AGE(old, now) > settings->hz / 2;
	if (!is_syn)
		return is_known && old & SHIELD_ADMITTED && !is_lucky ? SHIELD_IF_SOURCE : is_lucky;
	if (is_lucky || is_late) {
		*seen = tag | SHIELD_ADMITTED | (__u16)now;
		return is_lucky ? true : SHIELD_IF_SOURCE;
	}
	if (!is_known)
		*seen = tag | (__u16)now;
	return false;
}

__noinline int fastpath_shield_excludes(struct xdp_md *ctx, __u32 info)
{
	struct ecbpf_flow_key key = {.version = info & SHIELD_IP4 ? 4 : 6};
	const void *l3;

	if (info & SHIELD_IP4) {
		l3 = ecbpf_header(ctx, info & SHIELD_L3_OFF, sizeof(struct iphdr));
		if (l3)
			key.addrs[0] = *(const __u64 *)(l3 + 12);
	} else {
		l3 = ecbpf_header(ctx, info & SHIELD_L3_OFF, sizeof(struct ipv6hdr));
		if (l3)
			__builtin_memcpy(key.addrs, l3 + 8, sizeof(key.addrs));
	}
	return fastpath_is_excluded(&key, true) || fastpath_is_excluded(&key, false);
}

/* Return: as shield_admits() */
__noinline int fastpath_shield_admits(__u64 hash, __u64 now, __u32 info)
{
	const struct ecbpf_fastpath *settings = fastpath_settings();
	struct ecbpf_shield *shield;
	__u32 zero = 0, drop;
	bool is_lucky;

	shield = bpf_map_lookup_elem(&fastpath_shield, &zero);
	if (!shield || !settings)
		return true;
	drop = *(volatile __u32 *)&shield->drop;
	/* the flood may have ended, with no packet counted since */
	if (!drop ||
	    now - ECBPF_LEASE_NOW(*(volatile __u64 *)&shield->since) > 2 * settings->window)
		return true;
	is_lucky = (bpf_get_prandom_u32() & 0xffff) >= drop;
	return shield_admits(settings, hash, now, info & SHIELD_SYN, is_lucky);
}

/*
 * A packet of an unknown flow. Calls with few arguments: a structure would have to be in memory for
 * all packets; one after the other: ecbpf_fused has no stack for one in the other. Return: drop it
 */
static __always_inline bool fastpath_shield_drops(struct xdp_md *ctx, __u64 hash, __u64 now,
						  __u32 info)
{
	__u32 admitted = fastpath_shield_admits(hash, now, info);

	if (admitted == SHIELD_IF_SOURCE)
		admitted = fastpath_shield_has_source(ctx, info);
	return !admitted && !fastpath_shield_excludes(ctx, info);
}

#endif /* ECBPF_FASTPATH_SHIELD_BPF_H */
