// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ecbpf-fw test: what is printed of a run. JSON of packets is printed as they come: a capture can
 * have millions.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include <linux/bpf.h>
#include "tools/fw/test.h"

#define SHA1_TEXT_SIZE 41

static const char *const outcome_names[] = {
	[OUTCOME_UNKNOWN] = "unknown", [OUTCOME_SKIPPED] = "skipped"};

static const char *sha1_text(const __u8 *sha1, char *text)
{
	for (size_t i = 0; i < 20; i++)
		sprintf(text + 2 * i, "%02x", sha1[i]);
	return text;
}

static const char *action_text(const struct result *result)
{
	return result->outcome == OUTCOME_TRIED ? ecbpf_action_name(result->action)
						: outcome_names[result->outcome];
}

static const char *rule_name(const struct report *r, const struct result *result)
{
	return result->rule == ECBPF_FW_NO_RULE ? NULL
						: ecbpf_fw_rule_name(r->ruleset, result->rule);
}

static size_t packets_count(const struct report *r)
{
	return r->outcomes[OUTCOME_TRIED] + r->outcomes[OUTCOME_UNKNOWN] +
	       r->outcomes[OUTCOME_SKIPPED];
}

void report_begin(struct report *r, bool is_json)
{
	struct ecbpf_fw_summary summary;

	ecbpf_fw_summary(r->ruleset, &summary);
	r->assertions = summary.assertions;
	r->dropped = tool_alloc(NULL, (summary.rules + 1) * sizeof(*r->dropped));
	memset(r->dropped, 0, (summary.rules + 1) * sizeof(*r->dropped));
	r->json_failed = is_json ? json_object_new_array() : NULL;
	if (is_json && !r->by_rule)
		printf("{\n  \"packets\":[");
}

/* --- packets ---------------------------------------------------------------------------------- */

static void count_reason(struct report *r, const struct result *result)
{
	size_t i = 0;

	while (i < r->reasons_count &&
	       (r->reasons[i].outcome != result->outcome || strcmp(r->reasons[i].why, result->why)))
		i++;
	if (i == r->reasons_count) {
		r->reasons = tool_alloc(r->reasons, ++r->reasons_count * sizeof(*r->reasons));
		r->reasons[i] = (struct reason){.outcome = result->outcome};
		r->reasons[i].why = tool_alloc(NULL, strlen(result->why) + 1);
		strcpy(r->reasons[i].why, result->why);
	}
	r->reasons[i].packets++;
}

static void sum_add(struct sum *sum, const struct frame *frame, const struct result *result)
{
	sum->packets++;
	sum->bytes += frame->size;
	sum->dropped += result->action == XDP_DROP;
}

static void count_packet(struct report *r, const struct frame *frame, const struct result *result)
{
	r->outcomes[result->outcome]++;
	if (result->outcome != OUTCOME_TRIED) {
		count_reason(r, result);
		return;
	}
	sum_add(&r->all, frame, result);
	if (result->rule == ECBPF_FW_NO_RULE)
		sum_add(&r->none, frame, result);
	else
		r->dropped[result->rule] += result->action == XDP_DROP;
}

static void print_packet_json(const struct report *r, const struct frame *frame,
			      const struct result *result)
{
	struct json_object *json = json_object_new_object();
	char sha1[SHA1_TEXT_SIZE];

	tool_json_num(json, "packet", frame->number);
	tool_json_num(json, "bytes", frame->size);
	tool_json_num(json, "captured", frame->captured);
	tool_json_str(json, "action", action_text(result));
	if (result->rule == ECBPF_FW_NO_RULE)
		tool_json_str(json, "rule", NULL);
	else
		tool_json_num(json, "rule", result->rule + 1);
	tool_json_str(json, "name", rule_name(r, result));
	tool_json_str(json, "sha1", sha1_text(frame->sha1, sha1));
	tool_json_str(json, "why", result->why);
	printf("%s\n    ", packets_count(r) > 1 ? "," : "");
	tool_put_json(stdout,
		      json_object_to_json_string_ext(json, JSON_C_TO_STRING_SPACED |
								   JSON_C_TO_STRING_NOSLASHESCAPE),
		      false);
	json_object_put(json);
}

static void print_packet(const struct report *r, const struct frame *frame,
			 const struct result *result)
{
	const char *name = rule_name(r, result);
	char sha1[SHA1_TEXT_SIZE];

	printf("%zu\t%zu\t%s\t", frame->number, frame->size, action_text(result));
	printf(result->rule == ECBPF_FW_NO_RULE ? "-" : "%zu", result->rule + 1);
	printf("\t%s\t%s\n", sha1_text(frame->sha1, sha1),
	       result->why ? result->why
	       : name	   ? tool_safe(name)
			   : "");
}

void report_packet(struct report *r, const struct frame *frame, const struct result *result)
{
	count_packet(r, frame, result);
	if (r->by_rule)
		return;
	if (r->json_failed)
		print_packet_json(r, frame, result);
	else
		print_packet(r, frame, result);
}

void report_assertion(struct report *r, const struct ecbpf_fw_assertion *assertion,
		      const struct frame *frame, const struct result *result)
{
	const char *expected = ecbpf_action_name(assertion->action);
	char sha1[SHA1_TEXT_SIZE];
	struct json_object *json;

	r->failed++;
	sha1_text(assertion->sha1, sha1);
	if (!r->json_failed) {
		fflush(stdout);
		fprintf(stderr, "%s:%u: %s: expected %s", tool_safe(r->rules_file), assertion->line,
			sha1, expected);
		if (!frame)
			fprintf(stderr, ", but no packet has this sum\n");
		else if (result->outcome == OUTCOME_TRIED)
			fprintf(stderr, ", packet %zu got %s\n", frame->number,
				action_text(result));
		else
			fprintf(stderr, ", packet %zu is %s: %s\n", frame->number,
				action_text(result), result->why);
		return;
	}
	json = json_object_new_object();
	tool_json_num(json, "line", assertion->line);
	tool_json_str(json, "sha1", sha1);
	tool_json_str(json, "expected", expected);
	tool_json_str(json, "action", frame ? action_text(result) : NULL);
	if (frame)
		tool_json_num(json, "packet", frame->number);
	else
		tool_json_str(json, "packet", NULL);
	json_object_array_add(r->json_failed, json);
}

/* --- rules ------------------------------------------------------------------------------------ */

/* Of packets that were tried, in percent */
static const char *share(const struct report *r, __u64 packets)
{
	return tool_str("%.1f", r->all.packets ? 100.0 * packets / r->all.packets : 0);
}

static const char *number(__u64 value)
{
	return tool_str("%" PRIu64, (uint64_t)value);
}

static void print_rules(const struct report *r, const struct ecbpf_fw_stat *stats)
{
	struct tool_table table TOOL_CLEANUP(tool_table_free) = {.columns = 6, .align = "rrrrrl"};
	struct ecbpf_fw_summary summary;

	ecbpf_fw_summary(r->ruleset, &summary);
	tool_table_row(&table, "rule", "packets", "bytes", "share", "dropped", "text");
	for (size_t i = 0; i < summary.rules; i++) {
		char *text = ecbpf_fw_rule_text(r->ruleset, i);

		tool_table_row(&table, number(i + 1), number(stats[i].packets),
			       number(stats[i].bytes), tool_str("%s%%", share(r, stats[i].packets)),
			       number(r->dropped[i]), text ? text : "");
		free(text);
	}
	tool_table_row(&table, "-", number(r->none.packets), number(r->none.bytes),
		       tool_str("%s%%", share(r, r->none.packets)), number(r->none.dropped),
		       "(no rule decided)");
	tool_table_print(&table, "");
}

static void add_sums(struct json_object *json, const struct report *r, __u64 packets, __u64 bytes,
		     __u64 dropped)
{
	const char *percent = share(r, packets);

	tool_json_num(json, "packets", packets);
	tool_json_num(json, "bytes", bytes);
	json_object_object_add(json, "percent", json_object_new_double_s(atof(percent), percent));
	tool_json_num(json, "dropped", dropped);
}

static void add_rules(struct json_object *json, const struct report *r,
		      const struct ecbpf_fw_stat *stats)
{
	struct json_object *list = json_object_new_array(), *none = json_object_new_object();
	struct ecbpf_fw_summary summary;

	ecbpf_fw_summary(r->ruleset, &summary);
	for (size_t i = 0; i < summary.rules; i++) {
		struct json_object *rule = json_object_new_object();
		char *text = ecbpf_fw_rule_text(r->ruleset, i);

		tool_json_num(rule, "number", i + 1);
		tool_json_str(rule, "name", ecbpf_fw_rule_name(r->ruleset, i));
		add_sums(rule, r, stats[i].packets, stats[i].bytes, r->dropped[i]);
		tool_json_str(rule, "text", text);
		json_object_array_add(list, rule);
		free(text);
	}
	add_sums(none, r, r->none.packets, r->none.bytes, r->none.dropped);
	json_object_object_add(json, "rules", list);
	json_object_object_add(json, "none", none);
}

/* --- sums ------------------------------------------------------------------------------------- */

static void print_sums(const struct report *r)
{
	for (size_t i = 0; i < r->reasons_count; i++)
		printf("%s: %s: %s\n", outcome_names[r->reasons[i].outcome],
		       tool_many(r->reasons[i].packets, "packet"), r->reasons[i].why);
	printf("%zu packets, %zu unknown, %zu skipped, %zu assertions, %zu failed\n",
	       packets_count(r), r->outcomes[OUTCOME_UNKNOWN], r->outcomes[OUTCOME_SKIPPED],
	       r->assertions, r->failed);
}

static void add_reasons(struct json_object *json, const struct report *r, enum outcome outcome)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < r->reasons_count; i++) {
		struct json_object *reason;

		if (r->reasons[i].outcome != outcome)
			continue;
		reason = json_object_new_object();
		tool_json_num(reason, "packets", r->reasons[i].packets);
		tool_json_str(reason, "why", r->reasons[i].why);
		json_object_array_add(list, reason);
	}
	json_object_object_add(json, outcome_names[outcome], list);
}

static void print_json(struct report *r, const struct ecbpf_fw_stat *stats)
{
	struct json_object *json = json_object_new_object(), *sums = json_object_new_object();

	if (r->by_rule)
		add_rules(json, r, stats);
	tool_json_num(sums, "packets", packets_count(r));
	tool_json_num(sums, "passed", r->all.packets - r->all.dropped);
	tool_json_num(sums, "dropped", r->all.dropped);
	tool_json_num(sums, "unknown", r->outcomes[OUTCOME_UNKNOWN]);
	tool_json_num(sums, "skipped", r->outcomes[OUTCOME_SKIPPED]);
	json_object_object_add(json, "total", sums);
	add_reasons(json, r, OUTCOME_UNKNOWN);
	add_reasons(json, r, OUTCOME_SKIPPED);
	tool_json_bool(json, "cut_off", r->is_cut_off);
	tool_json_str(json, "damage", r->damage);
	tool_json_num(json, "assertions", r->assertions);
	json_object_object_add(json, "failed", r->json_failed);
	r->json_failed = NULL;
	if (!r->by_rule) { /* goes on with the object that was begun */
		printf("%s],\n", packets_count(r) ? "\n  " : "");
		tool_put_json(
			stdout,
			json_object_to_json_string_ext(
				json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE) +
				strlen("{\n"),
			false);
		putchar('\n');
		json_object_put(json);
		return;
	}
	tool_json_print(json);
}

void report_print(struct report *r, const struct ecbpf_fw_stat *stats)
{
	if (r->json_failed) {
		print_json(r, stats);
	} else {
		if (r->by_rule)
			print_rules(r, stats);
		print_sums(r);
	}
}

void report_free(struct report *r)
{
	json_object_put(r->json_failed);
	for (size_t i = 0; i < r->reasons_count; i++)
		free(r->reasons[i].why);
	free(r->reasons);
	free(r->dropped);
}
