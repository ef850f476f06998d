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
 * That proof costs as much as parsing a plain packet (4 ns), so plain packets do not use the area.
 *
 * `busy` guards against the only concurrency a per-CPU slot knows: a program interrupted by another
 * one on the same CPU (BPF_PROG_TEST_RUN by a packet). The inner one takes the spare slot.
 */
#ifndef ECBPF_SHARED_BPF_H
#define ECBPF_SHARED_BPF_H

#include <ecbpf/parse.bpf.h>

#define ECBPF_SHARED_FROM  12 /* first byte kept: the addresses before it are not looked at */
#define ECBPF_SHARED_WORDS 10 /* kept: bytes [12, 92): QinQ, IPv6, two extensions and TCP */

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
	for (__u32 i = 0; i < ECBPF_SHARED_WORDS; i++) {
		if (ECBPF_SHARED_FROM + i * 8 >= area->record.hdr_len)
			break;
		if ((void *)(word + i + 1) > data_end || area->head[i] != word[i])
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
	for (__u32 i = 0; i < ECBPF_SHARED_WORDS; i++) {
		if (ECBPF_SHARED_FROM + i * 8 >= hdr_len)
			break;
		if ((void *)(word + i + 1) > data_end)
			return;
		area->head[i] = word[i];
	}
	area->linear_len = data_end - data;
}

/* Field by field: the record stays in registers, and no wide load waits for narrow stores */
static __always_inline void ecbpf_record_copy(struct ecbpf_record *to,
					      const struct ecbpf_record *from)
{
	to->frame_len = from->frame_len;
	to->l3_len = from->l3_len;
	to->l3_off = from->l3_off;
	to->l4_off = from->l4_off;
	to->hdr_len = from->hdr_len;
	to->frag_off = from->frag_off;
	to->vlan_tci[0] = from->vlan_tci[0];
	to->vlan_tci[1] = from->vlan_tci[1];
	to->ethertype = from->ethertype;
	to->vlan_count = from->vlan_count;
	to->ext_count = from->ext_count;
	to->ports = from->ports;
	to->version = from->version;
	to->proto = from->proto;
	to->frag = from->frag;
	to->reason = from->reason;
	to->flags = from->flags;
	to->tcp_flags = from->tcp_flags;
	to->icmp_type = from->icmp_type;
	to->icmp_code = from->icmp_code;
	to->reserved = 0;
}

/**
 * ecbpf_record_get() - the record of this packet
 * @ctx: the program's context
 * @rec: output; kept in registers by the compiler, as far as it is used
 */
static __always_inline void ecbpf_record_get(struct xdp_md *ctx, struct ecbpf_record *rec)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ecbpf_shared *area;
	__u32 key = 0;

	if (ecbpf_parse_plain(ctx, data, data_end, rec))
		return;
	area = bpf_map_lookup_elem(&shared, &key);
	if (area && area->busy) {
		key = 1;
		area = bpf_map_lookup_elem(&shared, &key);
	}
	if (!area) { /* never happens, but the verifier cannot know */
		*rec = (struct ecbpf_record){ .frame_len = data_end - data };
		return;
	}
	area->busy = 1;
	barrier();
	if (!ecbpf_shared_match(area, ctx, data, data_end)) {
		ecbpf_parse(ctx, data, data_end, &area->record);
		ecbpf_shared_keep(area, data, data_end);
	}
	ecbpf_record_copy(rec, &area->record);
	barrier();
	area->busy = 0;
}

#endif /* ECBPF_SHARED_BPF_H */
