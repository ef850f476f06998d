// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Makes each packet longer and shorter again at both ends; leaves it as it came */
#include "foreign.bpf.h"

SEC("xdp")
int foreign_resize(struct xdp_md *ctx)
{
	struct seen *seen = see(ctx);

	if (!seen)
		return XDP_ABORTED;
	if (bpf_xdp_adjust_head(ctx, -8) || bpf_xdp_adjust_head(ctx, 8) ||
	    bpf_xdp_adjust_tail(ctx, -4) || bpf_xdp_adjust_tail(ctx, 4)) /* there may be no room */
		__sync_fetch_and_add(&seen->failed, 1);
	return XDP_PASS;
}
