/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ethernet frames from a capture file, pcap or pcapng.
 */
#ifndef ECBPF_TOOLS_FRAMES_H
#define ECBPF_TOOLS_FRAMES_H

#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>

struct frames;

#define FRAME_SIZE_MAX 65535 /* bytes */

/**
 * struct frame - one frame
 * @number: from 1
 * @data: valid until the next frame
 * @size: captured bytes
 * @wire_size: bytes on the wire; more than @size if the frame is truncated
 * @sha1: of @data
 */
struct frame {
	size_t number;
	const __u8 *data;
	size_t size;
	size_t wire_size;
	__u8 sha1[20];
};

/**
 * frames_open() - open a capture
 * @file: is closed by frames_close(), or if this fails
 * @ret_frames: for frames_close()
 *
 * Return: 0; -EINVAL not a capture of Ethernet frames; -ENOMEM. See frames_error(NULL).
 */
int frames_open(FILE *file, struct frames **ret_frames);
void frames_close(struct frames *frames); /* NULL is fine */

/* Return: 1; 0 at the end; -EINVAL the rest of the file is damaged */
int frames_next(struct frames *frames, struct frame *ret_frame);

/* The error of the last failed call, one line. @frames: NULL for frames_open() */
const char *frames_error(const struct frames *frames);

#endif /* ECBPF_TOOLS_FRAMES_H */
