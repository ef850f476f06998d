// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Text that somebody else wrote, made safe for a terminal, see safe.h */
#include <stdbool.h>
#include <string.h>
#include "tools/common/common.h"
#include "tools/common/safe.h"

#define BUFFERS 8
#define ESCAPED 4 /* length of "\x1b" */

static bool is_continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* Return: bytes of the character at @p that can be shown; 0: its first byte cannot be */
static size_t shown_len(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	if (u[0] < 0x80)
		return u[0] >= 0x20 && u[0] != 0x7f;
	/* what is shorter than it could be, surrogates, and above U+10FFFF: not UTF-8 */
	if (u[0] < 0xe0)
		return (u[0] > 0xc2 || (u[0] == 0xc2 && u[1] >= 0xa0)) && is_continuation(u[1]) ? 2
												: 0;
	if (!is_continuation(u[1]) || !is_continuation(u[2]))
		return 0;
	if (u[0] < 0xf0)
		return (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] >= 0xa0) ? 0 : 3;
	if (!is_continuation(u[3]) || u[0] > 0xf4)
		return 0;
	return (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] >= 0x90) ? 0 : 4;
}

/* Append the character at @p to @to. Return: bytes of it */
static size_t copy_shown(const char *p, char **to)
{
	size_t len = shown_len(p);

	if (!len) {
		*to += sprintf(*to, "\\x%02x", (unsigned char)*p);
		return 1;
	}
	*to = mempcpy(*to, p, len);
	return len;
}

const char *tool_safe(const char *text)
{
	static char *buffers[BUFFERS];
	static unsigned int next;
	char **buffer = &buffers[next++ % BUFFERS], *to;

	*buffer = tool_alloc(*buffer, strlen(text) * ESCAPED + 1);
	to = *buffer;
	while (*text)
		text += copy_shown(text, &to);
	*to = '\0';
	return *buffer;
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
