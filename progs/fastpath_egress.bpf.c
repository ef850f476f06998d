// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage fastpath at TC egress: grants, renews and revokes the leases that XDP forwards by. It
 * neither changes nor drops packets.
 *
 * A lease is granted for a packet whose headers equal those of a packet that XDP has just passed to
 * the stack, except for the changes that forwarding makes: the TTL and the Ethernet header. IPVS
 * must have forwarded it. So packets of this host itself, packets that the kernel rewrites, and
 * those that it only routes, get none.
 */
#define ECBPF_PARSE_SKB
#include <linux/pkt_cls.h>
#include "fastpath.bpf.h"
#include "fastpath_hop.bpf.h"
#include "fastpath_ipvs.bpf.h"
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

/* UDP services that keep a client's server; "one packet" services choose one for each packet */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct ecbpf_udp_service);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fastpath_udp SEC(".maps");

static __always_inline void egress_count(enum ecbpf_egress_counter what)
{
	struct ecbpf_egress_counters *counters;
	__u32 key = 0;

	counters = bpf_map_lookup_elem(&fastpath_egress, &key);
	if (counters)
		counters->packets[what]++;
}

/* State of one packet */
struct egress {
	struct ecbpf_flow_key key;
	__u64 hash;
	__u64 now;
	__u32 len; /* longest IP packet that leaves: GRO may have merged several */
	bool is_merged;
};

/* --- ending leases ------------------------------------------------------------------------ */

/* End the lease of a flow, if it has one. @dead: 0, or the flow is dead until then. Return: it had
 */
static __always_inline bool egress_end(const struct ecbpf_fastpath *settings,
				       const struct ecbpf_flow_key *key, __u64 hash, __u64 dead)
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
		*(volatile __u64 *)&flow->lease =
			dead ? ECBPF_LEASE(dead, ECBPF_LEASE_HOP(flow->lease) | ECBPF_HOP_DEAD) : 0;
		found = true;
	}
	bpf_spin_unlock(&tags->lock);
	return found;
}

/* A reset that this host sends to the client: its flow is dead */
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
	if (egress_end(settings, &key, hash, now + settings->lease))
		egress_count(ECBPF_EGRESS_DEAD);
}

/* --- hops --------------------------------------------------------------------------------- */

/* The hop by which the packet leaves. Return: XDP can send to it */
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

/* --- comparison with the packet at ingress ------------------------------------------------ */

/* Is the packet at ingress part of this one, which GRO has merged? */
static __always_inline bool egress_same_merged(const struct ecbpf_pending *in,
					       const struct ecbpf_pending *out, __u32 payload)
{
	/* FIN and PSH may come from any of the merged packets */
	const __be32 flags = ~bpf_htonl((__u32)(ECBPF_TCP_FIN | ECBPF_TCP_PSH) << 16);
	const __be32 frag = out->key.version == 4 ? bpf_htonl(0xffff) : ~0U;

	if ((in->net ^ out->net) & frag)
		return false;
	if (out->key.proto == IPPROTO_UDP)
		return true;
	return bpf_ntohl(in->l4[0]) - bpf_ntohl(out->l4[0]) < payload && in->l4[1] == out->l4[1] &&
	       !((in->l4[2] ^ out->l4[2]) & flags);
}

static __always_inline bool egress_same(const struct ecbpf_pending *in,
					const struct ecbpf_pending *out, const struct egress *e)
{
	if (!fastpath_same(&in->key, &out->key))
		return false;
	if (in->ttl != (__u8)(out->ttl + 1) || in->tos != out->tos)
		return false;
	if (e->is_merged)
		return egress_same_merged(in, out, out->len);
	return in->net == out->net && in->len == out->len && in->check == out->check &&
	       in->l4[0] == out->l4[0] && in->l4[1] == out->l4[1] && in->l4[2] == out->l4[2];
}

/* Does the flow have a lease for packets that come in so? */
static __always_inline bool egress_is_known(const struct ecbpf_fastpath *settings,
					    const struct egress *e, const struct ecbpf_ingress *in)
{
	const struct ecbpf_flow *flow = fastpath_find(&e->key, e->hash, settings->groups);
	const struct ecbpf_hop_entry *entry;
	__u32 index;

	if (!flow || !flow->lease)
		return false;
	index = ECBPF_LEASE_HOP(flow->lease);
	entry = bpf_map_lookup_elem(&fastpath_hops, &index);
	return entry && *(const __u64 *)entry->hop.in.dest == *(const __u64 *)in->dest &&
	       entry->hop.in.tag == in->tag && entry->hop.in.ifindex == in->ifindex;
}

/*
 * Return: XDP has passed the packet to the stack, which has not changed it. Then the next packet of
 * the flow may be noted. @ret_in: how it came in
 */
static __always_inline bool egress_is_unchanged(const struct ecbpf_fastpath *settings,
						const struct ecbpf_record *rec, const void *l3,
						const void *l4, const struct egress *e,
						struct ecbpf_ingress *ret_in)
{
	__u32 index = ecbpf_flow_pending(e->hash);
	struct ecbpf_pending out = {.key = e->key}, in, *pending;

	pending = bpf_map_lookup_elem(&fastpath_up, &index);
	if (!pending || !pending->is_open)
		return false;
	in = *pending;
	barrier(); /* XDP may write another packet meanwhile */
	fastpath_header(rec, l3, l4, &out);
	if (!egress_same(&in, &out, e) ||
	    in.seal != ecbpf_pending_seal(&in, e->hash, settings->mult))
		return false;
	if (in.is_open == ECBPF_PENDING_MIXED && !egress_is_known(settings, e, &in.in))
		return false;
	pending->is_open = 0;
	*ret_in = in.in;
	return true;
}

/* --- granting leases ---------------------------------------------------------------------- */

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
	flow->punted = e->now;
	flow->len_at = e->now;
	flow->packets = 0;
	flow->len = e->len;
	flow->flags = 0;
	barrier();
	*(volatile __u64 *)&flow->lease = lease;
}

/*
 * Order of eviction: 0: a free way; else the end of the lease, so that flows that have been idle
 * for longest are evicted first.
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

/* Does the flow have a lease to elsewhere? */
static __always_inline bool egress_has_moved(const struct ecbpf_fastpath *settings,
					     const struct egress *e, const struct ecbpf_hop *hop)
{
	const struct ecbpf_flow *flow = fastpath_find(&e->key, e->hash, settings->groups);
	const struct ecbpf_hop_entry *entry;
	__u32 index;

	if (!flow || !flow->lease)
		return false;
	if (flow->lease & ECBPF_HOP_DEAD)
		return true;
	index = ECBPF_LEASE_HOP(flow->lease);
	entry = bpf_map_lookup_elem(&fastpath_hops, &index);
	return !entry || !hop_leaves_alike(&entry->hop, hop);
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

/* Return: true if no lease was granted and an existing one must be revoked */
static __always_inline bool egress_learn(struct __sk_buff *skb, const struct ecbpf_record *rec,
					 const void *eth, const void *l3, const void *l4,
					 const struct ecbpf_fastpath *settings,
					 const struct egress *e)
{
	__u64 end = e->now + settings->lease;
	struct ecbpf_hop hop = {};
	__u32 index;

	if (!skb->ingress_ifindex) {
		egress_count(ECBPF_EGRESS_LOCAL);
		return true;
	}
	if (!(settings->flags & ECBPF_FASTPATH_ROUTED) && !ipvs_has_balanced(skb)) {
		egress_count(ECBPF_EGRESS_ROUTED);
		return true;
	}
	if (!hop_read(skb, eth, &hop))
		return true;
	if (!egress_is_unchanged(settings, rec, l3, l4, e, &hop.in)) {
		egress_count(ECBPF_EGRESS_MISMATCH);
		return egress_has_moved(settings, e, &hop);
	}
	if (fastpath_is_excluded(&e->key, false) || fastpath_is_excluded(&e->key, true)) {
		egress_count(ECBPF_EGRESS_EXCLUDED);
		return true;
	}
	if (rec->proto == IPPROTO_UDP && !egress_is_service(skb, &e->key)) {
		egress_count(ECBPF_EGRESS_UDP);
		return true;
	}
	/* last, so that other packets take none */
	index = hop_find(&hop, end, settings->lease);
	if (!index)
		index = hop_new(&hop, e->now, end, settings->lease, settings->hz);
	if (!index) {
		egress_count(ECBPF_EGRESS_HOPS_FULL);
		return true;
	}
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
	/* others' resets may be spoofed: with a wrong sequence number they end nothing */
	if (rec->proto == IPPROTO_TCP && flags & ECBPF_TCP_RST && !skb->ingress_ifindex)
		egress_reset(settings, &e.key, e.now);
	if (rec->proto == IPPROTO_TCP && flags & (ECBPF_TCP_RST | ECBPF_TCP_SYN)) {
		if (egress_end(settings, &e.key, e.hash, 0))
			egress_count(ECBPF_EGRESS_REVOKED);
		return;
	}
	if (rec->proto == IPPROTO_TCP && (flags & (ECBPF_TCP_FIN | ECBPF_TCP_ACK)) != ECBPF_TCP_ACK)
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
	/* the headers must be in the linear part; as a rule they are */
	if (data + sizeof(struct ecbpf_eth_hdr) + sizeof(struct ipv6hdr) + sizeof(struct tcphdr) >
	    data_end) {
		bpf_skb_pull_data(skb, skb->len < 74 ? skb->len : 74);
		data = (void *)(long)skb->data;
		data_end = (void *)(long)skb->data_end;
	}
	if (!ecbpf_parse_plain((struct xdp_md *)skb, data, data_end, &rec) || rec.vlan_count)
		return TC_ACT_UNSPEC;
	l3 = data + sizeof(struct ecbpf_eth_hdr);
	/* two calls, so that the verifier knows the length of the headers */
	if (rec.version == 4 && l3 + FASTPATH_HEADERS4 <= data_end)
		egress_packet(skb, &rec, data, l3, l3 + sizeof(struct iphdr));
	else if (rec.version == 6 && l3 + FASTPATH_HEADERS6 <= data_end)
		egress_packet(skb, &rec, data, l3, l3 + sizeof(struct ipv6hdr));
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
