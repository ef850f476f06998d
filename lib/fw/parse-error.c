// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Errors in rule text, at spans of it.
 */
#include <stdarg.h>
#include <string.h>
#include "fw/parse.h"

void fw_error_at(struct parser *p, const struct span *span, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void fw_error_at(struct parser *p, const struct span *span, const char *format, ...)
{
	const char *end = memchr(span->line, '\n', p->src->end - span->line);
	struct ecbpf_span at = {.file = p->src->file,
				.number = span->number,
				.line = span->line,
				.line_end = end ? end : p->src->end,
				.pos = span->pos,
				.end = span->end};
	va_list args;

	va_start(args, format);
	ecbpf_diagnose(&p->errors, &at, format, args);
	va_end(args);
}

const char *fw_quote(const struct span *span)
{
	return ecbpf_quote(span->pos, span->end - span->pos);
}
