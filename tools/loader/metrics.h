/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counters for Prometheus, as text, and for statsd, see ecbpf-loader(8) */
#ifndef ECBPF_TOOLS_METRICS_H
#define ECBPF_TOOLS_METRICS_H

#include "tools/common/common.h"

/* Return: enum tool_exit */
int metrics_print(struct tool *tool, const struct tool_list *ifaces, FILE *out);
/* Into a file that is replaced in one step */
int metrics_write(struct tool *tool, const struct tool_list *ifaces, const char *path);
/* As gauges, to @where, "HOST:PORT" */
int metrics_send(struct tool *tool, const struct tool_list *ifaces, const char *where);

#endif /* ECBPF_TOOLS_METRICS_H */
