/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libecbpf: the firewall. Rules are text, see ecbpf-fw-rules(5), which is parsed to a ruleset. A
 * ruleset can be changed, printed, tried on packets, and applied.
 *
 * Conventions are those of libecbpf.h. For errors in rules, ecbpf_error() is the first one, and
 * ecbpf_error_detail() has all of them: for each, a line "FILE:LINE:COLUMN: MESSAGE", the line of
 * the file (a part of it, if it is long), and a line with a caret.
 */
#ifndef LIBECBPF_FW_H
#define LIBECBPF_FW_H

#include <stdio.h>
#include <ecbpf/libecbpf-list.h>
#include <ecbpf/libecbpf-settings.h>
#include <ecbpf/libecbpf.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- rulesets ------------------------------------------------------------------------------- */

struct ecbpf_fw_ruleset; /* rules, sets and tests of a file, in their order */

/**
 * ecbpf_fw_parse() - parse a ruleset
 * @file: name for messages; paths of `set NAME file "PATH"` are relative to it; "-" is standard
 *	  input
 * @text: need not end with NUL; not used after the call
 * @size: bytes of @text
 * @ret_ruleset: for ecbpf_fw_ruleset_free()
 *
 * Return: 0; -EINVAL errors in @text; -ENOMEM.
 */
int ecbpf_fw_parse(struct ecbpf *e, const char *file, const char *text, size_t size,
		   struct ecbpf_fw_ruleset **ret_ruleset);

/* As ecbpf_fw_parse(), with the text of @file. Return: also -ENOENT and others */
int ecbpf_fw_read(struct ecbpf *e, const char *file, struct ecbpf_fw_ruleset **ret_ruleset);

void ecbpf_fw_ruleset_free(struct ecbpf_fw_ruleset *ruleset); /* NULL is fine */

/**
 * ecbpf_fw_print() - print a ruleset as text: sets, then rules, then tests
 * @ret_text: for free(); ends with NUL
 *
 * The text is parsed to the same ruleset. Names and order of rules are kept, comments are not. A
 * set of a file is printed with its path, others with their addresses.
 */
int ecbpf_fw_print(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, char **ret_text);

struct ecbpf_fw_summary {
	size_t rules;
	size_t sets;
	size_t prefixes;   /* in all sets */
	size_t assertions; /* `test` lines */
};

void ecbpf_fw_summary(const struct ecbpf_fw_ruleset *ruleset, struct ecbpf_fw_summary *ret);

/* A set of a ruleset; @rules: how many rules use it; @is_live: of `set NAME live` */
struct ecbpf_fw_set {
	const char *name; /* belongs to the ruleset */
	__u8 family;	  /* 4 or 6; 0: both */
	bool is_live;
	size_t prefixes;
	size_t rules;
};

/* @index: below ecbpf_fw_summary.sets */
void ecbpf_fw_set_at(const struct ecbpf_fw_ruleset *ruleset, size_t index,
		     struct ecbpf_fw_set *ret);

/* --- rules of a ruleset ----------------------------------------------------------------------- */

/**
 * ecbpf_fw_rule_insert() - add a rule
 * @index: the new rule is put before this one, from 0; the number of rules: at the end
 * @text: one rule, which can use the sets of the ruleset; in messages, its file is "rule"
 *
 * Return: 0; -EINVAL; -E2BIG too many rules; -ENOMEM.
 */
int ecbpf_fw_rule_insert(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, size_t index,
			 const char *text);

/* Replace the rule at @index; if @text has no name, the rule keeps its name */
int ecbpf_fw_rule_replace(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, size_t index,
			  const char *text);

void ecbpf_fw_rule_delete(struct ecbpf_fw_ruleset *ruleset, size_t index);

/**
 * ecbpf_fw_rule_find() - find a rule by number or name
 * @what: a number, from 1; or the name of one rule. A name of digits needs quotes: "\"7\""
 * @ret_index: from 0
 *
 * Return: 0; -ENOENT not found; -EINVAL several rules have this name.
 */
int ecbpf_fw_rule_find(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, const char *what,
		       size_t *ret_index);

/* The canonical text of a rule, for free(); NULL without memory */
char *ecbpf_fw_rule_text(const struct ecbpf_fw_ruleset *ruleset, size_t index);

const char *ecbpf_fw_rule_name(const struct ecbpf_fw_ruleset *ruleset, size_t index); /* or NULL */

/* --- tests of a ruleset ----------------------------------------------------------------------- */

/* `test sha1 HEX xdp_action ACTION` */
struct ecbpf_fw_assertion {
	unsigned int line; /* of the file, from 1 */
	__u8 sha1[20];	   /* of the captured frame */
	__u32 action;	   /* XDP_PASS, XDP_DROP, XDP_ABORTED */
};

/* @ret_assertions: in the order of the file; belong to the ruleset. Return: their number */
size_t ecbpf_fw_assertions(const struct ecbpf_fw_ruleset *ruleset,
			   const struct ecbpf_fw_assertion **ret_assertions);

/* --- trials: packets run through a ruleset ------------------------------------------ */

struct ecbpf_fw_trial;

/**
 * ecbpf_fw_trial_new() - load the firewall's program with a ruleset, without attaching it
 * @ret_trial: for ecbpf_fw_trial_free(); the buckets of limits are full
 *
 * No interface, no pin, and no live counter is touched.
 */
int ecbpf_fw_trial_new(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset,
		       struct ecbpf_fw_trial **ret_trial);
void ecbpf_fw_trial_free(struct ecbpf_fw_trial *trial); /* NULL is fine */

/* Start again with another ruleset. After an error the trial has to be freed */
int ecbpf_fw_trial_set(struct ecbpf *e, struct ecbpf_fw_trial *trial,
		       const struct ecbpf_fw_ruleset *ruleset);

#define ECBPF_FW_NO_RULE ((size_t)-1)

/**
 * ecbpf_fw_trial_run() - run one packet
 * @frame: from its Ethernet header, without FCS
 * @size: bytes, 14 (the minimum of the kernel) or more
 * @ret_action: XDP_PASS, XDP_DROP, XDP_ABORTED
 * @ret_rule: index of the rule that decided, or ECBPF_FW_NO_RULE
 * Return: 0; -EINVAL @size; -E2BIG longer than this kernel tries (Linux 5.18 with pages of 4 KiB:
 *	   73152, before it about 3500); others of bpf(2).
 */
int ecbpf_fw_trial_run(struct ecbpf *e, struct ecbpf_fw_trial *trial, const void *frame,
		       size_t size, __u32 *ret_action, size_t *ret_rule);

/**
 * ecbpf_fw_trial_run_captured() - run one packet whose end may be missing
 * @data: its first @captured bytes
 * @size: bytes of the frame; not more than @captured: nothing is missing
 *
 * Otherwise as ecbpf_fw_trial_run(). It is run only if all packets that begin so match the same
 * rules, up to the one that decides.
 *
 * Return: also -ENODATA: they do not, or it is not known how much of a limit is left, because
 * packets before it were not run. A packet that was not run so, or for -E2BIG, may have used
 * limits that it matches.
 */
int ecbpf_fw_trial_run_captured(struct ecbpf *e, struct ecbpf_fw_trial *trial, const void *data,
				size_t captured, size_t size, __u32 *ret_action, size_t *ret_rule);

/**
 * struct ecbpf_fw_stat - counters of a rule
 * @packets: that matched; of `dry limit`, that it would have dropped
 * @bytes: of these packets, whole frames
 * @over: of a limit, packets above it
 * @shared: of a `per src` limit, packets of sources that found no free bucket, and that shared one;
 *	    they can be below or above the limit
 * @dropped: packets that it dropped: of `drop`, @packets; of a limit, @over; of others, and if it
 *	     is `dry`, 0. Counters that a rule kept when its action changed count as of this one
 */
struct ecbpf_fw_stat {
	__u64 packets;
	__u64 bytes;
	__u64 over;
	__u64 shared;
	__u64 dropped;
};

/* @ret_stats: one for each rule of the ruleset */
int ecbpf_fw_trial_stats(struct ecbpf *e, struct ecbpf_fw_trial *trial,
			 struct ecbpf_fw_stat *ret_stats);

/* --- on interfaces -------------------------------------------------------------------------- */

/**
 * ecbpf_fw_load() - load the firewall on interfaces
 * @ruleset: applied before the program is attached; NULL: the live ruleset stays, if there is one
 * @settings: "KEY=VALUE" each, as for ecbpf_fw_set(); others stay as they are
 * @fused: as a stage of ecbpf_fused, see ecbpf-loader(8)
 * @mode: as for ecbpf_chain_load()
 *
 * All interfaces of a network namespace share one ruleset. An error changes nothing.
 *
 * Return: 0; -EEXIST the firewall is loaded there; else as ecbpf_chain_load(), ecbpf_fw_apply().
 */
int ecbpf_fw_load(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		  const struct ecbpf_fw_ruleset *ruleset, const char *const *settings,
		  size_t settings_count, bool fused, enum ecbpf_mode mode);

/*
 * Unload the firewall; ruleset and counters stay. Return: 0; -ENOENT it is not loaded on one of
 * @ifaces; else as ecbpf_chain_unload()
 */
int ecbpf_fw_unload(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count);

/* --- settings ------------------------------------------------------------------------------- */

/**
 * struct ecbpf_fw_config - verdicts on packets that rules do not match: XDP_DROP or XDP_PASS
 * @malformed: for malformed packets that no rule drops or passes
 * @not_inspected: for frames of other link layers that can carry IP
 *
 * They are in effect while a ruleset is live.
 */
struct ecbpf_fw_config {
	__u32 malformed;
	__u32 not_inspected;
};

/* The settings in effect, or the defaults */
int ecbpf_fw_config_get(struct ecbpf *e, struct ecbpf_fw_config *ret_config);

/* The table of struct ecbpf_fw_config */
const struct ecbpf_settings *ecbpf_fw_settings(void);

/* @settings: "KEY=VALUE" each. An error changes nothing. Return: 0; -EINVAL; others */
int ecbpf_fw_set(struct ecbpf *e, const char *const *settings, size_t count);

/* --- the live ruleset ----------------------------------------------------------------------- */

/* These return -ENOENT if the firewall was never loaded. */

/**
 * ecbpf_fw_apply() - make a ruleset live, in one step
 *
 * Packets are matched against all of the old rules and sets, or all of the new ones. A rule that
 * stays keeps its counters, and its bucket if its limit stays: a rule with a name stays if there
 * was a rule of this name, a rule without a name if there was one with the same meaning. After an
 * error the old ruleset is live.
 *
 * Return: 0; -E2BIG the tables are full.
 */
int ecbpf_fw_apply(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset);

/*
 * A line without its end. @is_removal: something is taken away, and nothing else is changed.
 * Return: 0, or an error that ends ecbpf_fw_diff()
 */
typedef int (*ecbpf_fw_line_fn)(struct ecbpf *e, void *data, const char *line, bool is_removal);

/* Tell @fn what ecbpf_fw_apply() would change, a line each; nothing is changed. Return: as that */
int ecbpf_fw_diff(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, ecbpf_fw_line_fn fn,
		  void *data);

/*
 * A copy whose live sets have the addresses that they have now, as they would after
 * ecbpf_fw_apply(): for ecbpf_fw_trial_new(). @ret_ruleset: for ecbpf_fw_ruleset_free()
 */
int ecbpf_fw_fill(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset,
		  struct ecbpf_fw_ruleset **ret_ruleset);

/* The memory of a ruleset's tables in bytes, without sets. Nothing is changed */
int ecbpf_fw_bytes(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, size_t *ret_bytes);

/**
 * ecbpf_fw_get() - the live ruleset, with the current addresses of its sets
 * @ret_ruleset: for ecbpf_fw_ruleset_free()
 */
int ecbpf_fw_get(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset);

/* Return: 0, or an error that ecbpf_fw_change() returns */
typedef int (*ecbpf_fw_change_fn)(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, void *data);

/**
 * ecbpf_fw_change() - change the live rules, in one step
 * @fn: changes the rules of the live ruleset, whose sets are empty for it and stay as they are; a
 *	lock keeps others from changing the live rules
 * @data: for @fn
 *
 * Otherwise as ecbpf_fw_apply().
 */
int ecbpf_fw_change(struct ecbpf *e, ecbpf_fw_change_fn fn, void *data);

/* --- changes that wait for a confirmation; panic ---------------------------------------------- */

#define ECBPF_FW_CONFIRM_MAX 86400 /* seconds */

/**
 * ecbpf_fw_confirm_within() - let changes of the rules by this handle wait for a confirmation
 * @seconds: at most ECBPF_FW_CONFIRM_MAX; 0: they are for good, as by default
 *
 * ecbpf_fw_load(), ecbpf_fw_apply(), ecbpf_fw_change() and what uses them make rules live for so
 * long. Without ecbpf_fw_confirm() the rules before are live again then: the packets' program
 * compares the time, no process is needed. Until then the rules can not be changed otherwise
 * (-EBUSY); prefixes of sets and settings can, and stay as they are. The change is not found again
 * after a restart before it is confirmed.
 *
 * Return: 0; -EINVAL @seconds.
 */
int ecbpf_fw_confirm_within(struct ecbpf *e, __u32 seconds);

/* The change that waits is for good. Return: 0; -ENOENT none waits; -ETIMEDOUT too late */
int ecbpf_fw_confirm(struct ecbpf *e);

/* The rules before the change that waits are live again. Return: as of ecbpf_fw_confirm() */
int ecbpf_fw_undo(struct ecbpf *e);

/* Beside the rules, which stay and are not asked */
enum ecbpf_fw_panic {
	ECBPF_FW_PANIC_OFF,
	ECBPF_FW_PANIC_DROP, /* each IP packet is dropped, with reason fw-panic */
	ECBPF_FW_PANIC_PASS, /* each packet passes */
};

/*
 * In one step, on all interfaces, until it is changed or the host restarts.
 * Return: 0; 1: it was so already; errors
 */
int ecbpf_fw_panic(struct ecbpf *e, enum ecbpf_fw_panic panic);

/* @confirm_s: for how many seconds a change still waits; 0: none does */
struct ecbpf_fw_state {
	enum ecbpf_fw_panic panic;
	__u32 confirm_s;
};

int ecbpf_fw_state(struct ecbpf *e, struct ecbpf_fw_state *ret_state);

/**
 * ecbpf_fw_stats() - read the counters of the live rules
 * @ret_ruleset: the live rules, with empty sets; for ecbpf_fw_ruleset_free()
 * @ret_stats: one for each rule, for free()
 */
int ecbpf_fw_stats(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset,
		   struct ecbpf_fw_stat **ret_stats);

/* Set all counters to zero. Packets during the call may be counted */
int ecbpf_fw_stats_clear(struct ecbpf *e);

/* --- sets of the live ruleset --------------------------------------------------------------- */

/* Create an empty set. @family: 4 or 6; 0: both. Return: 0; -EEXIST; -EINVAL @name; -E2BIG */
int ecbpf_fw_set_create(struct ecbpf *e, const char *name, __u8 family);

/* Return: 0; -ENOENT; -EBUSY a rule uses the set */
int ecbpf_fw_set_delete(struct ecbpf *e, const char *name);

enum ecbpf_fw_set_change {
	ECBPF_FW_SET_ADD,
	ECBPF_FW_SET_DELETE,
	ECBPF_FW_SET_REPLACE, /* all prefixes */
};

/**
 * ecbpf_fw_set_change() - change the prefixes of a set; rules are not touched
 * @list: adding a prefix that is there is no error. A set of one
 *	  family takes that family of a file, and logs how many others it left out; of operands,
 *	  another family is refused
 *
 * An error changes nothing. Up to 256 prefixes are added or deleted in place, in a millisecond or
 *so each; for more, the set is built anew beside the old one.
 *
 * Return: 0; -ENOENT no set, or without ECBPF_LIST_IF_EXISTS, it has not a prefix that is to be
 * deleted; -EINVAL another family; -E2BIG; -EPERM a set that was filled would be empty,
 * or one that a rule drops by would hold an address of this host: see ecbpf_list_policy().
 */
int ecbpf_fw_set_change(struct ecbpf *e, const char *name, enum ecbpf_fw_set_change change,
			const struct ecbpf_list *list);

/* Print the prefixes of a set, one a line. Return: 0; -ENOENT; -EIO @out */
int ecbpf_fw_set_print(struct ecbpf *e, const char *name, FILE *out);

#ifdef __cplusplus
}
#endif

#endif /* LIBECBPF_FW_H */
