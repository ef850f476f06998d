/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage count: the classes it counts. Its per-CPU array map `count_protocols` has one entry a
 * class. Every packet is counted in exactly one class, and tagged ones in "vlan" besides.
 *
 * ABI: values are append-only.
 */
#ifndef ECBPF_COUNT_H
#define ECBPF_COUNT_H

#include <linux/types.h>

/* X(value, NAME, "name") */
#define ECBPF_COUNT_CLASSES(X)          \
	X(0, OTHER, "other")            \
	X(1, ARP, "arp")                \
	X(2, IP_TCP, "ip-tcp")          \
	X(3, IP_UDP, "ip-udp")          \
	X(4, IP_ICMP, "ip-icmp")        \
	X(5, IP_FRAG, "ip-fragment")    \
	X(6, IP_OTHER, "ip-other")      \
	X(7, IP6_TCP, "ip6-tcp")        \
	X(8, IP6_UDP, "ip6-udp")        \
	X(9, IP6_ICMP, "ip6-icmp")      \
	X(10, IP6_FRAG, "ip6-fragment") \
	X(11, IP6_OTHER, "ip6-other")   \
	X(12, MALFORMED, "malformed")   \
	X(13, VLAN, "vlan")

enum ecbpf_count_class {
#define X(value, NAME, name) ECBPF_COUNT_##NAME = value,
	ECBPF_COUNT_CLASSES(X)
#undef X
};

#define ECBPF_COUNT_MAX 32

struct ecbpf_count {
	__u64 packets;
	__u64 bytes; /* whole frames */
};

#endif /* ECBPF_COUNT_H */
