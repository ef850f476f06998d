/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets of other link types, as Ethernet frames.
 */
#ifndef ECBPF_TOOLS_LINK_H
#define ECBPF_TOOLS_LINK_H

#include <stddef.h>
#include <linux/types.h>

/* https://www.tcpdump.org/linktypes.html; DLT_ of libpcap, where they differ */
enum link_type {
	LINK_NULL = 0,
	LINK_ETHERNET = 1,
	LINK_DLT_RAW = 12,
	LINK_DLT_RAW_BSD = 14,
	LINK_RAW = 101,
	LINK_LOOP = 108,
	LINK_SLL = 113,
	LINK_IPV4 = 228,
	LINK_IPV6 = 229,
	LINK_SLL2 = 276,
};

/**
 * struct link_view - a packet without its link header
 * @ethertype: host order; -1: it was not captured
 * @header: bytes of the link header
 */
struct link_view {
	int ethertype;
	size_t header;
};

/*
 * @data: @captured bytes of a packet that is no Ethernet frame, of @size bytes
 * Return: NULL, or why it is nothing that XDP sees
 */
const char *link_view(unsigned int type, const __u8 *data, size_t captured, size_t size,
		      struct link_view *ret);

#endif /* ECBPF_TOOLS_LINK_H */
