/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps: those that are pinned, and values of all CPUs. */
#ifndef ECBPF_LIB_MAP_H
#define ECBPF_LIB_MAP_H

#include <linux/bpf.h>
#include <bpf/libbpf.h>

struct ecbpf;

/*
 * A map that is pinned at @path already has to be of our schema: -EPROTO. @map, if not NULL, is
 * made as large as that one is.
 */
int ecbpf_pinned_map_check(struct ecbpf *e, const char *path, struct bpf_map *map);
/* All CPUs' values of entry @key, each rounded up to 8 bytes; for free() */
void *ecbpf_percpu_values(int fd, __u32 key, const struct bpf_map_info *map, int *ret_cpus);
/* Set one entry of per-CPU map @name of a program to zero, or all (@key -1) */
int ecbpf_percpu_zero(int prog_fd, const char *name, int key);

#endif /* ECBPF_LIB_MAP_H */
