// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Lookups in a table of prefixes, and nothing else. Its members are drawn by trie_member4() and
 * trie_member6(), so that a program can ask for any of them without memory.
 */
#include "../lib/trie.bpf.h"
#include "trie.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct trie_bench);
} bench SEC(".maps");

static __always_inline int run(int family, bool is_hit)
{
	struct trie_bench *b;
	const struct ecbpf_trie_head *head;
	__u32 key = 0, value, i;

	b = bpf_map_lookup_elem(&bench, &key);
	head = bpf_map_lookup_elem(&heads, &key);
	if (!b || !head)
		return XDP_ABORTED;
	/* xorshift32 */
	b->state ^= b->state << 13;
	b->state ^= b->state >> 17;
	b->state ^= b->state << 5;
	i = b->state & b->mask;
	if (family == 4) {
		__be32 addr = bpf_htonl(trie_member4(is_hit ? i : i + b->miss));

		barrier_var(addr); /* to be counted with an empty table, too */
		value = table_lookup4(head->roots, addr);
	} else {
		__be32 addr[4];
		__u64 hi, lo;

		trie_member6(is_hit ? i : i + b->miss, &hi, &lo);
		barrier_var(hi);
		barrier_var(lo);
		addr[0] = bpf_htonl(hi >> 32);
		addr[1] = bpf_htonl(hi);
		addr[2] = bpf_htonl(lo >> 32);
		addr[3] = bpf_htonl(lo);
		value = table_lookup6(head->roots, addr);
	}
	b->found += !!value;
	return XDP_PASS;
}

SEC("xdp")
int member4(struct xdp_md *ctx)
{
	return run(4, true);
}

SEC("xdp")
int other4(struct xdp_md *ctx)
{
	return run(4, false);
}

SEC("xdp")
int member6(struct xdp_md *ctx)
{
	return run(6, true);
}

SEC("xdp")
int other6(struct xdp_md *ctx)
{
	return run(6, false);
}

char _license[] SEC("license") = "Dual BSD/GPL";
