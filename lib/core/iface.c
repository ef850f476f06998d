// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One interface: its index, its MTU. */
#include <errno.h>
#include <net/if.h>
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
