// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counters of rules in the kernel.
 */
#include <errno.h>
#include <stdlib.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "core/error.h"
#include "core/util.h"
#include "fw/live.h"

int fw_counter_clear(struct ecbpf *e, const struct fw_maps *maps, __u32 entry)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct ecbpf_fw_counter *zero = NULL;

	zero = calloc(cpus > 0 ? cpus : 1, sizeof(*zero));
	if (!zero)
		return ecbpf_fail_memory(e);
	if (bpf_map_update_elem(maps->counters, &entry, zero, BPF_EXIST))
		return fw_fail_map(e, "fw_counters", -errno);
	return 0;
}

/* Read the counters of rules, summed over the CPUs */
int fw_counters_read(struct ecbpf *e, int fd, const __u16 *counters, size_t count,
		     struct ecbpf_fw_stat *ret_stats)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct ecbpf_fw_counter *values = NULL;

	values = calloc(cpus > 0 ? cpus : 1, sizeof(*values));
	if (!values)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < count; i++) {
		__u32 key = counters[i];

		if (bpf_map_lookup_elem(fd, &key, values))
			return fw_fail_map(e, "fw_counters", -errno);
		ret_stats[i] = (struct ecbpf_fw_stat){};
		for (int cpu = 0; cpu < cpus; cpu++) {
			ret_stats[i].packets += values[cpu].packets;
			ret_stats[i].bytes += values[cpu].bytes;
			ret_stats[i].over += values[cpu].over;
			ret_stats[i].shared += values[cpu].shared;
		}
	}
	return 0;
}
