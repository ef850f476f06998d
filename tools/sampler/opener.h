/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The process that keeps privileges, and what the one that reads samples asks it for.
 *
 * It opens what the other one cannot: maps, rings, files of keys, sockets at paths; and what that
 * is follows from the command line and its file, never from a request. It ends with the other one.
 */
#ifndef ECBPF_TOOLS_SAMPLER_OPENER_H
#define ECBPF_TOOLS_SAMPLER_OPENER_H

#include <stdbool.h>
#include <ecbpf/libecbpf-sampler.h>
#include "tools/sampler/options.h"

#define OPENER_RINGS 128 /* in a message; the kernel passes 253 descriptors */
#define OPENER_FILES BUS_SOCKETS

enum opener_ask {
	OPENER_SOURCE, /* open maps and rings: a reply, then its rings */
	OPENER_STALE,
	OPENER_STATUS,
	OPENER_CHAIN,
	OPENER_SETTLE,
	OPENER_FILES_OPEN, /* of the options, which are read again */
	OPENER_FILES_KEEP, /* the sockets of those, and no others; or of those before */
};

struct opener_request {
	enum opener_ask ask;
	int ifindex;
	__u32 id; /* of the chain that is known */
	bool is_new;
};

struct opener_reply {
	int err; /* -errno, with @text; of files, enum tool_exit, told already */
	bool is_stale;
	__u32 id;
	__u32 count; /* rings or sockets */
	__u32 ring_bytes;
	bool has_file, has_key, has_server_key, has_allow;
	struct ecbpf_sampler_status status;
	char text[1024]; /* the error, or a chain */
};

struct opener_rings {
	int cpus[OPENER_RINGS];
};

/* SCM_RIGHTS. Return: whether all went out, or came in */
bool opener_send(int sock, const void *data, size_t size, const int *fds, size_t count);
bool opener_receive(int sock, void *ret_data, size_t size, int *ret_fds, size_t count);

/* The process itself, until @sock is closed */
void opener_serve(struct tool *tool, int argc, char **argv, size_t ring_bytes, int sock)
	__attribute__((noreturn));

/* --- of the process that reads; @sock: of opener_start() ----------------------------------------
 */

/* Return: enum tool_exit */
int opener_start(struct tool *tool, int argc, char **argv, size_t ring_bytes, int *ret_sock);
/* It removes sockets at paths, which is waited for; -1: there is none */
void opener_stop(int sock);
/* -errno, with a text to be told in @ret_reply; -EPIPE: it has ended */
int opener_ask(int sock, const struct opener_request *request, struct opener_reply *ret_reply);
/* As opener_ask(). @ret_fds: for ecbpf_sampler_open() */
int opener_source(int sock, struct ecbpf_sampler_fds **ret_fds, struct opener_reply *ret_reply);
/* Options with their files. Return: enum tool_exit */
int opener_options(int sock, struct tool *tool, int argc, char **argv,
		   struct sampler_options *ret_options);

#endif /* ECBPF_TOOLS_SAMPLER_OPENER_H */
