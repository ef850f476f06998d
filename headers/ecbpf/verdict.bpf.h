/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one epilogue: every verdict of every stage goes through ecbpf_verdict(), which counts it
 * with its reason, lets the sampling hook see it, and gives the value to return.
 */
#ifndef ECBPF_VERDICT_BPF_H
#define ECBPF_VERDICT_BPF_H

#include <ecbpf/counters.h>
#include <ecbpf/sample.bpf.h>
#include <ecbpf/stage.h>

/* In a verdict: the packet was drawn from already. Above the reason, below the rule */
#define ECBPF_VERDICT_DRAWN (1U << 15)

const volatile enum ecbpf_malformed malformed_action = ECBPF_MALFORMED_PASS;

#ifndef ECBPF_COUNTER_SLOTS
#define ECBPF_COUNTER_SLOTS 1
#endif

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ECBPF_COUNTER_SLOTS);
	__type(key, __u32);
	__type(value, struct ecbpf_counters);
} counters SEC(".maps");

static __always_inline __u32 ecbpf_malformed(const struct ecbpf_record *rec)
{
	return ECBPF_VERDICT(malformed_action, rec->reason);
}

/* Count one verdict in entry @slot of `counters`; the part of the epilogue for every stage */
static __always_inline void ecbpf_verdict_count(const struct ecbpf_record *rec, __u32 slot,
						__u32 verdict)
{
	struct ecbpf_counters *c = bpf_map_lookup_elem(&counters, &slot);
	__u32 reason = verdict >> 8 & (ECBPF_REASON_MAX - 1);
	__u64 action = verdict & 0xff;

	if (!c)
		return;
	/*
	 * 64 bits in one register: kernels before 6.6 lose the bounds of copies and of halves. Not
	 * for constants, whose bounds need no check; the verdict on plain packets mostly is one.
	 */
	if (!__builtin_constant_p(action))
		barrier_var(action);
	if (action > XDP_REDIRECT)
		action = ECBPF_ACTION_INVALID;
	c->packets[action]++;
	c->bytes[action] += rec->frame_len;
	if (reason)
		c->reasons[reason]++;
}

/* Draw a sample and give the XDP action; the part for the last stage that the packet comes to */
static __always_inline int ecbpf_verdict_end(struct xdp_md *ctx, __u32 stage, __u32 verdict)
{
	__u32 action = verdict & 0xff;

	/* passed by the sampler is passed by all */
	if (action != XDP_PASS ? !(verdict & ECBPF_VERDICT_DRAWN) : stage == ECBPF_STAGE_SAMPLER)
		ecbpf_sample(ctx, stage, verdict);
	return action;
}

/**
 * ecbpf_verdict_early() - draw now
 * @verdict: a terminal one, ECBPF_VERDICT() or ECBPF_VERDICT_RULE()
 *
 * For a stage that is about to rewrite a packet: samples show packets as they came in.
 *
 * Return: what the stage is to return.
 */
static __always_inline __u32 ecbpf_verdict_early(struct xdp_md *ctx, __u32 stage, __u32 verdict)
{
	ecbpf_sample(ctx, stage, verdict);
	return verdict | ECBPF_VERDICT_DRAWN;
}

/**
 * ecbpf_verdict() - count, sample, return
 * @ctx: the program's context
 * @rec: the packet's record, as the packet came in
 * @stage: enum ecbpf_stage
 * @verdict: ECBPF_VERDICT(), ECBPF_VERDICT_RULE() or of ecbpf_verdict_early()
 *
 * Return: the XDP action for the kernel.
 */
static __always_inline int ecbpf_verdict(struct xdp_md *ctx, const struct ecbpf_record *rec,
					 __u32 stage, __u32 verdict)
{
	ecbpf_verdict_count(rec, 0, verdict);
	return ecbpf_verdict_end(ctx, stage, verdict);
}

#endif /* ECBPF_VERDICT_BPF_H */
