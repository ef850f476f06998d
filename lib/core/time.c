// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The kernel's clocks. */
#include <time.h>
#include "core/time.h"

#define NS_PER_S 1000000000ULL

__u32 ecbpf_hz(void)
{
	/* the resolution of the coarse clocks is a jiffy (kernel/time/posix-timers.c) */
	struct timespec tick = {.tv_nsec = NS_PER_S / 100};

	clock_getres(CLOCK_MONOTONIC_COARSE, &tick); /* cannot fail since Linux 2.6.32 */
	return (NS_PER_S + tick.tv_nsec / 2) / tick.tv_nsec;
}
