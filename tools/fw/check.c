// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw check: errors in rules, or a summary of them. */
#include <getopt.h>
#include <json-c/json.h>
#include "tools/fw/fw.h"

const struct tool_option fw_check_options[] = {
	FW_FILE_OPTION,	     {'p', "print", NULL, "print the rules in their canonical form"},
	TOOL_JSON_OPTION,    TOOL_LIST_SKIP_BAD_OPTION,
	TOOL_COMMON_OPTIONS,
};

static int print_summary(const struct ecbpf_fw_ruleset *ruleset, size_t bytes, const char *file,
			 bool is_json)
{
	struct ecbpf_fw_summary summary;

	ecbpf_fw_summary(ruleset, &summary);
	if (is_json) {
		struct json_object *json = json_object_new_object();

		tool_json_num(json, "rules", summary.rules);
		tool_json_num(json, "sets", summary.sets);
		tool_json_num(json, "prefixes", summary.prefixes);
		tool_json_num(json, "assertions", summary.assertions);
		tool_json_num(json, "table_bytes", bytes);
		tool_json_print(json);
		return TOOL_OK;
	}
	printf("%s: %s, %s with %s, %s; %zu KiB of tables\n", tool_safe(fw_file_name(file)),
	       tool_many(summary.rules, "rule"), tool_many(summary.sets, "set"),
	       tool_many(summary.prefixes, "prefix"), tool_many(summary.assertions, "assertion"),
	       bytes / 1024);
	return TOOL_OK;
}

int fw_run_check(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(fw_free_ruleset) = NULL;
	bool is_json = false, is_print = false;
	const char *file = NULL;
	size_t bytes;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == 'p')
			is_print = true;
		else if (id == 'j')
			is_json = true;
		else if (fw_file_option(tool, id, &file))
			return TOOL_USAGE;
	}
	if (fw_file_only(argc, argv, file))
		return TOOL_USAGE;
	if (is_print && is_json)
		return tool_usage("--print and --json cannot be combined");
	if (fw_read_rules(tool, file, &ruleset))
		return TOOL_FAILED;
	if (ecbpf_fw_bytes(tool->ecbpf, ruleset, &bytes))
		return tool_fail_ecbpf(tool);
	if (is_print)
		return fw_print_rules(tool, ruleset);
	return print_summary(ruleset, bytes, file, is_json);
}
