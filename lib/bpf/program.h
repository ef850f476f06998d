/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs: opening the object file of one, and loading it. */
#ifndef ECBPF_LIB_PROGRAM_H
#define ECBPF_LIB_PROGRAM_H

#include <stdbool.h>
#include <bpf/libbpf.h>
#include <ecbpf/libecbpf.h>

/* An opened, not yet loaded program */
struct program {
	struct bpf_object *obj;
	struct bpf_program *prog;
	char name[64];
	char *log; /* verifier log of this object, ECBPF_DETAIL_SIZE; shared with the handle */
	__u32 prio;
	__u32 actions;
	bool has_frags;
	bool is_ours;
	bool is_fused;
	__u8 stages[ECBPF_FUSED_SLOTS]; /* that ecbpf_fused runs */
	__u64 fingerprint;		/* equal: the same code, constants and settings */
};

/* The program that one replaces, from which it takes over counters and the maps that fit */
struct predecessor {
	int fd;		    /* -1: none */
	bool has_constants; /* take over constants, too */
};

/* Is it an object file? Its name has a '/' or ends in ".o", which no stage's has */
bool ecbpf_program_is_file(const struct ecbpf_program *spec);
/* Are its stages known, or is its file there? Before anything is asked about an interface */
int ecbpf_program_check(struct ecbpf *e, const struct ecbpf_program *spec);
/*
 * @predecessor: or NULL
 * @frags: our programs are to take packets in fragments, if the kernel has them
 */
int ecbpf_program_open(struct ecbpf *e, const struct ecbpf_program *spec,
		       const struct predecessor *predecessor, bool frags,
		       struct program *ret_program);
void ecbpf_program_close(struct program *program);
/* Is it, by its name, of a stage that is not among @stages? */
bool ecbpf_is_of_other_stage(const char *name, const __u8 stages[ECBPF_FUSED_SLOTS]);
/* The maps of a stage without its program, to be found or made. @ret_obj: for close */
int ecbpf_stage_open(struct ecbpf *e, const char *stage, struct bpf_object **ret_obj);
int ecbpf_stage_load(struct ecbpf *e, const char *stage, struct bpf_object *obj);
/* Load with the type that is set (XDP or freplace); the verifier's log explains a refusal */
int ecbpf_program_load(struct ecbpf *e, struct program *program);

#endif /* ECBPF_LIB_PROGRAM_H */
