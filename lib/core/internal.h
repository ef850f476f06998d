/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the files of the library share. None of it is exported.
 */
#ifndef ECBPF_INTERNAL_H
#define ECBPF_INTERNAL_H

#include <limits.h>
#include <stdlib.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ecbpf/bucket.h>
#include <ecbpf/libecbpf-fastpath.h>
#include <ecbpf/libecbpf.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* libxdp's protocol: see progs/dispatcher.bpf.c */
#define DISPATCHER_NAME	    "xdp_dispatcher"
#define DISPATCHER_FILE	    "xdp-dispatcher.o"
#define DISPATCHER_MAGIC    236
#define DISPATCHER_MEMBERS  10
#define DISPATCHER_CONTINUE 31 /* what an empty slot returns: never a verdict */

/* The configuration as of protocol 3; that of protocol 2 is the same without the last field */
struct dispatcher_config {
	__u8 magic;
	__u8 dispatcher_version;
	__u8 num_progs_enabled;
	__u8 is_xdp_frags;
	__u32 chain_call_actions[DISPATCHER_MEMBERS];
	__u32 run_prios[DISPATCHER_MEMBERS];
	__u32 program_flags[DISPATCHER_MEMBERS];
	__u8 is_xdp_devbound;
};

struct ecbpf {
	char error[1024];
	char *detail; /* verifier log, ECBPF_DETAIL_SIZE */
	ecbpf_log_fn log_fn;
	void *log_data;
	char kernel_message[256]; /* the kernel's own words for a refused attach, by way of libbpf
				   */
	char bpffs[PATH_MAX - 256];
	int freplace; /* cached result of ecbpf_freplace_probe(); 1: not asked yet */
	int frags;    /* likewise, ecbpf_frags_probe() */
	int held;     /* by ecbpf_lock_hold(): the lock, and 1; 0: none */
};

/*
 * As much as all kernels take: before 6.4 they keep the beginning of a longer log, and its end says
 * why. Memory that is not written to costs nothing.
 */
#define ECBPF_DETAIL_SIZE ((1 << 24) - 1)

/* --- ecbpf.c ------------------------------------------------------------------------------ */

/* Set the error text; returns @err, which must be negative */
int ecbpf_fail(struct ecbpf *e, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void ecbpf_log(struct ecbpf *e, enum ecbpf_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Make libbpf and libxdp talk to this handle (their print functions are process-wide) */
void ecbpf_capture(struct ecbpf *e);
int ecbpf_iface_index(struct ecbpf *e, const char *iface);
int ecbpf_iface_mtu(const char *iface); /* 0: not known */

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

void cleanup_close(int *fd);
#define _cleanup_free_	__attribute__((cleanup(cleanup_free)))
#define _cleanup_close_ __attribute__((cleanup(cleanup_close)))

/* --- bpffs.c ------------------------------------------------------------------------------ */

/* Find the BPF file system; e->bpffs is set afterwards. @make: make our and libxdp's directory */
int ecbpf_bpffs_open(struct ecbpf *e, bool make);
/* Exclusive locks, for close(): one for a whole change of ours, libxdp's around pins only */
int ecbpf_lock(struct ecbpf *e);
/* Likewise, around functions that take it themselves, until it is released. Return: 0, errors */
int ecbpf_lock_hold(struct ecbpf *e);
void ecbpf_lock_release(struct ecbpf *e);
int ecbpf_libxdp_lock(struct ecbpf *e);
/* BPFFS/ecbpf/NAME, BPFFS/xdp/dispatch-IFINDEX-ID[/progN-(prog|link)] */
int ecbpf_pin_path(struct ecbpf *e, char *path, size_t size, const char *name);
int ecbpf_dispatcher_path(struct ecbpf *e, char *path, size_t size, int ifindex, __u32 id);
int ecbpf_member_path(struct ecbpf *e, char *path, size_t size, int ifindex, __u32 id, int slot,
		      const char *what);
/* Remove a dispatcher's pins and its directory; what is not there is no error */
int ecbpf_unpin_dispatcher(struct ecbpf *e, int ifindex, __u32 id);
/* For each directory of a dispatcher's pins */
typedef int (*ecbpf_dispatcher_fn)(struct ecbpf *e, int ifindex, __u32 id, void *data);
int ecbpf_for_each_dispatcher(struct ecbpf *e, ecbpf_dispatcher_fn fn, void *data);
/* Say which network namespace a dispatcher of ours is of: its pins are not for others to clean */
#define NETNS_SIZE 32
int ecbpf_netns_mark(struct ecbpf *e, int ifindex, __u32 id);
/* Is it known to be of another network namespace? @ret_netns[NETNS_SIZE]: of which, if true */
bool ecbpf_netns_is_other(struct ecbpf *e, int ifindex, __u32 id, char *ret_netns);
/* For each entry of BPFFS/ecbpf: a pinned map, or what ecbpf_netns_mark() left (@is_symlink) */
typedef int (*ecbpf_pin_fn)(struct ecbpf *e, const char *path, bool is_symlink, void *data);
int ecbpf_for_each_pin(struct ecbpf *e, ecbpf_pin_fn fn, void *data);
/* Does a program, anywhere, use this map; any of those that are pinned in BPFFS/ecbpf? */
bool ecbpf_map_is_used(__u32 map_id);
bool ecbpf_pins_are_used(struct ecbpf *e);
int ecbpf_unpin_maps(struct ecbpf *e);

/* --- program.c: object files -------------------------------------------------------------- */

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
	__u64 fingerprint; /* equal: the same code, constants and settings */
};

/* What a program takes over from the one that it replaces: maps, where they fit, and counters */
struct heritage {
	int fd;		    /* of that one; -1: none */
	bool has_constants; /* these as well */
};

/*
 * @heritage: or NULL
 * @frags: our programs are to take packets in fragments, if the kernel has them
 */
int ecbpf_program_open(struct ecbpf *e, const struct ecbpf_program *spec,
		       const struct heritage *heritage, bool frags, struct program *ret_program);
void ecbpf_program_close(struct program *program);
/* The maps of a stage without its program; those that are pinned are found or made. For close */
int ecbpf_stage_maps(struct ecbpf *e, const char *stage, struct bpf_object **ret_obj);
/*
 * A map that is pinned at @path already has to be of our schema: -EPROTO. @map, if not NULL, is
 * made as large as that one is.
 */
int ecbpf_pinned_map_check(struct ecbpf *e, const char *path, struct bpf_map *map);
/* Load as what it is now (XDP or freplace); a refusal is explained with the verifier's log */
int ecbpf_program_load(struct ecbpf *e, struct program *program);

/**
 * struct loaded - what a program was loaded as
 * @fingerprint: of struct program
 * @is_owned: by ecbpf_chain_set(), which may thus remove it again though it is none of our stages
 * @spec: struct ecbpf_program but for its place, "KEY=VALUE" lines
 *
 * The entry of a map that is bound to the program: it is there exactly as long as that.
 */
#define LOADED_MAP	 "ecbpf_loaded"
#define LOADED_SPEC_SIZE 4080
struct loaded {
	__u64 fingerprint;
	__u32 is_owned;
	__u32 reserved;
	char spec[LOADED_SPEC_SIZE];
};

/* Of a program that nothing but its object file says what it is */
__u64 ecbpf_fingerprint(const void *object, size_t size);
/* @name: for errors */
int ecbpf_loaded_bind(struct ecbpf *e, int prog_fd, const char *name, const struct loaded *loaded);
int ecbpf_loaded_write(struct ecbpf *e, int prog_fd, const struct ecbpf_program *spec,
		       const struct heritage *heritage, const struct program *program,
		       bool is_owned);
/* The first constant in @spec, or in the rest of it; NULL: none. Ended by a newline or 0 */
const char *ecbpf_loaded_constant(const char *spec, int *ret_len);
/* -ENOENT: of a program that was not loaded by us, or by one of us who did not note it */
int ecbpf_loaded_read(int prog_fd, struct loaded *ret_loaded);

/* The schema that BTF says an object was built for; 0: none of ours */
__u32 ecbpf_btf_schema(const struct btf *btf);
/* `xdp_metadata` and the like: the number that a __uint(NAME, number) in BTF section @sec says */
bool ecbpf_btf_number(const struct btf *btf, const char *sec, const char *name, __u32 *ret);
/* Offset of a global variable in its section; -ENOENT */
int ecbpf_btf_var(const struct btf *btf, const char *sec, const char *name, __u32 *ret_off,
		  __u32 *ret_size);

/* --- bucket.c ----------------------------------------------------------------------------- */

/* Jiffies a second of the running kernel; 0: not known */
__u32 ecbpf_hz(void);
/* @rate tokens a second, and @burst at once, 1 to 2^50 */
struct ecbpf_rate ecbpf_rate_burst(__u64 rate, __u64 burst, __u32 hz);
/* Never more than @cap tokens, 1 to 10^9, in any second; on the long run nine tenths of that (of 2
 * to 9: one less) */
struct ecbpf_rate ecbpf_rate_cap(__u32 cap, __u32 hz);

/* --- chain.c ------------------------------------------------------------------------------ */

/* What the kernel says is attached. @ret_mode: UNSPEC if nothing is (id 0) */
int ecbpf_attached(struct ecbpf *e, int ifindex, __u32 *ret_id, enum ecbpf_mode *ret_mode);
int ecbpf_prog_info(int fd, struct bpf_prog_info *info);
/* Full name (BTF) of a loaded program */
void ecbpf_prog_name(const struct bpf_prog_info *info, const struct btf *btf, char *ret,
		     size_t size);
/* The protocol of libxdp's dispatcher object: 2 or 3 */
int ecbpf_dispatcher_protocol(struct ecbpf *e, __u32 *ret_protocol);
/* Can the kernel replace functions of BPF programs? 0 or -errno */
int ecbpf_freplace_probe(struct ecbpf *e);
/* Does it take XDP programs for packets in fragments? */
int ecbpf_frags_probe(struct ecbpf *e);
/* Does libxdp's dispatcher take programs that resize packets? -EINVAL: no, for the kernel's sake */
int ecbpf_resize_probe(struct ecbpf *e);
/* A program that does nothing, loaded to find out what the kernel can do: its fd, or -errno */
int ecbpf_probe_load(enum bpf_prog_type type, __u32 flags);
/* Return when no packet is in a program any more that has seen what was changed before */
void ecbpf_wait_for_packets(struct ecbpf *e);
/* Members that are ecbpf_chain_set()'s, in order; has_place: prio and actions mean something */
struct owned {
	char name[64];
	bool has_place;
	__u32 prio;
	__u32 actions;
	struct loaded loaded;
};
/* @ret_members[DISPATCHER_MEMBERS] */
int ecbpf_chain_owned(struct ecbpf *e, const char *iface, struct owned *ret_members,
		      size_t *ret_count, enum ecbpf_mode *ret_mode);
/* As ecbpf_clean(), of all interfaces; maps stay */
int ecbpf_clean_stale(struct ecbpf *e, size_t *ret_removed);
/* Our maps, unless a program uses one of them */
int ecbpf_clean_unused(struct ecbpf *e);
/* Is the dispatcher's configuration there? @ret_config is zeroed behind what there is */
int ecbpf_dispatcher_config(int prog_fd, const struct bpf_prog_info *info,
			    struct dispatcher_config *ret_config);

/* --- filter.c ----------------------------------------------------------------------------- */

struct ecbpf_filter_config;
/* One setting, as ecbpf_filter_set() takes it, into @config */
int ecbpf_filter_setting(struct ecbpf *e, const char *key, const char *value,
			 struct ecbpf_filter_config *config);
/* An address or prefix as ecbpf_filter_vip_list() writes it; -EINVAL */
int ecbpf_filter_vip_format(struct ecbpf *e, const char *text, char *ret, size_t size);

/* --- fastpath.c --------------------------------------------------------------------------- */

struct ecbpf_fastpath_settings;
struct ecbpf_fastpath_port;
/* Are they allowed? They become what ecbpf_fastpath_get() gives back: times are whole jiffies */
int ecbpf_fastpath_check(struct ecbpf *e, struct ecbpf_fastpath_settings *settings);
/* Return: -ENOENT it is not loaded. @ret_is_on: packets are forwarded */
int ecbpf_fastpath_state(struct ecbpf *e, bool *ret_is_on, __u32 *ret_groups);
/* How many flows a table was made for */
__u32 ecbpf_fastpath_capacity(__u32 groups);
/* Where it is; for free() */
int ecbpf_fastpath_ports(struct ecbpf *e, struct ecbpf_fastpath_port **ret_ports,
			 size_t *ret_count);
/* Take the TC program from an interface, and send nothing there any more */
int ecbpf_fastpath_leave(struct ecbpf *e, const char *iface);

/* What the doctor wants to know of the fast path. @ports: for free() */
struct fastpath_look {
	bool is_on;
	__u64 megabytes; /* of the table */
	struct ecbpf_fastpath_settings settings;
	bool is_unfit;			       /* the settings do not go with IPVS's timeouts: */
	char text[256];			       /* why */
	struct ecbpf_fastpath_settings better; /* such that would */
	struct ecbpf_fastpath_port *ports;
	size_t ports_count;
};

/* Return: 0; -ENOENT there is nothing of it */
int ecbpf_fastpath_look(struct ecbpf *e, struct fastpath_look *ret_look);

/* --- counters.c --------------------------------------------------------------------------- */

/* fd of the map that program @prog_fd calls @name, or -ENOENT */
int ecbpf_prog_map(int prog_fd, const char *name, struct bpf_map_info *ret_info);
/* What ecbpf_fused says in its constants: see progs/fused.bpf.c */
struct fused_layout {
	__u8 stages[ECBPF_FUSED_SLOTS];
	__u8 counters[ECBPF_FUSED_SLOTS];
};

int ecbpf_fused_layout(int prog_fd, struct fused_layout *ret_layout);
/* Of program @prog_fd: one entry of `counters` */
int ecbpf_counters_zero(int prog_fd, __u32 entry);
/* Copy constant @name of a loaded program, which has @size bytes */
int ecbpf_constant_read(int prog_fd, const char *name, void *ret, __u32 size);
/* Fill stages, counters and count of a member from the program behind @prog_fd */
int ecbpf_counters_read(struct ecbpf *e, int prog_fd, struct ecbpf_member *member);
/* As ecbpf_counters_clear(), of one stage; 0: of all */
int ecbpf_counters_clear_stage(struct ecbpf *e, const char *iface, __u32 stage);

#endif /* ECBPF_INTERNAL_H */
