// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw load, unload: the firewall on interfaces. */
#include <getopt.h>
#include <string.h>
#include <linux/bpf.h>
#include "tools/common/change.h"
#include "tools/common/settings.h"
#include "tools/common/stage.h"
#include "tools/common/watched.h"
#include "tools/fw/fw.h"

enum {
	OPT_FUSED = TOOL_LONG_ONLY,
};

const struct tool_option fw_load_options[] = {
	{'f', "file", "FILE", "rules; - is standard input (default: the live rules)"},
	TOOL_MODE_OPTION,
	{OPT_FUSED, "fused", NULL, "as a stage of ecbpf_fused, added to those that it has"},
	FW_CONFIRM_OPTION,
	TOOL_CHANGE_OPTIONS,
	TOOL_LIST_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

int fw_run_load(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(fw_free_ruleset) = NULL;
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	struct tool_list settings TOOL_CLEANUP(tool_list_free) = {};
	enum ecbpf_mode mode = ECBPF_MODE_UNSPEC;
	const char *file = NULL;
	struct ecbpf_fw_config config;
	bool fused = false, has_confirm = false;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		int err = 0;

		if (id == 'm')
			err = tool_parse_mode(optarg, &mode);
		else if (id == OPT_FUSED)
			fused = true;
		else if (id == FW_CONFIRM)
			err = fw_confirm_option(tool, optarg), has_confirm = true;
		else if (id == 'j')
			continue;
		else if (id >= TOOL_SETTING)
			err = tool_settings_option(tool, id, optarg, &settings);
		else
			err = fw_file_option(tool, id, &file);
		if (err)
			return TOOL_USAGE;
	}
	if (has_confirm && !file)
		return tool_usage("--confirm is for the rules of -f");
	if (optind == argc)
		return tool_usage("on which interface?");
	if (tool_operands_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	tool_change_begin(NULL);
	ecbpf_session_guard(tool->ecbpf, true);
	if (file && fw_read_rules(tool, file, &ruleset))
		return TOOL_FAILED;
	if (ecbpf_fw_load(tool->ecbpf, (const char *const *)ifaces.items, ifaces.count, ruleset,
			  (const char *const *)settings.items, settings.count, fused, mode))
		return tool_fail_ecbpf(tool);
	tool_stage_changed(ECBPF_STAGE_FW, &ifaces, "loaded");
	fw_confirm_tell();
	if (!ecbpf_fw_config_get(tool->ecbpf, &config))
		tool_settings_kept(ecbpf_fw_settings(), &config, &settings);
	return TOOL_OK;
}

const struct tool_option fw_unload_options[] = {TOOL_CHANGE_OPTIONS, TOOL_COMMON_OPTIONS};

int fw_run_unload(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	int status;

	if (tool_parse_change(tool, argc, argv))
		return TOOL_USAGE;
	status = tool_stage_operands(tool, ECBPF_STAGE_FW, argc, argv, &ifaces);
	if (status)
		return status;
	tool_change_begin(NULL);
	if (!ifaces.count)
		return tool_fail("the firewall is not loaded on any interface");
	if (ecbpf_fw_unload(tool->ecbpf, (const char *const *)ifaces.items, ifaces.count))
		return tool_fail_ecbpf(tool);
	tool_stage_changed(ECBPF_STAGE_FW, &ifaces, "unloaded");
	tool_warn_watched(tool, NULL, &ifaces);
	return TOOL_OK;
}
