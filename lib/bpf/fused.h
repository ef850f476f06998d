/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The layout of ecbpf_fused: which stages it runs, and where their counters are. */
#ifndef ECBPF_LIB_FUSED_H
#define ECBPF_LIB_FUSED_H

#include <linux/types.h>
#include <ecbpf/stage.h>

struct bpf_object;
struct ecbpf;

/* Its constants: see progs/fused.bpf.c */
struct fused_layout {
	__u8 stages[ECBPF_FUSED_SLOTS];
	__u8 counters[ECBPF_FUSED_SLOTS];
};

int ecbpf_fused_layout(int prog_fd, struct fused_layout *ret_layout);
/* "filter,fw" as a layout. Return: 0; -EINVAL, -E2BIG it is none; -ENOMEM */
int ecbpf_fused_parse(struct ecbpf *e, const char *list, __u8 ret_stages[ECBPF_FUSED_SLOTS]);
/* Set the layout of a not yet loaded object. @list: "filter,fw"; @old_fd: see struct predecessor */
int ecbpf_fused_apply(struct ecbpf *e, struct bpf_object *obj, const char *list, int old_fd,
		      __u8 ret_stages[ECBPF_FUSED_SLOTS]);

#endif /* ECBPF_LIB_FUSED_H */
