// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which addresses are this host's, as its kernel sees it: the routes of type local, which it makes
 * for each address of an interface, and an administrator for prefixes of VIPs (rtnetlink(7)).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/rtnetlink.h>
#include "internal.h"
#include "routes.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

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

static int routes_parse(const struct nlmsghdr *message, struct routes *routes)
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
	return routes_add(routes, &route);
}

/* Return: 1 if there is more, 0 at the end, or -errno */
static int routes_receive(int fd, struct routes *routes)
{
	char buffer[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsghdr *message = (void *)buffer;
	ssize_t size = recv(fd, buffer, sizeof(buffer), 0);
	int err;

	if (size < 0)
		return errno == EINTR ? 1 : -errno;
	for (unsigned int len = size; NLMSG_OK(message, len); message = NLMSG_NEXT(message, len)) {
		if (message->nlmsg_type == NLMSG_DONE)
			return 0;
		if (message->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(message))->error ?: -EPROTO;
		err = routes_parse(message, routes);
		if (err)
			return err;
	}
	return 1;
}

static int routes_dump(int fd, int family, int type, struct routes *routes)
{
	struct {
		struct nlmsghdr head;
		struct rtmsg rtm;
	} request = {
		.head.nlmsg_len = sizeof(request),
		.head.nlmsg_type = RTM_GETROUTE,
		.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		.rtm.rtm_family = family,
		.rtm.rtm_type = type,
	};
	int more;

	if (send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	while ((more = routes_receive(fd, routes)) > 0)
		;
	return more;
}

int ecbpf_routes_read(struct ecbpf *e, struct ecbpf_route **ret_routes, size_t *ret_count)
{
	static const struct {
		int family;
		int type;
	} wanted[] = {
		{AF_INET, RTN_LOCAL},
		{AF_INET, RTN_BROADCAST},
		{AF_INET6, RTN_LOCAL},
		{AF_INET6, RTN_ANYCAST},
	};
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct routes routes = {};
	int err = fd < 0 ? -errno : 0, on = 1;

	/* so that the kernel sends no others: there may be a million */
	if (!err && setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)))
		err = -errno;
	for (size_t i = 0; i < ARRAY_SIZE(wanted) && !err; i++)
		err = routes_dump(fd, wanted[i].family, wanted[i].type, &routes);
	if (err) {
		free(routes.items);
		return ecbpf_fail(e, err, "cannot read the addresses of this host: %s",
				  strerror(-err));
	}
	*ret_routes = routes.items;
	*ret_count = routes.count;
	return 0;
}
