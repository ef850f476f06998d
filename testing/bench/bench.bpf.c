// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the bench measures besides the programs of the suite as they are shipped. Everything that is
 * a stage here is built from the same functions as those.
 */
#define ECBPF_FUSED /* stages as functions, not as programs */
#include <ecbpf/stage.bpf.h>
#include "../../progs/pass.bpf.c"
#include "flow.bpf.h"

/* What `many` rewrites; offsets into the frame */
struct flow {
	__u32 state;
	__u32 mask;	/* number of flows - 1 */
	__u8 addr_off;	/* last 4 bytes of the source address */
	__u8 ports_off; /* source and destination port; 0: the packet has none */
	__u8 check_off; /* checksum of the IPv4 header; 0: it is left as it is */
	__u8 pad;
	__u32 scatter; /* odd: addresses are multiples of it; 0: they are 0, 1, 2... */
	__u32 first;   /* of these numbers */
	__u32 sum;     /* of that header without its source and checksum, as the machine adds it */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow);
} flow SEC(".maps");

SEC("xdp")
int empty(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int empty_drop(struct xdp_md *ctx)
{
	return XDP_DROP;
}

/* Sends the test frames of the live mode out of the interface that they are said to come from */
SEC("xdp")
int empty_tx(struct xdp_md *ctx)
{
	return XDP_TX;
}

/*
 * Makes the packet one of many flows, then runs the program in `next`. The next flow is drawn after
 * the stores, to give them time to get to where loads of another width find them.
 */
SEC("xdp")
int many(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u32 key = 0, *addr, *ports, state, id;
	struct flow *f = bpf_map_lookup_elem(&flow, &key);

	if (!f)
		return XDP_ABORTED;
	state = f->state;
	id = state & f->mask;
	addr = data + f->addr_off;
	ports = data + f->ports_off;
	if ((void *)(addr + 1) > data_end || (void *)(ports + 1) > data_end)
		return XDP_ABORTED;
	*addr = f->scatter ? (f->first + id) * f->scatter : id;
	if (f->check_off) {
		__u16 *check = data + f->check_off;
		__u32 sum = f->sum + (*addr & 0xffff) + (*addr >> 16);

		if ((void *)(check + 1) > data_end)
			return XDP_ABORTED;
		sum = (sum & 0xffff) + (sum >> 16);
		*check = ~(sum + (sum >> 16));
	}
	if (f->ports_off)
		*ports = (id & 0xffff) | (__u32)bpf_htons(443) << 16;
	f->state = random_next(state);
	bpf_tail_call(ctx, &next, 0);
	return XDP_ABORTED;
}

static __always_inline int pass(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	return ecbpf_verdict(ctx, rec, ECBPF_STAGE_PASS, pass_stage(ctx, rec));
}

static __always_inline int run_pass(struct xdp_md *ctx)
{
	return ecbpf_run(ctx, pass);
}

/* A member of a tail-call chain of pass stages; the last one has nothing in `next` */
SEC("xdp")
int tail(struct xdp_md *ctx)
{
	int action = run_pass(ctx);

	if (action == XDP_PASS)
		bpf_tail_call(ctx, &next, 0);
	return action;
}

/*
 * What a later stage of a chain costs by itself: record and epilogue again, without the calls that
 * a dispatcher makes in between.
 */
static __always_inline int run_pass2(struct xdp_md *ctx)
{
	int action = run_pass(ctx);

	barrier();
	return action == XDP_PASS ? run_pass(ctx) : action;
}

SEC("xdp")
int again2(struct xdp_md *ctx)
{
	return run_pass2(ctx);
}

SEC("xdp")
int again4(struct xdp_md *ctx)
{
	int action = run_pass2(ctx);

	barrier();
	return action == XDP_PASS ? run_pass2(ctx) : action;
}

static __always_inline int run_drop(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	return ecbpf_verdict(ctx, rec, ECBPF_STAGE_PASS, ECBPF_VERDICT(XDP_DROP, rec->reason));
}

/* A stage that drops: a terminal verdict, so that the sampling hook runs */
SEC("xdp")
int drop(struct xdp_md *ctx)
{
	return ecbpf_run(ctx, run_drop);
}

char _license[] SEC("license") = "Dual BSD/GPL";
