// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rules and sets of a configuration with those that were added at runtime; see merge.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "config/runtime.h"
#include "core/array.h"
#include "core/error.h"
#include "core/list-policy.h"
#include "core/prefix.h"
#include "fw/live.h"

/* Where it stood, by the rules beside it. If they are gone: nothing that it drops may pass */
static size_t rule_place(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset,
			 const struct conf_rule *rule)
{
	size_t index, count = ruleset->rules_count, action = strspn(rule->text, " ");
	bool drops = strstr(rule->text + action, " drop") || strstr(rule->text + action, " limit");

	if (rule->before && conf_rule_find(ruleset, rule->before, &index))
		return index;
	if (rule->after && conf_rule_find(ruleset, rule->after, &index))
		return index + 1;
	if (!rule->before)
		return count;
	if (!rule->after)
		return 0;
	ecbpf_log(e, ECBPF_LOG_WARN,
		  "fw: the rules beside '%s', which was added at runtime, are gone: it is %s now",
		  rule->text, drops ? "the first" : "the last");
	return drops ? 0 : count;
}

static void rule_override(struct ecbpf *e, const char *id, bool resets)
{
	ecbpf_log(e, ECBPF_LOG_WARN, "fw: rule %s: %s", id + 5, resets ? CONF_FORGET : CONF_WINS);
}

/* Return: does the record stay? */
static bool rule_merge(struct ecbpf *e, struct ecbpf_fw_ruleset *ruleset,
		       const struct conf_rule *rule, bool is_declared, bool resets)
{
	size_t index;

	if (conf_rule_find(ruleset, rule->id, &index)) {
		_cleanup_free_ char *text = ecbpf_fw_rule_text(ruleset, index);

		if (resets && !is_declared)
			ecbpf_fw_rule_delete(ruleset, index);
		if (resets || (is_declared && strcmp(text ?: "", rule->text)))
			rule_override(e, rule->id, resets);
		return !resets && !is_declared;
	}
	if (resets)
		rule_override(e, rule->id, resets);
	else if (fw_rule_insert_kept(e, ruleset, rule_place(e, ruleset, rule), rule->text))
		ecbpf_log(e, ECBPF_LOG_WARN, "fw: rule %s, added at runtime, is left out: %s",
			  rule->id + 5, e->error);
	return !resets;
}

static void rules_merge(struct ecbpf *e, struct conf_runtime *rt, bool is_declared)
{
	bool resets = rt->declared->resets;
	size_t kept = 0, index;

	for (size_t i = 0; i < rt->deleted.count && is_declared; i++)
		if (conf_rule_find(rt->merged.ruleset, rt->deleted.items[i].id, &index))
			rule_override(e, rt->deleted.items[i].id, resets);
	for (size_t i = 0; i < rt->rules.count; i++)
		if (rule_merge(e, rt->merged.ruleset, &rt->rules.items[i], is_declared, resets))
			rt->rules.items[kept++] = rt->rules.items[i];
	rt->is_dirty |= kept != rt->rules.count;
	rt->rules.count = kept;
}

/* --- sets --------------------------------------------------------------------------------- */

/* @is_live: of the set, or of the whole ruleset: what it has is not the configuration's */
static int set_merge(struct ecbpf *e, struct conf_set *objects, struct fw_set *set, bool is_live,
		     bool blocks, struct conf_runtime *rt)
{
	struct conf_objects *o = &objects->objects;
	struct ecbpf_prefix *prefixes;
	struct lockout lockout = {};
	size_t kept = 0, back = 0, count = set->prefixes_count;
	int err;

	prefixes = calloc(count + o->count + 1, sizeof(*prefixes));
	if (!prefixes)
		return ecbpf_fail_memory(e);
	if (count)
		memcpy(prefixes, set->prefixes, count * sizeof(*prefixes));
	err = ecbpf_lockout_begin(e, &lockout);
	for (size_t i = 0; i < o->count && !err; i++) {
		const struct conf_object *object = &o->items[i];
		const struct ecbpf_prefix *prefix = &object->entry.prefix;
		bool has = conf_set_has(set, prefix);
		size_t found = lockout.found;

		if (blocks && !has && !object->is_forced && !object->is_delete)
			ecbpf_lockout_check(&lockout, prefix);
		back += has && !is_live && object->is_delete;
		if (object->is_delete && rt->whole) {
			o->items[kept++] = *object;
			continue;
		}
		if ((has && !is_live) || object->is_delete || found != lockout.found ||
		    (set->family && set->family != prefix->family)) {
			rt->is_dirty = true;
			continue;
		}
		if (!has)
			prefixes[count++] = *prefix;
		set->is_accepted |= object->is_forced;
		o->items[kept++] = *object;
	}
	if (!err)
		o->count = kept;
	if (lockout.found)
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "fw: set %s: %zu added at runtime would block this host now: left out",
			  set->name, lockout.found);
	if (back)
		ecbpf_log(e, ECBPF_LOG_WARN, "fw: set %s: %zu deleted at runtime, " CONF_BACK,
			  set->name, back);
	lockout.found = 0;
	err = ecbpf_lockout_end(&lockout, err);
	free(set->prefixes);
	set->prefixes = prefixes;
	set->prefixes_count = fw_prefixes_sort(prefixes, count);
	return err;
}

static int set_take(struct ecbpf *e, struct conf_set *objects, bool is_declared,
		    struct conf_runtime *rt)
{
	struct ecbpf_fw_ruleset *ruleset = rt->merged.ruleset;
	struct fw_set *set = fw_set_find(ruleset, objects->name, strlen(objects->name));

	if (!set && objects->is_destroyed && !objects->is_created)
		return 0;
	if (!set && !objects->is_created) {
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "fw: there is no set %s any more: %zu added at runtime are forgotten",
			  objects->name, objects->objects.count);
		objects->objects.count = 0;
		rt->is_dirty = true;
		return 0;
	}
	if (!set && ruleset->sets_count == FW_SETS_MAX)
		return 0;
	if (!set) {
		set = ecbpf_array_add(&ruleset->sets, &ruleset->sets_count, sizeof(*set));
		if (!set)
			return ecbpf_fail_memory(e);
		snprintf(set->name, sizeof(set->name), "%s", objects->name);
		set->family = objects->family;
	} else if (is_declared && objects->is_created) {
		objects->is_created = false;
		rt->is_dirty = true;
	}
	return set_merge(e, objects, set, !is_declared || set->is_live,
			 fw_set_blocks(ruleset, set - ruleset->sets), rt);
}

static int sets_merge(struct ecbpf *e, struct conf_runtime *rt, bool is_declared)
{
	int err = 0;

	for (size_t i = 0; i < rt->sets_count && !err; i++)
		err = set_take(e, &rt->sets[i], is_declared, rt);
	return err;
}

/* Prefixes and sets that were added go; rules that use such a set are gone already */
static void sets_reset(struct ecbpf *e, struct conf_runtime *rt, bool is_declared)
{
	for (size_t i = 0; i < rt->sets_count; i++) {
		struct conf_set *o = &rt->sets[i];
		struct fw_set *set = fw_set_find(rt->merged.ruleset, o->name, strlen(o->name));
		size_t kept = 0;

		for (size_t k = 0; !is_declared && set && k < set->prefixes_count; k++) {
			bool is_added = false;

			for (size_t j = 0; j < o->objects.count && !is_added; j++)
				is_added = !ecbpf_prefix_compare(&o->objects.items[j].entry.prefix,
								 &set->prefixes[k]);
			if (!is_added)
				set->prefixes[kept++] = set->prefixes[k];
		}
		if (!is_declared && set)
			set->prefixes_count = kept;
		ecbpf_log(e, ECBPF_LOG_WARN, "fw: set %s: %s", o->name, CONF_FORGET);
		o->objects.count = 0;
		o->is_created = o->is_destroyed = false;
		rt->is_dirty = true;
	}
}

/* Sorted, as conf_objects_settle() does */
static bool is_deleted(const struct conf_objects *objects, const struct ecbpf_prefix *prefix)
{
	for (size_t low = 0, high = objects->count; low < high;) {
		size_t middle = (low + high) / 2;
		const struct conf_object *object = &objects->items[middle];
		int order = ecbpf_prefix_compare(prefix, &object->entry.prefix);

		if (!order)
			return object->is_delete;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

/* --- the ruleset -------------------------------------------------------------------------- */

/* As they were when they were applied: what was deleted since goes */
static void whole_change(struct ecbpf *e, struct conf_runtime *rt, struct ecbpf_fw_ruleset *whole)
{
	size_t index;

	for (size_t i = 0; i < rt->deleted.count; i++)
		if (conf_rule_find(whole, rt->deleted.items[i].id, &index))
			ecbpf_fw_rule_delete(whole, index);
	for (size_t i = 0; i < rt->sets_count; i++) {
		struct conf_set *o = &rt->sets[i];
		struct fw_set *set = fw_set_find(whole, o->name, strlen(o->name));
		size_t kept = 0;

		if (set && o->is_destroyed && fw_set_remove(e, whole, o->name))
			ecbpf_log(e, ECBPF_LOG_WARN, "fw: set %s: %s", o->name, e->error);
		if (!set || o->is_destroyed)
			continue;
		for (size_t k = 0; k < set->prefixes_count && !o->objects.is_replaced; k++)
			if (!is_deleted(&o->objects, &set->prefixes[k]))
				set->prefixes[kept++] = set->prefixes[k];
		set->prefixes_count = kept;
	}
}

/* Where the configuration has no rules: those that are live, or else were */
static int base_get(struct ecbpf *e, struct conf_runtime *rt)
{
	struct ecbpf_fw_ruleset *live = NULL, *whole = NULL;
	int err = conf_ruleset_live(e, &live);

	if (!err && rt->whole && !live->rules_count && !live->sets_count)
		err = conf_whole_read(e, rt->whole, &whole);
	if (err == -EINVAL && live) {
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "fw: rules that were applied at runtime are left out: %s", e->error);
		err = 0;
	}
	if (whole) {
		whole_change(e, rt, whole);
		ecbpf_fw_ruleset_free(live);
		live = whole;
	}
	for (size_t i = 0; live && i < live->sets_count; i++)
		live->sets[i].is_accepted = true;
	rt->merged.ruleset = live;
	return err;
}

/* By which no rule drops but those that were added at runtime: these were accepted then */
static void sets_accept(struct conf_runtime *rt)
{
	const struct ecbpf_fw_ruleset *declared = rt->declared->ruleset;

	for (size_t i = 0; i < rt->merged.ruleset->sets_count; i++) {
		struct fw_set *set = &rt->merged.ruleset->sets[i];
		const struct fw_set *was =
			declared ? fw_set_find(declared, set->name, strlen(set->name)) : NULL;

		set->is_accepted |= fw_set_blocks(rt->merged.ruleset, i) &&
				    !(was && fw_set_blocks(declared, was - declared->sets));
	}
}

int conf_fw_merge(struct ecbpf *e, struct conf_runtime *rt)
{
	bool is_declared = rt->declared->ruleset;
	int err = 0;

	if (!rt->whole && !rt->rules.count && !rt->deleted.count && !rt->sets_count)
		return 0;
	if (is_declared) {
		rt->is_dirty |= !!rt->whole;
		rt->whole = NULL;
		rt->merged.ruleset = fw_ruleset_copy(rt->declared->ruleset);
		err = rt->merged.ruleset ? 0 : ecbpf_fail_memory(e);
	} else {
		rt->merged.ruleset = NULL;
		err = base_get(e, rt);
	}
	/* sets before the rules that use them */
	if (!err && !rt->declared->resets)
		err = sets_merge(e, rt, is_declared);
	if (err)
		return err;
	rules_merge(e, rt, is_declared);
	sets_accept(rt);
	if (rt->declared->resets) {
		sets_reset(e, rt, is_declared);
		rt->is_dirty |= !!rt->whole;
		rt->whole = NULL;
	}
	/* nobody has said that there are none: nothing to do */
	if (!is_declared && !rt->merged.ruleset->rules_count && !rt->merged.ruleset->sets_count)
		rt->merged.rules.text = "";
	return 0;
}
