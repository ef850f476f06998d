/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the bench of the prefix tables and its program share */
#ifndef BENCH_TRIE_H
#define BENCH_TRIE_H

#include <linux/types.h>

struct trie_bench {
	__u32 state; /* of the random numbers */
	__u32 mask;  /* members that are asked for, less 1 */
	__u32 miss;  /* added, to ask for what is no member */
	__u32 pad;
	__u64 found;
};

/* The addresses of a list are those of 0, 1, 2...: all different, all over the place */
static inline __u32 trie_member4(__u32 i)
{
	i *= 0x9e3779b1;
	i ^= i >> 15;
	i *= 0x85ebca77;
	i ^= i >> 13;
	return i;
}

/* In 2000::/4, as all of the net is; the half of an interface is random, too */
static inline void trie_member6(__u32 i, __u64 *ret_hi, __u64 *ret_lo)
{
	__u64 bits = (i + 1ULL) * 0x9e3779b97f4a7c15ULL;

	bits ^= bits >> 29;
	bits *= 0xbf58476d1ce4e5b9ULL;
	*ret_hi = bits >> 4 | 2ULL << 60;
	*ret_lo = bits * 0x94d049bb133111ebULL;
}

#endif /* BENCH_TRIE_H */
