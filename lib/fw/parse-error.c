// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Spans of rule text: that of a word, and errors at them.
 */
#include <stdarg.h>
#include <string.h>
#include "fw/parse.h"

/* Characters that end a word: spaces, and those with a meaning of their own */
static const bool ends_word[256] = {
	[0 ... ' '] = true, ['{'] = true, ['}'] = true, [','] = true, ['#'] = true, ['"'] = true,
};

/* The end of the word at @pos */
const char *fw_word_end(const struct source *src, const char *pos)
{
	while (pos < src->end && !ends_word[(unsigned char)*pos])
		pos++;
	return pos;
}

/* Make it that of the word at its begin; one character at least, unless the line ends */
void fw_span_to_word(const struct source *src, struct span *span)
{
	span->end = fw_word_end(src, span->pos);
	if (span->end == span->pos && span->pos < src->end && *span->pos != '\n' &&
	    *span->pos != '#')
		span->end++;
}

void fw_error_at(struct parser *p, const struct span *span, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void fw_error_at(struct parser *p, const struct span *span, const char *format, ...)
{
	const char *end = memchr(span->line, '\n', p->src->end - span->line);
	struct span word = *span;
	struct ecbpf_span at = {.file = p->src->file,
				.number = span->number,
				.line = span->line,
				.line_end = end ? end : p->src->end,
				.pos = span->pos};
	va_list args;

	if (word.end == word.pos)
		fw_span_to_word(p->src, &word);
	at.end = word.end;

	va_start(args, format);
	ecbpf_diagnose(&p->errors, &at, format, args);
	va_end(args);
}

const char *fw_quote(const struct span *span)
{
	return ecbpf_quote(span->pos, span->end - span->pos);
}
