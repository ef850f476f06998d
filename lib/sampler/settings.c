// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The sampler's settings */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <limits.h>
#include <bpf/bpf.h>
#include "bpf/percpu.h"
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

int ecbpf_sampler_set(struct ecbpf *e, const struct ecbpf_sampling *settings)
{
	struct bpf_object *obj;
	__u32 key = 0;
	int err;

	err = ecbpf_settings_check(e, ecbpf_sampler_settings(), settings);
	if (!err)
		err = sampler_maps_open(e, &obj);
	if (err)
		return err;
	err = bpf_map_update_elem(sampler_map(obj, "sampling"), &key, settings, BPF_ANY) ? -errno
											 : 0;
	if (!err)
		err = gaps_reset(obj);
	bpf_object__close(obj);
	if (err)
		return ecbpf_fail(e, err, "cannot set the sampler: %s", strerror(-err));
	return 0;
}

static bool has_sampler(struct ecbpf *e, const char *iface)
{
	struct ecbpf_chain *chain;
	bool has = false;

	if (ecbpf_chain_get(e, iface, &chain))
		return false;
	for (size_t m = 0; m < chain->members_count; m++) {
		const struct ecbpf_member *member = &chain->members[m];

		for (size_t s = 0; s < member->stages_count; s++)
			has |= member->stages[s].stage == ECBPF_STAGE_SAMPLER;
	}
	ecbpf_chain_free(chain);
	return has;
}

int ecbpf_sampler_off(struct ecbpf *e)
{
	struct ecbpf_sampler_status status;
	struct if_nameindex *all;
	bool has = false;
	int err;

	err = ecbpf_sampler_status(e, &status);
	if (err)
		return err == -ENOENT ? 0 : err;
	all = if_nameindex();
	if (!all)
		return ecbpf_fail(e, -errno, "cannot list interfaces: %s", strerror(errno));
	for (struct if_nameindex *i = all; i->if_index && !has; i++)
		has = has_sampler(e, i->if_name);
	if_freenameindex(all);
	if (has)
		return 0;
	memset(status.settings.rate, 0, sizeof(status.settings.rate));
	return ecbpf_sampler_set(e, &status.settings);
}
