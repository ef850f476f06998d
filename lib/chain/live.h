/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading what is attached to an interface. */
#ifndef ECBPF_LIB_CHAIN_LIVE_H
#define ECBPF_LIB_CHAIN_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <ecbpf/libecbpf.h>
#include "bpf/program.h"
#include "chain/dispatcher.h"

/* A program in a chain, attached already (fd) or to be loaded (spec) */
struct member {
	const struct ecbpf_program *spec;
	struct program program;
	char name[64];
	__u32 id;
	__u32 prio;
	__u32 actions;
	bool has_frags;
	bool is_single; /* attached without a dispatcher, which is for XDP programs by themselves */
	bool is_owned;	/* to be loaded for ecbpf_chain_set(), see struct loaded */
	bool keeps_place; /* priority and actions stay, unless others are given */
	struct predecessor predecessor;
	int fd;
	int link_fd;
};

/* What is attached to an interface now */
struct live {
	__u32 id; /* 0: nothing */
	int fd;
	enum ecbpf_mode mode;
	enum ecbpf_chain_kind kind;
	struct dispatcher_config config;
	size_t count;
	struct member members[DISPATCHER_MEMBERS];
};

/* What the kernel says is attached. @ret_mode: UNSPEC if nothing is (id 0) */
int ecbpf_attached(struct ecbpf *e, int ifindex, __u32 *ret_id, enum ecbpf_mode *ret_mode);
const char *ecbpf_live_mode_name(enum ecbpf_mode mode);
/* As ecbpf_live_read(), by name. @ret_ifindex: or NULL */
int ecbpf_live_open(struct ecbpf *e, const char *iface, int *ret_ifindex, struct live *ret);
int ecbpf_live_read(struct ecbpf *e, int ifindex, struct live *ret);
void ecbpf_live_close(struct live *live);

#endif /* ECBPF_LIB_CHAIN_LIVE_H */
