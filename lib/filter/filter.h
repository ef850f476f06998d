/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the files of the filter share. Not exported.
 */
#ifndef ECBPF_LIB_FILTER_H
#define ECBPF_LIB_FILTER_H

#include <ecbpf/libecbpf-filter.h>
#include "bpf/map.h"
#include "bpf/trie.h"
#include "core/routes.h"
#include "filter/filter.h"

#define NSEC 1000000000LL

/* --- maps.c ------------------------------------------------------------------------------- */

/* The maps that are pinned, and settings mapped */
struct filter_maps {
	struct bpf_object *obj;
	struct ecbpf_view settings;
	struct ecbpf_filter *filter; /* in that */
	int addrs_fd;
	int lock;
};

void filter_maps_close(struct filter_maps *maps);
#define cleanup_filter_maps __attribute__((cleanup(filter_maps_close)))
#define FILTER_MAPS_INIT   \
	{                  \
		.lock = -1 \
	}

/* Find them, or make them; nobody else changes them until they are closed. To be closed in any case
 */
int filter_maps_open(struct ecbpf *e, struct filter_maps *maps);

/* --- addrs.c ------------------------------------------------------------------------------ */

/* @ret: for free(), with room for ECBPF_FILTER_ADDRS_MAX */
int filter_vips_read(struct ecbpf *e, int fd, struct ecbpf_route **ret, size_t *ret_count);
/* Make filter_addrs these VIPs, what is local now but for addresses of VIPs, and macs.c's */
int filter_addrs_write(struct ecbpf *e, int fd, struct ecbpf_route *vips, size_t vips_count);
int filter_addrs_refresh(struct ecbpf *e, int fd);

/* --- macs.c ------------------------------------------------------------------------------- */

/*
 * Entries for filter_addrs, the same one perhaps several times: Ethernet addresses of this host.
 * @ret: for free()
 */
int filter_macs_read(struct ecbpf *e, struct ecbpf_route **ret, size_t *ret_count);

/* --- sources.c ---------------------------------------------------------------------------- */

struct filter_lists {
	struct ecbpf *e;
	int lists_fd, tries_fd, sources_fd;
	struct ecbpf_view view;
	struct ecbpf_filter_lists *head; /* in that */
	struct ecbpf_trie *tries[ECBPF_FILTER_LISTS];
	bool is_lost[ECBPF_FILTER_LISTS]; /* somebody else removed parts of this list */
	struct ecbpf_filter_hits *hits;	  /* of each CPU; NULL: there are none, or not read yet */
	int cpus;
	bool is_hits_read;
	void *pool;					       /* of sources */
	struct ecbpf_filter_source *chunks[ECBPF_TRIE_CHUNKS]; /* mapped so far */
	__u32 made[ECBPF_TRIE_CHUNKS]; /* chunks that are not published yet */
	size_t made_count;
	__u64 now;    /* CLOCK_MONOTONIC */
	__s64 offset; /* of the time since 1970 to it, ns */
	int lock;
};

void filter_lists_close(struct filter_lists *l);
#define cleanup_filter_lists __attribute__((cleanup(filter_lists_close)))
#define FILTER_LISTS_INIT                                                    \
	{                                                                    \
		.lists_fd = -1, .tries_fd = -1, .sources_fd = -1, .lock = -1 \
	}

/* To be closed in any case */
int filter_lists_open(struct ecbpf *e, struct filter_lists *l);
/* After a writer died or failed: whatever is in no table is free */
int filter_lists_repair(struct filter_lists *l);
/*
 * Would a client of this host that is in the drop list lose the allow list, see
 * ecbpf_session_guard()? @is_deleted: of these entries; else they are all that is left.
 * Return: 0; -EPERM; others
 */
int filter_allow_check(struct filter_lists *l, const struct ecbpf_filter_entry *entries,
		       size_t count, bool is_deleted);
/* The error of a list that is_lost; 0: it is not */
int filter_list_check(const struct filter_lists *l, __u32 list);
/* Before a list is replaced that is_lost: its sources are to be none that a packet may look at */
void filter_sources_skip(struct filter_lists *l);
/* NULL: errno */
struct ecbpf_filter_source *filter_source_get(struct filter_lists *l, __u32 number);
/* What CPUs have counted now. Return: 0, also if no program was loaded that counts so; or -errno */
int filter_hits_read(struct filter_lists *l);
/*
 * Add to packets and bytes of a source what CPUs have counted that is not in it. What they add to
 * it meanwhile may be missing, or there twice: see ECBPF_FILTER_HITS_ENOUGH
 */
int filter_hits_add(struct filter_lists *l, __u32 number, struct ecbpf_filter_source *source);
/* A source that no packet looks at. Return: number or -errno */
int filter_source_new(struct filter_lists *l, struct ecbpf_filter_source **ret);
/* It is in no table any more; programs may still read it */
int filter_source_retire(struct filter_lists *l, __u32 number);
/* Retired ones can be had again, but those that CPUs still count. Return: 0 or -errno */
int filter_sources_free(struct filter_lists *l);
int filter_fail_sources(struct filter_lists *l, int err);
/* Of all prefixes of a list, as they will be, sorted */
int filter_parents_set(struct filter_lists *l, __u32 list, const struct ecbpf_trie_op *ops,
		       size_t count);

/* --- entry.c ------------------------------------------------------------------------------ */

int filter_entry_check(struct ecbpf *e, const struct ecbpf_filter_entry *entry);
struct ecbpf_trie_op filter_entry_op(const struct ecbpf_filter_entry *entry);
void filter_entry_set(const struct filter_lists *l, const struct ecbpf_trie_op *op,
		      const struct ecbpf_filter_source *source, struct ecbpf_filter_entry *entry);

/* --- log.c -------------------------------------------------------------------------------- */

/* In the log of changes at runtime, after the change; @verb: "add", "delete", "replace" */
void filter_log_list(struct ecbpf *e, __u32 list, const char *verb,
		     const struct ecbpf_filter_entry *entries, size_t count);
/* Likewise; also "flush" */
void filter_log_vips(struct ecbpf *e, const char *verb, const struct ecbpf_prefix *vips,
		     size_t count);
extern const char *const filter_list_names[ECBPF_FILTER_LISTS];

/* --- for other rooms ---------------------------------------------------------------------- */

/* "192.0.2.0/24 scan 2027-01-31T23:59:59Z", or "-" for what there is not; and back */
#define FILTER_ENTRY_TEXT (ECBPF_PREFIX_TEXT + ECBPF_FILTER_TAG_MAX + 32)
void filter_entry_format(const struct ecbpf_filter_entry *entry, char *ret);
int filter_entry_parse(struct ecbpf *e, const char *text, struct ecbpf_filter_entry *ret);
/* Set all values. Return: as ecbpf_filter_set() */
int ecbpf_filter_config_set(struct ecbpf *e, const struct ecbpf_filter_config *config);
/*
 * Did somebody else remove parts of a list from the pinned maps? It makes and changes nothing.
 * Return: 1, 0 or -errno
 */
int filter_list_is_lost(struct ecbpf *e, __u32 list);
/*
 * Would ecbpf_filter_list_replace() refuse this, by ecbpf_list_policy()? @before: prefixes that are
 * on the list; @allow: the other list, as it will be
 */
int ecbpf_filter_list_check(struct ecbpf *e, __u32 list, size_t before,
			    const struct ecbpf_filter_entry *entries, size_t count,
			    const struct ecbpf_filter_entry *allow, size_t allow_count);

#endif /* ECBPF_LIB_FILTER_H */
