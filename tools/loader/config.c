// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The verbs of ecbpf.conf: apply, export, refresh */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ecbpf/libecbpf-config.h>
#include "tools/common/change.h"
#include "tools/common/watched.h"
#include "tools/loader/lldp.h"
#include "tools/loader/loader.h"

const struct tool_option loader_apply_options[] = {
	{'c', "check", NULL, "print the changes that would be made, make none"},
	{OPT_DIFF, "diff", NULL, "print each change that is made"},
	{OPT_NO_LLDP, "no-lldp", NULL, "do not check ingress-vlan and egress-vlan by LLDP"},
	{OPT_STOP, "stop", NULL, "remove all that apply loaded, unless on-stop is leave"},
	{OPT_RESET_RUNTIME, "reset-runtime", NULL, "forget what other verbs have changed"},
	TOOL_EXIT_CODE_OPTION,
	TOOL_CHANGE_OPTIONS,
	TOOL_LIST_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

struct apply {
	bool is_check;
	bool has_exit_code;
	bool is_diff;
	bool is_stop;
	bool resets;
	bool without_lldp;
};

/* Before any change is made */
static int check_vlans(struct tool *tool, const struct ecbpf_config *config)
{
	struct lldp_text lldp = {};
	struct ecbpf_config_vlan *vlans;
	size_t count;
	int status;

	if (ecbpf_config_vlans(tool->ecbpf, config, &vlans, &count))
		return tool_fail_ecbpf(tool);
	status = lldp_check(vlans, count, &lldp);
	free(vlans);
	return status ? tool_fail("%s; --no-lldp applies without asking", lldp.text) : TOOL_OK;
}

static int apply(struct tool *tool, const char *file, const struct apply *a)
{
	struct ecbpf_config_change *changes;
	struct ecbpf_config *config = NULL;
	size_t count;
	int err;

	if (a->is_check)
		tool_change_check();
	else
		tool_change_begin(a->is_stop ? "--stop" : NULL);
	if (!a->is_stop && ecbpf_config_read(tool->ecbpf, file, &config)) {
		if (!a->is_check)
			ecbpf_config_applied(tool->ecbpf, false);
		return tool_fail_ecbpf(tool);
	}
	if (!a->is_stop && !a->without_lldp && check_vlans(tool, config)) {
		ecbpf_config_free(config);
		return TOOL_FAILED;
	}
	if (a->resets)
		ecbpf_config_reset_runtime(config);
	err = a->is_stop ? ecbpf_config_stop(tool->ecbpf, file, &changes, &count)
			 : ecbpf_config_apply(tool->ecbpf, config, a->is_check, &changes, &count);
	ecbpf_config_free(config);
	if (!a->is_check && !a->is_stop)
		ecbpf_config_applied(tool->ecbpf, !err);
	if (err)
		return tool_fail_ecbpf(tool);
	if (count && !a->is_check)
		tool_warn_watched(tool, a->is_stop ? NULL : file ?: "", NULL);
	for (size_t i = 0; i < count; i++)
		tool_changed("%s", changes[i].text);
	for (size_t i = 0; i < count; i++)
		if (*changes[i].iface)
			tool_change_iface(changes[i].iface);
	if (!count)
		tool_unchanged("nothing to do");
	else if (!a->is_check && !a->is_diff)
		tool_change_short("%zu change%s made", count, count == 1 ? "" : "s");
	free(changes);
	return count && a->has_exit_code ? TOOL_CHANGES : TOOL_OK;
}

int loader_run_apply(struct tool *tool, int argc, char **argv)
{
	struct apply a = {};
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == 'c')
			a.is_check = true;
		else if (id == OPT_DIFF)
			a.is_diff = true;
		else if (id == OPT_NO_LLDP)
			a.without_lldp = true;
		else if (id == OPT_STOP)
			a.is_stop = true;
		else if (id == OPT_RESET_RUNTIME)
			a.resets = true;
		else if (id == TOOL_EXIT_CODE)
			a.has_exit_code = true;
		else if (id != 'j' && !tool_list_option(tool, id))
			return TOOL_USAGE;
	}
	if (a.has_exit_code && !a.is_check)
		return tool_usage("--exit-code is an option of --check");
	if (a.is_check && a.is_stop)
		return tool_usage("--check and --stop cannot be combined");
	if (a.resets && a.is_stop)
		return tool_usage("--reset-runtime and --stop cannot be combined");
	if (argc - optind > 1)
		return tool_usage("'%s': apply takes one file", argv[optind + 1]);
	return apply(tool, argv[optind], &a);
}

const struct tool_option loader_export_options[] = {
	{'d', "directory", "DIR", "write rules and lists to files in DIR, too"},
	TOOL_COMMON_OPTIONS,
};

int loader_run_export(struct tool *tool, int argc, char **argv)
{
	const char *dir = NULL;
	char *text;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id != 'd')
			return TOOL_USAGE;
		dir = optarg;
	}
	if (tool_operands_none(argc, argv))
		return TOOL_USAGE;
	if (ecbpf_config_export(tool->ecbpf, dir, &text))
		return tool_fail_ecbpf(tool);
	tool_put_safe(stdout, text, strlen(text), "\n\t");
	free(text);
	return TOOL_OK;
}

const struct tool_option loader_refresh_options[] = {TOOL_CHANGE_OPTIONS, TOOL_COMMON_OPTIONS};

int loader_run_refresh(struct tool *tool, int argc, char **argv)
{
	if (tool_parse_change(tool, argc, argv) || tool_operands_none(argc, argv))
		return TOOL_USAGE;
	tool_change_begin(NULL);
	if (ecbpf_config_refresh(tool->ecbpf))
		return tool_fail_ecbpf(tool);
	tool_entries_changed(tool, "addresses and services");
	return TOOL_OK;
}
