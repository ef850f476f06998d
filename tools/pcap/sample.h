/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Samples as they come from the bus, where anybody may have written them.
 */
#ifndef ECBPF_TOOLS_SAMPLE_H
#define ECBPF_TOOLS_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <netinet/in.h>
#include "tools/common/packet_sample.pb-c.h"

#define SAMPLE_MESSAGE_MAX (128 << 10) /* bytes; those of our daemon are below 20 KiB */
#define SAMPLE_TEXT_MAX	   255

/**
 * sample_decode() - make a sample of a message
 *
 * What it returns can be relied on: it has a record, texts are safe for a terminal
 * (tool_safe()) and at most SAMPLE_TEXT_MAX long, and the packet is no longer than @length says.
 *
 * Return: valid until the next call; NULL: it is not one.
 */
const Ecbpf__PacketSample *sample_decode(const void *bytes, size_t size);

/* Addresses of an IP packet, in network order */
struct sample_addresses {
	int family; /* AF_INET, AF_INET6; 0: it is no IP packet, or too little of it is there */
	struct in6_addr source, destination; /* IPv4 in the first 4 bytes */
};

void sample_addresses(const Ecbpf__PacketSample *sample, struct sample_addresses *ret);

/* One line: time, interface, verdict, why, what */
void sample_print(FILE *file, const Ecbpf__PacketSample *sample);

/* "XDP_DROP fw, rule 3: ip-ihl", of at most @size bytes */
void sample_verdict_text(const Ecbpf__PacketSample *sample, char *ret, size_t size);

#endif /* ECBPF_TOOLS_SAMPLE_H */
