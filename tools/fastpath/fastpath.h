/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ecbpf-fastpath: what its files share */
#ifndef ECBPF_TOOLS_FASTPATH_H
#define ECBPF_TOOLS_FASTPATH_H

#include <getopt.h>
#include <ecbpf/libecbpf-fastpath.h>
#include "tools/common/common.h"

/* --- ecbpf-fastpath.c ----------------------------------------------------------------------- */

extern const struct tool_option json_options[];

/* --- text.c --------------------------------------------------------------------------------- */

/* @what: for errors. Return: 0 or TOOL_USAGE */
int parse_prefix(struct tool *tool, const char *what, const char *text,
		 struct ecbpf_prefix *ret_prefix);
/* PROTO SOURCE DESTINATION */
int parse_flow(struct tool *tool, char **words, struct ecbpf_fastpath_flow *ret_flow);
/* Memory as of tool_str() */
const char *addr_text(const __u8 *addr);
const char *endpoint_text(const __u8 *addr, __u16 port);
const char *proto_text(__u8 proto);
const char *mac_text(const __u8 *mac);
const char *iface_text(__u32 ifindex);
const char *flow_state(const struct ecbpf_fastpath_flow *flow);
const char *hop_text(const struct ecbpf_hop *hop);
/* "192.0.2.11:80 ESTABLISHED 899 s" */
const char *ipvs_text(const struct ecbpf_fastpath_flow *flow);

/* --- set.c ---------------------------------------------------------------------------------- */

int run_set(struct tool *tool, int argc, char **argv);

/* --- status.c ------------------------------------------------------------------------------- */

extern const char off_text[];

int run_status(struct tool *tool, int argc, char **argv);
int run_stats(struct tool *tool, int argc, char **argv);

/* --- flows.c -------------------------------------------------------------------------------- */

extern const struct tool_option flows_options[];
extern const struct tool_option flush_options[];

/* @is_known: it is in the table */
struct json_object *flow_json(const struct ecbpf_fastpath_flow *flow, bool is_known);

int run_flows(struct tool *tool, int argc, char **argv);
int run_flush(struct tool *tool, int argc, char **argv);
int run_explain(struct tool *tool, int argc, char **argv);

/* --- check.c -------------------------------------------------------------------------------- */

int run_check(struct tool *tool, int argc, char **argv);

#endif /* ECBPF_TOOLS_FASTPATH_H */
