/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Execution of rules that match: counters, limits, the deciding rule.
 */
#ifndef ECBPF_FW_RULE_BPF_H
#define ECBPF_FW_RULE_BPF_H

#include <ecbpf/bucket.bpf.h>
#include "fw_generation.bpf.h"
#include "fw_packet.bpf.h"

#define FW_UNDECIDED 0xffffffffU /* no deciding rule matched */

/* @key: in fw_counters */
static __always_inline void fw_count_at(__u32 key, __u32 bytes, __u32 is_over)
{
	struct ecbpf_fw_counter *counter = bpf_map_lookup_elem(&fw_counters, &key);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += bytes;
	if (is_over)
		counter->over++;
}

static __always_inline void fw_count(const struct ecbpf_fw_tables *t, __u64 index, __u32 bytes,
				     __u32 is_over)
{
	if (FW_IS_BELOW(index, ECBPF_FW_RULES_MAX))
		fw_count_at(t->counters[index], bytes, is_over);
}

/*
 * The bucket of the packet's source, chosen by a hash: sources that share a bucket share its rate,
 * and never get more than that.
 */
static __always_inline __u32 fw_bucket_of(const struct fw_packet *p,
					  const struct ecbpf_fw_limit *limit)
{
	const __be32 *addr = p->addr[0];
	__u64 high = 0, low = bpf_ntohl(addr[0]);

	if (p->is_ip6) {
		high = low << 32 | bpf_ntohl(addr[1]);
		low = (__u64)bpf_ntohl(addr[2]) << 32 | bpf_ntohl(addr[3]);
	}
	high &= limit->mask[0];
	low &= limit->mask[1];
	return ECBPF_FW_HASH(high, low, limit->seed) >> limit->shift;
}

/* Return: the packet is above the limit */
static __always_inline bool fw_is_over(const struct fw_packet *p, __u32 id)
{
	struct ecbpf_fw_limit *limit = bpf_map_lookup_elem(&fw_limits, &id);
	struct ecbpf_bucket *bucket;
	__u32 key;

	if (!limit)
		return false;
	key = limit->bucket;
	if (limit->is_per_src)
		key += fw_bucket_of(p, limit);
	bucket = bpf_map_lookup_elem(&fw_buckets, &key);
	return bucket &&
	       !ecbpf_bucket_take_at(bucket, &limit->rate, limit->is_bytes ? p->frame_len : 1,
				     fw_is_trial ? 1 : bpf_jiffies64());
}

/*
 * Execute a matching rule that is not a deciding one. @counter, @limit: its entries of fw_counters,
 * fw_limits. Return: 1 if the packet is above its limit, which drops it; else 0
 */
__noinline int fw_do(__u32 rule, __u32 counter, __u32 limit)
{
	struct fw_packet *p = fw_packet();
	bool is_over = false;

	if (!p)
		return 0;
	if ((rule & ECBPF_FW_RULE_ACTION) == ECBPF_FW_RULE_LIMIT) {
		is_over = fw_is_over(p, limit);
		if (rule & ECBPF_FW_RULE_DRY && !is_over)
			return 0;
	}
	fw_count_at(counter, p->frame_len, is_over);
	return is_over && !(rule & ECBPF_FW_RULE_DRY);
}

/*
 * Execute the pending rules of word @word that come before the rule @decided. Return: the word of
 * the rule that dropped the packet, else 0
 */
__noinline __u32 fw_pending_word(__u32 active, __u64 word, __u32 decided)
{
	const struct ecbpf_fw_tables *t = fw_tables(active);
	struct fw_packet *p = fw_packet();
	__u64 bits, block;

	if (!t || !p || !FW_IS_BELOW(word, ECBPF_FW_BLOCKS))
		return 0;
	bits = p->pending[word];
	block = p->pending_block[word];
	for (int i = 0; i < 64; i++) {
		__u64 index;
		__u32 rule;

		if (!bits || !FW_IS_BELOW(block, ECBPF_FW_BLOCKS))
			break;
		rule = fw_rule_at(t, block, bits);
		if (rule >= decided)
			break;
		index = rule >> ECBPF_FW_RULE_INDEX;
		if (!FW_IS_BELOW(index, ECBPF_FW_RULES_MAX))
			break;
		if (fw_do(rule, t->counters[index], t->limits[index]))
			return rule;
		bits &= bits - 1;
	}
	return 0;
}

/* For trials, see fw_is_trial */
static __always_inline void fw_decide(__u32 rule)
{
	__u32 key = 0, *at;

	if (!fw_is_trial)
		return;
	at = bpf_map_lookup_elem(&fw_decided, &key);
	if (at)
		*at = rule;
}

/* The search is over: count the deciding rule, which may be FW_UNDECIDED. Return: @rule */
static __always_inline __u32 fw_end(const struct ecbpf_fw_tables *t, __u32 rule, __u32 bytes)
{
	fw_decide(rule);
	if (rule != FW_UNDECIDED && (rule & ECBPF_FW_RULE_ACTION) != ECBPF_FW_RULE_LIMIT)
		fw_count(t, rule >> ECBPF_FW_RULE_INDEX, bytes, 0);
	return rule; /* a limit is counted by fw_do() */
}

/*
 * Execute the pending rules that come before @decided. A function of its own, because the stack of
 * the matching functions is full. Return: the rule that decided in the end
 */
__noinline __u32 fw_pending(__u32 active, __u32 decided)
{
	const struct ecbpf_fw_tables *t = fw_tables(active);
	struct fw_packet *p = fw_packet();
	__u32 ended;

	if (!t || !p)
		return decided;
	for (__u32 i = 0; i < ECBPF_FW_BLOCKS; i++) {
		if (i >= p->pending_count)
			break;
		ended = fw_pending_word(active, i, decided);
		if (ended) {
			decided = ended;
			break;
		}
	}
	return fw_end(t, decided, p->frame_len);
}

#endif /* ECBPF_FW_RULE_BPF_H */
