// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The verb status: chains and their counters, as a table or JSON */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <json-c/json.h>
#include <linux/bpf.h>
#include <ecbpf/libecbpf-config.h>
#include "tools/common/change.h"
#include "tools/loader/answers.h"
#include "tools/loader/loader.h"

#define TOP_REASONS 5

const struct tool_option loader_status_options[] = {
	TOOL_JSON_OPTION,
	TOOL_CLEAR_OPTION,
	TOOL_QUIET_OPTION,
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

/* Does this version know the layout of its counters? */
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
	for (size_t i = 0; i < count && tool_verbosity(); i++)
		print_chain_details(chains[i]);
	printf("\n");
}

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

static bool has_ours(const struct ecbpf_chain *chain)
{
	for (size_t i = 0; i < chain->members_count; i++)
		if (chain->members[i].is_ours)
			return true;
	return false;
}

/* @is_named: the user named this interface, and is told if it has no counters */
static int clear_counters(struct tool *tool, const char *iface, bool is_named)
{
	struct ecbpf_chain *chain;
	bool is_wanted;

	if (ecbpf_chain_get(tool->ecbpf, iface, &chain))
		return tool_fail_ecbpf(tool);
	is_wanted = has_ours(chain);
	ecbpf_chain_free(chain);
	if (!is_wanted && is_named)
		tool_unchanged("%s: no counters: none of ecbpf's programs is attached", iface);
	if (is_wanted && ecbpf_counters_clear(tool->ecbpf, iface))
		return tool_fail_ecbpf(tool);
	if (is_wanted)
		tool_changed("%s: counters set to zero", iface);
	return TOOL_OK;
}

/* An interface that cannot be read does not prevent showing the others */
int loader_status_print(struct tool *tool, const struct tool_list *ifaces, bool is_json)
{
	struct ecbpf_chain **chains = tool_alloc(NULL, (ifaces->count + 1) * sizeof(*chains));
	int status = TOOL_OK;
	bool is_denied = false;
	size_t count = 0;

	for (size_t i = 0; i < ifaces->count; i++) {
		int err = ecbpf_chain_get(tool->ecbpf, ifaces->items[i], &chains[count]);

		if (err)
			status = tool_fail_ecbpf(tool);
		else
			count++;
		if (err == -EPERM) { /* it is alike for the others: no half of a table */
			is_denied = true;
			break;
		}
	}
	if (is_denied || (!count && status != TOOL_OK)) {
		/* told already */
	} else if (is_json) {
		struct json_object *json = json_object_new_array();

		for (size_t i = 0; i < count; i++)
			json_object_array_add(json, json_chain(chains[i]));
		tool_json_print(json);
	} else {
		print_chains(chains, count);
	}
	for (size_t i = 0; i < count; i++)
		ecbpf_chain_free(chains[i]);
	free(chains);
	return status;
}

/* To standard error: standard output is for scripts of xdp-loader */
static int check_declared(struct tool *tool, const struct tool_list *ifaces, bool is_named)
{
	struct ecbpf_finding *findings;
	int status = TOOL_OK;
	size_t count;

	if (ecbpf_declared_check(tool->ecbpf, (const char *const *)ifaces->items,
				 is_named ? ifaces->count : 0, true, &findings, &count))
		return tool_fail_ecbpf(tool);
	for (size_t i = 0; i < count; i++) {
		const struct ecbpf_finding *f = &findings[i];

		if (f->severity != ECBPF_ERROR)
			continue;
		status = tool_fail("%s%s%s%s%s", f->iface, f->iface[0] ? ": " : "", f->what,
				   f->fix[0] ? " -- fix: " : "", f->fix);
	}
	free(findings);
	return status;
}

int loader_run_status(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	bool is_json, is_clear, is_named;
	int status = TOOL_OK;

	if (tool_parse_clear(tool, argc, argv, &is_json, &is_clear))
		return TOOL_USAGE;
	is_named = optind < argc;
	if (tool_operands_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	if (!is_named && !is_clear && (is_json || !tool_verbosity())) {
		status = answer_print(is_json ? ANSWER_STATUS_JSON : ANSWER_STATUS, stdout);
		if (status != ANSWER_NONE)
			return status;
		status = TOOL_OK;
	}
	if (!is_named && tool_ifaces_all(&ifaces))
		return TOOL_FAILED;
	if (!is_clear) {
		status = loader_status_print(tool, &ifaces, is_json);
		return status == TOOL_OK ? check_declared(tool, &ifaces, is_named) : status;
	}
	tool_change_begin(NULL);
	for (size_t i = 0; i < ifaces.count; i++)
		if (clear_counters(tool, ifaces.items[i], is_named))
			status = TOOL_FAILED;
	return status;
}
