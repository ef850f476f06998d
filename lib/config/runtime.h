/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What verbs have changed at runtime, beside what a configuration declares */
#ifndef ECBPF_CONF_RUNTIME_H
#define ECBPF_CONF_RUNTIME_H

#include "config/conf.h"
#include "core/runtime_log.h"
#include "fw/rules.h"

/* A prefix that was added or deleted; lists of the filter use all of an entry */
struct conf_object {
	struct ecbpf_filter_entry entry;
	size_t number; /* in the order of the log */
	bool is_delete;
	bool is_forced; /* it may block this host */
};

/**
 * struct conf_objects - what has become of a list, VIPs or excluded addresses at runtime
 * @items: sorted by prefix, the last change of each
 * @is_replaced: what was there before these is gone
 */
struct conf_objects {
	struct conf_object *items;
	size_t count;
	bool is_replaced;
};

/* Settings that were set at runtime: bits of @given */
struct conf_values {
	__u64 given;
	union {
		struct ecbpf_filter_config filter;
		struct ecbpf_fw_config fw;
		struct ecbpf_fastpath_settings fastpath;
		struct ecbpf_sampling sampling;
	};
};

enum conf_values_of {
	CONF_VALUES_FILTER,
	CONF_VALUES_FW,
	CONF_VALUES_FASTPATH,
	CONF_VALUES_SAMPLER,
	CONF_VALUES_COUNT,
};

/**
 * struct conf_rule - a rule that was added, or deleted, at runtime; strings are the log's
 * @id: "name NAME" or "rule TEXT"
 * @before, @after: those of the rules beside it; NULL: it was the last, the first
 */
struct conf_rule {
	const char *id;
	const char *text;
	const char *before;
	const char *after;
	bool is_written;
};

struct conf_rules {
	struct conf_rule *items;
	size_t count;
};

/*
 * A set whose prefixes were changed. @is_destroyed: that of @whole was, at runtime; @is_created:
 * likewise, after that
 */
struct conf_set {
	char name[FW_SET_NAME_MAX + 1];
	__u8 family;
	bool is_destroyed;
	bool is_created;
	struct conf_objects objects;
};

/**
 * struct conf_runtime - the log, as far as it still holds
 * @rules: in the order in which they are inserted
 * @whole: the rules that 'ecbpf-fw apply' has made live before all that; or NULL
 * @merged: the configuration with it, see conf_runtime_begin()
 * @is_dirty: the log on disk has more, or is not there
 * @is_unreadable: it stays as it is
 */
struct conf_runtime {
	struct runtime_log log;
	struct conf_objects lists[ECBPF_FILTER_LISTS];
	struct conf_objects vips;
	struct conf_objects excludes;
	struct conf_values values[CONF_VALUES_COUNT];
	struct conf_rules rules;
	struct conf_rules deleted;
	const struct runtime_record *whole;
	struct conf_set *sets;
	size_t sets_count;
	struct ecbpf_config merged;
	const struct ecbpf_config *declared;
	bool is_dirty;
	bool is_unreadable;
	bool was_applying;
};

/* --- objects.c ---------------------------------------------------------------------------- */

int conf_fail_record(struct ecbpf *e, const struct runtime_record *record);
/* "add", "add force", "delete", "replace", "flush"; and the objects. Return: 0; -EINVAL; -ENOMEM */
int conf_objects_take(struct ecbpf *e, const struct runtime_record *record, const char *verb,
		      struct conf_objects *objects);
void conf_objects_write(struct ecbpf *e, FILE *whole, const char *what,
			const struct conf_objects *objects, bool has_columns, bool has_deletes);
/* The last change of each; what has expired goes. *@is_dirty: some did */
void conf_objects_settle(struct conf_objects *objects, bool *is_dirty);

/* --- runtime.c ---------------------------------------------------------------------------- */

/* @is_change: nobody else writes before conf_runtime_free(), which has to be called in any case */
int conf_runtime_read(struct ecbpf *e, bool is_change, struct conf_runtime *ret);
void conf_runtime_free(struct conf_runtime *rt);
/* The records of rt->log, which were read: as conf_runtime_read() does */
int conf_runtime_take(struct ecbpf *e, struct conf_runtime *rt);
/* What is left becomes the log; @is_trial: only see whether it could */
int conf_runtime_write(struct ecbpf *e, struct conf_runtime *rt, bool is_trial);
#define CONF_COMPACT_MIN 65536
/*
 * If the log has become larger than *@bound, write what of it still holds; *@bound is the next one.
 * Return: 0 or -errno
 */
int conf_runtime_compact(struct ecbpf *e, long long *bound);
const struct ecbpf_settings *conf_values_settings(enum conf_values_of of);

/* --- runtime-fw.c: rules and sets --------------------------------------------------------- */

int conf_runtime_fw_take(struct ecbpf *e, const struct runtime_record *record,
			 struct conf_runtime *rt);
void conf_runtime_fw_write(struct ecbpf *e, FILE *whole, struct conf_runtime *rt);
void conf_runtime_fw_free(struct conf_runtime *rt);
struct conf_set *conf_set_find(struct conf_runtime *rt, const char *name);
bool conf_set_has(const struct fw_set *set, const struct ecbpf_prefix *prefix);
/* @id: as of struct conf_rule */
bool conf_rule_find(const struct ecbpf_fw_ruleset *ruleset, const char *id, size_t *ret_index);
/* Of @whole, what its sets have not needs not be deleted from them */
int conf_runtime_fw_settle(struct ecbpf *e, struct conf_runtime *rt);
/* What 'ecbpf-fw apply' made live. Return: 0; -EINVAL it cannot be read any more; -ENOMEM */
int conf_whole_read(struct ecbpf *e, const struct runtime_record *whole,
		    struct ecbpf_fw_ruleset **ret);

/* --- recover.c ---------------------------------------------------------------------------- */

/* If the log is gone that was there: what is live and not declared is taken for it */
int conf_runtime_recover(struct ecbpf *e, const struct ecbpf_config *config,
			 struct conf_runtime *rt);

/* --- export-runtime.c --------------------------------------------------------------------- */

int conf_runtime_export(struct ecbpf *e, struct conf_text *text);

/* --- merge-fw.c --------------------------------------------------------------------------- */

int conf_fw_merge(struct ecbpf *e, struct conf_runtime *rt);

/* --- merge.c ------------------------------------------------------------------------------ */

/*
 * Read the log, and make rt->merged of a configuration and what it does not say. A value that it
 * says wins over one of the log, which is told by a warning, and left out of @rt
 */
int conf_runtime_begin(struct ecbpf *e, const struct ecbpf_config *config, struct conf_runtime *rt);
/* Keep what is left, if @err is 0 and it is no check. Return: @err */
int conf_runtime_end(struct ecbpf *e, int err, bool check, struct conf_runtime *rt);

#define CONF_BACK   "again as the configuration says"
#define CONF_WINS   "changed at runtime, " CONF_BACK
#define CONF_FORGET "changed at runtime, forgotten"

#endif /* ECBPF_CONF_RUNTIME_H */
