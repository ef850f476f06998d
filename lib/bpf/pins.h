/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The directories of pins. */
#ifndef ECBPF_LIB_PINS_H
#define ECBPF_LIB_PINS_H

#include <stdbool.h>
#include <linux/types.h>

struct ecbpf;

/* For each entry of a directory, if it exists */
typedef int (*ecbpf_entry_fn)(struct ecbpf *e, const char *name, void *data);
int ecbpf_for_each_entry(struct ecbpf *e, const char *path, ecbpf_entry_fn fn, void *data);
/* For each entry of BPFFS/ecbpf: a pinned map, or what ecbpf_netns_mark() left (@is_symlink) */
typedef int (*ecbpf_pin_fn)(struct ecbpf *e, const char *path, bool is_symlink, void *data);
int ecbpf_for_each_pin(struct ecbpf *e, ecbpf_pin_fn fn, void *data);
/* Does a program, anywhere, use this map; any of those that are pinned in BPFFS/ecbpf? */
bool ecbpf_map_is_used(__u32 map_id);
bool ecbpf_pins_are_used(struct ecbpf *e);
int ecbpf_unpin_maps(struct ecbpf *e);

#endif /* ECBPF_LIB_PINS_H */
