// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Arrays that grow, see array.h.
 */
#include <stdlib.h>
#include <string.h>
#include "core/array.h"

void *ecbpf_array_add(void *items_p, size_t *count, size_t size)
{
	char *items, *more;

	memcpy(&items, items_p, sizeof(items));
	if (!(*count & (*count - 1))) {
		more = reallocarray(items, *count ? *count * 2 : 1, size);
		if (!more)
			return NULL;
		items = more;
		memcpy(items_p, &items, sizeof(items));
	}
	return memset(items + (*count)++ * size, 0, size);
}

void *ecbpf_array_copy(const void *items, size_t count, size_t size)
{
	size_t room = 1;
	void *copy;

	while (room < count)
		room *= 2;
	copy = reallocarray(NULL, room, size);
	if (copy && count)
		memcpy(copy, items, count * size);
	return copy;
}
