/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who sends most: samples counted by a key, scaled to packets.
 */
#ifndef ECBPF_TOOLS_TOP_H
#define ECBPF_TOOLS_TOP_H

#include "tools/pcap/sample.h"

enum top_by {
	TOP_NONE,
	TOP_SRC,
	TOP_DST,
	TOP_SPORT,
	TOP_DPORT,
	TOP_PROTO,
	TOP_REASON,
};

/* "src" to TOP_SRC; TOP_NONE if there is no such word */
enum top_by top_parse(const char *word);

struct top;

struct top *top_new(enum top_by by);
void top_add(struct top *top, const Ecbpf__PacketSample *sample);

/**
 * top_print() - print what came since the last time, and forget it
 * @lines: at most so many keys
 * @seconds: in so many seconds
 * @factor: of the samples drawn, only one in so many came here: 1 if none was lost
 */
void top_print(struct top *top, unsigned int lines, double seconds, double factor);
void top_free(struct top *top); /* NULL is fine */

#endif /* ECBPF_TOOLS_TOP_H */
