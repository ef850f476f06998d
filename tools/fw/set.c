// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw set: changes to live sets and settings. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "tools/fw/fw.h"

#define PROGRESS_AT 100000 /* prefixes */

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
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(fw_free_ruleset) = NULL;
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
	if (argc && strchr(argv[0], '=')) {
		if (fw_check_settings(tool, argc, argv))
			return TOOL_USAGE;
		return ecbpf_fw_set(tool->ecbpf, (const char *const *)argv, argc)
			       ? tool_fail_ecbpf(tool)
			       : TOOL_OK;
	}
	if (argc < 2)
		return tool_usage("create, destroy, add, delete, list, flush or replace; and which "
				  "set? Or KEY=VALUE");
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
