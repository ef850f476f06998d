// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Comparison of leases with the connections of IPVS.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fastpath/fastpath.h"

void fastpath_ipvs_close(struct fastpath_ipvs *ipvs)
{
	free(ipvs->conns);
	free(ipvs->neighbours);
}

int fastpath_ipvs_open(struct ecbpf *e, struct fastpath_ipvs *ret_ipvs)
{
	int err;

	err = ecbpf_ipvs_conns(e, &ret_ipvs->conns, &ret_ipvs->conns_count);
	if (err == -ENOENT)
		return 0;
	if (err)
		return err;
	ret_ipvs->is_there = true;
	return ecbpf_ipvs_neighbours(e, &ret_ipvs->neighbours, &ret_ipvs->neighbours_count);
}

static const __u8 *neighbour_mac(const struct fastpath_ipvs *ipvs, const __u8 *addr)
{
	for (size_t i = 0; i < ipvs->neighbours_count; i++) {
		if (!memcmp(ipvs->neighbours[i].addr, addr, 16))
			return ipvs->neighbours[i].mac;
	}
	return NULL;
}

/* Add the connection of IPVS to a flow */
void fastpath_ipvs_join(const struct fastpath_ipvs *ipvs, struct ecbpf_fastpath_flow *flow)
{
	struct ipvs_conn key = {
		.client_port = flow->client_port,
		.service_port = flow->service_port,
		.proto = flow->proto,
	};
	const struct ipvs_conn *conn;
	const __u8 *mac;

	if (!ipvs->is_there) {
		flow->agreement = ECBPF_NO_IPVS;
		return;
	}
	memcpy(key.client, flow->client, sizeof(key.client));
	memcpy(key.service, flow->service, sizeof(key.service));
	conn = ecbpf_ipvs_find(ipvs->conns, ipvs->conns_count, &key);
	if (!conn) {
		if (flow->lease_ms > 0 && !flow->is_dead)
			flow->agreement = ECBPF_NO_ENTRY;
		return;
	}
	memcpy(flow->real, conn->real, sizeof(flow->real));
	flow->real_port = conn->real_port;
	snprintf(flow->ipvs_state, sizeof(flow->ipvs_state), "%s", conn->state);
	flow->ipvs_timer_s = conn->timer_s;
	mac = neighbour_mac(ipvs, conn->real);
	if (mac && flow->lease_ms > 0 && !flow->is_dead &&
	    memcmp(mac, flow->hop.dest, sizeof(flow->hop.dest)))
		flow->agreement = ECBPF_OTHER_SERVER;
}
