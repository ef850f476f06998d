// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw apply: the rules of a file made live. */
#include <getopt.h>
#include <string.h>
#include "tools/common/change.h"
#include "tools/fw/fw.h"

enum {
	OPT_GATE = TOOL_LONG_ONLY,
};

const struct tool_option fw_apply_options[] = {
	{'f', "file", "FILE", "rules; - is standard input"},
	{'c', "check", NULL, "print what would be changed, change nothing"},
	TOOL_EXIT_CODE_OPTION,
	{OPT_GATE, "gate", "CAPTURE",
	 "refuse rules that drop packets of this capture; CAPTURE can\n"
	 "end with ':max-dropped 0.1%': more of them than this"},
	FW_CONFIRM_OPTION,
	TOOL_CHANGE_OPTIONS,
	TOOL_LIST_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

static int tell_line(struct ecbpf *e, void *data, const char *line, bool is_removal)
{
	size_t *count = data;

	(void)e;
	(void)is_removal;
	tool_changed("%s", line);
	(*count)++;
	return 0;
}

/* What is live may be lost: then the rules are applied, whatever it was */
static int apply(struct tool *tool, const struct ecbpf_fw_ruleset *ruleset, bool is_check,
		 bool has_exit_code)
{
	struct ecbpf_fw_state state = {};
	size_t count = 0;
	int err;

	err = ecbpf_fw_diff(tool->ecbpf, ruleset, tell_line, &count);
	if (err && is_check)
		return tool_fail_ecbpf(tool);
	if (!is_check && (err || count) && ecbpf_fw_apply(tool->ecbpf, ruleset))
		return tool_fail_ecbpf(tool);
	if (!err && !count && ecbpf_fw_state(tool->ecbpf, &state))
		return tool_fail_ecbpf(tool);
	if (state.confirm_s)
		return tool_fail(
			"these rules are live, but only for another %u s: 'ecbpf-fw confirm' "
			"keeps them, 'ecbpf-fw undo' takes them back",
			state.confirm_s);
	if (err)
		tool_changed("rules replaced");
	else if (!count)
		tool_unchanged("nothing to do");
	if (!is_check && (err || count))
		fw_confirm_tell();
	return count && has_exit_code ? TOOL_CHANGES : TOOL_OK;
}

int fw_run_apply(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(fw_free_ruleset) = NULL;
	bool is_check = false, has_exit_code = false, is_json = false;
	const char *file = NULL;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == 'c')
			is_check = true;
		else if (id == TOOL_EXIT_CODE)
			has_exit_code = true;
		else if (id == FW_CONFIRM) {
			if (fw_confirm_option(tool, optarg))
				return TOOL_USAGE;
		} else if (id == OPT_GATE) {
			if (fw_gate_option(optarg))
				return TOOL_USAGE;
		} else if (id == 'j') {
			is_json = true;
		} else if (fw_file_option(tool, id, &file))
			return TOOL_USAGE;
	}
	if (has_exit_code && !is_check)
		return tool_usage("--exit-code is an option of --check");
	if (is_check && fw_confirm_refuse("--check"))
		return TOOL_USAGE;
	if (fw_file_only(argc, argv, file))
		return TOOL_USAGE;
	if (file && fw_gate_file() && !strcmp(fw_gate_file(), "-") && !strcmp(file, "-"))
		return tool_usage("rules and packets cannot both be standard input");
	if (is_check)
		tool_change_check();
	else
		tool_change_begin(NULL);
	tool_change_stage(ECBPF_STAGE_FW);
	ecbpf_session_guard(tool->ecbpf, true);
	if (fw_read_rules(tool, file, &ruleset) || fw_gate(tool, ruleset, is_json))
		return TOOL_FAILED;
	return apply(tool, ruleset, is_check, has_exit_code);
}
