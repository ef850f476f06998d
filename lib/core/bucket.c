// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rates of token buckets in the units of the kernel side, see <ecbpf/bucket.h>. */
#include "core/bucket.h"

static struct ecbpf_rate rate_units(__u64 refill, __u64 cost, __u64 max)
{
	return (struct ecbpf_rate){
		.refill = refill,
		.cost = cost,
		.max = max,
		.full = (max + refill - 1) / refill,
	};
}

struct ecbpf_rate ecbpf_rate_burst(__u64 rate, __u64 burst, __u32 hz)
{
	return rate_units(rate, hz, burst * hz);
}

/* With @cap = burst + refill there is no second with more; a tenth is for bursts */
struct ecbpf_rate ecbpf_rate_cap(__u32 cap, __u32 hz)
{
	__u32 burst = (cap + 9ULL) / 10;

	if (cap == 1) /* one more jiffy than a second has, from token to token */
		return rate_units(1, hz + 1, hz + 1);
	return rate_units(cap - burst, hz, (__u64)burst * hz);
}
