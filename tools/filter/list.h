/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ecbpf-filter: the verbs drop and allow */
#ifndef ECBPF_TOOLS_FILTER_LIST_H
#define ECBPF_TOOLS_FILTER_LIST_H

#include "tools/common/common.h"

extern const struct tool_option filter_list_options[];

int filter_list_drop(struct tool *tool, int argc, char **argv);
int filter_list_allow(struct tool *tool, int argc, char **argv);

/* For status; 0 or TOOL_FAILED */
int filter_list_print(struct tool *tool);
int filter_list_json(struct tool *tool, struct json_object *json);

#endif /* ECBPF_TOOLS_FILTER_LIST_H */
