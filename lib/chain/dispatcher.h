/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The dispatcher program, libxdp's or ours: opening it, loading it, reading its configuration. */
#ifndef ECBPF_LIB_DISPATCHER_H
#define ECBPF_LIB_DISPATCHER_H

#include <stdbool.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <xdp/libxdp.h>

struct ecbpf;

/* libxdp's protocol: see progs/dispatcher.bpf.c */
#define DISPATCHER_NAME	    "xdp_dispatcher"
#define DISPATCHER_FILE	    "xdp-dispatcher.o"
#define DISPATCHER_MAGIC    236
#define DISPATCHER_MEMBERS  10
#define DISPATCHER_CONTINUE 31 /* what an empty slot returns: never a verdict */

/* The configuration as of protocol 3; that of protocol 2 is the same without the last field */
struct dispatcher_config {
	__u8 magic;
	__u8 dispatcher_version;
	__u8 num_progs_enabled;
	__u8 is_xdp_frags;
	__u32 chain_call_actions[DISPATCHER_MEMBERS];
	__u32 run_prios[DISPATCHER_MEMBERS];
	__u32 program_flags[DISPATCHER_MEMBERS];
	__u8 is_xdp_devbound;
};

struct dispatcher {
	struct xdp_program *xdp; /* libxdp's; NULL if ours */
	struct bpf_object *obj;
	struct bpf_program *prog;
	__u32 protocol;
};

int ecbpf_dispatcher_open(struct ecbpf *e, bool ours, struct dispatcher *ret);
void ecbpf_dispatcher_close(struct dispatcher *d);
/* Load it with this configuration */
int ecbpf_dispatcher_load(struct ecbpf *e, struct dispatcher *d,
			  const struct dispatcher_config *config);
/* The protocol of libxdp's dispatcher object: 2 or 3 */
int ecbpf_dispatcher_protocol(struct ecbpf *e, __u32 *ret_protocol);
/*
 * The configuration of a loaded dispatcher. Return: -ENOENT it is none. @ret_config is zeroed
 * behind the fields that its protocol has.
 */
int ecbpf_dispatcher_config(int prog_fd, const struct bpf_prog_info *info,
			    struct dispatcher_config *ret_config);

#endif /* ECBPF_LIB_DISPATCHER_H */
