// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Test-only programs: take from a token bucket what the packet says, at the time that it says.
 * XDP_PASS: there was enough; these are counted, too. Of the bucket of a key, XDP_TX and
 * XDP_REDIRECT: there was enough, or not, in the bucket that it shares with others.
 * bucket_take_ahead takes some for packets to come, an eighth of the bucket at once.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <ecbpf/bucket.bpf.h>

struct order {
	__u8 macs[12];
	__u32 bucket;
	__u64 now;
	__u64 count;
};

struct key_order {
	__u8 macs[12];
	__u32 tag;
	__u64 key[2];
	__u64 now;
	__u64 count;
	__u32 group;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_rate);
} rate SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct ecbpf_bucket);
} buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} granted SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct ecbpf_stock);
} stocks SEC(".maps");

static __always_inline int take(struct xdp_md *ctx, bool is_ahead)
{
	const struct order *order = (void *)(long)ctx->data;
	struct ecbpf_bucket *bucket;
	struct ecbpf_stock *stock;
	struct ecbpf_rate *units;
	bool is_granted;
	__u32 key = 0;
	__u64 *sum;

	if ((void *)(order + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	units = bpf_map_lookup_elem(&rate, &key);
	sum = bpf_map_lookup_elem(&granted, &key);
	key = order->bucket;
	bucket = bpf_map_lookup_elem(&buckets, &key);
	stock = bpf_map_lookup_elem(&stocks, &key);
	if (!units || !sum || !bucket || !stock)
		return XDP_ABORTED;
	is_granted = is_ahead ? ecbpf_bucket_take_ahead(bucket, units, stock, key + 1, 3,
							order->count, order->now)
			      : ecbpf_bucket_take_at(bucket, units, order->count, order->now);
	if (!is_granted)
		return XDP_DROP;
	(*sum)++;
	return XDP_PASS;
}

SEC("xdp")
int bucket_take(struct xdp_md *ctx)
{
	return take(ctx, false);
}

SEC("xdp")
int bucket_take_ahead(struct xdp_md *ctx)
{
	return take(ctx, true);
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct ecbpf_bucket_group);
} groups SEC(".maps");

SEC("xdp")
int bucket_take_key(struct xdp_md *ctx)
{
	const struct key_order *order = (void *)(long)ctx->data;
	struct ecbpf_bucket_group *group;
	struct ecbpf_rate *units;
	__u32 key = 0, result;
	__u64 *sum;

	if ((void *)(order + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	units = bpf_map_lookup_elem(&rate, &key);
	sum = bpf_map_lookup_elem(&granted, &key);
	key = order->group;
	group = bpf_map_lookup_elem(&groups, &key);
	if (!units || !sum || !group)
		return XDP_ABORTED;
	result = ecbpf_bucket_take_key(group, units, order->key, order->tag, order->count,
				       order->now);
	if (!(result & ECBPF_BUCKET_REFUSED))
		(*sum)++;
	switch (result) {
	case 0:
		return XDP_PASS;
	case ECBPF_BUCKET_REFUSED:
		return XDP_DROP;
	case ECBPF_BUCKET_SHARED:
		return XDP_TX;
	default:
		return XDP_REDIRECT;
	}
}

char _license[] SEC("license") = "Dual BSD/GPL";
