/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames from a capture file: pcap or pcapng, of Ethernet.
 */
#ifndef ECBPF_TOOLS_CAPTURE_H
#define ECBPF_TOOLS_CAPTURE_H

#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>

struct capture;

#define CAPTURE_FRAME_MAX 65535 /* bytes */

/**
 * struct capture_frame - one frame
 * @number: from 1
 * @data: belongs to the capture, until the next one
 * @size: bytes that were captured
 * @wire_size: bytes that it had; more than @size if it was cut
 * @sha1: of @data
 */
struct capture_frame {
	size_t number;
	const __u8 *data;
	size_t size;
	size_t wire_size;
	__u8 sha1[20];
};

/**
 * capture_open() - begin with a file
 * @file: is closed by capture_close(), or if this fails
 * @ret_capture: for capture_close()
 * Return: 0; -EINVAL it is no capture, or none of Ethernet; -ENOMEM. capture_error(NULL) tells.
 */
int capture_open(FILE *file, struct capture **ret_capture);
void capture_close(struct capture *capture); /* NULL is fine */

/* Return: 1; 0 there are no more; -EINVAL the rest of the file is damaged */
int capture_next(struct capture *capture, struct capture_frame *ret_frame);

/* What the last call that failed has to say: one line. @capture: NULL for capture_open() */
const char *capture_error(const struct capture *capture);

#endif /* ECBPF_TOOLS_CAPTURE_H */
