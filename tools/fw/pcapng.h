/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets of a pcapng file (draft-ietf-opsawg-pcapng), of any interfaces. libpcap refuses files
 * whose interfaces differ in their link type.
 */
#ifndef ECBPF_TOOLS_PCAPNG_H
#define ECBPF_TOOLS_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>

#define PCAPNG_MAGIC 0x0a0d0d0a /* first 4 bytes of a file */

struct pcapng;

/**
 * struct pcapng_packet - a packet
 * @data: valid until the next packet
 * @captured: bytes of @data
 * @size: bytes on the wire; may be wrong
 * @fcs: the last bytes that are a checksum of the link
 * @link: LINKTYPE_
 * @is_sent: by the host that captured it
 */
struct pcapng_packet {
	const __u8 *data;
	size_t captured;
	size_t size;
	unsigned int fcs;
	unsigned int link;
	bool is_sent;
};

/* @file: stays open. Return: NULL without memory */
struct pcapng *pcapng_new(FILE *file);
void pcapng_free(struct pcapng *p); /* NULL is fine */

/*
 * Return: 1; 0 at the end; -ENODATA the file ends within a block; -EINVAL it is damaged; -ENOMEM;
 * -EIO
 */
int pcapng_next(struct pcapng *p, struct pcapng_packet *ret_packet);

/* Of an error: what it is, one line */
const char *pcapng_error(const struct pcapng *p);

#endif /* ECBPF_TOOLS_PCAPNG_H */
