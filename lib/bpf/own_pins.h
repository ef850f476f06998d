/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether the maps of a loaded program are those that are pinned. */
#ifndef ECBPF_LIB_OWN_PINS_H
#define ECBPF_LIB_OWN_PINS_H

#include <stdbool.h>

struct ecbpf;

#define OWN_PIN_NAME 32

struct own_pin {
	char name[OWN_PIN_NAME];
	bool is_missing; /* else another map is pinned there */
};

/*
 * Find a map of this program of ours that is not what is pinned in BPFFS/ecbpf by its name. In
 * doubt it is. A fused program has maps of all stages; those that it does not run do not count.
 * @prefix: of the names to look at, or ""
 * @ret: one that is missing, if there is one
 */
bool ecbpf_own_pin_lost(struct ecbpf *e, int prog_fd, const char *prefix, struct own_pin *ret);
/* Has this program maps of this prefix? Return: 1, they are those that are pinned; 0; -ENOENT none
 */
int ecbpf_own_pins_check(struct ecbpf *e, int prog_fd, const char *prefix);
bool ecbpf_pins_are_others(struct ecbpf *e, int prog_fd);
/* Would ecbpf_own_pins_restore() pin any? */
bool ecbpf_own_pins_can_restore(struct ecbpf *e, int prog_fd);
/*
 * Pin its maps again whose pins are missing: all of them, or none if one cannot be, if what is
 * pinned belongs to another program's, or if they are of another schema.
 * Return: how many; 0; or -errno, told
 */
int ecbpf_own_pins_restore(struct ecbpf *e, int prog_fd);

#endif /* ECBPF_LIB_OWN_PINS_H */
