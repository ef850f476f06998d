// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A dispatcher for libxdp's protocol version 2 whose slots may be replaced by programs that change
 * packet data.
 *
 * Since Linux 6.12 the verifier refuses a freplace program that calls bpf_xdp_adjust_head(),
 * _tail() or _meta() unless the function it replaces does so too, and the dispatcher of libxdp
 * before 1.5.5 does not. This one is used in its place where such a program is to be chained, and
 * only there (lib/chain/change.c). It is written from the protocol: the names of the program and of
 * the slot functions, the layout of the configuration, and the BTF that tells the version are
 * libxdp's.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <xdp/prog_dispatcher.h>

#if XDP_DISPATCHER_VERSION == 2
#define ecbpf_dispatcher_config xdp_dispatcher_config
#else
/* protocol.org of libxdp 1.3: the configuration as of version 2 */
struct ecbpf_dispatcher_config {
	__u8 magic;
	__u8 dispatcher_version;
	__u8 num_progs_enabled;
	__u8 is_xdp_frags;
	__u32 chain_call_actions[MAX_DISPATCHER_ACTIONS];
	__u32 run_prios[MAX_DISPATCHER_ACTIONS];
	__u32 program_flags[MAX_DISPATCHER_ACTIONS];
};
#endif

/* constant when the verifier sees it, so that unused slots fall out; never to the compiler */
static volatile const struct ecbpf_dispatcher_config conf = {};

/* What each slot is until a program replaces it: goes on, and may have changed the packet */
#define SLOT(i)                                                   \
	__attribute__((noinline)) int prog##i(struct xdp_md *ctx) \
	{                                                         \
		volatile int ret = XDP_DISPATCHER_RETVAL;         \
                                                                  \
		if (!ctx)                                         \
			return XDP_ABORTED;                       \
		bpf_xdp_adjust_tail(ctx, 0);                      \
		return ret;                                       \
	}
/* clang-format off */
SLOT(0) SLOT(1) SLOT(2) SLOT(3) SLOT(4) SLOT(5) SLOT(6) SLOT(7) SLOT(8) SLOT(9)
	/* clang-format on */

	/* libxdp tries replacing on this one */
	__attribute__((noinline)) int compat_test(struct xdp_md *ctx)
{
	volatile int ret = XDP_DISPATCHER_RETVAL;

	if (!ctx)
		return XDP_ABORTED;
	return ret;
}

#define RUN(i)                                                   \
	do {                                                     \
		if (conf.num_progs_enabled <= i)                 \
			return XDP_PASS;                         \
		ret = prog##i(ctx);                              \
		if (!((1U << ret) & conf.chain_call_actions[i])) \
			return ret;                              \
	} while (0)

SEC("xdp")
int xdp_dispatcher(struct xdp_md *ctx)
{
	int ret;

	RUN(0);
	RUN(1);
	RUN(2);
	RUN(3);
	RUN(4);
	RUN(5);
	RUN(6);
	RUN(7);
	RUN(8);
	RUN(9);
	if (conf.num_progs_enabled <= MAX_DISPATCHER_ACTIONS)
		return XDP_PASS;
	return compat_test(ctx); /* kept as a function to replace */
}

/* libxdp's check of the kernel loads this one, and replaces it */
SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

/* lib/chain/probe.c loads this one to find out whether libxdp's dispatcher may resize packets */
SEC("xdp")
int xdp_resize(struct xdp_md *ctx)
{
	bpf_xdp_adjust_tail(ctx, 0);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";

__uint(dispatcher_version, 2) SEC("xdp_metadata");
/* by which lib/chain/inspect.c and `doctor` know this dispatcher from libxdp's */
__uint(ecbpf_dispatcher, 1) SEC("xdp_metadata");
