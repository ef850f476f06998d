// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Changes of rules and sets in the log of changes at runtime, as a state. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "config/runtime.h"
#include "core/array.h"
#include "core/error.h"
#include "core/prefix.h"
#include "fw/live.h"

bool conf_rule_find(const struct ecbpf_fw_ruleset *ruleset, const char *id, size_t *ret_index)
{
	bool is_name = !strncmp(id, "name ", 5);

	for (size_t i = 0; i < ruleset->rules_count; i++) {
		const char *name = ruleset->rules[i].name;
		_cleanup_free_ char *text = NULL;

		if (is_name != !!name)
			continue;
		text = is_name ? NULL : ecbpf_fw_rule_text(ruleset, i);
		if (strcmp(id + 5, name ?: text ?: ""))
			continue;
		*ret_index = i;
		return true;
	}
	return false;
}

bool conf_set_has(const struct fw_set *set, const struct ecbpf_prefix *prefix)
{
	for (size_t low = 0, high = set->prefixes_count; low < high;) {
		size_t middle = (low + high) / 2;
		int order = ecbpf_prefix_compare(prefix, &set->prefixes[middle]);

		if (!order)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

struct conf_set *conf_set_find(struct conf_runtime *rt, const char *name)
{
	for (size_t i = 0; i < rt->sets_count; i++)
		if (!strcmp(rt->sets[i].name, name))
			return &rt->sets[i];
	return NULL;
}

static struct conf_set *set_get(struct ecbpf *e, struct conf_runtime *rt, const char *name)
{
	struct conf_set *set = conf_set_find(rt, name);

	if (!set)
		set = ecbpf_array_add(&rt->sets, &rt->sets_count, sizeof(*set));
	if (!set)
		ecbpf_fail_memory(e);
	else
		snprintf(set->name, sizeof(set->name), "%s", name);
	return set;
}

/* "set NAME ..." of @whole; NULL: it has none of this name */
static const char *whole_set(const struct runtime_record *whole, const char *name)
{
	const char *line = whole->lines;
	size_t len = strlen(name);

	for (size_t i = 0; i < whole->count; i++, line = runtime_line_next(line))
		if (!strncmp(line, "set ", 4) && !strncmp(line + 4, name, len) &&
		    line[4 + len] == ' ')
			return line;
	return NULL;
}

static int set_remove(struct ecbpf *e, struct conf_runtime *rt, const char *name)
{
	bool is_whole = rt->whole && whole_set(rt->whole, name);
	struct conf_set *set = is_whole ? set_get(e, rt, name) : conf_set_find(rt, name);

	if (!set)
		return is_whole ? -ENOMEM : 0;
	free(set->objects.items);
	set->objects = (struct conf_objects){};
	set->is_destroyed = true;
	set->is_created = false;
	if (!is_whole)
		*set = rt->sets[--rt->sets_count];
	rt->is_dirty = true;
	return 0;
}

/* Return: was it there? */
static bool rule_remove(struct conf_rules *rules, const char *id)
{
	for (size_t i = 0; i < rules->count; i++) {
		if (strcmp(rules->items[i].id, id))
			continue;
		memmove(&rules->items[i], &rules->items[i + 1],
			(--rules->count - i) * sizeof(*rules->items));
		return true;
	}
	return false;
}

static struct conf_rule *rule_add(struct ecbpf *e, struct conf_rules *rules, const char *id)
{
	struct conf_rule *rule = ecbpf_array_add(&rules->items, &rules->count, sizeof(*rule));

	if (!rule)
		ecbpf_fail_memory(e);
	else
		*rule = (struct conf_rule){.id = id};
	return rule;
}

static int create_take(struct ecbpf *e, struct conf_runtime *rt, const char *what)
{
	const char *name = strchr(what, ' ');
	struct conf_set *set = name ? set_get(e, rt, name + 1) : NULL;

	if (!name)
		return -EINVAL;
	if (!set)
		return -ENOMEM;
	set->is_created = true;
	set->family = !strncmp(what, "ip ", 3) ? 4 : !strncmp(what, "ip6 ", 4) ? 6 : 0;
	return 0;
}

static int change_take(struct ecbpf *e, const struct runtime_record *record,
		       struct conf_runtime *rt)
{
	const char *line = record->lines;
	struct conf_rule *rule = NULL;

	for (size_t i = 0; i < record->count; i++, line = runtime_line_next(line)) {
		const char *rest = strchr(line, ' ');
		int err = 0;

		if (!rest++)
			return -EINVAL;
		if (!strncmp(line, "create ", 7)) {
			err = create_take(e, rt, rest);
		} else if (!strncmp(line, "destroy ", 8)) {
			err = set_remove(e, rt, rest);
		} else if (!strncmp(line, "delete ", 7)) {
			rt->is_dirty = true;
			if (!rule_remove(&rt->rules, rest) && !rule_add(e, &rt->deleted, rest))
				err = -ENOMEM;
		} else if (!strncmp(line, "add ", 4)) {
			rt->is_dirty |= rule_remove(&rt->rules, rest);
			rule = rule_add(e, &rt->rules, rest);
			err = rule ? 0 : -ENOMEM;
		} else if (rule && !strncmp(line, "text ", 5)) {
			rule->text = rest;
		} else if (rule && !strncmp(line, "before ", 7)) {
			rule->before = rest;
		} else if (rule && !strncmp(line, "after ", 6)) {
			rule->after = rest;
		} else {
			err = -EINVAL;
		}
		if (err)
			return err;
	}
	return 0;
}

/* "set NAME live": its addresses stayed */
static bool is_kept(const struct runtime_record *record, const char *name)
{
	const char *line = whole_set(record, name);

	return line && !strcmp(strrchr(line, ' '), " live");
}

static void whole_take(const struct runtime_record *record, struct conf_runtime *rt)
{
	size_t kept = 0;

	rt->is_dirty |= rt->whole || rt->rules.count || rt->deleted.count;
	rt->rules.count = rt->deleted.count = 0;
	for (size_t i = 0; i < rt->sets_count; i++) {
		struct conf_set *set = &rt->sets[i];

		set->is_created = set->is_destroyed = false;
		if (is_kept(record, set->name)) {
			rt->sets[kept++] = *set;
			continue;
		}
		free(set->objects.items);
		rt->is_dirty = true;
	}
	rt->sets_count = kept;
	rt->whole = record;
}

int conf_runtime_fw_take(struct ecbpf *e, const struct runtime_record *record,
			 struct conf_runtime *rt)
{
	char name[FW_SET_NAME_MAX + 1];
	struct conf_set *set;
	int end = 0;

	if (!strcmp(record->head, "fw change"))
		return change_take(e, record, rt);
	if (!strcmp(record->head, "fw apply")) {
		whole_take(record, rt);
		return 0;
	}
	if (sscanf(record->head, "fw set %31s %n", name, &end) != 1 || !end)
		return -EINVAL;
	set = set_get(e, rt, name);
	return set ? conf_objects_take(e, record, record->head + end, &set->objects) : -ENOMEM;
}

int conf_whole_read(struct ecbpf *e, const struct runtime_record *whole,
		    struct ecbpf_fw_ruleset **ret)
{
	struct conf_text text = {};
	const char *line = whole->lines;
	int err;

	for (size_t i = 0; i < whole->count; i++, line = runtime_line_next(line))
		conf_printf(&text, "%s\n", line);
	err = text.is_lost ? ecbpf_fail_memory(e)
			   : fw_parse_kept(e, "rules applied at runtime", text.text ?: "", text.len,
					   ret);
	free(text.text);
	return err;
}

/* Return: false: @whole has none of it anyway */
static bool is_deleted(const struct conf_set *set, const struct fw_set *whole,
		       const struct conf_object *object)
{
	return object->is_delete && !set->is_destroyed && !set->objects.is_replaced && whole &&
	       !whole->is_live && conf_set_has(whole, &object->entry.prefix);
}

int conf_runtime_fw_settle(struct ecbpf *e, struct conf_runtime *rt)
{
	struct ecbpf_fw_ruleset *whole = NULL;
	int err = rt->whole && rt->sets_count ? conf_whole_read(e, rt->whole, &whole) : 0;

	for (size_t i = 0; i < rt->sets_count && whole; i++) {
		struct conf_set *set = &rt->sets[i];
		struct fw_set *of = fw_set_find(whole, set->name, strlen(set->name));
		size_t kept = 0;

		for (size_t k = 0; k < set->objects.count; k++) {
			const struct conf_object *object = &set->objects.items[k];

			if (!object->is_delete || is_deleted(set, of, object))
				set->objects.items[kept++] = *object;
		}
		set->objects.count = kept;
	}
	ecbpf_fw_ruleset_free(whole);
	return err == -EINVAL ? 0 : err; /* told when it is needed */
}

void conf_runtime_fw_free(struct conf_runtime *rt)
{
	for (size_t i = 0; i < rt->sets_count; i++)
		free(rt->sets[i].objects.items);
	free(rt->sets);
	free(rt->rules.items);
	free(rt->deleted.items);
}

/* --- writing ------------------------------------------------------------------------------ */

static void whole_write(struct ecbpf *e, FILE *out, const struct conf_runtime *rt)
{
	struct runtime_change c;
	const char *line;

	if (!rt->whole)
		return;
	runtime_log_change(e, out, &c, "fw apply");
	line = rt->whole->lines;
	for (size_t i = 0; i < rt->whole->count; i++, line = runtime_line_next(line))
		runtime_change_line(&c, "%s", line);
	runtime_change_end(&c);
}

/* What was taken from @whole, then what was added to it */
static void sets_write(struct runtime_change *c, const struct conf_runtime *rt)
{
	for (size_t i = 0; i < rt->deleted.count && rt->whole; i++)
		runtime_change_line(c, "delete %s", rt->deleted.items[i].id);
	for (size_t i = 0; i < rt->sets_count && rt->whole; i++)
		if (rt->sets[i].is_destroyed)
			runtime_change_line(c, "destroy %s", rt->sets[i].name);
	for (size_t i = 0; i < rt->sets_count; i++)
		if (rt->sets[i].is_created)
			fw_log_set_line(c, rt->sets[i].name, rt->sets[i].family);
}

/* By the rules that are beside them now */
static void rules_write(struct runtime_change *c, struct conf_runtime *rt)
{
	const struct ecbpf_fw_ruleset *ruleset = rt->merged.ruleset;

	for (size_t i = ruleset ? ruleset->rules_count : 0; i > 0; i--) {
		for (size_t k = 0; k < rt->rules.count; k++) {
			struct conf_rule *rule = &rt->rules.items[k];
			size_t index;

			if (rule->is_written || !conf_rule_find(ruleset, rule->id, &index) ||
			    index != i - 1)
				continue;
			fw_log_rule(c, ruleset, index);
			rule->is_written = true;
		}
	}
	for (size_t k = 0; k < rt->rules.count; k++) { /* left out, for now */
		const struct conf_rule *rule = &rt->rules.items[k];

		if (rule->is_written)
			continue;
		runtime_change_line(c, "add %s", rule->id);
		runtime_change_line(c, "text %s", rule->text);
		if (rule->before)
			runtime_change_line(c, "before %s", rule->before);
		if (rule->after)
			runtime_change_line(c, "after %s", rule->after);
	}
}

void conf_runtime_fw_write(struct ecbpf *e, FILE *out, struct conf_runtime *rt)
{
	bool has_changed = rt->rules.count || (rt->whole && rt->deleted.count);
	struct runtime_change c;

	whole_write(e, out, rt);
	for (size_t i = 0; i < rt->sets_count; i++)
		has_changed |= rt->sets[i].is_created || (rt->whole && rt->sets[i].is_destroyed);
	if (has_changed) {
		runtime_log_change(e, out, &c, "fw change");
		sets_write(&c, rt);
		rules_write(&c, rt);
		runtime_change_end(&c);
	}
	for (size_t i = 0; i < rt->sets_count; i++) {
		const struct conf_set *set = &rt->sets[i];
		char what[64];

		snprintf(what, sizeof(what), "fw set %s", set->name);
		if (rt->whole && set->objects.is_replaced && whole_set(rt->whole, set->name)) {
			runtime_log_change(e, out, &c, "%s flush", what);
			runtime_change_end(&c);
		}
		conf_objects_write(e, out, what, &set->objects, false, rt->whole);
	}
}
