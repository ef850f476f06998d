// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage printk: prints the record of every Nth packet of each CPU to the trace pipe
 * (/sys/kernel/tracing/trace_pipe). For debugging; N is the program's setting `printk_every`.
 * Place: late, to see what the other stages let through (default priority 85).
 */
#include <ecbpf/stage.bpf.h>

const volatile __u32 printk_every = 1000;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} printk_skip SEC(".maps");

/*
 * bpf_trace_printk() takes three values a line (bpf_trace_vprintk() came with 5.16).
 * Global, so that the verifier walks it once, not for each way that leads to it.
 */
__noinline int printk_record(struct xdp_md *ctx)
{
	struct ecbpf_record rec;

	ecbpf_parse_rare(ctx, &rec);
	bpf_printk("ecbpf: ifindex %u len %u reason %u", ctx->ingress_ifindex, rec.frame_len,
		   rec.reason);
	bpf_printk("ecbpf:  ethertype %04x vlan %u,%u", bpf_ntohs(rec.ethertype),
		   rec.vlan_count > 0 ? rec.vlan_tci[0] & 0xfff : 0,
		   rec.vlan_count > 1 ? rec.vlan_tci[1] & 0xfff : 0);
	if (!rec.version)
		return 0;
	bpf_printk("ecbpf:  ip%u len %u proto %u", rec.version, rec.l3_len, rec.proto);
	bpf_printk("ecbpf:  flags %02x frag %u at %u", rec.flags, rec.frag, rec.frag_off);
	if (ECBPF_HAS_PORTS(&rec))
		bpf_printk("ecbpf:  port %u to %u tcp flags %02x", bpf_ntohs(rec.sport),
			   bpf_ntohs(rec.dport), rec.tcp_flags);
	return 0;
}

static __always_inline __u32 printk_stage(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	__u32 key = 0, *skip = bpf_map_lookup_elem(&printk_skip, &key);

	if (skip) {
		if (*skip == 0 || *skip > printk_every) { /* a new N, the map is the old one */
			*skip = printk_every;
			printk_record(ctx);
		}
		(*skip)--;
	}
	if (rec->reason)
		return ecbpf_malformed(rec);
	return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
}

ECBPF_STAGE_PROGRAM(printk, PRINTK);
