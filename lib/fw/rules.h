/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The firewall's rules as user space has them: what parse.c makes of text, print.c makes
 * text of, and compile.c makes tables of. The language is described in ecbpf-fw-rules(5).
 *
 * The model is normalised: two texts that mean the same rule give equal models but for the
 * addresses' and values' nesting, and fw_rule_print() prints equal models alike. All memory belongs
 * to the ruleset. Numbers are in host order, addresses in network order.
 *
 * What a rule means. A packet is taken by the rule if it is well-formed, is of the rule's family,
 * is taken by all of @length, @vlan, @src, @dst, @ttl, @frags, @options, and by at least one of the
 * rule's protocols together with that protocol's own values. Values that are set are only found in
 * a packet that has the field: a later fragment has no ports, no window, no flags, no type, no
 * code, an untagged frame has no VLAN; "not 53" does not take what has no port. Rules are tried in
 * order; the first that decides ends it:
 *
 *	drop	decides: drop
 *	pass	decides: pass, whatever the rules behind it say
 *	count	counts the packet; the next rule is tried
 *	limit	counts the packet; within the budget the next rule is tried; above it decides: drop
 *	dry	before any of these: counts the packets that it would decide on (of count: all),
 *		changes nothing, and the next rule is tried; `dry limit` spends its budget
 *
 * Without a decision the packet passes.
 */
#ifndef ECBPF_FW_RULES_H
#define ECBPF_FW_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <ecbpf/record.h>
#include <ecbpf/libecbpf-fw.h>

#define FW_RULES_MAX	    10240
#define FW_SETS_MAX	    256
#define FW_SET_NAME_MAX	    31	      /* bytes */
#define FW_SET_PREFIXES_MAX (1 << 20) /* in one set */

/**
 * struct fw_prefix - addresses that begin alike
 * @addr: the bits behind @len are zero; IPv4 is in the first four bytes, the others are zero
 * @len: bits, 0..32 or 0..128
 */
struct fw_prefix {
	__u8 addr[16];
	__u8 len;
};

enum fw_addrs_kind {
	FW_ADDRS_ANY,
	FW_ADDRS_LIST, /* the prefixes */
	FW_ADDRS_SET,  /* the set */
};

/**
 * struct fw_addrs - source or destination of a rule
 * @is_negated: all addresses but these; never with FW_ADDRS_ANY
 * @prefixes: of the rule's family, in order of address and length, no two overlap; never /0
 * @set: index into the ruleset's sets; it is of the rule's family
 */
struct fw_addrs {
	enum fw_addrs_kind kind;
	bool is_negated;
	struct fw_prefix *prefixes;
	size_t prefixes_count;
	size_t set;
};

struct fw_range {
	__u16 first;
	__u16 last; /* >= first */
};

/**
 * struct fw_values - values of a field
 * @ranges: the values that are taken, "!" already applied; ascending, gaps between them
 * @count: 0: any, and packets without the field, too
 * @is_negated: it was written with "!", and is printed that way; the ranges say all
 */
struct fw_values {
	struct fw_range *ranges;
	size_t count;
	bool is_negated;
};

/* fw_rule.protos: at least one. A packet is taken by either of them */
enum fw_proto {
	FW_PROTO_TCP = 1 << 0,
	FW_PROTO_UDP = 1 << 1,
	FW_PROTO_ICMP = 1 << 2,	  /* ICMP of family 4, ICMPv6 of family 6 */
	FW_PROTO_NUMBER = 1 << 3, /* fw_rule.proto */
};

enum fw_action {
	FW_DROP,
	FW_PASS,
	FW_COUNT,
	FW_LIMIT,
};

/**
 * struct fw_limit - budget of a rule
 * @rate: packets, or bytes of whole frames (as @length), per second
 * @burst: likewise; the bucket holds that much and is full at first
 * @is_bytes: what they are
 * @src_len: 0: one budget; else one for each source prefix of this many bits
 */
struct fw_limit {
	__u64 rate;
	__u64 burst;
	bool is_bytes;
	__u8 src_len;
};

#define FW_MEGABIT 125000 /* bytes */

#define FW_FRAGS_ALL                                                            \
	(1 << ECBPF_FRAG_NONE | 1 << ECBPF_FRAG_FIRST | 1 << ECBPF_FRAG_LATER | \
	 1 << ECBPF_FRAG_ATOMIC)

/**
 * struct fw_rule
 * @name: as written, or NULL. Names need not be unique
 * @line: where in the file it stands, from 1; 0 if not from a file
 * @family: 4 or 6
 * @protos: enum fw_proto bits
 * @action: with @is_dry and, of FW_LIMIT, @limit
 * @length: frame_len of the record
 * @vlan: VLAN id of the outermost tag
 * @ttl: or hop limit
 * @frags: bits 1 << enum ecbpf_frag that are taken; FW_FRAGS_ALL if the rule does not say
 * @options: only packets with IPv4 options or IPv6 extension headers (the fragment header, too)
 * @tcp: for packets of FW_PROTO_TCP; flags are taken if (flags & @mask) == @flags; @mask 0: any
 * @udp, @icmp: likewise
 * @proto: for FW_PROTO_NUMBER: protocols (upper-layer, as in the record); never "any". Holds none
 *	   that is in @protos by name
 */
struct fw_rule {
	char *name;
	unsigned int line;
	__u8 family;
	__u8 protos;
	enum fw_action action;
	bool is_dry;
	struct fw_limit limit;
	struct fw_values length;
	struct fw_values vlan;
	struct fw_addrs src;
	struct fw_addrs dst;
	struct fw_values ttl;
	__u8 frags;
	bool options;
	struct {
		struct fw_values sport;
		struct fw_values dport;
		struct fw_values window;
		__u8 flags;
		__u8 mask;
	} tcp;
	struct {
		struct fw_values sport;
		struct fw_values dport;
	} udp;
	struct {
		struct fw_values type;
		struct fw_values code;
	} icmp;
	struct fw_values proto;
};

/**
 * struct fw_set - a named set of addresses
 * @family: 4 or 6
 * @path: the file it is from, for `set NAME file "PATH"`; NULL: printed with what is in it
 * @prefixes: in order of address and length, none twice; one may lie in another
 */
struct fw_set {
	char name[FW_SET_NAME_MAX + 1];
	__u8 family;
	char *path;
	struct fw_prefix *prefixes;
	size_t prefixes_count;
};

struct ecbpf_fw_ruleset {
	struct fw_rule *rules;
	size_t rules_count;
	struct fw_set *sets;
	size_t sets_count;
	struct ecbpf_fw_assertion *assertions;
	size_t assertions_count;
};

/* --- rules.c: memory of the model, and questions about it -------------------------------- */

void fw_rule_free(struct fw_rule *rule); /* what it holds, not itself */
void fw_set_free(struct fw_set *set);	 /* likewise */

/* Return: a copy for ecbpf_fw_ruleset_free(); NULL without memory */
struct ecbpf_fw_ruleset *fw_ruleset_copy(const struct ecbpf_fw_ruleset *ruleset);

/* Sort, and remove duplicates. Return: how many are left */
size_t fw_prefixes_sort(struct fw_prefix *prefixes, size_t count);

bool fw_values_have(const struct fw_values *values, __u32 value); /* true if any */
bool fw_prefix_has(const struct fw_prefix *prefix, const void *addr);

/* What the burst is if the rule does not say; @burst is not looked at */
__u64 fw_limit_burst(const struct fw_limit *limit);

/* NULL if there is none. @len: of @name, which need not end with NUL */
struct fw_set *fw_set_find(const struct ecbpf_fw_ruleset *ruleset, const char *name, size_t len);

/* --- parse.c: text to model -------------------------------------------------------------- */

/*
 * One rule; its sets are looked for in the ruleset. Return: 0, -EINVAL with what is wrong as of
 * ecbpf_fw_parse(), -ENOMEM
 */
int fw_rule_parse(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, const char *text,
		  struct fw_rule *ret_rule);

/*
 * An address or prefix, all of the text up to @len bytes; host bits are cleared.
 * Return: NULL, or what is wrong and what is allowed, as it goes on behind the text: "is not …"
 */
const char *fw_parse_prefix(const char *text, size_t len, struct fw_prefix *ret_prefix,
			    __u8 *ret_family);

/* --- print.c: model to text -------------------------------------------------------------- */

/*
 * One line without newline, for free(): the same for rules that say the same, whatever the order
 * and the writing. Without its name, this is what an unnamed rule is known by. Return: NULL without
 * memory
 */
char *fw_rule_print(const struct ecbpf_fw_ruleset *ruleset, const struct fw_rule *rule);

#endif /* ECBPF_FW_RULES_H */
