/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a verb changes: printed when it ends, and written to the journal, see audit.h.
 *
 * A verb that changes something calls tool_change_begin() when its arguments are understood, then
 * tool_changed() for each change that was made. All else is done when it ends.
 */
#ifndef ECBPF_TOOLS_CHANGE_H
#define ECBPF_TOOLS_CHANGE_H

#include "tools/common/common.h"

/* @sub: the verb's own verb, "add"; or NULL */
void tool_change_begin(const char *sub);

/* It changes rules, lists or settings of a stage: warn if these reach no packet */
void tool_change_stage(__u32 stage);
/* The same, even if it changes nothing, and with --quiet */
void tool_change_urgent(__u32 stage);

/* An interface that it is for. Those among operands and options are known */
void tool_change_iface(const char *iface);

/* Only print what would be changed: nothing is written to the journal */
void tool_change_check(void);

/* "set bad: 2 added, 1 removed", by ecbpf_changed() */
void tool_entries_changed(const struct tool *tool, const char *what);

/* A line: what was changed; or why nothing was */
void tool_changed(const char *fmt, ...) TOOL_PRINTF(1, 2);
void tool_unchanged(const char *fmt, ...) TOOL_PRINTF(1, 2);

/* This instead of the lines of tool_changed(), but in JSON */
void tool_change_short(const char *fmt, ...) TOOL_PRINTF(1, 2);

/* A member of the JSON object, besides "changed" and "changes" */
void tool_change_number(const char *key, __u64 value);

/* --- for common.c --------------------------------------------------------------------------- */

/* Errors and warnings only? */
bool tool_change_is_quiet(void);
/* Of options: print errors only; print JSON */
void tool_change_quiet(void);
void tool_change_json(void);
/* Before the verb runs: its arguments */
void tool_change_args(int argc, char **argv);
/* Has the verb gone as far as changes? What it prints then is no more than what was changed */
bool tool_change_is_begun(void);
/* After it. @error: what it said last */
void tool_change_end(const struct tool *tool, int status, const char *error);

#endif /* ECBPF_TOOLS_CHANGE_H */
