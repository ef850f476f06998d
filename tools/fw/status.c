// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw status: interfaces, rules, sets, memory, settings. */
#include <getopt.h>
#include <json-c/json.h>
#include "tools/common/settings.h"
#include "tools/common/stage.h"
#include "tools/fw/fw.h"

const struct tool_option fw_status_options[] = {
	{'j', "json", NULL, "as JSON"},
	TOOL_COMMON_OPTIONS,
};

int fw_run_status(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(fw_free_ruleset) = NULL;
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_fw_summary summary;
	struct ecbpf_fw_state state;
	struct json_object *json, *list;
	struct ecbpf_fw_config config;
	bool is_json = false;
	size_t bytes;

	if (tool_parse_json(tool, argc, argv, &is_json) || tool_operands_none(argc, argv))
		return TOOL_USAGE;
	if (tool_stage_ifaces(tool, ECBPF_STAGE_FW, &ifaces))
		return TOOL_FAILED;
	if (ecbpf_fw_get(tool->ecbpf, &ruleset) || ecbpf_fw_bytes(tool->ecbpf, ruleset, &bytes) ||
	    ecbpf_fw_config_get(tool->ecbpf, &config) || ecbpf_fw_state(tool->ecbpf, &state))
		return tool_fail_ecbpf(tool);
	ecbpf_fw_summary(ruleset, &summary);
	if (!is_json) {
		printf("%s, %zu KiB of tables; %s with %s\n", tool_many(summary.rules, "rule"),
		       bytes / 1024, tool_many(summary.sets, "set"),
		       tool_many(summary.prefixes, "prefix"));
		printf("settings:%s\n", tool_settings_text(ecbpf_fw_settings(), &config));
		if (state.confirm_s)
			printf("waiting for 'ecbpf-fw confirm': in %u s the rules before are live "
			       "again\n",
			       state.confirm_s);
		if (state.panic)
			printf("panic: all packets %s, the rules are not asked\n",
			       state.panic == ECBPF_FW_PANIC_DROP ? "are dropped" : "pass");
		printf("loaded on:");
		for (size_t i = 0; i < ifaces.count; i++)
			printf(" %s", tool_safe(ifaces.items[i]));
		printf("%s\n", ifaces.count ? "" : " no interface");
		return TOOL_OK;
	}
	json = json_object_new_object();
	list = json_object_new_array();
	for (size_t i = 0; i < ifaces.count; i++)
		json_object_array_add(list, json_object_new_string(ifaces.items[i]));
	json_object_object_add(json, "interfaces", list);
	tool_json_num(json, "rules", summary.rules);
	tool_json_num(json, "sets", summary.sets);
	tool_json_num(json, "prefixes", summary.prefixes);
	tool_json_num(json, "table_bytes", bytes);
	tool_json_num(json, "confirm_seconds", state.confirm_s);
	tool_json_str(json, "panic", fw_panic_name(state.panic));
	tool_settings_json(json, ecbpf_fw_settings(), &config, '_');
	tool_json_print(json);
	return TOOL_OK;
}
