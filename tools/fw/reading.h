/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Two readings of the counters of the live rules: totals, rates, and the order to show rules in. */
#ifndef ECBPF_TOOLS_FW_READING_H
#define ECBPF_TOOLS_FW_READING_H

#include "tools/fw/fw.h"

enum fw_sort {
	FW_SORT_NUMBER,
	FW_SORT_PACKETS,
	FW_SORT_BYTES,
	FW_SORT_RATE,
	FW_SORT_DROPPED,
};

/* Of a rule, per second */
struct fw_rate {
	double packets;
	double bytes;
	double dropped;
};

/**
 * struct fw_reading - counters of the live rules
 * @time: of CLOCK_MONOTONIC, in seconds
 * @rates: since the reading before; 0 without one, or if the rules have changed since
 */
struct fw_reading {
	struct ecbpf_fw_ruleset *ruleset;
	struct ecbpf_fw_stat *stats;
	struct fw_rate *rates;
	size_t count;
	double time;
};

/*
 * @reading: the one before, which is freed; or {}. After an error, of the library, it is as it was.
 * Return: 0, errors
 */
int fw_reading_take(const struct tool *tool, struct fw_reading *reading);
void fw_reading_free(struct fw_reading *reading);

/* Indices of rules: by number, or what has most of @sort first; for free() */
size_t *fw_reading_order(const struct fw_reading *reading, enum fw_sort sort);

/* Return: 0 or TOOL_USAGE */
int fw_sort_parse(const char *text, enum fw_sort *ret_sort);
const char *fw_sort_name(enum fw_sort sort);

/* --- watch.c -------------------------------------------------------------------------------- */

/* Show them on a terminal, in place, until a signal or an error. Return: enum tool_exit */
int fw_watch(const struct tool *tool, enum fw_sort sort);

#endif /* ECBPF_TOOLS_FW_READING_H */
