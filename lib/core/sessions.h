/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP connections to this host that a change of rules should not cut: the operator's own session,
 * and others to ports on which this host listens.
 */
#ifndef ECBPF_LIB_SESSIONS_H
#define ECBPF_LIB_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <ecbpf/libecbpf-list.h>

#define SESSION_TEXT (2 * ECBPF_PREFIX_TEXT + 64)

/**
 * struct session - a connection
 * @client, @server: addresses, of one family
 * @is_own: the SSH session in which this process was started
 */
struct session {
	struct ecbpf_prefix client;
	struct ecbpf_prefix server;
	__u16 client_port;
	__u16 server_port;
	bool is_own;
};

/**
 * struct sessions - some connections
 * @items: own ones first, then those to the port of SSH
 * @has_own: there is one
 * @has_terminal: this process has a controlling terminal
 */
struct sessions {
	struct session *items;
	size_t count;
	bool has_own;
	bool has_terminal;
};

/**
 * sessions_read() - which connections there are
 * @only_attended: without a terminal, own ones only
 * @ret_sessions: for sessions_free()
 *
 * There are at most 64. The kernel tells no age, so it is not the newest that are taken: up to 32
 * to the port of SSH, and up to 4 to each other port, which is enough to find a rule that cuts a
 * service. Left out are connections of this host to itself, and all but the first 65,536.
 *
 * Return: 0; errors, and there are only own ones.
 */
int sessions_read(struct ecbpf *e, bool only_attended, struct sessions *ret_sessions);
void sessions_free(struct sessions *sessions);

/* "your SSH session from 192.0.2.1:50122 to 192.0.2.2:22"; @ret_text: SESSION_TEXT bytes */
void session_format(const struct session *session, char *ret_text);

#endif /* ECBPF_LIB_SESSIONS_H */
