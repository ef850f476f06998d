/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Removing pins that nothing uses any more. */
#ifndef ECBPF_LIB_CHAIN_CLEAN_H
#define ECBPF_LIB_CHAIN_CLEAN_H

#include <stddef.h>

struct ecbpf;

/* As ecbpf_clean(), of all interfaces; maps stay */
int ecbpf_clean_stale(struct ecbpf *e, size_t *ret_removed);
/* Our maps, unless a program uses one of them */
int ecbpf_clean_unused(struct ecbpf *e);

#endif /* ECBPF_LIB_CHAIN_CLEAN_H */
