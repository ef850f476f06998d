// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw confirm, undo, panic: changes on probation, and what is in force without the rules. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "tools/common/change.h"
#include "tools/fw/fw.h"

const struct tool_option fw_confirm_options[] = {TOOL_CHANGE_OPTIONS, TOOL_COMMON_OPTIONS};

static __u32 within; /* seconds */

int fw_confirm_option(const struct tool *tool, const char *text)
{
	static const char units[] = "smh";
	static const __u32 seconds[] = {1, 60, 3600};
	size_t digits = strspn(text, "0123456789");
	const char *unit = text[digits] ? strchr(units, text[digits]) : units;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, NULL, 10);
	if (!digits || digits > 9 || errno || !number || !unit ||
	    (text[digits] && text[digits + 1]) ||
	    number * seconds[unit - units] > ECBPF_FW_CONFIRM_MAX)
		return tool_usage("--confirm: '%s' is not a time from 1s to 24h, as 60s or 5m",
				  tool_safe(text));
	within = number * seconds[unit - units];
	ecbpf_fw_confirm_within(tool->ecbpf, within);
	return 0;
}

int fw_confirm_refuse(const char *what)
{
	return within ? tool_usage("--confirm is for changes, and %s makes none", what) : 0;
}

void fw_confirm_tell(void)
{
	if (!within)
		return;
	tool_changed("in %u s the rules before are live again, unless 'ecbpf-fw confirm' is "
		     "typed",
		     within);
	tool_change_number("confirm_seconds", within);
}

int fw_run_confirm(struct tool *tool, int argc, char **argv)
{
	if (tool_parse_change(tool, argc, argv) || tool_operands_none(argc, argv))
		return TOOL_USAGE;
	tool_change_begin(NULL);
	tool_change_urgent(ECBPF_STAGE_FW);
	if (ecbpf_fw_confirm(tool->ecbpf))
		return tool_fail_ecbpf(tool);
	tool_changed("the rules stay");
	return TOOL_OK;
}

int fw_run_undo(struct tool *tool, int argc, char **argv)
{
	if (tool_parse_change(tool, argc, argv) || tool_operands_none(argc, argv))
		return TOOL_USAGE;
	tool_change_begin(NULL);
	tool_change_urgent(ECBPF_STAGE_FW);
	if (ecbpf_fw_undo(tool->ecbpf))
		return tool_fail_ecbpf(tool);
	tool_changed("the rules before are live again");
	return TOOL_OK;
}

const char *fw_panic_name(enum ecbpf_fw_panic panic)
{
	static const char *const names[] = {
		[ECBPF_FW_PANIC_OFF] = "off",
		[ECBPF_FW_PANIC_DROP] = "drop",
		[ECBPF_FW_PANIC_PASS] = "pass",
	};

	return names[panic];
}

int fw_run_panic(struct tool *tool, int argc, char **argv)
{
	enum ecbpf_fw_panic panic = ECBPF_FW_PANIC_OFF;
	int same;

	if (tool_parse_change(tool, argc, argv))
		return TOOL_USAGE;
	argc -= optind;
	argv += optind;
	while (argc == 1 && panic <= ECBPF_FW_PANIC_PASS && strcmp(argv[0], fw_panic_name(panic)))
		panic++;
	if (argc != 1 || panic > ECBPF_FW_PANIC_PASS)
		return tool_usage("%s%s%sexpected drop, pass or off", argc ? "'" : "",
				  argc ? tool_safe(argv[0]) : "", argc ? "': " : "");
	tool_change_begin(NULL);
	tool_change_urgent(ECBPF_STAGE_FW);
	same = ecbpf_fw_panic(tool->ecbpf, panic);
	if (same < 0)
		return tool_fail_ecbpf(tool);
	if (same) {
		tool_unchanged("panic is %s already", fw_panic_name(panic));
		return TOOL_OK;
	}
	switch (panic) {
	case ECBPF_FW_PANIC_DROP:
		tool_changed("every IP packet is dropped, this session's, too, until "
			     "'ecbpf-fw panic off'");
		break;
	case ECBPF_FW_PANIC_PASS:
		tool_changed("every packet passes the firewall, until 'ecbpf-fw panic off'");
		break;
	default:
		tool_changed("the rules are in force again");
	}
	return TOOL_OK;
}
