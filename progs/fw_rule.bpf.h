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
static __always_inline void fw_count_at(__u32 key, __u32 bytes)
{
	struct ecbpf_fw_counter *counter = bpf_map_lookup_elem(&fw_counters, &key);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += bytes;
}

static __always_inline void fw_count(const struct ecbpf_fw_tables *t, __u64 index, __u32 bytes)
{
	if (FW_IS_BELOW(index, ECBPF_FW_RULES_MAX))
		fw_count_at(t->counters[index], bytes);
}

/* Take from the bucket of the packet's source. Return: as ecbpf_bucket_take_key() */
static __always_inline __u32 fw_take_per_src(const struct fw_packet *p,
					     const struct ecbpf_fw_limit *limit, __u64 count,
					     __u64 now)
{
	__u64 key[2] = {0, bpf_ntohl(p->addr[0][0])};
	struct ecbpf_bucket_group *group;
	__u32 hash, index;

	if (p->is_ip6) {
		key[0] = key[1] << 32 | bpf_ntohl(p->addr[0][1]);
		key[1] = (__u64)bpf_ntohl(p->addr[0][2]) << 32 | bpf_ntohl(p->addr[0][3]);
	}
	key[0] &= limit->mask[0];
	key[1] &= limit->mask[1];
	hash = ecbpf_bucket_hash(key, limit->secret);
	index = limit->group + ((__u64)hash * limit->groups >> 32);
	group = bpf_map_lookup_elem(&fw_groups, &index);
	return group ? ecbpf_bucket_take_key(group, &limit->rate, key, hash, count, now) : 0;
}

/* Return: ECBPF_BUCKET_REFUSED: the packet is above the limit; ECBPF_BUCKET_SHARED */
static __always_inline __u32 fw_take(const struct fw_packet *p, __u32 id)
{
	struct ecbpf_fw_limit *limit = bpf_map_lookup_elem(&fw_limits, &id);
	__u64 now = fw_is_trial ? 1 : bpf_jiffies64(), count = 1;
	struct ecbpf_bucket *bucket;
	struct ecbpf_stock *stock;

	if (!limit)
		return 0;
	if (limit->is_bytes)
		count = p->frame_len;
	if (limit->groups)
		return fw_take_per_src(p, limit, count, now);
	bucket = bpf_map_lookup_elem(&fw_buckets, &id);
	if (!bucket)
		return 0;
	stock = limit->ahead && !fw_is_trial ? bpf_map_lookup_elem(&fw_stocks, &id) : NULL;
	if (stock)
		return !ecbpf_bucket_take_ahead(bucket, &limit->rate, stock, limit->secret[0] | 1,
						limit->ahead, count, now);
	return !ecbpf_bucket_take_at(bucket, &limit->rate, count, now);
}

/* Count a packet for its limit. @taken: as fw_take() returns it; @is_dry: only if it was refused */
static __always_inline void fw_count_limit(__u32 key, __u32 bytes, __u32 taken, bool is_dry)
{
	struct ecbpf_fw_counter *counter;

	if (is_dry && !taken)
		return;
	counter = bpf_map_lookup_elem(&fw_counters, &key);
	if (!counter)
		return;
	if (taken & ECBPF_BUCKET_SHARED)
		counter->shared++;
	if (is_dry && !(taken & ECBPF_BUCKET_REFUSED))
		return;
	counter->packets++;
	counter->bytes += bytes;
	if (taken & ECBPF_BUCKET_REFUSED)
		counter->over++;
}

/*
 * Execute a matching rule that is not a deciding one. @counter, @limit: its entries of fw_counters,
 * fw_limits. Return: 1 if the packet is above its limit, which drops it; else 0
 */
__noinline int fw_do(__u32 rule, __u32 counter, __u32 limit)
{
	bool is_dry = rule & ECBPF_FW_RULE_DRY;
	struct fw_packet *p = fw_packet();
	__u32 taken;

	if (!p)
		return 0;
	if ((rule & ECBPF_FW_RULE_ACTION) != ECBPF_FW_RULE_LIMIT) {
		fw_count_at(counter, p->frame_len);
		return 0;
	}
	taken = fw_take(p, limit);
	fw_count_limit(counter, p->frame_len, taken, is_dry);
	return !is_dry && taken & ECBPF_BUCKET_REFUSED;
}

/*
 * Execute the pending rules of word @word that come before the deciding rule, fw_packet.rule.
 * Return: the word of the rule that dropped the packet, else 0
 */
__noinline __u32 fw_pending_word(__u32 active, __u64 word)
{
	const struct ecbpf_fw_tables *t = fw_cells_tables_get(active);
	volatile struct fw_packet *p = fw_packet(); /* not on the stack, which is full */

	if (!t || !p)
		return 0;
	for (int i = 0; i < 64; i++) {
		__u64 index, bits;
		__u32 rule;

		/* else clang computes member addresses before the loop, and spills them */
		barrier_var(p);
		barrier_var(t);
		barrier_var(word); /* masked here: what was spilled has no bounds on 6.1 */
		bits = p->pending[word & (FW_PENDING - 1)];
		if (!bits)
			break;
		p->pending[word & (FW_PENDING - 1)] = bits & (bits - 1);
		rule = fw_rule_at(t, p->pending_block[word & (FW_PENDING - 1)], bits);
		if (rule >= p->rule)
			break;
		index = rule >> ECBPF_FW_RULE_INDEX;
		barrier_var(index);
		index &= FW_INDEX_MASK;
		if (fw_do(rule, t->counters[index], t->limits[index]))
			return rule;
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
		fw_count(t, rule >> ECBPF_FW_RULE_INDEX, bytes);
	return rule; /* a limit is counted by fw_do() */
}

/*
 * Execute the pending rules that come before @decided. A function of its own, because the stack of
 * the matching functions is full. Return: the rule that decided in the end
 */
__noinline __u32 fw_pending(__u32 active, __u32 decided)
{
	const struct ecbpf_fw_tables *t;
	struct fw_packet *p = fw_packet();
	__u32 ended;

	if (!p)
		return decided;
	p->rule = decided;
	for (__u32 i = 0; i < ECBPF_FW_BLOCKS; i++) {
		if (i >= p->pending_count)
			break;
		ended = fw_pending_word(active, i);
		if (ended) {
			decided = ended;
			break;
		}
	}
	t = fw_cells_tables_get(active); /* not before the loop: it would be walked for each map */
	return t ? fw_end(t, decided, p->frame_len) : decided;
}

#endif /* ECBPF_FW_RULE_BPF_H */
