// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw set: changes to live sets and settings. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "tools/common/list.h"
#include "tools/common/settings.h"
#include "tools/fw/fw.h"

const struct tool_option fw_set_options[] = {
	{'4', "ip", NULL, "create: a set of IPv4 addresses (default: of both families)"},
	{'6', "ip6", NULL, "create: a set of IPv6 addresses"},
	{'f', "file", "FILE",
	 "add, delete, replace: prefixes of a list, see ecbpf-list(5);\n"
	 "- is standard input"},
	TOOL_LIST_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

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
		tool_table_row(&table, set.name,
			       set.family == 4	 ? "ip"
			       : set.family == 6 ? "ip6"
						 : "ip, ip6",
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

static int change_set(struct tool *tool, const char *name, enum ecbpf_fw_set_change change,
		      const struct ecbpf_list *list)
{
	return ecbpf_fw_set_change(tool->ecbpf, name, change, list) ? tool_fail_ecbpf(tool)
								    : TOOL_OK;
}

/* add, delete, replace: what operands or the file say */
static int run_change(struct tool *tool, const char *name, enum ecbpf_fw_set_change change,
		      const char *file, int argc, char **argv)
{
	struct ecbpf_list list TOOL_CLEANUP(ecbpf_list_free) = {};

	int status = tool_list_read(tool, file, argc, argv, 0, &list);

	return status ? status : change_set(tool, name, change, &list);
}

static int run_flush(struct tool *tool, const char *name)
{
	static const struct ecbpf_list none;

	ecbpf_list_policy(tool->ecbpf, ECBPF_LIST_ALLOW_EMPTY);
	return change_set(tool, name, ECBPF_FW_SET_REPLACE, &none);
}

/* Return: false: it takes no prefixes */
static bool find_change(const char *verb, enum ecbpf_fw_set_change *ret_change)
{
	static const char *const names[] = {
		[ECBPF_FW_SET_ADD] = "add",
		[ECBPF_FW_SET_DELETE] = "delete",
		[ECBPF_FW_SET_REPLACE] = "replace",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(verb, names[i]))
			continue;
		*ret_change = i;
		return true;
	}
	return false;
}

int fw_run_set(struct tool *tool, int argc, char **argv)
{
	const char *verb, *name, *file = NULL;
	enum ecbpf_fw_set_change change;
	__u8 family = 0;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == '4')
			family = 4;
		else if (id == '6')
			family = 6;
		else if (id == 'f')
			file = optarg;
		else if (!tool_list_option(tool, id))
			return TOOL_USAGE;
	}
	argc -= optind;
	argv += optind;
	if (argc == 1 && !strcmp(argv[0], "list"))
		return list_sets(tool);
	if (argc && strchr(argv[0], '=')) {
		struct tool_list texts TOOL_CLEANUP(tool_list_free) = {};

		if (tool_settings_operands(tool, argc, argv, &texts))
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
	argc -= 2;
	argv += 2;
	if (find_change(verb, &change))
		return run_change(tool, name, change, file, argc, argv);
	if (argc || file)
		return tool_usage("%s: takes no prefixes", verb);
	if (!strcmp(verb, "create"))
		return ecbpf_fw_set_create(tool->ecbpf, name, family) ? tool_fail_ecbpf(tool)
								      : TOOL_OK;
	if (!strcmp(verb, "destroy"))
		return ecbpf_fw_set_delete(tool->ecbpf, name) ? tool_fail_ecbpf(tool) : TOOL_OK;
	if (!strcmp(verb, "list"))
		return list_set(tool, name);
	if (!strcmp(verb, "flush"))
		return run_flush(tool, name);
	return tool_usage("'%s': create, destroy, add, delete, list, flush or replace?", verb);
}
