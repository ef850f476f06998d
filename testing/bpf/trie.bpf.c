// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Looks up one address after the other in a table of prefixes. Each CPU begins with the first one
 * and keeps its answers in a map of its own.
 */
#include "../lib/trie.bpf.h"
#include "trie.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRIE_QUESTIONS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct trie_question);
} questions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRIE_ANSWERS *TRIE_CPUS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct trie_answer);
} answers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct trie_clock);
} clock SEC(".maps");

SEC("xdp")
int ask(struct xdp_md *ctx)
{
	__u64 cpu = bpf_get_smp_processor_id();
	__u32 key = 0, n, done, value;
	const struct ecbpf_trie_head *head = bpf_map_lookup_elem(&heads, &key);
	struct trie_clock *c = bpf_map_lookup_elem(&clock, &key);
	const struct trie_question *question;
	struct trie_answer *answer;
	__u64 roots;

	barrier_var(cpu); /* 64 bits in one register: 6.1 loses the bounds of halves */
	if (!head || !c || cpu >= TRIE_CPUS || !c->questions)
		return XDP_ABORTED;
	n = c->answers[cpu];
	if (n == TRIE_ANSWERS)
		return XDP_PASS;
	c->answers[cpu] = n + 1;
	key = n % c->questions;
	question = bpf_map_lookup_elem(&questions, &key);
	n += cpu * TRIE_ANSWERS;
	answer = bpf_map_lookup_elem(&answers, &n);
	if (!question || !answer)
		return XDP_ABORTED;

	done = *(volatile __u32 *)&c->done;
	roots = *(volatile __u64 *)&head->roots;
	if (question->family == 4)
		value = table_lookup4(roots, question->addr[0]);
	else
		value = table_lookup6(roots, question->addr);
	answer->question = key;
	answer->done = done;
	answer->begun = *(volatile __u32 *)&c->begun;
	answer->value = value;
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
