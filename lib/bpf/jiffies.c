// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Jiffies: no system call and no file has them, a program that is run once has.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <bpf/bpf.h>
#include "bpf/jiffies.h"
#include "core/handle.h"
#include "core/privilege.h"
#include "core/util.h"

/* A program stores them in its context, as its return value has 32 bits */
int ecbpf_jiffies(struct ecbpf *e, __u64 *ret_now)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64},
		{.code = BPF_STX | BPF_MEM | BPF_DW,
		 .dst_reg = BPF_REG_6,
		 .src_reg = BPF_REG_0,
		 .off = offsetof(struct __sk_buff, cb)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union {
		struct __sk_buff skb;
		char room[1024]; /* the context of the running kernel may be longer */
	} context = {};
	char frame[64] = "";
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_out = &context, .ctx_size_out = sizeof(context));
	_cleanup_close_ int fd = -1;

	fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "ecbpf_now", "GPL", insns, ARRAY_SIZE(insns),
			   NULL);
	if (fd < 0 || bpf_prog_test_run_opts(fd, &opts)) {
		int err = -errno;

		return ecbpf_require(e, ECBPF_NEEDS_IDS)
			       ?: ecbpf_fail(e, err, "cannot read jiffies from the kernel: %s",
					     strerror(-err));
	}
	memcpy(ret_now, context.skb.cb, sizeof(*ret_now));
	return 0;
}
