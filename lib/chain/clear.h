/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Setting the counters of an interface's programs to zero. */
#ifndef ECBPF_LIB_CHAIN_CLEAR_H
#define ECBPF_LIB_CHAIN_CLEAR_H

#include <linux/types.h>

struct ecbpf;

/* As ecbpf_counters_clear(), of one stage; 0: of all */
int ecbpf_counters_clear_stage(struct ecbpf *e, const char *iface, __u32 stage);

#endif /* ECBPF_LIB_CHAIN_CLEAR_H */
