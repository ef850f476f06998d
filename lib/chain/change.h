/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Changing the chains of interfaces in one step. */
#ifndef ECBPF_LIB_CHAIN_CHANGE_H
#define ECBPF_LIB_CHAIN_CHANGE_H

#include "chain/live.h"

#define FUSED_LIST (ECBPF_FUSED_SLOTS * 16) /* room for so many names of stages */

/* A change to the chain of one interface */
struct change {
	const char *iface;
	int ifindex;
	struct live live;
	enum ecbpf_mode mode;
	size_t count; /* 0: nothing stays */
	struct member members[DISPATCHER_MEMBERS];
	bool is_same;		    /* no change is needed */
	bool is_direct;		    /* the only member is attached without a dispatcher */
	struct ecbpf_program fused; /* a member: memory for the planner, see chain/stage.c */
	char stages[FUSED_LIST];
	struct dispatcher dispatcher;
	int fd; /* what will be attached, or -1 */
	__u32 id;
	bool is_pinned;
	bool is_attached;
	char *note; /* while the change is under way: the one before */
};

/* Fills in the wanted chain of one interface, from @c->live */
typedef int (*plan_fn)(struct ecbpf *e, struct change *c, void *data);

/* Read, plan, commit; from the start when another program changed an interface meanwhile */
int ecbpf_change_chains(struct ecbpf *e, const char *const *ifaces, size_t count, plan_fn plan,
			void *data);
/*
 * Read what is attached to each interface, and plan. @changes[@ret_count]: interfaces that change;
 * on failure all that the caller must close
 */
int ecbpf_changes_plan(struct ecbpf *e, const char *const *ifaces, size_t count, plan_fn plan,
		       void *data, struct change *changes, size_t *ret_count);
void ecbpf_change_close(struct ecbpf *e, struct change *c);
/* Step 1 of a plan, as far as it can be taken back: would the kernel take it? Nothing is pinned */
int ecbpf_change_try(struct ecbpf *e, struct change *c);
/* Do packets of this interface's MTU need programs that take fragments? */
bool ecbpf_needs_frags(const char *iface);

/* Why a plan is impossible */
int ecbpf_fail_single(struct ecbpf *e, const struct change *c);
int ecbpf_fail_mode(struct ecbpf *e, const struct change *c, enum ecbpf_mode mode);
int ecbpf_fail_broken(struct ecbpf *e, const struct change *c);

#endif /* ECBPF_LIB_CHAIN_CHANGE_H */
