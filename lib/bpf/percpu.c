// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Entries of per-CPU maps, of all CPUs together. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/info.h"
#include "bpf/percpu.h"
#include "core/util.h"

/* Memory for one entry, zeroed: the kernel rounds the value of each CPU up to 8 bytes */
static int percpu_alloc(int fd, void **ret_values, int *ret_cpus, __u32 *ret_size)
{
	int err, cpus = libbpf_num_possible_cpus();
	struct bpf_map_info info = {};

	err = cpus < 0 ? cpus : ecbpf_map_info(fd, &info);
	if (err)
		return err;
	*ret_values = calloc(cpus, (info.value_size + 7) & ~7U);
	*ret_cpus = cpus;
	*ret_size = info.value_size;
	return *ret_values ? 0 : -ENOMEM;
}

int ecbpf_percpu_read(int fd, __u32 key, size_t size, void **ret_values, int *ret_cpus)
{
	_cleanup_free_ void *values = NULL;
	__u32 value_size;
	int err;

	err = percpu_alloc(fd, &values, ret_cpus, &value_size);
	if (err)
		return err;
	if (value_size != size || size % sizeof(__u64))
		return -EPROTO;
	if (bpf_map_lookup_elem(fd, &key, values))
		return -errno;
	*ret_values = values;
	values = NULL;
	return 0;
}

int ecbpf_percpu_sum(int fd, __u32 key, void *ret_sum, size_t size)
{
	_cleanup_free_ void *values = NULL;
	__u64 *sum = ret_sum;
	int err, cpus;

	err = ecbpf_percpu_read(fd, key, size, &values, &cpus);
	memset(ret_sum, 0, size);
	for (size_t i = 0; !err && values && i < cpus * size / sizeof(*sum); i++)
		sum[i % (size / sizeof(*sum))] += ((const __u64 *)values)[i];
	return err;
}

int ecbpf_percpu_zero(int fd, __u32 key, __u32 count)
{
	_cleanup_free_ void *zero = NULL;
	__u32 value_size;
	int err, cpus;

	err = percpu_alloc(fd, &zero, &cpus, &value_size);
	for (__u32 end = key + count; key < end && !err; key++)
		err = bpf_map_update_elem(fd, &key, zero, BPF_EXIST) ? -errno : 0;
	return err;
}
