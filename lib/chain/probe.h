/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What chains this kernel takes, found out by making one. */
#ifndef ECBPF_LIB_CHAIN_PROBE_H
#define ECBPF_LIB_CHAIN_PROBE_H

struct ecbpf;

/* Can the kernel replace functions of BPF programs? 0; -EOPNOTSUPP: no, e->freplace says why; or
 * -errno */
int ecbpf_freplace_probe(struct ecbpf *e);
/* Does the kernel let libxdp's dispatcher chain programs that resize packets? -EINVAL: no */
int ecbpf_resize_probe(struct ecbpf *e);

#endif /* ECBPF_LIB_CHAIN_PROBE_H */
