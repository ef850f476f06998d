// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A BPF object without an XDP program */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int bad_type(struct __sk_buff *skb)
{
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
