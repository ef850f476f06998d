/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rates of token buckets in the units of the kernel side, see <ecbpf/bucket.h>. */
#ifndef ECBPF_LIB_BUCKET_H
#define ECBPF_LIB_BUCKET_H

#include <ecbpf/bucket.h>

/* @rate tokens a second, and @burst at once, 1 to 2^50 */
struct ecbpf_rate ecbpf_rate_burst(__u64 rate, __u64 burst, __u32 hz);
/*
 * At most @cap tokens, 1 to 10^9, in any second; nine tenths of that in the long run (one less for
 * a @cap of 2 to 9)
 */
struct ecbpf_rate ecbpf_rate_cap(__u32 cap, __u32 hz);

#endif /* ECBPF_LIB_BUCKET_H */
