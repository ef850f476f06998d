// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a kernel translates differently for different CPUs and mitigations: return, call, indirect
 * jump, shift. Its size says whether sizes of machine code from two machines can be compared; see
 * counts.py.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} jit_progs SEC(".maps");

static __attribute__((noinline)) __u64 jit_shift(__u64 value, __u32 by)
{
	if (by == 7)
		return bpf_ktime_get_ns();
	return value << (by & 63) ^ value >> (by & 31) ^ (__s64)value >> (by & 15);
}

SEC("xdp")
int jit_all(struct xdp_md *ctx)
{
	__u32 by = ctx->rx_queue_index;

	bpf_tail_call(ctx, &jit_progs, by);
	return jit_shift(bpf_ktime_get_ns(), by) + jit_shift(by, ctx->ingress_ifindex);
}

char _license[] SEC("license") = "Dual BSD/GPL";
