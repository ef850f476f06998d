// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The service addresses (VIPs) of the filter.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bpf/lock.h"
#include "bpf/transaction.h"
#include "chain/lost.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/prefix.h"
#include "core/routes.h"
#include "core/runtime_log.h"
#include "filter/filter.h"

static struct ecbpf_route *vip_find(struct ecbpf_route *vips, size_t count,
				    const struct ecbpf_filter_addr *prefix)
{
	for (size_t i = 0; i < count; i++)
		if (!memcmp(&vips[i].prefix, prefix, sizeof(*prefix)))
			return &vips[i];
	return NULL;
}

static int fail_unlisted(struct ecbpf *e, const struct ecbpf_prefix *prefix)
{
	char text[ECBPF_PREFIX_TEXT];

	ecbpf_prefix_format(prefix, text);
	return ecbpf_fail(e, -ENOENT, "'%s' is not listed", text);
}

static int vips_change_locked(struct ecbpf *e, const struct ecbpf_prefix *prefixes, size_t count,
			      bool is_add, bool is_flush)
{
	struct filter_maps maps cleanup_filter_maps = FILTER_MAPS_INIT;
	_cleanup_free_ struct ecbpf_route *vips = NULL;
	size_t vips_count = 0, before;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = ecbpf_prefix_check_map(e, &prefixes[i]);
	if (!err)
		err = filter_maps_open(e, &maps);
	if (!err)
		err = filter_vips_read(e, maps.addrs_fd, &vips, &vips_count);
	if (err)
		return err;
	for (size_t i = 0; i < count && is_add; i++)
		if (!prefixes[i].len)
			ecbpf_log(e, ECBPF_LOG_WARN,
				  "every IPv%d address is a VIP now: fragments to any are dropped",
				  prefixes[i].family);
	before = vips_count;
	for (size_t i = 0; i < count; i++) {
		struct ecbpf_filter_addr addr;
		struct ecbpf_route *vip;

		ecbpf_prefix_map(&prefixes[i], addr.addr, &addr.prefix_len);
		vip = vip_find(vips, vips_count, &addr);

		if (is_add && vips_count == ECBPF_FILTER_ADDRS_MAX)
			return ecbpf_fail(e, -E2BIG, "more than %d VIPs", ECBPF_FILTER_ADDRS_MAX);
		if (is_add && !vip)
			vips[vips_count++] =
				(struct ecbpf_route){.prefix = addr, .kind = ECBPF_FILTER_ADDR_VIP};
		if (!is_add && !vip && !(e->list_policy & ECBPF_LIST_IF_EXISTS))
			return fail_unlisted(e, &prefixes[i]);
		if (!is_add && vip)
			*vip = vips[--vips_count];
	}
	if (is_flush)
		vips_count = 0;
	if (is_add || vips_count != before)
		filter_log_vips(e, is_flush ? "flush" : is_add ? "add" : "delete", prefixes, count);
	err = filter_addrs_write(e, maps.addrs_fd, vips, vips_count);
	if (!err && vips_count > before)
		e->changed.added += vips_count - before;
	else if (!err)
		e->changed.removed += before - vips_count;
	return err;
}

static int vips_change(struct ecbpf *e, const struct ecbpf_prefix *prefixes, size_t count,
		       bool is_add, bool is_flush)
{
	struct transaction t;
	int err = ecbpf_transaction_begin(e, &t);

	if (err)
		return err;
	runtime_log_ahead(e);
	err = vips_change_locked(e, prefixes, count, is_add, is_flush);
	runtime_log_settle(e, !err);
	return ecbpf_transaction_end(e, &t, err);
}

int ecbpf_filter_vip_add(struct ecbpf *e, const struct ecbpf_prefix *vips, size_t count)
{
	return vips_change(e, vips, count, true, false);
}

int ecbpf_filter_vip_delete(struct ecbpf *e, const struct ecbpf_prefix *vips, size_t count)
{
	return vips_change(e, vips, count, false, false);
}

int ecbpf_filter_vip_flush(struct ecbpf *e)
{
	return vips_change(e, NULL, 0, false, true);
}

static int compare(const void *a, const void *b)
{
	return ecbpf_prefix_compare(a, b);
}

int ecbpf_filter_vip_list(struct ecbpf *e, struct ecbpf_prefix **ret_vips, size_t *ret_count)
{
	_cleanup_free_ struct ecbpf_route *vips = NULL;
	_cleanup_close_ int fd = -1, lock = -1;
	struct ecbpf_prefix *prefixes;
	size_t count = 0;
	int err = 0;

	/* reading makes no maps */
	fd = ecbpf_map_open(e, "filter_addrs", NULL);
	if (fd == -ENOENT && !e->renews_maps) {
		err = ecbpf_lost_check(e, "filter");
		if (!err)
			fd = ecbpf_map_open(e, "filter_addrs", NULL);
	}
	if (err || (fd < 0 && fd != -ENOENT))
		return err ?: fd;
	if (fd >= 0) {
		lock = ecbpf_lock(e);
		err = lock < 0 ? lock : filter_vips_read(e, fd, &vips, &count);
	}
	if (err)
		return err;
	prefixes = calloc(count + 1, sizeof(*prefixes));
	if (!prefixes)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < count; i++)
		prefixes[i] = ecbpf_prefix_unmap(vips[i].prefix.addr, vips[i].prefix.prefix_len);
	qsort(prefixes, count, sizeof(*prefixes), compare);
	*ret_vips = prefixes;
	*ret_count = count;
	return 0;
}
