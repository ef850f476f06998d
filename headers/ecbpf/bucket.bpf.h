/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Token buckets that all CPUs share, exact: never a token more than user space asked for, and none
 * less, however many CPUs take at once.
 *
 * A spin lock, because the verifier knows compare-and-exchange since Linux 5.12 only. It costs two
 * calls for each token that is given out. A refusal, of which a flood makes many, takes no lock but
 * once a jiffy and CPU: see ecbpf_bucket_take_at().
 */
#ifndef ECBPF_BUCKET_BPF_H
#define ECBPF_BUCKET_BPF_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <ecbpf/bucket.h>

/* As ecbpf_bucket_take(), at the time of @now, in jiffies */
static __always_inline bool ecbpf_bucket_take_at(struct ecbpf_bucket *bucket,
						 const struct ecbpf_rate *rate, __u64 count,
						 __u64 now)
{
	__u64 need = count * rate->cost, refill = rate->refill, max = rate->max, full = rate->full;
	__u64 level, time, elapsed;
	bool is_granted;

	/*
	 * Within a jiffy the level only sinks. The time is written last and read first, so that
	 * this is the level of that time, or a later and lower one.
	 */
	time = *(volatile __u64 *)&bucket->time;
	level = *(volatile __u64 *)&bucket->level;
	if (time == now && level < need && full)
		return false;

	bpf_spin_lock(&bucket->lock);
	level = bucket->level;
	elapsed = now - bucket->time;
	if ((__s64)elapsed < 0) { /* another CPU has looked at the clock after us */
		elapsed = 0;
		now = bucket->time;
	}
	if (elapsed >= full || !bucket->time) /* 0: never used; jiffies do not begin there */
		level = max;
	else
		level += elapsed * refill;
	if (level > max)
		level = max;
	is_granted = level >= need;
	if (is_granted)
		level -= need;
	*(volatile __u64 *)&bucket->level = level;
	*(volatile __u64 *)&bucket->time = now;
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

#endif /* ECBPF_BUCKET_BPF_H */
