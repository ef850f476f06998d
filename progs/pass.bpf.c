// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage pass: counts verdicts and reasons, as every stage does, and does nothing else.
 * Place: anywhere (default priority 50).
 */
#include <ecbpf/stage.bpf.h>

static __always_inline __u32 pass_stage(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	if (rec->reason)
		return ecbpf_malformed(rec);
	return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
}

ECBPF_STAGE_PROGRAM(pass, PASS);
