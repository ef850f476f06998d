// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Operations on flows: list, explain, flush.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "bpf/lock.h"
#include "core/handle.h"
#include "fastpath/fastpath.h"
#include "fastpath/ipvs.h"

struct flows_call {
	ecbpf_fastpath_flow_fn fn;
	void *data;
	struct fastpath_ipvs *ipvs;
};

static int flows_call(void *data, struct ecbpf_flow *slot, const struct ecbpf_fastpath_flow *flow)
{
	const struct flows_call *call = data;
	struct ecbpf_fastpath_flow joined = *flow;

	(void)slot;
	fastpath_ipvs_join(call->ipvs, &joined);
	return call->fn(call->data, &joined);
}

int ecbpf_fastpath_flows(struct ecbpf *e, const struct ecbpf_fastpath_filter *filter,
			 ecbpf_fastpath_flow_fn fn, void *data)
{
	CLEANUP(fastpath_table_close) struct fastpath_table table = {};
	CLEANUP(fastpath_ipvs_close) struct fastpath_ipvs ipvs = {};
	struct flows_call call = {.fn = fn, .data = data, .ipvs = &ipvs};
	int err;

	ecbpf_capture(e);
	err = fastpath_table_open(e, &ipvs, &table);
	return err ? err : fastpath_table_walk(&table, filter, flows_call, &call);
}

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

static int flush_one(void *data, struct ecbpf_flow *slot, const struct ecbpf_fastpath_flow *flow)
{
	size_t *count = data;

	*(volatile __u64 *)&slot->lease = 0;
	*count += flow->lease_ms > 0;
	return 0;
}

/* A new generation ends all leases at once; then the slots are cleared */
static size_t flush_all(const struct fastpath_table *table)
{
	struct ecbpf_fastpath *settings = table->settings.at;
	size_t slots = (size_t)table->flows.entries * ECBPF_FLOW_WAYS, count = 0;
	struct ecbpf_flow *flows = table->flows.at;
	__u16 generation = settings->generation + 1;

	*(volatile __u16 *)&settings->generation = generation;
	for (size_t i = 0; i < slots; i++) {
		__u64 lease = *(volatile __u64 *)&flows[i].lease;

		if (!lease || flows[i].key.generation == generation)
			continue;
		*(volatile __u64 *)&flows[i].lease = 0;
		count += ECBPF_LEASE_END(lease) > table->now;
	}
	return count;
}

int ecbpf_fastpath_flush(struct ecbpf *e, const struct ecbpf_fastpath_filter *filter,
			 size_t *ret_count)
{
	CLEANUP(fastpath_table_close) struct fastpath_table table = {};
	_cleanup_close_ int lock = -1;
	size_t count = 0;
	int err;

	ecbpf_capture(e);
	err = fastpath_table_open(e, NULL, &table);
	if (err)
		return err;
	lock = ecbpf_lock(e); /* the generation is part of the settings */
	if (lock < 0)
		return lock;
	if (filter)
		fastpath_table_walk(&table, filter, flush_one, &count);
	else
		count = flush_all(&table);
	if (ret_count)
		*ret_count = count;
	return 0;
}
