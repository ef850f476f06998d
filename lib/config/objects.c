// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Prefixes in the log of changes at runtime: of each, the last change holds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "config/runtime.h"
#include "core/array.h"
#include "core/error.h"
#include "core/prefix.h"
#include "filter/filter.h"

int conf_fail_record(struct ecbpf *e, const struct runtime_record *record)
{
	return ecbpf_fail(e, -EINVAL, "'%s' is no change that this version knows", record->head);
}

int conf_objects_take(struct ecbpf *e, const struct runtime_record *record, const char *verb,
		      struct conf_objects *objects)
{
	const char *line = record->lines;

	if (!strncmp(verb, "replace", 7) || !strcmp(verb, "flush")) {
		objects->count = 0;
		objects->is_replaced = true;
	} else if (strncmp(verb, "add", 3) && strcmp(verb, "delete")) {
		return conf_fail_record(e, record);
	}
	for (size_t i = 0; i < record->count; i++, line = runtime_line_next(line)) {
		struct ecbpf_filter_entry entry = {};
		struct conf_object *object;
		bool has_host_bits;
		int err;

		err = strchr(line, ' ')
			      ? filter_entry_parse(e, line, &entry)
			      : ecbpf_prefix_parse(e, line, &entry.prefix, &has_host_bits);
		if (err)
			return err;
		object = ecbpf_array_add(&objects->items, &objects->count, sizeof(*object));
		if (!object)
			return ecbpf_fail_memory(e);
		*object = (struct conf_object){.entry = entry,
					       .number = objects->count,
					       .is_delete = *verb == 'd',
					       .is_forced = strstr(verb, " force")};
	}
	return 0;
}

static int object_compare(const void *a, const void *b)
{
	const struct conf_object *x = a, *y = b;
	int order = ecbpf_prefix_compare(&x->entry.prefix, &y->entry.prefix);

	return order ? order : x->number < y->number ? -1 : x->number > y->number;
}

void conf_objects_settle(struct conf_objects *objects, bool *is_dirty)
{
	__u64 now = time(NULL);
	size_t kept = 0;

	if (objects->count)
		qsort(objects->items, objects->count, sizeof(*objects->items), object_compare);
	for (size_t i = 0; i < objects->count; i++) {
		const struct conf_object *object = &objects->items[i];

		if (i + 1 < objects->count &&
		    !ecbpf_prefix_compare(&object->entry.prefix, &object[1].entry.prefix))
			continue;
		if (!object->entry.expires || object->entry.expires > now)
			objects->items[kept++] = *object;
	}
	*is_dirty |= kept != objects->count || objects->is_replaced;
	for (size_t i = 0; i < kept; i++)
		*is_dirty |= objects->items[i].is_delete;
	objects->count = kept;
}

void conf_objects_write(struct ecbpf *e, FILE *whole, const char *what,
			const struct conf_objects *objects, bool has_columns, bool has_deletes)
{
	static const char *const verbs[] = {"add", "add force", "delete"};

	for (int verb = 0; verb < 2 + has_deletes; verb++) {
		struct runtime_change c;
		bool is_begun = false;

		for (size_t i = 0; i < objects->count; i++) {
			const struct conf_object *object = &objects->items[i];
			char text[FILTER_ENTRY_TEXT];

			if ((object->is_delete ? 2 : object->is_forced) != verb)
				continue;
			if (!is_begun)
				runtime_log_change(e, whole, &c, "%s %s", what, verbs[verb]);
			is_begun = true;
			if (has_columns)
				filter_entry_format(&object->entry, text);
			else
				ecbpf_prefix_format(&object->entry.prefix, text);
			runtime_change_line(&c, "%s", text);
		}
		if (is_begun)
			runtime_change_end(&c);
	}
}
