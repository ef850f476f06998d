// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* File descriptors that are set aside, see reserve.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "core/handle.h"
#include "core/reserve.h"

int ecbpf_reserve_take(struct ecbpf *e, size_t count, struct reserve *ret)
{
	*ret = (struct reserve){};
	for (size_t i = 0; i < count && i < RESERVE_MAX; i++) {
		int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0) {
			int err = -errno;

			ecbpf_reserve_give(ret);
			return ecbpf_fail(e, err, "cannot set file descriptors aside: %s",
					  strerror(-err));
		}
		ret->fds[ret->count++] = fd;
	}
	return 0;
}

void ecbpf_reserve_give(struct reserve *r)
{
	while (r->count)
		close(r->fds[--r->count]);
}
