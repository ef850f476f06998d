/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The stages: which there are, by number and name. A stage NAME is the file progs/NAME.bpf.c, the
 * program ecbpf_NAME, and the word that `ecbpf-loader load` takes.
 *
 * ABI: values are append-only; they stand in the settings of ecbpf_fused and in samples.
 */
#ifndef ECBPF_STAGE_H
#define ECBPF_STAGE_H

#include <linux/types.h>

/* Layout and meaning of all maps and records. A tool that meets another number changes nothing. */
#define ECBPF_SCHEMA 4

/* X(value, NAME, name, run priority, "text") */
#define ECBPF_STAGES(X)                                                                    \
	X(1, PASS, pass, 50, "count verdicts, pass everything on")                         \
	X(2, COUNT, count, 80, "count packets and bytes per protocol")                     \
	X(3, PRINTK, printk, 85, "print the record of every Nth packet to the trace pipe") \
	X(4, FILTER, filter, 10, "drop what a director must not see: ecbpf-filter")        \
	X(5, FW, fw, 20, "drop what the rules of the firewall say")                        \
	X(6, FASTPATH, fastpath, 50, "forward packets of flows that IPVS has balanced")    \
	X(7, SAMPLER, sampler, 90, "draw samples of the packets that pass; runs last")

enum ecbpf_stage {
	ECBPF_STAGE_NONE = 0,
#define X(value, NAME, name, prio, text) ECBPF_STAGE_##NAME = value,
	ECBPF_STAGES(X)
#undef X
};

enum ecbpf_stage_prio {
#define X(value, NAME, name, prio, text) ECBPF_PRIO_##NAME = prio,
	ECBPF_STAGES(X)
#undef X
};

/*
 * The setting malformed_action: the verdict on malformed packets of a stage that has no better one.
 * The values are those of enum xdp_action; the library takes no others for the setting.
 */
enum ecbpf_malformed {
	ECBPF_MALFORMED_DROP = 1, /* XDP_DROP */
	ECBPF_MALFORMED_PASS = 2, /* XDP_PASS, the default: the kernel's stack judges */
};

/* This number and above, to 255: for stages outside the suite */
#define ECBPF_STAGE_LOCAL 192

/* ecbpf_fused runs at most this many stages; its run priority */
#define ECBPF_FUSED_SLOTS 8
#define ECBPF_FUSED_PRIO  50

/*
 * What a stage returns: an XDP action, with the reason for it (enum ecbpf_reason) above, and above
 * that the rule it comes from, for samples: counted from 1, at most 65535; 0 is no rule.
 */
#define ECBPF_VERDICT(action, reason) ((action) | (__u32)(reason) << 8)
#define ECBPF_VERDICT_RULE(action, reason, rule) \
	(ECBPF_VERDICT(action, reason) | (__u32)(rule) << 16)

#endif /* ECBPF_STAGE_H */
