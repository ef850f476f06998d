/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ethernet frames from a capture file, pcap or pcapng. Packets of other link types get an Ethernet
 * header: with zeros for addresses, and as long as it would be.
 */
#ifndef ECBPF_TOOLS_FRAMES_H
#define ECBPF_TOOLS_FRAMES_H

#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>

struct frames;

/**
 * struct frame - one frame
 * @number: from 1
 * @data: valid until the next frame
 * @captured: bytes of @data, not more than @size
 * @size: bytes of the whole frame
 * @sha1: of the captured bytes as they are in the file
 * @skip: NULL, or why it is no frame that XDP sees; it has no @data then
 */
struct frame {
	size_t number;
	const __u8 *data;
	size_t captured;
	size_t size;
	__u8 sha1[20];
	const char *skip;
};

/**
 * frames_open() - open a capture
 * @file: is closed by frames_close(), or if this fails
 * @ret_frames: for frames_close()
 *
 * Return: 0; -EINVAL not a capture; -ENOMEM. See frames_error(NULL).
 */
int frames_open(FILE *file, struct frames **ret_frames);
void frames_close(struct frames *frames); /* NULL is fine */

/* Return: 1; 0 at the end; -ENODATA the end of the file is missing; others: it is damaged */
int frames_next(struct frames *frames, struct frame *ret_frame);

/* The error of the last failed call, one line. @frames: NULL for frames_open() */
const char *frames_error(const struct frames *frames);

#endif /* ECBPF_TOOLS_FRAMES_H */
