// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Errors in text that a user wrote.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/diagnostic.h"
#include "core/handle.h"

#define CONTEXT_MAX 120 /* bytes of a line that are shown */
#define MESSAGE_MAX 512

/* Nothing of the file may steer a terminal: C0, DEL, and C1 as a byte or in UTF-8 */
static bool is_control(const char *first, const char *pos, const char *end)
{
	const unsigned char *c = (const unsigned char *)pos;

	if (*c < ' ' || *c == 0x7f)
		return true;
	if (*c >= 0x80 && *c < 0xa0)
		return pos == first || c[-1] < 0x80 || c[-1] == 0xc2;
	return *c == 0xc2 && pos + 1 < end && c[1] < 0xa0;
}

const char *ecbpf_quote(const char *pos, size_t len)
{
	static __thread char buffers[4][64];
	static __thread unsigned int next;
	char *buffer = buffers[next++ % ARRAY_SIZE(buffers)];
	size_t i;

	for (i = 0; i < len && i < 40; i++)
		buffer[i] = is_control(pos, pos + i, pos + len) ? '?' : pos[i];
	strcpy(buffer + i, i < len ? "..." : "");
	return buffer;
}

/* The name of a file may have any character but NUL; as part of an error it is one line */
static char *file_text(const char *file)
{
	char *text = strdup(file);

	for (char *c = text; c && *c; c++)
		if (is_control(text, c, c + strlen(c)))
			*c = '?';
	return text;
}

char *ecbpf_diagnostic_text(const struct ecbpf_span *span, const char *text)
{
	const char *first = span->line, *end = span->line_end, *last, *pos;
	_cleanup_free_ char *file = file_text(span->file);
	char line[CONTEXT_MAX + 1], caret[CONTEXT_MAX + 2], *ret;
	size_t len = 0, under = 0;

	if (end > first && end[-1] == '\r')
		end--;
	if (span->pos - first > CONTEXT_MAX * 2 / 3)
		first = span->pos - CONTEXT_MAX / 2;
	last = end - first > CONTEXT_MAX ? first + CONTEXT_MAX : end;
	for (pos = first; pos < last; pos++) {
		bool is_middle = (*pos & 0xc0) == 0x80; /* of a character in UTF-8 */

		line[len++] = *pos != '\t' && is_control(first, pos, last) ? '?' : *pos;
		if (pos < span->pos && *pos == '\t')
			caret[under++] = '\t';
		else if (pos < span->pos && !is_middle)
			caret[under++] = ' ';
		else if (pos > span->pos && pos < span->end && !is_middle)
			caret[under++] = '~';
		else if (pos == span->pos)
			caret[under++] = '^';
	}
	if (span->pos >= last)
		caret[under++] = '^';
	if (!file ||
	    asprintf(&ret, "%s:%zu:%zu: %s\n%.*s\n%.*s", file, span->number,
		     span->pos - span->line + 1, text, (int)len, line, (int)under, caret) < 0)
		return NULL;
	return ret;
}

/* A part of a message is none */
static void detail_add(struct ecbpf_diagnostics *d, const char *text)
{
	size_t len = strlen(text);

	if (len + 96 > ECBPF_DETAIL_SIZE - d->len)
		return;
	memcpy(d->e->detail + d->len, text, len);
	d->len += len;
	d->e->detail[d->len++] = '\n';
	d->e->detail[d->len] = '\0';
}

void ecbpf_diagnose(struct ecbpf_diagnostics *d, const struct ecbpf_span *span, const char *format,
		    va_list args)
{
	_cleanup_free_ char *text = NULL, *file = NULL;
	char message[MESSAGE_MAX];

	vsnprintf(message, sizeof(message), format, args);
	if (!d->errors++) {
		file = file_text(span->file);
		ecbpf_fail(d->e, -EINVAL, "%s:%zu:%zu: %s", file ? file : "", span->number,
			   span->pos - span->line + 1, message);
		d->e->detail[0] = '\0';
	}
	if (d->errors > d->max)
		return;
	text = ecbpf_diagnostic_text(span, message);
	if (text)
		detail_add(d, text);
}

void ecbpf_diagnostics_end(struct ecbpf_diagnostics *d)
{
	char text[96];

	if (!d->errors)
		return;
	if (d->errors > d->max)
		snprintf(text, sizeof(text), "%zu errors, of which %zu are shown", d->errors,
			 d->max);
	else
		snprintf(text, sizeof(text), "%zu error%s", d->errors, d->errors == 1 ? "" : "s");
	detail_add(d, text);
}
