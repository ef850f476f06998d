// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Makes each packet longer and shorter at both ends; its last four bytes come back as zeros */
#include "foreign.bpf.h"

SEC("xdp")
int foreign_resize(struct xdp_md *ctx)
{
	struct seen *seen = see(ctx);

	if (!seen)
		return XDP_ABORTED;
	/* not longer first: behind a packet there may be no room */
	if (bpf_xdp_adjust_head(ctx, -8) || bpf_xdp_adjust_head(ctx, 8) ||
	    bpf_xdp_adjust_tail(ctx, -4) || bpf_xdp_adjust_tail(ctx, 4))
		__sync_fetch_and_add(&seen->failed, 1);
	return XDP_PASS;
}
