// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A program in a section of no known type */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("mine")
int bad_section(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
