// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The map filter_addrs: addresses of this host, its Ethernet addresses among them, and VIPs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include "bpf/transaction.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/routes.h"
#include "filter/filter.h"

static int route_compare(const void *a, const void *b)
{
	const struct ecbpf_route *x = a, *y = b;
	int cmp = memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));

	return cmp ? cmp : (int)x->kind - (int)y->kind;
}

static bool prefix_has(const struct ecbpf_filter_addr *outer, const struct ecbpf_filter_addr *inner)
{
	__u32 bytes = outer->prefix_len / 8, bits = outer->prefix_len % 8;

	return outer->prefix_len <= inner->prefix_len && !memcmp(outer->addr, inner->addr, bytes) &&
	       (!bits || !((outer->addr[bytes] ^ inner->addr[bytes]) >> (8 - bits)));
}

static int next_key(int fd, const void *last, struct ecbpf_filter_addr *ret)
{
	return bpf_map_get_next_key(fd, last, ret) ? -errno : 0;
}

/* All entries of filter_addrs. @ret: for free() */
static int addrs_read(struct ecbpf *e, int fd, struct ecbpf_route **ret, size_t *ret_count)
{
	_cleanup_free_ struct ecbpf_route *addrs = NULL;
	struct ecbpf_filter_addr key;
	size_t count = 0;
	void *last = NULL;
	int err = 0;

	addrs = calloc(ECBPF_FILTER_ADDRS_MAX, sizeof(*addrs));
	if (!addrs)
		return ecbpf_fail_memory(e);
	while (count < ECBPF_FILTER_ADDRS_MAX && !(err = next_key(fd, last, &key))) {
		addrs[count].prefix = key;
		last = &key;
		if (!bpf_map_lookup_elem(fd, &key, &addrs[count].kind))
			count++;
		else if (errno != ENOENT)
			err = -errno;
		if (err)
			break;
	}
	if (err && err != -ENOENT)
		return ecbpf_fail(e, err, "filter_addrs: %s", strerror(-err));
	*ret = addrs;
	*ret_count = count;
	addrs = NULL;
	return 0;
}

/* Sorted */
static int addrs_sorted(struct ecbpf *e, int fd, struct ecbpf_route **ret, size_t *ret_count)
{
	int err = addrs_read(e, fd, ret, ret_count);

	if (!err && *ret_count)
		qsort(*ret, *ret_count, sizeof(**ret), route_compare);
	return err;
}

int filter_vips_read(struct ecbpf *e, int fd, struct ecbpf_route **ret, size_t *ret_count)
{
	size_t count = 0, kept = 0;
	int err;

	err = addrs_read(e, fd, ret, &count);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++)
		if ((*ret)[i].kind == ECBPF_FILTER_ADDR_VIP)
			(*ret)[kept++] = (*ret)[i];
	*ret_count = kept;
	return 0;
}

/* A broadcast address within a prefix of VIPs remains one: the kernel lets nobody have it */
static bool is_in_vips(const struct ecbpf_route *vips, size_t count,
		       const struct ecbpf_route *route)
{
	for (size_t i = 0; i < count; i++)
		if (prefix_has(&vips[i].prefix, &route->prefix) &&
		    (route->kind == ECBPF_FILTER_ADDR_LOCAL ||
		     vips[i].prefix.prefix_len == route->prefix.prefix_len))
			return true;
	return false;
}

/* Is the prefix among these, which are sorted, of whichever kind? */
static bool addrs_have(const struct ecbpf_route *addrs, size_t count,
		       const struct ecbpf_filter_addr *prefix)
{
	for (__u32 kind = 1; kind <= ECBPF_FILTER_ADDR_LAST && count; kind++) {
		struct ecbpf_route wanted = {.prefix = *prefix, .kind = kind};

		if (bsearch(&wanted, addrs, count, sizeof(*addrs), route_compare))
			return true;
	}
	return false;
}

/* Add what is new of the Ethernet addresses, or of all others. All arrays are sorted */
static int addrs_add(int fd, const struct ecbpf_route *old, size_t old_count,
		     const struct ecbpf_route *new, size_t new_count, bool is_mac)
{
	for (size_t i = 0; i < new_count; i++) {
		const struct ecbpf_route *route = &new[i];

		if ((route->kind == ECBPF_FILTER_ADDR_MAC) == is_mac &&
		    (!old_count || !bsearch(route, old, old_count, sizeof(*old), route_compare)) &&
		    bpf_map_update_elem(fd, &route->prefix, &route->kind, BPF_ANY))
			return -errno;
	}
	return 0;
}

/* Delete what is old, likewise */
static int addrs_delete(int fd, const struct ecbpf_route *old, size_t old_count,
			const struct ecbpf_route *new, size_t new_count, bool is_mac)
{
	for (size_t i = 0; i < old_count; i++)
		if ((old[i].kind == ECBPF_FILTER_ADDR_MAC) == is_mac &&
		    !addrs_have(new, new_count, &old[i].prefix) &&
		    bpf_map_delete_elem(fd, &old[i].prefix) && errno != ENOENT)
			return -errno;
	return 0;
}

/*
 * New entries are added before old ones are removed, so that no fragment finds neither. Ethernet
 * addresses make room for them: without its own, a fragment is not answered. Sorted arrays
 */
static int addrs_change(int fd, const struct ecbpf_route *old, size_t old_count,
			const struct ecbpf_route *new, size_t new_count)
{
	int err = addrs_delete(fd, old, old_count, new, new_count, true);

	if (!err)
		err = addrs_add(fd, old, old_count, new, new_count, false);
	if (!err)
		err = addrs_delete(fd, old, old_count, new, new_count, false);
	return err ? err : addrs_add(fd, old, old_count, new, new_count, true);
}

/* Make the map @old again, whatever is in it */
static void addrs_undo(struct ecbpf *e, int fd, const struct ecbpf_route *old, size_t old_count)
{
	_cleanup_free_ struct ecbpf_route *now = NULL;
	size_t count = 0;
	int err = addrs_sorted(e, fd, &now, &count);

	if (!err)
		err = addrs_change(fd, now, count, old, old_count);
	if (err)
		ecbpf_log(e, ECBPF_LOG_WARN, "filter_addrs: the change is not undone: %s",
			  strerror(-err));
}

/* Sorted, of each prefix the last one. Return: how many */
static size_t addrs_unique(struct ecbpf_route *addrs, size_t count)
{
	size_t kept = 0;

	if (count)
		qsort(addrs, count, sizeof(*addrs), route_compare);
	for (size_t i = 0; i < count; i++)
		if (i + 1 == count ||
		    memcmp(&addrs[i].prefix, &addrs[i + 1].prefix, sizeof(addrs[i].prefix)))
			addrs[kept++] = addrs[i];
	return kept;
}

static int mac_compare(const void *a, const void *b)
{
	struct ecbpf_filter_mac x, y;

	memcpy(&x, &((const struct ecbpf_route *)a)->prefix, sizeof(x));
	memcpy(&y, &((const struct ecbpf_route *)b)->prefix, sizeof(y));
	return x.ifindex != y.ifindex ? (x.ifindex > y.ifindex) - (x.ifindex < y.ifindex)
				      : memcmp(x.addr, y.addr, sizeof(x.addr));
}

/*
 * Return: how many of the Ethernet addresses are kept: no host is refused because of too many. The
 * interfaces that were there first, such as the cards, keep theirs. One entry stays free: to change
 * one, kernels before 6.13 need it.
 */
static size_t macs_fit(struct ecbpf *e, struct ecbpf_route *macs, size_t count, size_t others)
{
	size_t kept = 0,
	       room = others < ECBPF_FILTER_ADDRS_MAX ? ECBPF_FILTER_ADDRS_MAX - 1 - others : 0;

	if (count)
		qsort(macs, count, sizeof(*macs), mac_compare);
	for (size_t i = 0; i < count; i++)
		if (!kept || mac_compare(&macs[kept - 1], &macs[i]))
			macs[kept++] = macs[i];
	if (kept <= room)
		return kept;
	ecbpf_log(e, ECBPF_LOG_WARN,
		  "%zu local addresses, VIPs and Ethernet addresses: the limit is %d; "
		  "fragments for some of the latter are not answered",
		  others + kept, ECBPF_FILTER_ADDRS_MAX - 1);
	return room;
}

/* A director does not balance them: fragments of OSPF and the like are for its kernel */
static const struct ecbpf_route multicasts[] = {
	{.prefix = {.prefix_len = 96 + 4, .addr = {[10] = 0xff, 0xff, 224}},
	 .kind = ECBPF_FILTER_ADDR_LOCAL},
	{.prefix = {.prefix_len = 8, .addr = {0xff}}, .kind = ECBPF_FILTER_ADDR_LOCAL},
};

/*
 * Write the VIPs, the local and multicast addresses that no VIP covers, and the Ethernet addresses
 * of this host: all of them, or no change
 */
int filter_addrs_write(struct ecbpf *e, int fd, struct ecbpf_route *vips, size_t vips_count)
{
	_cleanup_free_ struct ecbpf_route *routes = NULL, *macs = NULL, *old = NULL, *all = NULL;
	size_t routes_count = 0, macs_count = 0, old_count = 0, count = 0;
	int err;

	err = ecbpf_routes_read(e, &routes, &routes_count);
	if (!err)
		err = filter_macs_read(e, &macs, &macs_count);
	if (!err)
		err = addrs_sorted(e, fd, &old, &old_count);
	if (err)
		return err;
	all = calloc(vips_count + routes_count + macs_count + ARRAY_SIZE(multicasts), sizeof(*all));
	if (!all)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < vips_count; i++)
		all[count++] = vips[i];
	for (size_t i = 0; i < routes_count; i++)
		if (!is_in_vips(vips, vips_count, &routes[i]))
			all[count++] = routes[i];
	for (size_t i = 0; i < ARRAY_SIZE(multicasts); i++)
		if (!is_in_vips(vips, vips_count, &multicasts[i]))
			all[count++] = multicasts[i];
	if (count > ECBPF_FILTER_ADDRS_MAX)
		return ecbpf_fail(e, -E2BIG, "%zu local addresses and VIPs: the limit is %d", count,
				  ECBPF_FILTER_ADDRS_MAX);
	macs_count = macs_fit(e, macs, macs_count, count);
	for (size_t i = 0; i < macs_count; i++)
		all[count++] = macs[i];
	count = addrs_unique(all, count);
	err = addrs_change(fd, old, old_count, all, count);
	if (err) {
		addrs_undo(e, fd, old, old_count);
		return ecbpf_fail(e, err, "filter_addrs: %s", strerror(-err));
	}
	return 0;
}

int filter_addrs_refresh(struct ecbpf *e, int fd)
{
	_cleanup_free_ struct ecbpf_route *vips = NULL;
	size_t count = 0;
	int err;

	err = filter_vips_read(e, fd, &vips, &count);
	return err ? err : filter_addrs_write(e, fd, vips, count);
}

static int refresh_locked(struct ecbpf *e)
{
	struct filter_maps maps cleanup_filter_maps = FILTER_MAPS_INIT;
	_cleanup_free_ struct ecbpf_route *old = NULL, *new = NULL;
	size_t old_count = 0, new_count = 0;
	int err;

	err = filter_maps_open(e, &maps);
	if (!err)
		err = addrs_sorted(e, maps.addrs_fd, &old, &old_count);
	if (!err)
		err = filter_addrs_refresh(e, maps.addrs_fd);
	if (err)
		return err;
	/* it is done, whether it can be counted or not */
	if (addrs_sorted(e, maps.addrs_fd, &new, &new_count)) {
		ecbpf_log(e, ECBPF_LOG_WARN, "changed, but not counted: %s", e->error);
		return 0;
	}
	for (size_t i = 0; i < new_count; i++)
		e->changed.added += !addrs_have(old, old_count, &new[i].prefix);
	for (size_t i = 0; i < old_count; i++)
		e->changed.removed += !addrs_have(new, new_count, &old[i].prefix);
	return 0;
}

int ecbpf_filter_refresh(struct ecbpf *e)
{
	struct transaction t;
	int err = ecbpf_transaction_begin(e, &t);

	return err ? err : ecbpf_transaction_end(e, &t, refresh_locked(e));
}
