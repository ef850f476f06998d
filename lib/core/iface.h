/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One interface: its index, its MTU. */
#ifndef ECBPF_LIB_IFACE_H
#define ECBPF_LIB_IFACE_H

struct ecbpf;

int ecbpf_iface_index(struct ecbpf *e, const char *iface);
int ecbpf_iface_mtu(const char *iface); /* 0: not known */

#endif /* ECBPF_LIB_IFACE_H */
