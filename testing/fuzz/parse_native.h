/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The parser, compiled for user space, and what must hold for every frame whatever is in it.
 */
#ifndef PARSE_NATIVE_H
#define PARSE_NATIVE_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

struct xdp_md;

/* The length of the frame at hand, with what is behind its linear part */
static __u32 parse_whole_len;

static inline __u32 ecbpf_frame_len(struct xdp_md *ctx, __u32 linear_len)
{
	(void)ctx;
	(void)linear_len;
	return parse_whole_len;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#include <ecbpf/parse.bpf.h>
#pragma GCC diagnostic pop

/* Bytes before this one are not looked at (record.h) */
#define PARSE_FROM 12

/**
 * parse_frame() - parse and check
 * @frame: the linear part; changed
 * @linear_len: its length
 * @whole_len: length of the frame, with its fragments if it has any
 * @rec: output
 *
 * Return: NULL, or what is wrong: ecbpf_parse_plain() finds something else than ecbpf_parse(), or
 * the record depends on bytes beyond hdr_len.
 */
static const char *parse_frame(__u8 *frame, __u32 linear_len, __u32 whole_len,
			       struct ecbpf_record *rec)
{
	struct ecbpf_record other;
	__u32 hdr_len;

	parse_whole_len = whole_len;
	memset(rec, 0xaa, sizeof(*rec));
	ecbpf_parse(NULL, frame, frame + linear_len, rec);
	memset(&other, 0x55, sizeof(other));
	if (ecbpf_parse_plain(NULL, frame, frame + linear_len, &other) &&
	    memcmp(rec, &other, sizeof(other)))
		return "ecbpf_parse_plain() differs";
	hdr_len = rec->hdr_len;
	if (hdr_len > linear_len)
		return "hdr_len is beyond the frame";
	for (__u32 i = 0; i < PARSE_FROM && i < linear_len; i++)
		frame[i] ^= 0xff;
	for (__u32 i = hdr_len > PARSE_FROM ? hdr_len : PARSE_FROM; i < linear_len; i++)
		frame[i] ^= 0xff;
	ecbpf_parse(NULL, frame, frame + linear_len, &other);
	if (memcmp(rec, &other, sizeof(other)))
		return "the record depends on bytes outside [12, hdr_len)";
	return NULL;
}

#endif /* PARSE_NATIVE_H */
