// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Interfaces, and what they are members of, as rtnetlink(7) says */
#include <stdlib.h>
#include <string.h>
#include <net/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include "core/handle.h"
#include "core/links.h"
#include "core/netlink.h"

/*
 * A VLAN or macvlan gets frames that the interface of its IFLA_LINK has received. For other kinds,
 * IFLA_LINK is the peer (veth) or what tunnelled packets leave by.
 */
static bool is_upper(struct nlattr *linkinfo)
{
	struct nlattr *info[IFLA_INFO_MAX + 1];

	return linkinfo && !nla_parse_nested(info, IFLA_INFO_MAX, linkinfo, NULL) &&
	       info[IFLA_INFO_KIND] &&
	       (!nla_strcmp(info[IFLA_INFO_KIND], "vlan") ||
		!nla_strcmp(info[IFLA_INFO_KIND], "macvlan"));
}

static bool link_read(struct nlmsghdr *message, void *item)
{
	static const int modes[] = {IFLA_XDP_DRV_PROG_ID, IFLA_XDP_SKB_PROG_ID,
				    IFLA_XDP_HW_PROG_ID};
	struct nlattr *attrs[IFLA_MAX + 1], *xdp[IFLA_XDP_MAX + 1];
	const struct ifinfomsg *info = nlmsg_data(message);
	struct ecbpf_link *link = item;

	if (message->nlmsg_type != RTM_NEWLINK ||
	    nlmsg_parse(message, sizeof(*info), attrs, IFLA_MAX, NULL) || !attrs[IFLA_IFNAME])
		return false;
	link->ifindex = info->ifi_index;
	link->is_up = info->ifi_flags & IFF_UP;
	nla_strlcpy(link->name, attrs[IFLA_IFNAME], sizeof(link->name));
	if (attrs[IFLA_MASTER])
		link->master = nla_get_u32(attrs[IFLA_MASTER]);
	if (attrs[IFLA_LINK] && !attrs[IFLA_LINK_NETNSID] && is_upper(attrs[IFLA_LINKINFO]))
		link->lower = nla_get_u32(attrs[IFLA_LINK]);
	if (attrs[IFLA_ADDRESS] && nla_len(attrs[IFLA_ADDRESS]) == sizeof(link->mac)) {
		link->is_ethernet = info->ifi_type == ARPHRD_ETHER;
		memcpy(link->mac, nla_data(attrs[IFLA_ADDRESS]), sizeof(link->mac));
	}
	if (attrs[IFLA_MTU])
		link->mtu = nla_get_u32(attrs[IFLA_MTU]);
	if (!attrs[IFLA_XDP] || nla_parse_nested(xdp, IFLA_XDP_MAX, attrs[IFLA_XDP], NULL))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (xdp[modes[i]])
			link->xdp_ids[i] = nla_get_u32(xdp[modes[i]]);
	return true;
}

int ecbpf_links_read(struct ecbpf *e, struct ecbpf_link **ret_links, size_t *ret_count)
{
	const struct ifinfomsg any = {};
	struct ecbpf_link *links = NULL;
	size_t count = 0;
	int err;

	err = ecbpf_rtnetlink_collect(e, RTM_GETLINK, &any, sizeof(any), "cannot list interfaces",
				      link_read, sizeof(*links), &links, &count);
	if (err) {
		free(links);
		return err;
	}
	*ret_links = links;
	*ret_count = count;
	return 0;
}
