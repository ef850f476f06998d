/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a configuration wants of the interfaces that exist */
#ifndef ECBPF_CONF_PLAN_H
#define ECBPF_CONF_PLAN_H

#include "config/conf.h"
#include "core/links.h"

/* Which programs, and on which interfaces. Strings are the configuration's */
struct conf_plan {
	struct ecbpf_program *programs;
	size_t programs_count;
	char *fused;		/* list of stages */
	const char ***settings; /* of each program */
	struct ecbpf_link *links;
	size_t links_count;
	const struct ecbpf_link **by_name;
	bool *is_ingress, *is_egress;	/* of each link */
	bool *is_held;			/* likewise: it is left as it is */
	struct ecbpf_chain_want *wants; /* one for each interface that is not held */
	size_t wants_count;
	const char **ports; /* where the fast path is to be, besides in the chains */
	size_t ports_count;
	const struct conf_word **absent; /* names and patterns that no interface has */
	size_t absent_count;
};

/* In this order; conf_plan_free() in any case */
int conf_plan_programs(struct ecbpf *e, const struct ecbpf_config *config, struct conf_plan *plan);
/* @waits: gets the names and patterns that no interface has; NULL: a missing name is an error */
int conf_plan_wants(struct ecbpf *e, const struct ecbpf_config *config, struct conf_plan *plan,
		    struct conf_waits *waits);
int conf_plan_ports(struct ecbpf *e, const struct ecbpf_config *config, struct conf_plan *plan);
void conf_plan_free(struct conf_plan *plan);

/* --- unused.c ----------------------------------------------------------------------------- */

/* Behind the name of an interface that is not there: it may have a comma */
#define CONF_BLANKS "; names are separated by blanks"

typedef void (*conf_unused_fn)(const struct conf_word *at, const char *text, void *data);
/* Of stages that are not in the list, where that list is for interfaces */
void conf_unused_sections(const struct ecbpf_config *config, conf_unused_fn fn, void *data);
/* Names and patterns that no interface has; after conf_plan_wants() */
void conf_unused_words(const struct ecbpf_config *config, const struct conf_plan *plan,
		       conf_unused_fn fn, void *data);

/* --- apply.c, keep.c ---------------------------------------------------------------------- */

int conf_report_chain(struct ecbpf *e, const struct ecbpf_chain_change *change,
		      struct conf_report *r);
/* All settings or none; no chain is touched */
int conf_settings_set(struct ecbpf *e, const struct ecbpf_config *config, struct conf_report *r);
/* Take away all that configurations have loaded, and stages */
int conf_stop(struct ecbpf *e, struct ecbpf_config_change **ret_changes, size_t *ret_count);
/* What one that was killed has left */
int conf_clean(struct ecbpf *e, struct conf_report *r);
/*
 * Bring the chains of declared interfaces to the configuration, each for itself. @waits: those that
 * are not there, or cannot be changed
 */
int conf_keep(struct ecbpf *e, const struct ecbpf_config *config, struct conf_report *r,
	      struct conf_waits *waits);
/* Add which maps are pinned: if these change, conf_keep() has something to do */
void conf_keep_hash(struct ecbpf *e, __u64 *hash);

#endif /* ECBPF_CONF_PLAN_H */
