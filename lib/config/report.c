// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a configuration changes, a line for each */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "config/conf.h"
#include "core/error.h"

int conf_report_change(struct ecbpf *e, struct conf_report *r, const char *format, ...)
{
	struct ecbpf_config_change *changes;
	va_list args;

	changes = reallocarray(r->changes, r->count + 1, sizeof(*changes));
	if (!changes)
		return ecbpf_fail_memory(e);
	r->changes = changes;
	va_start(args, format);
	vsnprintf(changes[r->count++].text, sizeof(changes->text), format, args);
	va_end(args);
	return 0;
}
