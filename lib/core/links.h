/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Interfaces, and what they are members of */
#ifndef ECBPF_LINKS_H
#define ECBPF_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <net/if.h>

struct ecbpf;

struct ecbpf_link {
	char name[IF_NAMESIZE];
	int ifindex;
	int master; /* ifindex of its bond, bridge and so on; 0: none */
	int lower;  /* ifindex of the interface below a VLAN or macvlan; 0: none here */
	bool is_ethernet;
	bool is_up;
	unsigned char mac[6];
	unsigned int mtu;
	unsigned int xdp_ids[3]; /* of programs that are attached: native, skb, hw; 0: none */
};

/* All of this network namespace. @ret_links: for free() */
int ecbpf_links_read(struct ecbpf *e, struct ecbpf_link **ret_links, size_t *ret_count);

#endif /* ECBPF_LINKS_H */
