/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* File descriptors that a change sets aside, so that there are some for its way back. */
#ifndef ECBPF_LIB_RESERVE_H
#define ECBPF_LIB_RESERVE_H

#include <stddef.h>

struct ecbpf;

#define RESERVE_MAX 32

struct reserve {
	int fds[RESERVE_MAX];
	size_t count;
};

/* All of them, or none. Return: 0 or -errno */
int ecbpf_reserve_take(struct ecbpf *e, size_t count, struct reserve *ret);
/* The way back begins, or there is none. Also if it was done already */
void ecbpf_reserve_give(struct reserve *r);
#define _cleanup_reserve_ __attribute__((cleanup(ecbpf_reserve_give)))

#endif /* ECBPF_LIB_RESERVE_H */
