/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Firewall: what the program (fw.bpf.c) and its compiler (lib/fw/compile.c) both know.
 *
 * A ruleset becomes a generation: one map with tables that answer, for a packet, which rules accept
 * it. Each field of the packet is a dimension. A table maps the field's value to a class, all
 * values of a class being accepted by the same rules, and each class has a row of bits, one for
 * each rule. The rules that accept a packet are the rows of all its classes, and-ed.
 *
 *	small	up to 64 rules: a row is one word
 *	medium	up to 4,096 rules: a row has chunks of 8 words, and says which words are not zero,
 *		so that only those are looked at where a rule can match at all
 *	large	up to 10,240 rules: likewise, each dimension with memory of its own
 *
 * Positions, the bits of a row, are not in the order of the file. First come the rules that end the
 * search (drop, pass), sorted so that those alike share a word; of the ones that match, the first
 * of the file decides. Behind them, in the order of the file, come the ones that do not (count,
 * limit, dry); they are done for as far as the file has them before the one that decides.
 *
 * A generation is never changed. Its number goes into `fw_active` with one store when all of it is
 * written, and is read once for a packet.
 *
 * ABI: see ECBPF_SCHEMA.
 */
#ifndef ECBPF_FW_H
#define ECBPF_FW_H

#include <linux/types.h>
#include <ecbpf/bucket.h>

#define ECBPF_FW_RULES_MAX 10240
#define ECBPF_FW_BLOCKS	   (ECBPF_FW_RULES_MAX / 64) /* words in a row */
#define ECBPF_FW_USES_MAX  64 /* pairs of a set and where it is looked up, of one ruleset */

/*
 * fw_active: 0, or the place of the generation that is live, 0 or 1, and its size. Only the lowest
 * byte is ever not zero.
 */
enum ecbpf_fw_size {
	ECBPF_FW_NONE = 0,
	ECBPF_FW_SMALL = 2,
	ECBPF_FW_MEDIUM = 4,
	ECBPF_FW_LARGE = 6,
};
#define ECBPF_FW_PLACE 1

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
 * What decides which upper-layer fields a packet has, or would have if it was not a later fragment:
 * one of these, and ECBPF_FW_L4_THERE if it has
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

/* The class, in every dimension, of values that all rules accept */
#define ECBPF_FW_ANY 1

/*
 * Longest prefix of an address, as a tree of 32-bit words in memory of the dimension. It begins
 * with a table for the first bits, the root. A word is a class, or refers to what decides further:
 *
 *	node	a table, chosen by 4 or 8 (WIDE) bits of the address, behind which SHIFT bits are
 *		left. Place: of its first word, in units of 16 words
 *	leaf	all below it share a prefix: compare with it, and go on with the word for equal, or
 *		with the one for not. Place: in units of 4 words for IPv4, which has address, mask,
 *		equal, not; of 16 words for IPv6, which has high, low (two words each, the lower
 *		half first), their masks likewise, equal, not
 */
#define ECBPF_FW_LPM_ROOT4     16 /* bits */
#define ECBPF_FW_LPM_ROOT6     12
#define ECBPF_FW_LPM_REFERENCE 0x80000000U
#define ECBPF_FW_LPM_LEAF      0x40000000U
#define ECBPF_FW_LPM_SHIFT     16	   /* 7 bits; the place of a node has the bits below */
#define ECBPF_FW_LPM_WIDE      0x08000000U /* of a node: 8 bits wide, else 4 */

/* The most steps of a walk behind the root: each takes 4 bits at least, but for a last leaf */
#define ECBPF_FW_LPM_STEPS4 ((32 - ECBPF_FW_LPM_ROOT4) / 4 + 1)
#define ECBPF_FW_LPM_STEPS6 ((128 - ECBPF_FW_LPM_ROOT6) / 4 + 1)

/**
 * struct ecbpf_fw_root - where the tree of a dimension begins
 * @at: first word of the root, in the words of the dimension
 * @mask: of the address's first bits; 0: no rule looks at it, and one word does
 */
struct ecbpf_fw_root {
	__u32 at;
	__u32 mask;
};

/* What becomes of a packet. The rule itself is ecbpf_fw_tables.rules */
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
 * Where the class of a field's value stands: byte @off of the tables, plus twice (the value &
 * @mask), which is 0 for packets without the field and for a field that no rule looks at
 */
struct ecbpf_fw_field {
	__u32 off;
	__u32 mask;
};

/* Indices of what has no value, in tables where it has a place behind the values */
#define ECBPF_FW_LENGTH_LONG 65536 /* frames longer than can be asked for */
#define ECBPF_FW_VLAN_NONE   4096

/* Reading off ecbpf_fw_field is always done below this */
#define ECBPF_FW_TABLES_SIZE (1 << 20)

/**
 * struct ecbpf_fw_tables - what all sizes have, at the beginning of the generation
 * @fields: by enum ecbpf_fw_l4; those of addresses are not used
 * @roots: of src and dst, IPv4 and IPv6
 * @uses_count: how many of @uses there are
 * @uses: set of each; ECBPF_FW_USE_DST: looked up with the destination; ECBPF_FW_USE_IP6
 * @use_rows: class of packets that are not in the set, and of those that are
 * @deciding: for each word of a row, the bits of rules that end the search
 * @first: for each word of a row, the lowest index of a rule in it
 * @rules: for each position, enum ecbpf_fw_rule bits and index
 * @counters: for each index, its entry in `fw_counters`
 * @limits: likewise, of rules with a limit, in `fw_limits`
 * @any: ECBPF_FW_ANY
 * @absent: class of a packet without the field, by enum ecbpf_fw_l4
 *
 * Ports and window are in network order, all other values in host order.
 */
struct ecbpf_fw_tables {
	struct ecbpf_fw_field fields[ECBPF_FW_L4_MAX][ECBPF_FW_DIMS];
	struct ecbpf_fw_root roots[2][2];
	__u64 uses_count;
	__u32 uses[ECBPF_FW_USES_MAX];
	__u16 use_rows[ECBPF_FW_USES_MAX][2];
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
_Static_assert(sizeof(struct ecbpf_fw_tables) < ECBPF_FW_TABLES_SIZE, "read within");

#define ECBPF_FW_USE_DST 0x80000000U
#define ECBPF_FW_USE_IP6 0x40000000U

/* --- small ---------------------------------------------------------------------------------- */

#define ECBPF_FW_SMALL_RULES   64
#define ECBPF_FW_SMALL_CLASSES 8192 /* of all dimensions: few pages and cache lines are read */
#define ECBPF_FW_SMALL_WORDS   (1 << 18)

/* The row of a kind, and enum ecbpf_fw_l4 of such packets */
struct ecbpf_fw_small_kind {
	__u64 row;
	__u64 l4;
};

/* What the program does of a rule: all in one place */
struct ecbpf_fw_small_rule {
	__u32 verdict; /* ECBPF_VERDICT_RULE(), if it ends the search */
	__u32 rule;    /* ecbpf_fw_tables.rules */
	__u32 counter; /* in `fw_counters` */
	__u32 limit;   /* in `fw_limits` */
};

/* Which of @by_bit belongs to a position, given its bit: a de Bruijn sequence numbers it */
#define ECBPF_FW_SMALL_RULE(bit) ((bit)*0x022fdd63cc95386dULL >> 58)

/**
 * struct ecbpf_fw_small - a generation of one word
 * @slow: bits of rules that do not end the search, or ask for sets: packets that match such a one
 *	  take a longer way
 * @by_bit: the rules by ECBPF_FW_SMALL_RULE()
 * @kind: row by kind, of fields that have few values by value: a lookup less than with classes
 * @type: by enum ecbpf_fw_l4, value
 * @rows: by class
 * @use_rows: of packets that are not in the set, and of those that are
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
	__u64 rows[ECBPF_FW_SMALL_CLASSES];
	__u64 use_rows[ECBPF_FW_USES_MAX * 2];
	__u32 words[ECBPF_FW_SMALL_WORDS];
};

/* --- medium, large -------------------------------------------------------------------------- */

#define ECBPF_FW_CHUNK 8 /* words */
#define ECBPF_FW_SUMS  3

/**
 * struct ecbpf_fw_row - one row, of a class that is the number of its slot
 * @sums: bits for words of the row; 0: the word is zero
 * @chunks: slots
 */
struct ecbpf_fw_row {
	__u64 sums[ECBPF_FW_SUMS];
	__u16 chunks[ECBPF_FW_BLOCKS / ECBPF_FW_CHUNK];
};

/* Memory is in slots of 64 bytes. This is the most that every kernel lets a value of a map have */
#define ECBPF_FW_SLOTS 65536

union ecbpf_fw_slot {
	struct ecbpf_fw_row row;
	__u64 chunk[ECBPF_FW_CHUNK];
	__u32 words[16];
};
_Static_assert(sizeof(union ecbpf_fw_slot) == 64, "ABI");

/* The value of an entry of either. Slot 0 stays free, slot 1 is the row ECBPF_FW_ANY, slot 2 its
 * chunk
 */
struct ecbpf_fw_slots {
	union ecbpf_fw_slot slots[ECBPF_FW_SLOTS];
};

/* The tables take the last slots of medium's only entry, and of large's last one */
#define ECBPF_FW_TABLES_SLOT  (ECBPF_FW_SLOTS - ECBPF_FW_TABLES_SIZE / 64)
#define ECBPF_FW_MEDIUM_RULES 4096
#define ECBPF_FW_LARGE_SETS   ECBPF_FW_DIMS /* entry of large for rows of sets */
#define ECBPF_FW_LARGE_TABLES (ECBPF_FW_DIMS + 1)
#define ECBPF_FW_LARGE_COUNT  (ECBPF_FW_DIMS + 2)

/* --- counters, limits ----------------------------------------------------------------------- */

/**
 * struct ecbpf_fw_counter - what a rule counted; an entry of the per-CPU array `fw_counters`
 * @packets: that it took; of `dry limit`, that it would have dropped
 * @bytes: likewise, whole frames
 * @over: of a limit, packets above it
 */
struct ecbpf_fw_counter {
	__u64 packets;
	__u64 bytes;
	__u64 over;
};

/* Those of the live generation and of the next one */
#define ECBPF_FW_COUNTERS 20480

/* Limits of the live generation and of the next one */
#define ECBPF_FW_LIMITS 20480

/* Those of limits for each source, which have many, come behind those of all others */
#define ECBPF_FW_BUCKETS_SRC (1 << 18)
#define ECBPF_FW_BUCKETS     (ECBPF_FW_LIMITS + ECBPF_FW_BUCKETS_SRC)

/**
 * struct ecbpf_fw_limit - an entry of `fw_limits`
 * @rate: of @is_bytes ? bytes of whole frames : packets
 * @mask: bits of the source address that tell sources apart: high, low; an IPv4 address is low
 * @seed: secret, so that nobody can choose to share a bucket with somebody else
 * @bucket: its entry in `fw_buckets`, the first one if it @is_per_src
 * @shift: 32 - how many bits of the hash choose the bucket from there on
 */
struct ecbpf_fw_limit {
	struct ecbpf_rate rate;
	__u64 mask[2];
	__u64 seed;
	__u32 bucket;
	__u8 shift;
	__u8 is_per_src;
	__u8 is_bytes;
	__u8 reserved;
};

/* 32 bits; multiplications as in splitmix64 */
#define ECBPF_FW_HASH(high, low, seed)                                                     \
	((__u32)((((((high) ^ (seed)) * 0xbf58476d1ce4e5b9ULL) ^ (low) ^ ((high) >> 29)) * \
		  0x94d049bb133111ebULL) >>                                                \
		 32))

/* --- sets, text ----------------------------------------------------------------------------- */

#define ECBPF_FW_SETS 512

struct ecbpf_fw_page {
	__u8 bytes[4096];
};

#endif /* ECBPF_FW_H */
