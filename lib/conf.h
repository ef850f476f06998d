/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A configuration: what conf-read.c makes of the file, and conf-apply.c brings about */
#ifndef ECBPF_CONF_H
#define ECBPF_CONF_H

#include "internal.h"
#include "libecbpf-config.h"
#include "libecbpf-filter.h"
#include "libecbpf-sampler.h"

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

struct ecbpf_config {
	char **files; /* names, for places */
	size_t files_count;
	bool has_interfaces;
	struct conf_words ingress;
	struct conf_words egress;
	struct conf_words stages;
	bool has_stages;
	bool is_fused;
	enum ecbpf_mode mode;
	struct conf_unit *units;
	size_t units_count;
	bool has_filter;
	struct ecbpf_filter_config filter;
	struct conf_words vips; /* as ecbpf_filter_vip_list() writes them */
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

/* What a section of settings does with the running state; conf-apply.c has one row for each */
struct conf_report;
struct conf_settings {
	bool (*is_wanted)(const struct ecbpf_config *config);
	/* Say what differs, and change it unless @check */
	int (*apply)(struct ecbpf *e, const struct ecbpf_config *config, bool check,
		     struct conf_report *report);
	/* Nothing, if it was never set */
	int (*export)(struct ecbpf *e, struct conf_text *text);
};

#endif /* ECBPF_CONF_H */
