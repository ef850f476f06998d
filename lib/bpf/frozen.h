/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pinned maps that another tool has frozen: user space cannot write to them any more. */
#ifndef ECBPF_LIB_FROZEN_H
#define ECBPF_LIB_FROZEN_H

#include <stddef.h>

struct ecbpf;

/* The name of a map in BPFFS/ecbpf that is frozen, or has an inner map that is; "": none is found
 */
void ecbpf_frozen_find(const struct ecbpf *e, char *ret_name, size_t size);
/* If there is one, say so behind the error text: a change failed with EPERM */
void ecbpf_frozen_explain(struct ecbpf *e);

#endif /* ECBPF_LIB_FROZEN_H */
