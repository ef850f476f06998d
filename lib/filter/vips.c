// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The service addresses that the filter was told.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bpf/lock.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/routes.h"
#include "filter/filter.h"

static void prefix_mask(struct ecbpf_filter_addr *prefix)
{
	for (__u32 i = 0; i < 16; i++) {
		__u32 bits = prefix->prefix_len > i * 8 ? prefix->prefix_len - i * 8 : 0;

		if (bits < 8)
			prefix->addr[i] &= 0xff << (8 - bits);
	}
}

/* "203.0.113.80", "203.0.113.0/24", "2001:db8::/32" */
static int prefix_parse(struct ecbpf *e, const char *text, struct ecbpf_filter_addr *ret)
{
	struct ecbpf_filter_addr prefix = {};
	const char *slash = strchrnul(text, '/');
	char addr[INET6_ADDRSTRLEN], *end = "";
	unsigned long len;
	__u32 max;

	/* a text that is cut here is longer than any address, and not a valid one */
	snprintf(addr, sizeof(addr), "%.*s", (int)(slash - text), text);
	if (inet_pton(AF_INET6, addr, prefix.addr) == 1) {
		max = 128;
	} else if (inet_pton(AF_INET, addr, prefix.addr + 12) == 1) {
		memset(prefix.addr, 0, 10);
		memset(prefix.addr + 10, 0xff, 2);
		max = 32;
	} else {
		max = 0;
	}
	if (!max)
		return ecbpf_fail(e, -EINVAL,
				  "'%s' is neither an IPv4 nor an IPv6 address or prefix", text);
	len = *slash ? strtoul(slash + 1, &end, 10) : max;
	if ((*slash && (slash[1] < '0' || slash[1] > '9')) || *end || len > max)
		return ecbpf_fail(e, -EINVAL, "'%s': the length of the prefix is not 0 to %u", text,
				  max);
	prefix.prefix_len = 128 - max + len;
	prefix_mask(&prefix);
	*ret = prefix;
	return 0;
}

static void prefix_format(const struct ecbpf_filter_addr *prefix, char *ret, size_t size)
{
	static const __u8 mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool is_ip4 = prefix->prefix_len >= 96 && !memcmp(prefix->addr, mapped, sizeof(mapped));
	__u32 len = prefix->prefix_len - (is_ip4 ? 96 : 0);
	char addr[INET6_ADDRSTRLEN];

	inet_ntop(is_ip4 ? AF_INET : AF_INET6, prefix->addr + (is_ip4 ? 12 : 0), addr,
		  sizeof(addr));
	if (len == (is_ip4 ? 32 : 128))
		snprintf(ret, size, "%s", addr);
	else
		snprintf(ret, size, "%s/%u", addr, len);
}

int ecbpf_filter_vip_format(struct ecbpf *e, const char *text, char *ret, size_t size)
{
	struct ecbpf_filter_addr prefix;
	int err;

	err = prefix_parse(e, text, &prefix);
	if (!err)
		prefix_format(&prefix, ret, size);
	return err;
}

static struct ecbpf_route *vip_find(struct ecbpf_route *vips, size_t count,
				    const struct ecbpf_filter_addr *prefix)
{
	for (size_t i = 0; i < count; i++)
		if (!memcmp(&vips[i].prefix, prefix, sizeof(*prefix)))
			return &vips[i];
	return NULL;
}

static int vips_change(struct ecbpf *e, const char *const *texts, size_t count, bool is_add,
		       bool is_flush)
{
	struct filter_maps maps cleanup_filter_maps = FILTER_MAPS_INIT;
	_cleanup_free_ struct ecbpf_filter_addr *prefixes = NULL;
	_cleanup_free_ struct ecbpf_route *vips = NULL;
	size_t vips_count = 0;
	int err = 0;

	prefixes = calloc(count + 1, sizeof(*prefixes));
	if (!prefixes)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < count && !err; i++)
		err = prefix_parse(e, texts[i], &prefixes[i]);
	if (!err)
		err = filter_maps_open(e, &maps);
	if (!err)
		err = filter_vips_read(e, maps.addrs_fd, &vips, &vips_count);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		struct ecbpf_route *vip = vip_find(vips, vips_count, &prefixes[i]);

		if (is_add && vips_count == ECBPF_FILTER_ADDRS_MAX)
			return ecbpf_fail(e, -E2BIG, "more than %d VIPs", ECBPF_FILTER_ADDRS_MAX);
		if (is_add && !vip)
			vips[vips_count++] = (struct ecbpf_route){.prefix = prefixes[i],
								  .kind = ECBPF_FILTER_ADDR_VIP};
		if (!is_add && !vip)
			return ecbpf_fail(e, -ENOENT, "'%s' is not listed", texts[i]);
		if (!is_add)
			*vip = vips[--vips_count];
	}
	return filter_addrs_write(e, maps.addrs_fd, vips, is_flush ? 0 : vips_count);
}

int ecbpf_filter_vip_add(struct ecbpf *e, const char *const *vips, size_t count)
{
	return vips_change(e, vips, count, true, false);
}

int ecbpf_filter_vip_delete(struct ecbpf *e, const char *const *vips, size_t count)
{
	return vips_change(e, vips, count, false, false);
}

int ecbpf_filter_vip_flush(struct ecbpf *e)
{
	return vips_change(e, NULL, 0, false, true);
}

int ecbpf_filter_vip_list(struct ecbpf *e, struct ecbpf_filter_vip **ret_vips, size_t *ret_count)
{
	_cleanup_free_ struct ecbpf_route *vips = NULL;
	_cleanup_close_ int fd = -1, lock = -1;
	struct ecbpf_filter_vip *texts;
	size_t count = 0;
	int err = 0;

	/* reading makes no maps */
	fd = ecbpf_map_open(e, "filter_addrs", NULL);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	if (fd >= 0) {
		lock = ecbpf_lock(e);
		err = lock < 0 ? lock : filter_vips_read(e, fd, &vips, &count);
	}
	if (err)
		return err;
	texts = calloc(count + 1, sizeof(*texts));
	if (!texts)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < count; i++)
		prefix_format(&vips[i].prefix, texts[i].text, sizeof(texts[i].text));
	*ret_vips = texts;
	*ret_count = count;
	return 0;
}
