/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libecbpf: stage filter. Its settings and lists are one for a network namespace, whichever
 * interfaces it is loaded on, and are there before it is loaded and after; conventions are those of
 * libecbpf.h. Changes hold for all packets from the return of the call on.
 */
#ifndef LIBECBPF_FILTER_H
#define LIBECBPF_FILTER_H

#include <ecbpf/filter.h>
#include "libecbpf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- settings ------------------------------------------------------------------------------- */

/**
 * struct ecbpf_filter_config - settings in force
 * @frags: enum ecbpf_filter_frags, for IPv4 fragments that are not for this host
 * @frags6: likewise, IPv6
 * @ptb_max_pps: answers to first fragments in any second, 1 to 10^9
 * @ptb_per_source_pps: likewise, to one IPv4 address or IPv6 /64
 * @drop: hygiene checks that drop, bits of enum ecbpf_filter_check
 * @count: those that count only; none of @drop
 */
struct ecbpf_filter_config {
	__u32 frags;
	__u32 frags6;
	__u32 ptb_max_pps;
	__u32 ptb_per_source_pps;
	__u32 drop;
	__u32 count;
};

/* The defaults, if nothing was ever set */
int ecbpf_filter_config_get(struct ecbpf *e, struct ecbpf_filter_config *ret_config);

/**
 * ecbpf_filter_set() - change settings, all of them in one step
 * @settings: "KEY=VALUE" each: frags and frags6 (pass, drop, ptb), ptb-max-pps and
 *	      ptb-per-source-pps (1 to 1000000000), each hygiene check (off, count, drop), or all
 *	      of them ("checks"). A later one wins
 * Return: 0; -EINVAL unknown key or value, nothing is changed.
 */
int ecbpf_filter_set(struct ecbpf *e, const char *const *settings, size_t count);

/* "ip-options"; NULL if there is no check of this number */
const char *ecbpf_filter_check_name(__u32 number);

/* --- addresses ------------------------------------------------------------------------------ */

/**
 * ecbpf_filter_refresh() - read which addresses are this host's
 *
 * Fragments to them pass. They are the kernel's local routes, and thus follow addresses and
 * prefixes on any interface, at the time of the call; loading, ecbpf_filter_set() and changes of
 * VIPs read them, too.
 */
int ecbpf_filter_refresh(struct ecbpf *e);

/* A prefix as text, "203.0.113.80", "2001:db8::/64" */
struct ecbpf_filter_vip {
	char text[64];
};

/**
 * ecbpf_filter_vip_add() - treat fragments to these addresses of this host as if they were not
 * @vips: addresses or prefixes; bits of the host part are ignored
 * Return: 0; -EINVAL not a prefix, -E2BIG too many; nothing is changed then.
 */
int ecbpf_filter_vip_add(struct ecbpf *e, const char *const *vips, size_t count);

/* Return: 0; -EINVAL not a prefix, -ENOENT one that is not listed; nothing is changed then */
int ecbpf_filter_vip_delete(struct ecbpf *e, const char *const *vips, size_t count);
int ecbpf_filter_vip_flush(struct ecbpf *e);

/* @ret_vips: array in no particular order, for free() */
int ecbpf_filter_vip_list(struct ecbpf *e, struct ecbpf_filter_vip **ret_vips, size_t *ret_count);

/* --- interfaces ----------------------------------------------------------------------------- */

/**
 * ecbpf_filter_load() - load stage filter on interfaces, see ecbpf_chain_load()
 * @fused: as the only stage of ecbpf_fused
 * Return: as ecbpf_chain_load(); -EEXIST if it is loaded on one of them already.
 */
int ecbpf_filter_load(struct ecbpf *e, const char *const *ifaces, size_t count,
		      enum ecbpf_mode mode, bool fused);

/* Likewise, out of the chains. -ENOENT where it is not, or not the only stage of ecbpf_fused */
int ecbpf_filter_unload(struct ecbpf *e, const char *const *ifaces, size_t count);

/**
 * struct ecbpf_filter_status - the filter on one interface
 * @counters: of all its members, summed
 */
struct ecbpf_filter_status {
	bool is_loaded;
	bool is_fused;
	enum ecbpf_mode mode;
	struct ecbpf_counters counters;
};

int ecbpf_filter_status_get(struct ecbpf *e, const char *iface, struct ecbpf_filter_status *ret);

/* Set the counters of the filter on this interface to zero, and no others */
int ecbpf_filter_status_clear(struct ecbpf *e, const char *iface);

#ifdef __cplusplus
}
#endif

#endif /* LIBECBPF_FILTER_H */
