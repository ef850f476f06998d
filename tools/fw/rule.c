// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw rule: changes to single live rules. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include "tools/common/change.h"
#include "tools/common/settings.h"
#include "tools/fw/fw.h"

enum {
	OPT_NAMES = TOOL_LONG_ONLY,
};

const struct tool_option fw_rule_options[] = {
	{OPT_NAMES, "names", NULL, "list: only the names of rules, one a line"},
	TOOL_IF_EXISTS_OPTION("delete: "),
	TOOL_LIST_FORCE_OPTION,
	FW_CONFIRM_OPTION,
	TOOL_CHANGE_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

/* A change of the live rules */
struct rule_change {
	enum {
		RULE_ADD,
		RULE_INSERT,
		RULE_REPLACE,
		RULE_DELETE,
	} kind;
	const char *which; /* number or name */
	const char *text;
	bool may_be_absent;
};

/* Of change_rules(), if there is nothing to do */
#define NO_CHANGE 1

static char *copy_text(const struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	char *text = ecbpf_fw_rule_text(ruleset, index);

	return text ?: strcpy(tool_alloc(NULL, 1), "");
}

/*
 * The rule at @index was put there. Another one of its name is an error; of the same text, no
 * change
 */
static int check_name(const struct ecbpf_fw_ruleset *ruleset, size_t index, size_t count)
{
	const char *name = ecbpf_fw_rule_name(ruleset, index);
	char *text TOOL_CLEANUP(fw_free_text) = copy_text(ruleset, index);

	for (size_t i = 0; i < count && name; i++) {
		const char *other = ecbpf_fw_rule_name(ruleset, i);
		char *old TOOL_CLEANUP(fw_free_text) = NULL;
		size_t number = i + (i < index);

		if (i == index || !other || strcmp(name, other))
			continue;
		old = copy_text(ruleset, i);
		if (strcmp(old, text)) {
			tool_fail("rule %zu has the name '%s' and another text: change it by "
				  "'rule replace', or give another name",
				  number, name);
			return -EEXIST;
		}
		tool_unchanged("rule %zu is so already: %s", number, old);
		return NO_CHANGE;
	}
	tool_changed("rule %zu added: %s", index + 1, text);
	return 0;
}

static int insert_rule(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, size_t index,
		       const char *text)
{
	struct ecbpf_fw_summary summary;
	int err = ecbpf_fw_rule_insert(e, ruleset, index, text);

	if (err)
		return err;
	ecbpf_fw_summary(ruleset, &summary);
	return check_name(ruleset, index, summary.rules);
}

static int replace_rule(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, size_t index,
			const char *text)
{
	char *old TOOL_CLEANUP(fw_free_text) = copy_text(ruleset, index);
	char *new TOOL_CLEANUP(fw_free_text) = NULL;
	int err = ecbpf_fw_rule_replace(e, ruleset, index, text);

	if (err)
		return err;
	new = copy_text(ruleset, index);
	if (!strcmp(old, new)) {
		tool_unchanged("rule %zu is so already: %s", index + 1, new);
		return NO_CHANGE;
	}
	tool_changed("rule %zu: %s, was %s", index + 1, new, old);
	return 0;
}

static void delete_rule(struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	char *text TOOL_CLEANUP(fw_free_text) = copy_text(ruleset, index);

	ecbpf_fw_rule_delete(ruleset, index);
	tool_changed("rule %zu deleted: %s", index + 1, text);
}

static int change_rules(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, void *data)
{
	const struct rule_change *change = data;
	struct ecbpf_fw_summary summary;
	size_t index;
	int err;

	ecbpf_fw_summary(ruleset, &summary);
	/* without rules, rule 1 is the end */
	if (change->kind == RULE_ADD ||
	    (change->kind == RULE_INSERT && !summary.rules && !strcmp(change->which, "1")))
		return insert_rule(e, ruleset, summary.rules, change->text);
	err = ecbpf_fw_rule_find(e, ruleset, change->which, &index);
	if (err == -ENOENT && change->may_be_absent) {
		tool_unchanged("%s", ecbpf_error(e));
		return NO_CHANGE;
	}
	if (err)
		return err;
	switch (change->kind) {
	case RULE_INSERT:
		return insert_rule(e, ruleset, index, change->text);
	case RULE_REPLACE:
		return replace_rule(e, ruleset, index, change->text);
	default:
		delete_rule(ruleset, index);
		return 0;
	}
}

static int list_rules(const struct tool *tool, bool is_json)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(fw_free_ruleset) = NULL;
	struct ecbpf_fw_summary summary;
	struct ecbpf_fw_config config;
	struct json_object *list;

	if (ecbpf_fw_get(tool->ecbpf, &ruleset))
		return tool_fail_ecbpf(tool);
	if (!is_json) {
		if (ecbpf_fw_config_get(tool->ecbpf, &config))
			return tool_fail_ecbpf(tool);
		printf("#%s\n", tool_settings_text(ecbpf_fw_settings(), &config));
		return fw_print_rules(tool, ruleset);
	}
	list = json_object_new_array();
	ecbpf_fw_summary(ruleset, &summary);
	for (size_t i = 0; i < summary.rules; i++) {
		char *text TOOL_CLEANUP(fw_free_text) = ecbpf_fw_rule_text(ruleset, i);
		struct json_object *json = json_object_new_object();

		tool_json_num(json, "number", i + 1);
		tool_json_str(json, "name", ecbpf_fw_rule_name(ruleset, i));
		tool_json_str(json, "text", text);
		json_object_array_add(list, json);
	}
	tool_json_print(list);
	return TOOL_OK;
}

static int list_names(const struct tool *tool)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(fw_free_ruleset) = NULL;
	struct ecbpf_fw_summary summary;

	if (fw_live_rules(tool, &ruleset))
		return TOOL_FAILED;
	ecbpf_fw_summary(ruleset, &summary);
	for (size_t i = 0; i < summary.rules; i++) {
		const char *name = ecbpf_fw_rule_name(ruleset, i);

		if (name)
			printf("%s\n", tool_safe(name));
	}
	return TOOL_OK;
}

/* Join operands: a rule need not be quoted as one */
static char *join_words(int count, char **words)
{
	size_t size = 1;
	char *text;

	for (int i = 0; i < count; i++)
		size += strlen(words[i]) + 1;
	text = tool_alloc(NULL, size);
	text[0] = '\0';
	for (int i = 0; i < count; i++) {
		strcat(text, i ? " " : "");
		strcat(text, words[i]);
	}
	return text;
}

int fw_run_rule(struct tool *tool, int argc, char **argv)
{
	static const struct {
		const char *name;
		int kind;
		bool has_which;
		bool has_text;
	} changes[] = {
		{"add", RULE_ADD, false, true},
		{"insert", RULE_INSERT, true, true},
		{"replace", RULE_REPLACE, true, true},
		{"delete", RULE_DELETE, true, false},
	};
	char *text TOOL_CLEANUP(fw_free_text) = NULL;
	struct rule_change change = {};
	bool is_json = false, is_names = false;
	size_t i = 0;
	int id, err;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == 'j')
			is_json = true;
		else if (id == OPT_NAMES)
			is_names = true;
		else if (id == TOOL_IF_EXISTS)
			change.may_be_absent = true;
		else if (id == FW_CONFIRM) {
			if (fw_confirm_option(tool, optarg))
				return TOOL_USAGE;
		} else if (!tool_list_option(tool, id))
			return TOOL_USAGE;
	}
	argc -= optind;
	argv += optind;
	if (is_names && (is_json || argc != 1 || strcmp(argv[0], "list")))
		return tool_usage("--names is an option of list without --json");
	if (argc == 1 && !strcmp(argv[0], "list"))
		return fw_confirm_refuse("list")
			       ?: (is_names ? list_names(tool) : list_rules(tool, is_json));
	if (argc && !strcmp(argv[0], "list"))
		return tool_usage("'%s': list takes no operands", argv[1]);
	while (argc && i < sizeof(changes) / sizeof(changes[0]) && strcmp(argv[0], changes[i].name))
		i++;
	if (!argc || i == sizeof(changes) / sizeof(changes[0]))
		return tool_usage("%s%s%sexpected add, insert, replace, delete or list",
				  argc ? "'" : "", argc ? argv[0] : "", argc ? "': " : "");
	if (change.may_be_absent && changes[i].kind != RULE_DELETE)
		return tool_usage("--if-exists is an option of delete");
	argc--;
	argv++;
	if (changes[i].has_which && !argc)
		return tool_usage("%s: missing number or name of the rule", changes[i].name);
	if (changes[i].has_which) {
		change.which = *argv++;
		argc--;
	}
	if (changes[i].has_text && !argc)
		return tool_usage("%s: missing text of the rule", changes[i].name);
	if (!changes[i].has_text && argc)
		return tool_usage("'%s': delete takes one rule", argv[0]);
	text = join_words(argc, argv);
	change.text = text;
	change.kind = changes[i].kind;
	tool_change_begin(changes[i].name);
	tool_change_stage(ECBPF_STAGE_FW);
	ecbpf_session_guard(tool->ecbpf, true);
	err = ecbpf_fw_change(tool->ecbpf, change_rules, &change);
	if (err == -EEXIST)
		return TOOL_FAILED; /* told already */
	if (err < 0)
		return tool_fail_ecbpf(tool);
	if (!err)
		fw_confirm_tell();
	return TOOL_OK;
}
