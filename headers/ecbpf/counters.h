/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Verdict accounting. Every program has a per-CPU array map `counters` of its own: one program on
 * one interface, so an entry is "per program, interface and action". A program of one stage has
 * one entry; ecbpf_fused has one for each of its slots.
 *
 * Bytes are whole frames (ecbpf_record.frame_len). The values of all CPUs are to be summed. They
 * are read while packets pass: packets and bytes of one read may be one packet apart.
 */
#ifndef ECBPF_COUNTERS_H
#define ECBPF_COUNTERS_H

#include <linux/types.h>
#include <ecbpf/reason.h>

/* XDP_ABORTED (0) to XDP_REDIRECT (4), and one index for all other values */
#define ECBPF_ACTION_INVALID 5
#define ECBPF_ACTION_MAX     6

struct ecbpf_counters {
	__u64 packets[ECBPF_ACTION_MAX]; /* by verdict */
	__u64 bytes[ECBPF_ACTION_MAX];	 /* by verdict */
	__u64 reasons[ECBPF_REASON_MAX]; /* packets, by enum ecbpf_reason; [0] is never counted */
};
_Static_assert(sizeof(struct ecbpf_counters) == 1120, "ABI");

#endif /* ECBPF_COUNTERS_H */
