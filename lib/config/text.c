// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Text that grows */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/conf.h"

void conf_printf(struct conf_text *text, const char *format, ...)
{
	va_list args;
	char *more, *line;
	int len;

	va_start(args, format);
	len = vasprintf(&line, format, args);
	va_end(args);
	more = len < 0 ? NULL : realloc(text->text, text->len + len + 1);
	if (!more) {
		text->is_lost = true;
		if (len >= 0)
			free(line);
		return;
	}
	text->text = more;
	memcpy(more + text->len, line, len + 1);
	text->len += len;
	free(line);
}
