/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ecbpf-fw test: what is printed of a run.
 */
#ifndef ECBPF_TOOLS_FW_TEST_H
#define ECBPF_TOOLS_FW_TEST_H

#include "tools/fw/frames.h"
#include "tools/fw/fw.h"

struct json_object;

enum outcome {
	OUTCOME_TRIED,	 /* with a verdict */
	OUTCOME_UNKNOWN, /* its verdict depends on what was not captured */
	OUTCOME_SKIPPED, /* not run */
	OUTCOMES,
};

/**
 * struct result - of one packet
 * @action: if it was tried
 * @rule: the one that decided, or ECBPF_FW_NO_RULE
 * @why: of others, why not
 */
struct result {
	enum outcome outcome;
	__u32 action;
	size_t rule;
	const char *why;
};

/* Packets that have no verdict for one reason */
struct reason {
	enum outcome outcome;
	char *why;
	size_t packets;
};

struct sum {
	__u64 packets;
	__u64 bytes;
	__u64 dropped;
};

/**
 * struct report - of one run
 * @by_rule: rules are printed, not packets
 * @outcomes: packets
 * @all: those that were tried; @none: of these, those that no rule decided
 * @dropped: for each rule, packets that it dropped
 * @json_failed: assertions; NULL: print text
 * @cut_off: the end of the capture is missing
 * @damage: where it is damaged; NULL: nowhere
 */
struct report {
	const struct ecbpf_fw_ruleset *ruleset;
	const char *rules_file;
	bool by_rule;
	size_t outcomes[OUTCOMES];
	struct sum all;
	struct sum none;
	__u64 *dropped;
	struct reason *reasons;
	size_t reasons_count;
	size_t assertions;
	size_t failed;
	struct json_object *json_failed;
	bool is_cut_off;
	const char *damage;
};

void report_begin(struct report *r, bool is_json);
void report_packet(struct report *r, const struct frame *frame, const struct result *result);
/* An assertion does not hold. @frame: NULL: no packet has its sum */
void report_assertion(struct report *r, const struct ecbpf_fw_assertion *assertion,
		      const struct frame *frame, const struct result *result);
/* Once, at the end. @stats: one for each rule, for @by_rule */
void report_print(struct report *r, const struct ecbpf_fw_stat *stats);
void report_free(struct report *r);

/* Run a packet. @has_failed: set after an error that is not of the packet, which is told once */
struct result test_frame(const struct tool *tool, struct ecbpf_fw_trial *trial,
			 const struct frame *frame, bool *has_failed);

#endif /* ECBPF_TOOLS_FW_TEST_H */
