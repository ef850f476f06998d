// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw: the firewall, see ecbpf-fw(8) and, for its rules, ecbpf-fw-rules(5) */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include <ecbpf/libecbpf-fw.h>
#include "common.h"

#define FILE_OPTION                                               \
	{                                                         \
		'f', "file", "FILE", "rules; - is standard input" \
	}
#define JSON_OPTION                          \
	{                                    \
		'j', "json", NULL, "as JSON" \
	}

/* --- rules from files ----------------------------------------------------------------------- */

/* What is wrong with rules is shown as compilers do: FILE:LINE:COLUMN at the line's beginning */
static int fail_rules(const struct tool *tool)
{
	const char *detail = ecbpf_error_detail(tool->ecbpf);

	if (!*detail)
		return tool_fail_ecbpf(tool);
	fflush(stdout);
	fputs(detail, stderr);
	return TOOL_FAILED;
}

static int read_rules(const struct tool *tool, const char *file,
		      struct ecbpf_fw_ruleset **ret_ruleset)
{
	return ecbpf_fw_read(tool->ecbpf, file, ret_ruleset) ? fail_rules(tool) : 0;
}

static void free_ruleset(struct ecbpf_fw_ruleset **ruleset)
{
	ecbpf_fw_ruleset_free(*ruleset);
}

static void free_text(char **text)
{
	free(*text);
}

/* --- check ---------------------------------------------------------------------------------- */

static const struct tool_option check_options[] = {
	FILE_OPTION,
	{'p', "print", NULL, "print the rules as they are understood"},
	JSON_OPTION,
	TOOL_COMMON_OPTIONS,
};

static int print_rules(const struct tool *tool, const struct ecbpf_fw_ruleset *ruleset)
{
	char *text TOOL_CLEANUP(free_text) = NULL;

	if (ecbpf_fw_print(tool->ecbpf, ruleset, &text))
		return tool_fail_ecbpf(tool);
	fputs(text, stdout);
	return TOOL_OK;
}

static void print_summary(const struct ecbpf_fw_ruleset *ruleset, const char *file, bool is_json)
{
	struct ecbpf_fw_summary summary;

	ecbpf_fw_summary(ruleset, &summary);
	if (is_json) {
		struct json_object *json = json_object_new_object();

		tool_json_num(json, "rules", summary.rules);
		tool_json_num(json, "sets", summary.sets);
		tool_json_num(json, "prefixes", summary.prefixes);
		tool_json_num(json, "assertions", summary.assertions);
		tool_json_print(json);
		return;
	}
	printf("%s: %zu rules, %zu sets with %zu prefixes, %zu assertions\n", file, summary.rules,
	       summary.sets, summary.prefixes, summary.assertions);
}

static int run_check(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(free_ruleset) = NULL;
	bool is_json = false, is_print = false;
	const char *file = NULL;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		switch (id) {
		case 'f':
			file = optarg;
			break;
		case 'p':
			is_print = true;
			break;
		case 'j':
			is_json = true;
			break;
		default:
			return TOOL_USAGE;
		}
	}
	if (!file || optind < argc)
		return tool_usage("which rules? -f FILE, or -f - for standard input");
	if (is_print && is_json)
		return tool_usage("--print prints rules, which --json does not; give one of them");
	if (read_rules(tool, file, &ruleset))
		return TOOL_FAILED;
	if (is_print)
		return print_rules(tool, ruleset);
	print_summary(ruleset, file, is_json);
	return TOOL_OK;
}

/* --- the tool ------------------------------------------------------------------------------- */

static const struct tool_verb verbs[] = {
	{
		.name = "check",
		.args = "-f FILE",
		.text = "look for errors in rules, all of them in one run",
		.about =
			"Needs no privilege, and touches nothing that is live. Says how many "
			"rules,\n"
			"sets and assertions there are; or, for each error, where it is, and what\n"
			"is allowed there.\n",
		.examples = "      ecbpf-fw check -f rules\n"
			    "  One rule, from a shell:\n"
			    "      echo 'ip from any to any udp sport {19, 123}' | ecbpf-fw check "
			    "-p -f -\n",
		.options = check_options,
		.run = run_check,
	},
	{},
};

int main(int argc, char **argv)
{
	struct tool tool = {
		.name = "ecbpf-fw",
		.text = "A firewall in front of the network stack, against floods: rules drop, "
			"limit or\n"
			"count packets, see ecbpf-fw-rules(5).\n",
		.examples = "  ecbpf-fw check -f rules               are the rules good?\n",
		.verbs = verbs,
	};

	return tool_main(&tool, argc, argv);
}
