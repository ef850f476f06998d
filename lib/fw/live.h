/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the files that use the firewall's maps share.
 */
#ifndef ECBPF_FW_LIVE_H
#define ECBPF_FW_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <ecbpf/libecbpf-fw.h>
#include "core/error.h"
#include "fw/compile.h"
#include "fw/rules.h"

struct ecbpf_trie;
struct runtime_change;
struct ecbpf_view;
struct ecbpf_trie_op;

#define FW_NO_ENTRY 0xffff

/* File descriptors of the maps */
struct fw_maps {
	int active;
	int settings;
	int small;
	int medium;
	int large;
	int counters;
	int limits;
	int buckets;
	int groups;
	int sets;
	int pool;
	int text;
	int stocks; /* of programs only */
};

/* A ruleset and its entries in the kernel */
struct fw_state {
	struct ecbpf_fw_ruleset *ruleset;
	__u16 *counters; /* entry of fw_counters, for each rule */
	__u16 *limits;	 /* entry of fw_limits, for each rule, or FW_NO_ENTRY */
	__u16 *sets;	 /* entry of fw_sets, for each set; FW_NO_ENTRY: not made yet */
};

/* Mark and return the first unused entry from *@next on; the caller knows that there is one */
static inline __u16 fw_entry_take(bool *used, __u32 *next)
{
	while (used[*next])
		(*next)++;
	used[*next] = true;
	return *next;
}

/* --- maps.c --------------------------------------------------------------------------------- */

int fw_fail_map(struct ecbpf *e, const char *what, int err);
int fw_map_store(int fd, const void *memory, const struct fw_extent *extents, size_t count);
int fw_map_create(const char *name, __u32 flags, size_t entry_bytes, size_t entries,
		  const void *memory, const struct fw_extent *extents, size_t count);
int fw_maps_open(struct ecbpf *e, struct fw_maps *ret);
/* Those that are pinned; others are not looked for. Return: 0; -ENOENT *ret_name is missing; others
 */
int fw_maps_find(struct ecbpf *e, struct fw_maps *ret, const char **ret_name);
/* The map whose slots are for generations of this size */
int fw_generation_map(const struct fw_maps *maps, enum ecbpf_fw_size size);
/*
 * Has a generation its tables? Return: 0; -ENOENT somebody else took or cleared them, without an
 * error text; other errors
 */
int fw_slot_find(struct ecbpf *e, const struct fw_maps *maps, __u32 generation);
/* The same of the live one, with an error text */
int fw_slot_check(struct ecbpf *e, const struct fw_maps *maps, __u32 active);
/* The error if this map is not there */
int fw_maps_missing(struct ecbpf *e, const char *name);
void fw_maps_close(struct fw_maps *maps);
int fw_maps_make(struct ecbpf *e);

/* --- active.c: fw_active --------------------------------------------------------------------- */

/**
 * struct fw_live - what is live now
 * @stored: as packets find it
 * @generation: whose rules packets follow, but for a panic
 * @waits: for a confirmation, for @left jiffies
 * @is_over: it was not confirmed in time
 */
struct fw_live {
	struct ecbpf_fw_live stored;
	__u32 generation;
	bool waits;
	bool is_over;
	__s64 left;
};

int fw_live_store(struct ecbpf *e, const struct fw_maps *maps, const struct ecbpf_fw_live *live);
/* Seconds for which a change waits; 0: none does */
__u32 fw_live_left(const struct fw_live *now);
int fw_live_get(struct ecbpf *e, const struct fw_maps *maps, struct fw_live *ret);
/* Only fw_live.generation */
int fw_active_get(struct ecbpf *e, const struct fw_maps *maps, __u32 *ret_active);
/* May the rules be changed? Return: 0; -EBUSY a change waits */
int fw_live_check(struct ecbpf *e, const struct fw_live *now);
/* On failure, what was live before still is. A panic goes on */
int fw_active_set(struct ecbpf *e, const struct fw_maps *maps, __u32 generation);
/* The same for @seconds, then @before is live again, which may have ECBPF_FW_WHOLE */
int fw_active_set_for(struct ecbpf *e, const struct fw_maps *maps, __u32 generation, __u32 before,
		      __u32 seconds);

/* --- settings.c ----------------------------------------------------------------------------- */

int fw_settings_change(struct ecbpf *e, int fd, const char *const *settings, size_t count,
		       struct ecbpf_fw_settings *ret_before);
int fw_settings_store(struct ecbpf *e, int fd, const struct ecbpf_fw_settings *settings);

/* --- generation.c --------------------------------------------------------------------------- */

/* Write a slot that no packet uses */
int fw_slot_write(struct ecbpf *e, struct fw_maps *maps, __u32 slot,
		  const struct fw_generation *generation);
void fw_slot_clear(struct ecbpf *e, const struct fw_maps *maps, __u32 slot);
/*
 * Let a slot that is not live have its maps for the next generation, if what is live does not need
 * much less. @is_idle: wait until no packet uses them. Return: whether it has them
 */
bool fw_slot_keep(struct ecbpf *e, const struct fw_maps *maps, __u32 slot, __u32 active,
		  bool is_idle);
/* Free what the slot that is live has kept, if it needs much less */
void fw_slot_trim(const struct fw_maps *maps, __u32 active);

/* --- counters.c, limits.c ------------------------------------------------------------------- */

int fw_counter_clear(struct ecbpf *e, const struct fw_maps *maps, __u32 entry);
/* Summed over the CPUs. @counters: entry of fw_counters, for each rule */
int fw_counters_read(struct ecbpf *e, int fd, const struct ecbpf_fw_ruleset *ruleset,
		     const __u16 *counters, struct ecbpf_fw_stat *ret_stats);
int fw_limits_assign(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *old,
		     struct fw_state *new, const __u16 *same);

/* --- set-trie.c ----------------------------------------------------------------------------- */

/*
 * Return: 0; -ENODATA somebody else removed parts of it; errors. @is_replaced: then it is opened
 * all the same, for ecbpf_trie_build()
 */
int fw_set_open(struct ecbpf *e, const struct fw_maps *maps, const char *name, __u16 entry,
		bool is_replaced, struct ecbpf_view *ret_head, struct ecbpf_trie **ret_trie);
/* Were parts of it removed? It changes nothing. Return: 1, the error is told; 0; errors */
int fw_set_check(struct ecbpf *e, const struct fw_maps *maps, const char *name, __u16 entry);
void fw_set_close(struct ecbpf_view *head, struct ecbpf_trie *trie);
/* @set: has a name, and gets the addresses. Return: as fw_set_open() */
int fw_set_read(struct ecbpf *e, const struct fw_maps *maps, __u16 entry, struct fw_set *set);
int fw_set_rebuild(struct ecbpf *e, struct ecbpf_trie *trie, const struct ecbpf_trie_op *ops,
		   size_t count);
/* Are there sets that are not of @state? */
bool fw_sets_are_left(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *state);
void fw_sets_free(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *state);
int fw_sets_assign(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *old,
		   struct fw_state *new);
struct ecbpf_trie_op fw_trie_op(const struct ecbpf_prefix *prefix, __u32 value);

/* --- assign.c ------------------------------------------------------------------------------- */

int fw_state_alloc(struct ecbpf *e, struct fw_state *new);
void fw_state_free(struct fw_state *state);
int fw_state_assign(struct ecbpf *e, const struct fw_maps *maps, const struct fw_state *old,
		    struct fw_state *new);

/* --- text.c --------------------------------------------------------------------------------- */

/* Does no packet use the slot, which is not live? False if this is not known */
bool fw_text_is_idle(const struct fw_maps *maps, __u32 slot);
/* Note that it is idle when the grace period is over; 0: now. Return: 0 or -errno */
int fw_text_set_idle(const struct fw_maps *maps, __u32 slot, __u32 grace);
int fw_text_write(struct ecbpf *e, const struct fw_maps *maps, __u32 slot,
		  const struct fw_state *state);
/* Does an error of fw_state_read() say that there is no text which can be read, now or later? */
bool fw_text_is_lost(int err);
/*
 * Read the live state; it is empty if no generation is live. Sets are without their addresses.
 * @for_sets: of the rules, only those that use sets, and perhaps others
 */
int fw_state_read(struct ecbpf *e, const struct fw_maps *maps, __u32 active, bool for_sets,
		  struct fw_state *ret);

/* --- live.c --------------------------------------------------------------------------------- */

/* All that a change of the live state needs. @is_lost: the live rules are unknown, @old is empty */
struct fw_session {
	int lock;
	struct fw_maps maps;
	__u32 active; /* live.generation, until it is changed */
	struct fw_live live;
	struct fw_state old;
	bool is_lost;
	bool is_whole;	    /* all rules are given, not what is changed */
	bool has_no_tables; /* of what is live: see fw_slot_check() */
	bool is_told;	    /* by the caller: which sets lose their addresses */
	int sets_left;	    /* are there sets that are not of @old? -1: that is to be looked for */
};

/*
 * Flags of fw_session_open(): make missing maps; go on with @is_lost if the text is unreadable, or
 * with @has_no_tables; keep the rules, so that a change may wait for its confirmation; keep them,
 * and read as fw_state_read() does for sets
 */
#define FW_SESSION_MAKE	  1
#define FW_SESSION_REPAIR 2
#define FW_SESSION_KEEP	  4
#define FW_SESSION_SETS	  (8 | FW_SESSION_KEEP)

int fw_session_open(struct ecbpf *e, int how, struct fw_session *ret);
void fw_session_close(struct fw_session *s);
/* When no packet uses it any more, free what is not live; but the maps of the rules are kept */
void fw_session_clean(struct ecbpf *e, const struct fw_session *s);
/* The same in a session of its own; an error text stays */
void fw_live_clean(struct ecbpf *e);
/* Make a copy of @ruleset live, with new sets */
int fw_session_apply(struct ecbpf *e, struct fw_session *s, const struct ecbpf_fw_ruleset *ruleset);

/* Is a ruleset live, even one without rules? Return: 0; -ENOENT the firewall was never loaded */
int fw_live_is_there(struct ecbpf *e, bool *ret_is_there);

/* --- log.c: in the log of changes at runtime, after the change ------------------------------- */

/* Rules and sets that differ */
void fw_log_change(struct ecbpf *e, const struct ecbpf_fw_ruleset *old,
		   const struct ecbpf_fw_ruleset *new);
void fw_log_ruleset(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset);
void fw_log_set(struct ecbpf *e, const struct fw_set *set, enum ecbpf_fw_set_change change,
		const struct ecbpf_list *list);
/* A rule, and which ones are beside it */
/* @data: its name; -EBUSY: a rule uses it */
int fw_set_remove(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset, void *data);
void fw_log_rule(struct runtime_change *c, const struct ecbpf_fw_ruleset *ruleset, size_t index);
void fw_log_set_line(struct runtime_change *c, const char *name, __u8 family);
/* Before a change that waited is taken back: if it may be in the log, write that it is not so */
int fw_log_taken_back(struct ecbpf *e, const struct fw_maps *maps, struct fw_live *live);

/* As fw_vlan_rules(), of the live rules; 0 if they cannot be read. The caller has the lock */
size_t fw_live_vlan_rules(struct ecbpf *e);

#endif /* ECBPF_FW_LIVE_H */
