/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What `ecbpf-loader watch` writes every second for those who may not ask the kernel.
 *
 * Maps and programs can be opened by root only, whatever the modes of their pins are. So the group
 * ecbpf gets files, which take no request that a process of root would have to parse.
 */
#ifndef ECBPF_TOOLS_LOADER_ANSWERS_H
#define ECBPF_TOOLS_LOADER_ANSWERS_H

#include <stdio.h>
#include "tools/common/common.h"

enum answer {
	ANSWER_STATUS,
	ANSWER_STATUS_JSON,
	ANSWER_METRICS,
	ANSWER_MAX,
};

#define ANSWER_NONE (-1)

/* Write all of them, those that cannot be written not */
void answers_write(struct tool *tool);
void answers_remove(void);

/*
 * For users other than root: print one to @out, and its age to stderr. Return: ANSWER_NONE, the
 * user is root, or there is none; else enum tool_exit
 */
int answer_print(enum answer answer, FILE *out);

#endif /* ECBPF_TOOLS_LOADER_ANSWERS_H */
