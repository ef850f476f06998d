/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Samples: what the sampling hook (sample.bpf.h) and user space both know.
 */
#ifndef ECBPF_SAMPLE_H
#define ECBPF_SAMPLE_H

#include <linux/types.h>
#include <ecbpf/record.h>

/**
 * struct ecbpf_sampling - settings by user space, the one entry of the array map `sampling`
 * @rate: one packet in this many is sampled; 0: none
 * @snap_len: at most this many bytes of the packet go with a sample
 */
struct ecbpf_sampling {
	__u32 rate;
	__u32 snap_len;
};

/**
 * struct ecbpf_sampling_state - the one entry of the per-CPU array map `sampling_state`
 * @skip: packets yet to let by before one is sampled
 * @rate: the rate in force when @skip was drawn; 0 before the first draw
 * @seq: samples drawn on this CPU so far; the number of the next one
 * @lost: of these, how many the ring had no room for
 */
struct ecbpf_sampling_state {
	__u32 skip;
	__u32 rate;
	__u64 seq;
	__u64 lost;
};

/**
 * struct ecbpf_sample - head of one event of the perf event array `samples`; packet bytes follow
 * @time_ns: CLOCK_MONOTONIC
 * @seq: number of the sample on its CPU; a gap is a loss
 * @lost: ecbpf_sampling_state.lost at that time
 * @ifindex: where the packet came in
 * @queue: receive queue
 * @rate: one in so many packets was sampled when this one was drawn
 * @cap_len: packet bytes that follow (the event may be padded beyond)
 * @rule: the rule that gave the verdict, counted from 1; 0: no rule
 * @stage: enum ecbpf_stage that gave the verdict
 * @action: the verdict, enum xdp_action
 * @reason: enum ecbpf_reason
 * @record: the parser's record
 */
struct ecbpf_sample {
	__u64 time_ns;
	__u64 seq;
	__u64 lost;
	__u32 ifindex;
	__u32 queue;
	__u32 rate;
	__u32 cap_len;
	__u32 rule;
	__u16 stage;
	__u8 action;
	__u8 reason;
	struct ecbpf_record record;
};
_Static_assert(sizeof(struct ecbpf_sample) == 88, "ABI");

#endif /* ECBPF_SAMPLE_H */
