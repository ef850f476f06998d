// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Changes at runtime whose log is gone: all that is live, and was not declared, is one of them.
 * What was is known from the configuration before, or from what was noted when it was applied.
 *
 * The directory was emptied, its disk replaced, or the file overwritten, while maps live on. What
 * is live is written as a log, which is read as any other: so a ban outlives the next apply, and
 * the next reboot.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/known.h"
#include "config/parse.h"
#include "config/runtime.h"
#include "core/applied.h"
#include "core/error.h"
#include "core/prefix.h"
#include "filter/filter.h"
#include "fw/live.h"

/* @base: what was applied before; if that is not known, what is to be applied now */
struct recovery {
	struct ecbpf *e;
	const struct ecbpf_config *config;
	const struct ecbpf_config *base;
	struct conf_known known; /* was declared */
	FILE *out;
	struct runtime_change change;
	bool is_begun;
	size_t count;
};

static void line_add(struct recovery *r, const char *head, const char *text, __u64 hash)
{
	if (conf_known_has(&r->known, hash))
		return;
	if (!r->is_begun)
		runtime_log_change(r->e, r->out, &r->change, "%s", head);
	r->is_begun = true;
	r->count++;
	runtime_change_line(&r->change, "%s", text);
}

static void lines_end(struct recovery *r)
{
	if (r->is_begun)
		runtime_change_end(&r->change);
	r->is_begun = false;
}

/*
 * Settings that differ from those of @base, or from the defaults if it is NULL. @given: those that
 * the file to be applied has: they will be as it says
 */
static void values_recover(struct recovery *r, enum conf_values_of of, __u64 given,
			   const void *base, const void *live)
{
	const struct ecbpf_settings *settings = conf_values_settings(of);
	char head[64], line[256], text[ECBPF_SETTING_TEXT];

	snprintf(head, sizeof(head), "%s set", settings->stage);
	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];
		__u32 value = ecbpf_setting_value(s, live);

		if (given & 1ULL << i || value == (base ? ecbpf_setting_value(s, base) : s->value))
			continue;
		snprintf(line, sizeof(line), "%s=%s", s->name,
			 ecbpf_setting_format(s, value, text, sizeof(text)));
		line_add(r, head, line, conf_known_text(head, line));
	}
	lines_end(r);
}

static int settings_recover(struct recovery *r)
{
	const struct ecbpf_config *base = r->base, *config = r->config;
	struct ecbpf_fastpath_settings fastpath;
	struct ecbpf_filter_config filter;
	struct ecbpf_sampling sampling;
	struct ecbpf_fw_config fw;
	int err;

	err = conf_is_pinned(r->e, "filter_settings");
	if (err > 0)
		err = ecbpf_filter_config_get(r->e, &filter) ?: 1;
	if (err > 0)
		values_recover(r, CONF_VALUES_FILTER, config->filter_given,
			       base->has_filter ? &base->filter : NULL, &filter);
	if (err >= 0)
		err = ecbpf_fw_config_get(r->e, &fw);
	if (!err)
		values_recover(r, CONF_VALUES_FW, config->fw_given, base->has_fw ? &base->fw : NULL,
			       &fw);
	if (!err)
		err = ecbpf_fastpath_get(r->e, &fastpath);
	if (!err)
		values_recover(r, CONF_VALUES_FASTPATH, config->fastpath.given,
			       base->fastpath.section.file ? &base->fastpath.settings : NULL,
			       &fastpath);
	if (!err || err == -ENOENT)
		err = conf_sampling_get(r->e, &sampling);
	/* one that was never set has none of its defaults */
	if (!err && sampling.snap_len)
		values_recover(r, CONF_VALUES_SAMPLER, config->sampling_given,
			       base->has_sampler ? &base->sampling : NULL, &sampling);
	return err == -ENOENT ? 0 : err;
}

/* Both are sorted */
static int list_recover(struct recovery *r, __u32 number)
{
	const struct conf_list *base = &r->base->lists[number];
	struct conf_list live = {};
	char head[32], text[FILTER_ENTRY_TEXT];
	bool is_lost;
	int err = conf_list_live(r->e, number, &live, &is_lost);

	snprintf(head, sizeof(head), "filter %s add", filter_list_names[number]);
	for (size_t i = 0, k = 0; !err && i < live.count; i++) {
		const struct ecbpf_filter_entry *entry = &live.entries[i];
		int order = 1;

		while (base->is_said && k < base->count && order > 0) {
			order = ecbpf_prefix_compare(&entry->prefix, &base->entries[k].prefix);
			k += order >= 0;
		}
		if (!order)
			continue;
		filter_entry_format(entry, text);
		line_add(r, head, text, conf_known_prefix(head, &entry->prefix, entry->tag));
	}
	lines_end(r);
	free(live.entries);
	return err;
}

static void prefixes_recover(struct recovery *r, const char *head, const struct conf_words *base,
			     const struct ecbpf_prefix *live, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char text[ECBPF_PREFIX_TEXT];

		ecbpf_prefix_format(&live[i], text);
		if (!conf_words_have(base, text, strlen(text)))
			line_add(r, head, text, conf_known_text(head, text));
	}
	lines_end(r);
}

static int addresses_recover(struct recovery *r)
{
	_cleanup_free_ struct ecbpf_prefix *vips = NULL, *excludes = NULL;
	size_t count = 0;
	int err = conf_vips_get(r->e, &vips, &count);

	if (err)
		return err;
	prefixes_recover(r, "filter vip add", &r->base->vips, vips, count);
	count = 0;
	err = ecbpf_fastpath_exclude_list(r->e, &excludes, &count);
	if (!err)
		prefixes_recover(r, "fastpath exclude add", &r->base->fastpath.excludes, excludes,
				 count);
	return err == -ENOENT ? 0 : err;
}

/* --- rules and sets ----------------------------------------------------------------------- */

/* Of all that a set has, what @base has not; scripts fill one that is live there */
static void set_recover(struct recovery *r, const struct fw_set *set, const struct fw_set *base)
{
	char head[64], text[ECBPF_PREFIX_TEXT];

	snprintf(head, sizeof(head), CONF_KNOWN_SET, set->name);
	for (size_t i = 0; i < set->prefixes_count; i++) {
		if (base && !base->is_live && conf_set_has(base, &set->prefixes[i]))
			continue;
		ecbpf_prefix_format(&set->prefixes[i], text);
		line_add(r, head, text, conf_known_prefix(head, &set->prefixes[i], ""));
	}
	lines_end(r);
}

static int whole_recover(struct recovery *r, const struct ecbpf_fw_ruleset *live)
{
	_cleanup_free_ char *text = NULL;
	char *rest = NULL;
	int err = fw_print_whole(r->e, live, &text);

	for (char *line = err ? NULL : strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		line_add(r, "fw apply", line, 0);
	lines_end(r);
	for (size_t i = 0; i < live->sets_count && !err; i++)
		if (live->sets[i].is_live)
			set_recover(r, &live->sets[i], NULL);
	return err;
}

static int text_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* By its name, or by its text */
static char *rule_id(const struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	const char *name = ruleset->rules[index].name;
	_cleanup_free_ char *text = name ? NULL : ecbpf_fw_rule_text(ruleset, index);
	char *id;

	return asprintf(&id, "%s %s", name ? "name" : "rule", name ?: text ?: "") < 0 ? NULL : id;
}

static bool is_known_rule(const struct recovery *r, const struct ecbpf_fw_ruleset *live,
			  size_t index)
{
	_cleanup_free_ char *text = ecbpf_fw_rule_text(live, index);

	return text && conf_known_has(&r->known, conf_known_text(CONF_KNOWN_RULE, text));
}

static bool is_known_set(const struct recovery *r, const struct fw_set *set)
{
	char head[64];

	snprintf(head, sizeof(head), CONF_KNOWN_SET, set->name);
	return conf_known_has(&r->known, conf_known_text(CONF_KNOWN_RULE, head));
}

/* The last one first: each finds the one behind it */
static int rules_recover(struct recovery *r, const struct ecbpf_fw_ruleset *live,
			 const struct ecbpf_fw_ruleset *base)
{
	char **ids = calloc(base->rules_count + 1, sizeof(*ids));
	int err = ids ? 0 : ecbpf_fail_memory(r->e);

	for (size_t i = 0; i < base->rules_count && !err; i++) {
		ids[i] = rule_id(base, i);
		err = ids[i] ? 0 : ecbpf_fail_memory(r->e);
	}
	if (!err)
		qsort(ids, base->rules_count, sizeof(*ids), text_compare);
	for (size_t i = live->rules_count; i > 0 && !err; i--) {
		_cleanup_free_ char *id = rule_id(live, i - 1);

		if (id && bsearch(&id, ids, base->rules_count, sizeof(*ids), text_compare))
			continue;
		if (is_known_rule(r, live, i - 1))
			continue;
		if (!r->is_begun)
			runtime_log_change(r->e, r->out, &r->change, "fw change");
		r->is_begun = true;
		r->count++;
		fw_log_rule(&r->change, live, i - 1);
	}
	for (size_t i = 0; ids && i < base->rules_count; i++)
		free(ids[i]);
	free(ids);
	return err;
}

static int changes_recover(struct recovery *r, const struct ecbpf_fw_ruleset *live,
			   const struct ecbpf_fw_ruleset *base)
{
	int err;

	for (size_t i = 0; i < live->sets_count; i++) {
		const struct fw_set *set = &live->sets[i];

		if (fw_set_find(base, set->name, strlen(set->name)) || is_known_set(r, set))
			continue;
		if (!r->is_begun)
			runtime_log_change(r->e, r->out, &r->change, "fw change");
		r->is_begun = true;
		r->count++;
		fw_log_set_line(&r->change, set->name, set->family);
	}
	err = rules_recover(r, live, base);
	lines_end(r);
	for (size_t i = 0; i < live->sets_count && !err; i++)
		set_recover(r, &live->sets[i],
			    fw_set_find(base, live->sets[i].name, strlen(live->sets[i].name)));
	return err;
}

static int fw_recover(struct recovery *r)
{
	const struct ecbpf_fw_ruleset *base = r->base->ruleset ?: r->config->ruleset;
	struct ecbpf_fw_ruleset *live = NULL;
	int err = conf_ruleset_live(r->e, &live);

	if (!err && base)
		err = changes_recover(r, live, base);
	else if (!err && (live->rules_count || live->sets_count))
		err = whole_recover(r, live);
	ecbpf_fw_ruleset_free(live);
	return err;
}

int conf_runtime_recover(struct ecbpf *e, const struct ecbpf_config *config,
			 struct conf_runtime *rt)
{
	struct recovery r = {.e = e, .config = config, .base = config->before ?: config};
	char *text = NULL;
	long long applied;
	size_t size;
	int err;

	applied_read(&applied); /* then there was a log */
	if (!applied || !rt->log.is_kept || rt->log.is_there || rt->log.count || config->resets)
		return 0;
	r.out = open_memstream(&text, &size);
	if (!r.out)
		return ecbpf_fail_memory(e);
	conf_known_read(&r.known);
	err = settings_recover(&r);
	for (__u32 i = 0; i < ECBPF_FILTER_LISTS && !err; i++)
		err = list_recover(&r, i);
	if (!err)
		err = addresses_recover(&r);
	if (!err)
		err = fw_recover(&r);
	conf_known_free(&r.known);
	if (fclose(r.out) && !err)
		err = ecbpf_fail_memory(e);
	if (!err && r.count && !rt->is_unreadable)
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "%s is %s: %zu live settings, entries and rules that are not declared "
			  "are kept as changes at runtime",
			  rt->log.path, rt->log.lock >= 0 ? "damaged" : "gone", r.count);
	return runtime_log_take(e, &rt->log, text, size) ?: err ?: conf_runtime_take(e, rt);
}
