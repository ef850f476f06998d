// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Findings: what a check adds to the list, and the order of the list. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/array.h"
#include "doctor/doctor.h"

struct ecbpf_finding *doctor_add(struct doctor *d, enum ecbpf_severity severity, const char *iface,
				 const char *code, const char *what, ...)
{
	struct ecbpf_finding *f = ecbpf_array_add(&d->findings, &d->count, sizeof(*f));
	va_list args;

	if (!f)
		f = &d->lost;
	*f = (struct ecbpf_finding){.severity = severity};
	snprintf(f->iface, sizeof(f->iface), "%s", iface);
	snprintf(f->code, sizeof(f->code), "%s", code);
	va_start(args, what);
	vsnprintf(f->what, sizeof(f->what), what, args);
	va_end(args);
	return f;
}

void doctor_why(struct ecbpf_finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->why, sizeof(f->why), format, args);
	va_end(args);
}

void doctor_fix(struct ecbpf_finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->fix, sizeof(f->fix), format, args);
	va_end(args);
}

/* The worst first; of the same severity, the host first, then as they were found */
static bool is_before(const struct ecbpf_finding *a, const struct ecbpf_finding *b)
{
	if (a->severity != b->severity)
		return a->severity > b->severity;
	return !a->iface[0] && b->iface[0];
}

void doctor_sort(struct ecbpf_finding *findings, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct ecbpf_finding f = findings[i];
		size_t to = i;

		for (; to && is_before(&f, &findings[to - 1]); to--)
			findings[to] = findings[to - 1];
		findings[to] = f;
	}
}

void doctor_append(char *to, size_t size, const char *format, ...)
{
	size_t len = strlen(to);
	va_list args;

	va_start(args, format);
	vsnprintf(to + len, size - len, format, args);
	va_end(args);
}
