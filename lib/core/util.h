/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Macros and inline functions that every file may use. */
#ifndef ECBPF_LIB_UTIL_H
#define ECBPF_LIB_UTIL_H

#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

/* Return: the descriptor, which is no longer closed with the variable */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define _cleanup_free_	__attribute__((cleanup(cleanup_free)))
#define _cleanup_close_ __attribute__((cleanup(close_fd)))

#endif /* ECBPF_LIB_UTIL_H */
