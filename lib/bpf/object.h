/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Loading a BPF object so that all of it can be read back. */
#ifndef ECBPF_LIB_OBJECT_H
#define ECBPF_LIB_OBJECT_H

#include <stdbool.h>

struct ecbpf;
struct bpf_object;

/*
 * As bpf_object__load(). If libbpf believes that the kernel has no constants, it leaves them out,
 * and the verifier refuses the program. Return: as that; -EBADMSG in this case, with the text of
 * the error, see ecbpf_is_misled()
 */
int ecbpf_object_make(struct ecbpf *e, struct bpf_object *obj);
/*
 * As bpf_object__load(), which makes maps without a name or BTF where the kernel refuses these for
 * lack of memory: that is an error here. @is_ours: programs say the schema.
 * Return: 0; errors of libbpf, which set no error text; -EBADMSG it cannot be read back
 */
int ecbpf_object_load(struct ecbpf *e, struct bpf_object *obj, bool is_ours);

#endif /* ECBPF_LIB_OBJECT_H */
