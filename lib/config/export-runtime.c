// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What of the running state was changed at runtime, as comments behind an exported configuration.
 */
#include <string.h>
#include "config/runtime.h"
#include "core/prefix.h"
#include "filter/filter.h"

#define SHOWN_MAX 100 /* prefixes of one list */

static void values_print(const struct conf_runtime *rt, struct conf_text *text)
{
	for (enum conf_values_of of = 0; of < CONF_VALUES_COUNT; of++) {
		const struct ecbpf_settings *settings = conf_values_settings(of);
		const struct conf_values *values = &rt->values[of];

		for (size_t i = 0; i < settings->count; i++) {
			const struct ecbpf_setting *s = &settings->rows[i];
			char value[ECBPF_SETTING_TEXT];

			if (!(values->given & 1ULL << i))
				continue;
			ecbpf_setting_format(s, ecbpf_setting_value(s, &values->filter), value,
					     sizeof(value));
			conf_printf(text, "#   %s set %s=%s\n", settings->stage, s->name, value);
		}
	}
}

static void objects_print(const char *what, const char *name, const struct conf_objects *objects,
			  bool has_columns, struct conf_text *text)
{
	for (size_t i = 0; i < objects->count && i < SHOWN_MAX; i++) {
		const struct conf_object *object = &objects->items[i];
		char entry[FILTER_ENTRY_TEXT];

		if (has_columns)
			filter_entry_format(&object->entry, entry);
		else
			ecbpf_prefix_format(&object->entry.prefix, entry);
		conf_printf(text, "#   %s%s %s %s\n", what, name,
			    object->is_delete ? "delete" : "add", entry);
	}
	if (objects->count > SHOWN_MAX)
		conf_printf(text, "#   %s%s: %zu more\n", what, name, objects->count - SHOWN_MAX);
}

static void rules_print(const struct conf_runtime *rt, struct conf_text *text)
{
	if (rt->whole)
		conf_printf(text, "#   fw apply: %zu lines\n", rt->whole->count);
	for (size_t i = 0; i < rt->sets_count; i++) {
		if (rt->sets[i].is_destroyed)
			conf_printf(text, "#   fw set destroy %s\n", rt->sets[i].name);
		if (rt->sets[i].is_created)
			conf_printf(text, "#   fw set create %s\n", rt->sets[i].name);
	}
	for (size_t i = 0; i < rt->rules.count; i++)
		conf_printf(text, "#   fw rule add %s\n", rt->rules.items[i].text);
	for (size_t i = 0; i < rt->deleted.count; i++)
		conf_printf(text, "#   fw rule delete %s\n", rt->deleted.items[i].id + 5);
}

int conf_runtime_export(struct ecbpf *e, struct conf_text *text)
{
	struct conf_runtime rt = {.log = RUNTIME_LOG_INIT};
	struct conf_text body = {};
	int err;

	err = conf_runtime_read(e, false, &rt);
	values_print(&rt, &body);
	for (__u32 i = 0; i < ECBPF_FILTER_LISTS; i++)
		objects_print("filter ", filter_list_names[i], &rt.lists[i], true, &body);
	objects_print("filter ", "vip", &rt.vips, false, &body);
	objects_print("fastpath ", "exclude", &rt.excludes, false, &body);
	rules_print(&rt, &body);
	for (size_t i = 0; i < rt.sets_count; i++)
		objects_print("fw set ", rt.sets[i].name, &rt.sets[i].objects, false, &body);
	if (!err && body.text)
		conf_printf(text, "\n# Changed at runtime, and kept:\n%s", body.text);
	text->is_lost |= body.is_lost;
	free(body.text);
	conf_runtime_free(&rt);
	return err;
}
