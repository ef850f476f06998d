// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Words of a configuration, and errors that say where they stand */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include "config/parse.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/suggest.h"

/* --- errors ------------------------------------------------------------------------------- */

int conf_fail_at(struct ecbpf *e, int err, const struct conf_word *at)
{
	char text[sizeof(e->error)];

	memcpy(text, e->error, sizeof(text));
	return ecbpf_fail(e, err, "%s:%u: %s", at->file, at->line, text);
}

int conf_fail(struct ecbpf *e, const struct conf_word *at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(e->error, sizeof(e->error), format, args);
	va_end(args);
	return conf_fail_at(e, -EINVAL, at);
}

bool conf_is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(word, *words))
			return true;
	return false;
}

int conf_fail_unknown(struct conf_parser *p, const char *what, const char *word,
		      const char *const *words)
{
	char text[512];

	ecbpf_suggest(word, words, text, sizeof(text));
	return conf_fail(p->e, &p->at, "no %s '%s'; %s", what, word, text);
}

/* --- values ------------------------------------------------------------------------------- */

int conf_words_add(struct conf_parser *p, struct conf_words *words, const char *text, size_t len)
{
	struct conf_word *items, word = p->at;

	items = reallocarray(words->items, words->count + 1, sizeof(*items));
	if (!items)
		return ecbpf_fail_memory(p->e);
	words->items = items;
	word.text = strndup(text, len);
	if (!word.text)
		return ecbpf_fail_memory(p->e);
	items[words->count++] = word;
	return 0;
}

void conf_words_free(struct conf_words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->items[i].text);
	free(words->items);
	*words = (struct conf_words){};
}

bool conf_words_have(const struct conf_words *words, const char *text, size_t len)
{
	for (size_t i = 0; i < words->count; i++)
		if (strlen(words->items[i].text) == len && !memcmp(words->items[i].text, text, len))
			return true;
	return false;
}

int conf_set_words(struct conf_parser *p, const char *value, const char *separators,
		   struct conf_words *words)
{
	size_t len;
	int err;

	if (!*value)
		conf_words_free(words);
	for (value += strspn(value, separators); *value; value += strspn(value, separators)) {
		len = strcspn(value, separators);
		err = conf_words_have(words, value, len) ? 0 : conf_words_add(p, words, value, len);
		if (err)
			return err;
		value += len;
	}
	return 0;
}

int conf_set_prefixes(struct conf_parser *p, const char *key, const char *value,
		      struct conf_words *prefixes)
{
	struct conf_words raw = {};
	struct ecbpf_list list = {};
	struct saved_error error;
	const char **words;
	int err;

	if (!*value)
		conf_words_free(prefixes);
	err = conf_set_words(p, value, " \t,", &raw);
	words = calloc(raw.count + 1, sizeof(*words));
	if (!err && !words)
		err = ecbpf_fail_memory(p->e);
	for (size_t i = 0; i < raw.count && !err; i++)
		words[i] = raw.items[i].text;
	if (!err) {
		err = ecbpf_list_parse_words(p->e, words, raw.count, 0, &list);
		ecbpf_error_save(p->e, &error);
		if (err == -EINVAL)
			err = conf_fail(p->e, &p->at, "%s: %s", key, error.text);
	}
	for (size_t i = 0; i < list.count && !err; i++) {
		char text[ECBPF_PREFIX_TEXT];

		ecbpf_prefix_format(&list.entries[i].prefix, text);
		if (!conf_words_have(prefixes, text, strlen(text)))
			err = conf_words_add(p, prefixes, text, strlen(text));
	}
	ecbpf_list_free(&list);
	free(words);
	conf_words_free(&raw);
	return err;
}

int conf_set_text(struct conf_parser *p, const char *value, char **text)
{
	free(*text);
	*text = strdup(value);
	return *text ? 0 : ecbpf_fail_memory(p->e);
}

int conf_set_number(struct conf_parser *p, const char *key, const char *value, __u32 max,
		    __u32 *ret)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || errno || number > max)
		return conf_fail(p->e, &p->at, "%s: '%s' is not a number from 0 to %u", key, value,
				 max);
	*ret = number;
	return 0;
}

int conf_set_value(struct conf_parser *p, const struct ecbpf_settings *settings, const char *key,
		   const char *value, void *values, __u64 *given)
{
	int err = ecbpf_setting_parse(p->e, settings, key, value, values, given);

	return err ? conf_fail_at(p->e, err, &p->at) : 0;
}

int conf_action_find(const char *name, size_t len)
{
	for (int action = XDP_ABORTED; action <= XDP_REDIRECT; action++) {
		const char *known = ecbpf_action_name(action);

		if (strlen(known) == len && !strncasecmp(known, name, len))
			return action;
	}
	return -1;
}
