/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames from a capture file: pcap or pcapng, of Ethernet.
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
 * @data: belongs to the capture, until the next one
 * @size: bytes that were captured
 * @wire_size: bytes that it had; more than @size if it was cut
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
 * frames_open() - begin with a file
 * @file: is closed by frames_close(), or if this fails
 * @ret_frames: for frames_close()
 * Return: 0; -EINVAL it is no capture, or none of Ethernet; -ENOMEM. frames_error(NULL) tells.
 */
int frames_open(FILE *file, struct frames **ret_frames);
void frames_close(struct frames *frames); /* NULL is fine */

/* Return: 1; 0 there are no more; -EINVAL the rest of the file is damaged */
int frames_next(struct frames *frames, struct frame *ret_frame);

/* What the last call that failed has to say: one line. @frames: NULL for frames_open() */
const char *frames_error(const struct frames *frames);

#endif /* ECBPF_TOOLS_FRAMES_H */
