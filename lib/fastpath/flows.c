// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Operations on the flows of the table: list, flush.
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
