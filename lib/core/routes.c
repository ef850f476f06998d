// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which addresses are this host's, as its kernel sees it: the routes of type local, which it makes
 * for each address of an interface, and an administrator for prefixes of VIPs (rtnetlink(7)).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include "core/handle.h"
#include "core/netlink.h"
#include "core/routes.h"

static bool route_read(struct nlmsghdr *message, void *item)
{
	const struct rtmsg *rtm = nlmsg_data(message);
	struct nlattr *attrs[RTA_MAX + 1];
	struct ecbpf_route *route = item;
	bool is_ip4;
	int size;

	if (message->nlmsg_type != RTM_NEWROUTE ||
	    nlmsg_parse(message, sizeof(*rtm), attrs, RTA_MAX, NULL))
		return false;
	if (rtm->rtm_type == RTN_BROADCAST)
		route->kind = ECBPF_FILTER_ADDR_BROADCAST;
	else if (rtm->rtm_type == RTN_LOCAL || rtm->rtm_type == RTN_ANYCAST)
		route->kind = ECBPF_FILTER_ADDR_LOCAL;
	else
		return false;
	is_ip4 = rtm->rtm_family == AF_INET;
	size = is_ip4 ? 4 : 16;
	route->prefix.prefix_len = rtm->rtm_dst_len + (is_ip4 ? 96 : 0);
	if (is_ip4)
		memset(route->prefix.addr + 10, 0xff, 2);
	if (attrs[RTA_DST] && nla_len(attrs[RTA_DST]) == size)
		memcpy(route->prefix.addr + 16 - size, nla_data(attrs[RTA_DST]), size);
	return true;
}

int ecbpf_routes_read(struct ecbpf *e, struct ecbpf_route **ret_routes, size_t *ret_count)
{
	static const struct rtmsg wanted[] = {
		{.rtm_family = AF_INET, .rtm_type = RTN_LOCAL},
		{.rtm_family = AF_INET, .rtm_type = RTN_BROADCAST},
		{.rtm_family = AF_INET6, .rtm_type = RTN_LOCAL},
		{.rtm_family = AF_INET6, .rtm_type = RTN_ANYCAST},
	};
	struct ecbpf_route *routes = NULL;
	size_t count = 0;
	int err;

	err = ecbpf_rtnetlink_collect_all(e, RTM_GETROUTE, wanted, sizeof(*wanted),
					  ARRAY_SIZE(wanted),
					  "cannot read the addresses of this host", route_read,
					  sizeof(*routes), &routes, &count);
	if (err) {
		free(routes);
		return err;
	}
	*ret_routes = routes;
	*ret_count = count;
	return 0;
}
