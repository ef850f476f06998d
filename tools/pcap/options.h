/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Command line of ecbpf-pcap */
#ifndef ECBPF_TOOLS_PCAP_OPTIONS_H
#define ECBPF_TOOLS_PCAP_OPTIONS_H

#include "tools/common/bus.h"
#include "tools/common/common.h"
#include "tools/pcap/capture.h"
#include "tools/pcap/top.h"

struct pcap_options {
	struct bus_options bus;
	struct capture_options capture;
	struct tool_list programs, reasons, ifaces;
	char *expression; /* see pcap-filter(7); NULL: none */
	__u32 actions;	  /* bits; 0: all */
	uint64_t count;
	unsigned int duration_s;
	bool is_printing;
	enum top_by top;
	unsigned int interval_s, lines;
};

extern const struct tool_option pcap_option_table[];

/* Return: 0, or TOOL_USAGE with a message printed. @o is to be freed in either case */
int pcap_options_parse(struct tool *tool, int argc, char **argv, struct pcap_options *o);
void pcap_options_free(struct pcap_options *o);

#endif /* ECBPF_TOOLS_PCAP_OPTIONS_H */
