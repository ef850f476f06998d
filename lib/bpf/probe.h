/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What XDP programs this kernel loads, found out by loading one. */
#ifndef ECBPF_LIB_BPF_PROBE_H
#define ECBPF_LIB_BPF_PROBE_H

#include <linux/bpf.h>

struct ecbpf;

/* Load a program that does nothing: its fd, or -errno */
int ecbpf_probe_load(enum bpf_prog_type type, __u32 flags);
/* Does the kernel take XDP programs for packets in fragments? 0; -EOPNOTSUPP: no; or -errno */
int ecbpf_frags_probe(struct ecbpf *e);

#endif /* ECBPF_LIB_BPF_PROBE_H */
