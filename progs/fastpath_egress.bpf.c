// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The other half of stage fastpath, at TC egress: sees what the kernel sends, and gives, renews and
 * ends the leases that XDP forwards by. Nothing is changed or dropped here.
 *
 * A lease is given for a packet that equals one that XDP has sent up a moment ago, header for
 * header, but for what forwarding changes: one less TTL, and the Ethernet header. Thus what this
 * host sends itself, and what the kernel rewrites on its way, gets none.
 */
#define ECBPF_PARSE_SKB
#include <linux/pkt_cls.h>
#include "fastpath.bpf.h"
#include <ecbpf/stage.h>

struct {
	__uint(schema, ECBPF_SCHEMA);
} ecbpf_metadata SEC(".ecbpf_metadata");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_egress_counters);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_egress SEC(".maps");

/* Number of each hop in `fastpath_hops` */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ECBPF_HOPS);
	__type(key, struct ecbpf_hop);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_hop_ids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_hop_count);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_hop_count SEC(".maps");

/* UDP services that keep a client's server: not "one packet" ones, which choose for each packet */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct ecbpf_udp_service);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_udp SEC(".maps");

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10

static __always_inline void egress_count(enum ecbpf_egress_counter what)
{
	struct ecbpf_egress_counters *counters;
	__u32 key = 0;

	counters = bpf_map_lookup_elem(&fastpath_egress, &key);
	if (counters)
		counters->packets[what]++;
}

/* What the steps of one packet know of it */
struct egress {
	struct ecbpf_flow_key key;
	__u64 hash;
	__u64 now;
	__u32 len; /* of the longest IP packet that leaves: GRO may have made one of many */
	bool is_merged;
};

/* --- ending leases ------------------------------------------------------------------------ */

/* Whatever there is of this flow: let @lease be its lease, if it has one. Return: it had */
static __always_inline bool egress_end(const struct ecbpf_fastpath *settings,
				       const struct ecbpf_flow_key *key, __u64 hash, __u64 lease)
{
	__u32 index = ecbpf_flow_group(hash, settings->groups);
	struct ecbpf_flow_group *group;
	struct ecbpf_flow_tags *tags;
	bool found = false;

	group = bpf_map_lookup_elem(&fastpath_flows, &index);
	tags = bpf_map_lookup_elem(&fastpath_tags, &index);
	if (!group || !tags)
		return false;
	bpf_spin_lock(&tags->lock);
	for (int i = 0; i < ECBPF_FLOW_WAYS; i++) {
		struct ecbpf_flow *flow = &group->flows[i];

		if (!flow->lease || !fastpath_same(&flow->key, key))
			continue;
		*(volatile __u64 *)&flow->lease = lease;
		found = true;
	}
	bpf_spin_unlock(&tags->lock);
	return found;
}

/* A reset to the client: its flow is dead */
static __always_inline void egress_reset(const struct ecbpf_fastpath *settings,
					 const struct ecbpf_flow_key *reset, __u64 now)
{
	struct ecbpf_flow_key key = *reset;
	__u64 hash;

	if (key.version == 4) {
		key.addrs[0] = reset->addrs[0] << 32 | reset->addrs[0] >> 32;
	} else {
		key.addrs[0] = reset->addrs[2];
		key.addrs[1] = reset->addrs[3];
		key.addrs[2] = reset->addrs[0];
		key.addrs[3] = reset->addrs[1];
	}
	key.ports = reset->ports << 16 | reset->ports >> 16;
	hash = ecbpf_flow_hash(&key, settings->seed, settings->mult);
	if (egress_end(settings, &key, hash, ECBPF_LEASE(now + settings->lease, ECBPF_HOP_DEAD)))
		egress_count(ECBPF_EGRESS_DEAD);
}

/* --- hops --------------------------------------------------------------------------------- */

static __always_inline __u32 hop_new(const struct ecbpf_hop *hop)
{
	struct ecbpf_hop_count *counter;
	struct ecbpf_hop_entry *entry;
	__u32 key = 0, index, *known;

	counter = bpf_map_lookup_elem(&fastpath_hop_count, &key);
	if (!counter)
		return 0;
	bpf_spin_lock(&counter->lock);
	index = counter->count + 1;
	if (index < ECBPF_HOPS)
		counter->count = index;
	bpf_spin_unlock(&counter->lock);
	if (index >= ECBPF_HOPS) {
		egress_count(ECBPF_EGRESS_HOPS_FULL);
		return 0;
	}
	entry = bpf_map_lookup_elem(&fastpath_hops, &index);
	if (!entry)
		return 0;
	entry->hop = *hop; /* nobody knows its number yet */
	if (!bpf_map_update_elem(&fastpath_hop_ids, hop, &index, BPF_NOEXIST))
		return index;
	known = bpf_map_lookup_elem(&fastpath_hop_ids, hop); /* another CPU was faster */
	return known ? *known : 0;
}

/* The hop that the packet leaves by. Return: it is one that XDP can send to */
static __always_inline bool hop_read(struct __sk_buff *skb, const void *eth, struct ecbpf_hop *hop)
{
	__builtin_memcpy(hop->dest, eth, 12); /* and hop->source */
	hop->ifindex = skb->ifindex;
	if (skb->vlan_present) {
		if (skb->vlan_proto != bpf_htons(ETH_P_8021Q)) {
			egress_count(ECBPF_EGRESS_TAGS);
			return false;
		}
		hop->flags = ECBPF_HOP_TAGGED;
		hop->vlan_tci = skb->vlan_tci;
	}
	return true;
}

/* --- is it what came in? ------------------------------------------------------------------ */

/* Of one that GRO has merged: the one that came in is among those it was made of */
static __always_inline bool egress_same_merged(const struct ecbpf_pending *came,
					       const struct ecbpf_pending *goes, __u32 payload)
{
	/* of the word with the flags, FIN and PSH may be of any of them */
	const __be32 flags = ~bpf_htonl((__u32)(TCP_FIN | TCP_PSH) << 16);
	const __be32 frag = goes->key.version == 4 ? bpf_htonl(0xffff) : ~0U;

	if ((came->net ^ goes->net) & frag)
		return false;
	if (goes->key.proto == IPPROTO_UDP)
		return true;
	return bpf_ntohl(came->l4[0]) - bpf_ntohl(goes->l4[0]) < payload &&
	       came->l4[1] == goes->l4[1] && !((came->l4[2] ^ goes->l4[2]) & flags);
}

static __always_inline bool egress_same(const struct ecbpf_pending *came,
					const struct ecbpf_pending *goes, const struct egress *e)
{
	if (!fastpath_same(&came->key, &goes->key))
		return false;
	if (came->ttl != (__u8)(goes->ttl + 1) || came->tos != goes->tos)
		return false;
	if (e->is_merged)
		return egress_same_merged(came, goes, goes->len);
	return came->net == goes->net && came->len == goes->len && came->check == goes->check &&
	       came->l4[0] == goes->l4[0] && came->l4[1] == goes->l4[1] &&
	       came->l4[2] == goes->l4[2];
}

/* Return: XDP has sent it up, and nothing was done to it; from now on another one is waited for */
static __always_inline bool egress_came_in(const struct ecbpf_record *rec, const void *l3,
					   const void *l4, const struct egress *e)
{
	__u32 index = ecbpf_flow_pending(e->hash);
	struct ecbpf_pending goes = {.key = e->key}, *came;

	came = bpf_map_lookup_elem(&fastpath_up, &index);
	if (!came || !came->is_open)
		return false;
	fastpath_header(rec, l3, l4, &goes);
	if (!egress_same(came, &goes, e))
		return false;
	came->is_open = 0;
	return true;
}

/* --- giving leases ------------------------------------------------------------------------ */

static __always_inline void lease_renew(const struct ecbpf_fastpath *settings,
					struct ecbpf_flow *flow, const struct egress *e,
					__u64 lease)
{
	if (e->len >= flow->len || (__u32)e->now - flow->len_at >= settings->lease) {
		flow->len = e->len;
		flow->len_at = e->now;
	}
	*(volatile __u64 *)&flow->lease = lease;
}

static __always_inline void lease_new(struct ecbpf_flow *flow, const struct egress *e, __u64 lease)
{
	*(volatile __u64 *)&flow->lease = 0;
	barrier();
	flow->key = e->key;
	flow->up = e->now;
	flow->len_at = e->now;
	flow->packets = 0;
	flow->len = e->len;
	flow->flags = 0;
	barrier();
	*(volatile __u64 *)&flow->lease = lease;
}

/*
 * How much a flow is worth keeping: 0: nothing; else what has been without a lease for long goes
 * first, and what is at work last.
 */
static __always_inline __u64 flow_worth(const struct ecbpf_fastpath *settings,
					const struct ecbpf_flow *flow)
{
	if (!flow->lease || flow->key.generation != settings->generation)
		return 0;
	return ECBPF_LEASE_END(flow->lease);
}

static __always_inline void egress_grant(const struct ecbpf_fastpath *settings,
					 const struct egress *e, __u32 hop)
{
	__u64 lease = ECBPF_LEASE(e->now + settings->lease, hop), worth, least = ~0ULL, old = 0;
	__u32 index = ecbpf_flow_group(e->hash, settings->groups), free = 0;
	struct ecbpf_flow_group *group;
	struct ecbpf_flow_tags *tags;
	bool is_known = false;

	group = bpf_map_lookup_elem(&fastpath_flows, &index);
	tags = bpf_map_lookup_elem(&fastpath_tags, &index);
	if (!group || !tags)
		return;
	bpf_spin_lock(&tags->lock);
	for (__u32 i = 0; i < ECBPF_FLOW_WAYS; i++) {
		__u32 way = (ecbpf_flow_home(e->hash) + i) & (ECBPF_FLOW_WAYS - 1);
		struct ecbpf_flow *flow = &group->flows[way];

		if (fastpath_same(&flow->key, &e->key)) {
			old = flow->lease;
			lease_renew(settings, flow, e, lease);
			is_known = true;
			break;
		}
		worth = flow_worth(settings, flow);
		if (worth < least) {
			least = worth;
			free = way;
		}
	}
	if (!is_known) {
		__u32 shift = 8 * (free & (ECBPF_FLOW_WAYS - 1));

		lease_new(&group->flows[free & (ECBPF_FLOW_WAYS - 1)], e, lease);
		tags->tags = (tags->tags & ~(0xffULL << shift)) | (__u64)ecbpf_flow_tag(e->hash)
									  << shift;
	}
	bpf_spin_unlock(&tags->lock);

	if (!is_known && least && e->now < least)
		egress_count(ECBPF_EGRESS_EVICTED);
	if (!is_known || !old)
		egress_count(ECBPF_EGRESS_GRANTED);
	else if (ECBPF_LEASE_HOP(old) != hop)
		egress_count(ECBPF_EGRESS_MOVED);
	else
		egress_count(ECBPF_EGRESS_RENEWED);
}

/* Does its flow have a lease to elsewhere? */
static __always_inline bool egress_has_moved(const struct ecbpf_fastpath *settings,
					     const struct egress *e, __u32 hop)
{
	const struct ecbpf_flow *flow = fastpath_find(&e->key, e->hash, settings->groups);

	return flow && flow->lease && ECBPF_LEASE_HOP(flow->lease) != hop;
}

static __always_inline bool egress_is_service(struct __sk_buff *skb,
					      const struct ecbpf_flow_key *key)
{
	struct ecbpf_udp_service service = {.mark = skb->mark};

	if (service.mark && bpf_map_lookup_elem(&fastpath_udp, &service))
		return true;
	service.mark = 0;
	service.port = key->ports >> 16;
	if (key->version == 4) {
		service.addr[2] = bpf_htonl(0xffff);
		service.addr[3] = key->addrs[0] >> 32;
	} else {
		__builtin_memcpy(service.addr, &key->addrs[2], 16);
	}
	if (bpf_map_lookup_elem(&fastpath_udp, &service))
		return true;
	service.port = 0; /* a service of all ports */
	return bpf_map_lookup_elem(&fastpath_udp, &service);
}

/* A packet that may give a lease. Return: it does not, and what its flow has is over */
static __always_inline bool egress_learn(struct __sk_buff *skb, const struct ecbpf_record *rec,
					 const void *eth, const void *l3, const void *l4,
					 const struct ecbpf_fastpath *settings,
					 const struct egress *e)
{
	struct ecbpf_hop hop = {};
	__u32 *known, index;

	if (!skb->ingress_ifindex) {
		egress_count(ECBPF_EGRESS_LOCAL);
		return true;
	}
	if (!hop_read(skb, eth, &hop))
		return true;
	known = bpf_map_lookup_elem(&fastpath_hop_ids, &hop);
	index = known ? *known : 0;
	if (!egress_came_in(rec, l3, l4, e)) {
		egress_count(ECBPF_EGRESS_MISMATCH);
		return egress_has_moved(settings, e, index);
	}
	if (fastpath_is_excluded(&e->key, false) || fastpath_is_excluded(&e->key, true)) {
		egress_count(ECBPF_EGRESS_EXCLUDED);
		return true;
	}
	if (rec->proto == IPPROTO_UDP && !egress_is_service(skb, &e->key)) {
		egress_count(ECBPF_EGRESS_UDP);
		return true;
	}
	/* last, since nothing gives one back: for others' packets none is taken */
	if (!index)
		index = hop_new(&hop);
	if (!index)
		return true;
	egress_grant(settings, e, index);
	return false;
}

/* --- the program -------------------------------------------------------------------------- */

static __always_inline void egress_packet(struct __sk_buff *skb, const struct ecbpf_record *rec,
					  const void *eth, const void *l3, const void *l4)
{
	const struct ecbpf_fastpath *settings = fastpath_settings();
	struct egress e = {.len = rec->l3_len, .is_merged = skb->gso_size};
	__u8 flags = rec->tcp_flags;

	if (!settings || !settings->groups)
		return;
	e.now = ECBPF_LEASE_NOW(bpf_jiffies64());
	fastpath_key(rec, l3, settings->generation, &e.key);
	e.hash = ecbpf_flow_hash(&e.key, settings->seed, settings->mult);
	if (e.is_merged)
		e.len = l4 - l3 + skb->gso_size +
			(rec->proto == IPPROTO_TCP ? (((const __u8 *)l4)[12] >> 2 & 0x3c)
						   : sizeof(struct udphdr));
	if (rec->proto == IPPROTO_TCP && flags & TCP_RST)
		egress_reset(settings, &e.key, e.now);
	if (rec->proto == IPPROTO_TCP && flags & (TCP_RST | TCP_SYN)) {
		if (egress_end(settings, &e.key, e.hash, 0))
			egress_count(ECBPF_EGRESS_REVOKED);
		return;
	}
	if (rec->proto == IPPROTO_TCP && (flags & (TCP_FIN | TCP_ACK)) != TCP_ACK)
		return;
	if (egress_learn(skb, rec, eth, l3, l4, settings, &e) &&
	    egress_end(settings, &e.key, e.hash, 0))
		egress_count(ECBPF_EGRESS_REVOKED);
}

SEC("tc")
int ecbpf_egress(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	struct ecbpf_record rec;
	void *l3;

	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
		return TC_ACT_UNSPEC;
	/* what is looked at has to be in the linear part; as a rule it is */
	if (data + sizeof(struct ecbpf_eth_hdr) + sizeof(struct ipv6hdr) + sizeof(struct tcphdr) >
	    data_end) {
		bpf_skb_pull_data(skb, skb->len < 74 ? skb->len : 74);
		data = (void *)(long)skb->data;
		data_end = (void *)(long)skb->data_end;
	}
	if (!ecbpf_parse_plain((struct xdp_md *)skb, data, data_end, &rec) || rec.vlan_count)
		return TC_ACT_UNSPEC;
	l3 = data + sizeof(struct ecbpf_eth_hdr);
	/* apart, so that the verifier knows how long each is */
	if (rec.version == 4 && l3 + FASTPATH_HEADERS4 <= data_end)
		egress_packet(skb, &rec, data, l3, l3 + sizeof(struct iphdr));
	else if (rec.version == 6 && l3 + FASTPATH_HEADERS6 <= data_end)
		egress_packet(skb, &rec, data, l3, l3 + sizeof(struct ipv6hdr));
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
