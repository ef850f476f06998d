// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Findings of checks, in a list. */
#include <stdarg.h>
#include <stdio.h>
#include "core/array.h"
#include "core/finding.h"

struct ecbpf_finding *finding_add(struct findings *findings, enum ecbpf_severity severity,
				  const char *iface, const char *code, const char *what, ...)
{
	struct ecbpf_finding *f = ecbpf_array_add(&findings->items, &findings->count, sizeof(*f));
	va_list args;

	if (!f)
		f = &findings->lost;
	*f = (struct ecbpf_finding){.severity = severity};
	snprintf(f->iface, sizeof(f->iface), "%s", iface);
	snprintf(f->code, sizeof(f->code), "%s", code);
	va_start(args, what);
	vsnprintf(f->what, sizeof(f->what), what, args);
	va_end(args);
	return f;
}

void finding_why(struct ecbpf_finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->why, sizeof(f->why), format, args);
	va_end(args);
}

void finding_fix(struct ecbpf_finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->fix, sizeof(f->fix), format, args);
	va_end(args);
}
