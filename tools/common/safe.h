/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Text that somebody else wrote (names, tags, files, messages), made safe for a terminal.
 *
 * A terminal obeys control characters: it would hide lines, change titles, or type for the user.
 * They are shown as "\x1b". These are the ASCII ones, those of ISO 6429 in UTF-8 (U+0080 to
 * U+009F), and every byte that is not part of valid UTF-8, which may be one of them.
 */
#ifndef ECBPF_TOOLS_SAFE_H
#define ECBPF_TOOLS_SAFE_H

#include <stdbool.h>
#include <stdio.h>

/* Memory that the next seven calls of both leave alone */
const char *tool_safe(const char *text);

/*
 * Likewise, so that different texts stay different, for programs: the backslash of what looks like
 * such an escape is one, "\x5cx1b". The text is back where each \xHH is replaced by its byte.
 */
const char *tool_exact(const char *text);

/*
 * Print a document of JSON as UTF-8, as json-c takes strings for what they are not. In these, a
 * byte that is not UTF-8 becomes "\xff", and as of tool_exact() they stay different. @has_escapes:
 * its strings are those of tool_exact() already
 */
void tool_put_json(FILE *file, const char *json, bool has_escapes);

/* Print @len bytes of @text; the characters of @keep as they are: "\n\t" in text of several lines
 */
void tool_put_safe(FILE *file, const char *text, size_t len, const char *keep);

#endif /* ECBPF_TOOLS_SAFE_H */
