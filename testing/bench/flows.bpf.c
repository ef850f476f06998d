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
	__u32 at;   /* of `chase`: number of a flow's entry in the table */
	__u32 pad;
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

/* The fast path's, reused */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_flow_group);
} table SEC(".maps");

/*
 * Reads one flow, which says what the next packet reads: nothing of it can begin before the read
 * for the packet before has ended. `len_at`: the fast path does not read it for packets this short.
 */
SEC("xdp")
int chase(struct xdp_md *ctx)
{
	const struct ecbpf_flow_group *group;
	struct state *s;
	__u32 key = 0;

	s = bpf_map_lookup_elem(&state, &key);
	if (!s)
		return XDP_ABORTED;
	key = s->at / ECBPF_FLOW_WAYS;
	group = bpf_map_lookup_elem(&table, &key);
	if (!group)
		return XDP_ABORTED;
	s->at = group->flows[s->at % ECBPF_FLOW_WAYS].len_at;
	return XDP_TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
