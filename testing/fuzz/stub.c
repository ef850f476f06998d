// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf_fail() without the rest of lib/core/handle.c, which needs the kernel */
#include <stdarg.h>
#include <stdio.h>
#include "core/handle.h"

int ecbpf_fail(struct ecbpf *e, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(e->error, sizeof(e->error), format, args);
	va_end(args);
	return err;
}
