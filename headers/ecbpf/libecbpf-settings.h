/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libecbpf: the settings of a stage as a table, from which they are parsed, checked, printed and
 * documented. What is said in libecbpf.h about errors and handles holds here.
 *
 * A stage has a struct of values, which are all __u32, and one row of the table for each of them.
 */
#ifndef LIBECBPF_SETTINGS_H
#define LIBECBPF_SETTINGS_H

#include <ecbpf/libecbpf.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct ecbpf_setting - one setting
 * @name: KEY of KEY=VALUE
 * @offset: of its value in the struct of values
 * @words: names of the values from @min on, "off,on"; NULL: it is a number
 * @unit: of a number: "ms", "%", "bytes"; NULL: none
 * @min: least number
 * @max: largest number
 * @value: default
 * @group: KEY that sets all settings of this group, which follow each other; NULL: none
 * @leader: setting that sets this one, too, if they were equal, unless this one is given as well;
 *	   NULL: none
 * @text: what it does: a phrase without a full stop, plain ASCII
 * @more: what else there is to know, for the manual: sentences; NULL: nothing
 */
struct ecbpf_setting {
	const char *name;
	size_t offset;
	const char *words;
	const char *unit;
	__u32 min;
	__u32 max;
	__u32 value;
	const char *group;
	const char *leader;
	const char *text;
	const char *more;
};

/**
 * struct ecbpf_settings - the settings of a stage
 * @stage: its name
 * @rows: at most 64
 * @count: of @rows
 */
struct ecbpf_settings {
	const char *stage;
	const struct ecbpf_setting *rows;
	size_t count;
};

/**
 * ecbpf_setting_parse() - take one setting
 * @values: the struct of values
 * @given: bits of the rows that were given so far, 0 at first
 * Return: 0; -EINVAL, @values are unchanged: no such key, or a value that is not allowed.
 */
int ecbpf_setting_parse(struct ecbpf *e, const struct ecbpf_settings *settings, const char *key,
			const char *value, void *values, __u64 *given);

/* Likewise, of several "KEY=VALUE"; those before the wrong one are taken */
int ecbpf_settings_parse(struct ecbpf *e, const struct ecbpf_settings *settings,
			 const char *const *texts, size_t count, void *values, __u64 *given);

/* Is each value allowed? Return: 0, -EINVAL */
int ecbpf_settings_check(struct ecbpf *e, const struct ecbpf_settings *settings,
			 const void *values);

/* Set all values to their defaults */
void ecbpf_settings_reset(const struct ecbpf_settings *settings, void *values);

__u32 ecbpf_setting_value(const struct ecbpf_setting *setting, const void *values);

/* "1000", "drop": what ecbpf_setting_parse() takes. Return: @ret */
#define ECBPF_SETTING_TEXT 64
const char *ecbpf_setting_format(const struct ecbpf_setting *setting, __u32 value, char *ret,
				 size_t size);

/* Which values are allowed: "off, count or drop", "a number from 100 to 60000 ms". Return: @ret */
#define ECBPF_SETTING_RANGE 128
const char *ecbpf_setting_range(const struct ecbpf_setting *setting, char *ret, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* LIBECBPF_SETTINGS_H */
