// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Keeps each packet for milliseconds, so that there is always one on its way through the chain */
#include <stddef.h>
#include "foreign.bpf.h"

#define BUFFER_SIZE 512
#define ROUNDS	    5000

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, char[BUFFER_SIZE]);
} foreign_buffer SEC(".maps");

SEC("xdp")
int foreign_slow(struct xdp_md *ctx)
{
	__u32 key = 0, *buffer = bpf_map_lookup_elem(&foreign_buffer, &key);

	if (!buffer)
		return XDP_ABORTED;
	for (int i = 0; i < ROUNDS; i++)
		bpf_csum_diff(NULL, 0, buffer, BUFFER_SIZE, 0);
	see(ctx);
	return XDP_PASS;
}
