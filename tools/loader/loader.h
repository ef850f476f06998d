/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ecbpf-loader: what its files share */
#ifndef ECBPF_TOOLS_LOADER_H
#define ECBPF_TOOLS_LOADER_H

#include <getopt.h>
#include "tools/common/common.h"

enum {
	OPT_FUSED = TOOL_LONG_ONLY,
	OPT_DIFF,
	OPT_NO_LLDP,
	OPT_STOP,
	OPT_RESET_RUNTIME,
	OPT_STATSD,
	OPT_RELOAD,
	OPT_SINCE,
};

/* --- verbs ---------------------------------------------------------------------------------- */

extern const struct tool_option loader_load_options[];
extern const struct tool_option loader_replace_options[];
extern const struct tool_option loader_unload_options[];
extern const struct tool_option loader_clean_options[];
int loader_run_load(struct tool *tool, int argc, char **argv);
int loader_run_replace(struct tool *tool, int argc, char **argv);
int loader_run_unload(struct tool *tool, int argc, char **argv);
int loader_run_clean(struct tool *tool, int argc, char **argv);

extern const struct tool_option loader_status_options[];
int loader_run_status(struct tool *tool, int argc, char **argv);
int loader_status_print(struct tool *tool, const struct tool_list *ifaces, bool is_json);

int loader_run_features(struct tool *tool, int argc, char **argv);
int loader_run_stages(struct tool *tool, int argc, char **argv);
int loader_run_doctor(struct tool *tool, int argc, char **argv);

extern const struct tool_option loader_apply_options[];
extern const struct tool_option loader_export_options[];
extern const struct tool_option loader_refresh_options[];
int loader_run_apply(struct tool *tool, int argc, char **argv);
int loader_run_export(struct tool *tool, int argc, char **argv);
int loader_run_refresh(struct tool *tool, int argc, char **argv);

extern const struct tool_option loader_log_options[];
int loader_run_log(struct tool *tool, int argc, char **argv);

extern const struct tool_option loader_watch_options[];
int loader_run_watch(struct tool *tool, int argc, char **argv);

extern const struct tool_option loader_metrics_options[];
int loader_run_metrics(struct tool *tool, int argc, char **argv);
/* @is_named: only of @ifaces, which are else all that there are */
int loader_metrics_print(struct tool *tool, const struct tool_list *ifaces, bool is_named,
			 FILE *out);

#endif /* ECBPF_TOOLS_LOADER_H */
