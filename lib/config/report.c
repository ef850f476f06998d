// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a configuration changes or waits for, a line for each */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/conf.h"
#include "core/array.h"
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

int conf_wait(struct ecbpf *e, struct conf_waits *waits, const char *name, const char *text)
{
	struct ecbpf_config_wait *wait;

	for (size_t i = 0; i < waits->count; i++)
		if (!strcmp(waits->items[i].name, name))
			return 0;
	wait = ecbpf_array_add(&waits->items, &waits->count, sizeof(*wait));
	if (!wait)
		return ecbpf_fail_memory(e);
	snprintf(wait->name, sizeof(wait->name), "%s", name);
	snprintf(wait->text, sizeof(wait->text), "%s", text);
	return 0;
}
