/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage filter: layout of its maps. They are pinned by name; all interfaces share them.
 *
 *	filter_settings		array of one struct ecbpf_filter, BPF_F_MMAPABLE
 *	filter_addrs		LPM trie, struct ecbpf_filter_addr or ecbpf_filter_mac to __u32
 *				enum ecbpf_filter_addr_kind
 *	filter_ptb_budget	array of one struct ecbpf_bucket: answers of this host
 *	filter_ptb_sources	array of struct ecbpf_bucket: answers to a source, by hash
 *	filter_lists		array of one struct ecbpf_filter_lists, BPF_F_MMAPABLE
 *	filter_tries		pool of both lists' prefixes, see trie.h
 *	filter_sources		struct ecbpf_filter_source each, in chunks as those of filter_tries
 *	filter_hits		per-CPU array of one struct ecbpf_filter_hits
 *
 * ABI: values are append-only. What is all zero means the default.
 */
#ifndef ECBPF_FILTER_H
#define ECBPF_FILTER_H

#include <linux/types.h>
#include <ecbpf/bucket.h>
#include <ecbpf/reason.h>
#include <ecbpf/trie.h>

/*
 * Checks: X(bit, NAME, "key", is_dropped by default, "text"). A packet may fail several. The lowest
 * bit of the checks that drop, or else of those that count, gives the reason: the one of the same
 * name, for MALFORMED and IP6_EXT_LIMIT the one of the parser.
 */
#define ECBPF_FILTER_CHECKS(X)                                                                   \
	X(0, FRAG_TINY, "frag-tiny", 1,                                                          \
	  "first fragment without the complete TCP, UDP or ICMP header, TCP options included "   \
	  "(RFC 1858)")                                                                          \
	X(1, FRAG_OVERLAP, "frag-overlap", 1,                                                    \
	  "TCP fragment that starts within the TCP header (RFC 3128)")                           \
	X(2, IP_OPTIONS, "ip-options", 1,                                                        \
	  "IPv4 options, but not router alert (RFC 2113) of IGMP and RSVP, which is counted as " \
	  "router-alert")                                                                        \
	X(3, IP_RESERVED, "ip-reserved-bit", 1, "reserved (evil) bit of IPv4")                   \
	X(4, MARTIAN, "martian-source", 0,                                                       \
	  "source in 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/4, 240.0.0.0/4, ::/64 or ff00::/8, but "  \
	  "not DHCP and IGMP from 0.0.0.0 and ICMPv6 from ::")                                   \
	X(5, LAND, "land", 0, "source and destination are the same address")                     \
	X(6, TCP_NULL, "tcp-null", 0, "TCP without flags")                                       \
	X(7, TCP_XMAS, "tcp-xmas", 0, "TCP with FIN, PSH and URG, but not ACK")                  \
	X(8, TCP_SYN_FIN, "tcp-syn-fin", 0, "TCP with SYN and FIN")                              \
	X(9, TCP_SYN_RST, "tcp-syn-rst", 0, "TCP with SYN and RST")                              \
	X(10, UDP_LENGTH, "udp-length", 0,                                                       \
	  "UDP length differs from the length of the IP payload; fragments are not checked")     \
	X(11, PORT_ZERO, "port-zero", 0, "TCP or UDP source or destination port 0")              \
	X(12, IP6_ROUTING0, "ip6-routing0", 0, "IPv6 routing header of type 0 (RFC 5095)")       \
	X(13, IP6_EXT_LIMIT, "ip6-ext-limit", 1,                                                 \
	  "more than eight IPv6 extension headers, or headers beyond 2048 bytes")                \
	X(14, MALFORMED, "malformed", 1, "wrong headers and lengths, each with its own reason")

enum ecbpf_filter_check {
#define X(bit, NAME, key, is_dropped, text) ECBPF_FILTER_CHECK_##NAME = 1 << (bit),
	ECBPF_FILTER_CHECKS(X)
#undef X
};

#define ECBPF_FILTER_CHECKS_MAX 32

enum {
#define X(bit, NAME, key, is_dropped, text) +((is_dropped) << (bit))
	ECBPF_FILTER_DROP_DEFAULT = ECBPF_FILTER_CHECKS(X),
#undef X
};

/* Fragments that are not addressed to this host, see ecbpf_filter_addr_kind */
enum ecbpf_filter_frags {
	ECBPF_FILTER_FRAGS_PASS = 0,
	ECBPF_FILTER_FRAGS_DROP = 1,
	ECBPF_FILTER_FRAGS_PTB = 2, /* drop; answer first fragments with packet too big */
};

/* Frames of other link layers that can carry IP */
enum ecbpf_filter_links {
	ECBPF_FILTER_LINKS_PASS = 0,
	ECBPF_FILTER_LINKS_DROP = 1,
};

#define ECBPF_FILTER_PTB_MAX_PPS	200 /* default */
#define ECBPF_FILTER_PTB_PER_SOURCE_PPS 10  /* default */

/**
 * struct ecbpf_filter_settings - one generation of settings
 * @drop_flip: checks that drop, bits; those in ECBPF_FILTER_DROP_DEFAULT are inverted
 * @count: checks that count only, bits; where a check is in both, it drops
 * @frags: enum ecbpf_filter_frags, for IPv4
 * @frags6: the same for IPv6
 * @drop_links: frames of other link layers that can carry IP are dropped
 * @ptb_max_pps: answers of this host in any second, at most; 0: the default
 * @ptb_per_source_pps: the same to one IPv4 address or one /64 of IPv6
 * @ptb_rate: @ptb_max_pps in units of the kernel; all zero: no answers
 * @ptb_source_rate: @ptb_per_source_pps in units of the kernel
 * @hash_seed: random
 */
struct ecbpf_filter_settings {
	__u32 drop_flip;
	__u32 count;
	__u8 frags;
	__u8 frags6;
	__u8 drop_links;
	__u8 reserved;
	__u32 ptb_max_pps;
	__u32 ptb_per_source_pps;
	__u32 reserved2;
	struct ecbpf_rate ptb_rate;
	struct ecbpf_rate ptb_source_rate;
	__u64 hash_seed;
};
_Static_assert(sizeof(struct ecbpf_filter_settings) == 96, "ABI");

/**
 * struct ecbpf_filter - settings, two generations of them
 * @active: generation in use, 0 or 1
 *
 * A writer fills in the other generation, stores @active, and waits until no program run can read
 * the old one.
 */
struct ecbpf_filter {
	__u32 active;
	__u32 reserved;
	struct ecbpf_filter_settings settings[2];
};

/**
 * struct ecbpf_filter_addr - key of filter_addrs
 * @prefix_len: bits, 0..128
 * @addr: network order; IPv4 as ::ffff:a.b.c.d
 */
struct ecbpf_filter_addr {
	__u32 prefix_len;
	__u8 addr[16];
};

/*
 * Kinds of destinations. Addresses in no prefix are those of other hosts.
 */
enum ecbpf_filter_addr_kind {
	ECBPF_FILTER_ADDR_LOCAL = 1,	 /* of this host: fragments pass */
	ECBPF_FILTER_ADDR_VIP = 2,	 /* listed: treated as an address of another host */
	ECBPF_FILTER_ADDR_BROADCAST = 3, /* broadcast: fragments are never answered */
	ECBPF_FILTER_ADDR_MAC = 4,	 /* see ecbpf_filter_mac */
	ECBPF_FILTER_ADDR_LAST = ECBPF_FILTER_ADDR_MAC,
};

/**
 * struct ecbpf_filter_mac - key of filter_addrs: an Ethernet address at which an interface receives
 *			     for this host: its own, or of a VLAN, bridge or the like above it
 * @prefix_len: 128
 * @first: ECBPF_FILTER_MAC_FIRST: in the place of an IPv6 multicast address of reserved scope (RFC
 *	   4291 section 2.7), whose entry would have no effect on packets
 * @ifindex: the interface that receives
 * @addr: Ethernet address
 */
struct ecbpf_filter_mac {
	__u32 prefix_len;
	__u8 first;
	__u8 zero[3];
	__u32 ifindex;
	__u8 zero2[2];
	__u8 addr[6];
};
_Static_assert(sizeof(struct ecbpf_filter_mac) == sizeof(struct ecbpf_filter_addr), "same key");

#define ECBPF_FILTER_MAC_FIRST 0xff

/* Lists of sources. A source on both lists is allowed */
enum ecbpf_filter_list {
	ECBPF_FILTER_ALLOW = 0,
	ECBPF_FILTER_BLOCK = 1,
	ECBPF_FILTER_LISTS = 2,
};

#define ECBPF_FILTER_TAG_MAX 31

/**
 * struct ecbpf_filter_source - a prefix on a list; its number is the value in the trie
 * @packets: packets that it decided on, as the longest match, without those in filter_hits
 * @bytes: bytes of their frames
 * @expires: CLOCK_MONOTONIC in ns when it stops matching; 0: never
 * @loaded: when it was added, seconds since 1970
 * @parent: if it expires: its longest covering prefix on the list that expires later, which matches
 *	    then; 0: none
 * @tag: NUL-terminated. In a free source: number of the next free one, __u32
 */
struct ecbpf_filter_source {
	__u64 packets;
	__u64 bytes;
	__u64 expires;
	__u32 loaded;
	__u32 parent;
	char tag[ECBPF_FILTER_TAG_MAX + 1];
};
_Static_assert(sizeof(struct ecbpf_filter_source) == 64, "ABI");

#define ECBPF_FILTER_SOURCE_WORDS (sizeof(struct ecbpf_filter_source) / sizeof(__u64))

/**
 * struct ecbpf_filter_hit - packets of a source that one CPU has not added to it yet
 * @number: of the source, which is not free as long as it is here; 0: none
 */
struct ecbpf_filter_hit {
	__u64 number;
	__u64 packets;
	__u64 bytes;
};

#define ECBPF_FILTER_HITS 64 /* a power of two */
/* A CPU adds so many packets at once. What is read while packets pass may be so far from exact */
#define ECBPF_FILTER_HITS_ENOUGH 64

/*
 * CPUs that count packets of the same source would take its cache line from each other: two of them
 * dropped less than one. So each counts in places of its own, by number, and adds from time to time
 */
struct ecbpf_filter_hits {
	struct ecbpf_filter_hit at[ECBPF_FILTER_HITS];
};

/**
 * struct ecbpf_filter_lists - heads of the lists, and state of the allocator of filter_sources
 * @tables: by enum ecbpf_filter_list
 * @first_expiry: earliest expiry on a list
 * @dirty: the other fields may be wrong: a writer died
 * @expiring: prefixes of a list that expire
 * @next: number of the first source that was never used
 * @end: number of the first source without memory
 * @free: first free source; 0: none
 * @pending: first retired source, which a packet may still read; 0: none
 * @pending_last: last retired source
 * @pending_count: retired sources
 */
struct ecbpf_filter_lists {
	struct ecbpf_trie_head tables[ECBPF_FILTER_LISTS];
	__u64 first_expiry[ECBPF_FILTER_LISTS];
	__u32 dirty;
	__u32 expiring[ECBPF_FILTER_LISTS];
	__u32 next;
	__u32 end;
	__u32 free;
	__u32 pending;
	__u32 pending_last;
	__u32 pending_count;
	__u32 reserved;
};

#define ECBPF_FILTER_ADDRS_MAX	 65536
#define ECBPF_FILTER_SOURCES_MAX 16384 /* a power of two */

#endif /* ECBPF_FILTER_H */
