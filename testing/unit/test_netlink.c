// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Dumps by netlink that the kernel says were interrupted. Needs no privilege.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/netlink.h>
#include "core/handle.h"
#include "core/links.h"
#include "core/routes.h"

static struct ecbpf *e;
static unsigned int interrupted; /* so many dumps yet */
static unsigned int dumps;	 /* seen to their end */

/* In the place of libc's: what the kernel says, with its flag for what changed during the dump */
ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t size = syscall(SYS_recvmsg, fd, message, flags);
	struct nlmsghdr *header = message->msg_iov->iov_base;
	int left = size;

	if (flags & MSG_PEEK)
		return size;
	for (; left > 0 && NLMSG_OK(header, (unsigned int)left);
	     header = NLMSG_NEXT(header, left)) {
		if (dumps < interrupted)
			header->nlmsg_flags |= NLM_F_DUMP_INTR;
		dumps += header->nlmsg_type == NLMSG_DONE;
	}
	return size;
}

static int setup(void **state)
{
	(void)state;
	return ecbpf_new(&e);
}

static int teardown(void **state)
{
	(void)state;
	ecbpf_free(e);
	return 0;
}

static size_t count_loopback(const struct ecbpf_link *links, size_t count)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		found += !strcmp(links[i].name, "lo");
		assert_true(links[i].ifindex > 0);
	}
	return found;
}

static void links_once(void **state)
{
	struct ecbpf_link *links;
	size_t count;

	(void)state;
	for (interrupted = 0; interrupted < 3; interrupted++) {
		dumps = 0;
		assert_int_equal(ecbpf_links_read(e, &links, &count), 0);
		assert_int_equal(dumps, interrupted + 1);
		assert_int_equal(count_loopback(links, count), 1);
		free(links);
	}
}

/* Four dumps, each of which is begun again by itself, and does not lose what the others found */
static void routes_once(void **state)
{
	size_t count, count_again;
	struct ecbpf_route *routes;

	(void)state;
	interrupted = dumps = 0;
	assert_int_equal(ecbpf_routes_read(e, &routes, &count), 0);
	assert_int_equal(dumps, 4);
	free(routes);
	interrupted = 2;
	dumps = 0;
	assert_int_equal(ecbpf_routes_read(e, &routes, &count_again), 0);
	assert_int_equal(dumps, 4 + 2);
	assert_int_equal(count, count_again);
	free(routes);
}

static void never_whole(void **state)
{
	struct ecbpf_link *links;
	size_t count;

	(void)state;
	interrupted = ~0U;
	dumps = 0;
	assert_int_equal(ecbpf_links_read(e, &links, &count), -EAGAIN);
	assert_non_null(strstr(ecbpf_error(e), "cannot list interfaces: "));
	assert_true(dumps > 1 && dumps < 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_once),
		cmocka_unit_test(routes_once),
		cmocka_unit_test(never_whole),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
