// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw stats: counters of the live rules. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <json-c/json.h>
#include "tools/common/change.h"
#include "tools/fw/fw.h"

#define RATE_MS	 500 /* over which `stats` measures packets a second */
#define WATCH_MS 1000

enum {
	OPT_WATCH = TOOL_LONG_ONLY,
};

static void free_stats(struct ecbpf_fw_stat **stats)
{
	free(*stats);
}

const struct tool_option fw_stats_options[] = {
	{'j', "json", NULL, "as JSON"},
	TOOL_CLEAR_OPTION,
	TOOL_QUIET_OPTION,
	{OPT_WATCH, "watch", NULL,
	 "print them every second until interrupted;\nwith --json, a document on each line"},
	TOOL_COMMON_OPTIONS,
};

/* Two readings of the counters, @seconds apart */
struct reading {
	struct ecbpf_fw_ruleset *ruleset;
	struct ecbpf_fw_stat *stats;
	struct ecbpf_fw_stat *before; /* NULL: the rules have changed since */
	double seconds;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Do both have the same rules? */
static bool is_same(const struct ecbpf_fw_ruleset *a, const struct ecbpf_fw_ruleset *b)
{
	struct ecbpf_fw_summary x, y;
	bool same;

	ecbpf_fw_summary(a, &x);
	ecbpf_fw_summary(b, &y);
	same = x.rules == y.rules;
	for (size_t i = 0; same && i < x.rules; i++) {
		char *p = ecbpf_fw_rule_text(a, i), *q = ecbpf_fw_rule_text(b, i);

		same = p && q && !strcmp(p, q);
		free(p);
		free(q);
	}
	return same;
}

static double pps(const struct reading *r, size_t i)
{
	if (!r->before || r->stats[i].packets < r->before[i].packets)
		return 0;
	return (r->stats[i].packets - r->before[i].packets) / r->seconds;
}

static void print_stats(const struct reading *r)
{
	struct tool_table table TOOL_CLEANUP(tool_table_free) = {.columns = 7, .align = "rrrrrrl"};
	struct ecbpf_fw_summary summary;

	ecbpf_fw_summary(r->ruleset, &summary);
	tool_table_row(&table, "rule", "packets", "bytes", "above", "shared", "pps", "text");
	for (size_t i = 0; i < summary.rules; i++) {
		const struct ecbpf_fw_stat *stat = &r->stats[i];
		char *text = ecbpf_fw_rule_text(r->ruleset, i);

		tool_table_row(&table, tool_str("%zu", i + 1),
			       tool_str("%" PRIu64, (uint64_t)stat->packets),
			       tool_str("%" PRIu64, (uint64_t)stat->bytes),
			       tool_str("%" PRIu64, (uint64_t)stat->over),
			       tool_str("%" PRIu64, (uint64_t)stat->shared),
			       tool_str("%.0f", pps(r, i)), text ? text : "");
		free(text);
	}
	tool_table_print(&table, "");
}

static void print_stats_json(const struct reading *r, bool is_line)
{
	struct json_object *list = json_object_new_array();
	struct ecbpf_fw_summary summary;

	ecbpf_fw_summary(r->ruleset, &summary);
	for (size_t i = 0; i < summary.rules; i++) {
		struct json_object *json = json_object_new_object();
		char *text = ecbpf_fw_rule_text(r->ruleset, i);

		tool_json_num(json, "number", i + 1);
		tool_json_str(json, "name", ecbpf_fw_rule_name(r->ruleset, i));
		tool_json_num(json, "packets", r->stats[i].packets);
		tool_json_num(json, "bytes", r->stats[i].bytes);
		tool_json_num(json, "above", r->stats[i].over);
		tool_json_num(json, "shared", r->stats[i].shared);
		tool_json_num(json, "pps", (__u64)pps(r, i));
		tool_json_str(json, "text", text);
		json_object_array_add(list, json);
		free(text);
	}
	if (is_line)
		tool_json_print_line(list);
	else
		tool_json_print(list);
}

static int show_stats(const struct tool *tool, unsigned int ms, bool is_json, bool is_watch)
{
	struct ecbpf_fw_ruleset *old TOOL_CLEANUP(fw_free_ruleset) = NULL;
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(fw_free_ruleset) = NULL;
	struct ecbpf_fw_stat *before TOOL_CLEANUP(free_stats) = NULL;
	struct ecbpf_fw_stat *stats TOOL_CLEANUP(free_stats) = NULL;
	struct reading reading;
	double start = now();

	if (ecbpf_fw_stats(tool->ecbpf, &old, &before))
		return tool_fail_ecbpf(tool);
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
	if (ecbpf_fw_stats(tool->ecbpf, &ruleset, &stats))
		return tool_fail_ecbpf(tool);
	reading = (struct reading){.ruleset = ruleset,
				   .stats = stats,
				   .before = is_same(old, ruleset) ? before : NULL,
				   .seconds = now() - start};
	if (is_json)
		print_stats_json(&reading, is_watch);
	else
		print_stats(&reading);
	fflush(stdout);
	return TOOL_OK;
}

int fw_run_stats(struct tool *tool, int argc, char **argv)
{
	bool is_json = false, is_clear = false, is_watch = false;
	int id, status;

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
		default:
			return TOOL_USAGE;
		}
	}
	if (tool_operands_none(argc, argv))
		return TOOL_USAGE;
	if (is_clear && is_watch)
		return tool_usage("--clear and --watch cannot be combined");
	if (is_clear) {
		tool_change_begin(NULL);
		if (ecbpf_fw_stats_clear(tool->ecbpf))
			return tool_fail_ecbpf(tool);
		tool_changed("counters of all rules set to zero");
		return TOOL_OK;
	}
	do
		status = show_stats(tool, is_watch ? WATCH_MS : RATE_MS, is_json, is_watch);
	while (is_watch && status == TOOL_OK && !ferror(stdout));
	return status;
}
