/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A configuration: what conf-read.c makes of the file, and conf-apply.c brings about */
#ifndef ECBPF_CONF_H
#define ECBPF_CONF_H

#include "core/internal.h"
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
	struct conf_words excludes; /* as ecbpf_prefix_format() writes them */
};

struct ecbpf_config {
	char **files; /* names, for places */
	size_t files_count;
	bool has_interfaces;
	struct conf_words ingress;
	struct conf_words egress;
	struct conf_words ingress_vlans; /* numbers */
	struct conf_words egress_vlans;
	struct conf_words stages;
	bool has_stages;
	bool is_fused;
	bool is_left; /* when all is stopped */
	enum ecbpf_mode mode;
	struct conf_unit *units;
	size_t units_count;
	bool has_filter;
	struct ecbpf_filter_config filter;
	struct conf_words vips; /* as ecbpf_filter_vip_list() writes them */
	struct conf_list lists[ECBPF_FILTER_LISTS];
	struct conf_word rules;		  /* file; text NULL: not said; "": no rules */
	struct ecbpf_fw_ruleset *ruleset; /* NULL: not said */
	struct conf_fastpath fastpath;
	bool has_sampler;
	bool has_rate_drops;
	struct ecbpf_sampling sampling;
};

/* fused: its unit is of that name, as if it were a stage */
#define CONF_FUSED "fused"

struct conf_unit *conf_unit_find(const struct ecbpf_config *config, const char *name,
				 bool is_stage);
/* The run priority that a stage has by itself; -1: there is no such stage */
int conf_stage_prio(const char *name);

/* "FILE:LINE: " before what ecbpf_error() says, or before a text; returns @err */
int conf_fail_at(struct ecbpf *e, int err, const struct conf_word *at);
int conf_fail(struct ecbpf *e, const struct conf_word *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Text that grows; @is_lost: there was no memory. @text is for free() */
struct conf_text {
	char *text;
	size_t len;
	bool is_lost;
};
void conf_add(struct conf_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A configuration out of a text; @name stands for the file's */
int conf_read_text(struct ecbpf *e, const char *name, const char *text,
		   struct ecbpf_config **ret_config);

/* on-stop alone, of a file as ecbpf_config_read() takes it; what it names is not looked at */
int conf_read_stop(struct ecbpf *e, const char *file, bool *ret_is_left);

/* What differs, a line each */
struct conf_report {
	struct ecbpf_config_change *changes;
	size_t count;
};
int conf_differs(struct ecbpf *e, struct conf_report *r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * struct conf_settings - what a section of settings does with the running state
 * @is_wanted: does the configuration say any of it?
 * @apply: say what differs, and change it unless @check
 * @export: write it; nothing, if it was never set. @dir: for what is in files, NULL: is left out
 * @get: what @export leaves out without @dir, or as it was never set, into a configuration; or NULL
 */
struct conf_settings {
	bool (*is_wanted)(const struct ecbpf_config *config);
	int (*apply)(struct ecbpf *e, const struct ecbpf_config *config, bool check,
		     struct conf_report *report);
	int (*export)(struct ecbpf *e, const char *dir, struct conf_text *text);
	int (*get)(struct ecbpf *e, struct ecbpf_config *config);
};

extern const struct conf_settings *const conf_settings[];
extern const size_t conf_settings_count;

/* --- conf-fastpath.c ---------------------------------------------------------------------- */

extern const struct conf_settings conf_fastpath_settings;
/* One of @settings. Return: 0; -EINVAL; -ENOENT there is none of this name */
int conf_fastpath_setting(struct ecbpf *e, const char *key, const char *value,
			  struct ecbpf_fastpath_settings *settings);

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
/* All but the XDP program, from all interfaces but these; none: nothing of it is left */
int conf_fastpath_leave(struct ecbpf *e, const char *const *names, size_t names_count, bool check,
			struct conf_report *r);

/* Prefixes in order, each once */
void conf_list_sort(struct conf_list *list);

#endif /* ECBPF_CONF_H */
