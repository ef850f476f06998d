/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The way to statsd, for tools that take --statsd HOST:PORT */
#ifndef ECBPF_TOOLS_STATSD_H
#define ECBPF_TOOLS_STATSD_H

/* What a datagram may have: what the Internet takes whole, over IPv6 as well */
#define STATSD_MAX 1432

/*
 * @where: "HOST:PORT", "[HOST]:PORT", or NULL; @ret_fd: a connected socket that does not block, or
 * -1. Return: enum tool_exit
 */
int statsd_open(const char *where, int *ret_fd);

#endif /* ECBPF_TOOLS_STATSD_H */
