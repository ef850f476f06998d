/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's jiffies, which are the time of programs. */
#ifndef ECBPF_LIB_JIFFIES_H
#define ECBPF_LIB_JIFFIES_H

#include <linux/types.h>

struct ecbpf;

/* What bpf_jiffies64() is now, see also ecbpf_hz(). Return: 0; errors of bpf(2) */
int ecbpf_jiffies(struct ecbpf *e, __u64 *ret_now);

#endif /* ECBPF_LIB_JIFFIES_H */
