// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Adds to a list that is being read: entries or errors.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/list.h"
#include "core/prefix.h"

#define ENTRIES_MAX (1 << 24)

static void log_bad(struct list_reader *r, const struct ecbpf_span *span, const char *message)
{
	_cleanup_free_ char *text = NULL;
	char *rest, *line;

	if (r->list.bad >= ECBPF_ERRORS_SHOWN)
		return;
	text = ecbpf_diagnostic_text(span, message);
	rest = text;
	while (rest && (line = strsep(&rest, "\n"))) {
		for (char *c = line; *c; c++)
			if (*c == '\t') /* alike above the caret, behind what the log adds */
				*c = ' ';
		ecbpf_log(r->e, ECBPF_LOG_WARN, "%s", line);
	}
}

void list_error_add(struct list_reader *r, const char *pos, const char *end, const char *format,
		    ...)
{
	struct ecbpf_span span = r->span;
	char message[512];
	va_list args;

	span.pos = pos;
	span.end = end;
	r->is_bad = r->has_errors = true;
	va_start(args, format);
	if (r->is_word || r->flags & ECBPF_LIST_SKIP_BAD)
		vsnprintf(message, sizeof(message), format, args);
	else
		ecbpf_diagnose(r->d, &span, format, args);
	va_end(args);
	if (r->is_word)
		r->err = ecbpf_fail(r->e, -EINVAL, "%s", message);
	else if (r->flags & ECBPF_LIST_SKIP_BAD)
		log_bad(r, &span, message);
}

/* --- entries ---------------------------------------------------------------------------------- */

struct addition {
	struct list_reader *r;
	const struct list_columns *columns;
};

static int add_prefix(void *data, const struct ecbpf_prefix *prefix)
{
	struct addition *addition = data;
	struct list_reader *r = addition->r;
	struct ecbpf_list *list = &r->list;
	struct ecbpf_list_entry *entry;

	if (r->family && r->family != prefix->family) {
		list->other_family++;
		return 0;
	}
	if (list->count == ENTRIES_MAX) {
		r->err = ecbpf_fail(r->e, -E2BIG, "%s: more than %d prefixes", r->span.file,
				    ENTRIES_MAX);
		return r->err;
	}
	entry = ecbpf_array_add(&list->entries, &list->count, sizeof(*entry));
	if (!entry) {
		r->err = ecbpf_fail_memory(r->e);
		return r->err;
	}
	entry->prefix = *prefix;
	entry->expires = addition->columns->expires;
	strcpy(entry->tag, addition->columns->tag);
	return 0;
}

/* An IPv6 prefix of IPv4-mapped addresses would be printed, and read again, as one of IPv4 */
static int check_mapped(void *data, const struct ecbpf_prefix *prefix)
{
	(void)data;
	return prefix->family == 6 && ecbpf_prefix_unmap(prefix->addr, prefix->len).family == 4;
}

bool list_add(struct list_reader *r, const struct list_form *form,
	      const struct list_columns *columns)
{
	struct addition addition = {.r = r, .columns = columns};

	if (form->is_range && ecbpf_prefix_range(&form->first, &form->last, check_mapped, NULL))
		return list_error(r, form->pos, form->end,
				  "'%s' is a range of IPv6 that ends in IPv4-mapped addresses",
				  ecbpf_quote(form->pos, form->end - form->pos));
	if (columns->is_expired) {
		r->list.expired++;
		return true;
	}
	if (form->has_host_bits)
		ecbpf_host_bits_note(&r->host_bits, form->pos, form->end - form->pos, &form->first);
	return !(form->is_range
			 ? ecbpf_prefix_range(&form->first, &form->last, add_prefix, &addition)
			 : add_prefix(&addition, &form->first));
}
