/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Options of `ecbpf-sampler run` */
#ifndef ECBPF_TOOLS_SAMPLER_OPTIONS_H
#define ECBPF_TOOLS_SAMPLER_OPTIONS_H

#include "tools/common/bus.h"
#include "tools/common/common.h"

struct sampler_options {
	struct bus_options bus;
	struct tool_list texts; /* hold the strings below */
	const char *file;
	const char *statsd;
	const char *host;
	size_t ring_bytes;
	struct bus_files files; /* none, but of opener_options() */
};

/*
 * Parse the command line, then the file that it names. @file: of that, open already; or -1
 * Return: 0 or TOOL_USAGE or TOOL_FAILED, with a message printed
 */
int sampler_options_parse(struct tool *tool, int argc, char **argv, int file,
			  struct sampler_options *ret);
void sampler_options_free(struct sampler_options *o);

#endif /* ECBPF_TOOLS_SAMPLER_OPTIONS_H */
