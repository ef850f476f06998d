/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage filter: its settings, and what else its maps hold. They are pinned by name, one set for all
 * interfaces.
 *
 *	filter_settings		array of one struct ecbpf_filter, BPF_F_MMAPABLE
 *	filter_addrs		LPM trie, struct ecbpf_filter_addr to __u32
 *				enum ecbpf_filter_addr_kind
 *	filter_ptb_budget	array of one struct ecbpf_bucket: answers of this host
 *	filter_ptb_sources	array of struct ecbpf_bucket: answers to a source, by hash
 *	filter_lists		array of one struct ecbpf_filter_lists, BPF_F_MMAPABLE
 *	filter_tries		pool of both lists' prefixes, see trie.h
 *	filter_sources		struct ecbpf_filter_source each, in chunks as those of filter_tries
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
 * Hygiene checks: X(bit, NAME, "key", is_dropped by default). A packet may fail several; the lowest
 * bit of those that drop, or else of those that count, gives the reason. That is the reason of the
 * same name, but the parser's own one for MALFORMED and IP6_EXT_LIMIT.
 */
#define ECBPF_FILTER_CHECKS(X)                   \
	X(0, FRAG_TINY, "frag-tiny", 0)          \
	X(1, FRAG_OVERLAP, "frag-overlap", 0)    \
	X(2, IP_OPTIONS, "ip-options", 1)        \
	X(3, IP_RESERVED, "ip-reserved-bit", 1)  \
	X(4, MARTIAN, "martian-source", 0)       \
	X(5, LAND, "land", 0)                    \
	X(6, TCP_NULL, "tcp-null", 0)            \
	X(7, TCP_XMAS, "tcp-xmas", 0)            \
	X(8, TCP_SYN_FIN, "tcp-syn-fin", 0)      \
	X(9, TCP_SYN_RST, "tcp-syn-rst", 0)      \
	X(10, UDP_LENGTH, "udp-length", 0)       \
	X(11, PORT_ZERO, "port-zero", 0)         \
	X(12, IP6_ROUTING0, "ip6-routing0", 0)   \
	X(13, IP6_EXT_LIMIT, "ip6-ext-limit", 0) \
	X(14, MALFORMED, "malformed", 1)

enum ecbpf_filter_check {
#define X(bit, NAME, key, is_dropped) ECBPF_FILTER_CHECK_##NAME = 1 << (bit),
	ECBPF_FILTER_CHECKS(X)
#undef X
};

#define ECBPF_FILTER_CHECKS_MAX 32

enum {
#define X(bit, NAME, key, is_dropped) +((is_dropped) << (bit))
	ECBPF_FILTER_DROP_DEFAULT = ECBPF_FILTER_CHECKS(X),
#undef X
};

/* Fragments that are not addressed to this host, see ecbpf_filter_addr_kind */
enum ecbpf_filter_frags {
	ECBPF_FILTER_FRAGS_PASS = 0,
	ECBPF_FILTER_FRAGS_DROP = 1,
	ECBPF_FILTER_FRAGS_PTB = 2, /* and first fragments are answered: packet too big */
};

#define ECBPF_FILTER_PTB_MAX_PPS	200 /* default */
#define ECBPF_FILTER_PTB_PER_SOURCE_PPS 10  /* default */

/**
 * struct ecbpf_filter_settings - one generation of settings
 * @drop_flip: checks that drop, bits; those in ECBPF_FILTER_DROP_DEFAULT are inverted
 * @count: checks that count only, bits; where a check is in both, it drops
 * @frags: enum ecbpf_filter_frags, for IPv4
 * @frags6: likewise, IPv6
 * @ptb_max_pps: answers that this host sends in any second at most; 0: the default
 * @ptb_per_source_pps: likewise, to one IPv4 address or one /64 of IPv6
 * @ptb_rate: @ptb_max_pps in units of the kernel; all zero: nothing is answered
 * @ptb_source_rate: likewise, @ptb_per_source_pps
 * @hash_seed: random
 */
struct ecbpf_filter_settings {
	__u32 drop_flip;
	__u32 count;
	__u8 frags;
	__u8 frags6;
	__u16 reserved;
	__u32 ptb_max_pps;
	__u32 ptb_per_source_pps;
	__u32 reserved2;
	struct ecbpf_rate ptb_rate;
	struct ecbpf_rate ptb_source_rate;
	__u64 hash_seed;
};
_Static_assert(sizeof(struct ecbpf_filter_settings) == 96, "ABI");

/**
 * struct ecbpf_filter - settings, exchanged in one step
 * @active: which generation packets meet, 0 or 1
 *
 * Who changes them fills in the other generation, stores @active, and waits for packets that may
 * still read the first one before it is written again.
 */
struct ecbpf_filter {
	__u32 active;
	__u32 reserved;
	struct ecbpf_filter_settings settings[2];
};

/**
 * struct ecbpf_filter_addr - key of filter_addrs
 * @prefix_len: bits, 0..128
 * @addr: IPv6, network order; IPv4 as ::ffff:0:0/96
 */
struct ecbpf_filter_addr {
	__u32 prefix_len;
	__u8 addr[16];
};

/*
 * Which destinations a fragment may be for. What is in no prefix is not this host's. 128 bits of an
 * IPv4 address are ::ffff:0:0/96 and 32 more.
 */
enum ecbpf_filter_addr_kind {
	ECBPF_FILTER_ADDR_LOCAL = 1,	 /* of this host: fragments pass */
	ECBPF_FILTER_ADDR_VIP = 2,	 /* listed: treated as if it were not this host's */
	ECBPF_FILTER_ADDR_BROADCAST = 3, /* not this host's alone: never answered */
};

/* Lists of sources. What is in both is allowed */
enum ecbpf_filter_list {
	ECBPF_FILTER_ALLOW = 0,
	ECBPF_FILTER_BLOCK = 1,
	ECBPF_FILTER_LISTS = 2,
};

#define ECBPF_FILTER_TAG_MAX 31

/**
 * struct ecbpf_filter_source - a prefix on a list; its number is the value in the trie
 * @packets: that it was the longest match of, and decided on
 * @bytes: likewise, whole frames
 * @expires: CLOCK_MONOTONIC in ns, from when on it does not match any more; 0: never
 * @loaded: when it was added, seconds since 1970
 * @parent: of one that expires: the longest prefix of the list that it lies in and that is there
 *	    for longer; 0: none. It matches instead
 * @tag: up to a NUL. Of a free one: the next free one's number, __u32
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
 * struct ecbpf_filter_lists - where lists begin, and what writers know of filter_sources
 * @tables: enum ecbpf_filter_list
 * @dirty: what follows is not to be relied on: a writer died
 * @expiring: prefixes of a list that have an expiry
 * @first_expiry: of a list, the first one; there is nothing to sweep before it
 * @next: number of the first source that was never used
 * @end: and of the first one that has no memory
 * @free: number of the first free one; 0: none
 * @pending: likewise, which packets may still look at
 * @pending_last: the last of them
 * @pending_count: how many
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
