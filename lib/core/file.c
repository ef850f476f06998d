// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Files that users write, see file.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "core/file.h"

#define FILE_MAX (512 << 20) /* bytes: a device has no end */

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
