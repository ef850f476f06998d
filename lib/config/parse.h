/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the sections of a configuration are read with */
#ifndef ECBPF_CONF_PARSE_H
#define ECBPF_CONF_PARSE_H

#include "config/conf.h"

struct conf_parser {
	struct ecbpf *e;
	struct ecbpf_config *config;
	struct conf_word at; /* file and line; no text */
	struct conf_unit *unit;
};

int conf_fail_unknown(struct conf_parser *p, const char *what, const char *word,
		      const char *const *words);
/* @words end with NULL */
bool conf_is_one_of(const char *word, const char *const *words);

int conf_words_add(struct conf_parser *p, struct conf_words *words, const char *text, size_t len);
void conf_words_free(struct conf_words *words);
bool conf_words_have(const struct conf_words *words, const char *text, size_t len);

/* More of a list; nothing at all begins it anew, so that one file may undo what another said */
int conf_set_words(struct conf_parser *p, const char *value, const char *separators,
		   struct conf_words *words);
/* Likewise, of addresses, prefixes and ranges, as ecbpf_prefix_format() writes them */
int conf_set_prefixes(struct conf_parser *p, const char *key, const char *value,
		      struct conf_words *prefixes);
int conf_set_text(struct conf_parser *p, const char *value, char **text);
int conf_set_number(struct conf_parser *p, const char *key, const char *value, __u32 max,
		    __u32 *ret);
/* A setting of a stage */
int conf_set_value(struct conf_parser *p, const struct ecbpf_settings *settings, const char *key,
		   const char *value, void *values, __u64 *given);
/* Return: the action's number, or -1 */
int conf_action_find(const char *name, size_t len);

#endif /* ECBPF_CONF_PARSE_H */
