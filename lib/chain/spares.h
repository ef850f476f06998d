/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs that a process holds, to attach them again without loading them. */
#ifndef ECBPF_LIB_CHAIN_SPARES_H
#define ECBPF_LIB_CHAIN_SPARES_H

#include <net/if.h>
#include <stddef.h>
#include <linux/types.h>
#include "chain/live.h"

#define SPARES_MAX 256 /* each is a descriptor; then the oldest goes */

/**
 * struct spares - programs that are, or were, attached
 * @items: a ring; their descriptors are this struct's; -1: the entry is free
 * @next: entry of the ring for the next program
 *
 * The verifier takes most of the time of a load: 0.8 s for ecbpf_fused, in which an interface that
 * lost its chain is bare. A held program is attached within milliseconds. ecbpf_chain_set() takes
 * them from struct ecbpf's spares, if there are any: for the interface that they were attached to,
 * and only if code, constants and pinned maps are those that are wanted.
 */
struct spares {
	struct spare {
		char iface[IF_NAMESIZE];
		__u32 chain; /* id of what was attached to the interface: with others, or this */
		__u64 fingerprint;
		int pins; /* of its maps, when it was attached */
		struct member member;
	} items[SPARES_MAX];
	size_t next;
};

/* Return: NULL without memory */
struct spares *ecbpf_spares_new(void);
void ecbpf_spares_free(struct spares *spares);
/*
 * Hold what ecbpf_chain_set() has attached to @iface; if nothing is attached, what it had stays.
 * Return: 0, or an error: then the next load is one by the verifier, and nothing else is lost
 */
int ecbpf_spares_hold(struct ecbpf *e, const char *iface);
void ecbpf_spares_drop(struct spares *spares);
/*
 * The held program @name of @iface with this fingerprint and the maps that are pinned;
 * @ret_member's fd stays the spares'. @is_single: one that is attached without a dispatcher will
 * do, too
 */
bool ecbpf_spares_find(struct ecbpf *e, const char *iface, const char *name, __u64 fingerprint,
		       bool is_single, struct member *ret_member);

#endif /* ECBPF_LIB_CHAIN_SPARES_H */
