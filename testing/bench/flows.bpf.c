// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Makes of one frame a packet of any flow, as it comes in, and runs the program in `next` on it.
 * What it changes leaves the IPv4 header's checksum as it is: half of the address is the complement
 * of the other half.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_helpers.h>
#include <ecbpf/fastpath.h>
#include "flow.bpf.h"

struct state {
	__u32 random;
	__u32 mask; /* flows - 1 */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct state);
} state SEC(".maps");

SEC("xdp")
int flows(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u32 key = 0, id, random, *word = data + 14;
	struct state *s = bpf_map_lookup_elem(&state, &key);

	if (!s || data + 54 > data_end)
		return XDP_ABORTED;
	random = s->random;
	id = random & s->mask;
	*(__u32 *)data = 0; /* the hop's address is another one */
	word[2] = 0;	    /* time to live, protocol and checksum: as in the frame, below */
	*(__u8 *)(data + 22) = 64;
	*(__u8 *)(data + 23) = 6;
	*(__u16 *)(data + 24) = *(__u16 *)(data + 38); /* kept in the sequence number */
	word[3] = (id & 0xffff) | (~id & 0xffff) << 16;
	*(__u16 *)(data + 34) = id >> 16;
	s->random = random_next(random);
	bpf_tail_call(ctx, &next, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int empty(struct xdp_md *ctx)
{
	return XDP_TX;
}

/* As large as the table of flows, and nothing else done with it than is done here */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_flow_group);
} lines SEC(".maps");

const volatile __u32 groups = 1;

/* One cache line for each flow, anywhere in memory: read it, and write to it */
SEC("xdp")
int touch(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct ecbpf_flow_group *group;
	__u64 hash;
	__u32 key;

	if (data + 54 > data_end)
		return XDP_ABORTED;
	hash = *(__u64 *)(data + 26) * 0x9e3779b97f4a7c15ULL ^ *(__u16 *)(data + 34);
	hash *= 0x9e3779b97f4a7c15ULL;
	key = ecbpf_flow_group(hash, groups);
	group = bpf_map_lookup_elem(&lines, &key);
	if (!group || group->flows[ecbpf_flow_home(hash)].lease)
		return XDP_ABORTED;
	group->flows[ecbpf_flow_home(hash)].packets++;
	return XDP_TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
