/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers of next hops, which fastpath_egress gives out and takes back.
 *
 * A hop is used by leases until the jiffy that is kept for it. Some time later, when no packet can
 * be at work that has read such a lease, its number may go to another hop. Both are decided under
 * one lock. A number that was looked up is valid if the hop has that much time left and is still
 * the one that was looked for, read in this order: then it cannot be taken back before the lease
 * ends.
 */
#ifndef ECBPF_FASTPATH_HOP_BPF_H
#define ECBPF_FASTPATH_HOP_BPF_H

#include "fastpath.bpf.h"

/* Number of each hop in `fastpath_hops` */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ECBPF_HOPS);
	__type(key, struct ecbpf_hop);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_hop_ids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_hop_use);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_hop_use SEC(".maps");

/* Hops that are looked at for one to be used again: while there are new numbers, and when not */
#define HOP_TRIES      8
#define HOP_TRIES_FULL 256

/* Jiffies after the last lease: longer than a packet is at work, be its CPU a stolen one */
#define HOP_GRACE(hz) (hz)

static __always_inline struct ecbpf_hop_use *hop_use(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&fastpath_hop_use, &key);
}

static __always_inline bool hop_same(const struct ecbpf_hop *a, const struct ecbpf_hop *b)
{
	const __u64 *x = (const void *)a, *y = (const void *)b;

	_Static_assert(sizeof(*a) == 5 * sizeof(*x), "words");
	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3] && x[4] == y[4];
}

/* Leave by the same interface, with the same Ethernet header? */
static __always_inline bool hop_leaves_alike(const struct ecbpf_hop *a, const struct ecbpf_hop *b)
{
	const __u32 *x = (const void *)a, *y = (const void *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3] && x[4] == y[4];
}

/* Keep hop @index until @end at least. Written once a lease time, not for each lease. Return: it
 * is kept
 */
static __always_inline bool hop_keep(__u32 index, __u64 end, __u32 lease)
{
	struct ecbpf_hop_use *use = hop_use();
	__u64 *until;
	bool is_kept;

	if (!use)
		return false;
	until = &use->until[index & (ECBPF_HOPS - 1)];
	if (*(volatile __u64 *)until >= end)
		return true;
	bpf_spin_lock(&use->lock);
	is_kept = *until;
	if (is_kept && *until < end + lease)
		*(volatile __u64 *)until = end + lease;
	bpf_spin_unlock(&use->lock);
	return is_kept;
}

/* Return: the number of a hop that leases until @end may use; 0: it has none, or not any more */
static __always_inline __u32 hop_find(const struct ecbpf_hop *hop, __u64 end, __u32 lease)
{
	const __u32 *known = bpf_map_lookup_elem(&fastpath_hop_ids, hop);
	const struct ecbpf_hop_entry *entry;
	__u32 index;

	if (!known)
		return 0;
	index = *known;
	if (!hop_keep(index, end, lease))
		return 0;
	entry = bpf_map_lookup_elem(&fastpath_hops, &index);
	return entry && hop_same(&entry->hop, hop) ? index : 0;
}

/*
 * Take a number that nobody uses: one that has been used, out of the next few, or a new one. It is
 * nobody's until `until` is set. Global: the verifier walks the loop once. Return: 0: there is none
 */
__noinline __u32 hop_take(__u64 now, __u32 grace)
{
	struct ecbpf_hop_use *use = hop_use();
	__u32 index = 0;

	if (!use)
		return 0;
	bpf_spin_lock(&use->lock);
	for (__u32 i = 0; i < HOP_TRIES_FULL; i++) {
		/* read again each time, or the verifier walks every number that it may be */
		__u32 at = *(volatile __u32 *)&use->next + 1,
		      count = *(volatile __u32 *)&use->count;
		__u64 until;

		if (i >= HOP_TRIES && count < ECBPF_HOPS - 1)
			break;
		if (at > count)
			at = 1;
		*(volatile __u32 *)&use->next = at;
		at &= ECBPF_HOPS - 1;
		until = use->until[at];
		if (until && until + grace <= now) {
			use->until[at] = 0;
			index = at;
			break;
		}
	}
	if (!index && use->count < ECBPF_HOPS - 1)
		index = ++use->count;
	bpf_spin_unlock(&use->lock);
	return index;
}

/* Give the hop a number, for leases until @end. Return: 0: there is none left */
static __always_inline __u32 hop_new(const struct ecbpf_hop *hop, __u64 now, __u64 end, __u32 lease,
				     __u32 hz)
{
	__u32 index = hop_take(now, HOP_GRACE(hz)), *known;
	struct ecbpf_hop_entry *entry;
	struct ecbpf_hop_use *use = hop_use();

	entry = bpf_map_lookup_elem(&fastpath_hops, &index);
	if (!index || !entry || !use)
		return 0;
	known = bpf_map_lookup_elem(&fastpath_hop_ids, &entry->hop);
	if (known && *known == index)
		bpf_map_delete_elem(&fastpath_hop_ids, &entry->hop);
	entry->hop = *hop;
	if (bpf_map_update_elem(&fastpath_hop_ids, hop, &index, BPF_NOEXIST)) {
		/* another CPU was faster: this number may be taken again */
		*(volatile __u64 *)&use->until[index & (ECBPF_HOPS - 1)] = 1;
		return hop_find(hop, end, lease);
	}
	*(volatile __u64 *)&use->until[index & (ECBPF_HOPS - 1)] = end + lease;
	return index;
}

#endif /* ECBPF_FASTPATH_HOP_BPF_H */
