/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The capabilities that a process needs, asked for before it does anything. */
#ifndef ECBPF_LIB_PRIVILEGE_H
#define ECBPF_LIB_PRIVILEGE_H

#include <stdbool.h>

struct ecbpf;

enum ecbpf_needs {
	/* CAP_SYS_ADMIN: to open programs and maps by their IDs; it implies CAP_BPF, CAP_PERFMON */
	ECBPF_NEEDS_IDS,
	/* and CAP_NET_ADMIN: to attach programs to interfaces */
	ECBPF_NEEDS_ATTACH,
	/* CAP_BPF, or CAP_SYS_ADMIN: to read the sampler's counters */
	ECBPF_NEEDS_MAPS,
	/* CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN: to read samples */
	ECBPF_NEEDS_SAMPLES,
};

/* Return: 0; -EPERM, with those that are missing in the error text */
int ecbpf_require(struct ecbpf *e, enum ecbpf_needs needs);
bool ecbpf_has_capability(int capability);

#endif /* ECBPF_LIB_PRIVILEGE_H */
