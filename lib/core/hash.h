/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* FNV-1a, 64 bits. */
#ifndef ECBPF_LIB_HASH_H
#define ECBPF_LIB_HASH_H

#include <stddef.h>
#include <linux/types.h>

#define ECBPF_HASH_INIT 0xcbf29ce484222325

static inline void ecbpf_hash_add(__u64 *hash, const void *data, size_t size)
{
	for (const __u8 *p = data; size--; p++)
		*hash = (*hash ^ *p) * 0x100000001b3;
}

#endif /* ECBPF_LIB_HASH_H */
