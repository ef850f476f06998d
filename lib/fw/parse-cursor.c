// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The cursor over rule text: skips spaces and comments, takes words and quoted text.
 */
#include <stdlib.h>
#include <string.h>
#include "core/array.h"
#include "core/utf8.h"
#include "fw/parse.h"

/*
 * Many editors end a line at any carriage return, and show rules below the comment that are part of
 * it. VT, FF, NEL and U+2028 end no line in any of vi, Emacs, nano and VS Code.
 */
static void check_comment(struct parser *p, const char *end)
{
	struct span span = fw_span_here(p->src);

	/* CR CR LF is what conversions make of CR LF, and hides nothing */
	while (end > span.pos && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	for (span.end = span.pos; span.end < end; span.end++) {
		if (*span.end && *span.end != '\r')
			continue;
		span.pos = span.end++;
		if (*span.pos)
			fw_error_at(p, &span, FW_BARE_CR);
		else
			fw_error_at(p, &span, "a zero byte: UTF-16, or no text file");
		return;
	}
}

void fw_next_line(struct parser *p)
{
	struct source *src = p->src;
	const char *end = memchr(src->pos, '\n', src->end - src->pos);

	if (!p->is_kept && src->pos < src->end && *src->pos == '#')
		check_comment(p, end ? end : src->end);
	src->pos = end ? end + 1 : src->end;
	src->line = src->pos;
	src->number++;
}

/* The word at the cursor, for messages */
struct span fw_span_word(struct source *src)
{
	struct span span = fw_span_begin(src);

	fw_span_to_word(src, &span);
	return span;
}

/* Report that @what is missing at the cursor. Return: false */
bool fw_error_expected(struct parser *p, const char *what)
{
	struct span span = fw_span_word(p->src);

	if (fw_peek(p->src) == '\n')
		fw_error_at(p, &span, "expected %s, found the end of the line", what);
	else if (*span.pos == '\r')
		fw_error_at(p, &span, FW_BARE_CR);
	else
		fw_error_at(p, &span, "expected %s, found '%s'", what, fw_quote(&span));
	return false;
}

bool fw_take_keyword(struct source *src, const char *keyword)
{
	const char *before = src->pos;
	struct span word;

	if (fw_peek(src) == *keyword) {
		word = fw_take_word(src);
		if (fw_word_is(&word, keyword))
			return true;
	}
	src->pos = before;
	return false;
}

/* Take "text"; @ret_span includes the quotes */
bool fw_take_quoted(struct parser *p, const char *what, char **ret_text, struct span *ret_place)
{
	struct source *src = p->src;
	struct span span;
	char *text;

	if (fw_peek(src) != '"')
		return fw_error_expected(p, what);
	span = fw_span_here(src);
	for (src->pos++; src->pos < src->end && *src->pos != '"' && *src->pos != '\n';) {
		size_t len = utf8_shown_len(src->pos, src->end - src->pos);

		if (!len && (*src->pos == '\t' || p->is_kept))
			len = 1;
		if (len) {
			src->pos += len;
			continue;
		}
		span.pos = src->pos;
		span.end = src->pos + 1;
		fw_error_at(p, &span, "byte 0x%02x is not allowed in quotes",
			    (unsigned char)*src->pos);
		return false;
	}
	span.end = src->pos;
	if (src->pos == src->end || *src->pos == '\n') {
		fw_error_at(p, &span, "missing '\"' at the end of the line");
		return false;
	}
	span.end = ++src->pos;
	text = strndup(span.pos + 1, span.end - span.pos - 2);
	if (!text) {
		p->no_memory = true;
		return false;
	}
	*ret_text = text;
	*ret_place = span;
	return true;
}

/* As ecbpf_array_add(); without memory, the parser stops */
void *fw_grow(struct parser *p, void *items_p, size_t *count, size_t size)
{
	void *item = ecbpf_array_add(items_p, count, size);

	p->no_memory |= !item;
	return item;
}
