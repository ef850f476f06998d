/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The pins of dispatchers. */
#ifndef ECBPF_LIB_CHAIN_PINS_H
#define ECBPF_LIB_CHAIN_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct ecbpf;

/* BPFFS/xdp/dispatch-IFINDEX-ID[/progN-(prog|link)] */
int ecbpf_dispatcher_path(struct ecbpf *e, char *path, size_t size, int ifindex, __u32 id);
int ecbpf_member_path(struct ecbpf *e, char *path, size_t size, int ifindex, __u32 id, int slot,
		      const char *what);
/* Remove a dispatcher's pins and its directory; a pin that is missing is no error */
int ecbpf_unpin_dispatcher(struct ecbpf *e, int ifindex, __u32 id);
/* For each directory of a dispatcher's pins */
typedef int (*ecbpf_dispatcher_fn)(struct ecbpf *e, int ifindex, __u32 id, void *data);
int ecbpf_for_each_dispatcher(struct ecbpf *e, ecbpf_dispatcher_fn fn, void *data);
/* Note the network namespace of a dispatcher of ours: `clean` in another one leaves its pins */
#define NETNS_SIZE 32
int ecbpf_netns_mark(struct ecbpf *e, int ifindex, __u32 id);
/* Is it known to be of another network namespace? @ret_netns[NETNS_SIZE]: of which, if true */
bool ecbpf_netns_is_other(struct ecbpf *e, int ifindex, __u32 id, char *ret_netns);

#endif /* ECBPF_LIB_CHAIN_PINS_H */
