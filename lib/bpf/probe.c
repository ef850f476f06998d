// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What XDP programs this kernel loads, found out by loading one. */
#include <errno.h>
#include <string.h>
#include <bpf/bpf.h>
#include "bpf/probe.h"
#include "core/handle.h"

int ecbpf_probe_load(enum bpf_prog_type type, __u32 flags)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = flags);
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(type, "ecbpf_probe", "GPL", insns, ARRAY_SIZE(insns), &opts);
}

int ecbpf_frags_probe(struct ecbpf *e)
{
	int fd;

	if (e->frags <= 0)
		return e->frags;
	fd = ecbpf_probe_load(BPF_PROG_TYPE_XDP, BPF_F_XDP_HAS_FRAGS);
	if (fd < 0 && fd != -EINVAL) /* EINVAL: an unknown flag */
		return ecbpf_fail(e, fd, "cannot load an XDP program: %s%s", strerror(-fd),
				  fd == -EPERM ? " (must be root)" : "");
	e->frags = fd < 0 ? -EOPNOTSUPP : 0;
	close_fd(&fd);
	return e->frags;
}
