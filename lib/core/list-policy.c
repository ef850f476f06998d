// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a list may not do unless it is forced, see list-policy.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/list-policy.h"
#include "core/netlink.h"
#include "core/prefix.h"
#include "core/routes.h"
#include "core/sessions.h"

int ecbpf_list_check_empty(struct ecbpf *e, const char *what, size_t before, size_t after)
{
	if (!before || after || e->list_policy & ECBPF_LIST_ALLOW_EMPTY)
		return 0;
	return ecbpf_fail(e, -EPERM,
			  "%s has %zu prefix%s, and would have none: refused without --allow-empty",
			  what, before, before == 1 ? "" : "es");
}

/* @port: of this host, to which it is connected; 0: none */
struct lockout_addr {
	struct ecbpf_prefix prefix;
	const char *what;
	__u16 port;
};

#define THIS_HOST "an address of this host"
#define GATEWAY	  "a default gateway of this host"
#define LOOPBACK  "loopback"
#define OWN	  "the client of your SSH session"
#define CLIENT	  "a client of this host"

/* --- what must not be blocked ----------------------------------------------------------------- */

static int addr_add(struct lockout *l, const struct ecbpf_prefix *prefix, const char *what,
		    __u16 port)
{
	struct lockout_addr *addr;

	if (prefix->len == ecbpf_addr_bits(prefix->family))
		addr = ecbpf_array_add(&l->single, &l->single_count, sizeof(*addr));
	else
		addr = ecbpf_array_add(&l->wide, &l->wide_count, sizeof(*addr));
	if (!addr)
		return ecbpf_fail_memory(l->e);
	addr->prefix = *prefix;
	addr->what = what;
	addr->port = port;
	return 0;
}

static bool gateway_read(int family, const void *data, int len, struct ecbpf_prefix *prefix)
{
	if (len != (family == AF_INET ? 4 : 16))
		return false;
	prefix->family = family == AF_INET ? 4 : 6;
	prefix->len = 8 * len;
	memcpy(prefix->addr, data, len);
	return true;
}

/* RTA_GATEWAY, or RTA_VIA of an IPv4 route with an IPv6 gateway */
static bool gateways_read(int family, struct nlattr **attrs, struct ecbpf_prefix *prefix)
{
	const struct rtvia *via;

	if (attrs[RTA_GATEWAY])
		return gateway_read(family, nla_data(attrs[RTA_GATEWAY]),
				    nla_len(attrs[RTA_GATEWAY]), prefix);
	if (!attrs[RTA_VIA] || nla_len(attrs[RTA_VIA]) < (int)sizeof(*via))
		return false;
	via = nla_data(attrs[RTA_VIA]);
	return gateway_read(via->rtvia_family, via->rtvia_addr,
			    nla_len(attrs[RTA_VIA]) - (int)sizeof(*via), prefix);
}

#define HOPS_MAX 16

/* The gateways of a default route */
struct gateways {
	struct ecbpf_prefix prefixes[HOPS_MAX];
	size_t count;
};

static bool route_read(struct nlmsghdr *message, void *item)
{
	const struct rtmsg *rtm = nlmsg_data(message);
	struct nlattr *attrs[RTA_MAX + 1], *hop_attrs[RTA_MAX + 1];
	struct gateways *gateways = item;
	const struct rtnexthop *hop;
	int rest;

	if (message->nlmsg_type != RTM_NEWROUTE || rtm->rtm_dst_len ||
	    nlmsg_parse(message, sizeof(*rtm), attrs, RTA_MAX, NULL))
		return false;
	if (gateways_read(rtm->rtm_family, attrs, &gateways->prefixes[0]))
		gateways->count = 1;
	if (!attrs[RTA_MULTIPATH])
		return gateways->count;
	hop = nla_data(attrs[RTA_MULTIPATH]);
	for (rest = nla_len(attrs[RTA_MULTIPATH]);
	     rest >= (int)sizeof(*hop) && RTNH_OK(hop, rest) && gateways->count < HOPS_MAX;
	     rest -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		if (nla_parse(hop_attrs, RTA_MAX, (struct nlattr *)RTNH_DATA(hop),
			      hop->rtnh_len - (int)sizeof(*hop), NULL))
			break;
		gateways->count += gateways_read(rtm->rtm_family, hop_attrs,
						 &gateways->prefixes[gateways->count]);
	}
	return gateways->count;
}

static int gateways_add(struct lockout *l)
{
	static const struct rtmsg wanted[] = {
		{.rtm_family = AF_INET, .rtm_type = RTN_UNICAST},
		{.rtm_family = AF_INET6, .rtm_type = RTN_UNICAST},
	};
	_cleanup_free_ struct gateways *gateways = NULL;
	size_t count = 0;
	int err;

	err = ecbpf_rtnetlink_collect_all(l->e, RTM_GETROUTE, wanted, sizeof(*wanted),
					  ARRAY_SIZE(wanted), "cannot read the default routes",
					  route_read, sizeof(*gateways), &gateways, &count);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < gateways[i].count && !err; k++)
			err = addr_add(l, &gateways[i].prefixes[k], GATEWAY, 0);
	return err;
}

static int addrs_add(struct lockout *l)
{
	static const struct ecbpf_prefix loopback[] = {
		{.family = 4, .len = 8, .addr = {127}},
		{.family = 6, .len = 128, .addr = {[15] = 1}},
	};
	_cleanup_free_ struct ecbpf_route *routes = NULL;
	size_t count = 0;
	int err;

	err = ecbpf_routes_read(l->e, &routes, &count);
	for (size_t i = 0; i < ARRAY_SIZE(loopback) && !err; i++)
		err = addr_add(l, &loopback[i], LOOPBACK, 0);
	for (size_t i = 0; i < count && !err; i++) {
		const struct ecbpf_filter_addr *addr = &routes[i].prefix;
		struct ecbpf_prefix prefix = ecbpf_prefix_unmap(addr->addr, addr->prefix_len);

		if (routes[i].kind == ECBPF_FILTER_ADDR_LOCAL && prefix.len &&
		    !ecbpf_prefix_has(&loopback[0], &prefix) &&
		    !ecbpf_prefix_has(&loopback[1], &prefix))
			err = addr_add(l, &prefix, THIS_HOST, 0);
	}
	return err;
}

static int addr_compare(const void *a, const void *b)
{
	const struct lockout_addr *x = a, *y = b;

	return ecbpf_prefix_compare(&x->prefix, &y->prefix);
}

int ecbpf_lockout_begin(struct ecbpf *e, struct lockout *ret_lockout)
{
	struct lockout *l = ret_lockout;
	int err;

	*l = (struct lockout){.e = e};
	if (e->list_policy & ECBPF_LIST_FORCE)
		return 0;
	err = addrs_add(l);
	if (!err)
		err = gateways_add(l);
	if (!err && l->single_count)
		qsort(l->single, l->single_count, sizeof(*l->single), addr_compare);
	return err;
}

int ecbpf_lockout_sessions(struct lockout *l)
{
	struct sessions sessions;
	int err = 0;

	if (!l->e->guards_sessions || l->e->is_applying)
		return 0;
	if (sessions_read(l->e, true, &sessions))
		ecbpf_log(l->e, ECBPF_LOG_WARN,
			  "it was not tried whether this drops connections to this host: %s",
			  l->e->error);
	for (size_t i = 0; i < sessions.count && !err; i++) {
		const struct session *session = &sessions.items[i];

		err = addr_add(l, &session->client, session->is_own ? OWN : CLIENT,
			       session->server_port);
	}
	sessions_free(&sessions);
	if (!err && l->single_count)
		qsort(l->single, l->single_count, sizeof(*l->single), addr_compare);
	return err;
}

/* --- prefixes --------------------------------------------------------------------------------- */

#define FOUND_SHOWN 5

static void found(struct lockout *l, const struct ecbpf_prefix *prefix,
		  const struct lockout_addr *addr)
{
	char text[ECBPF_PREFIX_TEXT], other[ECBPF_PREFIX_TEXT], port[24] = "";
	size_t len = strlen(l->text);

	if (++l->found > FOUND_SHOWN)
		return;
	ecbpf_prefix_format(prefix, text);
	if (!addr) {
		snprintf(l->text + len, sizeof(l->text) - len, "%s%s is everything",
			 len ? "; " : "", text);
		return;
	}
	ecbpf_prefix_format(&addr->prefix, other);
	if (addr->port)
		snprintf(port, sizeof(port), " (port %u)", addr->port);
	if (!ecbpf_prefix_compare(prefix, &addr->prefix))
		snprintf(l->text + len, sizeof(l->text) - len, "%s%s is %s%s%s%s", len ? "; " : "",
			 text, addr->what, port, l->why ? ", and " : "", l->why ?: "");
	else
		snprintf(l->text + len, sizeof(l->text) - len, "%s%s %s %s, %s%s", len ? "; " : "",
			 text, ecbpf_prefix_has(prefix, &addr->prefix) ? "holds" : "is in", other,
			 addr->what, port);
}

/* The first address that is not below the prefix is in it, or none is */
static const struct lockout_addr *single_find(const struct lockout *l,
					      const struct ecbpf_prefix *prefix)
{
	size_t first = 0, end = l->single_count;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (ecbpf_prefix_compare(&l->single[middle].prefix, prefix) < 0)
			first = middle + 1;
		else
			end = middle;
	}
	return first < l->single_count && ecbpf_prefix_has(prefix, &l->single[first].prefix)
		       ? &l->single[first]
		       : NULL;
}

static size_t addrs_remove(struct lockout_addr *addrs, size_t count,
			   const struct ecbpf_prefix *prefix)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!ecbpf_prefix_has(prefix, &addrs[i].prefix))
			addrs[kept++] = addrs[i];
	return kept;
}

void ecbpf_lockout_allow(struct lockout *l, const struct ecbpf_prefix *prefix)
{
	/* of a million, few are of this host: most cost a search only */
	if (single_find(l, prefix))
		l->single_count = addrs_remove(l->single, l->single_count, prefix);
	l->wide_count = addrs_remove(l->wide, l->wide_count, prefix);
}

void ecbpf_lockout_check(struct lockout *l, const struct ecbpf_prefix *prefix)
{
	const struct lockout_addr *addr = NULL;

	bool is_forced = l->e->list_policy & ECBPF_LIST_FORCE;

	if (is_forced && !l->single_count)
		return;
	if (prefix->len || is_forced)
		addr = single_find(l, prefix);
	for (size_t i = 0; i < l->wide_count && prefix->len && !addr; i++)
		if (ecbpf_prefix_has(prefix, &l->wide[i].prefix) ||
		    ecbpf_prefix_has(&l->wide[i].prefix, prefix))
			addr = &l->wide[i];
	if (addr || (!prefix->len && !is_forced))
		found(l, prefix, addr);
}

void ecbpf_lockout_find(struct lockout *l,
			bool (*is_blocked)(const struct ecbpf_prefix *addr, void *data), void *data,
			const char *why)
{
	l->why = why;
	for (size_t i = 0; i < l->single_count; i++)
		if (is_blocked(&l->single[i].prefix, data))
			found(l, &l->single[i].prefix, &l->single[i]);
}

int ecbpf_lockout_end(struct lockout *l, int err)
{
	char more[32] = "";

	free(l->single);
	free(l->wide);
	if (err || !l->found)
		return err;
	if (l->found > FOUND_SHOWN)
		snprintf(more, sizeof(more), "; and %zu more", l->found - FOUND_SHOWN);
	if (l->e->list_policy & ECBPF_LIST_FORCE) {
		ecbpf_log(l->e, ECBPF_LOG_WARN, "%s%s: blocked", l->text, more);
		return 0;
	}
	return ecbpf_fail(l->e, -EPERM, "%s%s: refused without --force", l->text, more);
}
