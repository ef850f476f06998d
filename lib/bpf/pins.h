/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The directories of pins. */
#ifndef ECBPF_LIB_PINS_H
#define ECBPF_LIB_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct ecbpf;

/* For each entry of a directory, if it exists */
typedef int (*ecbpf_entry_fn)(struct ecbpf *e, const char *name, void *data);
int ecbpf_for_each_entry(struct ecbpf *e, const char *path, ecbpf_entry_fn fn, void *data);
/* For each entry of BPFFS/ecbpf: a pinned map, or what ecbpf_netns_mark() left (@is_symlink) */
typedef int (*ecbpf_pin_fn)(struct ecbpf *e, const char *path, bool is_symlink, void *data);
int ecbpf_for_each_pin(struct ecbpf *e, ecbpf_pin_fn fn, void *data);
/* Is there BPFFS/ecbpf, which the first change makes? */
bool ecbpf_has_pins(struct ecbpf *e);
/* Does a program, anywhere, use this map; any of those that are pinned in BPFFS/ecbpf? */
bool ecbpf_map_is_used(__u32 map_id);
bool ecbpf_pins_are_used(struct ecbpf *e);
int ecbpf_unpin_maps(struct ecbpf *e);
/* The schema of maps that another version has pinned; 0: there are none */
__u32 ecbpf_pins_other_schema(struct ecbpf *e);
/* How many of this program's maps are pinned in BPFFS/ecbpf? Return: the number, or -errno */
int ecbpf_pins_of(struct ecbpf *e, int prog_fd);

/* Pins that are removed, and can still be put back */
struct taken {
	const char *prefix;
	const char *const *names; /* instead; NULL ends them */
	struct taken_pin {
		char *path;
		int fd;
		bool is_taken;
	} * pins;
	size_t count;
};

/* Those whose names begin with @prefix, or none on failure */
int ecbpf_pins_take(struct ecbpf *e, const char *prefix, struct taken *ret);
/* Those with these names. @names: as long as @ret; NULL ends them */
int ecbpf_pins_take_names(struct ecbpf *e, const char *const *names, struct taken *ret);
/* @err: of the rest of the change: if it failed, they are put back */
void ecbpf_pins_end(struct ecbpf *e, struct taken *t, int err);

#endif /* ECBPF_LIB_PINS_H */
