/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Capture files with samples in them: pcapng, or classic pcap; one file or many.
 */
#ifndef ECBPF_TOOLS_CAPTURE_H
#define ECBPF_TOOLS_CAPTURE_H

#include "tools/pcap/sample.h"

/**
 * struct capture_options - where to and what
 * @path: "-" is standard output. With @seconds it is a format of strftime(3)
 * @is_classic: pcap, not pcapng
 * @size: bytes after which the next file begins; 0: none. Files are @path, @path1, @path2 ...
 * @seconds: time after which the next file begins; 0: no matter when
 * @files: with @size: go round, over so many files; else: end after so many; 0: no limit
 */
struct capture_options {
	const char *path;
	bool is_classic;
	uint64_t size;
	unsigned int seconds;
	unsigned int files;
};

struct capture;

/* Return: 0 or TOOL_FAILED, told. */
int capture_open(const struct capture_options *options, struct capture **ret_capture);

/* Return: 0; TOOL_FAILED, told; -1: that was the last file, nothing is written any more */
int capture_write(struct capture *capture, const Ecbpf__PacketSample *sample);

/* To the file, for whoever reads along. Return: 0 or TOOL_FAILED, told */
int capture_flush(struct capture *capture);
int capture_close(struct capture *capture); /* likewise; NULL is fine */

#endif /* ECBPF_TOOLS_CAPTURE_H */
