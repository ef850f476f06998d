/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Loading a BPF object so that all of it can be read back. */
#ifndef ECBPF_LIB_OBJECT_H
#define ECBPF_LIB_OBJECT_H

#include <stdbool.h>

struct ecbpf;
struct bpf_object;

/*
 * As bpf_object__load(), which leaves out constants, so that the verifier refuses a program, if
 * libbpf has taken an error for a kernel that has none: -EBADMSG, see ecbpf_is_misled()
 */
int ecbpf_object_make(struct ecbpf *e, struct bpf_object *obj);
/*
 * As bpf_object__load(), which makes maps without a name or BTF where the kernel refuses these for
 * lack of memory: that is an error here. @is_ours: programs say the schema.
 * Return: 0; errors of libbpf, which set no error text; -EBADMSG it cannot be read back
 */
int ecbpf_object_load(struct ecbpf *e, struct bpf_object *obj, bool is_ours);

#endif /* ECBPF_LIB_OBJECT_H */
