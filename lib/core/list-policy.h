/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a list may not do unless it is forced: empty another one, or block this host.
 */
#ifndef ECBPF_LIB_LIST_POLICY_H
#define ECBPF_LIB_LIST_POLICY_H

#include <ecbpf/libecbpf-list.h>

/* @what: "the drop list", has @before prefixes, and would have @after. Return: 0; -EPERM */
int ecbpf_list_check_empty(struct ecbpf *e, const char *what, size_t before, size_t after);

/**
 * struct lockout - a search for prefixes that would block this host
 * @single: its addresses, sorted; of lockout_sessions() also those of clients
 * @wide: what is more than an address: loopback, local prefixes
 * @why: behind each address in the error: "in the drop list"; or NULL
 * @text: what was found, for the error
 */
struct lockout {
	struct ecbpf *e;
	struct lockout_addr *single;
	size_t single_count;
	struct lockout_addr *wide;
	size_t wide_count;
	size_t found;
	const char *why;
	char text[512];
};

/* Of addresses of this host, default gateways, loopback. For ecbpf_lockout_end(), also on errors */
int ecbpf_lockout_begin(struct ecbpf *e, struct lockout *ret_lockout);
/*
 * Also for clients of this host, see ecbpf_session_guard(): if it is forced, ecbpf_lockout_end()
 * warns of these. Those that cannot be read are warned of
 */
int ecbpf_lockout_sessions(struct lockout *lockout);
/* What nobody blocks, whatever is checked afterwards */
void ecbpf_lockout_allow(struct lockout *lockout, const struct ecbpf_prefix *prefix);
/* A prefix that is to be blocked */
void ecbpf_lockout_check(struct lockout *lockout, const struct ecbpf_prefix *prefix);
/* Clients of which @is_blocked says that they will be, with @data; @why: as of struct lockout */
void ecbpf_lockout_find(struct lockout *lockout,
			bool (*is_blocked)(const struct ecbpf_prefix *addr, void *data), void *data,
			const char *why);
/* Return: @err; if that is 0 and one was found: -EPERM */
int ecbpf_lockout_end(struct lockout *lockout, int err);

#endif /* ECBPF_LIB_LIST_POLICY_H */
