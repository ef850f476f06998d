// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Ethernet addresses at which interfaces receive for this host: their own, and those of VLANs,
 * bridges, bonds and so on above them, which get what they have received.
 */
#include <stdlib.h>
#include <string.h>
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/links.h"
#include "filter/filter.h"

#define DEPTH_MAX 8 /* the kernel's limit of what lies on each other */

/* An interface that gets what another one has received */
struct above {
	int ifindex;
	int lower;
};

struct macs {
	const struct ecbpf_link *links;
	size_t links_count;
	struct above *aboves; /* sorted */
	size_t aboves_count;
	struct ecbpf_route *found;
	size_t found_count;
};

static int above_compare(const void *a, const void *b)
{
	const struct above *x = a, *y = b;

	return x->ifindex != y->ifindex ? (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex)
					: (x->lower > y->lower) - (x->lower < y->lower);
}

static bool above_add(struct macs *m, int ifindex, int lower)
{
	struct above *above = ecbpf_array_add(&m->aboves, &m->aboves_count, sizeof(*above));

	if (above)
		*above = (struct above){.ifindex = ifindex, .lower = lower};
	return above;
}

static bool aboves_read(struct macs *m)
{
	for (size_t i = 0; i < m->links_count; i++) {
		const struct ecbpf_link *link = &m->links[i];

		if (link->master && !above_add(m, link->master, link->ifindex))
			return false;
		if (link->lower && !above_add(m, link->ifindex, link->lower))
			return false;
	}
	if (m->aboves_count)
		qsort(m->aboves, m->aboves_count, sizeof(*m->aboves), above_compare);
	return true;
}

/* @ifindex and all interfaces below it receive frames for @mac */
static bool macs_add(struct macs *m, int ifindex, const __u8 *mac, int depth)
{
	struct ecbpf_filter_mac key = {
		.prefix_len = 128, .first = ECBPF_FILTER_MAC_FIRST, .ifindex = ifindex};
	size_t low = 0, high = m->aboves_count;
	struct ecbpf_route *found;

	if (depth > DEPTH_MAX)
		return true;
	found = ecbpf_array_add(&m->found, &m->found_count, sizeof(*found));
	if (!found)
		return false;
	memcpy(key.addr, mac, sizeof(key.addr));
	memcpy(&found->prefix, &key, sizeof(found->prefix));
	found->kind = ECBPF_FILTER_ADDR_MAC;
	while (low < high) { /* the first one with this index */
		size_t middle = low + (high - low) / 2;

		if (m->aboves[middle].ifindex < ifindex)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < m->aboves_count && m->aboves[low].ifindex == ifindex; low++)
		if (!macs_add(m, m->aboves[low].lower, mac, depth + 1))
			return false;
	return true;
}

int filter_macs_read(struct ecbpf *e, struct ecbpf_route **ret, size_t *ret_count)
{
	_cleanup_free_ struct ecbpf_link *links = NULL;
	struct macs m = {};
	bool is_done;
	int err;

	err = ecbpf_links_read(e, &links, &m.links_count);
	if (err)
		return err;
	m.links = links;
	is_done = aboves_read(&m);
	for (size_t i = 0; i < m.links_count && is_done; i++)
		if (links[i].is_ethernet) /* one that is down gets nothing from those below */
			is_done = macs_add(&m, links[i].ifindex, links[i].mac,
					   links[i].is_up ? 0 : DEPTH_MAX);
	free(m.aboves);
	if (!is_done) {
		free(m.found);
		return ecbpf_fail_memory(e);
	}
	*ret = m.found;
	*ret_count = m.found_count;
	return 0;
}
