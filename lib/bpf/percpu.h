/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Entries of per-CPU maps, of all CPUs together. */
#ifndef ECBPF_LIB_PERCPU_H
#define ECBPF_LIB_PERCPU_H

#include <stddef.h>
#include <linux/types.h>

/*
 * Add up an entry over the CPUs. @size: of the value, which consists of __u64
 * Return: 0; -EPROTO the map has another value; -errno
 */
int ecbpf_percpu_sum(int fd, __u32 key, void *ret_sum, size_t size);
/*
 * The value of each CPU. @size: of the value, a multiple of 8; @ret_values: for free()
 * Return: 0; -EPROTO the map has another value; -errno
 */
int ecbpf_percpu_read(int fd, __u32 key, size_t size, void **ret_values, int *ret_cpus);
/* Set @count entries from @key on to zero on all CPUs. Return: 0 or -errno */
int ecbpf_percpu_zero(int fd, __u32 key, __u32 count);

#endif /* ECBPF_LIB_PERCPU_H */
