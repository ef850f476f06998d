/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bus that samples go over: ZeroMQ sockets, and who may use them. See ecbpf-sample(5).
 */
#ifndef ECBPF_TOOLS_BUS_H
#define ECBPF_TOOLS_BUS_H

#include <stdbool.h>
#include "tools/common/common.h"
#include "tools/common/peers.h"

#define BUS_ENDPOINT "ipc:///run/ecbpf/samples"
#define BUS_VERSION  1	/* PacketSample.version */
#define BUS_KEY_SIZE 41 /* CURVE key in Z85, with its NUL */
#define BUS_SOCKETS  64 /* UNIX sockets to bind to, at most */

/* What another process has opened, as this one may not. -1: there is none */
struct bus_files {
	int key, server_key, allow;
	int sockets[BUS_SOCKETS]; /* of UNIX sockets in struct bus_options.bind, in that order */
	size_t count;
};

/**
 * struct bus_options - how to get on the bus
 * @bind: endpoints to bind to
 * @connect: endpoints to connect to
 * @key: file with the own secret key; NULL: none, or, if all are connected to, one for the occasion
 * @server_key: file with the public key of what is connected to; NULL: no encryption there
 * @allow: file with the public keys of those who may connect to @bind; NULL: all who know ours
 * @insecure: endpoints beyond this host without keys are fine
 * @hwm: messages that are queued for each peer at most
 * @files: what is open already; NULL: nothing. It stays open
 */
struct bus_options {
	struct tool_list bind;
	struct tool_list connect;
	const char *key;
	const char *server_key;
	const char *allow;
	bool insecure;
	int hwm;
	const struct bus_files *files;
};

struct bus {
	void *zmq;
	void *socket;
	void *zap; /* asks whom to let in (ZeroMQ RFC 27); NULL if nobody needs to be asked */
	struct tool_list allowed;
	struct peers peers;
};

/**
 * bus_open() - make a socket and have it bound and connected
 * @type: ZMQ_XPUB or ZMQ_SUB
 * Return: 0, or TOOL_FAILED or TOOL_USAGE when it has said what is wrong; @bus is closed then.
 */
int bus_open(struct bus *bus, int type, const struct bus_options *options);

/* Are endpoints, and keys for them, fit for each other? Return: 0; TOOL_USAGE, told already */
int bus_check(const struct bus_options *options);
/* Of "ipc://PATH", the path; NULL: an abstract name, or another protocol */
const char *bus_ipc_path(const char *endpoint);
/* Are these all that the options name? */
bool bus_has_files(const struct bus_options *options, const struct bus_files *files);
void bus_files_close(struct bus_files *files);

/* Let in who waits to be, and end who asks for too much. To be called many times a second */
void bus_let_in(struct bus *bus);

/* What is queued is sent for @linger_ms at most. A bus that is zero or closed is fine */
void bus_close(struct bus *bus, int linger_ms);

/* Write a new secret key to @path (mode 0600) and its public key to @path.pub. Return: enum
 * tool_exit
 */
int bus_make_keys(const char *path, bool *ret_is_half);

#endif /* ECBPF_TOOLS_BUS_H */
