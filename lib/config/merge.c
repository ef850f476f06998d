// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A configuration with what was changed at runtime: what it says wins, all else is as it was.
 *
 * A section that it does not have is what runs now, or nothing after a reboot, with these changes.
 * So the merged configuration is applied as any other, in one step, and no prefix is taken off a
 * list for a moment. A deleted object is left out of the log: if the configuration has it, it is
 * back, else it is gone already.
 *
 * With --reset-runtime, what was added at runtime is taken away instead.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "config/parse.h"
#include "config/runtime.h"
#include "core/array.h"
#include "core/error.h"
#include "core/list-policy.h"
#include "core/prefix.h"
#include "filter/filter.h"

/* Names of some of what the configuration overrides, for one line */
struct overridden {
	char names[160];
	size_t count;
};

static void override_add(struct overridden *o, const struct ecbpf_prefix *prefix)
{
	char text[ECBPF_PREFIX_TEXT];
	size_t len = strlen(o->names);

	ecbpf_prefix_format(prefix, text);
	if (o->count++ < 3)
		snprintf(o->names + len, sizeof(o->names) - len, "%s%s", len ? ", " : "", text);
}

static void override_tell(struct ecbpf *e, const char *what, const struct overridden *o,
			  const char *how)
{
	if (o->count)
		ecbpf_log(e, ECBPF_LOG_WARN, "%s: %s%s: %s", what, o->names,
			  o->count > 3 ? ", ..." : "", how);
}

/* --- settings ----------------------------------------------------------------------------- */

static void value_tell(struct ecbpf *e, const struct ecbpf_settings *settings, size_t i,
		       const struct conf_values *values, const void *merged, bool resets)
{
	const struct ecbpf_setting *s = &settings->rows[i];
	__u32 from = ecbpf_setting_value(s, &values->filter), to = ecbpf_setting_value(s, merged);
	char old[ECBPF_SETTING_TEXT], new[ECBPF_SETTING_TEXT];

	if (from != to)
		ecbpf_log(e, ECBPF_LOG_WARN, "%s: %s was set to %s at runtime, again %s%s",
			  settings->stage, s->name, ecbpf_setting_format(s, from, old, sizeof(old)),
			  ecbpf_setting_format(s, to, new, sizeof(new)),
			  resets ? "" : " as the configuration says");
}

/*
 * @merged: values that are declared, @given, if @is_declared, or those that are live; gets others.
 * @undeclared: what those go back to that were changed, if none are declared; NULL: the defaults
 */
static void values_merge(struct ecbpf *e, enum conf_values_of of, struct conf_runtime *rt,
			 bool is_declared, __u64 given, const void *undeclared, void *merged)
{
	const struct ecbpf_settings *settings = conf_values_settings(of);
	struct conf_values *values = &rt->values[of];
	bool resets = rt->declared->resets;

	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];
		__u32 *to = (__u32 *)((char *)merged + s->offset);

		if (!(values->given & 1ULL << i))
			continue;
		if (!resets && !(given & 1ULL << i)) {
			*to = ecbpf_setting_value(s, &values->filter);
			continue;
		}
		if (!is_declared)
			*to = undeclared ? ecbpf_setting_value(s, undeclared) : s->value;
		value_tell(e, settings, i, values, merged, resets);
		values->given &= ~(1ULL << i);
		rt->is_dirty = true;
	}
}

/* --- lists of the filter ------------------------------------------------------------------ */

static bool is_same(const struct ecbpf_filter_entry *a, const struct ecbpf_filter_entry *b)
{
	return a->expires == b->expires && !strcmp(a->tag, b->tag);
}

/* @list: gets entries of its own, with those that were added; objects that it has are left out */
static int list_merge(struct ecbpf *e, __u32 number, struct conf_runtime *rt, bool is_declared,
		      struct conf_list *list)
{
	struct conf_objects *objects = &rt->lists[number];
	bool resets = rt->declared->resets;
	struct ecbpf_filter_entry *merged;
	size_t count = 0, kept = 0, a = 0, b = 0;
	struct overridden o = {};
	char what[32];

	merged = calloc(list->count + objects->count + 1, sizeof(*merged));
	if (!merged)
		return ecbpf_fail_memory(e);
	while (a < list->count || b < objects->count) {
		const struct conf_object *object = &objects->items[b];
		int order = a == list->count	  ? 1
			    : b == objects->count ? -1
						  : ecbpf_prefix_compare(&list->entries[a].prefix,
									 &object->entry.prefix);

		if (order <= 0)
			merged[count++] = list->entries[a++];
		if (order < 0)
			continue;
		if (resets || (!order && is_declared)) {
			if (resets || object->is_delete ||
			    !is_same(&merged[count - 1], &object->entry))
				override_add(&o, &object->entry.prefix);
			if (resets && !order && !is_declared && !object->is_delete)
				count--;
			rt->is_dirty = true;
		} else if (!object->is_delete) {
			if (order)
				merged[count++] = object->entry;
			objects->items[kept++] = *object;
		}
		b++;
	}
	objects->count = kept;
	free(list->entries);
	list->entries = merged;
	list->count = count;
	snprintf(what, sizeof(what), "filter %s", filter_list_names[number]);
	override_tell(e, what, &o, resets ? CONF_FORGET : CONF_WINS);
	return 0;
}

/* Added to the drop list when they blocked nothing of this host; addresses may have changed */
static int lockout_drop(struct ecbpf *e, struct conf_runtime *rt)
{
	struct conf_objects *objects = &rt->lists[ECBPF_FILTER_BLOCK];
	const struct conf_list *allow = &rt->merged.lists[ECBPF_FILTER_ALLOW];
	struct lockout lockout;
	size_t kept = 0;
	int err;

	if (!objects->count)
		return 0;
	err = ecbpf_lockout_begin(e, &lockout);
	for (size_t i = 0; i < allow->count && !err; i++)
		ecbpf_lockout_allow(&lockout, &allow->entries[i].prefix);
	for (size_t i = 0; i < objects->count && !err; i++) {
		struct conf_object *object = &objects->items[i];
		size_t found = lockout.found;
		char text[ECBPF_PREFIX_TEXT];

		if (!object->is_forced && !object->is_delete)
			ecbpf_lockout_check(&lockout, &object->entry.prefix);
		if (lockout.found == found) {
			objects->items[kept++] = *object;
			continue;
		}
		ecbpf_prefix_format(&object->entry.prefix, text);
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "filter drop: %s: added at runtime, but would block this host now: left "
			  "out",
			  text);
		rt->is_dirty = true;
	}
	if (!err)
		objects->count = kept;
	lockout.found = 0;
	return ecbpf_lockout_end(&lockout, err);
}

static int list_take(struct ecbpf *e, const struct ecbpf_config *config, __u32 number,
		     struct conf_runtime *rt)
{
	const struct conf_list *declared = &config->lists[number];
	struct conf_list *list = &rt->merged.lists[number];
	bool has_objects = rt->lists[number].count, is_lost;
	int err = 0;

	/* whom the allow list has, the drop list cannot block */
	if (!rt->lists[number].count && (number != ECBPF_FILTER_ALLOW || declared->is_said ||
					 !rt->lists[ECBPF_FILTER_BLOCK].count))
		return 0;
	list->entries = NULL;
	if (declared->is_said) {
		list->entries = ecbpf_array_copy(declared->entries, declared->count,
						 sizeof(*list->entries));
		if (!list->entries)
			err = ecbpf_fail_memory(e);
	} else {
		err = conf_list_live(e, number, list, &is_lost);
		list->is_said = true;
		if (!err && is_lost && has_objects)
			ecbpf_log(
				e, ECBPF_LOG_WARN,
				"the %s list was removed from ecbpf's maps: only what was added at "
				"runtime comes back",
				filter_list_names[number]);
	}
	if (!err && number == ECBPF_FILTER_BLOCK)
		err = lockout_drop(e, rt);
	if (!err)
		err = list_merge(e, number, rt, declared->is_said, list);
	/* of no interest to those who apply it */
	if (!err && !has_objects)
		list->is_said = declared->is_said;
	return err;
}

/* --- VIPs, excluded addresses ------------------------------------------------------------- */

static int word_add(struct ecbpf *e, struct conf_words *words, const char *text)
{
	struct conf_word *word = ecbpf_array_add(&words->items, &words->count, sizeof(*word));

	if (word)
		word->text = strdup(text);
	return word && word->text ? 0 : ecbpf_fail_memory(e);
}

static void word_remove(struct conf_words *words, const char *text)
{
	for (size_t i = 0; i < words->count; i++) {
		if (strcmp(words->items[i].text, text))
			continue;
		free(words->items[i].text);
		words->items[i] = words->items[--words->count];
	}
}

/* @declared: those of the configuration, or that are live; @ret: for conf_words_free() */
static int words_merge(struct ecbpf *e, const char *what, const struct conf_words *declared,
		       bool is_declared, struct conf_objects *objects, struct conf_runtime *rt,
		       struct conf_words *ret)
{
	bool resets = rt->declared->resets;
	struct overridden o = {};
	size_t kept = 0;
	int err = 0;

	*ret = (struct conf_words){};
	for (size_t i = 0; i < declared->count && !err; i++)
		err = word_add(e, ret, declared->items[i].text);
	for (size_t i = 0; i < objects->count && !err; i++) {
		const struct conf_object *object = &objects->items[i];
		char text[ECBPF_PREFIX_TEXT];
		bool has;

		ecbpf_prefix_format(&object->entry.prefix, text);
		has = conf_words_have(declared, text, strlen(text));
		if (resets || (has && is_declared)) {
			if (resets || object->is_delete)
				override_add(&o, &object->entry.prefix);
			if (resets && !is_declared)
				word_remove(ret, text);
			rt->is_dirty = true;
			continue;
		}
		if (object->is_delete)
			continue;
		if (!has)
			err = word_add(e, ret, text);
		objects->items[kept++] = *object;
	}
	if (!err)
		objects->count = kept;
	override_tell(e, what, &o, resets ? CONF_FORGET : CONF_WINS);
	return err;
}

static int words_of(struct ecbpf *e, const struct ecbpf_prefix *prefixes, size_t count,
		    struct conf_words *ret)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		char text[ECBPF_PREFIX_TEXT];

		ecbpf_prefix_format(&prefixes[i], text);
		err = word_add(e, ret, text);
	}
	return err;
}

/* --- sections ----------------------------------------------------------------------------- */

static bool has_filter(const struct conf_runtime *rt)
{
	return rt->values[CONF_VALUES_FILTER].given || rt->vips.count ||
	       rt->lists[ECBPF_FILTER_ALLOW].count || rt->lists[ECBPF_FILTER_BLOCK].count;
}

static int filter_merge(struct ecbpf *e, const struct ecbpf_config *config, struct conf_runtime *rt)
{
	_cleanup_free_ struct ecbpf_prefix *live = NULL;
	struct ecbpf_config *merged = &rt->merged;
	struct conf_words running = {};
	size_t count = 0;
	int err = 0;

	merged->vips = (struct conf_words){};
	if (!config->has_filter && has_filter(rt)) {
		merged->has_filter = true;
		err = ecbpf_filter_config_get(e, &merged->filter);
		if (!err)
			err = conf_vips_get(e, &live, &count);
		if (!err)
			err = words_of(e, live, count, &running);
	}
	if (!err)
		err = words_merge(e, "filter vip", config->has_filter ? &config->vips : &running,
				  config->has_filter, &rt->vips, rt, &merged->vips);
	conf_words_free(&running);
	if (!err)
		values_merge(e, CONF_VALUES_FILTER, rt, config->has_filter, config->filter_given,
			     NULL, &merged->filter);
	for (__u32 i = 0; i < ECBPF_FILTER_LISTS && !err; i++)
		err = list_take(e, config, i, rt);
	return err;
}

static int fw_merge(struct ecbpf *e, const struct ecbpf_config *config, struct conf_runtime *rt)
{
	struct ecbpf_config *merged = &rt->merged;
	int err = 0;

	if (!config->has_fw && rt->values[CONF_VALUES_FW].given) {
		merged->has_fw = true;
		err = ecbpf_fw_config_get(e, &merged->fw);
	}
	if (!err)
		values_merge(e, CONF_VALUES_FW, rt, config->has_fw, config->fw_given, NULL,
			     &merged->fw);
	return err;
}

static int fastpath_merge(struct ecbpf *e, const struct ecbpf_config *config,
			  struct conf_runtime *rt)
{
	_cleanup_free_ struct ecbpf_prefix *live = NULL;
	struct conf_fastpath *merged = &rt->merged.fastpath;
	bool is_declared = config->fastpath.section.file;
	struct conf_words running = {};
	size_t count = 0;
	int err = 0;

	merged->excludes = (struct conf_words){};
	if (!is_declared && (rt->values[CONF_VALUES_FASTPATH].given || rt->excludes.count)) {
		merged->section.file = rt->log.path;
		err = ecbpf_fastpath_get(e, &merged->settings);
		if (!err)
			err = ecbpf_fastpath_exclude_list(e, &live, &count);
		if (err == -ENOENT)
			err = 0; /* it is not loaded */
		if (!err)
			err = words_of(e, live, count, &running);
	}
	if (!err)
		err = words_merge(e, "fastpath exclude",
				  is_declared ? &config->fastpath.excludes : &running, is_declared,
				  &rt->excludes, rt, &merged->excludes);
	conf_words_free(&running);
	if (!err)
		values_merge(e, CONF_VALUES_FASTPATH, rt, is_declared, config->fastpath.given, NULL,
			     &merged->settings);
	return err;
}

static int sampler_merge(struct ecbpf *e, const struct ecbpf_config *config,
			 struct conf_runtime *rt)
{
	struct ecbpf_config *merged = &rt->merged;
	struct ecbpf_sampling none = {};
	int err = 0;

	ecbpf_settings_reset(ecbpf_sampler_settings(), &none);
	memset(none.rate, 0, sizeof(none.rate)); /* without the section, none are drawn */
	if (!config->has_sampler && rt->values[CONF_VALUES_SAMPLER].given) {
		merged->has_sampler = true;
		merged->sampling = (struct ecbpf_sampling){};
		err = conf_sampling_get(e, &merged->sampling);
		if (err == -ENOENT)
			err = 0;
	}
	if (!err)
		values_merge(e, CONF_VALUES_SAMPLER, rt, config->has_sampler,
			     config->sampling_given, &none, &merged->sampling);
	return err;
}

/*
 * Packets that pass unhandled are worse than changes that are lost; those that are live are not
 * lost, either. The file stays as it is
 */
static int runtime_read(struct ecbpf *e, const struct ecbpf_config *config, struct conf_runtime *rt)
{
	int err = conf_runtime_read(e, true, rt);

	if (err && err != -ENOMEM && config->is_start) {
		ecbpf_log(e, ECBPF_LOG_WARN, "%s", e->error);
		rt->is_unreadable = true;
		rt->log.is_kept = true;
		err = 0;
	}
	if (!err)
		err = conf_runtime_recover(e, config, rt);
	if (err && err != -ENOMEM && config->is_start) {
		ecbpf_log(e, ECBPF_LOG_WARN, "%s", e->error);
		rt->is_unreadable = true;
		err = 0;
	}
	return err;
}

int conf_runtime_begin(struct ecbpf *e, const struct ecbpf_config *config, struct conf_runtime *rt)
{
	int err;

	*rt = (struct conf_runtime){.log = RUNTIME_LOG_INIT, .merged = *config, .declared = config};
	rt->was_applying = e->is_applying;
	e->is_applying = true;
	rt->merged.declared = config;
	/* merged has its own only where it says so */
	rt->merged.vips = (struct conf_words){};
	rt->merged.fastpath.excludes = (struct conf_words){};
	err = runtime_read(e, config, rt);
	if (!err)
		err = filter_merge(e, config, rt);
	if (!err)
		err = fw_merge(e, config, rt);
	if (!err)
		err = conf_fw_merge(e, rt);
	if (!err)
		err = fastpath_merge(e, config, rt);
	return err ? err : sampler_merge(e, config, rt);
}

int conf_runtime_end(struct ecbpf *e, int err, bool check, struct conf_runtime *rt)
{
	e->is_applying = rt->was_applying;
	if (!err && !check && rt->log.is_kept && rt->is_dirty && !rt->is_unreadable &&
	    conf_runtime_write(e, rt, false))
		ecbpf_log(e, ECBPF_LOG_WARN, "changes at runtime are not kept: %s", e->error);
	if (rt->merged.ruleset != rt->declared->ruleset)
		ecbpf_fw_ruleset_free(rt->merged.ruleset);
	conf_words_free(&rt->merged.vips);
	conf_words_free(&rt->merged.fastpath.excludes);
	for (__u32 i = 0; i < ECBPF_FILTER_LISTS; i++)
		if (rt->merged.lists[i].entries != rt->declared->lists[i].entries)
			free(rt->merged.lists[i].entries);
	conf_runtime_free(rt);
	return err;
}

void ecbpf_config_reset_runtime(struct ecbpf_config *config)
{
	config->resets = true;
}
