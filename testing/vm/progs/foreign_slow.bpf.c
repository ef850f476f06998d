// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Keeps each packet for long, so that there is always one on its way through the chain */
#include "foreign.bpf.h"

#define BUFFER_SIZE (1 << 20)
#define ROUNDS	    20

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, char[BUFFER_SIZE]);
} foreign_buffer SEC(".maps");

SEC("xdp")
int foreign_slow(struct xdp_md *ctx)
{
	__u32 from = 0, to = 1;
	void *buffer = bpf_map_lookup_elem(&foreign_buffer, &from);

	if (!buffer)
		return XDP_ABORTED;
	for (int i = 0; i < ROUNDS; i++)
		bpf_map_update_elem(&foreign_buffer, &to, buffer, BPF_ANY);
	see(ctx);
	return XDP_PASS;
}
