// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw: the firewall, see ecbpf-fw(8) and, for its rules, ecbpf-fw-rules(5) */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include <linux/if_ether.h>
#include "tools/fw/frames.h"
#include "tools/fw/live.h"

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
int fw_fail_rules(const struct tool *tool)
{
	const char *detail = ecbpf_error_detail(tool->ecbpf);

	if (!*detail)
		return tool_fail_ecbpf(tool);
	fflush(stdout);
	tool_put_safe(stderr, detail, strlen(detail), "\n\t");
	return TOOL_FAILED;
}

int fw_read_rules(const struct tool *tool, const char *file, struct ecbpf_fw_ruleset **ret_ruleset)
{
	return ecbpf_fw_read(tool->ecbpf, file, ret_ruleset) ? fw_fail_rules(tool) : 0;
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
	tool_put_safe(stdout, text, strlen(text), "\n\t");
	return TOOL_OK;
}

static int print_summary(const struct tool *tool, const struct ecbpf_fw_ruleset *ruleset,
			 const char *file, bool is_json)
{
	struct ecbpf_fw_summary summary;
	size_t bytes;

	if (ecbpf_fw_bytes(tool->ecbpf, ruleset, &bytes))
		return tool_fail_ecbpf(tool);
	ecbpf_fw_summary(ruleset, &summary);
	if (is_json) {
		struct json_object *json = json_object_new_object();

		tool_json_num(json, "rules", summary.rules);
		tool_json_num(json, "sets", summary.sets);
		tool_json_num(json, "prefixes", summary.prefixes);
		tool_json_num(json, "assertions", summary.assertions);
		tool_json_num(json, "table_bytes", bytes);
		tool_json_print(json);
		return TOOL_OK;
	}
	printf("%s: %s, %s with %s, %s; %zu KiB of tables\n", tool_safe(file),
	       tool_many(summary.rules, "rule"), tool_many(summary.sets, "set"),
	       tool_many(summary.prefixes, "prefix"), tool_many(summary.assertions, "assertion"),
	       bytes / 1024);
	return TOOL_OK;
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
	if (fw_read_rules(tool, file, &ruleset))
		return TOOL_FAILED;
	if (is_print)
		return print_rules(tool, ruleset);
	return print_summary(tool, ruleset, file, is_json);
}

/* --- test ----------------------------------------------------------------------------------- */

static const struct tool_option test_options[] = {
	FILE_OPTION,
	{'r', "read", "PCAP", "packets, pcap or pcapng; - is standard input"},
	JSON_OPTION,
	TOOL_COMMON_OPTIONS,
};

#define SHA1_TEXT_SIZE 41

/* A run of `test` */
struct test_run {
	const struct tool *tool;
	const char *rules_file;
	const struct ecbpf_fw_ruleset *ruleset;
	struct ecbpf_fw_trial *trial;
	const struct ecbpf_fw_assertion *assertions;
	size_t assertions_count;
	size_t *seen; /* of each: how many packets it was about */
	size_t packets;
	size_t failed;
	struct json_object *json_packets; /* NULL: as text */
	struct json_object *json_failed;
};

static const char *sha1_text(const __u8 *sha1, char *text)
{
	for (size_t i = 0; i < 20; i++)
		sprintf(text + 2 * i, "%02x", sha1[i]);
	return text;
}

static void print_packet(struct test_run *t, const struct frame *frame, __u32 action, size_t rule)
{
	const char *name = rule == ECBPF_FW_NO_RULE ? NULL : ecbpf_fw_rule_name(t->ruleset, rule);
	char sha1[SHA1_TEXT_SIZE];
	struct json_object *json;

	sha1_text(frame->sha1, sha1);
	if (!t->json_packets) {
		printf("%zu\t%zu\t%s\t", frame->number, frame->size, ecbpf_action_name(action));
		printf(rule == ECBPF_FW_NO_RULE ? "-" : "%zu", rule + 1);
		printf("\t%s\t%s\n", sha1, name ? tool_safe(name) : "");
		return;
	}
	json = json_object_new_object();
	tool_json_num(json, "packet", frame->number);
	tool_json_num(json, "bytes", frame->size);
	tool_json_str(json, "action", ecbpf_action_name(action));
	if (rule == ECBPF_FW_NO_RULE)
		tool_json_str(json, "rule", NULL);
	else
		tool_json_num(json, "rule", rule + 1);
	tool_json_str(json, "name", name);
	tool_json_str(json, "sha1", sha1);
	json_object_array_add(t->json_packets, json);
}

/* @frame: NULL if there was none */
static void assertion_failed(struct test_run *t, const struct ecbpf_fw_assertion *assertion,
			     const struct frame *frame, __u32 action)
{
	const char *expected = ecbpf_action_name(assertion->action);
	char sha1[SHA1_TEXT_SIZE];
	struct json_object *json;

	t->failed++;
	sha1_text(assertion->sha1, sha1);
	if (!t->json_failed) {
		fflush(stdout);
		fprintf(stderr, "%s:%u: %s: %s", tool_safe(t->rules_file), assertion->line, sha1,
			expected);
		if (frame)
			fprintf(stderr, " is expected, packet %zu got %s\n", frame->number,
				ecbpf_action_name(action));
		else
			fprintf(stderr, " is expected, but no packet has this sum\n");
		return;
	}
	json = json_object_new_object();
	tool_json_num(json, "line", assertion->line);
	tool_json_str(json, "sha1", sha1);
	tool_json_str(json, "expected", expected);
	tool_json_str(json, "action", frame ? ecbpf_action_name(action) : NULL);
	if (frame)
		tool_json_num(json, "packet", frame->number);
	json_object_array_add(t->json_failed, json);
}

static int test_packet(struct test_run *t, const struct frame *frame)
{
	size_t rule;
	__u32 action;

	t->packets++;
	if (frame->size < ETH_HLEN)
		return tool_fail(
			"packet %zu has %zu bytes, less than an Ethernet header: the kernel "
			"runs no program on it",
			frame->number, frame->size);
	if (frame->size < frame->wire_size)
		tool_warn("packet %zu was cut, %zu of its %zu bytes are there: to rules, it is "
			  "malformed",
			  frame->number, frame->size, frame->wire_size);
	if (ecbpf_fw_trial_run(t->tool->ecbpf, t->trial, frame->data, frame->size, &action, &rule))
		return tool_fail_ecbpf(t->tool);
	print_packet(t, frame, action, rule);
	for (size_t i = 0; i < t->assertions_count; i++) {
		if (memcmp(t->assertions[i].sha1, frame->sha1, sizeof(frame->sha1)))
			continue;
		t->seen[i]++;
		if (t->assertions[i].action != action)
			assertion_failed(t, &t->assertions[i], frame, action);
	}
	return 0;
}

static int test_capture(struct test_run *t, const char *pcap_file)
{
	FILE *file = strcmp(pcap_file, "-") ? fopen(pcap_file, "re") : stdin;
	struct frame frame;
	struct frames *frames;
	int result, err = 0;

	if (!file)
		return tool_fail("%s: %s", pcap_file, strerror(errno));
	if (frames_open(file, &frames))
		return tool_fail("%s: %s", pcap_file, frames_error(NULL));
	while (!err && (result = frames_next(frames, &frame))) {
		if (result < 0)
			err = tool_fail("%s: %s", pcap_file, frames_error(frames));
		else
			err = test_packet(t, &frame);
	}
	frames_close(frames);
	for (size_t i = 0; !err && i < t->assertions_count; i++)
		if (!t->seen[i])
			assertion_failed(t, &t->assertions[i], NULL, 0);
	return err;
}

static void print_test(struct test_run *t)
{
	struct json_object *json;

	if (!t->json_packets) {
		printf("%zu packets, %zu assertions, %zu failed\n", t->packets, t->assertions_count,
		       t->failed);
		return;
	}
	json = json_object_new_object();
	json_object_object_add(json, "packets", t->json_packets);
	tool_json_num(json, "assertions", t->assertions_count);
	json_object_object_add(json, "failed", t->json_failed);
	t->json_packets = t->json_failed = NULL;
	tool_json_print(json);
}

static int test(struct test_run *t, const char *pcap_file)
{
	int err;

	t->assertions_count = ecbpf_fw_assertions(t->ruleset, &t->assertions);
	if (ecbpf_fw_trial_new(t->tool->ecbpf, t->ruleset, &t->trial))
		return tool_fail_ecbpf(t->tool);
	t->seen = tool_alloc(NULL, (t->assertions_count + 1) * sizeof(*t->seen));
	memset(t->seen, 0, t->assertions_count * sizeof(*t->seen));
	err = test_capture(t, pcap_file);
	if (!err)
		print_test(t);
	json_object_put(t->json_packets);
	json_object_put(t->json_failed);
	free(t->seen);
	ecbpf_fw_trial_free(t->trial);
	return err ? err : t->failed ? TOOL_FAILED : TOOL_OK;
}

static int run_test(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(free_ruleset) = NULL;
	const char *file = NULL, *pcap_file = NULL;
	struct test_run t = {.tool = tool};
	bool is_json = false;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		switch (id) {
		case 'f':
			file = optarg;
			break;
		case 'r':
			pcap_file = optarg;
			break;
		case 'j':
			is_json = true;
			break;
		default:
			return TOOL_USAGE;
		}
	}
	if (optind < argc)
		return tool_usage("'%s': takes no operands", argv[optind]);
	if (!file)
		return tool_usage("which rules? -f FILE");
	if (!pcap_file)
		return tool_usage("which packets? -r PCAP");
	if (!strcmp(file, "-") && !strcmp(pcap_file, "-"))
		return tool_usage("rules and packets cannot both be standard input");
	if (fw_read_rules(tool, file, &ruleset))
		return TOOL_FAILED;
	t.ruleset = ruleset;
	t.rules_file = file;
	if (is_json) {
		t.json_packets = json_object_new_array();
		t.json_failed = json_object_new_array();
	}
	return test(&t, pcap_file);
}

/* --- rule ----------------------------------------------------------------------------------- */

static const struct tool_option rule_options[] = {JSON_OPTION, TOOL_COMMON_OPTIONS};

/* What is to become of the live rules */
struct rule_change {
	enum {
		RULE_ADD,
		RULE_INSERT,
		RULE_REPLACE,
		RULE_DELETE,
	} kind;
	const char *which; /* number or name */
	const char *text;
};

static int change_rules(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, void *data)
{
	const struct rule_change *change = data;
	struct ecbpf_fw_summary summary;
	size_t index;
	int err;

	ecbpf_fw_summary(ruleset, &summary);
	/* before the first of none is the end, too */
	if (change->kind == RULE_ADD ||
	    (change->kind == RULE_INSERT && !summary.rules && !strcmp(change->which, "1")))
		return ecbpf_fw_rule_insert(e, ruleset, summary.rules, change->text);
	err = ecbpf_fw_rule_find(e, ruleset, change->which, &index);
	if (err)
		return err;
	switch (change->kind) {
	case RULE_INSERT:
		return ecbpf_fw_rule_insert(e, ruleset, index, change->text);
	case RULE_REPLACE:
		return ecbpf_fw_rule_replace(e, ruleset, index, change->text);
	default:
		ecbpf_fw_rule_delete(ruleset, index);
		return 0;
	}
}

static int list_rules(const struct tool *tool, bool is_json)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(free_ruleset) = NULL;
	struct ecbpf_fw_summary summary;
	struct json_object *list;

	if (ecbpf_fw_get(tool->ecbpf, &ruleset))
		return tool_fail_ecbpf(tool);
	if (!is_json)
		return print_rules(tool, ruleset);
	list = json_object_new_array();
	ecbpf_fw_summary(ruleset, &summary);
	for (size_t i = 0; i < summary.rules; i++) {
		char *text TOOL_CLEANUP(free_text) = ecbpf_fw_rule_text(ruleset, i);
		struct json_object *json = json_object_new_object();

		tool_json_num(json, "number", i + 1);
		tool_json_str(json, "name", ecbpf_fw_rule_name(ruleset, i));
		tool_json_str(json, "text", text);
		json_object_array_add(list, json);
	}
	tool_json_print(list);
	return TOOL_OK;
}

/* Words as one text: quotes around a rule are needed for the shell's sake only */
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

static int run_rule(struct tool *tool, int argc, char **argv)
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
	char *text TOOL_CLEANUP(free_text) = NULL;
	struct rule_change change = {};
	bool is_json = false;
	size_t i = 0;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id != 'j')
			return TOOL_USAGE;
		is_json = true;
	}
	argc -= optind;
	argv += optind;
	if (argc == 1 && !strcmp(argv[0], "list"))
		return list_rules(tool, is_json);
	while (argc && i < sizeof(changes) / sizeof(changes[0]) && strcmp(argv[0], changes[i].name))
		i++;
	if (!argc || i == sizeof(changes) / sizeof(changes[0]))
		return tool_usage("%s%s%sadd, insert, replace, delete or list?", argc ? "'" : "",
				  argc ? argv[0] : "", argc ? "': " : "");
	if (is_json)
		return tool_usage("--json is for 'rule list'");
	argc--;
	argv++;
	if (changes[i].has_which && !argc)
		return tool_usage("%s which rule? its number or name", changes[i].name);
	if (changes[i].has_which) {
		change.which = *argv++;
		argc--;
	}
	if (changes[i].has_text && !argc)
		return tool_usage("%s: what is the new rule?", changes[i].name);
	if (!changes[i].has_text && argc)
		return tool_usage("'%s': takes one rule at a time", argv[0]);
	text = join_words(argc, argv);
	change.text = text;
	change.kind = changes[i].kind;
	return ecbpf_fw_change(tool->ecbpf, change_rules, &change) ? fw_fail_rules(tool) : TOOL_OK;
}

/* --- the tool ------------------------------------------------------------------------------- */

static const struct tool_verb verbs[] = {
	{
		.name = "load",
		.args = "IFACE...",
		.text = "put the firewall onto interfaces",
		.about = "All interfaces have one ruleset. Its rules are live before the first "
			 "packet.\n",
		.examples = "      ecbpf-fw load -f rules eth0 eth1\n",
		.options = fw_load_options,
		.run = fw_run_load,
	},
	{
		.name = "unload",
		.args = "[IFACE]...",
		.text = "take it off these interfaces, or off all",
		.about = "The rules stay, with their counters, for the next load; to forget them, "
			 "too:\n"
			 "ecbpf-loader clean.\n",
		.options = fw_unload_options,
		.run = fw_run_unload,
	},
	{
		.name = "apply",
		.args = "-f FILE",
		.text = "make the rules of a file live, all in one step",
		.about = "Packets see the old rules or the new ones. A rule that was there before "
			 "goes on\n"
			 "with its counters: by its name, or by what it says if it has none.\n",
		.examples = "      ecbpf-fw apply -f rules\n"
			    "  What is live, edited:\n"
			    "      ecbpf-fw rule list | sed 's/drop/dry drop/' | ecbpf-fw apply -f "
			    "-\n",
		.options = fw_apply_options,
		.run = fw_run_apply,
	},
	{
		.name = "set",
		.args = "create|destroy|add|delete|list|flush|replace NAME [PREFIX]...",
		.text = "change the live sets of addresses; no rule is touched",
		.about = "Adding what is there, or deleting what is not, is fine. One call is all "
			 "or\n"
			 "nothing. 'list NAME' prints what 'replace -f' reads; 'list' shows which "
			 "sets there are.\n",
		.examples = "      ecbpf-fw set create bad\n"
			    "      ecbpf-fw rule add 'ip from @bad to any tcp udp icmp'\n"
			    "      ecbpf-fw set add bad 192.0.2.1 198.51.100.0/24\n"
			    "      ecbpf-fw set replace bad -f blocklist\n",
		.options = fw_set_options,
		.run = fw_run_set,
	},
	{
		.name = "stats",
		.args = "",
		.text = "show what the live rules counted",
		.about = "Packets and bytes that each rule took, of a limit how many were above "
			 "it, and\n"
			 "packets a second now.\n",
		.examples = "      ecbpf-fw stats --watch\n",
		.options = fw_stats_options,
		.run = fw_run_stats,
	},
	{
		.name = "status",
		.args = "",
		.text = "show where the firewall is loaded, and how much there is of it",
		.options = fw_status_options,
		.run = fw_run_status,
	},
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
			    "  One rule, from a shell, and how it is understood:\n"
			    "      echo 'ip from any to any udp sport {19, 123}' | ecbpf-fw check "
			    "-p -f -\n",
		.options = check_options,
		.run = run_check,
	},
	{
		.name = "test",
		.args = "-f FILE -r PCAP",
		.text = "try rules on captured packets, and check the assertions of the rules",
		.about = "The real program decides, but touches nothing that is live. For each "
			 "packet\n"
			 "a line: number, bytes, verdict, number of the rule that decided or -, "
			 "SHA-1\n"
			 "of the packet, name of the rule. Exit status 1: a packet's verdict is "
			 "not\n"
			 "what a 'test' line of FILE says, or there is no such packet.\n",
		.examples = "  What would these rules have dropped of an attack?\n"
			    "      tcpdump -c 10000 -w attack.pcap -i eth0\n"
			    "      ecbpf-fw test -f rules -r attack.pcap | cut -f 3,4 | sort | "
			    "uniq -c\n",
		.options = test_options,
		.run = run_test,
	},
	{
		.name = "rule",
		.args = "add TEXT | insert N TEXT | replace N|NAME TEXT | delete N|NAME | list",
		.text = "change the live rules one at a time, or list them",
		.about = "Packets see the rules before or after a change. 'insert' puts the new "
			 "rule\n"
			 "before rule N. 'list' prints a file that 'apply' takes. Quotes keep the\n"
			 "shell from taking braces, '!' and '\"' for its own.\n",
		.examples =
			"  The attack at hand:\n"
			"      ecbpf-fw rule add 'ip from any to any udp sport {123, 11211} drop'\n"
			"  Only count at first, then drop:\n"
			"      ecbpf-fw rule insert 1 'dry drop ip from @bad to any tcp name "
			"\"bad\"'\n"
			"      ecbpf-fw rule replace bad 'drop ip from @bad to any tcp'\n"
			"      ecbpf-fw rule delete bad\n",
		.options = rule_options,
		.run = run_rule,
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
		.examples = "  ecbpf-fw check -f rules               are the rules good?\n"
			    "  ecbpf-fw test -f rules -r a.pcap      what would they do?\n"
			    "  ecbpf-fw rule add 'ip from 192.0.2.0/24 to any tcp'\n"
			    "  ecbpf-fw rule list                    what is live?\n",
		.verbs = verbs,
	};

	return tool_main(&tool, argc, argv);
}
