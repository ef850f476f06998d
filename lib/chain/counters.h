/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading the counters of loaded programs. */
#ifndef ECBPF_LIB_CHAIN_COUNTERS_H
#define ECBPF_LIB_CHAIN_COUNTERS_H

#include <ecbpf/libecbpf.h>

/* Fill stages, counters and count of a member from the program behind @prog_fd */
int ecbpf_counters_read(struct ecbpf *e, int prog_fd, struct ecbpf_member *member);

#endif /* ECBPF_LIB_CHAIN_COUNTERS_H */
