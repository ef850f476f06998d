/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The network namespaces of this host. */
#ifndef ECBPF_LIB_NETNS_H
#define ECBPF_LIB_NETNS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct ecbpf;
struct stat;

/* A thread may have entered another one than its process. /proc/self is that of the first thread */
#define ECBPF_NETNS_OWN "/proc/thread-self/ns/net"

/* The network namespace of this thread. Return: 0 or -errno */
int ecbpf_netns_own(struct stat *ret);

/*
 * IDs of the XDP programs that are attached to interfaces, in all network namespaces: those of
 * threads, of file descriptors, and of mounts in any mount namespace
 */
struct ecbpf_netns_xdp {
	__u32 *ids;
	size_t count;
	bool is_complete; /* there was no namespace that could not be entered, nor a process hidden
			   */
};

/* @ret: ids for free() in any case. Return: 0, also if it is not complete; -ENOMEM */
int ecbpf_netns_xdp_read(struct ecbpf *e, struct ecbpf_netns_xdp *ret);

#endif /* ECBPF_LIB_NETNS_H */
