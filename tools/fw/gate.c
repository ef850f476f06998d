// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw apply --gate: rules that drop too much of a capture that is known to be good. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "tools/common/change.h"
#include "tools/fw/test.h"

#define MAX_DROPPED ":max-dropped "
#define MILLION	    1000000

/* @max: of a million packets; @max_text: as it was given */
static struct {
	char *file;
	__u64 max;
	const char *max_text;
} gate;

/* "0.1%": of a million. Return: false: it is none */
static bool parse_percent(const char *text, __u64 *ret_value)
{
	size_t digits = strspn(text, "0123456789");
	const char *end = text + digits;
	__u64 value = 0, unit = 10000; /* a percent */

	if (!digits || digits > 3)
		return false;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + unit * (text[i] - '0');
	if (*end == '.') {
		digits = strspn(++end, "0123456789");
		if (!digits || digits > 4)
			return false;
		for (; digits; digits--)
			value += (unit /= 10) * (*end++ - '0');
	}
	*ret_value = value;
	return !strcmp(end, "%") && value <= MILLION;
}

int fw_gate_option(const char *text)
{
	const char *found = NULL, *next = text;

	while ((next = strstr(next, MAX_DROPPED)))
		found = next++;
	if (found && !parse_percent(found + strlen(MAX_DROPPED), &gate.max))
		return tool_usage("--gate: '%s' is not a share from 0%% to 100%%, as 0.1%%",
				  tool_safe(found + strlen(MAX_DROPPED)));
	gate.max_text = found ? found + strlen(MAX_DROPPED) : "0%";
	gate.file = tool_alloc(NULL, strlen(text) + 1);
	strcpy(gate.file, text);
	if (found)
		gate.file[found - text] = '\0';
	return *gate.file ? 0 : tool_usage("--gate: missing the capture");
}

const char *fw_gate_file(void)
{
	return gate.file;
}

/* Return: 0; TOOL_FAILED it cannot be read to its end */
static int try_frames(struct tool *tool, struct ecbpf_fw_trial *trial, struct frames *frames,
		      struct report *report)
{
	bool has_failed = false;
	struct frame frame;
	int result = 0;

	while (!has_failed && (result = frames_next(frames, &frame)) > 0) {
		struct result its = test_frame(tool, trial, &frame, &has_failed);

		report_packet(report, &frame, &its);
	}
	if (has_failed)
		return TOOL_FAILED;
	report->is_cut_off = result == -ENODATA;
	if (report->is_cut_off)
		tool_warn("%s: it is cut off %s", gate.file, frames_error(frames));
	else if (result < 0)
		return tool_fail("%s: %s", gate.file, frames_error(frames));
	return 0;
}

/* Packets; @limited: of @dropped, those above limits are not counted, but here */
struct outcome_sums {
	__u64 judged;
	__u64 dropped;
	__u64 unknown;
	__u64 limited;
};

static struct outcome_sums sums_of(const struct report *r, const struct ecbpf_fw_stat *stats)
{
	struct outcome_sums sums = {
		.judged = r->all.packets + r->outcomes[OUTCOME_UNKNOWN],
		.dropped = r->all.dropped,
		.unknown = r->outcomes[OUTCOME_UNKNOWN],
	};
	struct ecbpf_fw_summary summary;

	ecbpf_fw_summary(r->ruleset, &summary);
	for (size_t i = 0; i < summary.rules; i++)
		if (stats[i].over)
			sums.limited += r->dropped[i];
	sums.dropped -= sums.limited;
	return sums;
}

/* A packet whose verdict is not known may be dropped */
static bool is_refused(const struct outcome_sums *sums)
{
	return !sums->judged || (sums->dropped + sums->unknown) * MILLION > gate.max * sums->judged;
}

/* Return: 0; TOOL_FAILED */
static int tell(const struct outcome_sums *sums)
{
	char unknown[64] = "";

	if (sums->limited)
		tool_warn("%s: %" PRIu64 " packets above limits are not counted: time stands still "
			  "while rules are tried",
			  gate.file, (uint64_t)sums->limited);
	if (sums->unknown)
		snprintf(unknown, sizeof(unknown), ", and of %" PRIu64 " it is not known",
			 (uint64_t)sums->unknown);
	if (!sums->judged)
		return tool_fail("%s: no packet of it can be tried: nothing is changed", gate.file);
	if (is_refused(sums))
		return tool_fail("%s: %" PRIu64 " of %" PRIu64 " packets would be dropped%s; at "
				 "most %s may be: nothing is changed",
				 gate.file, (uint64_t)sums->dropped, (uint64_t)sums->judged,
				 unknown, gate.max_text);
	tool_unchanged("%s: %" PRIu64 " of %" PRIu64 " packets would be dropped%s", gate.file,
		       (uint64_t)sums->dropped, (uint64_t)sums->judged, unknown);
	tool_change_number("gate_packets", sums->judged);
	tool_change_number("gate_dropped", sums->dropped);
	return 0;
}

static int gate_run(struct tool *tool, struct report *report, struct ecbpf_fw_trial *trial,
		    struct frames *frames, bool is_json)
{
	struct ecbpf_fw_summary summary;
	struct ecbpf_fw_stat *stats;
	struct outcome_sums sums;
	int err;

	ecbpf_fw_summary(report->ruleset, &summary);
	stats = tool_alloc(NULL, (summary.rules + 1) * sizeof(*stats));
	report_begin(report, is_json);
	err = try_frames(tool, trial, frames, report);
	if (!err && ecbpf_fw_trial_stats(tool->ecbpf, trial, stats))
		err = tool_fail_ecbpf(tool);
	if (!err) {
		sums = sums_of(report, stats);
		if (is_refused(&sums) && !tool_change_is_quiet())
			report_print(report, stats);
		fflush(stdout);
		err = tell(&sums);
	}
	report_free(report);
	free(stats);
	return err;
}

int fw_gate(struct tool *tool, const struct ecbpf_fw_ruleset *ruleset, bool is_json)
{
	struct ecbpf_fw_ruleset *whole TOOL_CLEANUP(fw_free_ruleset) = NULL;
	struct report report = {.by_rule = true};
	struct ecbpf_fw_trial *trial = NULL;
	struct frames *frames;
	FILE *file;
	int err;

	if (!gate.file)
		return 0;
	file = strcmp(gate.file, "-") ? fopen(gate.file, "re") : stdin;
	if (!file)
		return tool_fail("%s: %s", gate.file, strerror(errno));
	if (frames_open(file, &frames))
		return tool_fail("%s: %s", gate.file, frames_error(NULL));
	if (ecbpf_fw_fill(tool->ecbpf, ruleset, &whole) ||
	    ecbpf_fw_trial_new(tool->ecbpf, whole, &trial)) {
		err = tool_fail_ecbpf(tool);
	} else {
		report.ruleset = whole;
		err = gate_run(tool, &report, trial, frames, is_json);
	}
	ecbpf_fw_trial_free(trial);
	frames_close(frames);
	return err;
}
