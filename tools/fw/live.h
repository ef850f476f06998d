/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The verbs of ecbpf-fw that are about what is live */
#ifndef ECBPF_TOOLS_FW_LIVE_H
#define ECBPF_TOOLS_FW_LIVE_H

#include <ecbpf/libecbpf-fw.h>
#include "tools/common/common.h"

/* --- ecbpf-fw.c ----------------------------------------------------------------------------- */

/* Rules of a file. Return: 0 or TOOL_FAILED, all errors told */
int fw_read_rules(const struct tool *tool, const char *file, struct ecbpf_fw_ruleset **ret_ruleset);

/* Tell the library's failure, that may be about rules. Return: TOOL_FAILED */
int fw_fail_rules(const struct tool *tool);

/* --- fw-live.c ------------------------------------------------------------------------------ */

extern const struct tool_option fw_load_options[], fw_unload_options[], fw_apply_options[],
	fw_set_options[], fw_stats_options[], fw_status_options[];
int fw_run_load(struct tool *tool, int argc, char **argv);
int fw_run_unload(struct tool *tool, int argc, char **argv);
int fw_run_apply(struct tool *tool, int argc, char **argv);
int fw_run_set(struct tool *tool, int argc, char **argv);
int fw_run_stats(struct tool *tool, int argc, char **argv);
int fw_run_status(struct tool *tool, int argc, char **argv);

#endif /* ECBPF_TOOLS_FW_LIVE_H */
