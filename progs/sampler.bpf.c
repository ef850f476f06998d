// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage sampler: passes everything on, and so has the epilogue draw samples of the packets that
 * pass; those that do not are drawn from where they end (sample.bpf.h).
 * Place: last (default priority 90).
 */
#include <ecbpf/stage.bpf.h>

/*
 * For user space only, and here so that it comes and goes with the other maps: writable by plain
 * stores, as the reader counts each sample.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_sampler_stats);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} sampler_stats SEC(".maps");

static __always_inline __u32 sampler_stage(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	if (rec->reason)
		return ecbpf_malformed(rec);
	return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
}

ECBPF_STAGE_PROGRAM(sampler, SAMPLER);
