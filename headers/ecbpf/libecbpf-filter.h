/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libecbpf: stage filter, see ecbpf-filter(8). All interfaces of a network namespace share one set
 * of settings and lists, which exists before the filter is loaded and after it is unloaded. A
 * change applies to all packets once the call has returned. Conventions are those of libecbpf.h.
 */
#ifndef LIBECBPF_FILTER_H
#define LIBECBPF_FILTER_H

#include <ecbpf/filter.h>
#include <ecbpf/libecbpf-list.h>
#include <ecbpf/libecbpf-settings.h>
#include <ecbpf/libecbpf.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- settings ------------------------------------------------------------------------------- */

/* What becomes of a packet that fails a check */
enum ecbpf_filter_check_action {
	ECBPF_FILTER_CHECK_OFF = 0,
	ECBPF_FILTER_CHECK_COUNT = 1,
	ECBPF_FILTER_CHECK_DROP = 2,
};

/**
 * struct ecbpf_filter_config - settings in force; what each means: see ecbpf_filter_settings()
 * @frags: enum ecbpf_filter_frags, likewise @frags6
 * @not_inspected: enum ecbpf_filter_links
 * @checks: enum ecbpf_filter_check_action, by the bits of ECBPF_FILTER_CHECKS
 */
struct ecbpf_filter_config {
	__u32 frags;
	__u32 frags6;
	__u32 ptb_max_pps;
	__u32 ptb_per_source_pps;
	__u32 not_inspected;
	__u32 checks[ECBPF_FILTER_CHECKS_MAX];
};

/* The table of struct ecbpf_filter_config; the checks are the group "checks" */
const struct ecbpf_settings *ecbpf_filter_settings(void);

/* The defaults if nothing was set */
int ecbpf_filter_config_get(struct ecbpf *e, struct ecbpf_filter_config *ret_config);

/**
 * ecbpf_filter_set() - change settings in one step
 * @texts: "KEY=VALUE" each; a later one wins
 * Return: 0; -EINVAL unknown key or value, nothing is changed.
 */
int ecbpf_filter_set(struct ecbpf *e, const char *const *texts, size_t count);

/* --- addresses ------------------------------------------------------------------------------ */

/**
 * ecbpf_filter_refresh() - read the addresses of this host
 *
 * They are the local routes of the kernel at the time of the call. Fragments to them pass. Load,
 * ecbpf_filter_set() and changes of VIPs read them as well.
 */
int ecbpf_filter_refresh(struct ecbpf *e);

/**
 * ecbpf_filter_vip_add() - treat fragments to addresses of this host like those to other hosts
 * Return: 0; -EINVAL IPv6 that holds ::ffff:0:0/96, which are the IPv4 addresses; -E2BIG too many;
 * nothing is changed then.
 */
int ecbpf_filter_vip_add(struct ecbpf *e, const struct ecbpf_prefix *vips, size_t count);

/* Return: 0; -ENOENT one that is not listed; nothing is changed then */
int ecbpf_filter_vip_delete(struct ecbpf *e, const struct ecbpf_prefix *vips, size_t count);
int ecbpf_filter_vip_flush(struct ecbpf *e);

/* @ret_vips: array, sorted, for free() */
int ecbpf_filter_vip_list(struct ecbpf *e, struct ecbpf_prefix **ret_vips, size_t *ret_count);

/* --- lists of sources ----------------------------------------------------------------------- */

/**
 * struct ecbpf_filter_entry - a prefix on a list
 * @tag: as ecbpf_filter_tag_set() takes it; may be empty
 * @expires: seconds since 1970 when it stops matching; 0: never. It is kept in the monotonic clock,
 *	     so setting the system time does not change it
 * @loaded: seconds since 1970 when it was added. Not read by calls
 * @packets: packets that it decided on, as the longest match; on the allow list those that the
 *block list would have dropped. Not read by calls
 * @bytes: bytes of their frames. Not read by calls
 */
struct ecbpf_filter_entry {
	struct ecbpf_prefix prefix;
	char tag[ECBPF_FILTER_TAG_MAX + 1];
	__u64 expires;
	__u64 loaded;
	__u64 packets;
	__u64 bytes;
};

/* Result of a change. @covered: those of @added that another prefix of the list covers */
struct ecbpf_filter_changes {
	__u64 added;
	__u64 updated;	 /* with another tag or expiry; counters are kept */
	__u64 permanent; /* those of @updated that expired, and do so no longer */
	__u64 temporary; /* likewise the other way; a warning tells them */
	__u64 same;	 /* listed already, or given twice */
	__u64 covered;
	__u64 deleted;
};

/* How times are written, for strftime(3): UTC */
#define ECBPF_FILTER_TIME_FORMAT "%Y-%m-%dT%H:%M:%SZ"

/* "90s", "10m", "2h", "7d", "4w" from now; or "2027-01-31T23:59:59Z", not in the past. Return: 0,
 * -EINVAL
 */
int ecbpf_filter_expiry_parse(struct ecbpf *e, const char *text, __u64 *ret_expires);

/* "-" and "": no tag. Return: 0; -EINVAL too long, or a list with it would not be read as it is
 * printed
 */
int ecbpf_filter_tag_set(struct ecbpf *e, struct ecbpf_filter_entry *entry, const char *tag);

/* What a list says, as entries, for free(). NULL: no memory */
struct ecbpf_filter_entry *ecbpf_filter_entries(struct ecbpf *e, const struct ecbpf_list *list);

/**
 * ecbpf_filter_list_add() - add all prefixes to a list, or none
 * @list: enum ecbpf_filter_list
 * @ret_changes: may be NULL
 * Return: 0; -EINVAL a wrong entry, -ENOSPC the list is full, -ENOMEM; -EPERM a prefix would block
 * this host, see ecbpf_list_policy().
 *
 * More than ECBPF_TRIE_JOURNAL prefixes are published in one step, with a new generation.
 */
int ecbpf_filter_list_add(struct ecbpf *e, __u32 list, const struct ecbpf_filter_entry *entries,
			  size_t count, struct ecbpf_filter_changes *ret_changes);

/*
 * Likewise, so that the list is these and no others; counters of those that stay are kept. -EPERM:
 * or it would become empty
 */
int ecbpf_filter_list_replace(struct ecbpf *e, __u32 list, const struct ecbpf_filter_entry *entries,
			      size_t count, struct ecbpf_filter_changes *ret_changes);

/*
 * An entry with a tag is only deleted if it is listed with this tag. Return: 0; -ENOENT one is not
 * on the list: nothing is changed then, but see ECBPF_LIST_IF_EXISTS
 */
int ecbpf_filter_list_delete(struct ecbpf *e, __u32 list, const struct ecbpf_filter_entry *entries,
			     size_t count);

/* @ret_entries: without expired ones; IPv4 first, by address; for free() */
int ecbpf_filter_list_get(struct ecbpf *e, __u32 list, struct ecbpf_filter_entry **ret_entries,
			  size_t *ret_count);

/**
 * struct ecbpf_filter_size - size of a list
 * @prefixes: IPv4, IPv6; including those that have expired since the last change
 * @bytes: memory of its table and sources
 */
struct ecbpf_filter_size {
	__u64 prefixes[2];
	__u64 bytes;
};

/* It does not create the maps of the lists */
int ecbpf_filter_list_size(struct ecbpf *e, __u32 list, struct ecbpf_filter_size *ret_size);

/* --- interfaces ----------------------------------------------------------------------------- */

/**
 * ecbpf_filter_load() - load stage filter on interfaces, see ecbpf_chain_load()
 * @fused: load it in ecbpf_fused, see ecbpf_chain_load_stage()
 * Return: as ecbpf_chain_load(); -EEXIST if it is loaded on one of them already.
 */
int ecbpf_filter_load(struct ecbpf *e, const char *const *ifaces, size_t count,
		      enum ecbpf_mode mode, bool fused);

/* Return: 0; -ENOENT an interface does not have it; errors of ecbpf_chain_unload() */
int ecbpf_filter_unload(struct ecbpf *e, const char *const *ifaces, size_t count);

/**
 * struct ecbpf_filter_status - status of the filter on one interface
 * @counters: total of all its members
 */
struct ecbpf_filter_status {
	bool is_loaded;
	bool is_fused;
	enum ecbpf_mode mode;
	struct ecbpf_counters counters;
};

int ecbpf_filter_status_get(struct ecbpf *e, const char *iface, struct ecbpf_filter_status *ret);

/* Reset the counters of the filter on this interface */
int ecbpf_filter_status_clear(struct ecbpf *e, const char *iface);

#ifdef __cplusplus
}
#endif

#endif /* LIBECBPF_FILTER_H */
