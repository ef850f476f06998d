/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How a program was loaded: a record that is kept with the program. */
#ifndef ECBPF_LIB_LOADED_H
#define ECBPF_LIB_LOADED_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct ecbpf;
struct ecbpf_program;
struct predecessor;
struct program;

/**
 * struct loaded - what a program was loaded as
 * @fingerprint: of struct program
 * @is_owned: by ecbpf_chain_set(), which may remove it again though it is none of our stages
 * @spec: struct ecbpf_program without priority and actions, "KEY=VALUE" lines
 *
 * The entry of a map that is bound to the program, and lives exactly as long as it.
 */
#define LOADED_MAP	 "ecbpf_loaded"
#define LOADED_SPEC_SIZE 4080
struct loaded {
	__u64 fingerprint;
	__u32 is_owned;
	__u32 reserved;
	char spec[LOADED_SPEC_SIZE];
};

/* Of a program that is identified by its object file alone */
__u64 ecbpf_fingerprint(const void *object, size_t size);
/* @name: for errors */
int ecbpf_loaded_bind(struct ecbpf *e, int prog_fd, const char *name, const struct loaded *loaded);
int ecbpf_loaded_write(struct ecbpf *e, int prog_fd, const struct ecbpf_program *spec,
		       const struct predecessor *predecessor, const struct program *program,
		       bool is_owned);
/* The first constant in @spec, or in the rest of it; NULL: none. Ended by a newline or 0 */
const char *ecbpf_loaded_constant(const char *spec, int *ret_len);
/* -ENOENT: the program was not loaded by this library, or by a version that left no note */
int ecbpf_loaded_read(int prog_fd, struct loaded *ret_loaded);

#endif /* ECBPF_LIB_LOADED_H */
