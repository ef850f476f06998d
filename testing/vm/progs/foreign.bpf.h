/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the foreign programs share: they know nothing of ecbpf and count for themselves */
#ifndef FOREIGN_BPF_H
#define FOREIGN_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct seen {
	__u64 packets;
	__u64 bytes;
	__u64 failed; /* could not do to it what the program is for */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct seen);
} foreign_seen SEC(".maps");

static __always_inline struct seen *see(struct xdp_md *ctx)
{
	struct seen *seen;
	__u32 key = 0;

	seen = bpf_map_lookup_elem(&foreign_seen, &key);
	if (seen) {
		__sync_fetch_and_add(&seen->packets, 1);
		__sync_fetch_and_add(&seen->bytes, ctx->data_end - ctx->data);
	}
	return seen;
}

char _license[] SEC("license") = "Dual BSD/GPL";

#endif /* FOREIGN_BPF_H */
