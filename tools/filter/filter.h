/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ecbpf-filter: what its files share */
#ifndef ECBPF_TOOLS_FILTER_H
#define ECBPF_TOOLS_FILTER_H

#include <ecbpf/libecbpf-filter.h>
#include "tools/common/common.h"

/* --- ecbpf-filter.c ------------------------------------------------------------------------- */

/* For free(); NULL: told already */
struct ecbpf_prefix *filter_vips_get(struct tool *tool, size_t *count);
struct json_object *filter_json_vips(const struct ecbpf_prefix *vips, size_t count);

/* --- list.c: verbs drop and allow ----------------------------------------------------------- */

extern const struct tool_option filter_list_options[];

int filter_list_drop(struct tool *tool, int argc, char **argv);
int filter_list_allow(struct tool *tool, int argc, char **argv);
/* For status; 0 or TOOL_FAILED */
int filter_list_print(struct tool *tool);
int filter_list_json(struct tool *tool, struct json_object *json);

/* --- status.c ------------------------------------------------------------------------------- */

extern const struct tool_option filter_status_options[];

int filter_run_status(struct tool *tool, int argc, char **argv);

#endif /* ECBPF_TOOLS_FILTER_H */
