/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tables of the firewall, which the compiler (lib/fw/compile.c) writes and the program
 * (progs/fw.bpf.c) reads.
 *
 * A ruleset is compiled to a generation: one map whose tables say which rules match a packet. Each
 * field of the packet is a dimension. A table maps the field's value to an equivalence class: all
 * values of a class are matched by the same rules. Each class has a bit vector with one bit for
 * each rule. The AND of the vectors of a packet's classes has the bits of the rules that match it
 * (Lakshman, Stiliadis: High-Speed Policy-Based Packet Forwarding Using Efficient
 * Multi-Dimensional Range Matching, SIGCOMM 1998).
 *
 *	small	up to 64 rules: a vector is one word
 *	medium	up to 4,096 rules: a vector is divided into chunks of 8 words, and has a summary
 *with one bit for each word that is not zero. Only words whose bit is set in the summaries of all
 *dimensions are read (Baboescu, Varghese: Scalable Packet Classification, SIGCOMM 2001). Equal
 *chunks are stored once large	up to 10,240 rules: as medium, but each dimension has memory of its
 *own
 *
 * The position of a rule, its bit in the vectors, is not its index in the file. Deciding rules
 * (drop, pass) come first, sorted so that rules which test the same field share a word; of those
 * that match, the one with the lowest index decides. Behind them, in the order of the file, come
 * the others (count, limit, dry); those that match and have a lower index than the deciding rule
 * are executed.
 *
 * A generation is never changed. Its number is stored into `fw_active` when it is complete, and is
 * read once for each packet.
 *
 * ABI: see ECBPF_SCHEMA.
 */
#ifndef ECBPF_FW_H
#define ECBPF_FW_H

#include <linux/types.h>
#include <ecbpf/bucket.h>
#include <ecbpf/record.h>

#define ECBPF_FW_RULES_MAX 10240
#define ECBPF_FW_BLOCKS	   (ECBPF_FW_RULES_MAX / 64) /* words of 64 bits in a vector */
#define ECBPF_FW_USES_MAX  64			     /* pairs of a set and source or destination */

/* A generation: 0, or its slot (0 or 1) plus its size */
enum ecbpf_fw_size {
	ECBPF_FW_NONE = 0,
	ECBPF_FW_SMALL = 2,
	ECBPF_FW_MEDIUM = 4,
	ECBPF_FW_LARGE = 6,
};
#define ECBPF_FW_SLOT	    1
#define ECBPF_FW_GENERATION 7 /* slot and size */

/* Flags beside the generation. Panic: no rule is asked, IP packets pass or are dropped */
#define ECBPF_FW_LIVE_DROP	  8
#define ECBPF_FW_LIVE_PASS	  16
#define ECBPF_FW_LIVE_PANIC	  (ECBPF_FW_LIVE_DROP | ECBPF_FW_LIVE_PASS)
#define ECBPF_FW_LIVE_UNCONFIRMED 32 /* it is live until @deadline only, then @before is */

/**
 * struct ecbpf_fw_live - fw_active: what is live
 * @word: generation and flags. Only the lowest byte is ever set, so that a change is one store
 * @before: a generation; and ECBPF_FW_WHOLE, ECBPF_FW_LOGGED
 * @deadline: jiffies
 *
 * @before is only written while ECBPF_FW_LIVE_UNCONFIRMED is not set, except ECBPF_FW_LOGGED, and
 * @deadline, whose eight bytes are copied at once, later only to put it off. What has passed its
 * deadline is settled by the next change; packets do not wait for it.
 */
struct ecbpf_fw_live {
	__u32 word;
	__u32 before;
	__u64 deadline;
};
/* For user space: all rules were given, not what changes; the change may be in the log */
#define ECBPF_FW_WHOLE	64
#define ECBPF_FW_LOGGED 128

enum ecbpf_fw_dim {
	ECBPF_FW_KIND, /* family, protocol, fragment, options */
	ECBPF_FW_SRC,
	ECBPF_FW_DST,
	ECBPF_FW_LENGTH,
	ECBPF_FW_VLAN,
	ECBPF_FW_TTL,
	ECBPF_FW_SPORT,
	ECBPF_FW_DPORT,
	ECBPF_FW_TYPE, /* TCP flags; type of ICMP and ICMPv6 */
	ECBPF_FW_CODE, /* TCP window; code of ICMP and ICMPv6 */
	ECBPF_FW_DIMS,
};

/*
 * The upper-layer protocol, which says which fields a packet can have; ECBPF_FW_L4_THERE is added
 * if the packet has the header, that is, if it is not a later fragment
 */
enum ecbpf_fw_l4 {
	ECBPF_FW_L4_OTHER,
	ECBPF_FW_L4_TCP,
	ECBPF_FW_L4_UDP,
	ECBPF_FW_L4_ICMP,
	ECBPF_FW_L4_ICMP6,
	ECBPF_FW_L4_THERE = 8,
	ECBPF_FW_L4_MAX = 16,
};

/* Index into ecbpf_fw_tables.kind */
#define ECBPF_FW_KIND_FRAG    8	 /* shift of enum ecbpf_frag */
#define ECBPF_FW_KIND_OPTIONS 10 /* IPv4 options, IPv6 extension headers */
#define ECBPF_FW_KIND_IP6     11
#define ECBPF_FW_KINDS	      4096

/*
 * The kinds of malformed packets are indices that no well-formed packet has: IPv4 has no atomic
 * fragments, and IPv6 fragments have extension headers. The reason takes the bits of the protocol.
 * @version: 4, 6, or 0 if the IP header could not be read
 */
#define ECBPF_FW_KIND_MALFORMED (ECBPF_FRAG_ATOMIC << ECBPF_FW_KIND_FRAG)
#define ECBPF_FW_KIND_OF_MALFORMED(reason, version)                                       \
	(ECBPF_FW_KIND_MALFORMED | (reason) | ((version) == 0) << ECBPF_FW_KIND_OPTIONS | \
	 ((version) == 6) << ECBPF_FW_KIND_IP6)

/* The class, in every dimension, of values that all rules match */
#define ECBPF_FW_ANY 1

/*
 * Longest-prefix match of an address: a tree of 32-bit words in the memory of the dimension. Its
 * root is a table indexed by the first bits. A word is a class, or refers to the next step:
 *
 *	node	a table indexed by 4 or 8 (WIDE) bits of the address; SHIFT bits are right of them.
 *		The low bits of the reference are its first word, in units of 16 words
 *	leaf	a prefix that all entries below it share: if the address has it, the word `equal`
 *		follows, else the word `other`. The low bits of the reference are its first word, in
 *		units of 4 words for IPv4 (address, mask, equal, other) and of 16 words for IPv6
 *		(address: high, low; mask: high, low; each two words, the lower half first; equal,
 *		other)
 */
#define ECBPF_FW_LPM_ROOT4     16 /* bits */
#define ECBPF_FW_LPM_ROOT6     12
#define ECBPF_FW_LPM_REFERENCE 0x80000000U
#define ECBPF_FW_LPM_LEAF      0x40000000U
#define ECBPF_FW_LPM_SHIFT     16	   /* 7 bits, above the first word of a node */
#define ECBPF_FW_LPM_WIDE      0x08000000U /* of a node: 8 bits wide, else 4 */

/* Most steps below the root: each takes 4 bits or more, except for a last leaf */
#define ECBPF_FW_LPM_STEPS4 ((32 - ECBPF_FW_LPM_ROOT4) / 4 + 1)
#define ECBPF_FW_LPM_STEPS6 ((128 - ECBPF_FW_LPM_ROOT6) / 4 + 1)

/**
 * struct ecbpf_fw_root - the root of a dimension's tree
 * @at: first word of the root, in the words of the dimension
 * @mask: for the address's first bits; 0: no rule tests the address, the root is one word
 */
struct ecbpf_fw_root {
	__u32 at;
	__u32 mask;
};

/* A word of ecbpf_fw_tables.rules: the rule's action and its index in the file */
#define ECBPF_FW_RULE_INDEX 8 /* shift: index in the file */
enum ecbpf_fw_rule {
	ECBPF_FW_RULE_DROP = 1,
	ECBPF_FW_RULE_PASS = 2,
	ECBPF_FW_RULE_COUNT = 3,
	ECBPF_FW_RULE_LIMIT = 4,
	ECBPF_FW_RULE_ACTION = 7,
	ECBPF_FW_RULE_DRY = 8,
};

/*
 * The class of a field's value is at byte @off of the tables, plus 2 * (value & @mask). @mask is 0
 * for packets without the field, and for a field that no rule tests
 */
struct ecbpf_fw_field {
	__u32 off;
	__u32 mask;
};

/* Indices behind the last value: for packets without one */
#define ECBPF_FW_LENGTH_LONG 65536 /* longer than a rule can say */
#define ECBPF_FW_VLAN_NONE   4096

/* Offsets by ecbpf_fw_field are masked to stay below this */
#define ECBPF_FW_TABLES_SIZE (1 << 20)

/**
 * struct ecbpf_fw_tables - tables of all sizes, at the beginning of the generation
 * @fields: by enum ecbpf_fw_l4; those of addresses are not used
 * @roots: of source and destination, IPv4 and IPv6
 * @uses_count: how many of @uses there are
 * @uses: the set's entry of `fw_sets`, ECBPF_FW_USE_DST if the destination is looked up,
 *	  ECBPF_FW_USE_IP6
 * @use_classes: class of packets not in the set, and of packets in it
 * @deciding: for each word of a vector, the bits of deciding rules
 * @first: for each word of a vector, the lowest index of its rules
 * @rules: for each position, enum ecbpf_fw_rule bits and index
 * @counters: for each index, the rule's entry in `fw_counters`
 * @limits: for each index of a rule with a limit, its entry in `fw_limits`
 * @any: ECBPF_FW_ANY
 * @absent: class of packets without the field, by enum ecbpf_fw_l4
 *
 * Ports and window are in network order, all other values in host order.
 */
struct ecbpf_fw_tables {
	struct ecbpf_fw_field fields[ECBPF_FW_L4_MAX][ECBPF_FW_DIMS];
	struct ecbpf_fw_root roots[2][2];
	__u64 uses_count;
	__u32 uses[ECBPF_FW_USES_MAX];
	__u16 use_classes[ECBPF_FW_USES_MAX][2];
	__u64 deciding[ECBPF_FW_BLOCKS];
	__u16 first[ECBPF_FW_BLOCKS];
	__u32 rules[ECBPF_FW_RULES_MAX];
	__u16 counters[ECBPF_FW_RULES_MAX];
	__u16 limits[ECBPF_FW_RULES_MAX];
	__u16 any;
	__u16 absent[ECBPF_FW_DIMS][ECBPF_FW_L4_MAX];
	__u16 kind[ECBPF_FW_KINDS];
	__u16 vlan[ECBPF_FW_VLAN_NONE + 1];
	__u16 ttl[2][256]; /* IPv4, IPv6 */
	__u16 flags[256];
	__u16 type[2][256]; /* ICMP, ICMPv6 */
	__u16 code[2][256];
	__u16 window[65536];
	__u16 length[ECBPF_FW_LENGTH_LONG + 1];
	__u16 sport[2][65536]; /* TCP, UDP */
	__u16 dport[2][65536];
};
_Static_assert(sizeof(struct ecbpf_fw_tables) < ECBPF_FW_TABLES_SIZE, "offsets are masked");

#define ECBPF_FW_USE_DST 0x80000000U
#define ECBPF_FW_USE_IP6 0x40000000U

/* --- small ---------------------------------------------------------------------------------- */

#define ECBPF_FW_SMALL_RULES   64
#define ECBPF_FW_SMALL_CLASSES 8192 /* shared by all dimensions, to touch few cache lines */
#define ECBPF_FW_SMALL_WORDS   (1 << 18)

/* The vector of a kind of packets, and their enum ecbpf_fw_l4 */
struct ecbpf_fw_small_kind {
	__u64 vector;
	__u64 l4;
};

/* All that the program needs of a rule, in one cache line */
struct ecbpf_fw_small_rule {
	__u32 verdict; /* ECBPF_VERDICT_RULE(), if the rule decides */
	__u32 rule;    /* ecbpf_fw_tables.rules */
	__u32 counter; /* in `fw_counters` */
	__u32 limit;   /* in `fw_limits` */
};

/* Index into @by_bit of a position, given its bit: a de Bruijn sequence numbers it */
#define ECBPF_FW_SMALL_RULE(bit) ((bit)*0x022fdd63cc95386dULL >> 58)

/**
 * struct ecbpf_fw_small - a generation whose vectors are one word
 * @slow: bits of rules that test sets or do not decide: a packet that matches one takes the slow
 *	  path
 * @by_bit: the rules by ECBPF_FW_SMALL_RULE()
 * @kind: vector by kind. Fields with few values have vectors by value: one lookup less than by
 *	  class
 * @type: by enum ecbpf_fw_l4, value
 * @vectors: by class
 * @use_vectors: of packets not in the set, and of packets in it
 * @words: trees of addresses
 */
struct ecbpf_fw_small {
	struct ecbpf_fw_tables tables;
	__u64 slow;
	struct ecbpf_fw_small_rule by_bit[ECBPF_FW_SMALL_RULES];
	struct ecbpf_fw_small_kind kind[ECBPF_FW_KINDS];
	__u64 vlan[2 * ECBPF_FW_VLAN_NONE];
	__u64 ttl[512];
	__u64 type[ECBPF_FW_L4_MAX * 256];
	__u64 vectors[ECBPF_FW_SMALL_CLASSES];
	__u64 use_vectors[ECBPF_FW_USES_MAX * 2];
	__u32 words[ECBPF_FW_SMALL_WORDS];
};

/* --- medium, large -------------------------------------------------------------------------- */

#define ECBPF_FW_CHUNK	       8 /* words */
#define ECBPF_FW_SUMMARY_WORDS 3

/**
 * struct ecbpf_fw_vector - one bit vector; the number of its cell is the class
 * @summary: bits for words of the vector; 0: the word is zero
 * @chunks: cells
 */
struct ecbpf_fw_vector {
	__u64 summary[ECBPF_FW_SUMMARY_WORDS];
	__u16 chunks[ECBPF_FW_BLOCKS / ECBPF_FW_CHUNK];
};

/* Memory is divided into cells of 64 bytes. So many are the largest map value of all kernels */
#define ECBPF_FW_CELLS 65536

union ecbpf_fw_cell {
	struct ecbpf_fw_vector vector;
	__u64 chunk[ECBPF_FW_CHUNK];
	__u32 words[16];
};
_Static_assert(sizeof(union ecbpf_fw_cell) == 64, "ABI");

/*
 * A map value of either size. Cell 0 stays free, cell 1 is the vector ECBPF_FW_ANY, cell 2 its
 * chunk
 */
struct ecbpf_fw_cells {
	union ecbpf_fw_cell cells[ECBPF_FW_CELLS];
};

/* The tables are the last cells of medium's only entry, and of large's last entry */
#define ECBPF_FW_TABLES_CELL  (ECBPF_FW_CELLS - ECBPF_FW_TABLES_SIZE / 64)
#define ECBPF_FW_MEDIUM_RULES 4096
#define ECBPF_FW_LARGE_SETS   ECBPF_FW_DIMS /* entry of large for vectors of set lookups */
#define ECBPF_FW_LARGE_TABLES (ECBPF_FW_DIMS + 1)
#define ECBPF_FW_LARGE_COUNT  (ECBPF_FW_DIMS + 2)

/* --- settings ------------------------------------------------------------------------------- */

/* X(field, "key", default, "text"): verdicts on packets that no rule decides on; live at once */
#define ECBPF_FW_SETTINGS(X)                                           \
	X(malformed, "malformed", XDP_DROP,                            \
	  "verdict on malformed packets that no rule drops or passes") \
	X(not_inspected, "not-inspected", XDP_PASS,                    \
	  "verdict on PPPoE, MPLS and other link layers that can carry IP")

/**
 * struct ecbpf_fw_settings - the entry of the array `fw_settings`
 *
 * Of each setting XDP_DROP or XDP_PASS; 0: the default. They hold while a ruleset is live; without
 * one, malformed packets get the stage's malformed_action, others pass.
 */
struct ecbpf_fw_settings {
#define X(field, key, default, text) __u32 field;
	ECBPF_FW_SETTINGS(X)
#undef X
};
_Static_assert(sizeof(struct ecbpf_fw_settings) == 8, "ABI");

/* --- counters, limits ----------------------------------------------------------------------- */

/**
 * struct ecbpf_fw_counter - counters of a rule, an entry of the per-CPU array `fw_counters`
 * @packets: that matched; of `dry limit`, that it would have dropped
 * @bytes: likewise, whole frames
 * @over: of a limit, packets above it
 * @shared: of a limit for each source, packets of sources without a bucket of their own
 */
struct ecbpf_fw_counter {
	__u64 packets;
	__u64 bytes;
	__u64 over;
	__u64 shared;
};

/* Counters of the live generation and of the next one */
#define ECBPF_FW_COUNTERS 20480

/* Limits of the live generation and of the next one */
#define ECBPF_FW_LIMITS 20480

/*
 * Groups of buckets of all `per src` limits, live and next: of each at least one, and of up to six
 * the most that a limit gets, which are the buckets of 65,536 sources
 */
#define ECBPF_FW_GROUPS	    24576
#define ECBPF_FW_GROUPS_MAX 4096

/**
 * struct ecbpf_fw_limit - an entry of `fw_limits`
 * @rate: of @is_bytes ? bytes of whole frames : packets
 * @mask: of the source address, high and low half; an IPv4 address is in the low half
 * @secret: of the hash, so that a sender cannot choose addresses that crowd a group
 * @groups: 0: one bucket for all, of this entry's number in `fw_buckets`; else how many groups
 *	    `fw_groups` has for it
 * @group: the first of them
 * @is_bytes: see @rate
 * @ahead: of one bucket for all: a CPU takes a 2^@ahead-th of it ahead, into its entry of this
 *number in `fw_stocks`; 0: nothing
 */
struct ecbpf_fw_limit {
	struct ecbpf_rate rate;
	__u64 mask[2];
	__u64 secret[5];
	__u32 groups;
	__u32 group;
	__u32 is_bytes;
	__u32 ahead;
};

/* The first ones of `fw_limits` have stocks */
#define ECBPF_FW_STOCKS 1024

/* --- sets, text ----------------------------------------------------------------------------- */

#define ECBPF_FW_SETS 512

struct ecbpf_fw_text_page {
	__u8 bytes[4096];
};

#endif /* ECBPF_FW_H */
