/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One interface: its index, its MTU, its link type, what its driver does to packets. */
#ifndef ECBPF_LIB_IFACE_H
#define ECBPF_LIB_IFACE_H

#include <stdbool.h>

struct ecbpf;

int ecbpf_iface_index(struct ecbpf *e, const char *iface);
/* Likewise, of one that may be gone. Return: its index; 0 it is gone; errors */
int ecbpf_iface_ask(struct ecbpf *e, const char *iface);
int ecbpf_iface_mtu(const char *iface); /* 0: not known */

/*
 * Do its frames begin with an Ethernet header? Of others XDP programs would misread every packet.
 * @ret_type: ARPHRD_*. Return: true if the type cannot be read
 */
bool ecbpf_iface_is_ethernet(const char *iface, unsigned int *ret_type);

/*
 * Packets reach some kinds of interfaces only at layer 3, behind XDP: it can be attached, and sees
 * none of them. Return: the kind; NULL: it is none of these
 */
const char *ecbpf_iface_unseen(const char *iface);

/*
 * Return: 0; -EINVAL XDP programs would misread its packets or not see them, and ecbpf_error()
 * names the interface below
 */
int ecbpf_iface_check(struct ecbpf *e, const char *iface);

/* @ret: " (eth0)", the interface below as the kernel knows it, or "". Return: @ret */
#define ECBPF_IFACE_BELOW 32
const char *ecbpf_iface_below(const char *iface, char *ret);

/*
 * Do received packets have their VLAN tags beside them, so that XDP does not see them? Of a veth
 * whose peer is in another namespace, its own setting is taken for the peer's. @ret_fix: a command
 */
#define ECBPF_IFACE_FIX 48
bool ecbpf_iface_takes_tags(const char *iface, char *ret_fix);
/* Is it a veth whose peer is in another namespace? */
bool ecbpf_iface_is_half_veth(const char *iface);
/* Is it one end of a veth, whose other end need not complete checksums, nor put in tags? */
bool ecbpf_iface_is_veth(const char *iface);

#endif /* ECBPF_LIB_IFACE_H */
