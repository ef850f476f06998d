/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs that send and receive packets share; needs _GNU_SOURCE */
#ifndef VM_PROGRAM_H
#define VM_PROGRAM_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t is_over;

static void on_signal(int sig)
{
	(void)sig;
	is_over = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

#endif /* VM_PROGRAM_H */
