// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fastpath: settings */
#include <unistd.h>
#include "tools/common/change.h"
#include "tools/common/settings.h"
#include "tools/fastpath/fastpath.h"

int run_set(struct tool *tool, int argc, char **argv)
{
	struct tool_list texts TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_fastpath_settings before, settings;

	if (tool_parse_change(tool, argc, argv) ||
	    tool_settings_operands(tool, argc - optind, argv + optind, &texts))
		return TOOL_USAGE;
	tool_change_begin(NULL);
	if (ecbpf_fastpath_get(tool->ecbpf, &before))
		return tool_fail_ecbpf(tool);
	settings = before;
	tool_settings_take(tool, &texts, &settings);
	if (ecbpf_fastpath_set(tool->ecbpf, &settings))
		return tool_fail_ecbpf(tool);
	if (ecbpf_fastpath_get(tool->ecbpf, &settings)) /* it is done, even so */
		tool_changed("settings");
	else
		tool_settings_changed(ecbpf_fastpath_settings(), &before, &settings);
	return TOOL_OK;
}
