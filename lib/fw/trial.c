// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Trials: packets run through a ruleset in a program that is not attached.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/object.h"
#include "bpf/probe.h"
#include "core/error.h"
#include "core/handle.h"
#include "fw/build.h"
#include "fw/doubt.h"
#include "fw/known.h"
#include "fw/live.h"
#include "progs/fw.skel.h"

#define SIZE_MIN      14   /* of a frame: the kernel's, of BPF_PROG_TEST_RUN */
#define SIZE_CERTAIN  3000 /* that each kernel takes */
#define SIZE_CAPTURED (1 << 20)

/**
 * struct ecbpf_fw_trial - a trial
 * @ruleset: a copy; @parts: of its rules
 * @counters: entry of fw_counters, for each rule
 * @limits: entry of fw_limits, likewise
 * @frame: memory for a packet whose end is missing; @room: its size
 * @doubts: limits that packets which were not run may have used
 */
struct ecbpf_fw_trial {
	struct fw_bpf *bpf;
	int decided_fd;
	struct ecbpf_fw_ruleset *ruleset;
	struct fw_parts parts;
	__u16 *counters;
	__u16 *limits;
	size_t count;
	__u8 *frame;
	size_t room;
	struct fw_doubts *doubts;
};

static void trial_forget(struct ecbpf_fw_trial *trial)
{
	fw_parts_free(&trial->parts);
	ecbpf_fw_ruleset_free(trial->ruleset);
	trial->ruleset = NULL;
	free(trial->counters);
	free(trial->limits);
	fw_doubts_free(trial->doubts);
	trial->doubts = NULL;
}

int ecbpf_fw_trial_set(struct ecbpf *e, struct ecbpf_fw_trial *trial,
		       const struct ecbpf_fw_ruleset *ruleset)
{
	struct fw_bpf *bpf = trial->bpf;

	struct fw_maps maps = {
		.active = bpf_map__fd(bpf->maps.fw_active),
		.small = bpf_map__fd(bpf->maps.fw_small),
		.medium = bpf_map__fd(bpf->maps.fw_medium),
		.large = bpf_map__fd(bpf->maps.fw_large),
		.counters = bpf_map__fd(bpf->maps.fw_counters),
		.limits = bpf_map__fd(bpf->maps.fw_limits),
		.buckets = bpf_map__fd(bpf->maps.fw_buckets),
		.groups = bpf_map__fd(bpf->maps.fw_groups),
		.sets = bpf_map__fd(bpf->maps.fw_sets),
		.pool = bpf_map__fd(bpf->maps.fw_set_pool),
		.text = bpf_map__fd(bpf->maps.fw_text),
	};
	struct ecbpf_fw_ruleset none = {};
	__u16 no_entry = 0;
	struct fw_state old = {.ruleset = &none, .counters = &no_entry};
	struct fw_state new = {.ruleset = (void *)ruleset};
	struct fw_generation generation = {};
	int err;

	ecbpf_capture(e);
	err = fw_active_set(e, &maps, ECBPF_FW_NONE);
	if (err)
		return err;
	fw_slot_clear(e, &maps, 0);
	err = fw_state_alloc(e, &new);
	if (!err)
		err = fw_state_assign(e, &maps, &old, &new);
	if (!err)
		err = fw_compile(e, ruleset, new.counters, new.limits, new.sets, &generation);
	if (!err)
		err = fw_slot_write(e, &maps, 0, &generation);
	if (!err)
		err = fw_active_set(e, &maps, generation.size);
	fw_generation_free(&generation);
	trial_forget(trial);
	trial->counters = new.counters;
	trial->limits = new.limits;
	trial->count = ruleset->rules_count;
	trial->ruleset = err ? NULL : fw_ruleset_copy(ruleset);
	if (!err && (!trial->ruleset || fw_parts_make(trial->ruleset, &trial->parts)))
		err = ecbpf_fail_memory(e);
	new.counters = NULL;
	new.limits = NULL;
	new.ruleset = NULL;
	fw_state_free(&new);
	return err;
}

int ecbpf_fw_trial_new(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset,
		       struct ecbpf_fw_trial **ret_trial)
{
	struct ecbpf_fw_trial *trial = calloc(1, sizeof(*trial));
	struct bpf_map *map;
	int err;

	if (!trial)
		return ecbpf_fail_memory(e);
	ecbpf_capture(e);
	trial->bpf = fw_bpf__open();
	if (!trial->bpf) {
		err = ecbpf_fail_memory(e);
		goto out;
	}
	bpf_object__for_each_map (map, trial->bpf->obj)
		bpf_map__set_pin_path(map, NULL);
	trial->bpf->rodata->fw_is_trial = true;
	err = ecbpf_frags_probe(e);
	if (err && err != -EOPNOTSUPP)
		goto out;
	if (!err) { /* for packets longer than a page */
		trial->bpf->rodata->xdp_frags = true;
		bpf_program__set_flags(trial->bpf->progs.ecbpf_fw, BPF_F_XDP_HAS_FRAGS);
	}
	err = ecbpf_object_load(e, trial->bpf->obj, true);
	if (err == -EBADMSG)
		goto out;
	if (err) {
		ecbpf_fail(e, err, "cannot load the firewall's program: %s%s", strerror(-err),
			   err == -EPERM ? " (must be root)" : "");
		goto out;
	}
	err = ecbpf_fw_trial_set(e, trial, ruleset);
	if (err)
		goto out;
	trial->decided_fd = bpf_map__fd(trial->bpf->maps.fw_decided);
	*ret_trial = trial;
	return 0;
out:
	ecbpf_fw_trial_free(trial);
	return err;
}

void ecbpf_fw_trial_free(struct ecbpf_fw_trial *trial)
{
	if (!trial)
		return;
	fw_bpf__destroy(trial->bpf);
	trial_forget(trial);
	free(trial->frame);
	free(trial);
}

/* -E2BIG is for packets that are too long */
static int try_fail(struct ecbpf *e, int error, size_t size)
{
	return ecbpf_fail(e, error == E2BIG ? -EIO : -error,
			  "a packet of %zu bytes cannot be tried: %s", size, strerror(error));
}

int ecbpf_fw_trial_run(struct ecbpf *e, struct ecbpf_fw_trial *trial, const void *frame,
		       size_t size, __u32 *ret_action, size_t *ret_rule)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = size);
	__u32 key = 0, none = ~0U, rule;
	int err;

	if (size < SIZE_MIN)
		return ecbpf_fail(e, -EINVAL, "a packet of %zu bytes cannot be tried: %d at least",
				  size, SIZE_MIN);
	if (bpf_map_update_elem(trial->decided_fd, &key, &none, BPF_ANY))
		return try_fail(e, errno, size);
	if (bpf_prog_test_run_opts(bpf_program__fd(trial->bpf->progs.ecbpf_fw), &opts)) {
		err = -errno;
		/* with more fragments than there can be; without fragments; EMSGSIZE since 6.18 */
		if (size > SIZE_CERTAIN &&
		    (err == -ENOMEM || err == -EINVAL || err == -EMSGSIZE || err == -E2BIG))
			return ecbpf_fail(e, -E2BIG,
					  "a packet of %zu bytes is longer than this kernel tries",
					  size);
		return try_fail(e, -err, size);
	}
	if (bpf_map_lookup_elem(trial->decided_fd, &key, &rule))
		return try_fail(e, errno, size);
	*ret_action = opts.retval;
	*ret_rule = rule == none ? ECBPF_FW_NO_RULE : rule >> ECBPF_FW_RULE_INDEX;
	return 0;
}

static struct fw_doubt_maps doubt_maps(const struct ecbpf_fw_trial *trial)
{
	return (struct fw_doubt_maps){
		.limits = bpf_map__fd(trial->bpf->maps.fw_limits),
		.buckets = bpf_map__fd(trial->bpf->maps.fw_buckets),
		.groups = bpf_map__fd(trial->bpf->maps.fw_groups),
		.entries = trial->limits,
	};
}

/* Does the rule @index match? *@part: its first part; it becomes that of the next rule */
static enum fw_match trial_match(const struct ecbpf_fw_trial *trial, const struct fw_known *known,
				 size_t index, size_t *part)
{
	const struct fw_parts *parts = &trial->parts;
	enum fw_match match = FW_MATCH_NO;

	for (; *part < parts->count && parts->index[*part] == index; (*part)++) {
		enum fw_match its = fw_known_match(known, trial->ruleset, &parts->rules[*part]);

		if (its > match)
			match = its;
	}
	return match;
}

/*
 * Would all packets that begin so match the same rules, up to the one that decides? Return: NULL,
 * or why that is not known
 */
static const char *trial_doubt(const struct ecbpf_fw_trial *trial, const struct fw_known *known)
{
	static const char missing[] = "the verdict depends on bytes that were not captured";
	const struct fw_doubt_maps maps = doubt_maps(trial);
	size_t part = 0;

	for (size_t i = 0; i < trial->count; i++) {
		const struct fw_rule *rule = &trial->ruleset->rules[i];
		enum fw_match match = trial_match(trial, known, i, &part);
		enum fw_doubt doubt = FW_DOUBT_NO;

		if (match == FW_MATCH_NO)
			continue;
		if (match == FW_MATCH_MAYBE)
			return missing;
		if (rule->action == FW_LIMIT)
			doubt = fw_doubt_of(trial->doubts, &maps, known, i);
		if (doubt == FW_DOUBT_YES)
			return "packets that were not tried may have used up a limit";
		if (!rule->is_dry &&
		    (rule->action == FW_DROP || rule->action == FW_PASS || doubt == FW_DOUBT_ABOVE))
			return NULL;
	}
	return known->fields & FW_FIELD_REASON ? NULL : missing;
}

/* Note limits that the packet, which is not run, may use */
static int trial_miss(struct ecbpf *e, struct ecbpf_fw_trial *trial, const struct fw_known *known)
{
	const struct fw_doubt_maps maps = doubt_maps(trial);
	size_t part = 0;
	int err = 0;

	for (size_t i = 0; !err && i < trial->count; i++) {
		const struct fw_rule *rule = &trial->ruleset->rules[i];
		enum fw_match match = trial_match(trial, known, i, &part);

		if (match == FW_MATCH_NO)
			continue;
		if (rule->action == FW_LIMIT)
			err = fw_doubt_add(&trial->doubts, &maps, known, i);
		else if (match == FW_MATCH_YES && !rule->is_dry && rule->action != FW_COUNT)
			break;
	}
	return err ? ecbpf_fail_memory(e) : 0;
}

/* A copy of the frame, with zeros behind what was captured. Return: NULL without memory */
static const __u8 *trial_frame(struct ecbpf_fw_trial *trial, const void *data, size_t captured,
			       size_t size)
{
	__u8 *frame = trial->frame;

	if (trial->room < size) {
		frame = realloc(frame, size);
		if (!frame)
			return NULL;
		trial->frame = frame;
		trial->room = size;
	}
	if (captured)
		memcpy(frame, data, captured);
	memset(frame + captured, 0, size - captured);
	return frame;
}

int ecbpf_fw_trial_run_captured(struct ecbpf *e, struct ecbpf_fw_trial *trial, const void *data,
				size_t captured, size_t size, __u32 *ret_action, size_t *ret_rule)
{
	const __u8 *frame = data;
	struct fw_known known;
	const char *doubt;
	int err;

	if (captured > size)
		size = captured;
	if (size < SIZE_MIN)
		return ecbpf_fail(e, -EINVAL, "a packet of %zu bytes cannot be tried: %d at least",
				  size, SIZE_MIN);
	if (size > SIZE_CAPTURED)
		return ecbpf_fail(e, -E2BIG, "a packet of %zu bytes is longer than any", size);
	if (captured < size)
		frame = trial_frame(trial, data, captured, size);
	if (!frame)
		return ecbpf_fail_memory(e);
	if (captured < size || trial->doubts) {
		fw_known_set(&known, frame, captured, size);
		doubt = trial_doubt(trial, &known);
		if (doubt) {
			err = trial_miss(e, trial, &known);
			return err ? err : ecbpf_fail(e, -ENODATA, "%s", doubt);
		}
	}
	err = ecbpf_fw_trial_run(e, trial, frame, size, ret_action, ret_rule);
	if (err == -E2BIG) {
		fw_known_set(&known, frame, captured, size);
		if (trial_miss(e, trial, &known))
			return -ENOMEM;
		ecbpf_fail(e, err, "a packet of %zu bytes is longer than this kernel tries", size);
	}
	return err;
}

int ecbpf_fw_trial_stats(struct ecbpf *e, struct ecbpf_fw_trial *trial,
			 struct ecbpf_fw_stat *ret_stats)
{
	return fw_counters_read(e, bpf_map__fd(trial->bpf->maps.fw_counters), trial->ruleset,
				trial->counters, ret_stats);
}

int ecbpf_fw_bytes(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, size_t *ret_bytes)
{
	struct fw_generation generation = {};
	struct fw_state state = {.ruleset = (void *)ruleset};
	int err;

	err = fw_state_alloc(e, &state);
	if (!err)
		err = fw_compile(e, ruleset, state.counters, state.limits, state.sets, &generation);
	if (!err)
		*ret_bytes = generation.entries * generation.entry_bytes;
	fw_generation_free(&generation);
	state.ruleset = NULL;
	fw_state_free(&state);
	return err;
}
