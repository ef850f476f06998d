// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is at TC egress of an interface, see tc.h. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <bpf/bpf.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include "core/error.h"
#include "core/handle.h"
#include "core/netlink.h"
#include "fastpath/tc.h"

#define TCX_EGRESS 47 /* BPF_TCX_EGRESS; not in the headers of Linux 6.1 */

struct qdisc {
	int ifindex;
	bool is_ingress;
};

static bool qdisc_read(struct nlmsghdr *message, void *item)
{
	const struct tcmsg *tc = nlmsg_data(message);
	struct nlattr *attrs[TCA_MAX + 1];
	struct qdisc *qdisc = item;

	if (message->nlmsg_type != RTM_NEWQDISC || tc->tcm_parent != TC_H_INGRESS ||
	    nlmsg_parse(message, sizeof(*tc), attrs, TCA_MAX, NULL) || !attrs[TCA_KIND])
		return false;
	qdisc->ifindex = tc->tcm_ifindex;
	qdisc->is_ingress = !nla_strcmp(attrs[TCA_KIND], "ingress");
	return true;
}

bool fastpath_tc_is_ingress(struct ecbpf *e, int ifindex)
{
	struct tcmsg head = {.tcm_ifindex = ifindex};
	_cleanup_free_ struct qdisc *qdiscs = NULL;
	struct saved_error error;
	bool is_it = false;
	size_t count = 0;

	ecbpf_error_save(e, &error);
	if (ecbpf_rtnetlink_collect(e, RTM_GETQDISC, &head, sizeof(head),
				    "cannot list queueing disciplines", qdisc_read, sizeof(*qdiscs),
				    &qdiscs, &count))
		count = 0;
	ecbpf_error_restore(e, &error);
	for (size_t i = 0; i < count; i++) /* the kernel sends those of all interfaces */
		is_it |= qdiscs[i].ifindex == ifindex && qdiscs[i].is_ingress;
	return is_it;
}

static bool filter_read(struct nlmsghdr *message, void *item)
{
	struct nlattr *attrs[TCA_MAX + 1], *bpf[TCA_BPF_MAX + 1];
	const struct tcmsg *tc = nlmsg_data(message);
	struct fastpath_tc_filter *filter = item;

	if (message->nlmsg_type != RTM_NEWTFILTER ||
	    nlmsg_parse(message, sizeof(*tc), attrs, TCA_MAX, NULL) || !attrs[TCA_KIND] ||
	    !tc->tcm_handle) /* its chain of filters, not one */
		return false;
	filter->ifindex = tc->tcm_ifindex;
	filter->prio = TC_H_MAJ(tc->tcm_info) >> 16;
	filter->protocol = ntohs(TC_H_MIN(tc->tcm_info));
	filter->handle = tc->tcm_handle;
	if (attrs[TCA_CHAIN])
		filter->chain = nla_get_u32(attrs[TCA_CHAIN]);
	nla_strlcpy(filter->kind, attrs[TCA_KIND], sizeof(filter->kind));
	if (nla_strcmp(attrs[TCA_KIND], "bpf") || !attrs[TCA_OPTIONS] ||
	    nla_parse_nested(bpf, TCA_BPF_MAX, attrs[TCA_OPTIONS], NULL))
		return true;
	if (bpf[TCA_BPF_NAME])
		nla_strlcpy(filter->name, bpf[TCA_BPF_NAME], sizeof(filter->name));
	if (bpf[TCA_BPF_ID])
		filter->id = nla_get_u32(bpf[TCA_BPF_ID]);
	return true;
}

int fastpath_tc_filters(struct ecbpf *e, int ifindex, struct fastpath_tc_filter **ret,
			size_t *ret_count)
{
	struct tcmsg head = {
		.tcm_ifindex = ifindex,
		.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS),
	};
	struct fastpath_tc_filter *filters = NULL;
	size_t count = 0;
	int err;

	*ret = NULL;
	*ret_count = 0;
	if (fastpath_tc_is_ingress(e, ifindex)) /* those at ingress would be listed */
		return 0;
	err = ecbpf_rtnetlink_collect(e, RTM_GETTFILTER, &head, sizeof(head),
				      "cannot list TC filters", filter_read, sizeof(*filters),
				      &filters, &count);
	if (err) {
		free(filters);
		return err;
	}
	*ret = filters;
	*ret_count = count;
	return 0;
}

size_t fastpath_tcx(int ifindex, __u32 ret_ids[FASTPATH_TCX])
{
	LIBBPF_OPTS(bpf_prog_query_opts, opts, .prog_ids = ret_ids, .prog_cnt = FASTPATH_TCX);

	/* ENOSPC: as many as there is room for */
	if (bpf_prog_query_opts(ifindex, TCX_EGRESS, &opts) && errno != ENOSPC)
		return 0;
	return opts.prog_cnt < FASTPATH_TCX ? opts.prog_cnt : FASTPATH_TCX;
}
