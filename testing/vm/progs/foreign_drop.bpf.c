// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "foreign.bpf.h"

SEC("xdp")
int foreign_drop(struct xdp_md *ctx)
{
	see(ctx);
	return XDP_DROP;
}
