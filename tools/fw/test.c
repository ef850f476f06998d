// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw test: rules tried on captured packets. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include <linux/if_ether.h>
#include "tools/fw/frames.h"
#include "tools/fw/fw.h"

const struct tool_option fw_test_options[] = {
	FW_FILE_OPTION,	     {'r', "read", "PCAP", "capture (pcap or pcapng); - is standard input"},
	TOOL_JSON_OPTION,    TOOL_LIST_SKIP_BAD_OPTION,
	TOOL_COMMON_OPTIONS,
};

#define SHA1_TEXT_SIZE 41

/* The state of one run */
struct test_run {
	const struct tool *tool;
	const char *rules_file;
	const struct ecbpf_fw_ruleset *ruleset;
	struct ecbpf_fw_trial *trial;
	const struct ecbpf_fw_assertion *assertions;
	size_t assertions_count;
	size_t *seen; /* packets with the sum, for each assertion */
	size_t packets;
	size_t failed;
	struct json_object *json_packets; /* NULL: print text */
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

/* @frame: NULL if no packet has the sum */
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
		fprintf(stderr, "%s:%u: %s: expected %s", tool_safe(t->rules_file), assertion->line,
			sha1, expected);
		if (frame)
			fprintf(stderr, ", packet %zu got %s\n", frame->number,
				ecbpf_action_name(action));
		else
			fprintf(stderr, ", but no packet has this sum\n");
		return;
	}
	json = json_object_new_object();
	tool_json_num(json, "line", assertion->line);
	tool_json_str(json, "sha1", sha1);
	tool_json_str(json, "expected", expected);
	tool_json_str(json, "action", frame ? ecbpf_action_name(action) : NULL);
	if (frame)
		tool_json_num(json, "packet", frame->number);
	else
		tool_json_str(json, "packet", NULL);
	json_object_array_add(t->json_failed, json);
}

static int test_packet(struct test_run *t, const struct frame *frame)
{
	size_t rule;
	__u32 action;

	t->packets++;
	if (frame->size < ETH_HLEN)
		return tool_fail(
			"packet %zu has %zu bytes, less than an Ethernet header, which the kernel "
			"does not accept",
			frame->number, frame->size);
	if (frame->size < frame->wire_size)
		tool_warn("packet %zu is truncated to %zu of %zu bytes, which makes it malformed",
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

int fw_run_test(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fw_ruleset *ruleset TOOL_CLEANUP(fw_free_ruleset) = NULL;
	const char *file = NULL, *pcap_file = NULL;
	struct test_run t = {.tool = tool};
	bool is_json = false;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == 'r')
			pcap_file = optarg;
		else if (id == 'j')
			is_json = true;
		else if (fw_file_option(tool, id, &file))
			return TOOL_USAGE;
	}
	if (fw_file_only(argc, argv, file) || !file)
		return TOOL_USAGE;
	if (!pcap_file)
		return tool_usage("missing -r PCAP");
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
