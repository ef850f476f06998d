/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Losses, counted from gaps in the numbers of samples, see ecbpf-sample(5) */
#ifndef ECBPF_TOOLS_PCAP_LOSSES_H
#define ECBPF_TOOLS_PCAP_LOSSES_H

#include "tools/pcap/sample.h"

#define LOSSES_TRACKS 4096

/* One sequence of numbers: a topic of a publisher, or a CPU of its host */
struct track {
	uint64_t publisher;
	uint32_t what; /* action, or CPU + ACTIONS */
	bool is_used, is_new;
	uint64_t next; /* of a topic: the number expected next */
	uint64_t lost; /* of a CPU: the last value of its counter */
};

struct losses {
	uint64_t on_bus;    /* samples that were published but not received */
	uint64_t at_source; /* samples that were drawn but not published */
	struct track tracks[LOSSES_TRACKS];
	size_t tracks_used;
};

/* Compare the numbers of a sample with those of the ones before it. */
void losses_count(struct losses *l, const Ecbpf__PacketSample *s);

#endif /* ECBPF_TOOLS_PCAP_LOSSES_H */
