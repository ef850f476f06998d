/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which samples the options of ecbpf-pcap select */
#ifndef ECBPF_TOOLS_PCAP_FILTER_H
#define ECBPF_TOOLS_PCAP_FILTER_H

#include <pcap/pcap.h>
#include "tools/pcap/options.h"

struct filter {
	struct bpf_program program;
	bool is_compiled; /* else every packet matches */
};

/* Compile an expression, see pcap-filter(7). Return: 0, or TOOL_FAILED or TOOL_USAGE with a message
 * printed
 */
int filter_compile(struct filter *filter, const char *expression);
bool filter_takes(const struct filter *filter, const struct pcap_options *o,
		  const Ecbpf__PacketSample *s);
void filter_free(struct filter *filter);

#endif /* ECBPF_TOOLS_PCAP_FILTER_H */
