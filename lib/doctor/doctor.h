/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The checks of the doctor, and how they report.
 *
 * A check is a function. It adds each problem with finding_add(), finding_why() and finding_fix(),
 * and one ECBPF_OK finding if it found none. ECBPF_ERROR: traffic is not handled as configured, or
 * that cannot be determined.
 */
#ifndef ECBPF_LIB_DOCTOR_H
#define ECBPF_LIB_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <ecbpf/libecbpf.h>
#include "core/finding.h"

#define NATIVE_MTU 3498 /* about what fits into one page beside headroom and tailroom */

struct ecbpf;

/* A freplace program that is attached */
struct link {
	__u32 id;
	__u32 prog_id;
	__u32 target_id; /* the dispatcher; 0: this kernel does not say (before 5.13) */
};

struct doctor {
	struct ecbpf *e;
	struct findings found;
	bool is_privileged;
	bool has_bpffs;
	bool has_frozen;       /* a map is frozen: what is mapped to be looked at cannot be */
	bool is_readonly;      /* the BPF file system: no map can be opened */
	bool has_other_schema; /* pinned maps of another schema */
	__u32 protocol;	       /* of libxdp's dispatcher; 0: not known */
	struct link *links;
	size_t links_count;
};

/* --- findings.c --------------------------------------------------------------------------- */

void doctor_sort(struct ecbpf_finding *findings, size_t count);
/* Append to a string in a buffer, as far as it fits */
void doctor_append(char *to, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* --- links.c ------------------------------------------------------------------------------ */

/* How many members of a chain run: @some for certain, @most at most */
struct running {
	size_t some;
	size_t most;
};

void doctor_read_links(struct doctor *d);
/* Members of @dispatcher that run; @prog_id: this one only, or 0 */
struct running doctor_count_running(const struct doctor *d, __u32 dispatcher, __u32 prog_id);

/* --- repair.c ----------------------------------------------------------------------------- */

/* Unload the chain, then @also; load it again if it is known how all its members were loaded */
void doctor_fix_reload(struct ecbpf_finding *f, const struct ecbpf_chain *chain, const char *also);
/* Likewise, in the default mode */
void doctor_fix_mode(struct ecbpf_finding *f, const struct ecbpf_chain *chain);
/* Exchange the dispatcher, with the same members */
void doctor_fix_rebuild(const struct doctor *d, struct ecbpf_finding *f,
			const struct ecbpf_chain *chain);

/* --- host.c ------------------------------------------------------------------------------- */

void doctor_check_kernel(struct doctor *d);
void doctor_check_privilege(struct doctor *d);
void doctor_check_dirs(struct doctor *d);
void doctor_check_jit(struct doctor *d);
void doctor_check_freplace(struct doctor *d);
void doctor_check_frags(struct doctor *d);
void doctor_check_libxdp(struct doctor *d);
void doctor_check_resize(struct doctor *d);

/* --- pins.c ------------------------------------------------------------------------------- */

void doctor_check_bpffs(struct doctor *d);
void doctor_check_maps(struct doctor *d);
void doctor_check_pins(struct doctor *d);
void doctor_check_rules(struct doctor *d);
void doctor_check_lists(struct doctor *d);
void doctor_check_frozen(struct doctor *d);

/* --- fastpath.c --------------------------------------------------------------------------- */

void doctor_check_fastpath(struct doctor *d);

/* --- fw.c ---------------------------------------------------------------------------------- */

void doctor_check_vlan(struct doctor *d, const struct ecbpf_chain *chain);

/* --- chain.c: each returns at once if it is not about this kind of chain ------------------- */

void doctor_check_none(struct doctor *d, const struct ecbpf_chain *chain);
void doctor_check_single(struct doctor *d, const struct ecbpf_chain *chain);
void doctor_check_members(struct doctor *d, const struct ecbpf_chain *chain);
void doctor_check_broken(struct doctor *d, const struct ecbpf_chain *chain);
void doctor_check_own_maps(struct doctor *d, const struct ecbpf_chain *chain);
void doctor_check_protocol(struct doctor *d, const struct ecbpf_chain *chain);
void doctor_check_schema(struct doctor *d, const struct ecbpf_chain *chain);
void doctor_check_mode(struct doctor *d, const struct ecbpf_chain *chain);
void doctor_check_link(struct doctor *d, const struct ecbpf_chain *chain);
void doctor_check_mtu(struct doctor *d, const struct ecbpf_chain *chain);
void doctor_check_own(struct doctor *d, const struct ecbpf_chain *chain);

#endif /* ECBPF_LIB_DOCTOR_H */
