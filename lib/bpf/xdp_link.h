/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The BPF link that holds an interface's XDP program, if one does. */
#ifndef ECBPF_LIB_XDP_LINK_H
#define ECBPF_LIB_XDP_LINK_H

#include <stddef.h>
#include <linux/types.h>

/* Only through its link can a program that was attached by one be exchanged or detached */
__u32 ecbpf_xdp_link_id(int ifindex, __u32 prog_id); /* 0: there is none */

/* The command that removes what is attached to an interface. Return: @ret */
#define ECBPF_XDP_REMOVE 80
const char *ecbpf_xdp_remove_command(const char *iface, __u32 prog_id, char *ret);

#endif /* ECBPF_LIB_XDP_LINK_H */
