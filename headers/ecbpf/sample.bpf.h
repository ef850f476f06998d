/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sampling hook, which decides once for each packet whether it is sampled: in the epilogue of
 * the stage that gives it a terminal verdict, or in the sampler, which runs last, if it passes.
 *
 * Every packet is sampled with probability 1/rate, independently of all others: counts are
 * binomial, and no sender can predict which packets are sampled. A random number for each packet
 * costs the call of a helper: 17 to 20 ns on an AMD EPYC with Safe RET, 3 ns on an Intel Xeon with
 * retpolines. Instead, the gap to the next sample is drawn from a geometric distribution and
 * counted down: at most 2 ns on both. The distribution has no memory, so a gap can be counted down
 * in parts; a change of the rate takes effect with the next part.
 *
 * If `sampling_on` is false, the verifier removes this code.
 */
#ifndef ECBPF_SAMPLE_BPF_H
#define ECBPF_SAMPLE_BPF_H

#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_helpers.h>
#include <ecbpf/sample.h>
#include <ecbpf/parse.bpf.h>

const volatile bool sampling_on = true;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_sampling);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sampling SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_sampling_gap);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sampling_gap SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_sampling_state);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sampling_state SEC(".maps");

/* When the next sample may be put out, for ecbpf_sampling.max_pps; CLOCK_MONOTONIC in ns */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sampling_cap SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} samples SEC(".maps");

/*
 * Where a sample is made: it has no room on the stack, of which ecbpf_fused and the calls below it
 * have 512 bytes together
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_sample);
} sampling_sample SEC(".maps");

/* Return: -log2 of a random number from 0 to 1, in units of 2^-24; above 0, at most 33 */
static __always_inline __u64 ecbpf_sample_log2(void)
{
	/* the number: mantissa * 2^-exponent, mantissa in [1, 2), in units of 2^-31 */
	__u64 mantissa = bpf_get_prandom_u32() | 1U << 31;
	__u32 random = bpf_get_prandom_u32(), fraction = 0, exponent = 1;

	for (__u32 bits = 16; bits; bits /= 2) {
		if (random >> (32 - bits) == 0) {
			random <<= bits;
			exponent += bits;
		}
	}
	/* squaring doubles the logarithm: each time, the next of its digits is seen */
	for (__u32 i = 0; i < 24; i++) {
		__u32 digit;

		mantissa = mantissa * mantissa >> 31;
		digit = mantissa >> 32;
		mantissa >>= digit;
		fraction = fraction << 1 | digit;
	}
	return ((__u64)exponent << 24) - fraction;
}

#define ECBPF_SAMPLE_ONE (1ULL << 32)
#define ECBPF_SAMPLE_LN2 2977044472ULL /* in units of 2^-32 */

/*
 * Return: how many packets to let by before the next sample of one in @rate: the geometric
 * distribution, floor(ln(random) / ln(1 - 1 / rate)).
 *
 * The divisor is -2 artanh(y), y = 1 / (2 rate - 1), and that is -2 (y + y^3 / 3 + y^5 / 5 ...);
 * from six terms on 10^-7 is right at rate 2, which needs them most.
 *
 * Not inlined: it is needed twice.
 */
static __noinline __u64 ecbpf_sample_gap(__u32 rate)
{
	__u64 reciprocal = 2ULL * rate - 1, square = 0, series, quotient;

	if (rate == 1)
		return 0;
	if (rate < 1 << 16)
		square = ECBPF_SAMPLE_ONE / (reciprocal * reciprocal);
	series = ECBPF_SAMPLE_ONE / 13;
	series = ECBPF_SAMPLE_ONE / 11 + (square * series >> 32);
	series = ECBPF_SAMPLE_ONE / 9 + (square * series >> 32);
	series = ECBPF_SAMPLE_ONE / 7 + (square * series >> 32);
	series = ECBPF_SAMPLE_ONE / 5 + (square * series >> 32);
	series = ECBPF_SAMPLE_ONE / 3 + (square * series >> 32);
	series = ECBPF_SAMPLE_ONE + (square * series >> 32);
	quotient = ecbpf_sample_log2() * ECBPF_SAMPLE_LN2 / series; /* 2^-24 */
	return quotient * reciprocal >> 25;
}

#define ECBPF_SAMPLE_SECOND 1000000000ULL

/*
 * A bucket of tokens as one number: the time at which it is full again, less what it holds. CPUs
 * that meet here may put out one sample too many each; kernels before 5.12 have nothing that is
 * both atomic and without a lock.
 */
static __always_inline bool ecbpf_sample_is_capped(__u64 now, __u32 max_pps)
{
	__u64 cost, earliest, *next;
	__u32 key = 0;

	if (!max_pps)
		return false;
	next = bpf_map_lookup_elem(&sampling_cap, &key);
	if (!next)
		return false;
	cost = ECBPF_SAMPLE_SECOND / max_pps;
	earliest = now - ECBPF_SAMPLE_SECOND / 10;
	if (*next < earliest)
		*next = earliest + cost;
	else if (*next > now)
		return true;
	else
		__sync_fetch_and_add(next, cost);
	return false;
}

/* Global, like ecbpf_sample_due(): the verifier walks them once, not for each way that leads there
 */
__noinline int ecbpf_sample_put(struct xdp_md *ctx, __u32 stage, __u32 verdict, __u32 rate)
{
	struct ecbpf_sampling_state *state;
	struct ecbpf_sampling *settings;
	struct ecbpf_sample *sample;
	__u32 key = 0, len;
	__u64 lost;
	long err;

	settings = bpf_map_lookup_elem(&sampling, &key);
	state = bpf_map_lookup_elem(&sampling_state, &key);
	sample = bpf_map_lookup_elem(&sampling_sample, &key);
	if (!settings || !state || !sample)
		return 0;
	lost = state->capped + state->lost + state->unread;
	__builtin_memset(sample, 0, sizeof(*sample));
	sample->time_ns = bpf_ktime_get_ns();
	sample->seq = state->put + lost;
	sample->lost = lost;
	sample->ifindex = ctx->ingress_ifindex;
	sample->queue = ctx->rx_queue_index;
	sample->rate = rate;
	sample->rule = verdict >> 16;
	sample->stage = stage;
	sample->action = verdict & 0xff;
	sample->reason = verdict >> 8 & (ECBPF_REASON_MAX - 1);
	if (ecbpf_sample_is_capped(sample->time_ns, settings->max_pps)) {
		state->capped++;
		return 0;
	}
	ecbpf_parse_rare(ctx, &sample->record);
	len = sample->record.frame_len;
	if (len > settings->snap_len)
		len = settings->snap_len;
	if (len > ECBPF_SNAP_MAX)
		len = ECBPF_SNAP_MAX;
	sample->cap_len = len;
	err = bpf_perf_event_output(ctx, &samples, (__u64)len << 32 | BPF_F_CURRENT_CPU, sample,
				    sizeof(*sample));
	if (!err)
		state->put++;
	else if (err == -ENOENT)
		state->unread++;
	else
		state->lost++;
	return 0;
}

/*
 * A countdown has come to its end: set the next. Return: the rate if this packet is to be sampled,
 * else 0. It does not do that itself: ecbpf_fused, this and ecbpf_sample_gap() need all of the
 * stack
 */
__noinline __u32 ecbpf_sample_due(__u32 class)
{
	struct ecbpf_sampling *settings;
	struct ecbpf_sampling_gap *gap;
	__u32 rate, skip, key = 0, due = 0;
	__u64 left;

	settings = bpf_map_lookup_elem(&sampling, &key);
	gap = bpf_map_lookup_elem(&sampling_gap, &key);
	if (!settings || !gap)
		return 0;
	barrier_var(class); /* else clang omits the mask */
	class &= ECBPF_SAMPLE_TERMINAL;
	rate = settings->rate[class];
	left = gap->left[class]; /* this packet included */
	if (rate && rate != gap->rate[class])
		left = ecbpf_sample_gap(rate);
	if (!rate) {
		left = ECBPF_SAMPLE_CHUNK;
	} else if (!left) {
		due = rate;
		left = ecbpf_sample_gap(rate);
	} else {
		left--;
	}
	skip = left < ECBPF_SAMPLE_CHUNK ? left : ECBPF_SAMPLE_CHUNK;
	gap->rate[class] = rate;
	gap->left[class] = left - skip;
	gap->skip[class] = skip;
	return due;
}

/**
 * ecbpf_sample() - the draw
 * @ctx: the program's context, the packet being as it came in
 * @stage: enum ecbpf_stage
 * @verdict: ECBPF_VERDICT()
 */
static __always_inline void ecbpf_sample(struct xdp_md *ctx, __u32 stage, __u32 verdict)
{
	struct ecbpf_sampling_gap *gap;
	__u32 key = 0, rate, *skip;

	if (!sampling_on)
		return;
	gap = bpf_map_lookup_elem(&sampling_gap, &key);
	if (!gap)
		return;
	skip = &gap->skip[ECBPF_SAMPLE_PASSED];
	if ((verdict & 0xff) != XDP_PASS)
		skip = &gap->skip[ECBPF_SAMPLE_TERMINAL];
	if (*skip) {
		(*skip)--;
		return;
	}
	rate = ecbpf_sample_due((verdict & 0xff) == XDP_PASS ? ECBPF_SAMPLE_PASSED
							     : ECBPF_SAMPLE_TERMINAL);
	if (rate)
		ecbpf_sample_put(ctx, stage, verdict, rate);
}

#endif /* ECBPF_SAMPLE_BPF_H */
