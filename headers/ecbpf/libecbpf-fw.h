/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libecbpf: the firewall. Rules are text, see ecbpf-fw-rules(5); here they become a ruleset, which
 * can be changed, printed, tried on packets, and applied.
 *
 * Conventions are those of libecbpf.h. What is wrong with rules stands in ecbpf_error(), the first
 * of it, and in ecbpf_error_detail(), all of it: for each, a line "FILE:LINE:COLUMN: MESSAGE", the
 * line of the file (of a long one, the part in question), and one with a caret.
 */
#ifndef LIBECBPF_FW_H
#define LIBECBPF_FW_H

#include <stdio.h>
#include <ecbpf/libecbpf.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- rulesets ------------------------------------------------------------------------------- */

struct ecbpf_fw_ruleset; /* rules, sets and tests of a file, in order */

/**
 * ecbpf_fw_parse() - make a ruleset of text
 * @file: name for messages, and that `set NAME file "PATH"` is relative to; "-" is standard input
 * @text: need not end with NUL; read by the call only
 * @size: bytes of it
 * @ret_ruleset: for ecbpf_fw_ruleset_free()
 * Return: 0; -EINVAL it has errors; -ENOMEM.
 */
int ecbpf_fw_parse(struct ecbpf *e, const char *file, const char *text, size_t size,
		   struct ecbpf_fw_ruleset **ret_ruleset);

/* Likewise, the text being in @file; "-" is standard input. Return: also -ENOENT and others */
int ecbpf_fw_read(struct ecbpf *e, const char *file, struct ecbpf_fw_ruleset **ret_ruleset);

void ecbpf_fw_ruleset_free(struct ecbpf_fw_ruleset *ruleset); /* NULL is fine */

/**
 * ecbpf_fw_print() - text that makes the same ruleset: sets, then rules, then tests
 * @ret_text: for free(); ends with NUL
 *
 * Names and order of rules are kept, comments are not. A set that came from a file is printed as
 * that, others with what is in them.
 */
int ecbpf_fw_print(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, char **ret_text);

struct ecbpf_fw_summary {
	size_t rules;
	size_t sets;
	size_t prefixes;   /* in all sets */
	size_t assertions; /* `test` lines */
};

void ecbpf_fw_summary(const struct ecbpf_fw_ruleset *ruleset, struct ecbpf_fw_summary *ret);

/* A set of a ruleset; @rules: how many look addresses up in it */
struct ecbpf_fw_set {
	const char *name; /* belongs to the ruleset */
	__u8 family;	  /* 4 or 6 */
	size_t prefixes;
	size_t rules;
};

/* @index: below ecbpf_fw_summary.sets */
void ecbpf_fw_set_at(const struct ecbpf_fw_ruleset *ruleset, size_t index,
		     struct ecbpf_fw_set *ret);

/* --- rules of a ruleset ----------------------------------------------------------------------- */

/**
 * ecbpf_fw_rule_insert() - add a rule
 * @index: the rule that it is put before, from 0; as many as there are rules: at the end
 * @text: one rule, that may refer to the ruleset's sets; messages call it "rule"
 * Return: 0; -EINVAL; -E2BIG there are as many as can be; -ENOMEM.
 */
int ecbpf_fw_rule_insert(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, size_t index,
			 const char *text);

/* In the place of the one at @index; without a name in @text, it has the old one's */
int ecbpf_fw_rule_replace(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, size_t index,
			  const char *text);

void ecbpf_fw_rule_delete(struct ecbpf_fw_ruleset *ruleset, size_t index);

/**
 * ecbpf_fw_rule_find() - which rule is meant
 * @what: a number, from 1; or the name of exactly one rule. A name of digits needs quotes: "\"7\""
 * @ret_index: from 0
 * Return: 0; -ENOENT there is no such rule; -EINVAL several have this name.
 */
int ecbpf_fw_rule_find(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, const char *what,
		       size_t *ret_index);

/* Canonical text of a rule, for free(); NULL without memory */
char *ecbpf_fw_rule_text(const struct ecbpf_fw_ruleset *ruleset, size_t index);

const char *ecbpf_fw_rule_name(const struct ecbpf_fw_ruleset *ruleset, size_t index); /* or NULL */

/* --- tests of a ruleset ----------------------------------------------------------------------- */

/* `test sha1 HEX xdp_action ACTION` */
struct ecbpf_fw_assertion {
	unsigned int line; /* of the file, from 1 */
	__u8 sha1[20];	   /* of the captured frame */
	__u32 action;	   /* XDP_PASS, XDP_DROP, XDP_ABORTED */
};

/* @ret_assertions: in order of the file; belongs to the ruleset. Return: how many */
size_t ecbpf_fw_assertions(const struct ecbpf_fw_ruleset *ruleset,
			   const struct ecbpf_fw_assertion **ret_assertions);

/* --- a ruleset tried on packets, by the real program ------------------------------------------ */

struct ecbpf_fw_trial;

/**
 * ecbpf_fw_trial_new() - load the program with a ruleset, beside whatever is live
 * @ret_trial: for ecbpf_fw_trial_free(); budgets of `limit` are full
 *
 * Touches no interface, no pin, and no counter that is live.
 */
int ecbpf_fw_trial_new(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset,
		       struct ecbpf_fw_trial **ret_trial);
void ecbpf_fw_trial_free(struct ecbpf_fw_trial *trial); /* NULL is fine */

/* Go on with another ruleset, from the beginning. After a failure the trial is to be freed */
int ecbpf_fw_trial_set(struct ecbpf *e, struct ecbpf_fw_trial *trial,
		       const struct ecbpf_fw_ruleset *ruleset);

#define ECBPF_FW_NO_RULE ((size_t)-1)

/**
 * ecbpf_fw_trial_run() - one packet
 * @frame: from its Ethernet header, without FCS
 * @size: bytes, at least 14: the kernel runs no program on less; at most 65535
 * @ret_action: XDP_PASS, XDP_DROP, XDP_ABORTED
 * @ret_rule: index of the rule that decided, or ECBPF_FW_NO_RULE
 * Return: 0; -EINVAL @size; others of bpf(2).
 */
int ecbpf_fw_trial_run(struct ecbpf *e, struct ecbpf_fw_trial *trial, const void *frame,
		       size_t size, __u32 *ret_action, size_t *ret_rule);

/**
 * struct ecbpf_fw_stat - what a rule counted
 * @packets: that it took; of `dry limit`, that it would have dropped
 * @bytes: likewise, whole frames
 * @over: of a limit, how many of the packets were above it
 * @shared: of a limit for each source, how many packets, within it or above, were of sources that
 *	    came when there was no bucket left for them, and that shared one
 */
struct ecbpf_fw_stat {
	__u64 packets;
	__u64 bytes;
	__u64 over;
	__u64 shared;
};

/* @ret_stats: one for each rule of the ruleset */
int ecbpf_fw_trial_stats(struct ecbpf *e, struct ecbpf_fw_trial *trial,
			 struct ecbpf_fw_stat *ret_stats);

/* --- on interfaces -------------------------------------------------------------------------- */

/**
 * ecbpf_fw_load() - put the firewall onto interfaces
 * @ruleset: is applied before, so that no packet meets the program without it; NULL: the one that
 *is live, none if there is none
 * @fused: as a program of its own kind, see ecbpf-loader(8)
 * @mode: as for ecbpf_chain_load()
 *
 * All interfaces of a network namespace have one ruleset. If this fails, all is as it was.
 *
 * Return: 0; -EEXIST it is loaded already; else as ecbpf_chain_load(), ecbpf_fw_apply().
 */
int ecbpf_fw_load(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		  const struct ecbpf_fw_ruleset *ruleset, bool fused, enum ecbpf_mode mode);

/* The ruleset stays, with its counters. Return: 0; -ENOENT it is not loaded on one of them; else as
 * ecbpf_chain_unload()
 */
int ecbpf_fw_unload(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count);

int ecbpf_fw_is_loaded(struct ecbpf *e, const char *iface, bool *ret_is_loaded);

/* --- the ruleset that is live --------------------------------------------------------------- */

/* Before the firewall was loaded for the first time, these return -ENOENT. */

/**
 * ecbpf_fw_apply() - make a ruleset live, in one step
 *
 * Packets see the old rules or the new ones, sets included. A rule that was there before goes on
 * with its counters and, if that is the same, with its limit: one with a name if there was one of
 * this name, one without a name if there was one that meant the same. If this fails, the old
 * ruleset stays.
 *
 * Return: 0; -E2BIG it does not fit.
 */
int ecbpf_fw_apply(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset);

/* Memory of the tables that a ruleset becomes, in bytes, sets not included. Touches nothing */
int ecbpf_fw_bytes(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, size_t *ret_bytes);

/**
 * ecbpf_fw_get() - the ruleset that is live, sets as they are now
 * @ret_ruleset: for ecbpf_fw_ruleset_free()
 */
int ecbpf_fw_get(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset);

/* Return: 0, or an error that ecbpf_fw_change() returns */
typedef int (*ecbpf_fw_change_fn)(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, void *data);

/**
 * ecbpf_fw_change() - change the ruleset that is live, in one step
 * @fn: is given what ecbpf_fw_get() would give, but sets are empty, and changes the rules; nobody
 *	else changes the live ones meanwhile, and sets stay as they are
 * @data: for @fn
 *
 * Else as ecbpf_fw_apply().
 */
int ecbpf_fw_change(struct ecbpf *e, ecbpf_fw_change_fn fn, void *data);

/**
 * ecbpf_fw_stats() - what the rules that are live counted
 * @ret_ruleset: these rules, sets empty; for ecbpf_fw_ruleset_free()
 * @ret_stats: one for each rule, for free()
 */
int ecbpf_fw_stats(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset,
		   struct ecbpf_fw_stat **ret_stats);

/* Set them to zero. Packets that pass meanwhile may count */
int ecbpf_fw_stats_clear(struct ecbpf *e);

/* --- sets of the ruleset that is live ------------------------------------------------------- */

/* An empty one. @family: 4 or 6. Return: 0; -EEXIST; -EINVAL @name; -E2BIG */
int ecbpf_fw_set_create(struct ecbpf *e, const char *name, __u8 family);

/* Return: 0; -ENOENT; -EBUSY a rule uses it */
int ecbpf_fw_set_delete(struct ecbpf *e, const char *name);

enum ecbpf_fw_set_change {
	ECBPF_FW_SET_ADD,
	ECBPF_FW_SET_DELETE,
	ECBPF_FW_SET_REPLACE, /* all that is in it */
};

/**
 * ecbpf_fw_set_change() - change what is in a set; no rule is touched
 * @prefixes: addresses and prefixes, as text. Adding one that is there, and deleting one that is
 *	      not, is fine
 *
 * All or nothing. Up to 256 prefixes are added or deleted in a millisecond or so each, more by
 * writing the set anew beside the old one.
 *
 * Return: 0; -ENOENT; -EINVAL one of @prefixes; -E2BIG.
 */
int ecbpf_fw_set_change(struct ecbpf *e, const char *name, enum ecbpf_fw_set_change change,
			const char *const *prefixes, size_t count);

/* Print what is in it, one prefix a line. Return: 0; -ENOENT; -EIO @out */
int ecbpf_fw_set_print(struct ecbpf *e, const char *name, FILE *out);

#ifdef __cplusplus
}
#endif

#endif /* LIBECBPF_FW_H */
