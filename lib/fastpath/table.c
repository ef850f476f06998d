// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Reading of the table of flows while programs change it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/jiffies.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/prefix.h"
#include "core/privilege.h"
#include "fastpath/fastpath.h"

/* Copy a slot of the table, which may change meanwhile. Return: it holds a flow, and did not change
 */
static bool flow_read(const struct ecbpf_flow *slot, const struct ecbpf_fastpath *settings,
		      struct ecbpf_flow *ret)
{
	__u64 lease = *(const volatile __u64 *)&slot->lease;

	*ret = *slot;
	return lease && ret->key.version && ret->key.generation == settings->generation &&
	       *(const volatile __u64 *)&slot->lease == lease;
}

static void addr_copy(__u8 *to, const struct ecbpf_flow_key *key, bool is_dest)
{
	if (key->version == 4) {
		memset(to, 0, 10);
		memset(to + 10, 0xff, 2);
		memcpy(to + 12, (const __u8 *)key->addrs + (is_dest ? 4 : 0), 4);
	} else {
		memcpy(to, key->addrs + (is_dest ? 2 : 0), 16);
	}
}

void fastpath_flow_decode(const struct ecbpf_flow *flow, const struct ecbpf_fastpath *settings,
			  __u64 now, struct ecbpf_fastpath_flow *ret)
{
	__s64 left = (__s64)ECBPF_LEASE_END(flow->lease) - (__s64)now;
	/* 32 bits; negative if XDP has set it since `now` was read */
	__s64 punted = (__s32)((__u32)now - flow->punted);

	*ret = (struct ecbpf_fastpath_flow){
		.client_port = ntohs(flow->key.ports & 0xffff),
		.service_port = ntohs(flow->key.ports >> 16),
		.proto = flow->key.proto,
		.is_dead = flow->lease & ECBPF_HOP_DEAD,
		.is_ending = flow->flags & ECBPF_FLOW_FIN,
		.lease_ms = left * 1000 / settings->hz,
		.punted_ms = (punted > 0 ? punted : 0) * 1000 / settings->hz,
		.packets = flow->packets,
	};
	addr_copy(ret->client, &flow->key, false);
	addr_copy(ret->service, &flow->key, true);
}

bool fastpath_prefix_has(const struct ecbpf_prefix *prefix, const __u8 *addr)
{
	struct ecbpf_prefix other = ecbpf_prefix_unmap(addr, 128);

	return ecbpf_prefix_has(prefix, &other);
}

static bool flow_matches(const struct ecbpf_fastpath_flow *flow,
			 const struct ecbpf_fastpath_filter *filter)
{
	const struct ecbpf_fastpath_flow *want = filter ? filter->flow : NULL;

	if (!filter)
		return true;
	if (filter->client && !fastpath_prefix_has(filter->client, flow->client))
		return false;
	if (filter->service && !fastpath_prefix_has(filter->service, flow->service))
		return false;
	if (filter->dest && memcmp(filter->dest, flow->hop.dest, sizeof(flow->hop.dest)))
		return false;
	return !want || (want->proto == flow->proto && want->client_port == flow->client_port &&
			 want->service_port == flow->service_port &&
			 !memcmp(want->client, flow->client, sizeof(want->client)) &&
			 !memcmp(want->service, flow->service, sizeof(want->service)));
}

void fastpath_table_close(struct fastpath_table *table)
{
	ecbpf_view_close(&table->settings);
	ecbpf_view_close(&table->flows);
	free(table->hops);
}

/* Copy what is not mapped, right before the walk */
static int table_read(struct ecbpf *e, struct fastpath_table *table)
{
	_cleanup_close_ int fd = fastpath_map_open(e, "fastpath_hops", NULL);
	__u64 now;
	int err;

	if (fd < 0)
		return fd;
	table->hops = calloc(ECBPF_HOPS, sizeof(*table->hops));
	if (!table->hops)
		return ecbpf_fail_memory(e);
	for (__u32 i = 1; i < ECBPF_HOPS; i++) {
		if (bpf_map_lookup_elem(fd, &i, &table->hops[i]))
			return ecbpf_fail(e, -errno, "map fastpath_hops: %s", strerror(errno));
		if (!table->hops[i].hop.ifindex)
			break; /* hops are allocated in order */
	}
	err = ecbpf_jiffies(e, &now);
	if (!err)
		table->now = ECBPF_LEASE_NOW(now);
	return err;
}

/* @ret_ipvs: read IPVS as well, which may take seconds; or NULL */
int fastpath_table_open(struct ecbpf *e, struct fastpath_ipvs *ret_ipvs,
			struct fastpath_table *ret_table)
{
	int err;

	err = fastpath_settings_open(e, &ret_table->settings);
	if (!err)
		err = fastpath_view_open(e, "fastpath_flows", sizeof(struct ecbpf_flow_group),
					 &ret_table->flows);
	if (!err && ret_ipvs)
		err = fastpath_ipvs_open(e, ret_ipvs);
	return err ? err : table_read(e, ret_table);
}

int fastpath_table_walk(const struct fastpath_table *table,
			const struct ecbpf_fastpath_filter *filter, fastpath_slot_fn fn, void *data)
{
	const struct ecbpf_fastpath *settings = table->settings.at;
	struct ecbpf_flow *slots = table->flows.at, copy;
	size_t count = (size_t)table->flows.entries * ECBPF_FLOW_WAYS;
	struct ecbpf_fastpath_flow flow;
	int err;

	for (size_t i = 0; i < count; i++) {
		__u32 hop;

		if (!slots[i].lease || !flow_read(&slots[i], settings, &copy))
			continue;
		fastpath_flow_decode(&copy, settings, table->now, &flow);
		hop = ECBPF_LEASE_HOP(copy.lease);
		if (hop < ECBPF_HOPS)
			flow.hop = table->hops[hop].hop;
		if (!flow_matches(&flow, filter))
			continue;
		err = fn(data, &slots[i], &flow);
		if (err)
			return err;
	}
	return 0;
}
