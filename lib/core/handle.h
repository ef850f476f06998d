/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The handle: what one caller of the library has, its errors and its log. */
#ifndef ECBPF_LIB_HANDLE_H
#define ECBPF_LIB_HANDLE_H

#include <limits.h>
#include <ecbpf/libecbpf.h>
#include "core/util.h"

struct bpf_object;
struct spares;

struct ecbpf {
	char error[1024];
	/* called when the error text says that the kernel does not permit it, to add why; or NULL
	 */
	void (*explain_fn)(struct ecbpf *e);
	char *detail; /* verifier log, ECBPF_DETAIL_SIZE */
	ecbpf_log_fn log_fn;
	void *log_data;
	char kernel_message[256]; /* the kernel's reason for a refused attach, as libbpf logs it */
	char bpffs[PATH_MAX - 256];
	struct ecbpf_changed changed;
	unsigned int list_policy; /* see ecbpf_list_policy() */
	__u32 confirm_s;	  /* see ecbpf_fw_confirm_within() */
	int freplace;		  /* cached result of ecbpf_freplace_probe(); 1: not probed yet */
	int frags;		  /* cached result of ecbpf_frags_probe(); 1: not probed yet */
	__u32 known_btf;	  /* ID of BTF of this schema; 0: none was found yet */
	int held;		  /* 1 + the lock of ecbpf_lock_hold(); 0: not held */
	int holds;		  /* how many hold it, one inside the other */
	bool is_applying;	  /* a configuration: no change is one at runtime */
	bool guards_sessions;	  /* see ecbpf_session_guard() */
	long long logged_at;	  /* of runtime_log_ahead(): where its record begins; or 0 */
	struct spares *spares;	  /* see chain/spares.h; NULL: each program is loaded */
	/* called with each line of libbpf's, before its values are filled in; or NULL */
	void (*libbpf_fn)(struct ecbpf *e, const char *format);
	struct bpf_object *loading; /* of ecbpf_object_load(), for @libbpf_fn, as long as it asks */
	bool has_given_up;	    /* @libbpf_fn: @loading is not to be loaded */
	bool is_misled;		    /* see ecbpf_is_misled() */
	bool renews_maps;	    /* who makes maps replaces the programs that use others */
	bool is_trying;		    /* it is only looked whether something can be: no pins */
};

/*
 * The largest size that all kernels accept: kernels before 6.4 keep the beginning of a longer log,
 * and the reason is at its end. Memory that is never written costs nothing.
 */
#define ECBPF_DETAIL_SIZE ((1 << 24) - 1)

/* Set the error text; returns @err, which must be negative */
int ecbpf_fail(struct ecbpf *e, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void ecbpf_log(struct ecbpf *e, enum ecbpf_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Send what libbpf and libxdp print to this handle (their print functions are process-wide) */
void ecbpf_capture(struct ecbpf *e);

#endif /* ECBPF_LIB_HANDLE_H */
