// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * All stages in one program: for kernels without freplace, and for speed. The loader puts the
 * stages to run, in order, into `fused_stages`; being constant when the verifier sees it, all
 * others fall out of the program. Each slot has counters of its own.
 * Place: anywhere (default priority 50).
 */
#include <ecbpf/stage.h>
#define ECBPF_FUSED
#define ECBPF_COUNTER_SLOTS ECBPF_FUSED_SLOTS
#include <ecbpf/stage.bpf.h>
#include "pass.bpf.c"
#include "fw.bpf.c"
#include "count.bpf.c"
#include "printk.bpf.c"
#include "filter.bpf.c"
#include "sampler.bpf.c"

const volatile __u8 fused_stages[ECBPF_FUSED_SLOTS] = {}; /* enum ecbpf_stage; 0 ends the list */

struct {
	__uint(priority, ECBPF_FUSED_PRIO);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(ecbpf_fused);

static __always_inline int run_fused(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	__u32 verdict = XDP_PASS;
	__u8 stage = 0;

#pragma unroll
	for (__u32 slot = 0; slot < ECBPF_FUSED_SLOTS; slot++) {
		__u8 next = fused_stages[slot];

		if (!next)
			break;
		stage = next;
		switch (stage) {
#define X(value, NAME, name, prio, text)          \
	case ECBPF_STAGE_##NAME:                  \
		verdict = name##_stage(ctx, rec); \
		break;
			ECBPF_STAGES(X)
#undef X
		}
		ecbpf_verdict_count(rec, slot, verdict);
		if ((verdict & 0xff) != XDP_PASS)
			break;
	}
	return ecbpf_verdict_end(ctx, stage, verdict);
}

SEC("xdp")
int ecbpf_fused(struct xdp_md *ctx)
{
	return ecbpf_run(ctx, run_fused);
}

char _license[] SEC("license") = "Dual BSD/GPL";
