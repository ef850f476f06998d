// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Interfaces, and what they are members of, as rtnetlink(7) says */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/handle.h"
#include "core/links.h"
#include "core/rtnetlink.h"

struct links {
	struct ecbpf_link *items;
	size_t count;
};

static int link_add(const struct nlmsghdr *message, void *data)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	const struct rtattr *attr = IFLA_RTA(info);
	struct ecbpf_link link = {}, *items;
	struct links *links = data;

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

int ecbpf_links_read(struct ecbpf *e, struct ecbpf_link **ret_links, size_t *ret_count)
{
	const struct ifinfomsg any = {};
	struct links links = {};
	int err;

	err = ecbpf_rtnetlink_dump(RTM_GETLINK, &any, sizeof(any), link_add, &links);
	if (err) {
		free(links.items);
		return ecbpf_fail(e, err, "cannot list interfaces: %s", strerror(-err));
	}
	*ret_links = links.items;
	*ret_count = links.count;
	return 0;
}
