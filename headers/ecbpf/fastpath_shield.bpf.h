/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage fastpath: what protects the kernel when more comes in than it can take: the shield, which
 * drops part of the unknown flows, and the answers to flows that are dead.
 */
#ifndef ECBPF_FASTPATH_SHIELD_BPF_H
#define ECBPF_FASTPATH_SHIELD_BPF_H

#include <ecbpf/bucket.bpf.h>
#include <ecbpf/fastpath.bpf.h>
#include <ecbpf/verdict.bpf.h>

static __always_inline void fastpath_shield_count(const struct ecbpf_fastpath *settings)
{
}

static __always_inline bool fastpath_shield_drops(const struct ecbpf_fastpath *settings,
						  const struct ecbpf_record *rec,
						  const struct ecbpf_flow_key *key, __u64 hash,
						  __u64 now)
{
	return false;
}

static __always_inline __u32 fastpath_reset(struct xdp_md *ctx, const struct ecbpf_record *rec,
					    const struct ecbpf_fastpath *settings,
					    struct ecbpf_flow *flow, __u64 now)
{
	return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_FP_DEAD);
}

#endif /* ECBPF_FASTPATH_SHIELD_BPF_H */
