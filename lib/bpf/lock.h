/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Exclusive locks on the directories of pins. */
#ifndef ECBPF_LIB_LOCK_H
#define ECBPF_LIB_LOCK_H

struct ecbpf;

/* For a whole change of ours. Return: fd, for close(); -ETIMEDOUT after a minute; errors */
int ecbpf_lock(struct ecbpf *e);
/* As ecbpf_lock(), before the BPF file system was opened. Return: -ENOENT, too: nothing is there */
int ecbpf_lock_find(struct ecbpf *e);
/* Likewise; the directories are made if they are missing, and what a change needs is there */
int ecbpf_lock_make(struct ecbpf *e);
/*
 * As ecbpf_lock_make(), and keep it while functions run that take it themselves or hold it, until
 * each has released it. Return: 0, errors
 */
int ecbpf_lock_hold(struct ecbpf *e);
void ecbpf_lock_release(struct ecbpf *e);
/* libxdp's, around changes of its pins only. Return: fd, for close(), or errors */
int ecbpf_libxdp_lock(struct ecbpf *e);

#endif /* ECBPF_LIB_LOCK_H */
