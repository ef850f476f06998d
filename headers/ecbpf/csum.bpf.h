/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Internet checksum (RFC 1071).
 */
#ifndef ECBPF_CSUM_BPF_H
#define ECBPF_CSUM_BPF_H

#include <linux/types.h>

/* Return: sum of @size bytes, a constant multiple of 4. To be added to others, then folded */
static __always_inline __u64 ecbpf_csum_add(const void *from, __u32 size)
{
	const __u32 *words = from;
	__u64 sum = 0;

#pragma unroll
	for (__u32 i = 0; i < size / 4; i++)
		sum += words[i];
	return sum;
}

/* Return: the checksum, in network byte order like the bytes that were added */
static __always_inline __sum16 ecbpf_csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/*
 * Return: @sum, which is not 0, would be folded to all ones: it is a multiple of 65535. Of all
 * numbers only these, times the inverse of 65535 modulo 2^64, give no more than 2^64 / 65535: a
 * multiplication in place of three folds.
 */
static __always_inline bool ecbpf_csum_is_ones(__u64 sum)
{
	return sum * 0xfffefffefffeffffULL <= 0x0001000100010001ULL;
}

#endif /* ECBPF_CSUM_BPF_H */
