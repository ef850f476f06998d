/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A change that leaves no new pin when it fails. */
#ifndef ECBPF_LIB_TRANSACTION_H
#define ECBPF_LIB_TRANSACTION_H

#include <stddef.h>
#include "core/reserve.h"

struct ecbpf;

struct transaction {
	char **pins; /* names in BPFFS/ecbpf that were there before */
	size_t count;
	struct reserve reserve;
};

/* Opens the BPF file system and holds the lock; another one may begin inside. On failure, no end */
int ecbpf_transaction_begin(struct ecbpf *e, struct transaction *ret);
/*
 * @err: of the change. If it failed, maps that were pinned meanwhile and that no program uses lose
 * their pins; e->error stays. Close what was loaded before. Return: @err
 */
int ecbpf_transaction_end(struct ecbpf *e, struct transaction *t, int err);

#endif /* ECBPF_LIB_TRANSACTION_H */
