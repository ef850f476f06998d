/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a stage is made of. A stage is a function
 *
 *	static __always_inline __u32 NAME_stage(struct xdp_md *ctx, const struct ecbpf_record *rec)
 *
 * that returns ECBPF_VERDICT(); ECBPF_STAGE_PROGRAM(NAME, PRIO) makes the standalone XDP program
 * ecbpf_NAME of it, and progs/fused.bpf.c, which includes all stages with ECBPF_FUSED defined,
 * calls the same function. See ecbpf-progs(7).
 */
#ifndef ECBPF_STAGE_BPF_H
#define ECBPF_STAGE_BPF_H

#include <xdp/xdp_helpers.h>
#include <ecbpf/stage.h>
#include <ecbpf/shared.bpf.h>
#include <ecbpf/verdict.bpf.h>

/*
 * Says which schema an object was built for; read by user space from the BTF of an object file, a
 * loaded program or one of its maps.
 */
struct {
	__uint(schema, ECBPF_SCHEMA);
} ecbpf_metadata SEC(".ecbpf_metadata");

#ifdef ECBPF_FUSED
#define ECBPF_STAGE_PROGRAM(name, NAME)
#else
#define ECBPF_STAGE_PROGRAM(name, NAME)                                                           \
	struct {                                                                                  \
		__uint(priority, ECBPF_PRIO_##NAME);                                              \
		__uint(XDP_PASS, 1);                                                              \
	} XDP_RUN_CONFIG(ecbpf_##name);                                                           \
                                                                                                  \
	static __always_inline int run_##name(struct xdp_md *ctx, const struct ecbpf_record *rec) \
	{                                                                                         \
		return ecbpf_verdict(ctx, rec, ECBPF_STAGE_##NAME, name##_stage(ctx, rec));       \
	}                                                                                         \
                                                                                                  \
	SEC("xdp")                                                                                \
	int ecbpf_##name(struct xdp_md *ctx)                                                      \
	{                                                                                         \
		return ecbpf_run(ctx, run_##name);                                                \
	}                                                                                         \
                                                                                                  \
	char _license[] SEC("license") = "Dual BSD/GPL"
#endif

#endif /* ECBPF_STAGE_BPF_H */
