// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Interfaces, and what they are members of, as rtnetlink(7) says */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>
#include "internal.h"
#include "links.h"

struct links {
	struct ecbpf_link *items;
	size_t count;
};

static int links_parse(const struct nlmsghdr *message, struct links *links)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	const struct rtattr *attr = IFLA_RTA(info);
	struct ecbpf_link link = {}, *items;

	if (message->nlmsg_type != RTM_NEWLINK || message->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return 0;
	link.ifindex = info->ifi_index;
	for (int len = IFLA_PAYLOAD(message); RTA_OK(attr, len); attr = RTA_NEXT(attr, len)) {
		if (attr->rta_type == IFLA_IFNAME)
			snprintf(link.name, sizeof(link.name), "%.*s", (int)RTA_PAYLOAD(attr),
				 (const char *)RTA_DATA(attr));
		else if (attr->rta_type == IFLA_MASTER && RTA_PAYLOAD(attr) == sizeof(int))
			memcpy(&link.master, RTA_DATA(attr), sizeof(int));
	}
	items = reallocarray(links->items, links->count + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	links->items = items;
	items[links->count++] = link;
	return 0;
}

/* Return: 1 if there is more, 0 at the end, or -errno */
static int links_receive(int fd, struct links *links)
{
	char buffer[65536] __attribute__((aligned(NLMSG_ALIGNTO)));
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
		err = links_parse(message, links);
		if (err)
			return err;
	}
	return 1;
}

int ecbpf_links_read(struct ecbpf *e, struct ecbpf_link **ret_links, size_t *ret_count)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} request = {
		.head.nlmsg_len = sizeof(request),
		.head.nlmsg_type = RTM_GETLINK,
		.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
	};
	struct links links = {};
	int more = fd < 0 || send(fd, &request, sizeof(request), 0) < 0 ? -errno : 1;

	while (more > 0)
		more = links_receive(fd, &links);
	if (more < 0) {
		free(links.items);
		return ecbpf_fail(e, more, "cannot list interfaces: %s", strerror(-more));
	}
	*ret_links = links.items;
	*ret_count = links.count;
	return 0;
}
