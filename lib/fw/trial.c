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
#include "fw/live.h"
#include "progs/fw.skel.h"

struct ecbpf_fw_trial {
	struct fw_bpf *bpf;
	int decided_fd;
	__u16 *counters;
	size_t count;
};

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
	free(trial->counters);
	trial->counters = new.counters;
	trial->count = ruleset->rules_count;
	new.counters = NULL;
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
	free(trial->counters);
	free(trial);
}

int ecbpf_fw_trial_run(struct ecbpf *e, struct ecbpf_fw_trial *trial, const void *frame,
		       size_t size, __u32 *ret_action, size_t *ret_rule)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = size);
	__u32 key = 0, none = ~0U, rule;

	if (size < 14 || size > 65535)
		return ecbpf_fail(e, -EINVAL, "a packet of %zu bytes cannot be tried: 14 to 65535",
				  size);
	if (bpf_map_update_elem(trial->decided_fd, &key, &none, BPF_ANY) ||
	    bpf_prog_test_run_opts(bpf_program__fd(trial->bpf->progs.ecbpf_fw), &opts) ||
	    bpf_map_lookup_elem(trial->decided_fd, &key, &rule))
		return ecbpf_fail(e, -errno, "a packet of %zu bytes cannot be tried: %s", size,
				  strerror(errno));
	*ret_action = opts.retval;
	*ret_rule = rule == none ? ECBPF_FW_NO_RULE : rule >> ECBPF_FW_RULE_INDEX;
	return 0;
}

int ecbpf_fw_trial_stats(struct ecbpf *e, struct ecbpf_fw_trial *trial,
			 struct ecbpf_fw_stat *ret_stats)
{
	return fw_counters_read(e, bpf_map__fd(trial->bpf->maps.fw_counters), trial->counters,
				trial->count, ret_stats);
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
