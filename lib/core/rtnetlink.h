/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Questions to the kernel by rtnetlink(7), which checks them strictly: Linux 4.20. Not exported. */
#ifndef ECBPF_LIB_RTNETLINK_H
#define ECBPF_LIB_RTNETLINK_H

#include <stddef.h>
#include <linux/rtnetlink.h>

/* @message: of any type, with its header whole; Return: 0, or -errno, which ends it */
typedef int (*ecbpf_rtnetlink_fn)(const struct nlmsghdr *message, void *data);

/**
 * ecbpf_rtnetlink_dump() - all objects of a kind, and that pass a filter
 * @type: RTM_GETLINK and so on
 * @head, @size: what follows the header, of the kind's type; what is not zero there must be so in
 *		 the objects, too, as far as the kernel filters by it
 *
 * What is changed meanwhile may be there twice or not at all. Return: 0, or -errno: of the kernel,
 * of @fn, or -EPROTO; nothing is told to anybody.
 */
int ecbpf_rtnetlink_dump(int type, const void *head, size_t size, ecbpf_rtnetlink_fn fn,
			 void *data);

#endif /* ECBPF_LIB_RTNETLINK_H */
