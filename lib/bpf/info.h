/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel says of a loaded program or map. */
#ifndef ECBPF_LIB_INFO_H
#define ECBPF_LIB_INFO_H

#include <stddef.h>
#include <linux/bpf.h>

struct btf;

/* Return: 0 or -errno */
int ecbpf_prog_info(int fd, struct bpf_prog_info *info);
int ecbpf_map_info(int fd, struct bpf_map_info *info);
/* @ret_btf: for btf__free(); NULL: it has none. Return: 0 or -errno */
int ecbpf_btf_get(__u32 id, struct btf **ret_btf);
int ecbpf_prog_btf(const struct bpf_prog_info *info, struct btf **ret_btf);
/* Full name (BTF) of a loaded program */
void ecbpf_prog_name(const struct bpf_prog_info *info, const struct btf *btf, char *ret,
		     size_t size);
/* fd of the map that program @prog_fd calls @name, or -ENOENT */
int ecbpf_prog_map(int prog_fd, const char *name, struct bpf_map_info *ret_info);

#endif /* ECBPF_LIB_INFO_H */
