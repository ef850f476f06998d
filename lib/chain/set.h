/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Making a chain have the wanted members: ecbpf_chain_set(). */
#ifndef ECBPF_LIB_CHAIN_SET_H
#define ECBPF_LIB_CHAIN_SET_H

#include "bpf/loaded.h"
#include <ecbpf/libecbpf.h>

/* Members that are ecbpf_chain_set()'s, in order; has_place: prio and actions mean something */
struct owned {
	char name[64];
	bool has_place;
	__u32 prio;
	__u32 actions;
	struct loaded loaded;
};

/* @ret_members[DISPATCHER_MEMBERS] */
int ecbpf_chain_owned(struct ecbpf *e, const char *iface, struct owned *ret_members,
		      size_t *ret_count, enum ecbpf_mode *ret_mode);

/*
 * Programs that stay, with other maps than those that are pinned, which settings are in
 * @replaces_them: by programs that have those that are pinned; else they are left alone
 * @ret_has_some: set to true if there is one
 */
struct other_maps {
	bool replaces_them;
	bool ret_has_some;
};

/*
 * ecbpf_chain_set() of one interface, with @keeps_others. The caller chooses what becomes of
 * programs with other maps
 */
int ecbpf_chain_keep(struct ecbpf *e, const struct ecbpf_chain_want *want, struct other_maps *maps,
		     struct ecbpf_chain_change **ret_changes, size_t *ret_count);

/* ecbpf_chain_set() with @check, and the kernel is asked whether it takes these programs */
int ecbpf_chain_try(struct ecbpf *e, const struct ecbpf_chain_want *wants, size_t count,
		    struct ecbpf_chain_change **ret_changes, size_t *ret_count);

#endif /* ECBPF_LIB_CHAIN_SET_H */
