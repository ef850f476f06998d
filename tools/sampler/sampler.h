/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ecbpf-sampler's parts: the verb `run` is a file of its own */
#ifndef ECBPF_TOOLS_SAMPLER_H
#define ECBPF_TOOLS_SAMPLER_H

#include "tools/common/common.h"

extern const struct tool_option sampler_run_options[];
int sampler_run(struct tool *tool, int argc, char **argv);

#endif /* ECBPF_TOOLS_SAMPLER_H */
