// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The order of findings, and text that is put together. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "doctor/doctor.h"

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
