// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Says that it is one of ecbpf's, of a schema that never was */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(schema, 9999);
} ecbpf_metadata SEC(".ecbpf_metadata");

SEC("xdp")
int bad_schema(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
