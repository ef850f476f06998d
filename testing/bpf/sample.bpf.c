// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The draw, a thousand times a run: which packets were sampled, by their place in a period, and how
 * gaps are distributed. And a stage that rewrites packets.
 */
#include <ecbpf/stage.bpf.h>

#define PACKETS	   1000
#define PERIOD_MAX 64

/* Every so many packets it is the same kind's turn again */
const volatile __u32 sample_period = 1;
const volatile __u32 sample_action = XDP_PASS;

struct sample_hits {
	__u64 packets[PERIOD_MAX];
	__u64 drawn[PERIOD_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sample_hits);
} sample_hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} sample_place SEC(".maps");

/* Global, so that the verifier walks it once */
__noinline int sample_once(struct xdp_md *ctx)
{
	struct ecbpf_sampling_state *state;
	struct sample_hits *hits;
	__u32 key = 0, at, *place;
	__u64 before;

	state = bpf_map_lookup_elem(&sampling_state, &key);
	hits = bpf_map_lookup_elem(&sample_hits, &key);
	place = bpf_map_lookup_elem(&sample_place, &key);
	if (!state || !hits || !place)
		return 0;
	at = *place & (PERIOD_MAX - 1);
	*place = at + 1 < sample_period ? at + 1 : 0;
	before = state->unread;
	ecbpf_sample(ctx, ECBPF_STAGE_SAMPLER, sample_action);
	hits->packets[at]++;
	hits->drawn[at] += state->unread - before;
	return 0;
}

SEC("xdp")
int sample_many(struct xdp_md *ctx)
{
	for (__u32 i = 0; i < PACKETS; i++)
		sample_once(ctx);
	return XDP_PASS;
}

#define QUANTILES 9

const volatile __u32 sample_rate = 1;
const volatile __u64 sample_limits[QUANTILES] = {};

struct sample_gaps {
	__u64 gaps;
	__u64 below[QUANTILES]; /* the limit of this number */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sample_gaps);
} sample_gaps SEC(".maps");

/* Likewise */
__noinline int sample_gap_once(struct xdp_md *ctx)
{
	__u64 gap = ecbpf_sample_gap(sample_rate);
	struct sample_gaps *gaps;
	__u32 key = 0;

	barrier_var(ctx); /* else clang leaves out the argument, and the verifier wants it */
	gaps = bpf_map_lookup_elem(&sample_gaps, &key);
	if (!gaps)
		return 0;
	gaps->gaps++;
	for (__u32 i = 0; i < QUANTILES; i++)
		gaps->below[i] += gap < sample_limits[i];
	return 0;
}

SEC("xdp")
int sample_gaps_many(struct xdp_md *ctx)
{
	for (__u32 i = 0; i < PACKETS; i++)
		sample_gap_once(ctx);
	return XDP_PASS;
}

static __always_inline int rewrite(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	__u32 verdict = ECBPF_VERDICT_RULE(XDP_TX, ECBPF_REASON_LOCAL, 65535);
	void *data = (void *)(long)ctx->data;

	verdict = ecbpf_verdict_early(ctx, ECBPF_STAGE_LOCAL + 8, verdict);
	if (data + ETH_ALEN <= (void *)(long)ctx->data_end)
		__builtin_memset(data, 0xff, ETH_ALEN);
	return ecbpf_verdict(ctx, rec, ECBPF_STAGE_LOCAL + 8, verdict);
}

SEC("xdp")
int sample_rewrite(struct xdp_md *ctx)
{
	return ecbpf_run(ctx, rewrite);
}

char _license[] SEC("license") = "Dual BSD/GPL";
