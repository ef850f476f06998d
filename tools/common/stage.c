// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The interfaces of a verb of a stage, see stage.h */
#include <errno.h>
#include <getopt.h>
#include "tools/common/change.h"
#include "tools/common/stage.h"

int tool_stage_ifaces(struct tool *tool, __u32 stage, struct tool_list *ifaces)
{
	struct tool_list all TOOL_CLEANUP(tool_list_free) = {};

	if (tool_ifaces_all(&all))
		return TOOL_FAILED;
	for (size_t i = 0; i < all.count; i++) {
		bool has = false;
		int err = ecbpf_chain_has_stage(tool->ecbpf, all.items[i], stage, &has);

		if (err && err != -ENODEV) /* it is gone meanwhile */
			return tool_fail_ecbpf(tool);
		if (!has)
			continue;
		tool_list_add(ifaces, all.items[i]);
		tool_change_iface(all.items[i]);
	}
	return 0;
}

int tool_stage_operands(struct tool *tool, __u32 stage, int argc, char **argv,
			struct tool_list *ifaces)
{
	if (optind < argc)
		return tool_operands_ifaces(argc, argv, ifaces);
	return tool_stage_ifaces(tool, stage, ifaces);
}

void tool_stage_changed(__u32 stage, const struct tool_list *ifaces, const char *how)
{
	for (size_t i = 0; i < ifaces->count; i++)
		tool_changed("%s: %s %s", ifaces->items[i], ecbpf_stage_name(stage), how);
}
