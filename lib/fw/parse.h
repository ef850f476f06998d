/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the files of the rule parser share: the parser, and what each of them takes from the text.
 */
#ifndef ECBPF_FW_PARSE_H
#define ECBPF_FW_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "core/diagnostic.h"
#include "core/host_bits.h"
#include "fw/rules.h"

/* A text and the cursor; @file: for messages */
struct source {
	const char *file;
	const char *text;
	const char *end;
	const char *line;    /* begin of the current line */
	unsigned int number; /* of the current line, from 1 */
	const char *pos;     /* the cursor */
};

/* A part of the text, within line @number, which begins at @line */
struct span {
	const char *pos;
	const char *end;
	const char *line;
	unsigned int number;
};

/* `@NAME` in a rule, looked up at the end of the text: the set can follow the rule */
struct reference {
	size_t rule;
	bool is_dst;
	__u8 family;
	struct span span; /* of the name */
};

struct parser {
	struct ecbpf *e;
	struct source *src;
	struct ecbpf_fw_ruleset *ruleset;
	struct reference *references;
	size_t references_count;
	struct ecbpf_diagnostics errors;
	struct host_bits host_bits;
	bool is_kept; /* what was accepted once is not refused */
	bool no_memory;
};

/* What values can be written as, instead of a number */
enum fw_names {
	FW_NAMES_NONE,
	FW_NAMES_PROTO,
	FW_NAMES_TCP, /* services */
	FW_NAMES_UDP,
};

/* --- parse-error.c -------------------------------------------------------------------------- */

const char *fw_word_end(const struct source *src, const char *pos);
void fw_span_to_word(const struct source *src, struct span *span);
/* Of an empty span: at the word that begins there */
void fw_error_at(struct parser *p, const struct span *span, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
const char *fw_quote(const struct span *span);

/* --- parse-cursor.c ------------------------------------------------------------------------- */

#define FW_BARE_CR "a carriage return ends no line: write a newline"

static inline void fw_skip_space(struct source *src)
{
	while (src->pos < src->end &&
	       (*src->pos == ' ' || *src->pos == '\t' ||
		(*src->pos == '\r' && (src->pos + 1 == src->end || src->pos[1] == '\n'))))
		src->pos++;
}

/* Skip spaces. Return: the next character; '\n' at the end of the line or at a comment */
static inline char fw_peek(struct source *src)
{
	fw_skip_space(src);
	return src->pos == src->end || *src->pos == '#' ? '\n' : *src->pos;
}

static inline bool fw_take(struct source *src, char c)
{
	if (fw_peek(src) != c || c == '\n')
		return false;
	src->pos++;
	return true;
}

static inline bool fw_is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* Most words differ in the first character */
static inline bool fw_word_is(const struct span *span, const char *word)
{
	size_t len = span->end - span->pos;

	return len && *span->pos == *word && !strncmp(span->pos, word, len) && !word[len];
}

static inline struct span fw_span_here(const struct source *src)
{
	return (struct span){
		.pos = src->pos, .end = src->pos, .line = src->line, .number = src->number};
}

/* An empty span at the next character that is no space */
static inline struct span fw_span_begin(struct source *src)
{
	fw_skip_space(src);
	return fw_span_here(src);
}

/* Take letters, digits and _. Return: their span, which can be empty */
static inline struct span fw_take_word(struct source *src)
{
	struct span span = fw_span_begin(src);

	while (src->pos < src->end && fw_is_word_char(*src->pos))
		src->pos++;
	span.end = src->pos;
	return span;
}

/* What hides lines in a comment, or in front of an editor, is reported */
void fw_next_line(struct parser *p);
struct span fw_span_word(struct source *src);
bool fw_error_expected(struct parser *p, const char *what);
bool fw_take_keyword(struct source *src, const char *keyword);
bool fw_take_quoted(struct parser *p, const char *what, char **ret_text, struct span *ret_span);
void *fw_grow(struct parser *p, void *items_p, size_t *count, size_t size);

/* --- parse-values.c ------------------------------------------------------------------------- */

bool fw_take_number(struct parser *p, const char *what, __u64 min, __u64 max, __u64 *ret_value,
		    bool *bad);
bool fw_take_comma(struct parser *p, bool *ok);
bool fw_take_values(struct parser *p, const char *what, __u16 max, enum fw_names names,
		    struct fw_values *values);

/* --- parse-names.c -------------------------------------------------------------------------- */

int fw_name_find(enum fw_names names, const char *name, size_t len);
void fw_name_error(struct parser *p, const char *what, enum fw_names names,
		   const struct span *span);

/* --- parse-words.c -------------------------------------------------------------------------- */

/* The word at @span, where the cursor is. Return: false */
bool fw_error_option(struct parser *p, const struct span *span);

/* --- parse-addrs.c -------------------------------------------------------------------------- */

bool fw_take_prefix(struct parser *p, struct ecbpf_prefix **prefixes, size_t *count, __u8 family,
		    const char *whose, bool *bad);
struct span fw_take_set_name(struct parser *p);
bool fw_take_addrs(struct parser *p, __u8 family, bool is_dst, struct fw_addrs *addrs);

/* --- parse-rule.c, parse-set.c -------------------------------------------------------------- */

/* nd.c: through the log of @e, about rules that stop IPv6 neighbour discovery */
void fw_warn_nd(struct ecbpf *e, const char *file, const struct ecbpf_fw_ruleset *ruleset);

void fw_take_rule(struct parser *p, struct fw_rule *rule);
void fw_take_set(struct parser *p);

#endif /* ECBPF_FW_PARSE_H */
