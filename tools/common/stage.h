/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The interfaces of a verb of a stage */
#ifndef ECBPF_TOOLS_STAGE_H
#define ECBPF_TOOLS_STAGE_H

#include "tools/common/common.h"

/* All that have the stage. Return: 0 or TOOL_FAILED */
int tool_stage_ifaces(struct tool *tool, __u32 stage, struct tool_list *ifaces);

/* The operands; without any, all that have the stage. Return: 0, TOOL_USAGE, TOOL_FAILED */
int tool_stage_operands(struct tool *tool, __u32 stage, int argc, char **argv,
			struct tool_list *ifaces);

/* "eth0: fw loaded", for each. @how: "loaded" */
void tool_stage_changed(__u32 stage, const struct tool_list *ifaces, const char *how);

#endif /* ECBPF_TOOLS_STAGE_H */
