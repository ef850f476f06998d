/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ruleset model: rules, sets and assertions, as the parser makes them of text, the printer
 *makes text of them, and the compiler makes tables of them. The language is in ecbpf-fw-rules(5).
 *
 * The model is normalised: fw_rule_print() prints rules with the same meaning alike. A ruleset owns
 * all memory below it. Numbers are in host order, addresses in network order.
 *
 * A rule matches a packet if the packet is well-formed, has the family of the rule, matches all of
 * @length, @vlan, @src, @dst, @ttl, @frags and @options, and matches one of the rule's protocols
 * with the values of that protocol. A rule with @malformed matches only packets that are malformed
 * for one of these reasons. A test of a field fails if the packet does not have the field:
 * a later fragment has no ports, window, flags, type or code, an untagged frame has no VLAN; "!53"
 * does not match a packet without ports. Rules are tried in order until one decides:
 *
 *	drop	drops the packet
 *	pass	passes the packet, whatever later rules say
 *	count	counts the packet; the next rule is tried
 *	limit	counts the packet; below the limit the next rule is tried, above it the packet is
 *		dropped
 *	dry	before one of these: counts the packets that it would drop or pass (of count: all),
 *		and the next rule is tried; `dry limit` uses up its bucket
 *
 * Packets that no rule drops or passes are passed.
 */
#ifndef ECBPF_FW_RULES_H
#define ECBPF_FW_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <ecbpf/reason.h>
#include <ecbpf/record.h>
#include <ecbpf/libecbpf-fw.h>
#include <ecbpf/libecbpf-list.h>

#define FW_RULES_MAX	    10240
#define FW_SETS_MAX	    256
#define FW_SET_NAME_MAX	    31	      /* bytes */
#define FW_SET_PREFIXES_MAX (1 << 20) /* in one set */

enum fw_addrs_kind {
	FW_ADDRS_ANY,
	FW_ADDRS_LIST, /* the prefixes */
	FW_ADDRS_SET,  /* the set */
};

/**
 * struct fw_addrs - source or destination of a rule
 * @is_negated: all other addresses match; never with FW_ADDRS_ANY
 * @prefixes: of the rule's family, sorted by address, without overlaps; never /0. Of FW_INET: some
 *	      of both, IPv4 first; one can be /0 if the others are not
 * @set: index into the ruleset's sets, one of the rule's family
 */
struct fw_addrs {
	enum fw_addrs_kind kind;
	bool is_negated;
	struct ecbpf_prefix *prefixes;
	size_t prefixes_count;
	size_t set;
};

struct fw_range {
	__u16 first;
	__u16 last; /* >= first */
};

/**
 * struct fw_values - values of a field
 * @ranges: the values that match ("!" is applied already), ascending, with gaps between them
 * @count: number of @ranges; 0: any value, and packets without the field
 * @is_negated: written with "!", and printed so; does not change the meaning of @ranges
 */
struct fw_values {
	struct fw_range *ranges;
	size_t count;
	bool is_negated;
};

/* Bits of fw_rule.protos, one at least; a packet has to match one of them */
enum fw_proto {
	FW_PROTO_TCP = 1 << 0,
	FW_PROTO_UDP = 1 << 1,
	FW_PROTO_ICMP = 1 << 2,	  /* ICMP of family 4, ICMPv6 of family 6 */
	FW_PROTO_NUMBER = 1 << 3, /* fw_rule.proto */
	FW_PROTO_ICMP6 = 1 << 4,  /* ICMPv6 of FW_INET, which has FW_PROTO_ICMP, too */
};

/* Bits of fw_rule.any */
enum fw_any {
	FW_ANY_VLAN = 1 << 0,
	FW_ANY_TCP_SPORT = 1 << 1,
	FW_ANY_TCP_DPORT = 1 << 2,
	FW_ANY_TCP_PORT = 1 << 3,
	FW_ANY_WINDOW = 1 << 4,
	FW_ANY_FLAGS = 1 << 5,
	FW_ANY_UDP_SPORT = 1 << 6,
	FW_ANY_UDP_DPORT = 1 << 7,
	FW_ANY_UDP_PORT = 1 << 8,
	FW_ANY_ICMP_TYPE = 1 << 9,
	FW_ANY_ICMP_CODE = 1 << 10,
	FW_ANY_ICMP6_TYPE = 1 << 11,
	FW_ANY_ICMP6_CODE = 1 << 12,
};
#define FW_ANY_PORTS                                                                \
	(FW_ANY_TCP_SPORT | FW_ANY_TCP_DPORT | FW_ANY_TCP_PORT | FW_ANY_UDP_SPORT | \
	 FW_ANY_UDP_DPORT | FW_ANY_UDP_PORT)

/* fw_rule.family: 4 and 6 */
#define FW_INET 10

/* fw_rule.malformed of `malformed any` */
#define FW_MALFORMED_ANY (~0U << 1)
_Static_assert(ECBPF_REASON_MALFORMED_LAST == 31, "a bit for each");

enum fw_action {
	FW_DROP,
	FW_PASS,
	FW_COUNT,
	FW_LIMIT,
};

/**
 * struct fw_limit - the token bucket of a rule
 * @rate: packets, or bytes of whole frames (as @length), per second
 * @burst: size of the bucket, which is full at first
 * @is_bytes: tokens are bytes, else packets
 * @src_len: 0: one bucket; else one for each source prefix of this length
 */
struct fw_limit {
	__u64 rate;
	__u64 burst;
	bool is_bytes;
	__u8 src_len;
};

#define FW_MEGABIT 125000 /* bytes; all rates in bytes are multiples of a 1000th of it */

#define FW_FRAGS_ALL                                                            \
	(1 << ECBPF_FRAG_NONE | 1 << ECBPF_FRAG_FIRST | 1 << ECBPF_FRAG_LATER | \
	 1 << ECBPF_FRAG_ATOMIC)

/**
 * struct fw_rule - a rule
 * @name: as written, or NULL. Names need not be unique
 * @text: as fw_rule_print() prints the rule, if that was done already; else NULL
 * @is_lent: what the pointers of the rule point to belongs to another ruleset
 * @line: in the file, from 1; 0 if the rule is not from a file
 * @malformed: bits 1 << enum ecbpf_reason; 0: the rule matches well-formed packets
 * @family: 4, 6 or FW_INET; with @malformed also 0: any packet, also without an IP header
 * @protos: enum fw_proto bits; none with @malformed
 * @action: @limit belongs to FW_LIMIT
 * @length: frame_len of the record
 * @vlan: VLAN id of the outermost tag, of the next one if that is 0
 * @ttl: or hop limit
 * @frags: bits 1 << enum ecbpf_frag that match; FW_FRAGS_ALL: no test
 * @options: only packets with IPv4 options or IPv6 extension headers (the fragment header, too)
 * @tcp: for packets of FW_PROTO_TCP; flags match if (flags & @mask) == @flags; @mask 0: any
 * @udp, @icmp: likewise
 * @port: the source port or the destination port is one of these, without "!"; @sport and @dport
 *	  are any then
 * @icmp6: of FW_PROTO_ICMP6
 * @any: options that are written, and test nothing: `vlan any`, `flags` alone; not printed
 * @proto: for FW_PROTO_NUMBER: upper-layer protocols, as in the record; never empty, and without
 *	   those that @protos names
 */
struct fw_rule {
	char *name;
	char *text;
	bool is_lent;
	unsigned int line;
	__u32 malformed;
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
		struct fw_values port;
		struct fw_values window;
		__u8 flags;
		__u8 mask;
	} tcp;
	struct {
		struct fw_values sport;
		struct fw_values dport;
		struct fw_values port;
	} udp;
	struct {
		struct fw_values type;
		struct fw_values code;
	} icmp, icmp6;
	struct fw_values proto;
	__u16 any;
};

/**
 * struct fw_set - a named set of addresses
 * @family: 4 or 6; 0: both
 * @path: of `set NAME file "PATH"`; NULL: printed with its addresses
 * @is_live: of `set NAME live`: another ruleset that has it, too, leaves its addresses alone
 * @is_accepted: it was live so before, if need be by force: addresses of this host are not refused
 * @prefixes: sorted by address and length, without duplicates; they can overlap
 */
struct fw_set {
	char name[FW_SET_NAME_MAX + 1];
	__u8 family;
	bool is_live;
	bool is_accepted;
	char *path;
	struct ecbpf_prefix *prefixes;
	size_t prefixes_count;
};

struct ecbpf_fw_ruleset {
	struct fw_rule *rules;
	size_t rules_count;
	struct fw_set *sets;
	size_t sets_count;
	struct ecbpf_fw_assertion *assertions;
	size_t assertions_count;
	struct ecbpf_fw_ruleset
		*lender; /* of rules that are lent, to be freed with them; or NULL */
};

/* --- rules.c: memory of the model, and queries -------------------------------- */

void fw_rule_free(struct fw_rule *rule); /* its members, not itself */
void fw_set_free(struct fw_set *set);	 /* likewise */

/* Return: a copy for ecbpf_fw_ruleset_free(); NULL without memory */
struct ecbpf_fw_ruleset *fw_ruleset_copy(const struct ecbpf_fw_ruleset *ruleset);
/* Likewise, but its rules are lent: @ruleset has to live longer */
struct ecbpf_fw_ruleset *fw_ruleset_lend(const struct ecbpf_fw_ruleset *ruleset);

/* Sort, and remove duplicates. Return: how many are left */
size_t fw_prefixes_sort(struct ecbpf_prefix *prefixes, size_t count);

static inline bool fw_rule_has_family(const struct fw_rule *rule, __u8 family)
{
	return rule->family == family || rule->family == FW_INET;
}

/* @index: of a set of the rule's ruleset */
static inline bool fw_rule_uses_set(const struct fw_rule *rule, size_t index)
{
	return (rule->src.kind == FW_ADDRS_SET && rule->src.set == index) ||
	       (rule->dst.kind == FW_ADDRS_SET && rule->dst.set == index);
}

/* Leave only the prefixes of a family, in the same memory. They are sorted, IPv4 first */
void fw_addrs_of_family(struct fw_addrs *addrs, __u8 family);
/* The families of which the addresses can be read of a packet that is malformed so: 1 << family */
unsigned int fw_malformed_families(__u32 reason);
/* IPv6 extension headers: of well-formed packets, only later fragments have them as protocol */
bool fw_is_extension(__u32 proto);

/* "ip", "ip6", "inet" */
const char *fw_family_name(__u8 family);

bool fw_values_have(const struct fw_values *values, __u32 value); /* true if any */

/* The default burst; @burst is not used */
__u64 fw_limit_burst(const struct fw_limit *limit);

/* Default length of `per src`: a host with an IPv6 address has all addresses of its /64 */
__u8 fw_limit_src_len(__u8 family);

/* @name need not end with NUL. Return: NULL if there is no set of this name */
struct fw_set *fw_set_find(const struct ecbpf_fw_ruleset *ruleset, const char *name, size_t len);

/* "ip", "ip6", "ip and ip6" */
const char *fw_set_family(const struct fw_set *set);

/* --- confirm.c --------------------------------------------------------------------------- */

/* May the live rules be changed? Return: 0; -EBUSY a change waits to be confirmed; others */
int fw_confirm_check(struct ecbpf *e);

/* --- policy.c ---------------------------------------------------------------------------- */

/* Does a rule drop what comes from the set? */
bool fw_set_blocks(const struct ecbpf_fw_ruleset *ruleset, size_t index);
/* May a set of @before prefixes have @after? */
int fw_set_check_empty(struct ecbpf *e, const struct fw_set *set, size_t before, size_t after);
/* May @new be made live instead of @old, as far as it has no rules? */
int fw_rules_check_empty(struct ecbpf *e, const struct ecbpf_fw_ruleset *new,
			 const struct ecbpf_fw_ruleset *old);
/*
 * Does the check of @new need the addresses that the set has now: a live set, or one of a file that
 * is empty?
 */
bool fw_set_needs_old(const struct ecbpf_fw_ruleset *new, size_t index,
		      const struct ecbpf_fw_ruleset *old);
/* A set that does not change, and that no rule of @old drops by. @prefixes: what it has */
int fw_set_check_new_block(struct ecbpf *e, const struct fw_set *set);
/* May @new be made live instead of @old, as far as its sets are concerned? */
int fw_sets_check(struct ecbpf *e, const struct ecbpf_fw_ruleset *new,
		  const struct ecbpf_fw_ruleset *old);

/* --- diff.c ------------------------------------------------------------------------------ */

/* Tell @fn how they differ, a line each; sets by their prefixes */
int fw_diff(struct ecbpf *e, const struct ecbpf_fw_ruleset *new, const struct ecbpf_fw_ruleset *old,
	    ecbpf_fw_line_fn fn, void *data);

/* --- parse.c: text to model -------------------------------------------------------------- */

/*
 * Parse one rule, whose sets are looked up in the ruleset. @is_kept: it was accepted before.
 * Return: 0; -EINVAL, errors as of ecbpf_fw_parse(); -ENOMEM
 */
int fw_rule_parse(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, const char *text,
		  bool is_kept, struct fw_rule *ret_rule);

/*
 * As ecbpf_fw_parse() and ecbpf_fw_rule_insert(), for text that is live or was kept: names of an
 * older version need not be UTF-8, and may be numbers. Without warnings
 */
int fw_parse_kept(struct ecbpf *e, const char *file, const char *text, size_t size,
		  struct ecbpf_fw_ruleset **ret_ruleset);
int fw_rule_insert_kept(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, size_t index,
			const char *text);

/* --- print.c: model to text -------------------------------------------------------------- */

/*
 * Print a rule as one line without newline, for free(). Rules with the same meaning have the same
 * text, which identifies rules without a name. Return: NULL without memory
 */
char *fw_rule_print(const struct ecbpf_fw_ruleset *ruleset, const struct fw_rule *rule);
/* As ecbpf_fw_print(), but sets from files with their prefixes: the text needs no other file */
int fw_print_whole(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, char **ret_text);

/* --- read.c ------------------------------------------------------------------------------- */

/* As ecbpf_fw_read(), of a file that is open; it stays open */
int fw_read_fd(struct ecbpf *e, const char *file, int fd, struct ecbpf_fw_ruleset **ret_ruleset);

/* --- live.c ------------------------------------------------------------------------------- */

/* As ecbpf_fw_apply(), for a caller that has told which sets lose their addresses */
int fw_apply_told(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset);
/*
 * As ecbpf_fw_get(), also of rules of which somebody else removed parts from the pinned maps: a set
 * has no addresses then. @ret_is_lost: no rules are in force, whatever their text says
 */
int fw_get_lost(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset, bool *ret_is_lost);
/*
 * Call @fn for each thing of which parts were removed so: @set NULL: the rules; or the name of a
 * set. @is_before: of the rules that are live again if a change is not confirmed. It changes
 * nothing. Return: 0, errors
 */
typedef void (*fw_loss_fn)(void *data, const char *set, bool is_before);
int fw_losses(struct ecbpf *e, fw_loss_fn fn, void *data);
/* Before the log of changes at runtime is read: a change that was not confirmed is not in it */
int fw_confirm_settle(struct ecbpf *e);

/* --- vlan.c --------------------------------------------------------------------------------- */

/* Return: how many rules test the VLAN tag */
size_t fw_vlan_rules(const struct ecbpf_fw_ruleset *ruleset);
/* Through the log of @e, about such rules: on these interfaces, or on all with the firewall */
void fw_warn_vlan(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset,
		  const char *const *ifaces, size_t ifaces_count);
void fw_warn_vlan_loaded(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset);

/* --- warn.c ----------------------------------------------------------------------------------- */

/* Through the log of @e, about a rule that does not do what it looks like */
void fw_warn_rule(struct ecbpf *e, const struct fw_rule *rule);
/* About all rules of a file, and sets of which no rule uses what they have of a family */
void fw_warn_rules(struct ecbpf *e, const char *file, const struct ecbpf_fw_ruleset *ruleset);
#define FW_NOT_KNOWN ((size_t)-1)

/* Does the rule match all addresses but those of a set? */
bool fw_rule_negates_set(const struct fw_rule *rule);
/*
 * About a negated set of the rule that has none of a family. @counts: of each set, prefixes of IPv4
 * and of IPv6; FW_NOT_KNOWN: nothing is said about them
 */
void fw_warn_negated(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset,
		     const struct fw_rule *rule, size_t (*counts)[2]);
/* @counts: prefixes of IPv4 and of IPv6 in the set; @file: or NULL */
void fw_warn_set(struct ecbpf *e, const char *file, const struct ecbpf_fw_ruleset *ruleset,
		 size_t index, const size_t *counts);

#endif /* ECBPF_FW_RULES_H */
