// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw test: rules tried on captured packets. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "tools/fw/test.h"

enum {
	OPT_BY_RULE = TOOL_LONG_ONLY,
};

const struct tool_option fw_test_options[] = {
	FW_FILE_OPTION,
	{'r', "read", "PCAP", "capture (pcap or pcapng); - is standard input"},
	{OPT_BY_RULE, "by-rule", NULL, "print a line for each rule instead of each packet"},
	TOOL_JSON_OPTION,
	TOOL_LIST_SKIP_BAD_OPTION,
	TOOL_COMMON_OPTIONS,
};

/**
 * struct test_run - the state of one run
 * @seen: packets with the sum, for each assertion
 * @has_failed: something else than an assertion has, and was said
 */
struct test_run {
	const struct tool *tool;
	struct ecbpf_fw_trial *trial;
	const struct ecbpf_fw_assertion *assertions;
	size_t assertions_count;
	size_t *seen;
	bool has_failed;
	struct report report;
};

struct result test_frame(const struct tool *tool, struct ecbpf_fw_trial *trial,
			 const struct frame *frame, bool *has_failed)
{
	struct result result = {.rule = ECBPF_FW_NO_RULE};
	int err;

	if (frame->skip) {
		result.outcome = OUTCOME_SKIPPED;
		result.why = frame->skip;
		return result;
	}
	err = ecbpf_fw_trial_run_captured(tool->ecbpf, trial, frame->data, frame->captured,
					  frame->size, &result.action, &result.rule);
	if (!err)
		return result;
	result.rule = ECBPF_FW_NO_RULE;
	result.outcome = err == -ENODATA ? OUTCOME_UNKNOWN : OUTCOME_SKIPPED;
	result.why = err == -ENODATA ? ecbpf_error(tool->ecbpf)
		     : err == -E2BIG ? "longer than this kernel tries"
				     : strerror(-err);
	if (err != -ENODATA && err != -E2BIG && !*has_failed) {
		tool_fail_ecbpf(tool);
		*has_failed = true;
	}
	return result;
}

static void test_packet(struct test_run *t, const struct frame *frame)
{
	struct result result = test_frame(t->tool, t->trial, frame, &t->has_failed);

	report_packet(&t->report, frame, &result);
	for (size_t i = 0; i < t->assertions_count; i++) {
		if (memcmp(t->assertions[i].sha1, frame->sha1, sizeof(frame->sha1)))
			continue;
		t->seen[i]++;
		if (result.outcome != OUTCOME_TRIED || t->assertions[i].action != result.action)
			report_assertion(&t->report, &t->assertions[i], frame, &result);
	}
}

/* Up to where the capture can be read */
static void test_frames(struct test_run *t, struct frames *frames, const char *pcap_file)
{
	struct frame frame;
	int result;

	while ((result = frames_next(frames, &frame)) > 0)
		test_packet(t, &frame);
	t->report.is_cut_off = result == -ENODATA;
	if (t->report.is_cut_off) {
		fflush(stdout);
		tool_warn("%s: it is cut off %s", pcap_file, frames_error(frames));
	} else if (result < 0) {
		fflush(stdout);
		t->report.damage = frames_error(frames);
		t->has_failed = true;
		tool_fail("%s: %s", pcap_file, t->report.damage);
	}
	for (size_t i = 0; i < t->assertions_count; i++)
		if (!t->seen[i])
			report_assertion(&t->report, &t->assertions[i], NULL, NULL);
}

static int print_end(struct test_run *t)
{
	struct ecbpf_fw_summary summary;
	struct ecbpf_fw_stat *stats;
	int err = 0;

	ecbpf_fw_summary(t->report.ruleset, &summary);
	stats = tool_alloc(NULL, (summary.rules + 1) * sizeof(*stats));
	memset(stats, 0, (summary.rules + 1) * sizeof(*stats));
	if (t->report.by_rule && ecbpf_fw_trial_stats(t->tool->ecbpf, t->trial, stats))
		err = tool_fail_ecbpf(t->tool);
	report_print(&t->report, stats);
	report_free(&t->report);
	free(stats);
	return err;
}

static int test(struct test_run *t, const char *pcap_file, bool is_json)
{
	FILE *file = strcmp(pcap_file, "-") ? fopen(pcap_file, "re") : stdin;
	struct frames *frames;
	int err;

	if (!file)
		return tool_fail("%s: %s", pcap_file, strerror(errno));
	if (frames_open(file, &frames))
		return tool_fail("%s: %s", pcap_file, frames_error(NULL));
	if (ecbpf_fw_trial_new(t->tool->ecbpf, t->report.ruleset, &t->trial)) {
		frames_close(frames);
		return tool_fail_ecbpf(t->tool);
	}
	t->assertions_count = ecbpf_fw_assertions(t->report.ruleset, &t->assertions);
	t->seen = tool_alloc(NULL, (t->assertions_count + 1) * sizeof(*t->seen));
	memset(t->seen, 0, t->assertions_count * sizeof(*t->seen));
	report_begin(&t->report, is_json);
	test_frames(t, frames, pcap_file);
	err = print_end(t);
	frames_close(frames);
	free(t->seen);
	ecbpf_fw_trial_free(t->trial);
	return err || t->has_failed || t->report.failed ? TOOL_FAILED : TOOL_OK;
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
		else if (id == OPT_BY_RULE)
			t.report.by_rule = true;
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
	t.report.ruleset = ruleset;
	t.report.rules_file = fw_file_name(file);
	return test(&t, pcap_file, is_json);
}
