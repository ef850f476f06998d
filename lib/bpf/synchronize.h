/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Waiting until running BPF programs have finished. */
#ifndef ECBPF_LIB_SYNCHRONIZE_H
#define ECBPF_LIB_SYNCHRONIZE_H

struct ecbpf;

/* Return when every program run that could have seen the state before the last change has ended */
void ecbpf_synchronize(struct ecbpf *e);

#endif /* ECBPF_LIB_SYNCHRONIZE_H */
