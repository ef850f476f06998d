// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Waiting until running BPF programs have finished. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <bpf/bpf.h>
#include "bpf/synchronize.h"
#include "core/handle.h"

/*
 * The kernel does this for those who update a map of maps, so that they know which inner map is in
 * use (bpf_map_update_elem(), since Linux 5.0).
 */
void ecbpf_synchronize(struct ecbpf *e)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	__u32 key = 0;
	int inner, outer = -1;

	inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ecbpf_wait", sizeof(key), sizeof(key), 1, NULL);
	if (inner >= 0) {
		opts.inner_map_fd = inner;
		outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "ecbpf_wait", sizeof(key),
				       sizeof(key), 1, &opts);
	}
	if (outer < 0 || bpf_map_update_elem(outer, &key, &inner, BPF_ANY)) {
		ecbpf_log(e, ECBPF_LOG_WARN, "cannot wait for packets on their way: %s",
			  strerror(errno));
		nanosleep(&(struct timespec){.tv_nsec = 100 * 1000000L}, NULL);
	}
	close_fd(&outer);
	close_fd(&inner);
}
