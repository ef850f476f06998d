/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Token buckets that all CPUs share, and that are exact at any number of CPUs: a single bucket, or
 * one for each key.
 *
 * They use a spin lock because the verifier accepts compare-and-exchange since Linux 5.12 only.
 * That costs two calls for each token, and CPUs wait for each other. A refusal, the common case in
 * a flood, takes the lock once a jiffy and CPU at most: see ecbpf_bucket_take_at(). A bucket that
 * has room gives each CPU some units ahead: see ecbpf_bucket_take_ahead().
 */
#ifndef ECBPF_BUCKET_BPF_H
#define ECBPF_BUCKET_BPF_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <ecbpf/bucket.h>

/*
 * What a bucket that holds @max at most holds at the time of *@now, if it was @level at @time.
 * *@now: not before @time, if another CPU has looked at the clock after us
 */
static __always_inline __u64 bucket_filled(__u64 level, __u64 time, const struct ecbpf_rate *rate,
					   __u64 max, __u64 *now)
{
	__u64 elapsed = *now - time;

	if ((__s64)elapsed < 0) {
		elapsed = 0;
		*now = time;
	}
	if (elapsed >= rate->full || !time) /* 0: never used; jiffies do not begin there */
		return max;
	level += elapsed * rate->refill;
	return level < max ? level : max;
}

/*
 * Take @need from what a bucket held at *@time, at the time of @now. Under the lock. Return: it had
 * so much
 */
static __always_inline bool bucket_draw(__u64 *level_at, __u64 *time_at,
					const struct ecbpf_rate *rate, __u64 need, __u64 now)
{
	__u64 level = bucket_filled(*level_at, *time_at, rate, rate->max, &now);
	bool is_granted = level >= need;

	*(volatile __u64 *)level_at = is_granted ? level - need : level;
	*(volatile __u64 *)time_at = now;
	return is_granted;
}

/*
 * Without the lock: does a bucket hold less than @need, for as long as this jiffy lasts? Within a
 * jiffy the level only sinks. The time is written last and read first, so that this is the level
 * of that time, or a later and lower one.
 */
static __always_inline bool bucket_is_short(const __u64 *level_at, const __u64 *time_at,
					    const struct ecbpf_rate *rate, __u64 need, __u64 now)
{
	__u64 time = *(const volatile __u64 *)time_at;
	__u64 level = *(const volatile __u64 *)level_at;

	return time == now && level < need && rate->full;
}

/* As ecbpf_bucket_take(), at the time of @now, in jiffies */
static __always_inline bool ecbpf_bucket_take_at(struct ecbpf_bucket *bucket,
						 const struct ecbpf_rate *rate, __u64 count,
						 __u64 now)
{
	__u64 need = count * rate->cost;
	bool is_granted;

	if (bucket_is_short(&bucket->level, &bucket->time, rate, need, now))
		return false;
	bpf_spin_lock(&bucket->lock);
	is_granted = bucket_draw(&bucket->level, &bucket->time, rate, need, now);
	bpf_spin_unlock(&bucket->lock);
	return is_granted;
}

/**
 * ecbpf_bucket_take() - take tokens, all or none
 * @bucket: value of an array map that has BTF (the verifier wants it for the lock). The caller
 *	    holds no other lock
 * @rate: how it fills; where it lies in a map, it may change at any time
 * @count: tokens: 1 for a packet, or bytes
 *
 * Return: true if there were so many.
 */
static __always_inline bool ecbpf_bucket_take(struct ecbpf_bucket *bucket,
					      const struct ecbpf_rate *rate, __u64 count)
{
	return ecbpf_bucket_take_at(bucket, rate, count, bpf_jiffies64());
}

/**
 * ecbpf_bucket_take_ahead() - take tokens, all or none, and some for packets to come
 * @bucket, @rate, @count, @now: as for ecbpf_bucket_take_at()
 * @stock: of this CPU and this bucket only; per-CPU value
 * @owner: number that no earlier owner of @bucket and @stock had; not 0
 * @shift: not 0; while the bucket is at least half full, @rate->max >> @shift units are taken ahead
 *
 * What was taken ahead counts as in the bucket until it is used: bucket and all stocks never have
 * more than @rate->max together, so never are more tokens given out than without stocks. What lies
 * with a CPU that has no packets, @rate->max >> @shift at most, no other one can use.
 *
 * Return: true if there were so many.
 */
static __always_inline bool ecbpf_bucket_take_ahead(struct ecbpf_bucket *bucket,
						    const struct ecbpf_rate *rate,
						    struct ecbpf_stock *stock, __u64 owner,
						    __u32 shift, __u64 count, __u64 now)
{
	__u64 need = count * rate->cost, level, max, taken, batch = 0;
	bool is_granted;

	if (stock->owner != owner) {
		stock->units = 0;
		stock->taken = 0;
		stock->owner = owner;
	}
	if (stock->units >= need) {
		stock->units -= need;
		return true;
	}
	if (bucket_is_short(&bucket->level, &bucket->time, rate, need - stock->units, now))
		return false;
	/* the stock is this CPU's own: it is read before the lock, and written after it */
	taken = stock->taken;
	level = stock->units;
	bpf_spin_lock(&bucket->lock);
	max = bucket->ahead < rate->max ? rate->max - bucket->ahead : 0;
	level += bucket_filled(bucket->level, bucket->time, rate, max, &now);
	is_granted = level >= need;
	if (is_granted)
		level -= need;
	if (is_granted && level >= rate->max / 2)
		batch = rate->max >> (shift & 63);
	bucket->ahead += batch - taken;
	*(volatile __u64 *)&bucket->level = level - batch;
	*(volatile __u64 *)&bucket->time = now;
	bpf_spin_unlock(&bucket->lock);
	stock->units = batch;
	stock->taken = batch;
	return is_granted;
}

/* Give back @count tokens that were taken; what is more than the bucket holds is lost later */
static __always_inline void ecbpf_bucket_give(struct ecbpf_bucket *bucket,
					      const struct ecbpf_rate *rate, __u64 count)
{
	bpf_spin_lock(&bucket->lock);
	bucket->level += count * rate->cost;
	bpf_spin_unlock(&bucket->lock);
}

/* --- by key ------------------------------------------------------------------------------- */

#define ECBPF_BUCKET_REFUSED 1
#define ECBPF_BUCKET_SHARED  2 /* the key has no bucket of its own: the group has none free */

/* A way of which no key is known: there is none with this number */
#define BUCKET_NO_WAY ECBPF_BUCKET_WAYS

#define BUCKET_LANES(bits) ((bits)*0x0001000100010001ULL)

static __always_inline bool bucket_is_of(const struct ecbpf_bucket_way *way, const __u64 key[2])
{
	return *(const volatile __u64 *)&way->key[0] == key[0] &&
	       *(const volatile __u64 *)&way->key[1] == key[1];
}

/*
 * Return: the way that belongs to @key, or BUCKET_NO_WAY. Most keys are in the way that
 * bucket_claim() tries first: tags are not read for them
 */
static __always_inline __u32 bucket_find(const struct ecbpf_bucket_group *group, const __u64 key[2],
					 __u16 tag)
{
	if (bucket_is_of(&group->ways[tag & (ECBPF_BUCKET_WAYS - 1)], key))
		return tag & (ECBPF_BUCKET_WAYS - 1);
	for (__u32 word = 0; word < ECBPF_BUCKET_WAYS / 4; word++) {
		__u64 differs = group->tag_words[word] ^ BUCKET_LANES((__u64)tag), equal;

		/* the highest bit of each lane that is zero, and of few others */
		equal = (differs - BUCKET_LANES(1)) & ~differs & BUCKET_LANES(0x8000ULL);
		if (!equal)
			continue;
		for (__u32 lane = 0; lane < 4; lane++) {
			if (equal >> (16 * lane) & 0x8000 &&
			    bucket_is_of(&group->ways[word * 4 + lane], key))
				return word * 4 + lane;
		}
	}
	return BUCKET_NO_WAY;
}

/* Units that a bucket lacks to be full; 0: it is full */
static __always_inline __u64 bucket_lacks(const struct ecbpf_bucket_way *way,
					  const struct ecbpf_rate *rate, __u64 now)
{
	__u64 elapsed = now - way->time, level = way->level;

	if (!way->time)
		return 0;
	if ((__s64)elapsed < 0)
		elapsed = 0;
	if (elapsed >= rate->full)
		return 0;
	level += elapsed * rate->refill;
	return level < rate->max ? rate->max - level : 0;
}

/* Give @key a way whose bucket is full. Under the lock. Return: it, or BUCKET_NO_WAY */
static __always_inline __u32 bucket_claim(struct ecbpf_bucket_group *group,
					  const struct ecbpf_rate *rate, const __u64 key[2],
					  __u16 tag, __u64 now)
{
	__u64 least = ~0ULL;

	if ((__s64)(now - group->next_free) < 0)
		return BUCKET_NO_WAY;
	for (__u32 i = 0; i < ECBPF_BUCKET_WAYS; i++) {
		/* each key begins elsewhere: in a group that is not crowded its first try is free
		 */
		__u32 index = (tag + i) & (ECBPF_BUCKET_WAYS - 1);
		struct ecbpf_bucket_way *way = &group->ways[index];
		__u64 lacks = bucket_lacks(way, rate, now);

		if (!lacks) {
			*(volatile __u64 *)&way->time = 0;
			way->key[0] = key[0];
			way->key[1] = key[1];
			group->tags[index] = tag;
			return index;
		}
		if (lacks < least)
			least = lacks;
	}
	group->next_free = now + (least + rate->refill - 1) / rate->refill;
	return BUCKET_NO_WAY;
}

/* Without the lock. @index: of bucket_find(). Return: as ecbpf_bucket_take_key(); 0: not sure */
static __always_inline __u32 bucket_refuses(const struct ecbpf_bucket_group *group, __u32 index,
					    const struct ecbpf_rate *rate, const __u64 key[2],
					    __u64 need, __u64 now)
{
	const struct ecbpf_bucket_way *way = &group->ways[index & (ECBPF_BUCKET_WAYS - 1)];

	if (index != BUCKET_NO_WAY) /* compared again: another key may have claimed it */
		return bucket_is_short(&way->level, &way->time, rate, need, now) &&
		       bucket_is_of(way, key);
	if ((__s64)(now - *(const volatile __u64 *)&group->next_free) < 0 &&
	    bucket_is_short(&group->level, &group->time, rate, need, now))
		return ECBPF_BUCKET_REFUSED | ECBPF_BUCKET_SHARED;
	return 0;
}

/**
 * ecbpf_bucket_take_key() - take tokens from the bucket of a key, all or none
 * @group: value of an array map that has BTF, chosen by the key's hash. The caller holds no lock
 * @rate: of all buckets of the group, for as long as it is in use
 * @key: compared in full
 * @tag: 16 bits of the key's hash, others than those that chose the group
 * @count: tokens
 * @now: jiffies
 *
 * A key whose bucket was full, and was taken over, and that comes back into a crowded group, shares
 * the overflow bucket until it gets one of its own: for that long it may get both's tokens.
 *
 * Return: 0 if there were so many, else ECBPF_BUCKET_REFUSED; with ECBPF_BUCKET_SHARED if this is
 * about the overflow bucket.
 */
static __always_inline __u32 ecbpf_bucket_take_key(struct ecbpf_bucket_group *group,
						   const struct ecbpf_rate *rate,
						   const __u64 key[2], __u16 tag, __u64 count,
						   __u64 now)
{
	__u64 need = count * rate->cost;
	__u32 result, index;

	index = bucket_find(group, key, tag);
	result = bucket_refuses(group, index, rate, key, need, now);
	if (result)
		return result;
	bpf_spin_lock(&group->lock);
	if (index == BUCKET_NO_WAY ||
	    !bucket_is_of(&group->ways[index & (ECBPF_BUCKET_WAYS - 1)], key)) {
		index = bucket_find(group, key, tag);
		if (index == BUCKET_NO_WAY)
			index = bucket_claim(group, rate, key, tag, now);
	}
	if (index == BUCKET_NO_WAY) {
		result = ECBPF_BUCKET_SHARED;
		if (!bucket_draw(&group->level, &group->time, rate, need, now))
			result |= ECBPF_BUCKET_REFUSED;
	} else {
		struct ecbpf_bucket_way *way = &group->ways[index & (ECBPF_BUCKET_WAYS - 1)];

		result = !bucket_draw(&way->level, &way->time, rate, need, now);
	}
	bpf_spin_unlock(&group->lock);
	return result;
}

#endif /* ECBPF_BUCKET_BPF_H */
