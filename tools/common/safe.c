// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Text that somebody else wrote, made safe for a terminal, see safe.h */
#include <stdbool.h>
#include <string.h>
#include "lib/core/utf8.h"
#include "tools/common/common.h"
#include "tools/common/safe.h"

#define BUFFERS 8
#define ESCAPED 4 /* length of "\x1b" */

/* Append the character at @p to @to. Return: bytes of it */
static size_t copy_shown(const char *p, char **to)
{
	size_t len = utf8_shown_len(p, strnlen(p, 4));

	if (!len) {
		*to += sprintf(*to, "\\x%02x", (unsigned char)*p);
		return 1;
	}
	*to = mempcpy(*to, p, len);
	return len;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Does it begin with what an escape looks like, "\xff"? */
static bool is_escape(const char *p)
{
	return p[0] == '\\' && p[1] == 'x' && is_hex(p[2]) && is_hex(p[3]);
}

/* In turns, so that several can be used in one call */
static char *buffer_get(size_t size)
{
	static char *buffers[BUFFERS];
	static unsigned int next;
	char **buffer = &buffers[next++ % BUFFERS];

	*buffer = tool_alloc(*buffer, size);
	return *buffer;
}

static const char *escape(const char *text, bool is_exact)
{
	char *buffer = buffer_get(strlen(text) * ESCAPED + 1), *to = buffer;

	while (*text) {
		if (is_exact && is_escape(text)) {
			to = stpcpy(to, "\\x5c");
			text++;
		} else {
			text += copy_shown(text, &to);
		}
	}
	*to = '\0';
	return buffer;
}

const char *tool_safe(const char *text)
{
	return escape(text, false);
}

const char *tool_exact(const char *text)
{
	return escape(text, true);
}

void tool_put_json(FILE *file, const char *json, bool has_escapes)
{
	while (*json) {
		size_t len = utf8_len(json, strnlen(json, 4));

		if (!len)
			fprintf(file, "\\\\x%02x", (unsigned char)*json);
		else if (json[0] == '\\' && json[1] == '\\' && !has_escapes && is_escape(json + 1))
			fputs("\\\\x5c", file);
		else
			fwrite(json, json[0] == '\\' && json[1] ? 2 : len, 1, file);
		json += json[0] == '\\' && json[1] ? 2 : len ?: 1;
	}
}

void tool_put_safe(FILE *file, const char *text, size_t len, const char *keep)
{
	char shown[ESCAPED + 1], *to;

	for (const char *end = text + len; text < end && *text;) {
		to = shown;
		if (strchr(keep, *text))
			*to++ = *text++;
		else
			text += copy_shown(text, &to);
		fwrite(shown, to - shown, 1, file);
	}
}
