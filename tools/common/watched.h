/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A warning that what is taken away comes back */
#ifndef ECBPF_TOOLS_WATCHED_H
#define ECBPF_TOOLS_WATCHED_H

#include "tools/common/common.h"

/*
 * If `ecbpf-loader watch` runs and keeps something else than @file, which is applied ("": the
 * installed one; NULL: what is declared is taken away). @ifaces: NULL: all
 */
void tool_warn_watched(struct tool *tool, const char *file, const struct tool_list *ifaces);

#endif /* ECBPF_TOOLS_WATCHED_H */
