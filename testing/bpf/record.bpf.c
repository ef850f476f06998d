// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Test-only programs: they store what the parser and the shared area give into map `records`, so
 * that it can be compared; and some that do to the shared area what a test needs.
 */
#define ECBPF_COUNTER_SLOTS 1
#include <ecbpf/stage.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct ecbpf_record);
} records SEC(".maps");

static __always_inline void record_store(__u32 key, const struct ecbpf_record *rec)
{
	struct ecbpf_record *to = bpf_map_lookup_elem(&records, &key);

	if (to)
		*to = *rec;
}

static __always_inline int store_first(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	record_store(0, rec);
	return XDP_PASS;
}

static __always_inline int store_second(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	record_store(1, rec);
	return XDP_PASS;
}

/* The record as stages get it: parsed, or handed on by the program before */
SEC("xdp")
int record_get(struct xdp_md *ctx)
{
	return ecbpf_run(ctx, store_first);
}

/* The record as it is after parsing, always */
SEC("xdp")
int record_parse(struct xdp_md *ctx)
{
	struct ecbpf_record rec;

	ecbpf_parse(ctx, (void *)(long)ctx->data, (void *)(long)ctx->data_end, &rec);
	record_store(0, &rec);
	return XDP_PASS;
}

/*
 * Two programs of a chain and a third party between them that rewrites a byte of the packet. The
 * first byte of the packet says which one, the second one which bits of it.
 */
SEC("xdp")
int record_rewrite(struct xdp_md *ctx)
{
	void *data, *data_end;
	__u8 *pos;

	ecbpf_run(ctx, store_first);
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + 2 > data_end)
		return XDP_ABORTED;
	pos = data + *(__u8 *)data;
	if ((void *)(pos + 1) > data_end)
		return XDP_ABORTED;
	*pos ^= *(__u8 *)(data + 1);
	return ecbpf_run(ctx, store_second);
}

/*
 * Marks the record in the slot: one that was handed on can then be told from one that was parsed,
 * as the proof compares the packet, not the record.
 */
SEC("xdp")
int shared_mark(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct ecbpf_shared *area = bpf_map_lookup_elem(&shared, &key);

	if (area)
		area->record.tcp_flags ^= 0xff;
	return XDP_PASS;
}

static __always_inline int toggle_busy(__u32 key)
{
	struct ecbpf_shared *area = bpf_map_lookup_elem(&shared, &key);

	if (area)
		area->busy ^= 1;
	return XDP_PASS;
}

/* As if a program had been interrupted while it is at work on the slot; or was at its end again */
SEC("xdp")
int shared_busy(struct xdp_md *ctx)
{
	return toggle_busy(0);
}

/* Likewise with the spare slot */
SEC("xdp")
int shared_busy_spare(struct xdp_md *ctx)
{
	return toggle_busy(1);
}

char _license[] SEC("license") = "Dual BSD/GPL";
