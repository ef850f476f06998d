/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For programs that make one frame a packet of a random flow, and run another program on it */
#ifndef BENCH_FLOW_BPF_H
#define BENCH_FLOW_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

/* xorshift32: cheap, and the same sequence in each run */
static __always_inline __u32 random_next(__u32 state)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

#endif /* BENCH_FLOW_BPF_H */
