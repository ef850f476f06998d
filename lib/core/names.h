/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What tables of X(value, NAME, name, ...) say of a number, or of a name. */
#ifndef ECBPF_LIB_NAMES_H
#define ECBPF_LIB_NAMES_H

#include <stddef.h>
#include <linux/types.h>

/* Which column of the table: as in ECBPF_REASONS, ECBPF_STAGES */
#define NAMES_NAME(value, NAME, name, ...) \
	case value:                        \
		return name;
#define NAMES_TEXT(value, NAME, name, text) \
	case value:                         \
		return text;
#define NAMES_STAGE_NAME(value, NAME, name, prio, text) \
	case value:                                     \
		return #name;
#define NAMES_STAGE_TEXT(value, NAME, name, prio, text) \
	case value:                                     \
		return text;

/* Define @function; it returns NULL for a number that is not in @TABLE */
#define NAMES_FUNCTION(function, TABLE, COLUMN) \
	const char *function(__u32 value)       \
	{                                       \
		switch (value) {                \
			TABLE(COLUMN)           \
		default:                        \
			return NULL;            \
		}                               \
	}

/* The run priority that a stage has by itself; -1: there is no stage of this name */
int ecbpf_stage_prio(const char *name);

#endif /* ECBPF_LIB_NAMES_H */
