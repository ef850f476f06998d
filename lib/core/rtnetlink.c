// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "core/handle.h"
#include "core/rtnetlink.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

/* Return: 1 if there is more, 0 at the end, or -errno */
static int receive(int fd, ecbpf_rtnetlink_fn fn, void *data)
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
		err = fn(message, data);
		if (err)
			return err;
	}
	return 1;
}

int ecbpf_rtnetlink_dump(int type, const void *head, size_t size, ecbpf_rtnetlink_fn fn, void *data)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct nlmsghdr message = {
		.nlmsg_len = NLMSG_LENGTH(size),
		.nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
	};
	struct iovec parts[] = {{&message, sizeof(message)}, {(void *)head, size}};
	int more = 1, on = 1;

	/* or the kernel sends what was not asked for, too: of routes there may be a million */
	if (fd < 0 || setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) ||
	    writev(fd, parts, ARRAY_SIZE(parts)) < 0)
		return -errno;
	while (more > 0)
		more = receive(fd, fn, data);
	return more;
}
