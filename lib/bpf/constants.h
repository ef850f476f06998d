/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Constants (.rodata) of a program, which are its settings. */
#ifndef ECBPF_LIB_CONSTANTS_H
#define ECBPF_LIB_CONSTANTS_H

#include <stdbool.h>
#include <linux/types.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

struct ecbpf;

/* Where constant @name lies in the not yet loaded object; NULL: it has none of that name */
void *ecbpf_constant_find(struct bpf_object *obj, const char *name, __u32 *ret_size,
			  const struct btf_type **ret_type);
bool ecbpf_constant_set(struct bpf_object *obj, const char *name, __u64 value);
/* @setting: NAME=NUMBER; @file: for errors */
int ecbpf_setting_apply(struct ecbpf *e, const char *file, struct bpf_object *obj,
			const char *setting);
/* Copy constant @name of a loaded program, which has @size bytes */
int ecbpf_constant_read(int prog_fd, const char *name, void *ret, __u32 size);
/* Take over those of the replaced program, except those that say how it is loaded */
int ecbpf_constants_inherit(struct ecbpf *e, struct bpf_object *obj, int old_fd);

#endif /* ECBPF_LIB_CONSTANTS_H */
