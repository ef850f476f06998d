// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw set: changes to live sets and settings. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include "tools/common/change.h"
#include "tools/common/list.h"
#include "tools/common/settings.h"
#include "tools/fw/fw.h"

enum {
	OPT_NAMES = TOOL_LONG_ONLY,
};

const struct tool_option fw_set_options[] = {
	{'4', "ip", NULL, "create: a set of IPv4 addresses (default: of both families)"},
	{'6', "ip6", NULL, "create: a set of IPv6 addresses"},
	{'f', "file", "FILE",
	 "add, delete, replace: prefixes of a list, see ecbpf-list(5);\n"
	 "- is standard input"},
	{OPT_NAMES, "names", NULL, "list: only the names of sets, one a line"},
	TOOL_IF_EXISTS_OPTION("delete, destroy: "),
	TOOL_CHANGE_OPTIONS,
	TOOL_LIST_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

static const char *const set_verbs[] = {
	[ECBPF_FW_SET_ADD] = "add",
	[ECBPF_FW_SET_DELETE] = "delete",
	[ECBPF_FW_SET_REPLACE] = "replace",
};

static const char *family_name(__u8 family)
{
	return family == 4 ? "ip" : family == 6 ? "ip6" : "ip, ip6";
}

static void print_sets_json(const struct ecbpf_fw_ruleset *ruleset, size_t count)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < count; i++) {
		struct json_object *json = json_object_new_object();
		struct ecbpf_fw_set set;

		ecbpf_fw_set_at(ruleset, i, &set);
		tool_json_str(json, "name", set.name);
		tool_json_str(json, "family", set.family ? family_name(set.family) : NULL);
		tool_json_num(json, "prefixes", set.prefixes);
		tool_json_num(json, "rules", set.rules);
		tool_json_bool(json, "live", set.is_live);
		json_object_array_add(list, json);
	}
	tool_json_print(list);
}

/* All sets */
static int list_sets(const struct tool *tool, bool is_json)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(fw_free_ruleset) = NULL;
	struct tool_table table TOOL_CLEANUP(tool_table_free) = {.columns = 5, .align = "llrrl"};
	struct ecbpf_fw_summary summary;

	if (ecbpf_fw_get(tool->ecbpf, &ruleset))
		return tool_fail_ecbpf(tool);
	ecbpf_fw_summary(ruleset, &summary);
	if (is_json) {
		print_sets_json(ruleset, summary.sets);
		return TOOL_OK;
	}
	tool_table_row(&table, "set", "family", "prefixes", "rules", "live");
	for (size_t i = 0; i < summary.sets; i++) {
		struct ecbpf_fw_set set;

		ecbpf_fw_set_at(ruleset, i, &set);
		tool_table_row(&table, set.name, family_name(set.family),
			       tool_str("%zu", set.prefixes), tool_str("%zu", set.rules),
			       set.is_live ? "yes" : "no");
	}
	tool_table_print(&table, "");
	return TOOL_OK;
}

static int list_names(const struct tool *tool)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(fw_free_ruleset) = NULL;
	struct ecbpf_fw_summary summary;

	if (fw_live_rules(tool, &ruleset))
		return TOOL_FAILED;
	ecbpf_fw_summary(ruleset, &summary);
	for (size_t i = 0; i < summary.sets; i++) {
		struct ecbpf_fw_set set;

		ecbpf_fw_set_at(ruleset, i, &set);
		printf("%s\n", set.name);
	}
	return TOOL_OK;
}

/* A set's part of the ruleset's text, one prefix a line */
static int list_set(const struct tool *tool, const char *name, bool is_json)
{
	char *text TOOL_CLEANUP(fw_free_text) = NULL, *line, *rest;
	struct json_object *json;
	size_t size;
	FILE *out;
	int err;

	if (!is_json)
		return ecbpf_fw_set_print(tool->ecbpf, name, stdout) ? tool_fail_ecbpf(tool)
								     : TOOL_OK;
	out = open_memstream(&text, &size);
	if (!out)
		return tool_fail("out of memory");
	err = ecbpf_fw_set_print(tool->ecbpf, name, out);
	fclose(out);
	if (err)
		return tool_fail_ecbpf(tool);
	json = json_object_new_array();
	rest = text;
	while ((line = strsep(&rest, "\n")) && *line)
		json_object_array_add(json, json_object_new_string(line));
	tool_json_print(json);
	return TOOL_OK;
}

static int change_set(struct tool *tool, const char *name, enum ecbpf_fw_set_change change,
		      const struct ecbpf_list *list)
{
	ecbpf_session_guard(tool->ecbpf, true);
	if (ecbpf_fw_set_change(tool->ecbpf, name, change, list))
		return tool_fail_ecbpf(tool);
	tool_entries_changed(tool, tool_str("set %s", name));
	return TOOL_OK;
}

/* add, delete, replace: what operands or the file say */
static int run_change(struct tool *tool, const char *name, enum ecbpf_fw_set_change change,
		      const char *file, int argc, char **argv)
{
	struct ecbpf_list list TOOL_CLEANUP(ecbpf_list_free) = {};

	int status = tool_list_read(tool, file, argc, argv, 0, &list);

	if (!status) {
		tool_change_begin(set_verbs[change]);
		tool_change_stage(ECBPF_STAGE_FW);
	}
	return status ? status : change_set(tool, name, change, &list);
}

static int create_set(struct tool *tool, const char *name, __u8 family)
{
	int err;

	tool_change_begin("create");
	err = ecbpf_fw_set_create(tool->ecbpf, name, family);
	if (err == -EINVAL) /* of the name */
		return tool_usage("%s", ecbpf_error(tool->ecbpf));
	if (err)
		return tool_fail_ecbpf(tool);
	tool_changed("set %s created", name);
	return TOOL_OK;
}

static int destroy_set(struct tool *tool, const char *name, bool may_be_absent)
{
	int err;

	tool_change_begin("destroy");
	err = ecbpf_fw_set_delete(tool->ecbpf, name);
	if (err == -ENOENT && may_be_absent)
		tool_unchanged("%s", ecbpf_error(tool->ecbpf));
	else if (err)
		return tool_fail_ecbpf(tool);
	else
		tool_changed("set %s destroyed", name);
	return TOOL_OK;
}

static int change_settings(struct tool *tool, int argc, char **argv)
{
	struct tool_list texts TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_fw_config before, after;

	if (tool_settings_operands(tool, argc, argv, &texts))
		return TOOL_USAGE;
	tool_change_begin(NULL);
	if (ecbpf_fw_config_get(tool->ecbpf, &before) ||
	    ecbpf_fw_set(tool->ecbpf, (const char *const *)argv, argc))
		return tool_fail_ecbpf(tool);
	if (ecbpf_fw_config_get(tool->ecbpf, &after)) /* it is done, even so */
		tool_changed("settings");
	else
		tool_settings_changed(ecbpf_fw_settings(), &before, &after);
	return TOOL_OK;
}

static int run_flush(struct tool *tool, const char *name)
{
	static const struct ecbpf_list none;

	tool_change_begin("flush");
	tool_list_option(tool, TOOL_LIST_EMPTY); /* beside --force */
	return change_set(tool, name, ECBPF_FW_SET_REPLACE, &none);
}

/* Return: false: it takes no prefixes */
static bool find_change(const char *verb, enum ecbpf_fw_set_change *ret_change)
{
	for (size_t i = 0; i < sizeof(set_verbs) / sizeof(set_verbs[0]); i++) {
		if (strcmp(verb, set_verbs[i]))
			continue;
		*ret_change = i;
		return true;
	}
	return false;
}

int fw_run_set(struct tool *tool, int argc, char **argv)
{
	bool may_be_absent = false, is_json = false, is_names = false;
	const char *verb, *name, *file = NULL;
	enum ecbpf_fw_set_change change;
	__u8 family = 0;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if ((id == '4' || id == '6') && family && family != id - '0')
			return tool_usage("-4 and -6 cannot be combined; without them, a set is "
					  "of both families");
		if (id == '4' || id == '6')
			family = id - '0';
		else if (id == 'f')
			file = optarg;
		else if (id == 'j')
			is_json = true;
		else if (id == OPT_NAMES)
			is_names = true;
		else if (tool_list_option(tool, id))
			may_be_absent |= id == TOOL_IF_EXISTS;
		else
			return TOOL_USAGE;
	}
	argc -= optind;
	argv += optind;
	if (is_names && (is_json || argc != 1 || strcmp(argv[0], "list")))
		return tool_usage("--names is an option of list without a name and --json");
	if (argc == 1 && !strcmp(argv[0], "list"))
		return is_names ? list_names(tool) : list_sets(tool, is_json);
	if (argc && strchr(argv[0], '='))
		return change_settings(tool, argc, argv);
	if (argc < 2)
		return tool_usage("create, destroy, add, delete, list, flush or replace; and which "
				  "set? Or KEY=VALUE");
	verb = argv[0];
	name = argv[1];
	argc -= 2;
	argv += 2;
	if (family && strcmp(verb, "create"))
		return tool_usage("-4 and -6 are options of create");
	if (may_be_absent && strcmp(verb, "destroy") && strcmp(verb, "delete"))
		return tool_usage("--if-exists is an option of destroy and delete");
	if (find_change(verb, &change))
		return run_change(tool, name, change, file, argc, argv);
	if (argc || file)
		return tool_usage("%s: takes no prefixes", verb);
	if (!strcmp(verb, "create"))
		return create_set(tool, name, family);
	if (!strcmp(verb, "destroy"))
		return destroy_set(tool, name, may_be_absent);
	if (!strcmp(verb, "list"))
		return list_set(tool, name, is_json);
	if (!strcmp(verb, "flush"))
		return run_flush(tool, name);
	return tool_usage("'%s': create, destroy, add, delete, list, flush or replace?", verb);
}
