// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a configuration says besides programs: settings, lists and rules. For each section, what
 * differs from the running state, bringing it about, and writing it as a configuration.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>
#include <linux/bpf.h>
#include "config/conf.h"
#include "fw/rules.h"

static int fail_memory(struct ecbpf *e)
{
	return ecbpf_fail(e, -ENOMEM, "out of memory");
}

/* Was a map of ours ever made? Asking must not make it */
static int is_pinned(struct ecbpf *e, const char *map)
{
	char path[PATH_MAX];
	struct stat st;
	int err;

	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = ecbpf_pin_path(e, path, sizeof(path), map);
	return err ? err : !stat(path, &st);
}

int ecbpf_config_refresh(struct ecbpf *e)
{
	int err;

	ecbpf_capture(e);
	err = is_pinned(e, "filter_addrs");
	if (err > 0)
		err = ecbpf_filter_refresh(e);
	if (!err)
		err = is_pinned(e, "fastpath_udp");
	return err > 0 ? ecbpf_fastpath_refresh(e, NULL) : err;
}

/* --- [filter] ----------------------------------------------------------------------------- */

static bool filter_is_wanted(const struct ecbpf_config *config)
{
	return config->has_filter;
}

/* Setting number @i of a filter: its key; NULL: no more */
static const char *filter_value(const struct ecbpf_filter_config *config, size_t i, char *value,
				size_t size)
{
	static const char *const keys[] = {"frags", "frags6", "ptb-max-pps", "ptb-per-source-pps"};
	static const char *const frags[] = {"pass", "drop", "ptb"};
	const __u32 values[] = {config->frags, config->frags6, config->ptb_max_pps,
				config->ptb_per_source_pps};
	const char *check;
	__u32 bit;

	if (i < ARRAY_SIZE(keys)) {
		if (i < 2)
			snprintf(value, size, "%s", values[i] < 3 ? frags[values[i]] : "?");
		else
			snprintf(value, size, "%u", values[i]);
		return keys[i];
	}
	check = ecbpf_filter_check_name(i - ARRAY_SIZE(keys));
	if (!check)
		return NULL;
	bit = 1U << (i - ARRAY_SIZE(keys));
	snprintf(value, size, "%s",
		 config->drop & bit    ? "drop"
		 : config->count & bit ? "count"
				       : "off");
	return check;
}

static int filter_apply_settings(struct ecbpf *e, const struct ecbpf_filter_config *wanted,
				 bool check, struct conf_report *r)
{
	_cleanup_free_ char(*settings)[64] = calloc(ECBPF_FILTER_CHECKS_MAX + 4, sizeof(*settings));
	const char *list[ECBPF_FILTER_CHECKS_MAX + 4], *key;
	struct ecbpf_filter_config running;
	char old[32], new[32];
	size_t count = 0;
	int err;

	if (!settings)
		return fail_memory(e);
	err = ecbpf_filter_config_get(e, &running);
	for (size_t i = 0; !err && (key = filter_value(wanted, i, new, sizeof(new))); i++) {
		filter_value(&running, i, old, sizeof(old));
		if (!strcmp(old, new))
			continue;
		err = conf_differs(e, r, "filter: %s %s, was %s", key, new, old);
		snprintf(settings[count], sizeof(*settings), "%s=%s", key, new);
		list[count] = settings[count];
		count++;
	}
	return err || check || !count ? err : ecbpf_filter_set(e, list, count);
}

static int vips_get(struct ecbpf *e, struct ecbpf_filter_vip **ret_vips, size_t *ret_count)
{
	int there = is_pinned(e, "filter_addrs");

	if (there > 0)
		return ecbpf_filter_vip_list(e, ret_vips, ret_count);
	*ret_vips = NULL;
	*ret_count = 0;
	return there;
}

static bool has_vip(const struct ecbpf_filter_vip *vips, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(vips[i].text, text))
			return true;
	return false;
}

static int filter_apply_vips(struct ecbpf *e, const struct conf_words *wanted, bool check,
			     struct conf_report *r)
{
	_cleanup_free_ struct ecbpf_filter_vip *running = NULL;
	_cleanup_free_ const char **add = NULL, **delete = NULL;
	size_t count = 0, adds = 0, deletes = 0;
	int err;

	err = vips_get(e, &running, &count);
	if (err)
		return err;
	add = calloc(wanted->count + 1, sizeof(*add));
	delete = calloc(count + 1, sizeof(*delete));
	if (!add || !delete)
		return fail_memory(e);
	for (size_t i = 0; i < wanted->count && !err; i++) {
		if (has_vip(running, count, wanted->items[i].text))
			continue;
		add[adds++] = wanted->items[i].text;
		err = conf_differs(e, r, "filter: add vip %s", wanted->items[i].text);
	}
	for (size_t i = 0; i < count && !err; i++) {
		bool is_kept = false;

		for (size_t k = 0; k < wanted->count; k++)
			is_kept |= !strcmp(running[i].text, wanted->items[k].text);
		if (is_kept)
			continue;
		delete[deletes++] = running[i].text;
		err = conf_differs(e, r, "filter: remove vip %s", running[i].text);
	}
	if (!err && !check && adds)
		err = ecbpf_filter_vip_add(e, add, adds);
	if (!err && !check && deletes)
		err = ecbpf_filter_vip_delete(e, delete, deletes);
	return err;
}

static const char *const list_keys[ECBPF_FILTER_LISTS] = {
	[ECBPF_FILTER_ALLOW] = "allow",
	[ECBPF_FILTER_BLOCK] = "drop",
};

static int prefix_compare(const struct ecbpf_filter_entry *a, const struct ecbpf_filter_entry *b)
{
	int order = (int)a->family - b->family;

	if (!order)
		order = memcmp(a->addr, b->addr, sizeof(a->addr));
	return order ? order : (int)a->len - b->len;
}

static int entry_compare(const void *a, const void *b)
{
	const struct ecbpf_filter_entry *x = a, *y = b;
	int order = prefix_compare(x, y);

	if (!order)
		order = strcmp(x->tag, y->tag);
	return order ? order : x->expires < y->expires ? -1 : x->expires > y->expires;
}

void conf_list_sort(struct conf_list *list)
{
	size_t kept = 0;

	if (list->count)
		qsort(list->entries, list->count, sizeof(*list->entries), entry_compare);
	for (size_t i = 0; i < list->count; i++) {
		if (kept && !prefix_compare(&list->entries[kept - 1], &list->entries[i]))
			kept--;
		list->entries[kept++] = list->entries[i];
	}
	list->count = kept;
}

/* The list that is live, sorted; @ret->entries: for free() */
static int list_get(struct ecbpf *e, __u32 number, struct conf_list *ret)
{
	struct conf_list list = {.is_said = true};
	int err = is_pinned(e, "filter_lists");

	if (err > 0)
		err = ecbpf_filter_list_get(e, number, &list.entries, &list.count);
	if (err)
		return err;
	conf_list_sort(&list);
	*ret = list;
	return 0;
}

/* The clock that expiries are kept in, and the one that they are written in, are two */
static bool expires_alike(__u64 a, __u64 b)
{
	return !a == !b && a - b + 2 <= 4;
}

static int filter_apply_list(struct ecbpf *e, __u32 number, const struct conf_list *wanted,
			     bool check, struct conf_report *r)
{
	size_t added = 0, removed = 0, changed = 0, w = 0, l = 0;
	struct conf_list live = {};
	int err;

	err = list_get(e, number, &live);
	if (err)
		return err;
	while (w < wanted->count || l < live.count) {
		const struct ecbpf_filter_entry *new = &wanted->entries[w], *old = &live.entries[l];
		int order = w == wanted->count ? 1
			    : l == live.count  ? -1
					       : prefix_compare(new, old);

		added += order < 0;
		removed += order > 0;
		if (!order &&
		    (strcmp(new->tag, old->tag) || !expires_alike(new->expires, old->expires)))
			changed++;
		w += order <= 0;
		l += order >= 0;
	}
	free(live.entries);
	if (!added && !removed && !changed)
		return 0;
	err = conf_differs(e, r, "filter: %s: %zu added, %zu removed, %zu changed",
			   list_keys[number], added, removed, changed);
	return err || check
		       ? err
		       : ecbpf_filter_list_replace(e, number, wanted->entries, wanted->count, NULL);
}

static int filter_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
			struct conf_report *r)
{
	int err;

	err = filter_apply_settings(e, &config->filter, check, r);
	if (!err)
		err = filter_apply_vips(e, &config->vips, check, r);
	for (__u32 number = 0; number < ECBPF_FILTER_LISTS && !err; number++)
		if (config->lists[number].is_said)
			err = filter_apply_list(e, number, &config->lists[number], check, r);
	return err;
}

static int filter_get(struct ecbpf *e, struct ecbpf_config *config)
{
	int err = 0;

	config->has_filter = true; /* never set: the defaults */
	for (__u32 number = 0; number < ECBPF_FILTER_LISTS && !err; number++)
		err = list_get(e, number, &config->lists[number]);
	return err;
}

static int vip_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* A file in @dir, for file_end(); NULL: the error is set */
static FILE *file_begin(struct ecbpf *e, const char *dir, char *work, size_t size)
{
	FILE *out = NULL;
	int fd;

	snprintf(work, size, "%s/.ecbpf-XXXXXX", dir);
	fd = mkstemp(work);
	if (fd >= 0)
		out = fdopen(fd, "w");
	if (out)
		return out;
	ecbpf_fail(e, -errno, "%s: %s", work, strerror(errno));
	if (fd >= 0) {
		close(fd);
		unlink(work);
	}
	return NULL;
}

/* It takes the place of @dir/@name in one step. Return: 0 or -errno */
static int file_end(struct ecbpf *e, FILE *out, const char *work, const char *dir, const char *name)
{
	char path[PATH_MAX];
	int err = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (ferror(out) || fflush(out) || fsync(fileno(out)))
		err = -(errno ?: EIO);
	if (fclose(out) && !err)
		err = -errno;
	if (!err && rename(work, path))
		err = -errno;
	if (!err)
		return 0;
	ecbpf_fail(e, err, "%s: %s", path, strerror(-err));
	unlink(work);
	return err;
}

static void entry_print(FILE *out, const struct ecbpf_filter_entry *entry)
{
	char prefix[64], time[32] = "-";
	time_t expires = entry->expires;
	struct tm tm;

	ecbpf_filter_entry_format(entry, prefix, sizeof(prefix));
	if (expires && gmtime_r(&expires, &tm))
		strftime(time, sizeof(time), ECBPF_FILTER_TIME_FORMAT, &tm);
	fprintf(out, "%s %s %s\n", prefix, *entry->tag ? entry->tag : "-", time);
}

static int list_export(struct ecbpf *e, __u32 number, const char *dir, struct conf_text *text)
{
	const char *key = list_keys[number];
	struct conf_list list = {};
	char work[PATH_MAX], name[32];
	FILE *out;
	int err;

	err = list_get(e, number, &list);
	if (err || !list.count)
		goto out;
	if (!dir) {
		conf_add(text, "# %s: %zu prefixes\n", key, list.count);
		goto out;
	}
	out = file_begin(e, dir, work, sizeof(work));
	if (!out) {
		err = -EIO;
		goto out;
	}
	for (size_t i = 0; i < list.count; i++)
		entry_print(out, &list.entries[i]);
	snprintf(name, sizeof(name), "%s.list", key);
	err = file_end(e, out, work, dir, name);
	conf_add(text, "%s = %s/%s\n", key, dir, name);
out:
	free(list.entries);
	return err;
}

static int filter_export(struct ecbpf *e, const char *dir, struct conf_text *text)
{
	_cleanup_free_ struct ecbpf_filter_vip *vips = NULL;
	struct ecbpf_filter_config config;
	size_t count = 0;
	char value[32];
	const char *key;
	int err;

	err = is_pinned(e, "filter_settings");
	if (err <= 0)
		return err;
	err = ecbpf_filter_config_get(e, &config);
	if (!err)
		err = vips_get(e, &vips, &count);
	if (err)
		return err;
	conf_add(text, "\n[filter]\n");
	for (size_t i = 0; (key = filter_value(&config, i, value, sizeof(value))); i++)
		conf_add(text, "%s = %s\n", key, value);
	if (count)
		qsort(vips, count, sizeof(*vips), vip_compare);
	for (size_t i = 0; i < count; i++)
		conf_add(text, "vip = %s\n", vips[i].text);
	for (__u32 number = 0; number < ECBPF_FILTER_LISTS && !err; number++)
		err = list_export(e, number, dir, text);
	return err;
}

/* --- [fw] --------------------------------------------------------------------------------- */

static bool fw_is_wanted(const struct ecbpf_config *config)
{
	return config->ruleset;
}

/* The ruleset that is live; one without rules, if none ever was */
static int ruleset_get(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset)
{
	int err = is_pinned(e, "fw_active");

	if (err < 0)
		return err;
	return err ? ecbpf_fw_get(e, ret_ruleset) : ecbpf_fw_parse(e, "", "", 0, ret_ruleset);
}

static int text_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void texts_free(char **texts)
{
	for (char **t = texts; t && *t; t++)
		free(*t);
	free(texts);
}

/* Rules as text, and NULL; for texts_free() */
static char **texts_of(const struct ecbpf_fw_ruleset *ruleset)
{
	char **texts = calloc(ruleset->rules_count + 1, sizeof(*texts));

	for (size_t i = 0; texts && i < ruleset->rules_count; i++) {
		texts[i] = ecbpf_fw_rule_text(ruleset, i);
		if (!texts[i]) {
			texts_free(texts);
			return NULL;
		}
	}
	return texts;
}

static int rules_differ(struct ecbpf *e, char **new, size_t new_count, char **old, size_t old_count,
			struct conf_report *r)
{
	bool is_same = new_count == old_count;
	size_t before = r->count;
	int err = 0;

	for (size_t i = 0; is_same && i < new_count; i++)
		is_same = !strcmp(new[i], old[i]);
	if (is_same)
		return 0;
	qsort(new, new_count, sizeof(*new), text_compare);
	qsort(old, old_count, sizeof(*old), text_compare);
	for (size_t n = 0, o = 0; (n < new_count || o < old_count) && !err;) {
		int order = n == new_count ? 1 : o == old_count ? -1 : strcmp(new[n], old[o]);

		if (order)
			err = conf_differs(e, r, "fw: %s rule: %s", order < 0 ? "add" : "remove",
					   order < 0 ? new[n] : old[o]);
		n += order <= 0;
		o += order >= 0;
	}
	if (!err && r->count == before)
		err = conf_differs(e, r, "fw: another order of rules");
	return err;
}

/* @new: NULL: there is none any more; @old likewise, not yet */
static int set_differs(struct ecbpf *e, const struct fw_set *new, const struct fw_set *old,
		       struct conf_report *r)
{
	size_t added = 0, removed = 0, n = 0, o = 0;

	if (!new || !old)
		return conf_differs(e, r, "fw: %s set %s", new ? "add" : "remove",
				    (new ?: old)->name);
	while (n < new->prefixes_count || o < old->prefixes_count) {
		int order = n == new->prefixes_count ? 1
			    : o == old->prefixes_count
				    ? -1
				    : memcmp(&new->prefixes[n], &old->prefixes[o],
					     sizeof(*new->prefixes));

		added += order < 0;
		removed += order > 0;
		n += order <= 0;
		o += order >= 0;
	}
	if (new->family != old->family)
		return conf_differs(e, r, "fw: set %s: IPv%u, was IPv%u", new->name, new->family,
				    old->family);
	if (!added && !removed)
		return 0;
	return conf_differs(e, r, "fw: set %s: %zu added, %zu removed", new->name, added, removed);
}

static int sets_differ(struct ecbpf *e, const struct ecbpf_fw_ruleset *new,
		       const struct ecbpf_fw_ruleset *old, struct conf_report *r)
{
	int err = 0;

	for (size_t i = 0; i < new->sets_count && !err; i++) {
		const struct fw_set *set = &new->sets[i];

		err = set_differs(e, set, fw_set_find(old, set->name, strlen(set->name)), r);
	}
	for (size_t i = 0; i < old->sets_count && !err; i++) {
		const struct fw_set *set = &old->sets[i];

		if (!fw_set_find(new, set->name, strlen(set->name)))
			err = set_differs(e, NULL, set, r);
	}
	return err;
}

static int rulesets_differ(struct ecbpf *e, const struct ecbpf_fw_ruleset *new,
			   const struct ecbpf_fw_ruleset *old, struct conf_report *r)
{
	char **new_texts = texts_of(new), **old_texts = texts_of(old);
	int err;

	if (!new_texts || !old_texts)
		err = fail_memory(e);
	else
		err = rules_differ(e, new_texts, new->rules_count, old_texts, old->rules_count, r);
	texts_free(new_texts);
	texts_free(old_texts);
	return err ? err : sets_differ(e, new, old, r);
}

/* As ecbpf_fw_apply(), which wants the maps to be there */
static int ruleset_apply(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset)
{
	struct bpf_object *maps = NULL;
	int err, lock;

	err = ecbpf_bpffs_open(e, true);
	if (err)
		return err;
	lock = ecbpf_lock(e);
	if (lock < 0)
		return lock;
	err = ecbpf_stage_maps(e, "fw", &maps);
	if (!err)
		bpf_object__close(maps);
	close(lock);
	return err ? err : ecbpf_fw_apply(e, ruleset);
}

static int fw_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
		    struct conf_report *r)
{
	struct ecbpf_fw_ruleset *live;
	size_t before = r->count, bytes;
	int err;

	err = ruleset_get(e, &live);
	if (err)
		return err;
	err = rulesets_differ(e, config->ruleset, live, r);
	ecbpf_fw_ruleset_free(live);
	if (err || r->count == before)
		return err;
	return check ? ecbpf_fw_bytes(e, config->ruleset, &bytes)
		     : ruleset_apply(e, config->ruleset);
}

static int fw_get(struct ecbpf *e, struct ecbpf_config *config)
{
	return ruleset_get(e, &config->ruleset);
}

static int ruleset_write(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, const char *dir,
			 const char *name)
{
	char *text, work[PATH_MAX];
	FILE *out;
	int err;

	err = ecbpf_fw_print(e, ruleset, &text);
	if (err)
		return err;
	out = file_begin(e, dir, work, sizeof(work));
	err = -EIO;
	if (out) {
		fputs(text, out);
		err = file_end(e, out, work, dir, name);
	}
	free(text);
	return err;
}

static int fw_export(struct ecbpf *e, const char *dir, struct conf_text *text)
{
	static const char name[] = "fw.rules";
	struct ecbpf_fw_summary sum;
	struct ecbpf_fw_ruleset *live;
	int err;

	err = ruleset_get(e, &live);
	if (err)
		return err;
	ecbpf_fw_summary(live, &sum);
	if (sum.rules || sum.sets) {
		if (dir) {
			conf_add(text, "\n[fw]\nrules = %s/%s\n", dir, name);
			err = ruleset_write(e, live, dir, name);
		} else {
			conf_add(text, "\n# [fw]: %zu rules, %zu sets\n", sum.rules, sum.sets);
		}
	}
	ecbpf_fw_ruleset_free(live);
	return err;
}

/* --- [sampler] ---------------------------------------------------------------------------- */

static bool sampler_is_wanted(const struct ecbpf_config *config)
{
	return config->has_sampler;
}

/* Straight from the map: asking must make nothing. -ENOENT if it was never loaded */
static int sampler_get(struct ecbpf *e, struct ecbpf_sampling *ret)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	__u32 key = 0;
	int err;

	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = ecbpf_pin_path(e, path, sizeof(path), "sampling");
	if (!err)
		err = ecbpf_pinned_map_check(e, path, NULL);
	if (err)
		return err;
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_map_lookup_elem(fd, &key, ret))
		return ecbpf_fail(e, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

static const char *const sampler_keys[] = {"rate", "rate-drops", "snaplen", "max-pps"};

static void sampler_values(const struct ecbpf_sampling *s, __u32 *values)
{
	values[0] = s->rate[ECBPF_SAMPLE_PASSED];
	values[1] = s->rate[ECBPF_SAMPLE_TERMINAL];
	values[2] = s->snap_len;
	values[3] = s->max_pps;
}

static int sampler_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
			 struct conf_report *r)
{
	__u32 old[ARRAY_SIZE(sampler_keys)], new[ARRAY_SIZE(sampler_keys)];
	struct ecbpf_sampling running = {};
	size_t before = r->count;
	int err;

	err = sampler_get(e, &running);
	if (err == -ENOENT)
		err = 0;
	if (err)
		return err;
	sampler_values(&running, old);
	sampler_values(&config->sampling, new);
	for (size_t i = 0; i < ARRAY_SIZE(sampler_keys) && !err; i++)
		if (old[i] != new[i])
			err = conf_differs(e, r, "sampler: %s %u, was %u", sampler_keys[i], new[i],
					   old[i]);
	return err || check || r->count == before ? err : ecbpf_sampler_set(e, &config->sampling);
}

static int sampler_export(struct ecbpf *e, const char *dir, struct conf_text *text)
{
	__u32 values[ARRAY_SIZE(sampler_keys)];
	struct ecbpf_sampling running = {};
	int err;

	(void)dir;
	err = sampler_get(e, &running);
	if (err)
		return err == -ENOENT ? 0 : err;
	sampler_values(&running, values);
	conf_add(text, "\n[sampler]\n");
	for (size_t i = 0; i < ARRAY_SIZE(sampler_keys); i++)
		conf_add(text, "%s = %u\n", sampler_keys[i], values[i]);
	return 0;
}

static int sampler_take(struct ecbpf *e, struct ecbpf_config *config)
{
	(void)e;
	if (!config->has_sampler)
		config->sampling = (struct ecbpf_sampling){};
	config->has_sampler = true;
	return 0;
}

static const struct conf_settings filter = {filter_is_wanted, filter_apply, filter_export,
					    filter_get};
static const struct conf_settings fw = {fw_is_wanted, fw_apply, fw_export, fw_get};
static const struct conf_settings sampler = {sampler_is_wanted, sampler_apply, sampler_export,
					     sampler_take};

const struct conf_settings *const conf_settings[] = {&filter, &fw, &conf_fastpath_settings,
						     &sampler};
const size_t conf_settings_count = ARRAY_SIZE(conf_settings);
