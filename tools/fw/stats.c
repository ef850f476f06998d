// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw stats: counters of the live rules. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <json-c/json.h>
#include "tools/common/change.h"
#include "tools/common/screen.h"
#include "tools/fw/reading.h"

#define RATE_MS	 500 /* over which `stats` measures packets a second */
#define WATCH_MS 1000

enum {
	OPT_WATCH = TOOL_LONG_ONLY,
	OPT_SORT,
};

const struct tool_option fw_stats_options[] = {
	{'j', "json", NULL, "as JSON"},
	{OPT_SORT, "sort", "packets|bytes|rate|dropped|number",
	 "rules with most of it first (default: number;\nof --watch on a terminal: rate)"},
	TOOL_CLEAR_OPTION,
	TOOL_QUIET_OPTION,
	{OPT_WATCH, "watch", NULL,
	 "show them every second until interrupted: on a\nterminal in place; with --json, a "
	 "document on\neach line"},
	TOOL_COMMON_OPTIONS,
};

static const char *number(__u64 value)
{
	return tool_str("%" PRIu64, (uint64_t)value);
}

static void print_stats(const struct fw_reading *r, const size_t *order)
{
	struct tool_table table TOOL_CLEANUP(tool_table_free) = {.columns = 8, .align = "rrrrrrrl"};

	tool_table_row(&table, "rule", "packets", "bytes", "dropped", "above", "shared", "pps",
		       "text");
	for (size_t k = 0; k < r->count; k++) {
		size_t i = order[k];
		const struct ecbpf_fw_stat *stat = &r->stats[i];
		char *text TOOL_CLEANUP(fw_free_text) = ecbpf_fw_rule_text(r->ruleset, i);

		tool_table_row(&table, number(i + 1), number(stat->packets), number(stat->bytes),
			       number(stat->dropped), number(stat->over), number(stat->shared),
			       tool_str("%.0f", r->rates[i].packets), text ?: "");
	}
	tool_table_print(&table, "");
}

static void print_stats_json(const struct fw_reading *r, const size_t *order, bool is_line)
{
	struct json_object *list = json_object_new_array();

	for (size_t k = 0; k < r->count; k++) {
		struct json_object *json = json_object_new_object();
		size_t i = order[k];
		char *text TOOL_CLEANUP(fw_free_text) = ecbpf_fw_rule_text(r->ruleset, i);

		tool_json_num(json, "number", i + 1);
		tool_json_str(json, "name", ecbpf_fw_rule_name(r->ruleset, i));
		tool_json_num(json, "packets", r->stats[i].packets);
		tool_json_num(json, "bytes", r->stats[i].bytes);
		tool_json_num(json, "above", r->stats[i].over);
		tool_json_num(json, "shared", r->stats[i].shared);
		tool_json_num(json, "pps", (__u64)r->rates[i].packets);
		tool_json_str(json, "text", text);
		tool_json_num(json, "dropped", r->stats[i].dropped);
		json_object_array_add(list, json);
	}
	if (is_line)
		tool_json_print_line(list);
	else
		tool_json_print(list);
}

/* One after another, or a single one */
static int print_readings(const struct tool *tool, enum fw_sort sort, bool is_json, bool is_watch)
{
	unsigned int ms = is_watch ? WATCH_MS : RATE_MS;
	struct fw_reading reading TOOL_CLEANUP(fw_reading_free) = {};
	int err = fw_reading_take(tool, &reading);

	while (!err && !ferror(stdout)) {
		size_t *order;

		nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
		err = fw_reading_take(tool, &reading);
		if (err)
			break;
		order = fw_reading_order(&reading, sort);
		if (is_json)
			print_stats_json(&reading, order, is_watch);
		else
			print_stats(&reading, order);
		free(order);
		fflush(stdout);
		if (!is_watch)
			return TOOL_OK;
	}
	return err ? tool_fail_ecbpf(tool) : TOOL_OK;
}

static int clear(const struct tool *tool)
{
	tool_change_begin(NULL);
	if (ecbpf_fw_stats_clear(tool->ecbpf))
		return tool_fail_ecbpf(tool);
	tool_changed("counters of all rules set to zero");
	return TOOL_OK;
}

int fw_run_stats(struct tool *tool, int argc, char **argv)
{
	bool is_json = false, is_clear = false, is_watch = false, is_sorted = false;
	enum fw_sort sort = FW_SORT_NUMBER;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		switch (id) {
		case 'j':
			is_json = true;
			break;
		case TOOL_CLEAR:
			is_clear = true;
			break;
		case OPT_WATCH:
			is_watch = true;
			break;
		case OPT_SORT:
			is_sorted = true;
			if (fw_sort_parse(optarg, &sort))
				return TOOL_USAGE;
			break;
		default:
			return TOOL_USAGE;
		}
	}
	if (tool_operands_none(argc, argv))
		return TOOL_USAGE;
	if (is_clear && (is_watch || is_sorted))
		return tool_usage("--clear and --%s cannot be combined",
				  is_watch ? "watch" : "sort");
	if (is_clear)
		return clear(tool);
	if (is_watch && !is_json && tool_screen_is_there())
		return fw_watch(tool, is_sorted ? sort : FW_SORT_RATE);
	return print_readings(tool, sort, is_json, is_watch);
}
