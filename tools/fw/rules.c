// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rules of a file: read, printed, and their errors. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "tools/fw/fw.h"

void fw_free_ruleset(struct ecbpf_fw_ruleset **ruleset)
{
	ecbpf_fw_ruleset_free(*ruleset);
}

void fw_free_text(char **text)
{
	free(*text);
}

int fw_file_option(struct tool *tool, int id, const char **ret_file)
{
	if (id != 'f')
		return tool_list_option(tool, id) ? 0 : TOOL_USAGE;
	*ret_file = optarg;
	return 0;
}

const char *fw_file_name(const char *file)
{
	return strcmp(file, "-") ? file : "stdin";
}

int fw_file_only(int argc, char **argv, const char *file)
{
	if (tool_operands_none(argc, argv))
		return TOOL_USAGE;
	return file ? 0 : tool_usage("missing -f FILE (- is standard input)");
}

int fw_read_rules(const struct tool *tool, const char *file, struct ecbpf_fw_ruleset **ret_ruleset)
{
	return ecbpf_fw_read(tool->ecbpf, file, ret_ruleset) ? tool_fail_ecbpf(tool) : 0;
}

int fw_live_rules(const struct tool *tool, struct ecbpf_fw_ruleset **ret_ruleset)
{
	struct ecbpf_fw_stat *stats;

	if (ecbpf_fw_stats(tool->ecbpf, ret_ruleset, &stats))
		return tool_fail_ecbpf(tool);
	free(stats);
	return 0;
}

int fw_print_rules(const struct tool *tool, const struct ecbpf_fw_ruleset *ruleset)
{
	char *text TOOL_CLEANUP(fw_free_text) = NULL;

	if (ecbpf_fw_print(tool->ecbpf, ruleset, &text))
		return tool_fail_ecbpf(tool);
	tool_put_safe(stdout, text, strlen(text), "\n\t");
	return TOOL_OK;
}
