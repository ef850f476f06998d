// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The verbs of ecbpf-fw that are about what is live, see fw-live.h */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <json-c/json.h>
#include "tools/fw/live.h"

#define RATE_MS	    500 /* how long `stats` looks for packets a second */
#define WATCH_MS    1000
#define PROGRESS_AT 100000

enum {
	OPT_FUSED = TOOL_LONG_ONLY,
	OPT_CLEAR,
	OPT_WATCH,
};

static void free_ruleset(struct ecbpf_fw_ruleset **ruleset)
{
	ecbpf_fw_ruleset_free(*ruleset);
}

static void free_stats(struct ecbpf_fw_stat **stats)
{
	free(*stats);
}

/* The operands as interfaces; none: all that have the firewall */
static int take_ifaces(struct tool *tool, int argc, char **argv, struct tool_list *ret_ifaces)
{
	struct tool_list all TOOL_CLEANUP(tool_list_free) = {};

	for (int i = optind; i < argc; i++) {
		if (tool_parse_ifaces(argv[i], ret_ifaces))
			return TOOL_USAGE;
	}
	if (optind < argc)
		return 0;
	if (tool_ifaces_all(&all))
		return TOOL_FAILED;
	for (size_t i = 0; i < all.count; i++) {
		bool is_loaded = false;

		if (!ecbpf_fw_is_loaded(tool->ecbpf, all.items[i], &is_loaded) && is_loaded)
			tool_list_add(ret_ifaces, all.items[i]);
	}
	return 0;
}

/* --- load, unload, apply -------------------------------------------------------------------- */

const struct tool_option fw_load_options[] = {
	{'f', "file", "FILE", "rules; - is standard input (default: those that are live)"},
	{'m', "mode", "MODE", "native, skb or unspecified: that of the chain"},
	{OPT_FUSED, "fused", NULL, "in ecbpf_fused, with the stages that it runs already"},
	TOOL_COMMON_OPTIONS,
};

static int take_mode(const char *text, enum ecbpf_mode *ret_mode)
{
	static const char *const names[] = {
		[ECBPF_MODE_UNSPEC] = "unspecified",
		[ECBPF_MODE_NATIVE] = "native",
		[ECBPF_MODE_SKB] = "skb",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]))
			continue;
		*ret_mode = i;
		return 0;
	}
	return tool_usage("--mode: '%s' is not one of native, skb, unspecified", text);
}

int fw_run_load(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(free_ruleset) = NULL;
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	enum ecbpf_mode mode = ECBPF_MODE_UNSPEC;
	const char *file = NULL;
	bool fused = false;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		switch (id) {
		case 'f':
			file = optarg;
			break;
		case 'm':
			if (take_mode(optarg, &mode))
				return TOOL_USAGE;
			break;
		case OPT_FUSED:
			fused = true;
			break;
		default:
			return TOOL_USAGE;
		}
	}
	if (optind == argc)
		return tool_usage("which interface?");
	if (take_ifaces(tool, argc, argv, &ifaces))
		return TOOL_USAGE;
	if (file && fw_read_rules(tool, file, &ruleset))
		return TOOL_FAILED;
	if (ecbpf_fw_load(tool->ecbpf, (const char *const *)ifaces.items, ifaces.count, ruleset,
			  fused, mode))
		return tool_fail_ecbpf(tool);
	return TOOL_OK;
}

const struct tool_option fw_unload_options[] = {TOOL_COMMON_OPTIONS};

int fw_run_unload(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	int status;

	if (tool_getopt(tool, argc, argv) != -1)
		return TOOL_USAGE;
	status = take_ifaces(tool, argc, argv, &ifaces);
	if (status)
		return status;
	if (!ifaces.count)
		return tool_fail("the firewall is not loaded on any interface");
	if (ecbpf_fw_unload(tool->ecbpf, (const char *const *)ifaces.items, ifaces.count))
		return tool_fail_ecbpf(tool);
	return TOOL_OK;
}

const struct tool_option fw_apply_options[] = {
	{'f', "file", "FILE", "rules; - is standard input"},
	{'c', "check", NULL, "only find out whether they could be applied"},
	TOOL_COMMON_OPTIONS,
};

int fw_run_apply(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(free_ruleset) = NULL;
	const char *file = NULL;
	bool is_check = false;
	size_t bytes;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		switch (id) {
		case 'f':
			file = optarg;
			break;
		case 'c':
			is_check = true;
			break;
		default:
			return TOOL_USAGE;
		}
	}
	if (!file || optind < argc)
		return tool_usage("which rules? -f FILE, or -f - for standard input");
	if (fw_read_rules(tool, file, &ruleset))
		return TOOL_FAILED;
	if (is_check ? ecbpf_fw_bytes(tool->ecbpf, ruleset, &bytes)
		     : ecbpf_fw_apply(tool->ecbpf, ruleset))
		return tool_fail_ecbpf(tool);
	return TOOL_OK;
}

/* --- set ------------------------------------------------------------------------------------ */

const struct tool_option fw_set_options[] = {
	{'6', "ip6", NULL, "create: a set of IPv6 addresses (default: IPv4)"},
	{'f', "file", "FILE", "prefixes, one a line, # begins a comment; - is standard input"},
	TOOL_COMMON_OPTIONS,
};

/* Words of a file, for tool_list_free(). Return: 0 or TOOL_FAILED */
static int read_prefixes(const char *name, struct tool_list *ret_list)
{
	FILE *file = strcmp(name, "-") ? fopen(name, "re") : stdin;
	size_t size = 0, room = 0;
	char *line = NULL;
	int status = 0;

	if (!file)
		return tool_fail("%s: %s", name, strerror(errno));
	while (getline(&line, &size, file) >= 0) {
		char *rest = line, *word;

		line[strcspn(line, "#\n")] = '\0';
		while ((word = strsep(&rest, " \t\r,"))) {
			if (!*word)
				continue;
			if (ret_list->count == room) {
				room = room ? 2 * room : 1024;
				ret_list->items = tool_alloc(ret_list->items,
							     room * sizeof(*ret_list->items));
			}
			ret_list->items[ret_list->count] =
				strcpy(tool_alloc(NULL, strlen(word) + 1), word);
			ret_list->count++;
			if (ret_list->count % PROGRESS_AT == 0)
				tool_warn("%s: %zu prefixes read", name, ret_list->count);
		}
	}
	if (ferror(file))
		status = tool_fail("%s: %s", name, strerror(errno));
	free(line);
	if (file != stdin)
		fclose(file);
	return status;
}

/* All sets */
static int list_sets(const struct tool *tool)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(free_ruleset) = NULL;
	struct tool_table table TOOL_CLEANUP(tool_table_free) = {.columns = 4, .align = "llrr"};
	struct ecbpf_fw_summary summary;

	if (ecbpf_fw_get(tool->ecbpf, &ruleset))
		return tool_fail_ecbpf(tool);
	ecbpf_fw_summary(ruleset, &summary);
	tool_table_row(&table, "set", "family", "prefixes", "rules");
	for (size_t i = 0; i < summary.sets; i++) {
		struct ecbpf_fw_set set;

		ecbpf_fw_set_at(ruleset, i, &set);
		tool_table_row(&table, set.name, set.family == 4 ? "ip" : "ip6",
			       tool_str("%zu", set.prefixes), tool_str("%zu", set.rules));
	}
	tool_table_print(&table, "");
	return TOOL_OK;
}

/* A set's part of the ruleset's text, one prefix a line */
static int list_set(const struct tool *tool, const char *name)
{
	if (ecbpf_fw_set_print(tool->ecbpf, name, stdout))
		return tool_fail_ecbpf(tool);
	return TOOL_OK;
}

static int change_set(const struct tool *tool, const char *name, enum ecbpf_fw_set_change change,
		      const struct tool_list *prefixes)
{
	if (ecbpf_fw_set_change(tool->ecbpf, name, change, (const char *const *)prefixes->items,
				prefixes->count))
		return tool_fail_ecbpf(tool);
	return TOOL_OK;
}

int fw_run_set(struct tool *tool, int argc, char **argv)
{
	struct tool_list prefixes TOOL_CLEANUP(tool_list_free) = {};
	const char *verb, *name, *file = NULL;
	bool is_ip6 = false;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		switch (id) {
		case '6':
			is_ip6 = true;
			break;
		case 'f':
			file = optarg;
			break;
		default:
			return TOOL_USAGE;
		}
	}
	argc -= optind;
	argv += optind;
	if (argc == 1 && !strcmp(argv[0], "list"))
		return list_sets(tool);
	if (argc < 2)
		return tool_usage("create, destroy, add, delete, list, flush or replace; and which "
				  "set?");
	verb = argv[0];
	name = argv[1];
	for (int i = 2; i < argc; i++)
		tool_list_add(&prefixes, argv[i]);
	if (file && read_prefixes(file, &prefixes))
		return TOOL_FAILED;
	if (strcmp(verb, "add") && strcmp(verb, "delete") && strcmp(verb, "replace") &&
	    (prefixes.count || file))
		return tool_usage("%s: takes no prefixes", verb);
	if (!strcmp(verb, "create"))
		return ecbpf_fw_set_create(tool->ecbpf, name, is_ip6 ? 6 : 4)
			       ? tool_fail_ecbpf(tool)
			       : TOOL_OK;
	if (!strcmp(verb, "destroy"))
		return ecbpf_fw_set_delete(tool->ecbpf, name) ? tool_fail_ecbpf(tool) : TOOL_OK;
	if (!strcmp(verb, "list"))
		return list_set(tool, name);
	if (!strcmp(verb, "flush"))
		return change_set(tool, name, ECBPF_FW_SET_REPLACE, &prefixes);
	if (!prefixes.count && !file)
		return tool_usage("%s: which prefixes? operands, or -f FILE", verb);
	if (!strcmp(verb, "add"))
		return change_set(tool, name, ECBPF_FW_SET_ADD, &prefixes);
	if (!strcmp(verb, "delete"))
		return change_set(tool, name, ECBPF_FW_SET_DELETE, &prefixes);
	if (!strcmp(verb, "replace"))
		return change_set(tool, name, ECBPF_FW_SET_REPLACE, &prefixes);
	return tool_usage("'%s': create, destroy, add, delete, list, flush or replace?", verb);
}

/* --- stats ---------------------------------------------------------------------------------- */

const struct tool_option fw_stats_options[] = {
	{'j', "json", NULL, "as JSON"},
	{OPT_CLEAR, "clear", NULL, "set all counters to zero"},
	{OPT_WATCH, "watch", NULL, "again every second, until interrupted"},
	TOOL_COMMON_OPTIONS,
};

/* Two readings of the counters, some time apart */
struct reading {
	struct ecbpf_fw_ruleset *ruleset;
	struct ecbpf_fw_stat *stats;
	struct ecbpf_fw_stat *before; /* NULL: the rules have changed meanwhile */
	double seconds;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Are the counters of both those of the same rules? */
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
	struct tool_table table TOOL_CLEANUP(tool_table_free) = {.columns = 6, .align = "rrrrrl"};
	struct ecbpf_fw_summary summary;

	ecbpf_fw_summary(r->ruleset, &summary);
	tool_table_row(&table, "rule", "packets", "bytes", "above", "pps", "text");
	for (size_t i = 0; i < summary.rules; i++) {
		const struct ecbpf_fw_stat *stat = &r->stats[i];
		char *text = ecbpf_fw_rule_text(r->ruleset, i);

		tool_table_row(&table, tool_str("%zu", i + 1),
			       tool_str("%" PRIu64, (uint64_t)stat->packets),
			       tool_str("%" PRIu64, (uint64_t)stat->bytes),
			       tool_str("%" PRIu64, (uint64_t)stat->over),
			       tool_str("%.0f", pps(r, i)), text ? text : "");
		free(text);
	}
	tool_table_print(&table, "");
}

static void print_stats_json(const struct reading *r)
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
		tool_json_num(json, "pps", (__u64)pps(r, i));
		tool_json_str(json, "text", text);
		json_object_array_add(list, json);
		free(text);
	}
	tool_json_print(list);
}

static int show_stats(const struct tool *tool, unsigned int ms, bool is_json)
{
	struct ecbpf_fw_ruleset *old TOOL_CLEANUP(free_ruleset) = NULL;
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(free_ruleset) = NULL;
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
		print_stats_json(&reading);
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
		case OPT_CLEAR:
			is_clear = true;
			break;
		case OPT_WATCH:
			is_watch = true;
			break;
		default:
			return TOOL_USAGE;
		}
	}
	if (optind < argc)
		return tool_usage("'%s': takes no operands", argv[optind]);
	if (is_clear + is_watch + is_json > 1 && !(is_watch && is_json))
		return tool_usage("--clear goes alone");
	if (is_clear)
		return ecbpf_fw_stats_clear(tool->ecbpf) ? tool_fail_ecbpf(tool) : TOOL_OK;
	do
		status = show_stats(tool, is_watch ? WATCH_MS : RATE_MS, is_json);
	while (is_watch && status == TOOL_OK && !ferror(stdout));
	return status;
}

/* --- status --------------------------------------------------------------------------------- */

const struct tool_option fw_status_options[] = {
	{'j', "json", NULL, "as JSON"},
	TOOL_COMMON_OPTIONS,
};

int fw_run_status(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(free_ruleset) = NULL;
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_fw_summary summary;
	struct json_object *json, *list;
	bool is_json = false;
	size_t bytes;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id != 'j')
			return TOOL_USAGE;
		is_json = true;
	}
	if (optind < argc)
		return tool_usage("'%s': takes no operands", argv[optind]);
	if (take_ifaces(tool, argc, argv, &ifaces))
		return TOOL_FAILED;
	if (ecbpf_fw_get(tool->ecbpf, &ruleset) || ecbpf_fw_bytes(tool->ecbpf, ruleset, &bytes))
		return tool_fail_ecbpf(tool);
	ecbpf_fw_summary(ruleset, &summary);
	if (!is_json) {
		printf("%s, %zu KiB of tables; %s with %s\n", tool_many(summary.rules, "rule"),
		       bytes / 1024, tool_many(summary.sets, "set"),
		       tool_many(summary.prefixes, "prefix"));
		printf("loaded on:");
		for (size_t i = 0; i < ifaces.count; i++)
			printf(" %s", tool_safe(ifaces.items[i]));
		printf("%s\n", ifaces.count ? "" : " no interface");
		return TOOL_OK;
	}
	json = json_object_new_object();
	list = json_object_new_array();
	for (size_t i = 0; i < ifaces.count; i++)
		json_object_array_add(list, json_object_new_string(ifaces.items[i]));
	json_object_object_add(json, "interfaces", list);
	tool_json_num(json, "rules", summary.rules);
	tool_json_num(json, "sets", summary.sets);
	tool_json_num(json, "prefixes", summary.prefixes);
	tool_json_num(json, "table_bytes", bytes);
	tool_json_print(json);
	return TOOL_OK;
}
