// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The sampler's counters and what is in force */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "bpf/percpu.h"
#include "sampler/sampler.h"

int sampler_state_sum(struct ecbpf *e, const struct bpf_object *obj,
		      struct ecbpf_sampling_state *ret_state)
{
	int err = ecbpf_percpu_sum(sampler_map(obj, "sampling_state"), 0, ret_state,
				   sizeof(*ret_state));

	return err ? ecbpf_fail(e, err, "cannot read sampling_state: %s", strerror(-err)) : 0;
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
	lock = sampler_lock(e, false); /* no reader ever, no directory */
	ret_status->is_read = lock == -EBUSY;
	if (lock >= 0)
		close(lock);
	return lock >= 0 || lock == -EBUSY || lock == -ENOENT ? 0 : lock;
}
