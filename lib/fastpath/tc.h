/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is at TC egress of an interface. */
#ifndef ECBPF_LIB_FASTPATH_TC_H
#define ECBPF_LIB_FASTPATH_TC_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct ecbpf;

struct fastpath_tc_filter {
	int ifindex;
	__u32 prio, handle, chain;
	__u16 protocol; /* ETH_P_* */
	char kind[16];
	char name[64]; /* of a BPF program; "": it is of another kind */
	__u32 id;
};

/*
 * The queueing discipline 'ingress' has no place for filters at egress, and gives those that are
 * added there a place at ingress. Return: has it that one? In doubt not
 */
bool fastpath_tc_is_ingress(struct ecbpf *e, int ifindex);

/* Filters at egress; @ret: for free(). Return: 0, also if there can be none; errors */
int fastpath_tc_filters(struct ecbpf *e, int ifindex, struct fastpath_tc_filter **ret,
			size_t *ret_count);

/* Programs of TCX links at egress, which run before filters. Return: how many; 0 also if in doubt
 */
#define FASTPATH_TCX 8
size_t fastpath_tcx(int ifindex, __u32 ret_ids[FASTPATH_TCX]);

#endif /* ECBPF_LIB_FASTPATH_TC_H */
