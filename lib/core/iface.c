// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One interface: its index, its MTU, its link type. */
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "core/handle.h"
#include "core/iface.h"

int ecbpf_iface_index(struct ecbpf *e, const char *iface)
{
	int ifindex = if_nametoindex(iface);

	if (!ifindex)
		return ecbpf_fail(e, -ENOENT, "%s: no such interface", iface);
	return ifindex;
}

int ecbpf_iface_mtu(const char *iface)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", iface);
	return fd < 0 || ioctl(fd, SIOCGIFMTU, &request) ? 0 : request.ifr_mtu;
}

bool ecbpf_iface_is_ethernet(const char *iface, unsigned int *ret_type)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", iface);
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

int ecbpf_iface_check_ethernet(struct ecbpf *e, const char *iface)
{
	char below[ECBPF_IFACE_BELOW];
	unsigned int type = 0;

	if (ecbpf_iface_is_ethernet(iface, &type))
		return 0;
	return ecbpf_fail(e, -EINVAL,
			  "%s: its packets have no Ethernet header (link type %u); load on the "
			  "interface below it%s, on which they arrive in Ethernet frames",
			  iface, type, ecbpf_iface_below(iface, below));
}
