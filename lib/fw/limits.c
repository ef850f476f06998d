// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Limits of rules in the kernel: entries of `fw_limits`, and their buckets.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <bpf/bpf.h>
#include "core/bucket.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/time.h"
#include "fw/live.h"

/* Buckets of a `per src` limit: a power of two, half of all are left for the next ruleset */
static __u32 buckets_per_limit(const struct ecbpf_fw_ruleset *ruleset)
{
	__u32 limits = 0, buckets = 1 << 16;

	for (size_t i = 0; i < ruleset->rules_count; i++)
		limits += ruleset->rules[i].action == FW_LIMIT && ruleset->rules[i].limit.src_len;
	while (buckets > 1 && (__u64)buckets * limits > ECBPF_FW_BUCKETS_SRC / 2)
		buckets /= 2;
	return buckets;
}

static void limit_fill(const struct fw_rule *rule, __u64 seed, __u32 bucket, __u32 buckets,
		       struct ecbpf_fw_limit *ret)
{
	int len = rule->limit.src_len + (rule->family == 4 ? 96 : 0);

	*ret = (struct ecbpf_fw_limit){
		.rate = ecbpf_rate_burst(rule->limit.rate, rule->limit.burst, ecbpf_hz()),
		.mask = {len >= 64 ? ~0ULL : ~(~0ULL >> len), len <= 64 ? 0 : ~0ULL << (128 - len)},
		.seed = seed,
		.bucket = bucket,
		.shift = 32 - __builtin_ctz(buckets),
		.is_per_src = rule->limit.src_len != 0,
		.is_bytes = rule->limit.is_bytes,
	};
}

static bool limits_equal(const struct fw_rule *a, const struct fw_rule *b)
{
	return a->family == b->family && a->limit.rate == b->limit.rate &&
	       a->limit.burst == b->limit.burst && a->limit.is_bytes == b->limit.is_bytes &&
	       a->limit.src_len == b->limit.src_len;
}

static int buckets_zero(struct ecbpf *e, const struct fw_maps *maps, __u32 first, __u32 count)
{
	_cleanup_free_ struct ecbpf_bucket *full = calloc(count, sizeof(*full));
	_cleanup_free_ __u32 *keys = calloc(count, sizeof(*keys));

	if (!full || !keys)
		return ecbpf_fail_memory(e);
	for (__u32 i = 0; i < count; i++)
		keys[i] = first + i;
	if (bpf_map_update_batch(maps->buckets, keys, full, &count, NULL))
		return fw_fail_map(e, "fw_buckets", -errno);
	return 0;
}

/* @first, @buckets: the buckets of a `per src` limit */
static int limit_make(struct ecbpf *e, const struct fw_maps *maps, const struct fw_rule *rule,
		      __u32 entry, __u32 first, __u32 buckets)
{
	struct ecbpf_fw_limit limit;
	__u64 seed;
	int err;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return ecbpf_fail(e, -errno, "random numbers: %s", strerror(errno));
	limit_fill(rule, seed, rule->limit.src_len ? first : entry, buckets, &limit);
	err = buckets_zero(e, maps, limit.bucket, rule->limit.src_len ? buckets : 1);
	if (!err && bpf_map_update_elem(maps->limits, &entry, &limit, BPF_EXIST))
		err = fw_fail_map(e, "fw_limits", -errno);
	return err;
}

/* Mark the buckets of live `per src` limits in @used, which begins at ECBPF_FW_LIMITS */
static int buckets_mark(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *old,
			bool *used)
{
	for (size_t i = 0; i < old->ruleset->rules_count; i++) {
		struct ecbpf_fw_limit limit;
		__u32 entry = old->limits[i];

		if (entry == FW_NO_ENTRY || !old->ruleset->rules[i].limit.src_len)
			continue;
		if (bpf_map_lookup_elem(maps->limits, &entry, &limit))
			return fw_fail_map(e, "fw_limits", -errno);
		memset(&used[limit.bucket - ECBPF_FW_LIMITS], 1, 1U << (32 - limit.shift));
	}
	return 0;
}

/* Find and mark @buckets adjacent free buckets. Return: the first one, 0 if there are none */
static __u32 buckets_take(bool *used, __u32 buckets)
{
	for (__u32 i = 0; i + buckets <= ECBPF_FW_BUCKETS_SRC; i += buckets) {
		if (memchr(&used[i], 1, buckets))
			continue;
		memset(&used[i], 1, buckets);
		return ECBPF_FW_LIMITS + i;
	}
	return 0;
}

int fw_limits_assign(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *old,
		     struct fw_state *new, const __u16 *same)
{
	_cleanup_free_ bool *used = calloc(ECBPF_FW_LIMITS + ECBPF_FW_BUCKETS_SRC, sizeof(*used));
	__u32 next = 0, most = buckets_per_limit(new->ruleset);
	bool *used_buckets = used ? used + ECBPF_FW_LIMITS : NULL;
	int err;

	if (!used)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < old->ruleset->rules_count; i++) {
		if (old->limits[i] != FW_NO_ENTRY)
			used[old->limits[i]] = true;
	}
	err = buckets_mark(e, maps, old, used_buckets);
	for (size_t i = 0; !err && i < new->ruleset->rules_count; i++) {
		const struct fw_rule *rule = &new->ruleset->rules[i];
		__u32 first = 0, buckets = rule->limit.src_len ? most : 1;

		new->limits[i] = FW_NO_ENTRY;
		if (rule->action != FW_LIMIT)
			continue;
		if (same[i] != FW_NO_ENTRY && old->limits[same[i]] != FW_NO_ENTRY &&
		    limits_equal(rule, &old->ruleset->rules[same[i]])) {
			new->limits[i] = old->limits[same[i]];
			continue;
		}
		new->limits[i] = fw_entry_take(used, &next);
		for (; rule->limit.src_len && !first; buckets /= 2) {
			first = buckets_take(used_buckets, buckets);
			if (first || buckets == 1)
				break;
		}
		if (rule->limit.src_len && !first)
			return ecbpf_fail(e, -E2BIG, "too many limits for each source");
		err = limit_make(e, maps, rule, new->limits[i], first, buckets);
	}
	return err;
}
