// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One interface: its index, its MTU, its link type, what its driver does to packets. */
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include "core/handle.h"
#include "core/iface.h"

#define ALTIFNAMSIZ 128

/*
 * Ask the kernel about one link: of @name, or of @ifindex if that is NULL. @ret: for @fn.
 * Return: 0, or an error of libnl
 */
static int link_ask(int ifindex, const char *name, nl_recvmsg_msg_cb_t fn, void *ret)
{
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETLINK, 0);
	struct ifinfomsg head = {.ifi_index = ifindex};
	struct nl_sock *sock = nl_socket_alloc();
	int err = msg && sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;

	if (!err)
		err = nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO);
	if (!err && name)
		err = nla_put_string(msg, IFLA_ALT_IFNAME, name);
	if (!err) {
		nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, fn, ret);
		err = nl_send_auto(sock, msg);
	}
	if (err >= 0)
		err = nl_recvmsgs_default(sock);
	nlmsg_free(msg);
	nl_socket_free(sock);
	return err;
}

static int index_get(struct nl_msg *msg, void *ret)
{
	if (nlmsg_hdr(msg)->nlmsg_type == RTM_NEWLINK)
		*(int *)ret = ((struct ifinfomsg *)nlmsg_data(nlmsg_hdr(msg)))->ifi_index;
	return NL_OK;
}

/* ioctl() knows short names only */
static int index_ask(const char *name)
{
	int ifindex = 0, err = link_ask(0, name, index_get, &ifindex);

	errno = err == -NLE_NODEV ? ENODEV : EIO;
	return ifindex;
}

/* As if_nametoindex(), whose errno of a socket that cannot be made is of the last family it tried
 */
static int index_of(const char *name)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {};

	memcpy(request.ifr_name, name, strlen(name));
	return fd < 0 || ioctl(fd, SIOCGIFINDEX, &request) ? 0 : request.ifr_ifindex;
}

int ecbpf_iface_find(const char *name)
{
	size_t len = strlen(name);

	if (len < IF_NAMESIZE)
		return index_of(name);
	if (len < ALTIFNAMSIZ)
		return index_ask(name);
	errno = ENODEV;
	return 0;
}

int ecbpf_iface_ask(struct ecbpf *e, const char *iface)
{
	int ifindex = ecbpf_iface_find(iface);

	if (!ifindex && errno != ENODEV)
		return ecbpf_fail(e, -errno, "%s: cannot look for this interface: %s", iface,
				  strerror(errno));
	return ifindex;
}

int ecbpf_iface_index(struct ecbpf *e, const char *iface)
{
	int ifindex = ecbpf_iface_ask(e, iface);

	return ifindex ?: ecbpf_fail(e, -ENOENT, "%s: no such interface", iface);
}

/* A long alternative name does not fit in */
static struct ifreq request_of(const char *iface)
{
	struct ifreq request = {};

	if_indextoname(ecbpf_iface_find(iface), request.ifr_name);
	return request;
}

int ecbpf_iface_mtu(const char *iface)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = request_of(iface);

	return fd < 0 || ioctl(fd, SIOCGIFMTU, &request) ? 0 : request.ifr_mtu;
}

bool ecbpf_iface_is_ethernet(const char *iface, unsigned int *ret_type)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = request_of(iface);

	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request))
		return true;
	*ret_type = request.ifr_hwaddr.sa_family;
	return *ret_type == ARPHRD_ETHER || *ret_type == ARPHRD_LOOPBACK;
}

const char *ecbpf_iface_below(const char *iface, char *ret)
{
	char path[64], name[IF_NAMESIZE];
	int link = 0;
	FILE *file;

	*ret = '\0';
	snprintf(path, sizeof(path), "/sys/class/net/%s/iflink", iface);
	file = fopen(path, "re");
	if (!file)
		return ret;
	if (fscanf(file, "%d", &link) == 1 && link && link != (int)if_nametoindex(iface) &&
	    if_indextoname(link, name))
		snprintf(ret, ECBPF_IFACE_BELOW, " (%s)", name);
	fclose(file);
	return ret;
}

static int unseen_get(struct nl_msg *msg, void *ret)
{
	struct nlattr *attrs[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1], *data[IFLA_IPVLAN_MAX + 1];
	const char **unseen = ret;

	if (nlmsg_parse(nlmsg_hdr(msg), sizeof(struct ifinfomsg), attrs, IFLA_MAX, NULL) ||
	    !attrs[IFLA_LINKINFO] ||
	    nla_parse_nested(info, IFLA_INFO_MAX, attrs[IFLA_LINKINFO], NULL) ||
	    !info[IFLA_INFO_KIND])
		return NL_OK;
	if (!nla_strcmp(info[IFLA_INFO_KIND], "vrf"))
		*unseen = "vrf";
	if (!nla_strcmp(info[IFLA_INFO_KIND], "ipvlan") && info[IFLA_INFO_DATA] &&
	    !nla_parse_nested(data, IFLA_IPVLAN_MAX, info[IFLA_INFO_DATA], NULL) &&
	    data[IFLA_IPVLAN_MODE] && nla_get_u16(data[IFLA_IPVLAN_MODE]) == IPVLAN_MODE_L3S)
		*unseen = "ipvlan of mode l3s";
	return NL_OK;
}

const char *ecbpf_iface_unseen(const char *iface)
{
	int ifindex = ecbpf_iface_find(iface);
	const char *unseen = NULL;

	if (ifindex)
		link_ask(ifindex, NULL, unseen_get, &unseen);
	return unseen;
}

int ecbpf_iface_check(struct ecbpf *e, const char *iface)
{
	const char *unseen = ecbpf_iface_unseen(iface);
	char below[ECBPF_IFACE_BELOW];
	unsigned int type = 0;

	if (unseen)
		return ecbpf_fail(e, -EINVAL,
				  "%s: XDP programs of a %s do not see its packets; load on the "
				  "interface on which they arrive%s",
				  iface, unseen, ecbpf_iface_below(iface, below));
	if (ecbpf_iface_is_ethernet(iface, &type))
		return 0;
	return ecbpf_fail(e, -EINVAL,
			  "%s: its packets have no Ethernet header (link type %u); load on the "
			  "interface below it%s, on which they arrive in Ethernet frames",
			  iface, type, ecbpf_iface_below(iface, below));
}

static int peer_get(struct nl_msg *msg, void *ret)
{
	struct nlattr *attrs[IFLA_MAX + 1];

	if (!nlmsg_parse(nlmsg_hdr(msg), sizeof(struct ifinfomsg), attrs, IFLA_MAX, NULL) &&
	    attrs[IFLA_LINK] && !attrs[IFLA_LINK_NETNSID])
		*(int *)ret = (int)nla_get_u32(attrs[IFLA_LINK]);
	return NL_OK;
}

/* @ret: the other end of a veth. Return: false: not a veth, or it is in another namespace */
static bool peer_find(const char *iface, char *ret)
{
	int ifindex = ecbpf_iface_find(iface), peer = 0;

	if (!ifindex || !ecbpf_iface_is_veth(iface))
		return false;
	link_ask(ifindex, NULL, peer_get, &peer);
	return peer && if_indextoname((unsigned int)peer, ret);
}

bool ecbpf_iface_takes_tags(const char *iface, char *ret_fix)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_value value = {.cmd = ETHTOOL_GFLAGS};
	struct ifreq request = {.ifr_data = (void *)&value};
	/* a veth passes on what its peer sends: its own setting changes nothing */
	bool is_peer = peer_find(iface, request.ifr_name);

	if (!is_peer)
		snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", iface);
	snprintf(ret_fix, ECBPF_IFACE_FIX, "ethtool -K %s %s off", request.ifr_name,
		 is_peer ? "txvlan" : "rxvlan");
	return fd >= 0 && !ioctl(fd, SIOCETHTOOL, &request) &&
	       value.data & (is_peer ? ETH_FLAG_TXVLAN : ETH_FLAG_RXVLAN);
}

bool ecbpf_iface_is_half_veth(const char *iface)
{
	char peer[IF_NAMESIZE];

	return ecbpf_iface_is_veth(iface) && !peer_find(iface, peer);
}

bool ecbpf_iface_is_veth(const char *iface)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {.ifr_data = (void *)&info};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", iface);
	return fd >= 0 && !ioctl(fd, SIOCETHTOOL, &request) && !strcmp(info.driver, "veth");
}
