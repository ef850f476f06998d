/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Loading, unloading and replacing programs of a chain. */
#ifndef ECBPF_LIB_CHAIN_LOAD_H
#define ECBPF_LIB_CHAIN_LOAD_H

#include "chain/change.h"

struct load {
	const struct ecbpf_program *programs;
	size_t count;
	enum ecbpf_mode mode;
};

/* A plan_fn: add the programs of struct load @data */
int ecbpf_plan_load(struct ecbpf *e, struct change *c, void *data);

#endif /* ECBPF_LIB_CHAIN_LOAD_H */
