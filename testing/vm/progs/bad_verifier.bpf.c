// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* No verifier lets this through: reads the packet without a look at its length */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int bad_verifier(struct xdp_md *ctx)
{
	const __u8 *data = (void *)(long)ctx->data;

	return data[100] ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
