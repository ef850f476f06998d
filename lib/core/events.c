// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Events of rtnetlink(7): that something has changed. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include "core/events.h"
#include "core/handle.h"

/* Only messages' types matter: what an event says may be old when it is read */
static unsigned int type_event(int type)
{
	switch (type) {
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return ECBPF_EVENT_ADDR;
	default:
		return ECBPF_EVENT_LINK;
	}
}

int ecbpf_events_open(struct ecbpf *e)
{
	const int groups[] = {RTNLGRP_LINK, RTNLGRP_TC, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR};
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK};
	int fd, err = 0;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		err = -errno;
	for (size_t i = 0; i < ARRAY_SIZE(groups) && !err; i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])))
			err = -errno;
	if (!err)
		return fd;
	close_fd(&fd);
	return ecbpf_fail(e, err, "cannot listen to netlink: %s", strerror(-err));
}

unsigned int ecbpf_events_read(int fd)
{
	unsigned int events = 0;
	char buffer[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t got;

	while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0 || errno == ENOBUFS) {
		struct nlmsghdr *message = (struct nlmsghdr *)buffer;
		int len = (int)got;

		if (got < 0)
			events = ECBPF_EVENT_LINK | ECBPF_EVENT_ADDR;
		for (; got > 0 && NLMSG_OK(message, len); message = NLMSG_NEXT(message, len))
			events |= type_event(message->nlmsg_type);
	}
	return events;
}
