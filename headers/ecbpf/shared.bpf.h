/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The shared metadata area: hands the record from the first program of a chain that parsed a
 * packet to the later ones, through one per-CPU slot that all programs share by pinning.
 *
 * A record must never be used for a packet it was not made from. Order, priorities or epochs cannot
 * prove that: anybody's loader may rebuild the chain around our programs at any time, and
 * anybody's program in between may rewrite the packet. What proves it is the packet itself. A
 * record is a pure function of the frame length, the length of its linear part and the bytes
 * [12, hdr_len); the slot keeps a copy of these bytes, and a later program takes the record only if
 * lengths and bytes are equal. Then it is the record that parsing again would give, whatever
 * happened in between. Records that depend on more bytes than the slot keeps are not handed on.
 *
 * That proof costs as much as parsing a plain packet (4 ns on an AMD EPYC with Safe RET), so plain
 * packets do not use the area.
 *
 * `busy` guards against the only concurrency a per-CPU slot knows: a program interrupted by another
 * one on the same CPU (BPF_PROG_TEST_RUN by a packet). The inner one takes the spare slot. A slot
 * stays busy until the stage is done with the record in it. A third program at once, which no
 * kernel brings about, would abort: its packet would be dropped.
 */
#ifndef ECBPF_SHARED_BPF_H
#define ECBPF_SHARED_BPF_H

#include <ecbpf/parse.bpf.h>

#define ECBPF_SHARED_FROM  12 /* first byte kept: the addresses before it are not looked at */
#define ECBPF_SHARED_STEP  3  /* words for which there is one check of all bounds */
#define ECBPF_SHARED_WORDS 12 /* kept: bytes [12, 108): QinQ, IPv6, three extensions and TCP */

struct ecbpf_shared {
	__u32 busy;	  /* a program is at work on it */
	__u32 linear_len; /* data_end - data; 0: nothing to hand on */
	struct ecbpf_record record;
	__u64 head[ECBPF_SHARED_WORDS]; /* copy of the frame from ECBPF_SHARED_FROM on */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2); /* the slot, and the spare one for who interrupts */
	__type(key, __u32);
	__type(value, struct ecbpf_shared);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} shared SEC(".maps");

/* Return: true if the slot's record is this packet's */
static __always_inline bool ecbpf_shared_match(const struct ecbpf_shared *area, struct xdp_md *ctx,
					       void *data, void *data_end)
{
	const __u64 *word = data + ECBPF_SHARED_FROM;
	__u32 linear_len = data_end - data;

	if (area->linear_len != linear_len)
		return false;
	if (area->record.frame_len != ecbpf_frame_len(ctx, linear_len))
		return false;
#pragma unroll
	for (__u32 i = 0; i < ECBPF_SHARED_WORDS; i++) {
		if (i % ECBPF_SHARED_STEP == 0) {
			if (ECBPF_SHARED_FROM + i * 8 >= area->record.hdr_len)
				break;
			if ((void *)(word + i + ECBPF_SHARED_STEP) > data_end)
				return false;
		}
		if (area->head[i] != word[i])
			return false;
	}
	return true;
}

/* Keep the bytes that the record depends on, so that later programs can take it */
static __always_inline void ecbpf_shared_keep(struct ecbpf_shared *area, void *data, void *data_end)
{
	const __u64 *word = data + ECBPF_SHARED_FROM;
	__u32 hdr_len = area->record.hdr_len;

	area->linear_len = 0;
	if (hdr_len > ECBPF_SHARED_FROM + ECBPF_SHARED_WORDS * 8)
		return;
#pragma unroll
	for (__u32 i = 0; i < ECBPF_SHARED_WORDS; i++) {
		if (i % ECBPF_SHARED_STEP == 0) {
			if (ECBPF_SHARED_FROM + i * 8 >= hdr_len)
				break;
			if ((void *)(word + i + ECBPF_SHARED_STEP) > data_end)
				return;
		}
		area->head[i] = word[i];
	}
	area->linear_len = data_end - data;
}

/*
 * Return: number of a slot with the record of this packet, and busy; negative if all are at work.
 *
 * Global: the verifier walks the parser once, not for each way that leads there.
 */
__noinline int ecbpf_shared_get(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ecbpf_shared *area;
	__u32 key = 0;

	area = bpf_map_lookup_elem(&shared, &key);
	if (area && area->busy) {
		key = 1;
		area = bpf_map_lookup_elem(&shared, &key);
	}
	if (!area || area->busy)
		return -1;
	area->busy = 1;
	barrier();
	if (!ecbpf_shared_match(area, ctx, data, data_end)) {
		ecbpf_parse(ctx, data, data_end, &area->record);
		ecbpf_shared_keep(area, data, data_end);
	}
	return key;
}

typedef int ecbpf_run_fn(struct xdp_md *ctx, const struct ecbpf_record *rec);

/**
 * ecbpf_run() - give a packet's record to a function
 * @ctx: the program's context
 * @run: what to run, an inline function. It is inlined twice: for plain packets, whose record
 *	 stays in registers and is constant in most fields, and for all others, whose record is
 *	 read from the shared area. It returns: a tail call would leave the slot busy
 *
 * Return: what @run returned; XDP_ABORTED if all slots are at work.
 */
static __always_inline int ecbpf_run(struct xdp_md *ctx, ecbpf_run_fn *run)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct ecbpf_record plain;
	struct ecbpf_shared *area;
	__u32 key;
	int ret;

	if (__builtin_expect(ecbpf_parse_plain(ctx, data, data_end, &plain), 1))
		return run(ctx, &plain);
	key = ecbpf_shared_get(ctx);
	area = bpf_map_lookup_elem(&shared, &key);
	if (!area)
		return XDP_ABORTED;
	ret = run(ctx, &area->record);
	barrier();
	area->busy = 0;
	return ret;
}

#endif /* ECBPF_SHARED_BPF_H */
