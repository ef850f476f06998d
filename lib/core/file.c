// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Files that users write, see file.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "core/handle.h"

#define FILE_MAX (512 << 20) /* bytes: a device has no end */

int ecbpf_file_open(struct ecbpf *e, const char *file)
{
	struct stat st;
	int fd, err = 0;

	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st))
		err = -errno;
	else if (S_ISDIR(st.st_mode))
		err = -EISDIR;
	else if (!S_ISREG(st.st_mode))
		err = -ENOTSUP;
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return ecbpf_fail(e, err, "%s: %s", file,
			  err == -ENOTSUP ? "not a regular file" : strerror(-err));
}

int ecbpf_file_read(int fd, char **ret_text, size_t *ret_size)
{
	size_t size = 0, room = 0;
	char *text = NULL;
	ssize_t len = 1;

	while (len) {
		if (size == room) {
			char *more;

			room = room ? room * 2 : 1 << 16;
			more = room > FILE_MAX ? NULL : realloc(text, room);
			if (!more) {
				free(text);
				return room > FILE_MAX ? -EFBIG : -ENOMEM;
			}
			text = more;
		}
		len = read(fd, text + size, room - size);
		if (len < 0 && errno != EINTR) {
			len = -errno;
			free(text);
			return len;
		}
		if (len > 0)
			size += len;
	}
	*ret_text = text;
	*ret_size = size;
	return 0;
}
