// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counters of rules in the kernel.
 */
#include "bpf/percpu.h"
#include "fw/live.h"

int fw_counter_clear(struct ecbpf *e, const struct fw_maps *maps, __u32 entry)
{
	int err = ecbpf_percpu_zero(maps->counters, entry, 1);

	return err ? fw_fail_map(e, "fw_counters", err) : 0;
}

static __u64 dropped_by(const struct fw_rule *rule, const struct ecbpf_fw_counter *counter)
{
	if (rule->is_dry)
		return 0;
	return rule->action == FW_DROP	  ? counter->packets
	       : rule->action == FW_LIMIT ? counter->over
					  : 0;
}

int fw_counters_read(struct ecbpf *e, int fd, const struct ecbpf_fw_ruleset *ruleset,
		     const __u16 *counters, struct ecbpf_fw_stat *ret_stats)
{
	struct ecbpf_fw_counter counter;
	int err;

	for (size_t i = 0; i < ruleset->rules_count; i++) {
		err = ecbpf_percpu_sum(fd, counters[i], &counter, sizeof(counter));
		if (err)
			return fw_fail_map(e, "fw_counters", err);
		ret_stats[i] = (struct ecbpf_fw_stat){
			.packets = counter.packets,
			.bytes = counter.bytes,
			.over = counter.over,
			.shared = counter.shared,
			.dropped = dropped_by(&ruleset->rules[i], &counter),
		};
	}
	return 0;
}
