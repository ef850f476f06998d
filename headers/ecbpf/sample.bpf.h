/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sampling hook. Each packet is drawn once, where its fate is sealed: by the epilogue of the
 * stage that gives it a terminal verdict, or as a passed packet by the sampler, which runs last.
 *
 * The draw counts down packets: the gap to the next sample is drawn when it reaches zero,
 * evenly from 1 to 2 * rate - 1, so that one packet in `rate` is sampled on average and none can
 * foretell it. With `sampling_on` false (the default) the verifier removes all of it.
 */
#ifndef ECBPF_SAMPLE_BPF_H
#define ECBPF_SAMPLE_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <ecbpf/sample.h>
#include <ecbpf/parse.bpf.h>

const volatile bool sampling_on = false;

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
	__type(value, struct ecbpf_sampling_state);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sampling_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} samples SEC(".maps");

/* While sampling is off by setting (rate 0), it is looked up again after so many packets */
#define ECBPF_SAMPLING_IDLE 64

/* Global, so that the verifier walks it once, not for each way that leads to it */
__noinline int ecbpf_sample_emit(struct xdp_md *ctx, __u32 stage, __u32 verdict)
{
	struct ecbpf_sampling_state *state;
	struct ecbpf_sampling *settings;
	__u32 key = 0, rate, len;

	state = bpf_map_lookup_elem(&sampling_state, &key);
	settings = bpf_map_lookup_elem(&sampling, &key);
	if (!state || !settings)
		return 0;
	if (state->rate) {
		struct ecbpf_sample sample = {
			.time_ns = bpf_ktime_get_ns(),
			.seq = state->seq,
			.lost = state->lost,
			.ifindex = ctx->ingress_ifindex,
			.queue = ctx->rx_queue_index,
			.rate = state->rate,
			.rule = verdict >> 16,
			.stage = stage,
			.action = verdict & 0xff,
			.reason = verdict >> 8 & 0xff,
		};

		ecbpf_parse_rare(ctx, &sample.record);
		len = ctx->data_end - ctx->data;
		if (len > settings->snap_len)
			len = settings->snap_len;
		sample.cap_len = len;
		state->seq++;
		if (bpf_perf_event_output(ctx, &samples,
					  (__u64)(len & 0xffff) << 32 | BPF_F_CURRENT_CPU, &sample,
					  sizeof(sample)))
			state->lost++;
	}
	rate = settings->rate;
	state->rate = rate;
	if (!rate)
		state->skip = ECBPF_SAMPLING_IDLE;
	else
		state->skip = 1 + ((__u64)bpf_get_prandom_u32() * (2ULL * rate - 1) >> 32);
	return 0;
}

/* To be called while the packet is as it came in: a stage that rewrites it calls this before */
static __always_inline void ecbpf_sample(struct xdp_md *ctx, __u32 stage, __u32 verdict)
{
	struct ecbpf_sampling_state *state;
	__u32 key = 0;

	if (!sampling_on)
		return;
	state = bpf_map_lookup_elem(&sampling_state, &key);
	if (!state)
		return;
	if (state->skip > 1)
		state->skip--;
	else
		ecbpf_sample_emit(ctx, stage, verdict);
}

#endif /* ECBPF_SAMPLE_BPF_H */
