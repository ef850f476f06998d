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
#include <ecbpf/lock.h>

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
 * @lock: held while tokens are taken
 * @level: units in it at @time
 * @time: jiffies
 * @ahead: units that CPUs had taken ahead when they last held the lock, sum of struct
 *	   ecbpf_stock.taken
 */
struct ecbpf_bucket {
	ECBPF_SPIN_LOCK lock;
	__u32 reserved;
	__u64 level;
	__u64 time;
	__u64 ahead;
};
_Static_assert(sizeof(struct ecbpf_bucket) == 32, "ABI");

/**
 * struct ecbpf_stock - the value of a per-CPU array map: what a CPU has taken ahead from a bucket
 * @units: left of it
 * @taken: what it was
 * @owner: the stock is of the bucket whose owner has this number; of another one, or all zero: none
 */
struct ecbpf_stock {
	__u64 units;
	__u64 taken;
	__u64 owner;
};
_Static_assert(sizeof(struct ecbpf_stock) == 24, "ABI");

/* --- buckets by key ----------------------------------------------------------------------- */

#define ECBPF_BUCKET_WAYS 16 /* a power of two */

/**
 * struct ecbpf_bucket_way - the bucket of one key
 * @key: compared in full
 * @level: units in it at @time
 * @time: jiffies; 0: never used
 */
struct ecbpf_bucket_way {
	__u64 key[2];
	__u64 level;
	__u64 time;
};

/**
 * struct ecbpf_bucket_group - the value of an array map: buckets of the keys whose hash chooses it
 * @lock: held while tokens are taken
 * @next_free: jiffies; no bucket of the group is full before
 * @level, @time: the overflow bucket, as in struct ecbpf_bucket
 * @tags: 16 bits of the hash of each way's key
 * @ways: one cache line holds two
 *
 * A full bucket says the same as none. So a new key takes over a way that is full again, and no
 * other. While none is, all keys without a way share the overflow bucket. All zero: unused.
 */
struct ecbpf_bucket_group {
	ECBPF_SPIN_LOCK lock;
	__u32 reserved;
	__u64 next_free;
	__u64 level;
	__u64 time;
	union {
		__u16 tags[ECBPF_BUCKET_WAYS];
		__u64 tag_words[ECBPF_BUCKET_WAYS / 4];
	};
	struct ecbpf_bucket_way ways[ECBPF_BUCKET_WAYS];
};
_Static_assert(sizeof(struct ecbpf_bucket_group) == 576, "ABI");

/**
 * ecbpf_bucket_hash() - 32 bits of a key, for group (upper bits) and tag (lower 16 bits)
 * @secret: 5 random words
 *
 * Multilinear hashing by pairs (Thorup, "High speed hashing for integers and strings", 3.5): for
 * any two keys, all pairs of hashes are equally likely. Who does not know the secret cannot choose
 * keys that meet.
 */
static inline __attribute__((always_inline)) __u32 ecbpf_bucket_hash(const __u64 key[2],
								     const __u64 secret[5])
{
	__u64 sum = secret[4];

	sum += (secret[0] + (__u32)key[0]) * (secret[1] + (key[0] >> 32));
	sum += (secret[2] + (__u32)key[1]) * (secret[3] + (key[1] >> 32));
	return sum >> 32;
}

#endif /* ECBPF_BUCKET_H */
