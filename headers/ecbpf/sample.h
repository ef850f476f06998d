/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Samples: what the sampling hook (sample.bpf.h) and user space both know. All of it is per network
 * namespace: the maps are pinned, and shared by the programs of all interfaces.
 *
 * Every sample that was drawn ends in exactly one of these places, so that at rest
 *
 *	capped + lost + unread + put = drawn, put = published + send_errors + abandoned
 *
 * ABI: fields are never moved.
 */
#ifndef ECBPF_SAMPLE_H
#define ECBPF_SAMPLE_H

#include <linux/types.h>
#include <ecbpf/record.h>

/* Packets are drawn from in two classes, each with a rate and a countdown of its own */
enum ecbpf_sample_class {
	ECBPF_SAMPLE_PASSED = 0,   /* XDP_PASS, drawn from by the sampler, which runs last */
	ECBPF_SAMPLE_TERMINAL = 1, /* all other verdicts, drawn from by the stage that gives one */
	ECBPF_SAMPLE_CLASSES = 2,
};

#define ECBPF_SNAP_MAX 16384 /* bytes: an event of the ring has to stay below 64 KiB */

/**
 * struct ecbpf_sampling - settings by user space, the one entry of the array map `sampling`
 * @rate: by enum ecbpf_sample_class: one packet in this many is sampled; 0: none
 * @snap_len: at most this many bytes of the packet go with a sample, 0..ECBPF_SNAP_MAX
 * @max_pps: at most this many samples a second and host, besides those of a burst of a tenth of a
 *	     second, and one for each CPU (they do not wait for each other); 0: no limit
 *
 * Each field is read by itself, so that a change need not be atomic. A change of a rate is seen by
 * a CPU at the latest ECBPF_SAMPLE_CHUNK packets of the class later.
 */
struct ecbpf_sampling {
	__u32 rate[ECBPF_SAMPLE_CLASSES];
	__u32 snap_len;
	__u32 max_pps;
};
_Static_assert(sizeof(struct ecbpf_sampling) == 16, "ABI");

#define ECBPF_SAMPLE_CHUNK 128

/**
 * struct ecbpf_sampling_gap - countdowns, the one entry of the per-CPU array map `sampling_gap`
 * @skip: packets to let by before anything is looked up
 * @rate: what @left was drawn for
 * @left: packets to let by, after @skip, before one is sampled
 *
 * All zero means that nothing is drawn yet: user space may set it so at any time.
 */
struct ecbpf_sampling_gap {
	__u32 skip[ECBPF_SAMPLE_CLASSES];
	__u32 rate[ECBPF_SAMPLE_CLASSES];
	__u64 left[ECBPF_SAMPLE_CLASSES];
};
_Static_assert(sizeof(struct ecbpf_sampling_gap) == 32, "ABI");

/**
 * struct ecbpf_sampling_state - counters, the one entry of the per-CPU array map `sampling_state`
 * @put: samples that were drawn on this CPU and put into its ring
 * @capped: drawn, but not put out because of ecbpf_sampling.max_pps
 * @lost: likewise, because the ring had no room
 * @unread: likewise, because there was no ring: nobody reads
 */
struct ecbpf_sampling_state {
	__u64 put;
	__u64 capped;
	__u64 lost;
	__u64 unread;
};
_Static_assert(sizeof(struct ecbpf_sampling_state) == 32, "ABI");

/**
 * struct ecbpf_sampler_stats - what the reader of the rings counts, the one entry of the array map
 *				`sampler_stats`, in which it stays when the reader ends
 * @abandoned: samples that a reader which was killed has left in its rings
 * @published: handed on
 * @send_errors: not handed on, as sending failed
 * @queue_full: times that a subscriber's queue was found full; it misses samples that others get,
 *		so these are @published too, and how many it misses it counts by itself
 * @bytes: payload of @published
 */
struct ecbpf_sampler_stats {
	__u64 abandoned;
	__u64 published;
	__u64 send_errors;
	__u64 queue_full;
	__u64 bytes;
};
_Static_assert(sizeof(struct ecbpf_sampler_stats) == 40, "ABI");

/**
 * struct ecbpf_sample - head of one event of the perf event array `samples`; packet bytes follow
 * @time_ns: CLOCK_MONOTONIC
 * @seq: number of the sample on its CPU, counted from 0 when it was drawn; a gap is a loss
 * @lost: how many samples of this CPU before it have not been put out: capped, lost or unread
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
