/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A configuration, as it is read from a file and applied */
#ifndef ECBPF_CONF_H
#define ECBPF_CONF_H

#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <ecbpf/libecbpf-config.h>
#include <ecbpf/libecbpf-fastpath.h>
#include <ecbpf/libecbpf-filter.h>
#include <ecbpf/libecbpf-fw.h>
#include <ecbpf/libecbpf-sampler.h>

/* A word out of the file, and where it stands. @file is the configuration's */
struct conf_word {
	char *text;
	const char *file;
	unsigned int line;
};

struct conf_words {
	struct conf_word *items;
	size_t count;
};

/* [stage NAME] or [program NAME] */
struct conf_unit {
	char *name;
	bool is_stage;
	struct conf_word file; /* text NULL: not said */
	char *section;
	char *prog_name;
	int prio;
	__u32 actions;
	struct conf_words settings; /* "NAME=NUMBER" */
};

/* Prefixes of a list, in order, each once */
struct conf_list {
	bool is_said;
	struct conf_words files;
	struct ecbpf_filter_entry *entries;
	size_t count;
};

/* [fastpath] */
struct conf_fastpath {
	struct conf_word section; /* its head; file NULL: there is none */
	__u32 flows;		  /* 0: not said */
	struct ecbpf_fastpath_settings settings;
	__u64 given;
	struct conf_words excludes; /* as ecbpf_prefix_format() writes them */
};

/*
 * Text that grows; @is_lost: there was no memory. @text is for free(). @for_undo: of what somebody
 * else removed from the pinned maps, nothing is said, instead of an error
 */
struct conf_text {
	char *text;
	size_t len;
	bool is_lost;
	bool for_undo;
};

/* What runs at boot if the file cannot be applied */
enum conf_on_error {
	CONF_ON_ERROR_UNSAID,
	CONF_ON_ERROR_OPEN,
	CONF_ON_ERROR_LAST_GOOD,
};

#define CONF_SECTIONS_MAX 8
struct ecbpf_config {
	char **files; /* names, for places */
	size_t files_count;
	struct conf_word heads[CONF_SECTIONS_MAX]; /* of conf_sections; file NULL: there is none */
	/* a stage that a line has twice, not to be freed; file NULL: none */
	struct conf_word twice;
	struct conf_text source; /* lines of all files */
	bool has_interfaces;
	struct conf_words ingress;
	struct conf_words egress;
	struct conf_words ingress_vlans; /* numbers */
	struct conf_words egress_vlans;
	struct conf_words stages;
	bool has_stages;
	bool is_fused;
	bool is_left; /* when all is stopped */
	bool holds_vlans;
	bool has_news;			      /* of @vlans_told */
	struct ecbpf_config_wait *vlans_told; /* text "": it is on its VLANs */
	size_t vlans_told_count;
	bool resets;  /* what was changed at runtime */
	bool is_stop; /* it says nothing of settings: they are left alone */
	enum conf_on_error on_error;
	bool is_patient; /* a name that no interface has is left out */
	bool is_start;	 /* nothing runs yet: what was changed at runtime is no reason to fail */
	enum ecbpf_mode mode;
	struct conf_unit *units;
	size_t units_count;
	bool has_filter;
	struct ecbpf_filter_config filter;
	__u64 filter_given;
	struct conf_words vips; /* as ecbpf_filter_vip_list() writes them */
	struct conf_list lists[ECBPF_FILTER_LISTS];
	struct conf_word rules;		  /* file; text NULL: not said; "": no rules */
	struct ecbpf_fw_ruleset *ruleset; /* NULL: not said */
	bool has_fw;
	struct ecbpf_fw_config fw;
	__u64 fw_given;
	struct conf_fastpath fastpath;
	bool has_sampler;
	struct ecbpf_sampling sampling;
	__u64 sampling_given;
	const struct ecbpf_config *before;   /* what was applied last; or NULL: not known */
	const struct ecbpf_config *declared; /* this one is merged of it, see merge.c; or NULL */
};

/* fused: its unit is of that name, as if it were a stage */
#define CONF_FUSED "fused"

/* --- errors: parse.c ---------------------------------------------------------------------- */

/* "FILE:LINE: " before what ecbpf_error() says, or before a text; returns @err */
int conf_fail_at(struct ecbpf *e, int err, const struct conf_word *at);
int conf_fail(struct ecbpf *e, const struct conf_word *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* --- text.c, report.c, values.c, file.c, pins.c ------------------------------------------
 */

void conf_printf(struct conf_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What differs, a line each */
struct conf_report {
	struct ecbpf_config_change *changes;
	size_t count;
};
int conf_report_change(struct ecbpf *e, struct conf_report *r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int conf_report_note(struct ecbpf *e, struct conf_report *r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int conf_report_iface(struct ecbpf *e, struct conf_report *r, const char *iface, const char *format,
		      ...) __attribute__((format(printf, 4, 5)));

/* The change that was reported last takes something away, and that alone */
void conf_report_removal(struct conf_report *r);

/* Interfaces that a configuration waits for, a line each */
struct conf_waits {
	struct ecbpf_config_wait *items;
	size_t count;
};
#define CONF_ABSENT "no such interface"
/* Each name once: the first reason stays */
int conf_wait(struct ecbpf *e, struct conf_waits *waits, const char *name, const char *text);

/* It takes the place of @dir/@name in one step. Return: 0 or -errno */
int conf_file_write(struct ecbpf *e, const char *dir, const char *name, const char *text,
		    size_t size);

struct conf_file {
	char name[32];
	char *text;
	char work[PATH_MAX];	   /* written, and not renamed yet; or "" */
	char before[PATH_MAX + 1]; /* second name of the one that was there; or "" */
	bool is_new;		   /* none was there */
};

/* What export writes beside the configuration: rules and lists */
struct conf_files {
	const char *dir;
	struct conf_file items[1 + ECBPF_FILTER_LISTS];
	size_t count;
};
/* @text is taken */
void conf_files_add(struct conf_files *files, const char *name, char *text);
/* All of them, or none: then those that were there are there. Return: 0 or -errno */
int conf_files_write(struct ecbpf *e, struct conf_files *files);
void conf_files_free(struct conf_files *files);

/* What differs in the values of a stage's settings */
int conf_values_report(struct ecbpf *e, const struct ecbpf_settings *settings, const void *wanted,
		       const void *running, struct conf_report *report);
/* "KEY = VALUE" lines */
void conf_values_print(const struct ecbpf_settings *settings, const void *values,
		       struct conf_text *text);

/* Return: 1 if @map of ours is pinned, 0 if not, or -errno */
int conf_is_pinned(struct ecbpf *e, const char *map);
/* Likewise; -ESTALE: its pin was removed, and a program goes on with it, see chain/lost.h */
int conf_has_map(struct ecbpf *e, const char *map);
/* As ecbpf_config_refresh(), but for pins that were removed */
int conf_refresh(struct ecbpf *e);

/* --- sections ----------------------------------------------------------------------------- */

struct conf_parser;

/**
 * struct conf_section - a section of the file, and its part of the running state
 * @has_name: "[stage NAME]"
 * @settings: keys of a stage's table; or NULL
 * @keys: other keys, up to NULL; or NULL. What is neither is a constant of a program if @has_name,
 *	  or else an error
 * @stage: it is of this one alone; or NULL
 * @open: at its head; or NULL
 * @set: take one key
 * @check: once all is read; or NULL
 *
 * Of settings; the others have none of these:
 * @is_wanted: does the configuration say any of it?
 * @apply: say what differs, and change it unless @check
 * @export: write it; nothing, if it was never set. @files: NULL: what is in files is left out
 * @get: what @export leaves out without files, or because it was never set, into a
 *	 configuration; or NULL
 */
struct conf_section {
	const char *name;
	const char *stage;
	bool has_name;
	const struct ecbpf_settings *(*settings)(void);
	const char *const *keys;
	int (*open)(struct conf_parser *p, const char *name);
	int (*set)(struct conf_parser *p, const char *key, const char *value);
	int (*check)(struct ecbpf *e, struct ecbpf_config *config);
	bool (*is_wanted)(const struct ecbpf_config *config);
	int (*apply)(struct ecbpf *e, const struct ecbpf_config *config, bool check,
		     struct conf_report *report);
	int (*export)(struct ecbpf *e, struct conf_files *files, struct conf_text *text);
	int (*get)(struct ecbpf *e, struct ecbpf_config *config);
};

extern const struct conf_section conf_section_interfaces, conf_section_chain, conf_section_stage,
	conf_section_program, conf_section_filter, conf_section_fw, conf_section_fastpath,
	conf_section_sampler;
/* All of them, in the order in which they are applied, and NULL */
extern const struct conf_section *const conf_sections[CONF_SECTIONS_MAX + 1];

/* --- unit.c ------------------------------------------------------------------------------- */

struct conf_unit *conf_unit_find(const struct ecbpf_config *config, const char *name,
				 bool is_stage);
/* What [stage NAME] takes, and NULL: stages in order of their table, then CONF_FUSED */
#define X(value, NAME, name, prio, text) +1
enum {
	CONF_STAGES_COUNT = ECBPF_STAGES(X)
};
#undef X
extern const char *const conf_stage_names[CONF_STAGES_COUNT + 2];

/* --- fastpath.c --------------------------------------------------------------------------- */

/* What conf_fastpath_load() did */
struct conf_fastpath_undo {
	bool is_loaded;	    /* it was not before */
	const char **names; /* of interfaces that it was not on; for free() */
	size_t count;
};

/* All but the XDP program, on these interfaces, too. @names are not copied */
int conf_fastpath_load(struct ecbpf *e, const struct ecbpf_config *config, const char *const *names,
		       size_t names_count, bool check, struct conf_report *r,
		       struct conf_fastpath_undo *ret_undo);
void conf_fastpath_undo(struct ecbpf *e, struct conf_fastpath_undo *undo);
/* Report what ecbpf_fastpath_retire() will do; none: nothing of the fast path is left */
int conf_fastpath_leave(struct ecbpf *e, const char *const *names, size_t names_count,
			struct conf_report *r);

/* --- drop-ins.c --------------------------------------------------------------------------- */

/* Paths, in the order of their names */
struct conf_drop_ins {
	char **names;
	size_t count;
};

/* Return: 0, also if there is no conf.d; others if it cannot be listed */
int conf_drop_ins_list(struct ecbpf *e, struct conf_drop_ins *ret);
void conf_drop_ins_free(struct conf_drop_ins *files);

/* --- read.c ------------------------------------------------------------------------------- */

/* A configuration out of a text; @name stands for the file's */
int conf_read_text(struct ecbpf *e, const char *name, const char *text,
		   struct ecbpf_config **ret_config);
/* As ecbpf_config_read(), but the rules, lists and programs that it names are not looked at */
int conf_read_words(struct ecbpf *e, const char *file, struct ecbpf_config **ret_config);
/* on-error alone, as far as the file can be read; e->error stays */
enum conf_on_error conf_read_on_error(struct ecbpf *e, const char *file);

/* --- vlans.c ------------------------------------------------------------------------------ */

/* Why an interface with VLANs waits; NULL: LLDP has said that it is right */
const char *conf_vlan_why(const struct ecbpf_config *config, const char *iface);

/* --- filter.c, fw.c ----------------------------------------------------------------------- */

/* As files have them; @ret_text: for free() */
int conf_list_text(struct ecbpf *e, const struct conf_list *list, char **ret_text);

/* --- last-good.c -------------------------------------------------------------------------- */

/* @file: whose configuration it is; NULL: the installed one */
int conf_last_good_save(struct ecbpf *e, const char *file, const struct ecbpf_config *config);
/* @ret_time: when it was saved. Return: 0; -ENOENT there is none; others */
int conf_last_good_read(struct ecbpf *e, const char *file, struct ecbpf_config **ret_config,
			time_t *ret_time);

/* --- filter.c, fw.c, sampler.c: what is live, asking makes nothing ------------------------- */

/* Sorted; @ret->entries: for free() */
int conf_list_get(struct ecbpf *e, __u32 number, struct conf_list *ret);
/* Likewise; one of which parts were removed has no entries, and *ret is as before */
int conf_list_live(struct ecbpf *e, __u32 number, struct conf_list *ret, bool *ret_is_lost);
int conf_vips_get(struct ecbpf *e, struct ecbpf_prefix **ret_vips, size_t *ret_count);
/* One without rules, if none ever was */
int conf_ruleset_get(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset);
/* Likewise, also if somebody else removed parts of it, see fw_get_lost() */
int conf_ruleset_live(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset);
/* Return: -ENOENT if the sampler was never loaded */
int conf_sampling_get(struct ecbpf *e, struct ecbpf_sampling *ret);

/* --- export.c ----------------------------------------------------------------------------- */

/* Settings, VIPs and excluded addresses of what @config says any of */
int conf_settings_export(struct ecbpf *e, const struct ecbpf_config *config,
			 struct conf_text *text);

#endif /* ECBPF_CONF_H */
