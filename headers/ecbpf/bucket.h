/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Token buckets: what the kernel side (bucket.bpf.h) and user space both know.
 *
 * Time is the kernel's jiffies. How many there are in a second (HZ: 100 to 1000) only the running
 * kernel knows, so that user space, which can ask, turns a rate into units: with a token of HZ
 * units, `rate` tokens a second are `rate` units a jiffy, without any rounding.
 *
 * In any one second there are at most floor((max + HZ * refill) / cost) tokens: between the first
 * and the last packet of a second jiffies advance HZ times at most.
 */
#ifndef ECBPF_BUCKET_H
#define ECBPF_BUCKET_H

#include <linux/types.h>

/**
 * struct ecbpf_rate - how a bucket fills; written by user space
 * @refill: units a jiffy
 * @cost: units a token (a packet, or a byte); not 0
 * @max: units in a full bucket. Who asks for more than that in one go is always refused
 * @full: jiffies after which any bucket is full: max / refill, rounded up. 0: every bucket is full
 *	  at any time
 */
struct ecbpf_rate {
	__u64 refill;
	__u64 cost;
	__u64 max;
	__u64 full;
};

/**
 * struct ecbpf_bucket - the value of an array map, one bucket an entry; all zero is a full one
 * @lock: struct bpf_spin_lock, on the side of the kernel
 * @level: units in it at @time
 * @time: jiffies
 */
struct ecbpf_bucket {
#ifdef __bpf__
	struct bpf_spin_lock lock;
#else
	__u32 lock;
#endif
	__u32 reserved;
	__u64 level;
	__u64 time;
};
_Static_assert(sizeof(struct ecbpf_bucket) == 24, "ABI");

#endif /* ECBPF_BUCKET_H */
