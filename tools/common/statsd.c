// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tools/common/common.h"
#include "tools/common/statsd.h"

/* getaddrinfo() takes 99999 for 34463, and blanks and signs */
static bool is_port(const char *text)
{
	size_t len = strspn(text, "0123456789");
	int port = len <= 5 ? atoi(text) : 0;

	return len && !text[len] && port > 0 && port <= UINT16_MAX;
}

int statsd_open(const char *where, int *ret_fd)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found;
	const char *colon = where ? strrchr(where, ':') : NULL;
	char host[256];
	int err, fd;

	*ret_fd = -1;
	if (!where)
		return TOOL_OK;
	if (!colon || colon == where || !colon[1] || colon - where >= (long)sizeof(host))
		return tool_usage("--statsd: '%s' is not HOST:PORT", where);
	if (!is_port(colon + 1))
		return tool_usage("--statsd: '%s': the port is not a number from 1 to 65535",
				  where);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - where), where);
	if (*host == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		memmove(host, host + 1, strlen(host));
	}
	err = getaddrinfo(host, colon + 1, &hints, &found);
	if (err)
		return tool_fail("--statsd: '%s': %s", where, gai_strerror(err));
	fd = socket(found->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	err = fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) ? errno : 0;
	freeaddrinfo(found);
	if (!err) {
		*ret_fd = fd;
		return TOOL_OK;
	}
	if (fd >= 0)
		close(fd);
	return tool_fail("--statsd: '%s': %s", where, strerror(err));
}
