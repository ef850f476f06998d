// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which addresses are this host's, as its kernel sees it: the routes of type local, which it makes
 * for each address of an interface, and an administrator for prefixes of VIPs (rtnetlink(7)).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "core/handle.h"
#include "core/routes.h"
#include "core/rtnetlink.h"

struct routes {
	struct ecbpf_route *items;
	size_t count;
	size_t room;
};

static int routes_add(struct routes *routes, const struct ecbpf_route *route)
{
	if (routes->count == routes->room) {
		size_t room = routes->room ? routes->room * 2 : 64;
		void *items = realloc(routes->items, room * sizeof(*routes->items));

		if (!items)
			return -ENOMEM;
		routes->items = items;
		routes->room = room;
	}
	routes->items[routes->count++] = *route;
	return 0;
}

static int routes_parse(const struct nlmsghdr *message, void *data)
{
	const struct rtmsg *rtm = NLMSG_DATA(message);
	const struct rtattr *attr = RTM_RTA(rtm);
	bool is_ip4 = rtm->rtm_family == AF_INET;
	struct ecbpf_route route = {
		.prefix.prefix_len = rtm->rtm_dst_len + (is_ip4 ? 96 : 0),
		.kind = ECBPF_FILTER_ADDR_LOCAL,
	};
	size_t size = is_ip4 ? 4 : 16;

	if (message->nlmsg_type != RTM_NEWROUTE || message->nlmsg_len < NLMSG_LENGTH(sizeof(*rtm)))
		return 0;
	if (rtm->rtm_type == RTN_BROADCAST)
		route.kind = ECBPF_FILTER_ADDR_BROADCAST;
	else if (rtm->rtm_type != RTN_LOCAL && rtm->rtm_type != RTN_ANYCAST)
		return 0; /* kernels before 4.20 send all */
	if (is_ip4)
		memset(route.prefix.addr + 10, 0xff, 2);
	for (int len = RTM_PAYLOAD(message); RTA_OK(attr, len); attr = RTA_NEXT(attr, len)) {
		if (attr->rta_type == RTA_DST && RTA_PAYLOAD(attr) == size)
			memcpy(route.prefix.addr + 16 - size, RTA_DATA(attr), size);
	}
	return routes_add(data, &route);
}

int ecbpf_routes_read(struct ecbpf *e, struct ecbpf_route **ret_routes, size_t *ret_count)
{
	static const struct rtmsg wanted[] = {
		{.rtm_family = AF_INET, .rtm_type = RTN_LOCAL},
		{.rtm_family = AF_INET, .rtm_type = RTN_BROADCAST},
		{.rtm_family = AF_INET6, .rtm_type = RTN_LOCAL},
		{.rtm_family = AF_INET6, .rtm_type = RTN_ANYCAST},
	};
	struct routes routes = {};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(wanted) && !err; i++)
		err = ecbpf_rtnetlink_dump(RTM_GETROUTE, &wanted[i], sizeof(wanted[i]),
					   routes_parse, &routes);
	if (err) {
		free(routes.items);
		return ecbpf_fail(e, err, "cannot read the addresses of this host: %s",
				  strerror(-err));
	}
	*ret_routes = routes.items;
	*ret_count = routes.count;
	return 0;
}
