/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libecbpf: chains of XDP programs, their counters and their health. See libecbpf(3).
 *
 * Functions return 0 or -errno, and leave their outputs untouched on failure; what went wrong
 * stands in ecbpf_error(), one line that is fit for a person. The library never prints, never
 * exits, and keeps no state outside the handle and the BPF file system. A handle is for one thread.
 */
#ifndef LIBECBPF_H
#define LIBECBPF_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <ecbpf/count.h>
#include <ecbpf/counters.h>
#include <ecbpf/stage.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- handle, errors, log ------------------------------------------------------------------ */

struct ecbpf;

enum ecbpf_log_level {
	ECBPF_LOG_WARN,	 /* the user should know */
	ECBPF_LOG_INFO,	 /* what was done */
	ECBPF_LOG_DEBUG, /* what libbpf and libxdp say */
};

/* @line: no newline at its end; valid during the call only */
typedef void (*ecbpf_log_fn)(void *data, enum ecbpf_log_level level, const char *line);

/**
 * ecbpf_new() - make a handle
 * @ret_e: the handle, for ecbpf_free()
 * Return: 0, -ENOMEM.
 */
int ecbpf_new(struct ecbpf **ret_e);
void ecbpf_free(struct ecbpf *e); /* NULL is fine */

/* The last failure of a call with this handle: one line, no newline; "" if none. Never NULL */
const char *ecbpf_error(const struct ecbpf *e);

/*
 * Return: true: a call has failed because libbpf believes that the kernel lacks something that it
 * has. libbpf asks once for the life of a process, and takes any error, such as ENOMEM, for "no":
 * this process may not be able to load programs any more; another one can.
 */
bool ecbpf_is_misled(const struct ecbpf *e);

/* What belongs to it but takes many lines (a verifier log), or "". Never NULL */
const char *ecbpf_error_detail(const struct ecbpf *e);

void ecbpf_set_log(struct ecbpf *e, ecbpf_log_fn fn, void *data);

/* Entries of sets, lists and tables that calls with this handle have added and removed */
struct ecbpf_changed {
	__u64 added;
	__u64 removed;
};

/* The total since ecbpf_new() */
void ecbpf_changed(const struct ecbpf *e, struct ecbpf_changed *ret);

const char *ecbpf_version(void);	     /* "0.1" */
const char *ecbpf_reason_name(__u32 reason); /* "ip-ihl"; NULL if there is no such reason */
const char *ecbpf_reason_text(__u32 reason); /* a sentence's worth; NULL likewise */
const char *ecbpf_action_name(__u32 action); /* "XDP_PASS"; "invalid" for ECBPF_ACTION_INVALID */
const char *ecbpf_stage_name(__u32 stage);   /* "count"; NULL if there is no such stage */
const char *ecbpf_stage_text(__u32 stage);   /* what it does; NULL likewise */
const char *ecbpf_count_name(__u32 class);   /* "ip-tcp"; NULL if there is no such class */

/* --- chains ------------------------------------------------------------------------------- */

enum ecbpf_mode {
	ECBPF_MODE_UNSPEC, /* that of the chain; of a new one: native */
	ECBPF_MODE_NATIVE,
	ECBPF_MODE_SKB,
};

const char *
ecbpf_mode_name(enum ecbpf_mode mode); /* "native"; for ECBPF_MODE_UNSPEC "unspecified" */
/* Return: 0, -EINVAL */
int ecbpf_mode_parse(const char *text, enum ecbpf_mode *ret_mode);

/**
 * struct ecbpf_program - a program to load
 * @file: an object file if there is a '/' in it or it ends in ".o", else a stage ("count"). NULL
 *with
 *	  @fused
 * @fused: stages in order, "pass,count", to run in one program; else NULL
 * @section: ELF section to take the program from; or NULL
 * @name: name of the program in the object; or NULL. With neither: the first XDP program
 * @pin_path: directory of the BPF file system to pin maps in that ask for it; or NULL. Ours are
 *	      always pinned under BPFFS/ecbpf
 * @prio: run priority, -1: what the program says itself, else 50
 * @actions: chain call actions, bit (1 << XDP_PASS) and so on; 0: what the program says itself,
 *	     else XDP_PASS
 * @settings: "NAME=NUMBER" each, for constants (`const volatile` integers) of the program
 * @settings_count: how many
 */
struct ecbpf_program {
	const char *file;
	const char *fused;
	const char *section;
	const char *name;
	const char *pin_path;
	int prio;
	__u32 actions;
	const char *const *settings;
	size_t settings_count;
};

#define ECBPF_PROGRAM_INIT \
	{                  \
		.prio = -1 \
	}

/**
 * ecbpf_chain_load() - add programs to the chains of interfaces
 * @ifaces: names
 * @programs: added in one step, to every interface
 * @mode: must be that of a chain which is there already, or ECBPF_MODE_UNSPEC
 *
 * All or nothing: on failure every chain is as it was. Packets see the old chain or the new one.
 * A program is never attached without a dispatcher but for ecbpf_fused, where the kernel cannot
 * replace functions (freplace).
 *
 * Return: 0; -ENOENT no such interface, file or program; -EPERM; -EBUSY another program is attached
 * without a dispatcher, or by an incompatible libxdp; -E2BIG more than ten programs;
 * -EOPNOTSUPP the kernel has no freplace, or the driver no native XDP; -EINVAL and others: see the
 * text.
 */
int ecbpf_chain_load(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		     const struct ecbpf_program *programs, size_t programs_count,
		     enum ecbpf_mode mode);

/**
 * struct ecbpf_selector - members of a chain; all fields unset select nothing
 * @all: all of them, and a program that is attached without a dispatcher as well
 * @id: the member with this BPF program id; 0: unset
 * @name: the members of this name, whole or cut to ECBPF_NAME_CUT, or of this stage; NULL: unset
 */
struct ecbpf_selector {
	bool all;
	__u32 id;
	const char *name;
};

/**
 * ecbpf_chain_unload() - take programs out of the chains of interfaces
 *
 * All or nothing, as ecbpf_chain_load(). Maps pinned under BPFFS/ecbpf stay, with what is in them;
 * ecbpf_clean_maps() removes them when no program uses them any more.
 *
 * Return: 0; -ENOENT if an interface has no such program; else as ecbpf_chain_load().
 */
int ecbpf_chain_unload(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		       const struct ecbpf_selector *selector);

/**
 * ecbpf_chain_replace() - replace a member by another program
 * @name: program name or stage of exactly one member
 * @program: its @prio and @actions: if unset, those of the old one
 *
 * One atomic step: a packet is handled by the old program or by the new one. The new one goes on
 * with those of the old one's maps that have the same name and definition.
 */
int ecbpf_chain_replace(struct ecbpf *e, const char *iface, const char *name,
			const struct ecbpf_program *program);

/**
 * ecbpf_chain_load_stage() - add a stage to the chains of interfaces
 * @stage: enum ecbpf_stage
 * @is_fused: in ecbpf_fused. If the chain has that already, the stage is added to it in the order
 *	      of run priorities; counters and settings of the others are kept
 *
 * All or nothing, as ecbpf_chain_load(). Return: likewise; -EEXIST an interface has this stage.
 */
int ecbpf_chain_load_stage(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
			   __u32 stage, bool is_fused, enum ecbpf_mode mode);

/**
 * ecbpf_chain_unload_stage() - take a stage out of the chains of interfaces
 *
 * Chained or in ecbpf_fused, which goes on with its other stages. All or nothing. Return: as
 * ecbpf_chain_unload().
 */
int ecbpf_chain_unload_stage(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
			     __u32 stage);

/**
 * struct ecbpf_chain_want - what is wanted in the chain of one interface
 * @mode: as in ecbpf_chain_load()
 * @programs: those that are to be there, in any order; none: ours go
 * @keeps_others: programs of ours that are not among them stay; those under a dispatcher only, as
 * no other program can be attached beside a single one
 */
struct ecbpf_chain_want {
	const char *iface;
	enum ecbpf_mode mode;
	const struct ecbpf_program *programs;
	size_t programs_count;
	bool keeps_others;
};

enum ecbpf_change_kind {
	ECBPF_CHANGE_ADD,
	ECBPF_CHANGE_REMOVE,
	ECBPF_CHANGE_REPLACE,
	ECBPF_CHANGE_MOVE, /* the same program, with another priority or other actions */
};

/*
 * What became of one program; @prio and @actions are those afterwards, or of what was removed.
 * @why: of one that is replaced, not for free()
 */
struct ecbpf_chain_change {
	enum ecbpf_change_kind kind;
	char iface[16];
	char name[64];
	__u32 prio;
	__u32 actions;
	const char *why;
};

/*
 * Return: the index of the interface that has this name or alternative name; 0: there is none
 * (errno is ENODEV), or it cannot be looked for
 */
int ecbpf_iface_find(const char *name);

/**
 * ecbpf_chain_set() - make our members of chains exactly these
 * @wants: each interface once
 * @check: only find out what there is to do
 * @ret_changes: array of what was done, for free(); @ret_count 0: nothing, and nothing was touched
 *
 * Ours are all stages, and what this function has loaded; other members stay where they are. A
 * program with the same code and constants is not loaded again: it keeps its id and its counters,
 * even if it moves within the chain. A program of the same name replaces the old one and keeps its
 * maps, as in ecbpf_chain_replace(). All interfaces or none, and each in one step, as
 * ecbpf_chain_load().
 *
 * Return: 0; as ecbpf_chain_load().
 */
int ecbpf_chain_set(struct ecbpf *e, const struct ecbpf_chain_want *wants, size_t count, bool check,
		    struct ecbpf_chain_change **ret_changes, size_t *ret_count);

#define ECBPF_NAME_CUT 15

/* One of the stages in a member of ours. Most have one; ecbpf_fused has one for each slot */
struct ecbpf_member_stage {
	__u32 stage;			/* enum ecbpf_stage */
	struct ecbpf_counters counters; /* summed over CPUs */
};

struct ecbpf_member {
	char name[64]; /* whole; the kernel keeps ECBPF_NAME_CUT characters of it */
	__u32 id;
	__u8 tag[8];
	__u32 prio;
	__u32 actions;	   /* chain call actions, bits */
	__u64 load_time_s; /* seconds since 1970 */
	bool is_ours;
	bool has_link; /* its link is pinned; false: it may not be running */
	__u32 schema;  /* of ours: ECBPF_SCHEMA it was built for; counters are there if it is this
			  one */
	size_t stages_count;
	struct ecbpf_member_stage stages[ECBPF_FUSED_SLOTS];
	bool has_count; /* one of its stages is `count`, and this is what it counted: */
	struct ecbpf_count count[ECBPF_COUNT_MAX];
};

enum ecbpf_chain_kind {
	ECBPF_CHAIN_NONE,	/* no XDP program */
	ECBPF_CHAIN_DISPATCHER, /* libxdp's dispatcher, or ours, with members */
	ECBPF_CHAIN_SINGLE,	/* one program without a dispatcher; it is the only member */
	ECBPF_CHAIN_BROKEN,	/* a dispatcher whose pins are not (all) there */
};

struct ecbpf_chain {
	char iface[16];
	int ifindex;
	enum ecbpf_chain_kind kind;
	enum ecbpf_mode mode;
	__u32 id; /* of the dispatcher, like the next ones; 0 without one */
	__u8 tag[8];
	char name[64];
	__u32 protocol; /* libxdp's dispatcher protocol, 1..3 */
	bool is_ours;	/* the dispatcher that ecbpf brings along, see progs/dispatcher.bpf.c */
	bool has_frags; /* takes packets in fragments (jumbo MTU) */
	size_t members_count;
	struct ecbpf_member *members; /* in the order they run */
};

/**
 * ecbpf_chain_get() - what is attached to an interface
 * @ret_chain: for ecbpf_chain_free()
 */
int ecbpf_chain_get(struct ecbpf *e, const char *iface, struct ecbpf_chain **ret_chain);
void ecbpf_chain_free(struct ecbpf_chain *chain); /* NULL is fine */

/**
 * ecbpf_stage_reach() - do changes of a stage's rules, lists or settings reach packets?
 * @stage: enum ecbpf_stage
 * @ret_iface: if not: "", no interface has the stage; or one whose program has other maps than
 *those that are pinned, and goes on with these. 16 bytes
 *
 * Return: 1 yes, 0 no, or -errno.
 */
int ecbpf_stage_reach(struct ecbpf *e, __u32 stage, char *ret_iface);

/* @stage: enum ecbpf_stage, in the chain, or in ecbpf_fused */
int ecbpf_chain_has_stage(struct ecbpf *e, const char *iface, __u32 stage, bool *ret_has);

/* Set all counters of our programs on an interface to zero. Packets that pass meanwhile may count
 */
int ecbpf_counters_clear(struct ecbpf *e, const char *iface);

/**
 * ecbpf_clean() - remove what interrupted loads left in the BPF file system
 * @iface: or NULL for all
 * @ret_removed: how many dispatchers' pins were removed; may be NULL
 *
 * Pins of a dispatcher that is attached in any network namespace are left alone, or its chain would
 * fail open; so are those of which this cannot be found out, with a warning.
 */
int ecbpf_clean(struct ecbpf *e, const char *iface, size_t *ret_removed);

/* Remove our maps: rules, lists, sets, settings. Return: 0; -EBUSY: a program uses them; others */
int ecbpf_clean_maps(struct ecbpf *e);

/**
 * ecbpf_features() - XDP features of a network device
 * @ret_features: bits as NETDEV_XDP_ACT_* of <linux/netdev.h>
 * Return: 0; -EOPNOTSUPP if libbpf (before 1.3) or the kernel (before 6.3) does not report them.
 */
int ecbpf_features(struct ecbpf *e, const char *iface, __u64 *ret_features);

/* --- doctor ------------------------------------------------------------------------------- */

enum ecbpf_severity {
	ECBPF_OK,      /* checked and good */
	ECBPF_NOTE,    /* good to know */
	ECBPF_WARNING, /* will hurt later */
	ECBPF_ERROR,   /* traffic is not handled as asked */
};

/**
 * struct ecbpf_finding - one thing the doctor saw
 * @iface: or "" if it is about the host
 * @code: stable word, for scripts: "freplace-missing"
 * @what: what is the case
 * @why: why it matters; "" for ECBPF_OK
 * @fix: the command that mends it; or ""
 * @unload: if @fix takes the chain off and loads it again: its first part, which takes it off; or
 * ""
 */
struct ecbpf_finding {
	enum ecbpf_severity severity;
	char iface[16];
	char code[32];
	char what[256];
	char why[256];
	char fix[512];
	char unload[80];
};

/**
 * ecbpf_doctor() - check for known problems
 * @ifaces: or NULL: all that have an XDP program
 * @ret_findings: array, for free(); most important first
 */
int ecbpf_doctor(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		 struct ecbpf_finding **ret_findings, size_t *ret_count);

#ifdef __cplusplus
}
#endif

#endif /* LIBECBPF_H */
