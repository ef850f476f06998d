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

/* ecbpf_chain_set() with @check, and the kernel is asked whether it takes these programs */
int ecbpf_chain_try(struct ecbpf *e, const struct ecbpf_chain_want *wants, size_t count,
		    struct ecbpf_chain_change **ret_changes, size_t *ret_count);

#endif /* ECBPF_LIB_CHAIN_SET_H */
