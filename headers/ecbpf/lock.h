/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A spin lock in a struct that BPF programs and user space share.
 */
#ifndef ECBPF_LOCK_H
#define ECBPF_LOCK_H

/* A macro: the verifier does not look through a typedef. User space must not use the lock */
#ifdef __bpf__
#include <linux/bpf.h>
#define ECBPF_SPIN_LOCK struct bpf_spin_lock
#else
#include <linux/types.h>
#define ECBPF_SPIN_LOCK __u32
#endif

#endif /* ECBPF_LOCK_H */
