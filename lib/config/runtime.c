// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The log of changes at runtime as a state: of each object, the last change holds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "config/runtime.h"
#include "core/array.h"
#include "core/error.h"
#include "core/prefix.h"
#include "filter/filter.h"

const struct ecbpf_settings *conf_values_settings(enum conf_values_of of)
{
	switch (of) {
	case CONF_VALUES_FILTER:
		return ecbpf_filter_settings();
	case CONF_VALUES_FW:
		return ecbpf_fw_settings();
	case CONF_VALUES_FASTPATH:
		return ecbpf_fastpath_settings();
	default:
		return ecbpf_sampler_settings();
	}
}

/* --- reading ------------------------------------------------------------------------------ */

static int fail_unknown(struct ecbpf *e, const struct runtime_record *record)
{
	return ecbpf_fail(e, -EINVAL, "'%s' is no change that this version knows", record->head);
}

/* "add", "add force", "delete", "replace", "flush"; and the objects */
static int objects_take(struct ecbpf *e, const struct runtime_record *record, const char *verb,
			struct conf_objects *objects)
{
	const char *line = record->lines;

	if (!strncmp(verb, "replace", 7) || !strcmp(verb, "flush")) {
		objects->count = 0;
		objects->is_replaced = true;
	} else if (strncmp(verb, "add", 3) && strcmp(verb, "delete")) {
		return fail_unknown(e, record);
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

static int values_take(struct ecbpf *e, const struct runtime_record *record, enum conf_values_of of,
		       struct conf_runtime *rt)
{
	struct conf_values *values = &rt->values[of];
	const char *line = record->lines;

	for (size_t i = 0; i < record->count; i++, line = runtime_line_next(line)) {
		int err = ecbpf_settings_parse(e, conf_values_settings(of), &line, 1,
					       &values->filter, &values->given);

		if (err)
			return err;
	}
	return 0;
}

static bool begins(const char *head, const char *with, const char **ret_rest)
{
	size_t len = strlen(with);

	*ret_rest = head + len;
	return !strncmp(head, with, len);
}

/* Return: 0; -EINVAL it is nothing that this version knows; -ENOMEM */
static int record_take(struct ecbpf *e, const struct runtime_record *record,
		       struct conf_runtime *rt)
{
	const char *rest;

	if (begins(record->head, "filter drop ", &rest))
		return objects_take(e, record, rest, &rt->lists[ECBPF_FILTER_BLOCK]);
	if (begins(record->head, "filter allow ", &rest))
		return objects_take(e, record, rest, &rt->lists[ECBPF_FILTER_ALLOW]);
	if (begins(record->head, "filter vip ", &rest))
		return objects_take(e, record, rest, &rt->vips);
	if (begins(record->head, "fastpath exclude ", &rest))
		return objects_take(e, record, rest, &rt->excludes);
	for (enum conf_values_of of = 0; of < CONF_VALUES_COUNT; of++) {
		const char *stage = conf_values_settings(of)->stage;

		if (begins(record->head, stage, &rest) && !strcmp(rest, " set"))
			return values_take(e, record, of, rt);
	}
	return fail_unknown(e, record);
}

static int object_compare(const void *a, const void *b)
{
	const struct conf_object *x = a, *y = b;
	int order = ecbpf_prefix_compare(&x->entry.prefix, &y->entry.prefix);

	return order ? order : x->number < y->number ? -1 : x->number > y->number;
}

/* The last of each; what has expired goes */
static void objects_settle(struct conf_objects *objects, bool *is_dirty)
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

int conf_runtime_read(struct ecbpf *e, bool is_change, struct conf_runtime *ret)
{
	int err = runtime_log_read(e, &ret->log);

	if (!is_change)
		close_fd(&ret->log.lock);
	ret->is_dirty = ret->log.is_kept && !ret->log.is_there;
	for (size_t i = 0; i < ret->log.count && !err; i++) {
		const struct runtime_record *record = &ret->log.records[i];

		err = record_take(e, record, ret);
		if (err != -EINVAL)
			continue;
		ecbpf_log(e, ECBPF_LOG_WARN, "%s:%u: %s: skipped", ret->log.path, record->number,
			  e->error);
		err = 0;
	}
	for (size_t i = 0; i < ECBPF_FILTER_LISTS; i++)
		objects_settle(&ret->lists[i], &ret->is_dirty);
	objects_settle(&ret->vips, &ret->is_dirty);
	objects_settle(&ret->excludes, &ret->is_dirty);
	return err;
}

void conf_runtime_free(struct conf_runtime *rt)
{
	for (size_t i = 0; i < ECBPF_FILTER_LISTS; i++)
		free(rt->lists[i].items);
	free(rt->vips.items);
	free(rt->excludes.items);
	runtime_log_free(&rt->log);
}

/* --- writing ------------------------------------------------------------------------------ */

static void objects_write(struct ecbpf *e, FILE *whole, const char *what,
			  const struct conf_objects *objects, bool has_columns)
{
	for (int is_forced = 0; is_forced < 2; is_forced++) {
		struct runtime_change c;
		bool is_begun = false;

		for (size_t i = 0; i < objects->count; i++) {
			const struct conf_object *object = &objects->items[i];
			char text[FILTER_ENTRY_TEXT];

			if (object->is_delete || object->is_forced != is_forced)
				continue;
			if (!is_begun)
				runtime_log_change(e, whole, &c, "%s add%s", what,
						   is_forced ? " force" : "");
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

static void values_write(struct ecbpf *e, FILE *whole, const struct ecbpf_settings *settings,
			 const struct conf_values *values)
{
	struct runtime_change c;

	if (!values->given)
		return;
	runtime_log_change(e, whole, &c, "%s set", settings->stage);
	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];
		char text[ECBPF_SETTING_TEXT];

		if (values->given & 1ULL << i)
			runtime_change_line(
				&c, "%s=%s", s->name,
				ecbpf_setting_format(s, ecbpf_setting_value(s, &values->filter),
						     text, sizeof(text)));
	}
	runtime_change_end(&c);
}

int conf_runtime_write(struct ecbpf *e, struct conf_runtime *rt)
{
	FILE *whole;
	int err;

	err = runtime_log_begin(e, &rt->log, &whole);
	if (err)
		return err;
	for (enum conf_values_of of = 0; of < CONF_VALUES_COUNT; of++)
		values_write(e, whole, conf_values_settings(of), &rt->values[of]);
	for (size_t i = 0; i < ECBPF_FILTER_LISTS; i++) {
		char what[32];

		snprintf(what, sizeof(what), "filter %s", filter_list_names[i]);
		objects_write(e, whole, what, &rt->lists[i], true);
	}
	objects_write(e, whole, "filter vip", &rt->vips, false);
	objects_write(e, whole, "fastpath exclude", &rt->excludes, false);
	return runtime_log_end(e, &rt->log, whole);
}
