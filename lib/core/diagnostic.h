/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Errors in text that a user wrote: file, line and column, the line itself, a caret below the span.
 */
#ifndef ECBPF_CORE_DIAGNOSTIC_H
#define ECBPF_CORE_DIAGNOSTIC_H

#include <stdarg.h>
#include <stddef.h>

struct ecbpf;

#define ECBPF_ERRORS_SHOWN 20

/**
 * struct ecbpf_span - a part of a line
 * @file: for messages
 * @number: of the line, from 1
 * @line: where it begins
 * @line_end: where it ends, or the text
 * @pos: where the span begins
 * @end: where it ends
 */
struct ecbpf_span {
	const char *file;
	size_t number;
	const char *line;
	const char *line_end;
	const char *pos;
	const char *end;
};

/**
 * struct ecbpf_diagnostics - the errors of one text
 * @e: its error is the first one, its detail all of them
 * @max: how many are shown
 * @errors: how many there were
 * @len: of the detail
 */
struct ecbpf_diagnostics {
	struct ecbpf *e;
	size_t max;
	size_t errors;
	size_t len;
};

void ecbpf_diagnose(struct ecbpf_diagnostics *d, const struct ecbpf_span *span, const char *format,
		    va_list args) __attribute__((format(printf, 3, 0)));

/* The last line of the detail, which says how many errors there are */
void ecbpf_diagnostics_end(struct ecbpf_diagnostics *d);

/* "FILE:LINE:COLUMN: TEXT", the line and the caret, for free(). NULL: no memory */
char *ecbpf_diagnostic_text(const struct ecbpf_span *span, const char *text);

/*
 * A word in a message: not too long, and without control characters; one of the last four results
 * stays valid
 */
const char *ecbpf_quote(const char *pos, size_t len);

#endif /* ECBPF_CORE_DIAGNOSTIC_H */
