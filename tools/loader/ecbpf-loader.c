// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-loader: chains of XDP programs on interfaces, see ecbpf-loader(8) */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <json-c/json.h>
#include <linux/bpf.h>
#include <ecbpf/libecbpf-config.h>
#include "tools/common/common.h"
#include "tools/loader/lldp.h"
#include "tools/loader/metrics.h"

#define TOP_REASONS 5

enum {
	OPT_FUSED = TOOL_LONG_ONLY,
	OPT_CLEAR,
	OPT_DIFF,
	OPT_NO_LLDP,
	OPT_STOP,
	OPT_STATSD,
};

/* --- load, replace -------------------------------------------------------------------------- */

/* Options of load and replace; -m is for load alone, as a chain has one mode */
struct load_options {
	enum ecbpf_mode mode;
	struct ecbpf_program program; /* what all programs get */
	struct tool_list settings;
};

#define PROGRAM_OPTIONS                                                                        \
	{'P', "prio", "N",                                                                     \
	 "run priority, 0 to 2147483647; low runs first\n"                                     \
	 "(default: what the program says, else 50)"},                                         \
		{'A', "actions", "LIST",                                                       \
		 "actions after which the next program runs,\n"                                \
		 "XDP_PASS,XDP_TX (default: what the program\n"                                \
		 "says, else XDP_PASS)"},                                                      \
		{'s', "section", "NAME",                                                       \
		 "ELF section to take the program from\n"                                      \
		 "(default: the first XDP program)"},                                          \
		{'n', "prog-name", "NAME", "name of the program in the object"},               \
		{'p', "pin-path", "DIR",                                                       \
		 "directory of the BPF file system to pin maps\n"                              \
		 "in that ask for it (default: do not pin them)"},                             \
		{'S', "set", "NAME=VALUE",                                                     \
		 "set a constant of the program to a number or an\n"                           \
		 "XDP action; may be given several times"},                                    \
	{                                                                                      \
		OPT_FUSED, "fused", "STAGES", "one program that runs these stages: pass,count" \
	}

static const struct tool_option load_options[] = {
	TOOL_MODE_OPTION,
	PROGRAM_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

static const struct tool_option replace_options[] = {PROGRAM_OPTIONS, TOOL_COMMON_OPTIONS};

static int parse_mode(const char *text, enum ecbpf_mode *ret_mode)
{
	if (!strcmp(text, "hw")) /* which xdp-loader has */
		return tool_fail("--mode: 'hw': programs in hardware have no dispatcher, so they "
				 "cannot be chained; use native or skb");
	return tool_parse_mode(text, ret_mode);
}

static int parse_load_options(struct tool *tool, int argc, char **argv, struct load_options *o)
{
	struct ecbpf_program *program = &o->program;
	__u64 number;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		int err = 0;

		switch (id) {
		case 'm':
			err = parse_mode(optarg, &o->mode);
			break;
		case 'P':
			err = tool_parse_number("--prio", optarg, 0, INT_MAX, &number);
			if (!err)
				program->prio = number;
			break;
		case 'A':
			err = tool_parse_actions("--actions", optarg, &program->actions);
			break;
		case 's':
			program->section = optarg;
			break;
		case 'n':
			program->name = optarg;
			break;
		case 'p':
			program->pin_path = optarg;
			break;
		case 'S':
			err = tool_parse_setting("--set", optarg, &o->settings);
			break;
		case OPT_FUSED:
			program->fused = optarg;
			break;
		default:
			return TOOL_USAGE;
		}
		if (err)
			return err;
	}
	if (program->section && program->name)
		return tool_usage("--section and --prog-name both say which program; give one");
	program->settings = (const char *const *)o->settings.items;
	program->settings_count = o->settings.count;
	return 0;
}

/*
 * The programs to load: --fused, and what is named; options are for all. A section or a name is of
 * an object file, so not of --fused. Return: how many
 */
static size_t list_programs(const struct load_options *o, size_t files_count, char **files,
			    struct ecbpf_program *programs)
{
	size_t count = 0;

	if (o->program.fused) {
		programs[count] = o->program;
		programs[count].section = NULL;
		programs[count].name = NULL;
		count++;
	}
	for (size_t i = 0; i < files_count; i++) {
		programs[count] = o->program;
		programs[count].fused = NULL;
		programs[count].file = files[i];
		count++;
	}
	return count;
}

static int load(struct tool *tool, const struct load_options *o, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_program *programs;
	int err;

	if (argc < 1)
		return tool_usage("on which interface?");
	if (argc < 2 && !o->program.fused)
		return tool_usage("which program?");
	if (argc < 2 && (o->program.section || o->program.name))
		return tool_usage(
			"--section and --prog-name are for object files, not for --fused");
	err = tool_parse_ifaces(argv[0], &ifaces);
	if (err)
		return err;
	programs = tool_alloc(NULL, argc * sizeof(*programs));
	err = ecbpf_chain_load(tool->ecbpf, (const char *const *)ifaces.items, ifaces.count,
			       programs, list_programs(o, argc - 1, argv + 1, programs), o->mode);
	free(programs);
	return err ? tool_fail_ecbpf(tool) : TOOL_OK;
}

static int run_load(struct tool *tool, int argc, char **argv)
{
	struct load_options o = {.program = ECBPF_PROGRAM_INIT};
	int err;

	err = parse_load_options(tool, argc, argv, &o);
	if (!err)
		err = load(tool, &o, argc - optind, argv + optind);
	tool_list_free(&o.settings);
	return err;
}

static int replace(struct tool *tool, const struct load_options *o, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_program program;
	int err;

	if (argc < 2)
		return tool_usage(argc ? "replace which program?" : "on which interface?");
	if (argc < 3 && !o->program.fused)
		return tool_usage("replace it by which program?");
	if (argc > 2 && o->program.fused)
		return tool_usage("'%s': --fused is the program already", argv[2]);
	if (argc > 3)
		return tool_usage("'%s': one program takes the place of one", argv[3]);
	if (o->program.fused && (o->program.section || o->program.name))
		return tool_usage(
			"--section and --prog-name are for object files, not for --fused");
	err = tool_parse_ifaces(argv[0], &ifaces);
	if (err)
		return err;
	if (ifaces.count > 1)
		return tool_usage("'%s': replace works on one interface at a time", argv[0]);
	list_programs(o, argc - 2, argv + 2, &program);
	if (ecbpf_chain_replace(tool->ecbpf, ifaces.items[0], argv[1], &program))
		return tool_fail_ecbpf(tool);
	return TOOL_OK;
}

static int run_replace(struct tool *tool, int argc, char **argv)
{
	struct load_options o = {.program = ECBPF_PROGRAM_INIT};
	int err;

	err = parse_load_options(tool, argc, argv, &o);
	if (!err)
		err = replace(tool, &o, argc - optind, argv + optind);
	tool_list_free(&o.settings);
	return err;
}

/* --- unload --------------------------------------------------------------------------------- */

static const struct tool_option unload_options[] = {
	{'i', "id", "ID", "the program with this ID"},
	{'n', "name", "NAME", "the programs of this name, or of this stage"},
	{'a', "all", NULL,
	 "all programs, and one that is attached without\n"
	 "a dispatcher as well"},
	TOOL_COMMON_OPTIONS,
};

/* Operands that are interfaces, all of them. Return: 0 or TOOL_USAGE */
static int parse_ifaces(int argc, char **argv, struct tool_list *ifaces)
{
	for (int i = optind; i < argc; i++)
		if (tool_parse_ifaces(argv[i], ifaces))
			return TOOL_USAGE;
	return 0;
}

static int run_unload(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_selector selector = {};
	__u64 number;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		switch (id) {
		case 'i':
			if (tool_parse_number("--id", optarg, 1, UINT_MAX, &number))
				return TOOL_USAGE;
			selector.id = number;
			break;
		case 'n':
			selector.name = optarg;
			break;
		case 'a':
			selector.all = true;
			break;
		default:
			return TOOL_USAGE;
		}
	}
	if (!!selector.id + !!selector.name + selector.all != 1)
		return tool_usage("give one of --id, --name and --all");
	if (optind == argc)
		return tool_usage("from which interface?");
	if (parse_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	if (ecbpf_chain_unload(tool->ecbpf, (const char *const *)ifaces.items, ifaces.count,
			       &selector))
		return tool_fail_ecbpf(tool);
	return TOOL_OK;
}

/* --- status --------------------------------------------------------------------------------- */

static const struct tool_option status_options[] = {
	{'j', "json", NULL, "print JSON"},
	{OPT_CLEAR, "clear", NULL, "set the counters of our programs to zero"},
	TOOL_COMMON_OPTIONS,
};

static const char *kind_name(enum ecbpf_chain_kind kind)
{
	switch (kind) {
	case ECBPF_CHAIN_NONE:
		return "none";
	case ECBPF_CHAIN_DISPATCHER:
		return "dispatcher";
	case ECBPF_CHAIN_SINGLE:
		return "single";
	default:
		return "broken";
	}
}

static const char *tag_text(const __u8 *tag)
{
	return tool_str("%02x%02x%02x%02x%02x%02x%02x%02x", tag[0], tag[1], tag[2], tag[3], tag[4],
			tag[5], tag[6], tag[7]);
}

static const char *actions_text(__u32 actions)
{
	const char *text = "";

	for (__u32 action = XDP_ABORTED; action <= XDP_REDIRECT; action++)
		if (actions & 1U << action)
			text = tool_str("%s%s%s", text, *text ? "," : "",
					ecbpf_action_name(action));
	return text;
}

/* The counters are of a layout that is known here */
static bool has_counters(const struct ecbpf_member *member)
{
	return member->is_ours && member->schema == ECBPF_SCHEMA;
}

/* The table of xdp-loader, to the blank, for scripts that read it */
static void print_chain_rows(const struct ecbpf_chain *chain)
{
	bool is_single = chain->kind == ECBPF_CHAIN_SINGLE && chain->members_count;
	const struct ecbpf_member *single = chain->members;

	if (chain->kind == ECBPF_CHAIN_NONE) {
		printf("%-22s <No XDP program loaded!>\n", tool_safe(chain->iface));
		return;
	}
	printf("%-16s %-5s %-17s %-8s %-4u %-17s\n", tool_safe(chain->iface), "",
	       tool_safe(is_single ? single->name : chain->name), ecbpf_mode_name(chain->mode),
	       is_single ? single->id : chain->id, tag_text(is_single ? single->tag : chain->tag));
	for (size_t i = 0; i < chain->members_count && !is_single; i++) {
		const struct ecbpf_member *member = &chain->members[i];

		printf("%-16s %-5u  %-16s %-8s %-4u %-17s %s\n", " =>", member->prio,
		       tool_safe(member->name), "", member->id, tag_text(member->tag),
		       actions_text(member->actions));
	}
}

/* Below it: what xdp-loader does not know */

static void print_count_head(const char *what)
{
	printf("    %-19s %16s %20s\n", what, "packets", "bytes");
}

static void print_count_row(const char *name, __u64 packets, __u64 bytes)
{
	printf("    %-19s %16" PRIu64 " %20" PRIu64 "\n", name, (uint64_t)packets, (uint64_t)bytes);
}

static void print_actions(const struct ecbpf_counters *counters)
{
	bool is_empty = true;

	for (__u32 action = 0; action < ECBPF_ACTION_MAX; action++)
		is_empty &= !counters->packets[action];
	if (is_empty) {
		printf("    no packets yet\n");
		return;
	}
	print_count_head("verdict");
	for (__u32 action = 0; action < ECBPF_ACTION_MAX; action++)
		if (counters->packets[action])
			print_count_row(ecbpf_action_name(action), counters->packets[action],
					counters->bytes[action]);
}

static const char *reason_name(__u32 reason)
{
	const char *name = ecbpf_reason_name(reason);

	return name ? name : tool_str("reason-%u", reason);
}

static void print_reasons(const struct ecbpf_counters *counters)
{
	bool is_shown[ECBPF_REASON_MAX] = {};
	__u64 rest_packets = 0;
	size_t rest = 0;

	for (int place = 0; place < TOP_REASONS; place++) {
		const char *text;
		__u32 top = 0;

		for (__u32 reason = 1; reason < ECBPF_REASON_MAX; reason++)
			if (!is_shown[reason] && counters->reasons[reason] &&
			    (!top || counters->reasons[reason] > counters->reasons[top]))
				top = reason;
		if (!top)
			return;
		if (!place)
			printf("    %-19s %16s\n", "reason", "packets");
		is_shown[top] = true;
		text = ecbpf_reason_text(top);
		printf("    %-19s %16" PRIu64 "%s%s\n", reason_name(top),
		       (uint64_t)counters->reasons[top], text ? "  " : "", text ? text : "");
	}
	for (__u32 reason = 1; reason < ECBPF_REASON_MAX; reason++) {
		if (is_shown[reason] || !counters->reasons[reason])
			continue;
		rest++;
		rest_packets += counters->reasons[reason];
	}
	if (rest)
		printf("    %-19s %16" PRIu64 "  of %zu reasons, all with --json\n", "others",
		       (uint64_t)rest_packets, rest);
}

static void print_count(const struct ecbpf_count *count)
{
	bool is_empty = true;

	for (__u32 class = 0; class < ECBPF_COUNT_MAX; class ++) {
		const char *name = ecbpf_count_name(class);

		if (!count[class].packets)
			continue;
		if (is_empty)
			print_count_head("protocol");
		is_empty = false;
		print_count_row(name ? name : tool_str("class-%u", class), count[class].packets,
				count[class].bytes);
	}
}

static const char *stage_name(__u32 stage)
{
	const char *name = ecbpf_stage_name(stage);

	return name ? name : tool_str("stage-%u", stage);
}

static void print_member(const struct ecbpf_chain *chain, const struct ecbpf_member *member)
{
	time_t load_time = member->load_time_s;
	char when[32] = "?";
	struct tm tm;

	if (localtime_r(&load_time, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s: %s, ID %u, loaded %s%s\n", tool_safe(chain->iface), tool_safe(member->name),
	       member->id, when, has_counters(member) ? "" : ", counters: not known");
	if (member->is_ours && !has_counters(member))
		printf("    built for schema %u, and this is ecbpf-loader for schema %d\n",
		       member->schema, ECBPF_SCHEMA);
	if (!member->has_link && chain->kind != ECBPF_CHAIN_SINGLE)
		printf("    its link is not pinned, so it may not be running: try 'ecbpf-loader "
		       "doctor %s'\n",
		       tool_safe(chain->iface));
	if (!has_counters(member))
		return;
	for (size_t i = 0; i < member->stages_count; i++) {
		const struct ecbpf_member_stage *stage = &member->stages[i];

		if (member->stages_count > 1)
			printf("  stage %zu: %s\n", i + 1, stage_name(stage->stage));
		print_actions(&stage->counters);
		print_reasons(&stage->counters);
		if (member->has_count && stage->stage == ECBPF_STAGE_COUNT)
			print_count(member->count);
	}
}

static void print_chain_details(const struct ecbpf_chain *chain)
{
	if (chain->kind == ECBPF_CHAIN_NONE)
		return;
	printf("\n");
	if (chain->kind == ECBPF_CHAIN_SINGLE)
		printf("%s: one program without a dispatcher: nothing can be chained to it\n",
		       tool_safe(chain->iface));
	if (chain->kind == ECBPF_CHAIN_BROKEN)
		printf("%s: the chain is broken, its programs may not be running: try "
		       "'ecbpf-loader doctor %s'\n",
		       tool_safe(chain->iface), tool_safe(chain->iface));
	for (size_t i = 0; i < chain->members_count; i++)
		print_member(chain, &chain->members[i]);
}

static void print_chains(struct ecbpf_chain *const *chains, size_t count)
{
	printf("CURRENT XDP PROGRAM STATUS:\n\n");
	printf("%-16s %-5s %-17s Mode     ID   %-17s %s\n", "Interface", "Prio", "Program name",
	       "Tag", "Chain actions");
	printf("--------------------------------------------------------------------------------"
	       "------\n");
	for (size_t i = 0; i < count; i++)
		print_chain_rows(chains[i]);
	for (size_t i = 0; i < count; i++)
		print_chain_details(chains[i]);
	printf("\n");
}

/* --- status --json -------------------------------------------------------------------------- */

static struct json_object *json_counts(__u64 packets, __u64 bytes)
{
	struct json_object *json = json_object_new_object();

	tool_json_num(json, "packets", packets);
	tool_json_num(json, "bytes", bytes);
	return json;
}

static struct json_object *json_count(const struct ecbpf_count *count)
{
	struct json_object *json = json_object_new_object();
	const char *name;

	for (__u32 class = 0; class < ECBPF_COUNT_MAX && (name = ecbpf_count_name(class)); class ++)
		json_object_object_add(json, name,
				       json_counts(count[class].packets, count[class].bytes));
	return json;
}

static struct json_object *json_stage(const struct ecbpf_member *member,
				      const struct ecbpf_member_stage *stage)
{
	struct json_object *json = json_object_new_object();
	struct json_object *actions = json_object_new_object();
	struct json_object *reasons = json_object_new_object();
	const struct ecbpf_counters *counters = &stage->counters;

	for (__u32 action = 0; action < ECBPF_ACTION_MAX; action++)
		json_object_object_add(
			actions, ecbpf_action_name(action),
			json_counts(counters->packets[action], counters->bytes[action]));
	for (__u32 reason = 1; reason < ECBPF_REASON_MAX; reason++) {
		struct json_object *entry;

		if (!counters->reasons[reason])
			continue;
		entry = json_object_new_object();
		tool_json_num(entry, "packets", counters->reasons[reason]);
		tool_json_str(entry, "text", ecbpf_reason_text(reason));
		json_object_object_add(reasons, reason_name(reason), entry);
	}
	tool_json_str(json, "stage", stage->stage ? stage_name(stage->stage) : NULL);
	json_object_object_add(json, "actions", actions);
	json_object_object_add(json, "reasons", reasons);
	json_object_object_add(json, "count",
			       member->has_count && stage->stage == ECBPF_STAGE_COUNT
				       ? json_count(member->count)
				       : NULL);
	return json;
}

static struct json_object *json_member(const struct ecbpf_chain *chain,
				       const struct ecbpf_member *member)
{
	bool is_chained = chain->kind != ECBPF_CHAIN_SINGLE;
	struct json_object *json = json_object_new_object();
	struct json_object *actions = json_object_new_array();
	struct json_object *stages = NULL;

	for (__u32 action = XDP_ABORTED; action <= XDP_REDIRECT; action++)
		if (member->actions & 1U << action)
			json_object_array_add(actions,
					      json_object_new_string(ecbpf_action_name(action)));
	if (has_counters(member)) {
		stages = json_object_new_array();
		for (size_t i = 0; i < member->stages_count; i++)
			json_object_array_add(stages, json_stage(member, &member->stages[i]));
	}
	tool_json_str(json, "name", member->name);
	tool_json_num(json, "id", member->id);
	tool_json_str(json, "tag", tag_text(member->tag));
	json_object_object_add(json, "prio",
			       is_chained ? json_object_new_uint64(member->prio) : NULL);
	json_object_object_add(json, "chain_actions", actions);
	tool_json_num(json, "load_time_s", member->load_time_s);
	tool_json_bool(json, "is_ours", member->is_ours);
	tool_json_bool(json, "has_link", member->has_link);
	json_object_object_add(json, "schema",
			       member->is_ours ? json_object_new_uint64(member->schema) : NULL);
	json_object_object_add(json, "stages", stages);
	return json;
}

static struct json_object *json_chain(const struct ecbpf_chain *chain)
{
	struct json_object *json = json_object_new_object();
	struct json_object *members = json_object_new_array();
	struct json_object *dispatcher = NULL;

	if (chain->id) {
		dispatcher = json_object_new_object();
		tool_json_str(dispatcher, "name", chain->name);
		tool_json_num(dispatcher, "id", chain->id);
		tool_json_str(dispatcher, "tag", tag_text(chain->tag));
		tool_json_num(dispatcher, "protocol", chain->protocol);
		tool_json_bool(dispatcher, "is_ours", chain->is_ours);
		tool_json_bool(dispatcher, "has_frags", chain->has_frags);
	}
	for (size_t i = 0; i < chain->members_count; i++)
		json_object_array_add(members, json_member(chain, &chain->members[i]));
	tool_json_str(json, "interface", chain->iface);
	tool_json_num(json, "ifindex", chain->ifindex);
	tool_json_str(json, "kind", kind_name(chain->kind));
	tool_json_str(json, "mode",
		      chain->kind == ECBPF_CHAIN_NONE ? NULL : ecbpf_mode_name(chain->mode));
	json_object_object_add(json, "dispatcher", dispatcher);
	json_object_object_add(json, "members", members);
	return json;
}

/* --- status, the verb ----------------------------------------------------------------------- */

static bool has_ours(const struct ecbpf_chain *chain)
{
	for (size_t i = 0; i < chain->members_count; i++)
		if (chain->members[i].is_ours)
			return true;
	return false;
}

/* @is_named: the user asked for this interface, so that it must have what is to be cleared */
static int clear_counters(struct tool *tool, const char *iface, bool is_named)
{
	struct ecbpf_chain *chain;
	bool is_wanted = true;

	if (!is_named) {
		if (ecbpf_chain_get(tool->ecbpf, iface, &chain))
			return tool_fail_ecbpf(tool);
		is_wanted = has_ours(chain);
		ecbpf_chain_free(chain);
	}
	if (is_wanted && ecbpf_counters_clear(tool->ecbpf, iface))
		return tool_fail_ecbpf(tool);
	return TOOL_OK;
}

/* One that cannot be read does not keep the others from being shown */
static int show_chains(struct tool *tool, const struct tool_list *ifaces, bool is_json)
{
	struct ecbpf_chain **chains = tool_alloc(NULL, (ifaces->count + 1) * sizeof(*chains));
	int status = TOOL_OK;
	size_t count = 0;

	for (size_t i = 0; i < ifaces->count; i++) {
		if (ecbpf_chain_get(tool->ecbpf, ifaces->items[i], &chains[count]))
			status = tool_fail_ecbpf(tool);
		else
			count++;
	}
	if (is_json) {
		struct json_object *json = json_object_new_array();

		for (size_t i = 0; i < count; i++)
			json_object_array_add(json, json_chain(chains[i]));
		tool_json_print(json);
	} else if (count || status == TOOL_OK) {
		print_chains(chains, count);
	}
	for (size_t i = 0; i < count; i++)
		ecbpf_chain_free(chains[i]);
	free(chains);
	return status;
}

static int run_status(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	bool is_json = false, is_clear = false, is_named;
	int id, status = TOOL_OK;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == 'j')
			is_json = true;
		else if (id == OPT_CLEAR)
			is_clear = true;
		else
			return TOOL_USAGE;
	}
	if (is_clear && is_json)
		return tool_usage("--clear prints nothing, so --json does not go with it");
	is_named = optind < argc;
	if (parse_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	if (!is_named && tool_ifaces_all(&ifaces))
		return TOOL_FAILED;
	if (!is_clear)
		return show_chains(tool, &ifaces, is_json);
	for (size_t i = 0; i < ifaces.count; i++)
		if (clear_counters(tool, ifaces.items[i], is_named))
			status = TOOL_FAILED;
	return status;
}

/* --- clean ---------------------------------------------------------------------------------- */

static const struct tool_option clean_options[] = {TOOL_COMMON_OPTIONS};

static int run_clean(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	size_t removed = 0, i = 0;

	if (tool_getopt(tool, argc, argv) != -1 || parse_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	do {
		const char *iface = ifaces.count ? ifaces.items[i] : NULL;
		size_t count = 0;

		if (ecbpf_clean(tool->ecbpf, iface, &count))
			return tool_fail_ecbpf(tool);
		removed += count;
	} while (++i < ifaces.count);
	printf("removed the pins of %zu dispatcher%s\n", removed, removed == 1 ? "" : "s");
	return TOOL_OK;
}

/* --- features ------------------------------------------------------------------------------- */

static const struct tool_option json_options[] = {
	{'j', "json", NULL, "print JSON"},
	TOOL_COMMON_OPTIONS,
};

/* By bit. <linux/netdev.h> came with Linux 6.3 */
static const char *const feature_names[] = {
	"NETDEV_XDP_ACT_BASIC",	       "NETDEV_XDP_ACT_REDIRECT",   "NETDEV_XDP_ACT_NDO_XMIT",
	"NETDEV_XDP_ACT_XSK_ZEROCOPY", "NETDEV_XDP_ACT_HW_OFFLOAD", "NETDEV_XDP_ACT_RX_SG",
	"NETDEV_XDP_ACT_NDO_XMIT_SG",
};
#define FEATURES_COUNT (sizeof(feature_names) / sizeof(feature_names[0]))

/* -j or nothing. Return: 0 or TOOL_USAGE */
static int parse_json_option(struct tool *tool, int argc, char **argv, bool *ret_is_json)
{
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id != 'j')
			return TOOL_USAGE;
		*ret_is_json = true;
	}
	return 0;
}

static int run_features(struct tool *tool, int argc, char **argv)
{
	bool is_json = false;
	struct json_object *json;
	__u64 features;

	if (parse_json_option(tool, argc, argv, &is_json))
		return TOOL_USAGE;
	if (argc - optind != 1)
		return tool_usage(optind < argc ? "one interface at a time"
						: "of which interface?");
	if (ecbpf_features(tool->ecbpf, argv[optind], &features))
		return tool_fail_ecbpf(tool);
	if (!is_json) {
		for (size_t i = 0; i < FEATURES_COUNT; i++)
			printf("%s:%s%s\n", feature_names[i],
			       strlen(feature_names[i]) < 23 ? "\t\t" : "\t",
			       features & 1ULL << i ? "yes" : "no");
		return TOOL_OK;
	}
	json = json_object_new_object();
	for (size_t i = 0; i < FEATURES_COUNT; i++)
		tool_json_bool(json, feature_names[i], features & 1ULL << i);
	tool_json_print(json);
	return TOOL_OK;
}

/* --- doctor --------------------------------------------------------------------------------- */

static const char *severity_name(enum ecbpf_severity severity)
{
	switch (severity) {
	case ECBPF_OK:
		return "ok";
	case ECBPF_NOTE:
		return "note";
	case ECBPF_WARNING:
		return "warning";
	default:
		return "error";
	}
}

static void json_findings(const struct ecbpf_finding *findings, size_t count)
{
	struct json_object *json = json_object_new_array();

	for (size_t i = 0; i < count; i++) {
		struct json_object *entry = json_object_new_object();

		tool_json_str(entry, "severity", severity_name(findings[i].severity));
		tool_json_str(entry, "interface", findings[i].iface[0] ? findings[i].iface : NULL);
		tool_json_str(entry, "code", findings[i].code);
		tool_json_str(entry, "what", findings[i].what);
		tool_json_str(entry, "why", findings[i].why);
		tool_json_str(entry, "fix", findings[i].fix);
		json_object_array_add(json, entry);
	}
	tool_json_print(json);
}

static void print_findings(const struct ecbpf_finding *findings, size_t count)
{
	struct tool_table table TOOL_CLEANUP(tool_table_free) = {.columns = 3, .align = "lll"};
	size_t shown = 0;

	for (size_t i = 0; i < count; i++) {
		const struct ecbpf_finding *f = &findings[i];
		struct tool_list *cells = &table.cells;
		char text[sizeof(f->what) + sizeof(f->why) + sizeof(f->fix) + 16];

		if (f->severity == ECBPF_OK && !tool_verbosity())
			continue;
		snprintf(text, sizeof(text), "%s%s%s%s%s", f->what, f->why[0] ? " -- " : "", f->why,
			 f->fix[0] ? " -- fix: " : "", f->fix);
		tool_list_add(cells, severity_name(f->severity));
		tool_list_add(cells, f->iface[0] ? f->iface : "host");
		tool_list_add(cells, text);
		shown++;
	}
	tool_table_print(&table, "");
	if (!shown)
		printf("all well: %zu check%s, listed with -v\n", count, count == 1 ? "" : "s");
}

static int run_doctor(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_finding *findings;
	int status = TOOL_OK;
	bool is_json = false;
	size_t count;

	if (parse_json_option(tool, argc, argv, &is_json) || parse_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	if (ecbpf_doctor(tool->ecbpf, (const char *const *)ifaces.items, ifaces.count, &findings,
			 &count))
		return tool_fail_ecbpf(tool);
	for (size_t i = 0; i < count; i++)
		if (findings[i].severity == ECBPF_ERROR)
			status = TOOL_FAILED;
	if (is_json)
		json_findings(findings, count);
	else
		print_findings(findings, count);
	free(findings);
	return status;
}

/* --- stages --------------------------------------------------------------------------------- */

static const struct {
	__u32 stage;
	int prio;
} all_stages[] = {
#define X(value, NAME, name, prio, text) {ECBPF_STAGE_##NAME, prio},
	ECBPF_STAGES(X)
#undef X
};
#define STAGES_COUNT (sizeof(all_stages) / sizeof(all_stages[0]))

static void json_stages(void)
{
	struct json_object *json = json_object_new_array();

	for (size_t i = 0; i < STAGES_COUNT; i++) {
		struct json_object *entry = json_object_new_object();

		tool_json_str(entry, "stage", ecbpf_stage_name(all_stages[i].stage));
		tool_json_num(entry, "prio", all_stages[i].prio);
		tool_json_str(entry, "text", ecbpf_stage_text(all_stages[i].stage));
		json_object_array_add(json, entry);
	}
	tool_json_print(json);
}

static int run_stages(struct tool *tool, int argc, char **argv)
{
	struct tool_table table TOOL_CLEANUP(tool_table_free) = {.columns = 3, .align = "lrl"};
	bool is_json = false;

	if (parse_json_option(tool, argc, argv, &is_json))
		return TOOL_USAGE;
	if (optind < argc)
		return tool_usage("'%s': takes no operands", argv[optind]);
	if (is_json) {
		json_stages();
		return TOOL_OK;
	}
	tool_table_row(&table, "Stage", "Prio", "What it does");
	for (size_t i = 0; i < STAGES_COUNT; i++)
		tool_table_row(&table, ecbpf_stage_name(all_stages[i].stage),
			       tool_str("%d", all_stages[i].prio),
			       ecbpf_stage_text(all_stages[i].stage));
	tool_table_print(&table, "");
	return TOOL_OK;
}

/* --- apply, export -------------------------------------------------------------------------- */

static const struct tool_option apply_options[] = {
	{'c', "check", NULL, "say what would change, and change nothing"},
	{OPT_DIFF, "diff", NULL, "say each change that is made"},
	{OPT_NO_LLDP, "no-lldp", NULL, "do not ask lldpcli about ingress-vlan and egress-vlan"},
	{OPT_STOP, "stop", NULL, "take away what it says, unless on-stop is leave"},
	TOOL_COMMON_OPTIONS,
};

struct apply {
	bool is_check;
	bool is_diff;
	bool is_stop;
	bool without_lldp;
};

/* Before anything is touched */
static int check_vlans(struct tool *tool, const struct ecbpf_config *config)
{
	struct ecbpf_config_vlan *vlans;
	size_t count;
	int status;

	if (ecbpf_config_vlans(tool->ecbpf, config, &vlans, &count))
		return tool_fail_ecbpf(tool);
	status = lldp_check(vlans, count);
	free(vlans);
	return status;
}

static int apply(struct tool *tool, const char *file, const struct apply *a)
{
	struct ecbpf_config_change *changes;
	struct ecbpf_config *config = NULL;
	size_t count;
	int err;

	if (!a->is_stop && ecbpf_config_read(tool->ecbpf, file, &config))
		return tool_fail_ecbpf(tool);
	if (!a->is_stop && !a->without_lldp && check_vlans(tool, config)) {
		ecbpf_config_free(config);
		return TOOL_FAILED;
	}
	err = a->is_stop ? ecbpf_config_stop(tool->ecbpf, file, &changes, &count)
			 : ecbpf_config_apply(tool->ecbpf, config, a->is_check, &changes, &count);
	ecbpf_config_free(config);
	if (err)
		return tool_fail_ecbpf(tool);
	for (size_t i = 0; i < count && (a->is_check || a->is_diff); i++)
		printf("%s\n", tool_safe(changes[i].text));
	if (!count)
		printf("nothing to do\n");
	else if (!a->is_check && !a->is_diff)
		printf("%zu change%s made\n", count, count == 1 ? "" : "s");
	free(changes);
	return TOOL_OK;
}

static int run_apply(struct tool *tool, int argc, char **argv)
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
		else
			return TOOL_USAGE;
	}
	if (a.is_check && a.is_stop)
		return tool_usage("--check and --stop: one of them");
	if (argc - optind > 1)
		return tool_usage("'%s': one file at a time", argv[optind + 1]);
	return apply(tool, argv[optind], &a);
}

static const struct tool_option export_options[] = {
	{'d', "directory", "DIR", "write rules and lists to files there, too"},
	TOOL_COMMON_OPTIONS,
};

static int run_export(struct tool *tool, int argc, char **argv)
{
	const char *dir = NULL;
	char *text;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id != 'd')
			return TOOL_USAGE;
		dir = optarg;
	}
	if (optind < argc)
		return tool_usage("'%s': takes no operands", argv[optind]);
	if (ecbpf_config_export(tool->ecbpf, dir, &text))
		return tool_fail_ecbpf(tool);
	tool_put_safe(stdout, text, strlen(text), "\n\t");
	free(text);
	return TOOL_OK;
}

/* --- refresh -------------------------------------------------------------------------------- */

static const struct tool_option refresh_options[] = {TOOL_COMMON_OPTIONS};

static int run_refresh(struct tool *tool, int argc, char **argv)
{
	if (tool_getopt(tool, argc, argv) != -1)
		return TOOL_USAGE;
	if (optind < argc)
		return tool_usage("'%s': takes no operands", argv[optind]);
	return ecbpf_config_refresh(tool->ecbpf) ? tool_fail_ecbpf(tool) : TOOL_OK;
}

/* --- metrics -------------------------------------------------------------------------------- */

static const struct tool_option metrics_options[] = {
	{'o', "output", "FILE", "write to FILE, that is replaced in one step"},
	{OPT_STATSD, "statsd", "HOST:PORT", "send them there, as gauges"},
	TOOL_COMMON_OPTIONS,
};

static int run_metrics(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	const char *output = NULL, *statsd = NULL;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		switch (id) {
		case 'o':
			output = optarg;
			break;
		case OPT_STATSD:
			statsd = optarg;
			break;
		default:
			return TOOL_USAGE;
		}
	}
	if (output && statsd)
		return tool_usage("either --output or --statsd");
	if (parse_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	if (!ifaces.count && tool_ifaces_all(&ifaces))
		return TOOL_FAILED;
	if (statsd)
		return metrics_send(tool, &ifaces, statsd);
	return output ? metrics_write(tool, &ifaces, output) : metrics_print(tool, &ifaces, stdout);
}

/* --- the tool ------------------------------------------------------------------------------- */

/* Those of xdp-loader first: its abbreviations go on to mean the same */
static const struct tool_verb verbs[] = {
	{
		.name = "load",
		.args = "IFACE[,IFACE...] PROGRAM...",
		.text = "add XDP programs to the chains of interfaces",
		.about = "PROGRAM is an object file, or a stage if there is no such file (see\n"
			 "'ecbpf-loader stages'). Several programs are added in one step, options\n"
			 "are for all of them. On failure every chain is as it was.\n",
		.examples =
			"  Count what passes on eth0 and eth1, malformed packets dropped:\n"
			"      ecbpf-loader load -S malformed_action=XDP_DROP eth0,eth1 count\n"
			"  A program of your own, before those of priority 50:\n"
			"      ecbpf-loader load -P 20 eth0 my_prog.bpf.o\n"
			"  Two stages in one program, for speed or where nothing can be chained:\n"
			"      ecbpf-loader load --fused pass,count eth0\n",
		.options = load_options,
		.run = run_load,
	},
	{
		.name = "unload",
		.args = "IFACE[,IFACE...]...",
		.text = "take XDP programs out of the chains of interfaces",
		.about = "One of --id, --name and --all says which. On failure every chain is\n"
			 "as it was.\n",
		.examples = "  One program of several (IDs: 'ecbpf-loader status eth0'):\n"
			    "      ecbpf-loader unload -i 57 eth0\n"
			    "  The stage count, from two interfaces:\n"
			    "      ecbpf-loader unload -n count eth0,eth1\n"
			    "  All of them:\n"
			    "      ecbpf-loader unload eth0 -a\n",
		.options = unload_options,
		.run = run_unload,
	},
	{
		.name = "status",
		.args = "[IFACE]...",
		.text = "show the XDP programs of interfaces, and what they counted",
		.about = "Without an interface: all of them.\n",
		.examples = "  All interfaces:\n"
			    "      ecbpf-loader status\n"
			    "  Packets that count dropped on eth0, for a script:\n"
			    "      ecbpf-loader status -j eth0 |\n"
			    "        jq '.[].members[].stages[]?|select(.stage==\"count\")|\n"
			    "            .actions.XDP_DROP.packets'\n"
			    "  Start counting anew:\n"
			    "      ecbpf-loader status --clear eth0\n",
		.options = status_options,
		.run = run_status,
	},
	{
		.name = "clean",
		.args = "[IFACE]...",
		.text = "remove what interrupted loads left in the BPF file system",
		.about =
			"Without an interface: for all of them. Chains that run are not touched.\n",
		.examples = "      ecbpf-loader clean\n",
		.options = clean_options,
		.run = run_clean,
	},
	{
		.name = "features",
		.args = "IFACE",
		.text = "show what a network device can do with XDP",
		.examples = "      ecbpf-loader features eth0\n",
		.options = json_options,
		.run = run_features,
	},
	{
		.name = "replace",
		.args = "IFACE NAME PROGRAM",
		.text = "put new code in the place of a program of a chain",
		.about = "NAME is a program, or a stage, that is there once. PROGRAM takes its\n"
			 "place in one step: each packet meets the old code or the new one.\n"
			 "Priority, actions, and maps that are the same in both are kept.\n",
		.examples =
			"  A new build of a program, while packets pass:\n"
			"      ecbpf-loader replace eth0 my_prog my_prog.bpf.o\n"
			"  Other stages in the fused program:\n"
			"      ecbpf-loader replace --fused pass,count,printk eth0 ecbpf_fused\n",
		.options = replace_options,
		.run = run_replace,
	},
	{
		.name = "doctor",
		.args = "[IFACE]...",
		.text = "look for all that is known to go wrong",
		.about = "One line for each thing found: what, why it matters, the command that\n"
			 "mends it. With -v, what was found in order, too. Without an\n"
			 "interface: all that have an XDP program. Exit status 1: traffic is\n"
			 "not handled as asked.\n",
		.examples = "      ecbpf-loader doctor\n"
			    "      ecbpf-loader doctor -v eth0\n",
		.options = json_options,
		.run = run_doctor,
	},
	{
		.name = "stages",
		.args = "",
		.text = "list the stages, what they do and where in a chain they run",
		.examples = "      ecbpf-loader stages\n",
		.options = json_options,
		.run = run_stages,
	},
	{
		.name = "apply",
		.args = "[FILE]",
		.text = "bring chains and settings to what a file says",
		.about = "FILE is one of ecbpf.conf(5), - is standard input; without it, the\n"
			 "installed ecbpf.conf and what is in conf.d. Only what differs is\n"
			 "touched; on failure all is as it was.\n",
		.examples = "  What would change:\n"
			    "      ecbpf-loader apply -c\n"
			    "  And now do it:\n"
			    "      ecbpf-loader apply --diff\n",
		.options = apply_options,
		.run = run_apply,
	},
	{
		.name = "export",
		.args = "",
		.text = "print what runs as a file that apply takes",
		.examples = "      ecbpf-loader export -d /etc/ecbpf >ecbpf.conf\n",
		.options = export_options,
		.run = run_export,
	},
	{
		.name = "refresh",
		.args = "",
		.text = "read this host's addresses and IPVS's UDP services again",
		.about = "The filter lets fragments to this host's addresses pass; the fast path\n"
			 "takes UDP services of IPVS. Both as they are now. What is not loaded is\n"
			 "left alone. apply does this, and so does ecbpf.service every 10 "
			 "seconds.\n",
		.examples = "      ecbpf-loader refresh\n",
		.options = refresh_options,
		.run = run_refresh,
	},
	{
		.name = "metrics",
		.args = "[IFACE]...",
		.text = "print all counters for Prometheus, or send them to statsd",
		.about = "The text that node_exporter reads from its textfile directory. Without\n"
			 "an interface: all of them.\n",
		.examples = "      ecbpf-loader metrics -o "
			    "/var/lib/prometheus/node-exporter/ecbpf.prom\n"
			    "      ecbpf-loader metrics --statsd localhost:8125\n",
		.options = metrics_options,
		.run = run_metrics,
	},
	{},
};

int main(int argc, char **argv)
{
	struct tool tool = {
		.name = "ecbpf-loader",
		.text = "Chains of XDP programs on network interfaces: load them, see what they\n"
			"do and whether they work. Takes the place of xdp-loader.\n",
		.examples = "  ecbpf-loader load eth0 pass count     two stages on eth0\n"
			    "  ecbpf-loader status eth0              what they counted\n"
			    "  ecbpf-loader doctor                   is everything well?\n"
			    "  ecbpf-loader unload eth0 --all        as if nothing had been\n",
		.verbs = verbs,
	};

	return tool_main(&tool, argc, argv);
}
