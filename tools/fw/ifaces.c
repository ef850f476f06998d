// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The interfaces of a verb. */
#include <getopt.h>
#include "tools/fw/fw.h"

/* The operands as interfaces; none: all that have the firewall */
int fw_take_ifaces(struct tool *tool, int argc, char **argv, struct tool_list *ret_ifaces)
{
	struct tool_list all TOOL_CLEANUP(tool_list_free) = {};

	if (optind < argc)
		return tool_operands_ifaces(argc, argv, ret_ifaces);
	if (tool_ifaces_all(&all))
		return TOOL_FAILED;
	for (size_t i = 0; i < all.count; i++) {
		bool is_loaded = false;

		if (!ecbpf_fw_is_loaded(tool->ecbpf, all.items[i], &is_loaded) && is_loaded)
			tool_list_add(ret_ifaces, all.items[i]);
	}
	return 0;
}
