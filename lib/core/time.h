/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's clocks. */
#ifndef ECBPF_LIB_TIME_H
#define ECBPF_LIB_TIME_H

#include <linux/types.h>

/* Jiffies a second of the running kernel */
__u32 ecbpf_hz(void);

#endif /* ECBPF_LIB_TIME_H */
