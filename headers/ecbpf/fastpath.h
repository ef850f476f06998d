/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage fastpath: structures that its two programs (XDP fastpath, TC fastpath_egress) share with
 * user space.
 *
 * A flow is the packets that come in with the same addresses, ports and protocol. A lease allows
 * XDP to forward packets of a flow to a next hop until a given time. Only fastpath_egress grants
 * leases, for packets that it sees the kernel send.
 *
 * All times are the kernel's jiffies: reading them costs nothing, reading a clock 21 to 44 ns (AMD
 * EPYC with Safe RET, Linux 6.18).
 */
#ifndef ECBPF_FASTPATH_H
#define ECBPF_FASTPATH_H

#include <stdbool.h>
#include <linux/types.h>
#include <ecbpf/bucket.h>
#include <ecbpf/lock.h>

/* --- flows -------------------------------------------------------------------------------- */

/**
 * struct ecbpf_flow_key - a flow, as its packets come in
 * @addrs: network order. IPv6: source in [0] and [1], destination in [2] and [3]. IPv4: source
 *	   in the first, destination in the second four bytes of [0], the others 0
 * @ports: source and destination port, as they stand in the packet
 * @proto: IPPROTO_TCP or IPPROTO_UDP
 * @version: 4 or 6; 0: no flow
 * @generation: that of the settings when the lease was granted; a flow of another generation
 *		counts as free
 */
struct ecbpf_flow_key {
	__u64 addrs[4];
	union {
		struct {
			__u32 ports;
			__u8 proto;
			__u8 version;
			__u16 generation;
		};
		__u64 rest;
	};
};
_Static_assert(sizeof(struct ecbpf_flow_key) == 40, "ABI");

/*
 * A lease in one word, so that a single store sets it and no reader sees half of it: the jiffy at
 * which it ends (40 bits: 34 years at 1000 a second) and the hop (24 bits). 0: none.
 */
#define ECBPF_LEASE(end, hop)	 ((__u64)(end) << 24 | (hop))
#define ECBPF_LEASE_END(lease)	 ((lease) >> 24)
#define ECBPF_LEASE_HOP(lease)	 ((__u32)(lease)&0xffffff)
#define ECBPF_LEASE_NOW(jiffies) ((jiffies) & ((1ULL << 40) - 1))

/* In place of a hop: the kernel has reset this flow */
#define ECBPF_HOP_DEAD 0x800000

enum ecbpf_flow_flag {
	ECBPF_FLOW_FIN = 1 << 0, /* the client has sent a FIN */
};

/**
 * struct ecbpf_flow - one flow: a cache line
 * @lease: ECBPF_LEASE(). 0 while other fields change
 * @punted: jiffy (low 32 bits) when a packet was last passed to IPVS
 * @len_at: jiffy (low 32 bits) when the kernel was seen sending a packet of @len
 * @packets: forwarded by XDP. Counted without a lock, low 32 bits
 * @len: longest IP packet that the kernel has sent for this flow, bytes
 * @flags: enum ecbpf_flow_flag
 */
struct ecbpf_flow {
	struct ecbpf_flow_key key;
	__u64 lease;
	__u32 punted;
	__u32 len_at;
	__u32 packets;
	__u16 len;
	__u8 flags;
	__u8 reserved;
};
_Static_assert(sizeof(struct ecbpf_flow) == 64, "ABI");

/*
 * The table: groups of eight flows. The hash of a flow selects the group; within it the flow is at
 * ecbpf_flow_home() or in any other way. One byte of the hash of each flow is kept apart (struct
 * ecbpf_flow_tags), so that a lookup does not read all eight flows.
 */
#define ECBPF_FLOW_WAYS 8

struct ecbpf_flow_group {
	struct ecbpf_flow flows[ECBPF_FLOW_WAYS];
};

/**
 * struct ecbpf_flow_tags - tags of one group
 * @lock: held while flows are added or removed
 * @tags: flow 0 in the lowest byte; 0: no flow
 */
struct ecbpf_flow_tags {
	ECBPF_SPIN_LOCK lock;
	__u32 reserved;
	__u64 tags;
};
_Static_assert(sizeof(struct ecbpf_flow_tags) == 16, "ABI");

/* Groups for a number of flows: with 15/16 of half the ways used, 99 % of the flows find room */
#define ECBPF_FLOW_GROUPS(flows) \
	((__u32)(((__u64)(flows)*15 / 8 + ECBPF_FLOW_WAYS - 1) / ECBPF_FLOW_WAYS))

#define ECBPF_FLOWS_DEFAULT 1000000
#define ECBPF_FLOWS_MIN	    1000
#define ECBPF_FLOWS_MAX	    64000000

/* --- hops --------------------------------------------------------------------------------- */

/**
 * struct ecbpf_ingress - how a packet came in
 * @dest: destination address of its Ethernet header, and two bytes 0
 * @tag: TPID and VLAN identifier of its tag, as they stand in the packet, other bits 0; 0: none
 * @ifindex: of the interface
 */
struct ecbpf_ingress {
	__u8 dest[8];
	__be32 tag;
	__u32 ifindex;
} __attribute__((aligned(8)));

#define ECBPF_HOPS 4096 /* a power of two; number 0 is none */

enum ecbpf_hop_flag {
	ECBPF_HOP_TAGGED = 1 << 0, /* leaves with the 802.1Q tag `vlan_tci` */
};

/**
 * struct ecbpf_hop - a next hop: interface and Ethernet header, for packets that come in alike
 * @dest: destination address: that of the real server
 * @source: source address
 * @vlan_tci: tag control information, host order; 0 without ECBPF_HOP_TAGGED
 * @flags: enum ecbpf_hop_flag
 * @ifindex: interface on which XDP can send: the one below a VLAN or bond
 * @in: of the packets that leave by it. The kernel has forwarded one that came in so
 */
struct ecbpf_hop {
	__u8 dest[6];
	__u8 source[6];
	__u16 vlan_tci;
	__u16 flags;
	__u32 ifindex;
	__u32 reserved; /* 0 */
	struct ecbpf_ingress in;
};
_Static_assert(sizeof(struct ecbpf_hop) == 40, "ABI");

struct ecbpf_hop_entry {
	struct ecbpf_hop hop;
	__u64 outer[3]; /* 0; room for the outer header of a tunnel */
};
_Static_assert(sizeof(struct ecbpf_hop_entry) == 64, "ABI");

/**
 * struct ecbpf_hop_use - which hops leases use
 * @count: hops that have been in use, from number 1 on
 * @next: the one that is looked at next for one that can be used again
 * @until: jiffy by which all leases of each hop end; 0: nobody may use it, nor take it over
 */
struct ecbpf_hop_use {
	ECBPF_SPIN_LOCK lock;
	__u32 count;
	__u32 next;
	__u32 reserved;
	__u64 until[ECBPF_HOPS];
};

/* --- packets that were passed to the stack ------------------------------------------------ */

#define ECBPF_PENDINGS 32768 /* a power of two */

enum ecbpf_pending_open {
	ECBPF_PENDING_SENT, /* the kernel has sent it, or there is none */
	ECBPF_PENDING_OPEN, /* the kernel has not sent it yet */
	/*
	 * Likewise, and it replaced a packet of its flow that came in otherwise and was not sent
	 * either. Nobody knows which of the two leaves: no lease is made for its way in, but one
	 * that is for this way in already is renewed.
	 */
	ECBPF_PENDING_MIXED,
};

/**
 * struct ecbpf_pending - a packet that XDP has passed to the stack
 * @key: its flow
 * @net: IPv4: identification and fragment word; IPv6: version, traffic class, flow label
 * @tos: type of service of IPv4
 * @ttl: at ingress
 * @len: length of the IP packet
 * @at: jiffy, low 8 bits
 * @is_open: enum ecbpf_pending_open
 * @l4: TCP: sequence, acknowledgement, word with flags and window; UDP: length and checksum, 0, 0
 * @check: TCP checksum
 * @in: how it came in
 * @seal: ecbpf_pending_seal()
 *
 * fastpath_egress grants a lease for a packet that equals it: then the kernel has forwarded the
 * packet without changing its headers. It is written without a lock: a mixture of the headers of
 * two packets equals neither of them, and the seal shows a mixture of headers and @in.
 */
struct ecbpf_pending {
	struct ecbpf_flow_key key;
	__be32 net;
	__u8 tos;
	__u8 ttl;
	__u16 len;
	__u32 l4[3];
	__u16 check;
	__u8 at;
	__u8 is_open;
	struct ecbpf_ingress in;
	__u64 seal;
};
_Static_assert(sizeof(struct ecbpf_pending) == 88, "ABI");

/* --- settings ----------------------------------------------------------------------------- */

enum ecbpf_fastpath_flag {
	ECBPF_FASTPATH_MONITOR = 1 << 0, /* decide and count, but pass everything to the stack */
	ECBPF_FASTPATH_LIMIT = 1 << 1,	 /* the shield is on */
	ECBPF_FASTPATH_ROUTED = 1 << 2,	 /* leases for flows that IPVS has not balanced, too */
};

/**
 * struct ecbpf_fastpath - the settings; each field may change at any time, independently
 * @seed: secret of the hash
 * @mult: second secret of the hash, odd
 * @groups: size of the table; 0: off, everything is passed to the stack
 * @generation: see struct ecbpf_flow_key
 * @flags: enum ecbpf_fastpath_flag
 * @hz: jiffies a second
 * @lease: duration of a lease, jiffies
 * @sample: jiffies between two packets of a flow that are passed to IPVS
 * @sample_fin: the same once the client has sent a FIN
 * @inactive: jiffies after which a flow without packets is idle; idle flows are evicted first
 * @window: jiffies over which the shield measures
 * @target: packets in a window above which it drops
 * @ceiling: packets in a window at which it drops @drop_max
 * @drop_max: largest share that it drops, of 65536
 * @reset_gap: jiffies between two resets of one flow
 * @reset: rate of resets for all flows together
 * @target_pps, @spike_percent, @max_percent, @reset_pps: settings as the user gave them, from which
 *	 other fields are computed
 */
struct ecbpf_fastpath {
	__u64 seed;
	__u64 mult;
	__u32 groups;
	__u16 generation;
	__u16 flags;
	__u32 hz;
	__u32 lease;
	__u32 sample;
	__u32 sample_fin;
	__u32 inactive;
	__u32 window;
	__u64 target;
	__u64 ceiling;
	__u32 drop_max;
	__u32 reset_gap;
	struct ecbpf_rate reset;
	__u32 target_pps;
	__u32 spike_percent;
	__u32 max_percent;
	__u32 reset_pps;
};
_Static_assert(sizeof(struct ecbpf_fastpath) == 120, "ABI");

/* --- the shield --------------------------------------------------------------------------- */

#define ECBPF_SHIELD_SEEN (1 << 20)

/* Packets a second of each source that are admitted because of what their flow did before */
#define ECBPF_SHIELD_REPEATS 128

#define ECBPF_SHIELD_GROUPS 1024 /* of buckets: 16,384 sources */

/**
 * struct ecbpf_shield - measurements of the shield, for the whole host
 * @lock: held while a window ends
 * @drop: packets to drop of 65536 packets of unknown flows
 * @count: packets in this window so far
 * @since: jiffy when the window began
 * @rate: packets a window, averaged
 */
struct ecbpf_shield {
	ECBPF_SPIN_LOCK lock;
	__u32 drop;
	__u64 count;
	__u64 since;
	__u64 rate;
};
_Static_assert(sizeof(struct ecbpf_shield) == 32, "ABI");

/* An address prefix whose flows never get a lease */
struct ecbpf_exclude_key {
	__u32 prefix_len; /* 0..128; of an IPv4 prefix 96 more */
	__u8 addr[16];	  /* network order; IPv4 as ::ffff:a.b.c.d */
};

/* A UDP service whose flows may get leases: by address and port, or by firewall mark */
struct ecbpf_udp_service {
	__be32 addr[4]; /* IPv4 as ::ffff:a.b.c.d; 0 with a mark */
	__be16 port;
	__u16 reserved;
	__u32 mark;
};

/* --- counters ----------------------------------------------------------------------------- */

/* Actions of fastpath_egress. X(value, NAME, "name", "text") */
#define ECBPF_EGRESS_COUNTERS(X)                                                     \
	X(0, GRANTED, "granted", "leases granted to flows without one")              \
	X(1, RENEWED, "renewed", "leases renewed")                                   \
	X(2, MOVED, "moved", "leases changed to another next hop")                   \
	X(3, REVOKED, "revoked", "leases ended: the kernel sent another packet")     \
	X(4, DEAD, "dead", "flows reset by the kernel")                              \
	X(5, EVICTED, "evicted", "flows evicted for others")                         \
	X(6, EXCLUDED, "excluded", "no lease: an address is excluded")               \
	X(7, MISMATCH, "mismatch", "no lease: headers differ from those at ingress") \
	X(8, LOCAL, "local", "no lease: sent by this host itself")                   \
	X(9, HOPS_FULL, "hops-full", "no lease: too many next hops")                 \
	X(10, TAGS, "tags", "no lease: leaves with more than one VLAN tag")          \
	X(11, UDP, "udp", "no lease: no UDP service that keeps its servers")         \
	X(12, ROUTED, "routed", "no lease: IPVS has not balanced the packet")

enum ecbpf_egress_counter {
#define X(value, NAME, name, text) ECBPF_EGRESS_##NAME = value,
	ECBPF_EGRESS_COUNTERS(X)
#undef X
};

#define ECBPF_EGRESS_MAX 16

struct ecbpf_egress_counters {
	__u64 packets[ECBPF_EGRESS_MAX]; /* by enum ecbpf_egress_counter */
};

/* --- the hash ----------------------------------------------------------------------------- */

/* Keyed by two secrets: without them nobody can choose flows of the same group */
static inline __attribute__((always_inline)) __u64 ecbpf_flow_mix(__u64 hash, __u64 word,
								  __u64 mult)
{
	hash = (hash ^ word) * mult;
	return hash ^ hash >> 32;
}

static inline __attribute__((always_inline)) __u64 ecbpf_flow_hash(const struct ecbpf_flow_key *key,
								   __u64 seed, __u64 mult)
{
	__u64 hash = ecbpf_flow_mix(seed, key->addrs[0], mult);

	if (key->version == 6) {
		hash = ecbpf_flow_mix(hash, key->addrs[1], mult);
		hash = ecbpf_flow_mix(hash, key->addrs[2], mult);
		hash = ecbpf_flow_mix(hash, key->addrs[3], mult);
	}
	hash = ecbpf_flow_mix(hash, key->rest, mult);
	return ecbpf_flow_mix(hash, seed, mult);
}

/* @hash: of the flow */
static inline __attribute__((always_inline)) __u64
ecbpf_pending_seal(const struct ecbpf_pending *pending, __u64 hash, __u64 mult)
{
	hash = ecbpf_flow_mix(hash, *(const __u64 *)pending->in.dest, mult);
	hash = ecbpf_flow_mix(hash, (__u64)pending->in.tag << 32 | pending->in.ifindex, mult);
	hash = ecbpf_flow_mix(hash, (__u64)pending->l4[0] << 32 | pending->l4[1], mult);
	hash = ecbpf_flow_mix(hash, (__u64)pending->net << 32 | pending->l4[2], mult);
	return ecbpf_flow_mix(hash, pending->check, mult);
}

static inline __attribute__((always_inline)) __u32 ecbpf_flow_group(__u64 hash, __u32 groups)
{
	return (hash >> 32) * groups >> 32;
}

static inline __attribute__((always_inline)) __u8 ecbpf_flow_tag(__u64 hash)
{
	__u8 tag = hash;

	return tag ? tag : 1;
}

/*
 * The way of its group in which a flow is stored if it is free, and looked for first: the tags are
 * too many for a CPU's caches, so this saves a cache miss.
 */
static inline __attribute__((always_inline)) __u32 ecbpf_flow_home(__u64 hash)
{
	return hash >> 24 & (ECBPF_FLOW_WAYS - 1);
}

/* Other bits of the hash, so that flows of one group do not collide here as well */
static inline __attribute__((always_inline)) __u32 ecbpf_flow_pending(__u64 hash)
{
	return hash >> 8 & (ECBPF_PENDINGS - 1);
}

#endif /* ECBPF_FASTPATH_H */
