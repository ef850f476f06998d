// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The sampler's counters and what is in force */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "sampler/sampler.h"

int sampler_state_sum(struct ecbpf *e, const struct bpf_object *obj,
		      struct ecbpf_sampling_state *ret_state)
{
	_cleanup_free_ struct ecbpf_sampling_state *values = NULL;
	struct ecbpf_sampling_state sum = {};
	int cpus = libbpf_num_possible_cpus();
	__u32 key = 0;

	values = cpus < 0 ? NULL : calloc(cpus, sizeof(*values));
	if (!values)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	if (bpf_map_lookup_elem(sampler_map(obj, "sampling_state"), &key, values))
		return ecbpf_fail(e, -errno, "cannot read sampling_state: %s", strerror(errno));
	for (int cpu = 0; cpu < cpus; cpu++) {
		sum.put += values[cpu].put;
		sum.capped += values[cpu].capped;
		sum.lost += values[cpu].lost;
		sum.unread += values[cpu].unread;
	}
	*ret_state = sum;
	return 0;
}

int sampler_status_read(struct ecbpf *e, const struct bpf_object *obj,
			struct ecbpf_sampler_status *ret_status)
{
	struct ecbpf_sampler_status status = {};
	__u32 key = 0;
	int err;

	err = sampler_state_sum(e, obj, &status.kernel);
	if (err)
		return err;
	if (bpf_map_lookup_elem(sampler_map(obj, "sampling"), &key, &status.settings) ||
	    bpf_map_lookup_elem(sampler_map(obj, "sampler_stats"), &key, &status.reader))
		return ecbpf_fail(e, -errno, "cannot read the sampler's maps: %s", strerror(errno));
	*ret_status = status;
	return 0;
}

int ecbpf_sampler_status(struct ecbpf *e, struct ecbpf_sampler_status *ret_status)
{
	struct bpf_object *obj;
	int err, lock;

	err = sampler_maps_find(e);
	if (!err)
		err = sampler_maps_open(e, &obj);
	if (err)
		return err;
	err = sampler_status_read(e, obj, ret_status);
	bpf_object__close(obj);
	if (err)
		return err;
	lock = sampler_lock(e);
	ret_status->is_read = lock == -EBUSY;
	if (lock >= 0)
		close(lock);
	return 0;
}
