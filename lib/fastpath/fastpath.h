/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Types and functions that the files of the fast path share. Not exported.
 */
#ifndef ECBPF_LIB_FASTPATH_H
#define ECBPF_LIB_FASTPATH_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ecbpf/libecbpf-fastpath.h>
#include "bpf/map.h"
#include "fastpath/ipvs.h"

/* Once the client has sent a FIN, the sampling interval is divided by this */
#define SAMPLE_FIN 8

#define CLEANUP(function) __attribute__((cleanup(function)))

/* --- maps.c ------------------------------------------------------------------------------- */

/* Return: fd or -errno; -ENOENT: the fast path is not loaded. @ret_info: or NULL */
int fastpath_map_open(struct ecbpf *e, const char *name, struct bpf_map_info *ret_info);
int fastpath_view_open(struct ecbpf *e, const char *name, size_t value_size,
		       struct ecbpf_view *ret_view);
/* Remove a pinned map of the fast path, for ecbpf_for_each_pin(). @data: size_t, counter; or NULL
 */
int fastpath_unpin(struct ecbpf *e, const char *path, bool is_symlink, void *data);
int fastpath_maps_check(struct ecbpf *e, __u32 flows, __u32 *ret_groups);

/* --- settings.c --------------------------------------------------------------------------- */

__u32 fastpath_jiffies_from_ms(__u32 ms, __u32 hz);
__u32 fastpath_ms_from_jiffies(__u64 jiffies, __u32 hz);
int fastpath_settings_open(struct ecbpf *e, struct ecbpf_view *ret_view);
void fastpath_settings_read(const struct ecbpf_fastpath *f, struct ecbpf_fastpath_settings *ret);
void fastpath_settings_write(struct ecbpf_fastpath *v, const struct ecbpf_fastpath_settings *s);
int fastpath_settings_check(struct ecbpf *e, struct ecbpf_fastpath_settings *s, __u32 hz);
int fastpath_settings_check_ipvs(struct ecbpf *e, const struct ecbpf_fastpath_settings *s,
				 struct ecbpf_fastpath_settings *ret_better);
int fastpath_settings_check_change(struct ecbpf *e, const struct ecbpf_fastpath *live,
				   struct ecbpf_fastpath_settings *s);
int fastpath_settings_init(struct ecbpf *e, struct ecbpf_fastpath *f, bool monitor);
void fastpath_groups_set(struct ecbpf_fastpath *settings, __u32 groups);

/* --- egress.c ----------------------------------------------------------------------------- */

int fastpath_egress_open(struct ecbpf *e, __u32 groups, struct bpf_object **ret_obj);
/*
 * Ours on this interface. *@ret_fd: for close(); -1: it is not there. @ret_is_current: it is the
 * program of this version; or NULL. Return: 0; errors: whether it is there is not known
 */
int fastpath_egress_find(struct ecbpf *e, int ifindex, int *ret_fd, bool *ret_is_current);
/* What has its place, or leaves none; @fix: the command that makes room */
struct fastpath_obstacle {
	char what[256];
	char fix[160];
};
bool fastpath_egress_obstacle(struct ecbpf *e, const char *iface, int ifindex,
			      struct fastpath_obstacle *ret);
int fastpath_egress_is_there(struct ecbpf *e, int ifindex, bool *ret_is_there);
/* @iface: as messages name it. No more descriptors are needed at once than by the two above */
int fastpath_egress_attach(struct ecbpf *e, const char *iface, int ifindex, int prog_fd);
/* Return: 0, also if it is not there; errors */
int fastpath_egress_detach(struct ecbpf *e, int ifindex);
int fastpath_egress_read(struct ecbpf *e, struct ecbpf_egress_counters *ret);

/* --- ports.c ------------------------------------------------------------------------------ */

const struct ecbpf_member *fastpath_in_chain(const struct ecbpf_chain *chain,
					     const struct ecbpf_counters **ret_counters);
/* Let packets be redirected to these interfaces. @fd: map fastpath_ports */
int fastpath_ports_add(struct ecbpf *e, int fd, const struct ecbpf_fastpath_load *load);

/* --- agreement.c -------------------------------------------------------------------------- */

/* Connections of IPVS, and the neighbour table */
struct fastpath_ipvs {
	struct ipvs_conn *conns;
	size_t conns_count;
	struct ipvs_neighbour *neighbours;
	size_t neighbours_count;
	bool is_there;
};

void fastpath_ipvs_close(struct fastpath_ipvs *ipvs);
int fastpath_ipvs_open(struct ecbpf *e, struct fastpath_ipvs *ret_ipvs);
void fastpath_ipvs_join(const struct fastpath_ipvs *ipvs, struct ecbpf_fastpath_flow *flow);

/* --- table.c ------------------------------------------------------------------------------ */

/* The table of flows, open for a walk */
struct fastpath_table {
	struct ecbpf_view settings;
	struct ecbpf_view flows;
	struct ecbpf_hop_entry *hops;
	__u64 now;
};

/* @addr: IPv4 as ::ffff:a.b.c.d */
bool fastpath_prefix_has(const struct ecbpf_prefix *prefix, const __u8 *addr);
void fastpath_flow_decode(const struct ecbpf_flow *flow, const struct ecbpf_fastpath *settings,
			  __u64 now, struct ecbpf_fastpath_flow *ret);
void fastpath_table_close(struct fastpath_table *table);
int fastpath_table_open(struct ecbpf *e, struct fastpath_ipvs *ret_ipvs,
			struct fastpath_table *ret_table);
typedef int (*fastpath_slot_fn)(void *data, struct ecbpf_flow *slot,
				const struct ecbpf_fastpath_flow *flow);
int fastpath_table_walk(const struct fastpath_table *table,
			const struct ecbpf_fastpath_filter *filter, fastpath_slot_fn fn,
			void *data);

/* --- explain.c ---------------------------------------------------------------------------- */

long long fastpath_explain_sample_ms(const struct ecbpf_fastpath_settings *settings,
				     const struct ecbpf_fastpath_flow *flow);
__u32 fastpath_explain_reason(const struct ecbpf_fastpath_explanation *explanation,
			      const struct ecbpf_fastpath_settings *settings);

/* --- for other rooms ---------------------------------------------------------------------- */

/* Are they allowed? They become what ecbpf_fastpath_get() gives back: times are whole jiffies */
int ecbpf_fastpath_check(struct ecbpf *e, struct ecbpf_fastpath_settings *settings);
/* Return: -ENOENT it is not loaded. @ret_is_on: packets are forwarded */
int ecbpf_fastpath_state(struct ecbpf *e, bool *ret_is_on, __u32 *ret_groups);
/* How many flows a table was made for */
__u32 ecbpf_fastpath_capacity(__u32 groups);
/* Take the TC program from an interface, and send nothing there any more */
int ecbpf_fastpath_leave(struct ecbpf *e, const char *iface);
/*
 * Take TC programs from all interfaces but these, or, if there are none, remove the fast path; then
 * @change removes the stage from chains. If it fails, all else is put back. The lock is held
 */
int ecbpf_fastpath_retire(struct ecbpf *e, const char *const *keep, size_t keep_count,
			  int (*change)(struct ecbpf *e, void *data), void *data);

/*
 * Programs at TC egress that run before ours, and may end processing: a text for each, NAME (id N);
 * @ret: for free()
 */
struct fastpath_earlier {
	char text[96];
};
int ecbpf_fastpath_earlier(struct ecbpf *e, int ifindex, struct fastpath_earlier **ret,
			   size_t *ret_count);

/* What the doctor wants to know of the fast path. @ports: for free() */
struct fastpath_diagnosis {
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
int ecbpf_fastpath_diagnose(struct ecbpf *e, struct fastpath_diagnosis *ret_diagnosis);

#endif /* ECBPF_LIB_FASTPATH_H */
