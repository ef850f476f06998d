// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fastpath: settings */
#include <unistd.h>
#include "tools/common/settings.h"
#include "tools/fastpath/fastpath.h"

int run_set(struct tool *tool, int argc, char **argv)
{
	struct tool_list texts TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_fastpath_settings settings;

	if (tool_parse_none(tool, argc, argv) ||
	    tool_settings_operands(tool, argc - optind, argv + optind, &texts))
		return TOOL_USAGE;
	if (ecbpf_fastpath_get(tool->ecbpf, &settings))
		return tool_fail_ecbpf(tool);
	tool_settings_take(tool, &texts, &settings);
	return ecbpf_fastpath_set(tool->ecbpf, &settings) ? tool_fail_ecbpf(tool) : TOOL_OK;
}
