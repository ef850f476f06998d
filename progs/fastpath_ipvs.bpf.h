/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage fastpath at TC egress: tells packets that IPVS has forwarded from those that were routed.
 *
 * IPVS marks each packet that it has handled, so that it does not handle it again. The mark is lost
 * where a packet enters another network namespace, but not on the way down to a VLAN or bond.
 */
#ifndef ECBPF_FASTPATH_IPVS_BPF_H
#define ECBPF_FASTPATH_IPVS_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* That of the kernel. Without IPVS in its configuration it lacks the field */
struct sk_buff {
	__u8 ipvs_property : 1;
} __attribute__((preserve_access_index));

/* The context of a program at TC is the kernel's own structure, to a helper that reads memory */
static __always_inline bool ipvs_has_balanced(struct __sk_buff *ctx)
{
	struct sk_buff *skb = (void *)ctx;

	return bpf_core_field_exists(skb->ipvs_property) &&
	       BPF_CORE_READ_BITFIELD_PROBED(skb, ipvs_property);
}

#endif /* ECBPF_FASTPATH_IPVS_BPF_H */
