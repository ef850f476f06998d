/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage fastpath: maps of its two programs.
 *
 * `ecbpf-fastpath load` creates the maps in the size that was asked for. Another loader creates
 * them with one entry; then the stage passes everything to the stack.
 *
 * Readers of a flow take no lock: they read the lease before and after the other fields and compare
 * the two, and writers keep it at 0 while they change other fields. Loads of one CPU are ordered on
 * x86; elsewhere the worst result is an older lease, as if the packet had come earlier.
 */
#ifndef ECBPF_FASTPATH_BPF_H
#define ECBPF_FASTPATH_BPF_H

#include <ecbpf/fastpath.h>
#include <ecbpf/parse.bpf.h>
#include <ecbpf/tcp.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_fastpath);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath SEC(".maps");

/* User space maps the table, to read it and to end leases */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_flow_group);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_flow_tags);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_tags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ECBPF_PENDINGS);
	__type(key, __u32);
	__type(value, struct ecbpf_pending);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_up SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ECBPF_HOPS);
	__type(key, __u32);
	__type(value, struct ecbpf_hop_entry);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_hops SEC(".maps");

/* Addresses whose flows get no lease */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct ecbpf_exclude_key);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_exclude SEC(".maps");

static __always_inline struct ecbpf_fastpath *fastpath_settings(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&fastpath, &key);
}

/* Bytes from the IP header on that ecbpf_parse_plain() has checked; constants for the verifier */
#define FASTPATH_HEADERS4 (sizeof(struct iphdr) + sizeof(struct tcphdr))
#define FASTPATH_HEADERS6 (sizeof(struct ipv6hdr) + sizeof(struct tcphdr))

/* @l3: IP header of a packet that ecbpf_parse_plain() accepts */
static __always_inline void fastpath_key(const struct ecbpf_record *rec, const void *l3,
					 __u16 generation, struct ecbpf_flow_key *key)
{
	key->rest = 0;
	key->ports = rec->ports;
	key->proto = rec->proto;
	key->version = rec->version;
	key->generation = generation;
	if (rec->version == 4) {
		key->addrs[0] = *(const __u64 *)(l3 + 12);
		key->addrs[1] = 0;
		key->addrs[2] = 0;
		key->addrs[3] = 0;
	} else {
		key->addrs[0] = *(const __u64 *)(l3 + 8);
		key->addrs[1] = *(const __u64 *)(l3 + 16);
		key->addrs[2] = *(const __u64 *)(l3 + 24);
		key->addrs[3] = *(const __u64 *)(l3 + 32);
	}
}

/* The version is in @rest, and of IPv4 the rest of @addrs is 0 */
static __always_inline bool fastpath_same(const struct ecbpf_flow_key *a,
					  const struct ecbpf_flow_key *b)
{
	if (a->addrs[0] != b->addrs[0] || a->rest != b->rest)
		return false;
	return b->version == 4 || (a->addrs[1] == b->addrs[1] && a->addrs[2] == b->addrs[2] &&
				   a->addrs[3] == b->addrs[3]);
}

/* Return: the highest bit of each byte of @tags that equals @tag, and of few others */
static __always_inline __u64 fastpath_tags_match(__u64 tags, __u8 tag)
{
	tags ^= tag * 0x0101010101010101ULL;
	return (tags - 0x0101010101010101ULL) & ~tags & 0x8080808080808080ULL;
}

/* Return: number of the lowest byte of @match that is not 0 */
static __always_inline __u32 fastpath_tags_first(__u64 match)
{
	return ((match & -match) >> 7) * 0x0001020304050607ULL >> 56;
}

/* Return: the flow of this key, or NULL. The flow may change at any time */
static __always_inline struct ecbpf_flow *fastpath_find(const struct ecbpf_flow_key *key,
							__u64 hash, __u32 groups)
{
	__u32 index = ecbpf_flow_group(hash, groups);
	struct ecbpf_flow_group *group;
	struct ecbpf_flow_tags *tags;
	struct ecbpf_flow *flow;
	__u64 match;

	group = bpf_map_lookup_elem(&fastpath_flows, &index);
	if (!group)
		return NULL;
	flow = &group->flows[ecbpf_flow_home(hash)];
	if (fastpath_same(&flow->key, key))
		return flow;
	tags = bpf_map_lookup_elem(&fastpath_tags, &index);
	if (!tags)
		return NULL;
	match = fastpath_tags_match(*(volatile __u64 *)&tags->tags, ecbpf_flow_tag(hash));
	for (int i = 0; i < ECBPF_FLOW_WAYS && match; i++) {
		flow = &group->flows[fastpath_tags_first(match) & (ECBPF_FLOW_WAYS - 1)];
		if (fastpath_same(&flow->key, key))
			return flow;
		match &= match - 1;
	}
	return NULL;
}

/*
 * Fill @pending with the headers of a packet. @l3, @l4: headers of a packet that
 * ecbpf_parse_plain() accepts
 */
static __always_inline void fastpath_header(const struct ecbpf_record *rec, const void *l3,
					    const void *l4, struct ecbpf_pending *pending)
{
	const __u32 *words = l4;

	if (rec->version == 4) {
		pending->net = *(const __u32 *)(l3 + 4);
		pending->tos = *(const __u8 *)(l3 + 1);
		pending->ttl = *(const __u8 *)(l3 + 8);
	} else {
		pending->net = *(const __u32 *)l3;
		pending->tos = 0;
		pending->ttl = *(const __u8 *)(l3 + 7);
	}
	pending->len = rec->l3_len;
	pending->l4[0] = words[1];
	if (rec->proto == IPPROTO_TCP) {
		pending->l4[1] = words[2];
		pending->l4[2] = words[3];
		pending->check = words[4];
	} else {
		pending->l4[1] = 0;
		pending->l4[2] = 0;
		pending->check = 0;
	}
}

static __always_inline bool fastpath_is_excluded(const struct ecbpf_flow_key *key, bool is_dest)
{
	struct ecbpf_exclude_key lpm = {};
	__u32 *addr = (__u32 *)lpm.addr;
	const __u32 *addrs = (const __u32 *)key->addrs;

	/* not as an initializer: the compiler makes a .rodata of it, which 5.10 refuses */
	lpm.prefix_len = 128;
	if (key->version == 4) {
		addr[2] = bpf_htonl(0xffff);
		addr[3] = addrs[is_dest ? 1 : 0];
	} else {
		__builtin_memcpy(lpm.addr, &key->addrs[is_dest ? 2 : 0], 16);
	}
	return bpf_map_lookup_elem(&fastpath_exclude, &lpm);
}

#endif /* ECBPF_FASTPATH_BPF_H */
