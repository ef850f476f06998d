/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps of attached programs whose pins are gone. */
#ifndef ECBPF_LIB_CHAIN_LOST_H
#define ECBPF_LIB_CHAIN_LOST_H

#include <net/if.h>
#include "bpf/own_pins.h"
#include "bpf/pins.h"

struct bpf_object;
struct ecbpf;

/*
 * Does a program of ours that is attached in this network namespace use a map, of this @prefix,
 * whose pin is gone? Return: 1, with the pin and the interface; 0; or -errno
 */
int ecbpf_lost_find(struct ecbpf *e, const char *prefix, struct own_pin *ret,
		    char ret_iface[IF_NAMESIZE]);
/* Pin again what attached programs use and is not pinned any more. What cannot be: see doctor */
int ecbpf_lost_restore(struct ecbpf *e);
/*
 * Maps of @stage are to be made, or were found missing: none of an attached program may be among
 * them, which would go on with the old one. So they are pinned again.
 * Return: 0; -ESTALE there is one that cannot be
 */
int ecbpf_lost_check(struct ecbpf *e, const char *stage);
/* All maps of the firewall; NULL ends them */
extern const char *const ecbpf_fw_maps[];
/*
 * Some maps have a meaning only together: the firewall's rules, the filter's lists. Are some of
 * this stage's pinned, and others not? Return: 1, 0 or -errno
 */
int ecbpf_lost_is_partial(struct ecbpf *e, const char *stage);
/* Before a program of @stage is loaded, likewise: ecbpf_lost_check(), ecbpf_lost_take() */
int ecbpf_lost_commit(struct ecbpf *e, const char *stage, struct taken *ret);
/* Then remove the pins of the others, so that all are made anew. For ecbpf_pins_end() */
int ecbpf_lost_take(struct ecbpf *e, const char *stage, struct taken *ret);
/*
 * The maps of a stage without its program; those that are pinned are found or made. For close
 * Return: 0; -ESTALE as ecbpf_lost_check(), unless the handle renews maps; other errors
 */
int ecbpf_stage_maps(struct ecbpf *e, const char *stage, struct bpf_object **ret_obj);

#endif /* ECBPF_LIB_CHAIN_LOST_H */
