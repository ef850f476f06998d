// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw apply: the rules of a file made live. */
#include <getopt.h>
#include "tools/fw/fw.h"

const struct tool_option fw_apply_options[] = {
	{'f', "file", "FILE", "rules; - is standard input"},
	{'c', "check", NULL, "only check whether the rules can be applied"},
	TOOL_LIST_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

int fw_run_apply(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(fw_free_ruleset) = NULL;
	const char *file = NULL;
	bool is_check = false;
	size_t bytes;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == 'c')
			is_check = true;
		else if (fw_file_option(tool, id, &file))
			return TOOL_USAGE;
	}
	if (fw_file_only(argc, argv, file))
		return TOOL_USAGE;
	if (fw_read_rules(tool, file, &ruleset))
		return TOOL_FAILED;
	if (is_check ? ecbpf_fw_bytes(tool->ecbpf, ruleset, &bytes)
		     : ecbpf_fw_apply(tool->ecbpf, ruleset))
		return tool_fail_ecbpf(tool);
	return TOOL_OK;
}
