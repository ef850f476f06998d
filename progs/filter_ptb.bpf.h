/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage filter: fragments that are not for this host. The first fragment of a packet is answered
 * with ICMP fragmentation needed (RFC 792, RFC 1191) or ICMPv6 packet too big (RFC 4443, RFC 8201),
 * so that the sender sends smaller packets.
 *
 * The answer overwrites the packet in its frame: first fragments are longer than the answer. The
 * rest of the frame is padding, which its receiver cuts off. So the frame is not resized, and the
 * program fits into every dispatcher: since Linux 6.12, those of libxdp before 1.5.5 refuse
 * programs that resize. The answer is never longer than the packet.
 */
#ifndef ECBPF_FILTER_PTB_BPF_H
#define ECBPF_FILTER_PTB_BPF_H

#include <ecbpf/bucket.bpf.h>
#include <ecbpf/csum.bpf.h>
#include <ecbpf/filter.h>
#include <ecbpf/stage.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct ecbpf_filter);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} filter_settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, ECBPF_FILTER_ADDRS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ecbpf_filter_addr);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} filter_addrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_bucket);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} filter_ptb_budget SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ECBPF_FILTER_SOURCES_MAX);
	__type(key, __u32);
	__type(value, struct ecbpf_bucket);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} filter_ptb_sources SEC(".maps");

static __always_inline const struct ecbpf_filter_settings *filter_settings_get(void)
{
	struct ecbpf_filter *filter;
	__u32 key = 0;

	filter = bpf_map_lookup_elem(&filter_settings, &key);
	return filter ? &filter->settings[filter->active & 1] : NULL;
}

/* 0/8, 127/8, 224/4 and 240/4 are no host's addresses. @first: first byte of the address */
static __always_inline bool filter_ip4_is_special(__u8 first)
{
	return (__u8)(first - 1) >= 223 || first == 127;
}

/* ::/64 and ff00::/8 are no host's addresses */
static __always_inline bool filter_ip6_is_special(const __u64 *addr)
{
	return !addr[0] || *(const __u8 *)addr == 0xff;
}

/* Both addresses of a packet, IPv4 as ::ffff:a.b.c.d; the destination as a key of filter_addrs */
struct filter_addrs {
	__u32 aligns_dst_addr;
	struct ecbpf_filter_addr dst;
	__u8 saddr[16];
} __attribute__((aligned(8)));

static __always_inline void filter_map_ip4(__u8 *to, const void *from)
{
	__u32 *words = (void *)to;

	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	__builtin_memcpy(words + 3, from, 4);
}

static __always_inline bool filter_addrs_get(struct xdp_md *ctx, const struct ecbpf_record *rec,
					     struct filter_addrs *addrs)
{
	if (rec->version == 4) {
		const struct iphdr *ip = ecbpf_header(ctx, rec->l3_off, sizeof(*ip));

		if (!ip)
			return false;
		filter_map_ip4(addrs->saddr, &ip->saddr);
		filter_map_ip4(addrs->dst.addr, &ip->daddr);
	} else {
		const struct ipv6hdr *ip6 = ecbpf_header(ctx, rec->l3_off, sizeof(*ip6));

		if (!ip6)
			return false;
		__builtin_memcpy(addrs->saddr, &ip6->saddr, 16);
		__builtin_memcpy(addrs->dst.addr, &ip6->daddr, 16);
	}
	return true;
}

static __always_inline __u32 filter_addr_kind(const struct ecbpf_filter_addr *addr)
{
	__u32 *kind = bpf_map_lookup_elem(&filter_addrs, addr);

	return kind ? *kind : 0;
}

/* Of a network that this host is on: no host's address */
static __always_inline bool filter_is_broadcast(const __u8 *saddr)
{
	struct ecbpf_filter_addr addr = {.prefix_len = 128};

	__builtin_memcpy(addr.addr, saddr, sizeof(addr.addr));
	return filter_addr_kind(&addr) == ECBPF_FILTER_ADDR_BROADCAST;
}

/*
 * The frame is for this host, as its kernel sees it. An interface in promiscuous mode gets those of
 * others, too: an answer would make switches believe that the other host is here.
 */
static __always_inline bool filter_is_own_mac(struct xdp_md *ctx, const struct ecbpf_eth_hdr *eth)
{
	struct ecbpf_filter_mac mac = {
		.prefix_len = 128,
		.first = ECBPF_FILTER_MAC_FIRST,
		.ifindex = ctx->ingress_ifindex,
	};

	__builtin_memcpy(mac.addr, eth->dest, sizeof(mac.addr));
	return filter_addr_kind((void *)&mac) == ECBPF_FILTER_ADDR_MAC;
}

/*
 * The IPv4 header, with its options. Global, so that the verifier walks the loop once. Return: its
 * sum, folded to 16 bits, which is 0 if its checksum is right; -1: beyond the frame
 */
__noinline int filter_ip4_sum(struct xdp_md *ctx, __u32 l3_off)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	const __u32 *word = data + (l3_off & 0x3f);
	__u32 words = 0;
	__u64 sum = 0;

	for (__u32 i = 0; i < 15; i++, word++) {
		if ((void *)(word + 1) > data_end)
			return -1;
		if (!i)
			words = *(const __u8 *)word & 15;
		if (i >= words)
			break;
		sum += *word;
	}
	return ecbpf_csum_fold(sum);
}

/* RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e.1, e.2): errors are not answered by errors */
static __always_inline bool filter_is_icmp_error(const struct ecbpf_record *rec)
{
	__u8 type = rec->icmp_type;

	if (rec->version == 6)
		return rec->proto == IPPROTO_ICMPV6 && (type < 128 || type == 137);
	/* like the kernel, which treats unknown types as errors */
	return rec->proto == IPPROTO_ICMP &&
	       (type == 3 || type == 4 || type == 5 || type == 11 || type == 12 || type > 18);
}

/*
 * Return: the packet must not be answered: it is an error, a multicast or broadcast, for another
 * host's Ethernet address, has no valid source or a wrong checksum of its header (RFC 1122 section
 * 3.2.1.2), or cannot be a fragment
 */
static __always_inline bool filter_is_unfit(struct xdp_md *ctx, const struct ecbpf_record *rec,
					    const struct filter_addrs *addrs, __u32 kind)
{
	const struct ecbpf_eth_hdr *eth = ecbpf_header(ctx, 0, sizeof(*eth));
	const __u64 *saddr = (const void *)addrs->saddr, *daddr = (const void *)addrs->dst.addr;
	__u32 payload = rec->l3_off + rec->l3_len - rec->l4_off;

	/* lengths of extension headers are multiples of 8, and do not change the remainder */
	if (!eth || rec->reason || !rec->l4_off || !payload || payload % 8)
		return true;
	if ((eth->dest[0] | eth->source[0]) & 1 || kind == ECBPF_FILTER_ADDR_BROADCAST ||
	    filter_is_broadcast(addrs->saddr))
		return true;
	if (filter_is_icmp_error(rec) || (saddr[0] == daddr[0] && saddr[1] == daddr[1]))
		return true;
	if (!filter_is_own_mac(ctx, eth))
		return true;
	if (rec->version == 4)
		return filter_ip4_is_special(addrs->saddr[12]) ||
		       filter_ip4_is_special(addrs->dst.addr[12]) ||
		       filter_ip4_sum(ctx, rec->l3_off);
	return filter_ip6_is_special(saddr) || filter_ip6_is_special(daddr);
}

/* Sources with the same hash share a budget: the limit may be too strict, never too lax */
static __always_inline __u32 filter_source_hash(const struct ecbpf_record *rec,
						const struct filter_addrs *addrs, __u64 seed)
{
	const __u64 *saddr = (const void *)addrs->saddr;
	__u64 hash = (rec->version == 4 ? saddr[1] : saddr[0]) ^ seed;

	hash *= 0x9e3779b97f4a7c15; /* 2^64 over the golden ratio, and the mixer of splitmix64 */
	hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9;
	hash ^= hash >> 27;
	return hash & (ECBPF_FILTER_SOURCES_MAX - 1);
}

static __always_inline bool filter_is_limited(const struct ecbpf_record *rec,
					      const struct filter_addrs *addrs,
					      const struct ecbpf_filter_settings *settings)
{
	__u32 key = filter_source_hash(rec, addrs, settings->hash_seed);
	struct ecbpf_bucket *source, *host;

	source = bpf_map_lookup_elem(&filter_ptb_sources, &key);
	key = 0;
	host = bpf_map_lookup_elem(&filter_ptb_budget, &key);
	if (!source || !host || !settings->ptb_rate.cost || !settings->ptb_source_rate.cost)
		return true;
	if (!ecbpf_bucket_take(source, &settings->ptb_source_rate, 1))
		return true;
	if (ecbpf_bucket_take(host, &settings->ptb_rate, 1))
		return false;
	ecbpf_bucket_give(source, &settings->ptb_source_rate, 1); /* which got nothing for it */
	return true;
}

#define FILTER_IP4_ANSWER_MAX 576  /* RFC 1812 section 4.3.2.3 */
#define FILTER_IP6_ANSWER_MAX 1280 /* RFC 4443 section 3.2: the minimum MTU */
#define FILTER_QUOTE_MIN      8	   /* after the IP header: RFC 792 */

struct filter_ip4_answer {
	__be16 first; /* version, header length, type of service */
	__be16 tot_len;
	__be16 id;
	__be16 frag_off;
	__u8 ttl;
	__u8 protocol;
	__sum16 check;
	__u8 saddr[4];
	__u8 daddr[4];
	struct ecbpf_icmp_hdr icmp;
};

struct filter_ip6_answer {
	struct ipv6hdr ip6;
	struct ecbpf_icmp_hdr icmp;
};

_Static_assert(sizeof(struct filter_ip4_answer) == 28, "RFC 791, RFC 792");
_Static_assert(sizeof(struct filter_ip6_answer) == 48, "RFC 8200, RFC 4443");

/* Bytes that one call moves: the verifier walks each round of a loop */
#define FILTER_QUOTE_PART  64
#define FILTER_QUOTE_WRONG (~0ULL)

/*
 * Move the last FILTER_QUOTE_PART bytes of the @len bytes, a multiple of 4, at offset @from of the
 * frame to @from + @by; or all of them. Return: their sum; FILTER_QUOTE_WRONG: beyond the frame
 */
__noinline __u64 filter_quote_part(struct xdp_md *ctx, __u32 from, __u32 len, __u32 by)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u64 sum = 0;

	from &= 0x3f;
	by &= 0x3f;
	len &= 0x7fc;
#pragma clang loop unroll(disable)
	for (__u32 i = 4; i <= FILTER_QUOTE_PART; i += 4) {
		__u32 off = len - i, *word, *to;

		if (i > len)
			break;
		barrier_var(off);
		off &= 0x7fc;
		word = data + from + off; /* from the end: source and target overlap */
		to = data + from + off + by;
		if ((void *)(word + 1) > data_end || (void *)(to + 1) > data_end)
			return FILTER_QUOTE_WRONG;
		sum += *word;
		*to = *word;
	}
	return sum;
}

/*
 * Move @len bytes, a multiple of 4, from offset @from of the frame to @from + @by. Global, so that
 * the verifier walks the loop once. Return: their sum, folded to 16 bits; -1: beyond the frame.
 */
__noinline int filter_quote(struct xdp_md *ctx, __u32 from, __u32 len, __u32 by)
{
	__u64 sum = 0, part;

	len &= 0x7fc;
#pragma clang loop unroll(disable)
	for (int i = 0; i < FILTER_IP6_ANSWER_MAX / FILTER_QUOTE_PART + 1; i++) {
		if (!len)
			break;
		part = filter_quote_part(ctx, from, len, by);
		if (part == FILTER_QUOTE_WRONG)
			return -1;
		sum += part;
		len = len > FILTER_QUOTE_PART ? len - FILTER_QUOTE_PART : 0;
	}
	return (__u16)~ecbpf_csum_fold(sum);
}

static __always_inline void filter_eth_turn(struct ecbpf_eth_hdr *eth)
{
	__u8 mac[ETH_ALEN];

	__builtin_memcpy(mac, eth->dest, ETH_ALEN);
	__builtin_memcpy(eth->dest, eth->source, ETH_ALEN);
	__builtin_memcpy(eth->source, mac, ETH_ALEN);
}

/* @sum: sum of the @quote quoted bytes */
static __always_inline void filter_ip4_answer(struct filter_ip4_answer *answer, __u32 l3_len,
					      const struct filter_addrs *addrs, __u32 quote,
					      __u32 sum)
{
	__u32 mtu = l3_len < 576 ? 576 : l3_len;

	answer->first = bpf_htons(0x45c0); /* internetwork control, as in errors of the kernel */
	answer->tot_len = bpf_htons(sizeof(*answer) + quote);
	answer->id = 0;
	answer->frag_off = bpf_htons(ECBPF_FRAG_DF); /* then the id has no meaning: RFC 6864 */
	answer->ttl = 64;
	answer->protocol = IPPROTO_ICMP;
	answer->check = 0;
	__builtin_memcpy(answer->saddr, addrs->dst.addr + 12, 4);
	__builtin_memcpy(answer->daddr, addrs->saddr + 12, 4);
	answer->check = ecbpf_csum_fold(ecbpf_csum_add(answer, sizeof(struct iphdr)));
	answer->icmp.type = 3;
	answer->icmp.code = 4;
	answer->icmp.checksum = 0;
	answer->icmp.rest = bpf_htonl(mtu);
	answer->icmp.checksum =
		ecbpf_csum_fold(sum + ecbpf_csum_add(&answer->icmp, sizeof(answer->icmp)));
}

static __always_inline void filter_ip6_answer(struct filter_ip6_answer *answer, __u32 l3_len,
					      const struct filter_addrs *addrs, __u32 quote,
					      __u64 sum)
{
	__u32 mtu = l3_len < 1280 ? 1280 : l3_len;

	*(__u32 *)&answer->ip6 = bpf_htonl(6U << 28);
	answer->ip6.payload_len = bpf_htons(sizeof(answer->icmp) + quote);
	answer->ip6.nexthdr = IPPROTO_ICMPV6;
	answer->ip6.hop_limit = 64;
	__builtin_memcpy(&answer->ip6.saddr, addrs->dst.addr, 16);
	__builtin_memcpy(&answer->ip6.daddr, addrs->saddr, 16);
	answer->icmp.type = 2;
	answer->icmp.code = 0;
	answer->icmp.checksum = 0;
	answer->icmp.rest = bpf_htonl(mtu);
	sum += ecbpf_csum_add(&answer->ip6.saddr, 32) +
	       ecbpf_csum_add(&answer->icmp, sizeof(answer->icmp));
	sum += (__u64)bpf_htonl(sizeof(answer->icmp) + quote) + bpf_htonl(IPPROTO_ICMPV6);
	answer->icmp.checksum = ecbpf_csum_fold(sum);
}

/*
 * Facts of the record as two numbers, for global functions: with a pointer, the record would have
 * to be in memory for all packets.
 */
#define FILTER_OFFSETS(rec) \
	((rec)->l3_off | (__u32)(rec)->l4_off << 16 | (__u64)(rec)->l3_len << 32)
#define FILTER_KINDS(rec)                                                       \
	((rec)->version | (__u32)(rec)->proto << 8 | (__u32)(rec)->frag << 16 | \
	 (__u32)(rec)->icmp_type << 24 | (__u64)(rec)->reason << 32)

static __always_inline struct ecbpf_record filter_record(__u64 offsets, __u64 kinds)
{
	return (struct ecbpf_record){
		.l3_off = offsets,
		.l4_off = offsets >> 16,
		.l3_len = offsets >> 32,
		.version = kinds,
		.proto = kinds >> 8,
		.frag = kinds >> 16,
		.icmp_type = kinds >> 24,
		.reason = kinds >> 32,
	};
}

/* Return: bytes of the packet to quote, a multiple of 4; 0: too few fit */
static __always_inline __u32 filter_quote_len(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u64 room = data_end - data;
	__u32 quote;

	barrier_var(room); /* or the compiler subtracts from a truncated pointer */
	room -= rec->l3_off;
	if (rec->version == 4) {
		if (room > FILTER_IP4_ANSWER_MAX)
			room = FILTER_IP4_ANSWER_MAX;
		if (room < sizeof(struct filter_ip4_answer))
			return 0;
		quote = room - sizeof(struct filter_ip4_answer);
	} else {
		if (room > FILTER_IP6_ANSWER_MAX)
			room = FILTER_IP6_ANSWER_MAX;
		if (room < sizeof(struct filter_ip6_answer))
			return 0;
		quote = room - sizeof(struct filter_ip6_answer);
	}
	if (quote > rec->l3_len)
		quote = rec->l3_len;
	quote &= ~3U;
	return quote < rec->l4_off - rec->l3_off + FILTER_QUOTE_MIN ? 0 : quote;
}

/*
 * Turn a packet into its answer, after filter_fragment() returned XDP_TX. The MTU is the length of
 * the first fragment: routers make fragments as long as the next path allows. Global, so that the
 * verifier walks it once.
 */
__noinline int filter_answer(struct xdp_md *ctx, __u64 offsets, __u64 kinds)
{
	const struct ecbpf_record rec = filter_record(offsets, kinds);
	__u32 quote = filter_quote_len(ctx, &rec), l3_off = rec.l3_off & 0x3f;
	struct ecbpf_eth_hdr *eth;
	struct filter_addrs addrs;
	int sum;

	if (!filter_addrs_get(ctx, &rec, &addrs))
		return -1;
	if (rec.version == 4) {
		struct filter_ip4_answer *answer;

		sum = filter_quote(ctx, l3_off, quote, sizeof(*answer));
		answer = ecbpf_header(ctx, l3_off, sizeof(*answer));
		if (!answer || sum < 0)
			return -1;
		filter_ip4_answer(answer, rec.l3_len, &addrs, quote, sum);
	} else {
		struct filter_ip6_answer *answer;

		sum = filter_quote(ctx, l3_off, quote, sizeof(*answer));
		answer = ecbpf_header(ctx, l3_off, sizeof(*answer));
		if (!answer || sum < 0)
			return -1;
		filter_ip6_answer(answer, rec.l3_len, &addrs, quote, sum);
	}
	eth = ecbpf_header(ctx, 0, sizeof(*eth));
	if (eth)
		filter_eth_turn(eth);
	return 0;
}

/*
 * A fragment, where the settings do not let all of them pass. Global, so that the verifier walks it
 * once. Return: a verdict; 0: the packet continues.
 */
__noinline int filter_fragment(struct xdp_md *ctx, __u64 offsets, __u64 kinds)
{
	const struct ecbpf_filter_settings *settings = filter_settings_get();
	const struct ecbpf_record rec = filter_record(offsets, kinds);
	__u32 kind, reason, frags, is_ip6 = rec.version == 6;
	struct filter_addrs addrs;

	if (!settings || !filter_addrs_get(ctx, &rec, &addrs))
		return 0;
	addrs.dst.prefix_len = 128;
	kind = filter_addr_kind(&addrs.dst);
	if (kind == ECBPF_FILTER_ADDR_LOCAL)
		return 0;
	frags = is_ip6 ? settings->frags6 : settings->frags;
	if (frags != ECBPF_FILTER_FRAGS_PTB || rec.frag != ECBPF_FRAG_FIRST)
		reason = ECBPF_REASON_FRAGMENT;
	else if (filter_is_unfit(ctx, &rec, &addrs, kind))
		reason = ECBPF_REASON_PTB_UNFIT;
	else if (!filter_quote_len(ctx, &rec))
		reason = ECBPF_REASON_PTB_ROOM;
	else if (filter_is_limited(&rec, &addrs, settings))
		reason = ECBPF_REASON_PTB_LIMIT;
	else
		return ECBPF_VERDICT(XDP_TX, ECBPF_REASON_PTB_SENT + is_ip6);
	/* the reason of IPv6 follows that of IPv4 */
	return ECBPF_VERDICT(XDP_DROP, reason + is_ip6);
}

#endif /* ECBPF_FILTER_PTB_BPF_H */
