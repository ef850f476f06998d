// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Errors in rule text: file, line and column, the line itself, and a caret below the span.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "core/handle.h"
#include "fw/parse.h"

#define CONTEXT_MAX 120 /* bytes of a line to show */

static void detail(struct parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void detail(struct parser *p, const char *format, ...)
{
	size_t room = ECBPF_DETAIL_SIZE - p->detail_len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(p->e->detail + p->detail_len, room, format, args);
	va_end(args);
	if (len > 0)
		p->detail_len += (size_t)len < room ? (size_t)len : room - 1;
}

/* Show the line of the span, and a caret below the span */
static void detail_line(struct parser *p, const struct span *span)
{
	const char *end = memchr(span->line, '\n', p->src->end - span->line);
	const char *first = span->line, *last, *pos;
	char text[CONTEXT_MAX + 1], caret[CONTEXT_MAX + 1];
	size_t len = 0, under = 0;

	if (!end)
		end = p->src->end;
	if (end > first && end[-1] == '\r')
		end--;
	if (span->pos - first > CONTEXT_MAX * 2 / 3)
		first = span->pos - CONTEXT_MAX / 2;
	last = end - first > CONTEXT_MAX ? first + CONTEXT_MAX : end;
	for (pos = first; pos < last; pos++) {
		/* control characters never reach a terminal */
		text[len++] = (unsigned char)*pos < ' ' || *pos == 0x7f ? *pos == '\t' ? '\t' : '?'
									: *pos;
		if (pos < span->pos && *pos == '\t')
			caret[under++] = '\t';
		else if (pos < span->pos && (*pos & 0xc0) != 0x80)
			caret[under++] = ' ';
		else if (pos > span->pos && pos < span->end && (*pos & 0xc0) != 0x80)
			caret[under++] = '~';
		else if (pos == span->pos)
			caret[under++] = '^';
	}
	if (span->pos >= last && under < CONTEXT_MAX)
		caret[under++] = '^';
	detail(p, "%.*s\n%.*s\n", (int)len, text, (int)under, caret);
}

void fw_error_at(struct parser *p, const struct span *span, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void fw_error_at(struct parser *p, const struct span *span, const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (!p->errors++) {
		ecbpf_fail(p->e, -EINVAL, "%s:%u:%zu: %s", p->src->file, span->number,
			   span->pos - span->line + 1, message);
		p->e->detail[0] = '\0';
	}
	/* no half messages */
	if (p->detail_len > ECBPF_DETAIL_SIZE - 4096 - strlen(p->src->file))
		return;
	detail(p, "%s:%u:%zu: %s\n", p->src->file, span->number, span->pos - span->line + 1,
	       message);
	detail_line(p, span);
}

/* Text for a message: shortened, without control characters. The last four results are valid */
static const char *quote(const char *pos, size_t len)
{
	static __thread char buffers[4][64];
	static __thread unsigned int next;
	char *buffer = buffers[next++ % ARRAY_SIZE(buffers)];
	size_t i;

	for (i = 0; i < len && i < 40; i++)
		buffer[i] = (unsigned char)pos[i] < ' ' || pos[i] == 0x7f ? '?' : pos[i];
	strcpy(buffer + i, i < len ? "..." : "");
	return buffer;
}

const char *fw_quote(const struct span *span)
{
	return quote(span->pos, span->end - span->pos);
}

void fw_error_count(struct parser *p)
{
	if (p->errors)
		detail(p, "%zu error%s\n", p->errors, p->errors == 1 ? "" : "s");
}
