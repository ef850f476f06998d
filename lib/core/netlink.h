/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Netlink requests whose answers become an array, by libnl.
 */
#ifndef ECBPF_LIB_NETLINK_H
#define ECBPF_LIB_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/netlink.h>

struct ecbpf;
struct nl_msg;
struct nl_sock;

/* Fill in @item, zeroed, from an answer. Return: false: @message is none, leave it out */
typedef bool (*ecbpf_netlink_fn)(struct nlmsghdr *message, void *item);

/**
 * ecbpf_netlink_collect() - send a request, and append its answers to an array
 * @sock: connected
 * @what: the beginning of the error text
 * @size: of an item
 * @items_p, @count: array of ecbpf_array_add()
 *
 * A dump during which the kernel's tables changed is incomplete, and is begun again.
 *
 * Return: 0; -EAGAIN they changed during each of many dumps; errors of the kernel
 */
int ecbpf_netlink_collect(struct ecbpf *e, struct nl_sock *sock, struct nl_msg *msg,
			  const char *what, ecbpf_netlink_fn fn, size_t size, void *items_p,
			  size_t *count);

/*
 * Dump objects of rtnetlink(7). @type: RTM_GETLINK and so on. @head, @head_size: the struct of that
 * type; the kernel sends only objects that have its nonzero fields (strict checking, Linux 4.20)
 */
int ecbpf_rtnetlink_collect(struct ecbpf *e, int type, const void *head, size_t head_size,
			    const char *what, ecbpf_netlink_fn fn, size_t size, void *items_p,
			    size_t *count);
/* Likewise, one dump for each of several @heads, by one socket */
int ecbpf_rtnetlink_collect_all(struct ecbpf *e, int type, const void *heads, size_t head_size,
				size_t heads_count, const char *what, ecbpf_netlink_fn fn,
				size_t size, void *items_p, size_t *count);

#endif /* ECBPF_LIB_NETLINK_H */
