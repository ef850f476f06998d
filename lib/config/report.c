// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a configuration changes or waits for, a line for each */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/conf.h"
#include "core/array.h"
#include "core/error.h"

__attribute__((format(printf, 4, 0))) static int
report(struct ecbpf *e, struct conf_report *r, bool is_note, const char *format, va_list args)
{
	struct ecbpf_config_change *change;

	change = ecbpf_array_add(&r->changes, &r->count, sizeof(*change));
	if (!change)
		return ecbpf_fail_memory(e);
	*change = (struct ecbpf_config_change){.is_note = is_note};
	vsnprintf(change->text, sizeof(change->text), format, args);
	return 0;
}

int conf_report_change(struct ecbpf *e, struct conf_report *r, const char *format, ...)
{
	va_list args;
	int err;

	va_start(args, format);
	err = report(e, r, false, format, args);
	va_end(args);
	return err;
}

int conf_report_note(struct ecbpf *e, struct conf_report *r, const char *format, ...)
{
	va_list args;
	int err;

	va_start(args, format);
	err = report(e, r, true, format, args);
	va_end(args);
	return err;
}

/* "eth0: add ecbpf_fw" begins with the interface; "fw: add rule" with a stage */
int conf_report_iface(struct ecbpf *e, struct conf_report *r, const char *iface, const char *format,
		      ...)
{
	char text[sizeof(r->changes->text)];
	va_list args;
	int err;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	err = conf_report_change(e, r, "%s: %s", iface, text);
	if (!err)
		snprintf(r->changes[r->count - 1].iface, sizeof(r->changes->iface), "%s", iface);
	return err;
}

void conf_report_removal(struct conf_report *r)
{
	r->changes[r->count - 1].is_removal = true;
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
