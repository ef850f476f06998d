/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps of one table of prefixes, which trie_host.h fills */
#ifndef TESTING_TRIE_BPF_H
#define TESTING_TRIE_BPF_H

#include <ecbpf/trie.bpf.h>

ECBPF_TRIE_POOL(pool);
ECBPF_TRIE_LOOKUP(table, &pool)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct ecbpf_trie_head);
} heads SEC(".maps");

#endif /* TESTING_TRIE_BPF_H */
