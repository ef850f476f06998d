/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Waiting until running BPF programs have finished. */
#ifndef ECBPF_LIB_SYNCHRONIZE_H
#define ECBPF_LIB_SYNCHRONIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct ecbpf;

/* Return when every program run that could have seen the state before the last change has ended */
void ecbpf_synchronize(struct ecbpf *e);

/*
 * The same without waiting: a number that tells a later process, for which ecbpf_grace_is_over(),
 * that these runs have ended. Return: 0 there is none
 */
__u32 ecbpf_grace_begin(void);
bool ecbpf_grace_is_over(__u32 number);

/**
 * ecbpf_together() - call @fn for 0 to @count - 1, many at once, each in a thread
 *
 * For calls that wait for program runs, as a change of a map of maps does: those that wait at the
 * same time take as long as one. Where there can be no thread, it takes longer. Return: when all
 * calls have returned.
 */
void ecbpf_together(size_t count, void (*fn)(void *data, size_t number), void *data);

#endif /* ECBPF_LIB_SYNCHRONIZE_H */
