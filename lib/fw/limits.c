// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Limits of rules in the kernel: entries of `fw_limits`, and their buckets.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include "core/bucket.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/time.h"
#include "fw/live.h"

/* Groups of a `per src` limit: half of all are left for the next ruleset */
static __u32 groups_per_limit(const struct ecbpf_fw_ruleset *ruleset)
{
	__u32 limits = 0, groups;

	for (size_t i = 0; i < ruleset->rules_count; i++)
		limits += ruleset->rules[i].action == FW_LIMIT && ruleset->rules[i].limit.src_len;
	_Static_assert(ECBPF_FW_GROUPS / 2 >= FW_RULES_MAX, "at least one");
	groups = ECBPF_FW_GROUPS / 2 / (limits ? limits : 1);
	return groups < ECBPF_FW_GROUPS_MAX ? groups : ECBPF_FW_GROUPS_MAX;
}

/*
 * Of what a bucket holds, all CPUs together take at most a 64th ahead; each of them at least two
 * packets, or it is not worth it
 */
static __u32 limit_ahead(const struct ecbpf_rate *rate, bool is_bytes)
{
	__u64 least = rate->cost * (is_bytes ? 2 * ETH_FRAME_LEN : 2);
	__u32 shift = 6;

	for (int cpus = libbpf_num_possible_cpus(); cpus > 1 << (shift - 6); shift++)
		;
	return rate->max >> shift >= least ? shift : 0;
}

static void limit_fill(const struct fw_rule *rule, __u32 group, __u32 groups,
		       struct ecbpf_fw_limit *ret)
{
	int len = rule->limit.src_len + (rule->family == 4 ? 96 : 0);

	*ret = (struct ecbpf_fw_limit){
		.rate = ecbpf_rate_burst(rule->limit.rate, rule->limit.burst, ecbpf_hz()),
		.mask = {len >= 64 ? ~0ULL : ~(~0ULL >> len), len <= 64 ? 0 : ~0ULL << (128 - len)},
		.groups = groups,
		.group = group,
		.is_bytes = rule->limit.is_bytes,
	};
	ret->ahead = groups ? 0 : limit_ahead(&ret->rate, ret->is_bytes);
}

static bool limits_equal(const struct fw_rule *a, const struct fw_rule *b)
{
	return a->family == b->family && a->limit.rate == b->limit.rate &&
	       a->limit.burst == b->limit.burst && a->limit.is_bytes == b->limit.is_bytes &&
	       a->limit.src_len == b->limit.src_len;
}

/* Zero @count entries: full buckets */
static int buckets_fill(struct ecbpf *e, int fd, const char *name, size_t bytes, __u32 first,
			__u32 count)
{
	_cleanup_free_ void *full = calloc(count, bytes);
	_cleanup_free_ __u32 *keys = calloc(count, sizeof(*keys));

	if (!full || !keys)
		return ecbpf_fail_memory(e);
	for (__u32 i = 0; i < count; i++)
		keys[i] = first + i;
	if (bpf_map_update_batch(fd, keys, full, &count, NULL))
		return fw_fail_map(e, name, -errno);
	return 0;
}

/* @group, @groups: the groups of a `per src` limit; else @groups is 0 */
static int limit_make(struct ecbpf *e, const struct fw_maps *maps, const struct fw_rule *rule,
		      __u32 entry, __u32 group, __u32 groups)
{
	struct ecbpf_fw_limit limit;
	int err;

	limit_fill(rule, group, groups, &limit);
	if (getrandom(&limit.secret, sizeof(limit.secret), 0) != sizeof(limit.secret))
		return ecbpf_fail(e, -errno, "cannot get random numbers: %s", strerror(errno));
	if (groups)
		err = buckets_fill(e, maps->groups, "fw_groups", sizeof(struct ecbpf_bucket_group),
				   group, groups);
	else
		err = buckets_fill(e, maps->buckets, "fw_buckets", sizeof(struct ecbpf_bucket),
				   entry, 1);
	if (!err && bpf_map_update_elem(maps->limits, &entry, &limit, BPF_EXIST))
		err = fw_fail_map(e, "fw_limits", -errno);
	return err;
}

/* Mark the groups of live `per src` limits in @used */
static int groups_mark(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *old,
		       bool *used)
{
	for (size_t i = 0; i < old->ruleset->rules_count; i++) {
		struct ecbpf_fw_limit limit;
		__u32 entry = old->limits[i];

		if (entry == FW_NO_ENTRY || !old->ruleset->rules[i].limit.src_len)
			continue;
		if (bpf_map_lookup_elem(maps->limits, &entry, &limit))
			return fw_fail_map(e, "fw_limits", -errno);
		memset(&used[limit.group], 1, limit.groups);
	}
	return 0;
}

/* Find and mark @count adjacent free groups. Return: false if there are none */
static bool groups_take(bool *used, __u32 count, __u32 *ret_first)
{
	__u32 free = 0;

	for (__u32 i = 0; i < ECBPF_FW_GROUPS; i++) {
		free = used[i] ? 0 : free + 1;
		if (free < count)
			continue;
		*ret_first = i + 1 - count;
		memset(&used[*ret_first], 1, count);
		return true;
	}
	return false;
}

int fw_limits_assign(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *old,
		     struct fw_state *new, const __u16 *same)
{
	_cleanup_free_ bool *used = calloc(ECBPF_FW_LIMITS + ECBPF_FW_GROUPS, sizeof(*used));
	__u32 next = 0, most = groups_per_limit(new->ruleset);
	bool *used_groups = used ? used + ECBPF_FW_LIMITS : NULL;
	int err;

	if (!used)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < old->ruleset->rules_count; i++) {
		if (old->limits[i] != FW_NO_ENTRY)
			used[old->limits[i]] = true;
	}
	err = groups_mark(e, maps, old, used_groups);
	for (size_t i = 0; !err && i < new->ruleset->rules_count; i++) {
		const struct fw_rule *rule = &new->ruleset->rules[i];
		__u32 group = 0, groups = rule->limit.src_len ? most : 0;

		new->limits[i] = FW_NO_ENTRY;
		if (rule->action != FW_LIMIT)
			continue;
		if (same[i] != FW_NO_ENTRY && old->limits[same[i]] != FW_NO_ENTRY &&
		    limits_equal(rule, &old->ruleset->rules[same[i]])) {
			new->limits[i] = old->limits[same[i]];
			continue;
		}
		new->limits[i] = fw_entry_take(used, &next);
		while (groups && !groups_take(used_groups, groups, &group))
			groups /= 2;
		if (rule->limit.src_len && !groups)
			return ecbpf_fail(e, -E2BIG, "too many rules with 'limit ... per src'");
		err = limit_make(e, maps, rule, new->limits[i], group, groups);
	}
	return err;
}
