// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The settings of a stage: KEY=VALUE to values and back, as a table says */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/handle.h"
#include "core/settings.h"
#include "core/suggest.h"

/* Word number @number of "off,on"; NULL: there are not so many. Not ended by a 0 byte */
static const char *word_find(const char *words, __u32 number, size_t *ret_len)
{
	for (; number && words; number--) {
		words = strchr(words, ',');
		words += !!words;
	}
	*ret_len = words ? strcspn(words, ",") : 0;
	return words;
}

const char *ecbpf_setting_format(const struct ecbpf_setting *setting, __u32 value, char *ret,
				 size_t size)
{
	size_t len;
	const char *word =
		setting->words ? word_find(setting->words, value - setting->min, &len) : NULL;

	if (word)
		snprintf(ret, size, "%.*s", (int)len, word);
	else
		snprintf(ret, size, "%u", value);
	return ret;
}

const char *ecbpf_setting_range(const struct ecbpf_setting *setting, char *ret, size_t size)
{
	size_t used = 0, len;
	const char *word;

	if (!setting->words) {
		snprintf(ret, size, "a number from %u to %u%s%s", setting->min, setting->max,
			 setting->unit ? " " : "", setting->unit ?: "");
		return ret;
	}
	for (__u32 i = 0; used < size && (word = word_find(setting->words, i, &len)); i++)
		used += snprintf(ret + used, size - used, "%s%.*s",
				 !i	     ? ""
				 : word[len] ? ", "
					     : " or ",
				 (int)len, word);
	return ret;
}

__u32 ecbpf_setting_value(const struct ecbpf_setting *setting, const void *values)
{
	return *(const __u32 *)((const char *)values + setting->offset);
}

static void value_set(const struct ecbpf_setting *setting, void *values, __u32 value)
{
	*(__u32 *)((char *)values + setting->offset) = value;
}

/* Decimal, or hexadecimal after 0x */
static bool number_parse(const char *text, __u64 *ret)
{
	bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	char *end;

	text += is_hex ? 2 : 0;
	errno = 0;
	*ret = strtoull(text, &end, is_hex ? 16 : 10);
	return (is_hex ? isxdigit((unsigned char)*text) : isdigit((unsigned char)*text)) && !*end &&
	       !errno;
}

static bool value_parse(const struct ecbpf_setting *setting, const char *text, __u32 *ret)
{
	const char *word;
	__u64 number;
	size_t len;

	if (!setting->words) {
		if (!number_parse(text, &number) || number < setting->min || number > setting->max)
			return false;
		*ret = number;
		return true;
	}
	for (__u32 i = 0; (word = word_find(setting->words, i, &len)); i++) {
		if (strlen(text) == len && !memcmp(word, text, len)) {
			*ret = setting->min + i;
			return true;
		}
	}
	return false;
}

size_t ecbpf_settings_keys(const struct ecbpf_settings *settings, const char **ret_keys)
{
	const char *group = NULL;
	size_t count = 0;

	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];

		if (s->group && (!group || strcmp(s->group, group))) {
			group = s->group;
			ret_keys[count++] = group;
		}
		ret_keys[count++] = s->name;
	}
	return count;
}

static int fail_key(struct ecbpf *e, const struct ecbpf_settings *settings, const char *key)
{
	const char *keys[ECBPF_SETTINGS_KEYS + 1] = {};
	char text[512];

	ecbpf_settings_keys(settings, keys);
	ecbpf_suggest(key, keys, text, sizeof(text));
	return ecbpf_fail(e, -EINVAL, "no setting '%s'; %s", key, text);
}

/*
 * Those that follow a leader which was @before, and were not given themselves. One with another
 * value was given some other time
 */
static void follow(const struct ecbpf_settings *settings, size_t leader, __u32 before, void *values,
		   __u64 given)
{
	const struct ecbpf_setting *s = &settings->rows[leader];

	for (size_t i = 0; i < settings->count; i++)
		if (settings->rows[i].leader && !strcmp(settings->rows[i].leader, s->name) &&
		    !(given & 1ULL << i) &&
		    ecbpf_setting_value(&settings->rows[i], values) == before)
			value_set(&settings->rows[i], values, ecbpf_setting_value(s, values));
}

int ecbpf_setting_parse(struct ecbpf *e, const struct ecbpf_settings *settings, const char *key,
			const char *value, void *values, __u64 *given)
{
	char range[ECBPF_SETTING_RANGE];
	bool is_key = false;
	__u32 number = 0, before;

	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];

		if (strcmp(key, s->name) && (!s->group || strcmp(key, s->group)))
			continue;
		if (!is_key && !value_parse(s, value, &number))
			return ecbpf_fail(e, -EINVAL, "%s: '%s' is not %s", key, value,
					  ecbpf_setting_range(s, range, sizeof(range)));
		is_key = true;
		before = ecbpf_setting_value(s, values);
		value_set(s, values, number);
		*given |= 1ULL << i;
		follow(settings, i, before, values, *given);
	}
	return is_key ? 0 : fail_key(e, settings, key);
}

int ecbpf_settings_parse(struct ecbpf *e, const struct ecbpf_settings *settings,
			 const char *const *texts, size_t count, void *values, __u64 *given)
{
	for (size_t i = 0; i < count; i++) {
		const char *equals = strchr(texts[i], '=');
		char key[64];
		int err;

		if (!equals || equals == texts[i])
			return ecbpf_fail(e, -EINVAL, "'%s' is not KEY=VALUE", texts[i]);
		snprintf(key, sizeof(key), "%.*s", (int)(equals - texts[i]), texts[i]);
		err = ecbpf_setting_parse(e, settings, key, equals + 1, values, given);
		if (err)
			return err;
	}
	return 0;
}

int ecbpf_settings_check(struct ecbpf *e, const struct ecbpf_settings *settings, const void *values)
{
	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];
		__u32 value = ecbpf_setting_value(s, values);
		char text[ECBPF_SETTING_TEXT], range[ECBPF_SETTING_RANGE];
		size_t len;

		if (s->words ? !!word_find(s->words, value - s->min, &len)
			     : value >= s->min && value <= s->max)
			continue;
		return ecbpf_fail(e, -EINVAL, "%s: %s is not %s", s->name,
				  ecbpf_setting_format(s, value, text, sizeof(text)),
				  ecbpf_setting_range(s, range, sizeof(range)));
	}
	return 0;
}

void ecbpf_settings_reset(const struct ecbpf_settings *settings, void *values)
{
	for (size_t i = 0; i < settings->count; i++)
		value_set(&settings->rows[i], values, settings->rows[i].value);
}
