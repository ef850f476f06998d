/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The BPF file system: where it is, and paths in it. */
#ifndef ECBPF_LIB_BPFFS_H
#define ECBPF_LIB_BPFFS_H

#include <stdbool.h>
#include <stddef.h>

struct ecbpf;

/*
 * Find the BPF file system; e->bpffs is set afterwards. @make: make our and libxdp's directory.
 * Return: 0; -ENODEV there is none; -EPERM must be root; -EACCES others than root could have put
 * pins there; errors
 */
int ecbpf_bpffs_open(struct ecbpf *e, bool make);
/* Is it missing, or a directory that only root can change? Else -EACCES. For BPFFS/ecbpf, BPFFS/xdp
 */
int ecbpf_bpffs_check_dir(struct ecbpf *e, const char *path);
/* @path[@size] = @format; -ENAMETOOLONG */
int ecbpf_path_format(struct ecbpf *e, char *path, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* BPFFS/ecbpf/NAME */
int ecbpf_pin_path(struct ecbpf *e, char *path, size_t size, const char *name);
/* Is there anything at @path? Return: 1; 0; -errno if that cannot be told, which is not "no" */
int ecbpf_is_there(struct ecbpf *e, const char *path);
/* Likewise, of BPFFS/ecbpf/@name; errors of ecbpf_bpffs_open(), too */
int ecbpf_pin_is_there(struct ecbpf *e, const char *name);
/* Error of a directory of ours or of libxdp's, from errno */
int ecbpf_fail_dir(struct ecbpf *e, const char *what, const char *path);

#endif /* ECBPF_LIB_BPFFS_H */
