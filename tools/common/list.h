/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Prefixes that are operands, or in a file. */
#ifndef ECBPF_TOOLS_LIST_H
#define ECBPF_TOOLS_LIST_H

#include <ecbpf/libecbpf-list.h>
#include "tools/common/common.h"

/*
 * @file: NULL: the operands, one at least; else there must be none. @flags: enum ecbpf_list_flags
 * @ret_list: for ecbpf_list_free(). Return: 0; TOOL_USAGE, TOOL_FAILED: told
 */
int tool_list_read(struct tool *tool, const char *file, int argc, char **argv, unsigned int flags,
		   struct ecbpf_list *ret_list);

/* Without tags, for free() */
struct ecbpf_prefix *tool_list_prefixes(const struct ecbpf_list *list);

/* As text; memory as of tool_str() */
const char *tool_prefix(const struct ecbpf_prefix *prefix);

#endif /* ECBPF_TOOLS_LIST_H */
