// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Explains what the programs would do with a packet of a flow.
 */
#include "core/handle.h"
#include "core/util.h"
#include "fastpath/fastpath.h"

/* Milliseconds until the next packet is passed to IPVS */
long long fastpath_explain_sample_ms(const struct ecbpf_fastpath_settings *settings,
				     const struct ecbpf_fastpath_flow *flow)
{
	return (long long)(flow->is_ending ? settings->sample_ms / SAMPLE_FIN
					   : settings->sample_ms) -
	       flow->punted_ms;
}

static int explain_found(void *data, const struct ecbpf_fastpath_flow *flow)
{
	struct ecbpf_fastpath_explanation *explanation = data;

	explanation->flow = *flow;
	explanation->is_known = true;
	return 1;
}

/* The decision of the program, in the same order */
__u32 fastpath_explain_reason(const struct ecbpf_fastpath_explanation *explanation,
			      const struct ecbpf_fastpath_settings *settings)
{
	const struct ecbpf_fastpath_flow *flow = &explanation->flow;

	if (!explanation->is_known)
		return ECBPF_REASON_FP_UNKNOWN;
	if (flow->lease_ms <= 0)
		return ECBPF_REASON_FP_EXPIRED;
	if (flow->is_dead)
		return settings->reset_pps ? ECBPF_REASON_FP_RESET : ECBPF_REASON_FP_DEAD;
	if (explanation->sample_ms <= 0)
		return ECBPF_REASON_FP_SAMPLE;
	return settings->monitor ? ECBPF_REASON_FP_MONITOR : ECBPF_REASON_FP_LEASE;
}

int ecbpf_fastpath_explain(struct ecbpf *e, const struct ecbpf_fastpath_flow *flow,
			   struct ecbpf_fastpath_explanation *ret_explanation)
{
	struct ecbpf_fastpath_explanation explanation = {.flow = *flow};
	struct ecbpf_fastpath_filter filter = {.flow = flow};
	_cleanup_free_ struct ecbpf_prefix *prefixes = NULL;
	struct ecbpf_fastpath_settings settings = {};
	CLEANUP(fastpath_ipvs_close) struct fastpath_ipvs ipvs = {};
	size_t count = 0;
	int err;

	err = ecbpf_fastpath_get(e, &settings);
	if (!err)
		err = ecbpf_fastpath_exclude_list(e, &prefixes, &count);
	if (!err)
		err = ecbpf_fastpath_flows(e, &filter, explain_found, &explanation);
	if (err < 0)
		return err;
	if (!explanation.is_known) {
		err = fastpath_ipvs_open(e, &ipvs);
		if (err)
			return err;
		fastpath_ipvs_join(&ipvs, &explanation.flow);
	}
	for (size_t i = 0; i < count; i++)
		explanation.is_excluded |= fastpath_prefix_has(&prefixes[i], flow->client) ||
					   fastpath_prefix_has(&prefixes[i], flow->service);
	explanation.sample_ms = fastpath_explain_sample_ms(&settings, &explanation.flow);
	explanation.reason = fastpath_explain_reason(&explanation, &settings);
	*ret_explanation = explanation;
	return 0;
}
