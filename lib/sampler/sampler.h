/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of the sampler share */
#ifndef ECBPF_SAMPLER_H
#define ECBPF_SAMPLER_H

#include <ecbpf/libecbpf-sampler.h>
#include <bpf/libbpf.h>
#include "core/handle.h"

int sampler_map(const struct bpf_object *obj, const char *name);
/* Are the maps there, made by a load or a reader before? */
int sampler_maps_find(struct ecbpf *e);
int sampler_maps_open(struct ecbpf *e, struct bpf_object **ret_obj);
/* Be the reader. Return: for close(); -EBUSY there is one; -ENOENT there was none, if not @make */
int sampler_lock(struct ecbpf *e, bool make);
int sampler_state_sum(struct ecbpf *e, const struct bpf_object *obj,
		      struct ecbpf_sampling_state *ret_state);
/* All but is_read */
int sampler_status_read(struct ecbpf *e, const struct bpf_object *obj,
			struct ecbpf_sampler_status *ret_status);

#endif /* ECBPF_SAMPLER_H */
