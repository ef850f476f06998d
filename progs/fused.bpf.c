// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * All stages in one program: for kernels without freplace, and for speed. The loader puts the
 * stages to run, in order, into `fused_stages`; being constant when the verifier sees it, all
 * others fall out of the program. Each slot has counters of its own, in the entry of `counters` that
 * `fused_counters` says: a stage keeps its own when others come in before it.
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
#include "fastpath.bpf.c"
#include "sampler.bpf.c"

const volatile __u8 fused_stages[ECBPF_FUSED_SLOTS] = {}; /* enum ecbpf_stage; 0 ends the list */
const volatile __u8 fused_counters[ECBPF_FUSED_SLOTS] = {};

struct {
	__uint(priority, ECBPF_FUSED_PRIO);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(ecbpf_fused);

/* What the slots hand on */
struct fused {
	__u32 verdict;
	__u8 stage;
};

/* Return: whether the next slot is to run */
static __always_inline bool run_slot(struct xdp_md *ctx, const struct ecbpf_record *rec, __u32 slot,
				     struct fused *f)
{
	__u8 stage = fused_stages[slot];

	if (!stage)
		return false;
	f->stage = stage;
	switch (stage) {
#define X(value, NAME, name, prio, text)             \
	case ECBPF_STAGE_##NAME:                     \
		f->verdict = name##_stage(ctx, rec); \
		break;
		ECBPF_STAGES(X)
#undef X
	}
	ecbpf_verdict_count(rec, fused_counters[slot], f->verdict);
	return (f->verdict & 0xff) == XDP_PASS;
}

/* No loop: the compiler would not unroll so large a one, and the verifier could not thin it out */
static __always_inline int run_fused(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	struct fused f = {.verdict = XDP_PASS};

	_Static_assert(ECBPF_FUSED_SLOTS == 8, "one call a slot");
	if (run_slot(ctx, rec, 0, &f) && run_slot(ctx, rec, 1, &f) && run_slot(ctx, rec, 2, &f) &&
	    run_slot(ctx, rec, 3, &f) && run_slot(ctx, rec, 4, &f) && run_slot(ctx, rec, 5, &f) &&
	    run_slot(ctx, rec, 6, &f))
		run_slot(ctx, rec, 7, &f);
	return ecbpf_verdict_end(ctx, f.stage, f.verdict);
}

SEC("xdp")
int ecbpf_fused(struct xdp_md *ctx)
{
	return ecbpf_run(ctx, run_fused);
}

char _license[] SEC("license") = "Dual BSD/GPL";
