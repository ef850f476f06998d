// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The sampler's settings */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <limits.h>
#include <bpf/bpf.h>
#include "bpf/percpu.h"
#include "bpf/transaction.h"
#include "core/error.h"
#include "core/privilege.h"
#include "core/runtime_log.h"
#include "sampler/sampler.h"

#define FIELD(field) .offset = offsetof(struct ecbpf_sampling, field)

static const struct ecbpf_setting rows[] = {
	{
		.name = "rate",
		FIELD(rate[ECBPF_SAMPLE_PASSED]),
		.max = UINT_MAX,
		.value = 1000,
		.text = "sample one packet in N; 0: none",
	},
	{
		.name = "rate-drops",
		FIELD(rate[ECBPF_SAMPLE_TERMINAL]),
		.max = UINT_MAX,
		.value = 1000,
		.leader = "rate",
		.text = "the same for packets with another verdict than XDP_PASS",
		.more = "It follows rate as long as the two are equal",
	},
	{
		.name = "snaplen",
		FIELD(snap_len),
		.unit = "bytes",
		.max = ECBPF_SNAP_MAX,
		.value = 128,
		.text = "length of the packet in a sample at most",
	},
	{
		.name = "max-pps",
		FIELD(max_pps),
		.max = UINT_MAX,
		.value = 100000,
		.text = "samples per second on this host at most; 0: no limit",
		.more = "Up to a tenth of that may come at once, and CPUs that draw at the same "
			"moment may put out one too many each",
	},
};
_Static_assert(ARRAY_SIZE(rows) * sizeof(__u32) == sizeof(struct ecbpf_sampling), "a row each");

const struct ecbpf_settings *ecbpf_sampler_settings(void)
{
	static const struct ecbpf_settings settings = {"sampler", rows, ARRAY_SIZE(rows)};

	return &settings;
}

/* User space may set the countdowns to zero, "not drawn yet", at any time */
static int gaps_reset(const struct bpf_object *obj)
{
	return ecbpf_percpu_zero(sampler_map(obj, "sampling_gap"), 0, 1);
}

/*
 * @obj: its maps. They are open until a change has succeeded: its way back opens none
 * @ret_before: gets what was in force, and the change is logged; or NULL
 */
static int settings_store(struct ecbpf *e, const struct bpf_object *obj,
			  const struct ecbpf_sampling *settings, struct ecbpf_sampling *ret_before)
{
	int fd = sampler_map(obj, "sampling"), err = 0;
	struct ecbpf_sampling before;
	__u32 key = 0;

	if (bpf_map_lookup_elem(fd, &key, &before))
		err = -errno;
	if (!err && ret_before)
		runtime_settings_log(e, ecbpf_sampler_settings(), &before, settings);
	if (!err && bpf_map_update_elem(fd, &key, settings, BPF_ANY))
		err = -errno;
	if (!err) {
		err = gaps_reset(obj);
		if (err) /* as it was; countdowns that were reset already are drawn again */
			bpf_map_update_elem(fd, &key, &before, BPF_ANY);
	}
	if (err)
		return ecbpf_fail(e, err, "cannot set the sampler: %s", strerror(-err));
	if (ret_before)
		*ret_before = before;
	return 0;
}

int ecbpf_sampler_set(struct ecbpf *e, const struct ecbpf_sampling *settings)
{
	struct bpf_object *obj = NULL;
	struct ecbpf_sampling before;
	struct transaction t;
	int err;

	err = ecbpf_settings_check(e, ecbpf_sampler_settings(), settings);
	if (!err)
		err = ecbpf_transaction_begin(e, &t);
	if (err)
		return err;
	runtime_log_ahead(e);
	err = sampler_maps_open(e, &obj);
	if (!err)
		err = settings_store(e, obj, settings, &before);
	bpf_object__close(obj);
	runtime_log_settle(e, !err);
	return ecbpf_transaction_end(e, &t, err);
}

static void settings_undo(struct ecbpf *e, const struct bpf_object *obj,
			  const struct ecbpf_sampling *before)
{
	struct saved_error error;

	ecbpf_error_save(e, &error);
	if (settings_store(e, obj, before, NULL))
		ecbpf_log(e, ECBPF_LOG_WARN, "could not go back to the settings before: %s",
			  e->error);
	ecbpf_error_restore(e, &error);
}

int ecbpf_sampler_load(struct ecbpf *e, const char *const *ifaces, size_t count, bool is_fused,
		       enum ecbpf_mode mode, const struct ecbpf_sampling *settings)
{
	struct bpf_object *obj = NULL;
	struct ecbpf_sampling before;
	struct transaction t;
	int err;

	err = ecbpf_settings_check(e, ecbpf_sampler_settings(), settings);
	if (!err)
		err = ecbpf_require(e, ECBPF_NEEDS_ATTACH);
	if (!err)
		err = ecbpf_transaction_begin(e, &t);
	if (err)
		return err;
	runtime_log_ahead(e);
	err = sampler_maps_open(e, &obj);
	if (!err)
		err = settings_store(e, obj, settings, &before);
	if (!err) {
		err = ecbpf_chain_load_stage(e, ifaces, count, ECBPF_STAGE_SAMPLER, is_fused, mode);
		if (err)
			settings_undo(e, obj, &before);
	}
	bpf_object__close(obj);
	runtime_log_settle(e, !err);
	return ecbpf_transaction_end(e, &t, err);
}

/* Does an interface besides these have it? */
static int others_have(struct ecbpf *e, const char *const *ifaces, size_t count, bool *ret_have)
{
	struct if_nameindex *all = if_nameindex();
	int err = 0;

	*ret_have = false;
	if (!all)
		return ecbpf_fail(e, -errno, "cannot list interfaces: %s", strerror(errno));
	for (struct if_nameindex *i = all; i->if_index && !*ret_have && !err; i++) {
		bool is_among = false;

		for (size_t k = 0; k < count; k++)
			is_among |= !strcmp(ifaces[k], i->if_name);
		if (!is_among)
			err = ecbpf_chain_has_stage(e, i->if_name, ECBPF_STAGE_SAMPLER, ret_have);
		if (err == -ENODEV)
			err = 0; /* it is gone meanwhile */
	}
	if_freenameindex(all);
	return err;
}

/* All of them: if they are 0 already, nobody may have kept that */
static void rates_off_log(struct ecbpf *e, const struct ecbpf_sampling *before)
{
	struct ecbpf_sampling from = *before, after = *before;

	memset(from.rate, 0xff, sizeof(from.rate));
	memset(after.rate, 0, sizeof(after.rate));
	runtime_settings_log(e, ecbpf_sampler_settings(), &from, &after);
}

/* No samples any more. *@ret_obj: and there were some before, by @ret_before */
static int sampler_off(struct ecbpf *e, struct ecbpf_sampling *ret_before,
		       struct bpf_object **ret_obj)
{
	struct ecbpf_sampler_status status;
	int err;

	err = ecbpf_sampler_status(e, &status);
	if (err)
		return err == -ENOENT ? 0 : err;
	err = sampler_maps_open(e, ret_obj);
	if (err)
		return err;
	*ret_before = status.settings;
	rates_off_log(e, ret_before);
	memset(status.settings.rate, 0, sizeof(status.settings.rate));
	return settings_store(e, *ret_obj, &status.settings, NULL);
}

int ecbpf_sampler_unload(struct ecbpf *e, const char *const *ifaces, size_t count)
{
	struct bpf_object *obj = NULL; /* of a sampler that was turned off */
	struct ecbpf_sampling before;
	bool have = false;
	struct transaction t;
	int err;

	err = ecbpf_require(e, ECBPF_NEEDS_ATTACH);
	if (!err)
		err = ecbpf_transaction_begin(e, &t);
	if (err)
		return err;
	runtime_log_ahead(e);
	err = others_have(e, ifaces, count, &have);
	if (!err && !have)
		err = sampler_off(e, &before, &obj);
	if (!err) {
		err = ecbpf_chain_unload_stage(e, ifaces, count, ECBPF_STAGE_SAMPLER);
		if (err && obj)
			settings_undo(e, obj, &before);
	}
	bpf_object__close(obj);
	runtime_log_settle(e, !err);
	return ecbpf_transaction_end(e, &t, err);
}
