// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Loading, unloading and status of the filter on interfaces.
 */
#include <errno.h>
#include <string.h>
#include "bpf/transaction.h"
#include "chain/clear.h"
#include "core/handle.h"
#include "core/privilege.h"
#include "filter/filter.h"

int ecbpf_filter_status_get(struct ecbpf *e, const char *iface, struct ecbpf_filter_status *ret)
{
	struct ecbpf_filter_status status = {};
	struct ecbpf_chain *chain;
	int err;

	err = ecbpf_chain_get(e, iface, &chain);
	if (err)
		return err;
	status.mode = chain->mode;
	for (size_t i = 0; i < chain->members_count; i++) {
		const struct ecbpf_member *member = &chain->members[i];

		for (size_t slot = 0; slot < member->stages_count; slot++) {
			const __u64 *from = (const void *)&member->stages[slot].counters;
			__u64 *to = (void *)&status.counters;

			if (member->stages[slot].stage != ECBPF_STAGE_FILTER)
				continue;
			status.is_loaded = true;
			status.is_fused |= !strcmp(member->name, "ecbpf_fused");
			for (size_t n = 0; n < sizeof(status.counters) / sizeof(*to); n++)
				to[n] += from[n];
		}
	}
	ecbpf_chain_free(chain);
	*ret = status;
	return 0;
}

int ecbpf_filter_status_clear(struct ecbpf *e, const char *iface)
{
	return ecbpf_counters_clear_stage(e, iface, ECBPF_STAGE_FILTER);
}

static int load_locked(struct ecbpf *e, const char *const *ifaces, size_t count,
		       enum ecbpf_mode mode, bool fused)
{
	int err;

	for (size_t i = 0; i < count; i++) {
		struct ecbpf_filter_status status;

		err = ecbpf_filter_status_get(e, ifaces[i], &status);
		if (err)
			return err;
		if (status.is_loaded)
			return ecbpf_fail(e, -EEXIST, "%s: the filter is loaded already",
					  ifaces[i]);
	}
	err = ecbpf_filter_refresh(e);
	if (err)
		return err;
	return ecbpf_chain_load_stage(e, ifaces, count, ECBPF_STAGE_FILTER, fused, mode);
}

int ecbpf_filter_load(struct ecbpf *e, const char *const *ifaces, size_t count,
		      enum ecbpf_mode mode, bool fused)
{
	struct transaction t;
	int err;

	err = ecbpf_require(e, ECBPF_NEEDS_ATTACH);
	if (!err)
		err = ecbpf_transaction_begin(e, &t);
	if (err)
		return err;
	return ecbpf_transaction_end(e, &t, load_locked(e, ifaces, count, mode, fused));
}

int ecbpf_filter_unload(struct ecbpf *e, const char *const *ifaces, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct ecbpf_filter_status status;
		int err;

		err = ecbpf_filter_status_get(e, ifaces[i], &status);
		if (err)
			return err;
		if (!status.is_loaded)
			return ecbpf_fail(e, -ENOENT, "%s: the filter is not loaded", ifaces[i]);
	}
	return ecbpf_chain_unload_stage(e, ifaces, count, ECBPF_STAGE_FILTER);
}
