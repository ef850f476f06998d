/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What BTF says of an object file, or of a loaded program or map. */
#ifndef ECBPF_LIB_METADATA_H
#define ECBPF_LIB_METADATA_H

#include <stdbool.h>
#include <linux/types.h>
#include <bpf/btf.h>

/* The schema that an object was built for; 0: none of ours */
__u32 ecbpf_btf_schema(const struct btf *btf);
/* `xdp_metadata` and the like: the number that a __uint(NAME, number) in BTF section @sec says */
bool ecbpf_btf_number(const struct btf *btf, const char *sec, const char *name, __u32 *ret);
/* Is this variable of section .maps one that is pinned by its name? */
bool ecbpf_btf_map_pinned(const struct btf *btf, __u32 var_id, const char **ret_name);
/*
 * Is a map with @type and @value_size what this variable of section .maps defines, as far as that
 * is said there?
 */
bool ecbpf_btf_map_is(const struct btf *btf, __u32 var_id, __u32 type, __u32 value_size);
/* Offset of a global variable in its section; -ENOENT */
int ecbpf_btf_var(const struct btf *btf, const char *sec, const char *name, __u32 *ret_off,
		  __u32 *ret_size);
/* A section, and a variable of it with its type; NULL: there is none */
const struct btf_type *ecbpf_btf_datasec(const struct btf *btf, const char *sec);
const struct btf_var_secinfo *ecbpf_btf_sec_var(const struct btf *btf, const char *sec,
						const char *name, const struct btf_type **ret_type);

#endif /* ECBPF_LIB_METADATA_H */
