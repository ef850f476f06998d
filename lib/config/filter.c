// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* [filter]: the filter's settings, VIPs and lists */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/parse.h"
#include "core/error.h"
#include "core/file.h"
#include "core/handle.h"
#include "core/list.h"
#include "core/prefix.h"
#include "core/util.h"
#include "filter/filter.h"

/* --- reading ------------------------------------------------------------------------------ */

static int open_filter(struct conf_parser *p, const char *name)
{
	(void)name;
	p->config->has_filter = true;
	return 0;
}

static int set_list(struct conf_parser *p, const char *key, const char *value,
		    struct conf_list *list)
{
	size_t before = *value ? list->files.count : 0;
	int err;

	list->is_said = true;
	err = conf_set_words(p, value, " \t", &list->files);
	for (size_t i = before; i < list->files.count && !err; i++)
		if (*list->files.items[i].text != '/')
			err = conf_fail(p->e, &p->at, "%s: '%s' does not begin with /", key,
					list->files.items[i].text);
	return err;
}

static int set_filter(struct conf_parser *p, const char *key, const char *value)
{
	if (!strcmp(key, "vip"))
		return conf_set_prefixes(p, key, value, &p->config->vips);
	if (!strcmp(key, "drop"))
		return set_list(p, key, value, &p->config->lists[ECBPF_FILTER_BLOCK]);
	if (!strcmp(key, "allow"))
		return set_list(p, key, value, &p->config->lists[ECBPF_FILTER_ALLOW]);
	return conf_set_value(p, ecbpf_filter_settings(), key, value, &p->config->filter,
			      &p->config->filter_given);
}

static int entry_compare(const void *a, const void *b)
{
	const struct ecbpf_filter_entry *x = a, *y = b;
	int order = ecbpf_prefix_compare(&x->prefix, &y->prefix);

	if (!order)
		order = strcmp(x->tag, y->tag);
	return order ? order : x->expires < y->expires ? -1 : x->expires > y->expires;
}

/* Prefixes in order, each once */
static void list_sort(struct conf_list *list)
{
	size_t kept = 0;

	if (list->count)
		qsort(list->entries, list->count, sizeof(*list->entries), entry_compare);
	for (size_t i = 0; i < list->count; i++) {
		if (kept && !ecbpf_prefix_compare(&list->entries[kept - 1].prefix,
						  &list->entries[i].prefix))
			kept--;
		list->entries[kept++] = list->entries[i];
	}
	list->count = kept;
}

static int file_read(struct ecbpf *e, const char *file, struct ecbpf_filter_entry **ret_entries,
		     size_t *ret_count)
{
	_cleanup_close_ int fd = ecbpf_file_open(e, file);
	struct ecbpf_list read = {};
	int err;

	if (fd < 0)
		return fd;
	err = ecbpf_list_read_fd(e, file, fd, 0, ECBPF_LIST_EXPIRES | ECBPF_LIST_ABSOLUTE, &read);
	if (err)
		return err;
	*ret_count = read.count;
	*ret_entries = ecbpf_filter_entries(e, &read);
	ecbpf_list_free(&read);
	return *ret_entries ? 0 : -ENOMEM;
}

/* All files of a list */
static int list_read(struct ecbpf *e, struct conf_list *list)
{
	for (size_t i = 0; i < list->files.count; i++) {
		_cleanup_free_ struct ecbpf_filter_entry *more = NULL;
		struct ecbpf_filter_entry *entries;
		size_t count = 0;
		int err;

		err = file_read(e, list->files.items[i].text, &more, &count);
		if (err)
			return err == -EINVAL ? err : conf_fail_at(e, err, &list->files.items[i]);
		entries = reallocarray(list->entries, list->count + count + 1, sizeof(*entries));
		if (!entries)
			return ecbpf_fail_memory(e);
		list->entries = entries;
		if (count)
			memcpy(entries + list->count, more, count * sizeof(*more));
		list->count += count;
	}
	list_sort(list);
	return 0;
}

static int lists_read(struct ecbpf *e, struct ecbpf_config *config)
{
	int err = 0;

	for (size_t i = 0; i < ECBPF_FILTER_LISTS && !err; i++)
		err = list_read(e, &config->lists[i]);
	return err;
}

/* --- the running state -------------------------------------------------------------------- */

static bool filter_is_wanted(const struct ecbpf_config *config)
{
	return config->has_filter;
}

static int filter_apply_settings(struct ecbpf *e, const struct ecbpf_filter_config *wanted,
				 bool check, struct conf_report *r)
{
	struct ecbpf_filter_config running;
	size_t before = r->count;
	int err;

	err = ecbpf_filter_config_get(e, &running);
	if (!err)
		err = conf_values_report(e, ecbpf_filter_settings(), wanted, &running, r);
	return err || check || r->count == before ? err : ecbpf_filter_config_set(e, wanted);
}

int conf_vips_get(struct ecbpf *e, struct ecbpf_prefix **ret_vips, size_t *ret_count)
{
	int there = conf_has_map(e, "filter_addrs");

	if (there > 0)
		return ecbpf_filter_vip_list(e, ret_vips, ret_count);
	*ret_vips = NULL;
	*ret_count = 0;
	return there;
}

static bool has_vip(const struct ecbpf_prefix *vips, size_t count, const struct ecbpf_prefix *vip)
{
	for (size_t i = 0; i < count; i++)
		if (!ecbpf_prefix_compare(&vips[i], vip))
			return true;
	return false;
}

static int filter_apply_vips(struct ecbpf *e, const struct conf_words *wanted, bool check,
			     struct conf_report *r)
{
	_cleanup_free_ struct ecbpf_prefix *running = NULL, *add = NULL, *delete = NULL;
	size_t count = 0, adds = 0, deletes = 0;
	int err;

	err = conf_vips_get(e, &running, &count);
	if (err)
		return err;
	add = calloc(wanted->count + 1, sizeof(*add));
	delete = calloc(count + 1, sizeof(*delete));
	if (!add || !delete)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < wanted->count && !err; i++) {
		bool has_host_bits;

		err = ecbpf_prefix_parse(e, wanted->items[i].text, &add[adds], &has_host_bits);
		if (!err && !has_vip(running, count, &add[adds])) {
			adds++;
			err = conf_report_change(e, r, "filter: add vip %s", wanted->items[i].text);
		}
	}
	for (size_t i = 0; i < count && !err; i++) {
		char text[ECBPF_PREFIX_TEXT];

		ecbpf_prefix_format(&running[i], text);
		if (conf_words_have(wanted, text, strlen(text)))
			continue;
		delete[deletes++] = running[i];
		err = conf_report_change(e, r, "filter: remove vip %s", text);
		if (!err)
			conf_report_removal(r);
	}
	if (!err && !check && adds)
		err = ecbpf_filter_vip_add(e, add, adds);
	if (!err && !check && deletes)
		err = ecbpf_filter_vip_delete(e, delete, deletes);
	return err;
}

int conf_list_get(struct ecbpf *e, __u32 number, struct conf_list *ret)
{
	struct conf_list list = {.is_said = true};
	static const char *const maps[] = {"filter_lists", "filter_tries", "filter_sources"};
	int err = 1;

	for (size_t i = 0; i < ARRAY_SIZE(maps) && err > 0; i++)
		err = conf_has_map(e, maps[i]);
	if (err > 0)
		err = ecbpf_filter_list_get(e, number, &list.entries, &list.count);
	if (err)
		return err;
	list_sort(&list);
	*ret = list;
	return 0;
}

int conf_list_live(struct ecbpf *e, __u32 number, struct conf_list *ret, bool *ret_is_lost)
{
	int err = conf_list_get(e, number, ret);

	*ret_is_lost = err == -ENODATA;
	return *ret_is_lost ? 0 : err;
}

/* The clock that expiries are kept in, and the one that they are written in, are two */
static bool expires_alike(__u64 a, __u64 b)
{
	return !a == !b && a - b + 2 <= 4;
}

/*
 * A list as it is to be. @declared: what the files say of it, which is what may be wrong; or that
 * there are no files: only a file may be empty by mistake
 */
struct list_change {
	__u32 number;
	const struct conf_list *wanted;
	const struct conf_list *declared;
	const struct conf_list *allow; /* goes before this one */
};

static int list_check(struct ecbpf *e, const struct list_change *c, const struct conf_list *live)
{
	const struct conf_list *declared = c->declared;
	size_t added = c->wanted->count - declared->count, before = live->count;
	unsigned int policy = e->list_policy;
	int err;

	if (!declared->files.count)
		e->list_policy |= ECBPF_LIST_ALLOW_EMPTY;
	err = ecbpf_filter_list_check(e, c->number, before > added ? before - added : 0,
				      declared->entries, declared->count, c->allow->entries,
				      c->allow->count);
	e->list_policy = policy;
	return err;
}

/* It was checked before */
static int list_replace(struct ecbpf *e, const struct list_change *c)
{
	unsigned int policy = e->list_policy;
	int err;

	e->list_policy |= ECBPF_LIST_ALLOW_EMPTY | ECBPF_LIST_FORCE;
	err = ecbpf_filter_list_replace(e, c->number, c->wanted->entries, c->wanted->count, NULL);
	e->list_policy = policy;
	return err;
}

static int filter_apply_list(struct ecbpf *e, const struct list_change *c, bool check,
			     struct conf_report *r)
{
	size_t added = 0, removed = 0, changed = 0, w = 0, l = 0;
	const struct conf_list *wanted = c->wanted;
	struct conf_list live = {};
	bool is_lost;
	int err;

	err = conf_list_live(e, c->number, &live, &is_lost);
	if (err)
		return err;
	while (w < wanted->count || l < live.count) {
		const struct ecbpf_filter_entry *new = &wanted->entries[w], *old = &live.entries[l];
		int order = w == wanted->count ? 1
			    : l == live.count  ? -1
					       : ecbpf_prefix_compare(&new->prefix, &old->prefix);

		added += order < 0;
		removed += order > 0;
		if (!order &&
		    (strcmp(new->tag, old->tag) || !expires_alike(new->expires, old->expires)))
			changed++;
		w += order <= 0;
		l += order >= 0;
	}
	free(live.entries);
	if (!added && !removed && !changed && !is_lost)
		return 0;
	err = conf_report_change(e, r, "filter: %s: %s%zu added, %zu removed, %zu changed",
				 filter_list_names[c->number],
				 is_lost ? "was removed from ecbpf's maps: " : "", added, removed,
				 changed);
	if (err)
		return err;
	if (!added && !changed && !is_lost)
		conf_report_removal(r);
	return check ? list_check(e, c, &live) : list_replace(e, c);
}

/* Neither the configuration nor a change at runtime has it: nobody knows what was in it */
static int list_warn_lost(struct ecbpf *e, __u32 number)
{
	struct conf_list live = {};
	bool is_lost;
	int err = conf_list_live(e, number, &live, &is_lost);

	free(live.entries);
	if (!err && is_lost)
		ecbpf_log(e, ECBPF_LOG_WARN, "%s", e->error);
	return err;
}

static int filter_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
			struct conf_report *r)
{
	const struct conf_list *allow = &config->lists[ECBPF_FILTER_ALLOW];
	struct conf_list live = {};
	bool is_lost;
	int err;

	err = filter_apply_settings(e, &config->filter, check, r);
	if (!err)
		err = filter_apply_vips(e, &config->vips, check, r);
	if (!err && !allow->is_said) {
		err = conf_list_live(e, ECBPF_FILTER_ALLOW, &live, &is_lost);
		allow = &live;
	}
	for (__u32 number = 0; number < ECBPF_FILTER_LISTS && !err; number++) {
		const struct ecbpf_config *declared = config->declared ?: config;
		const struct list_change change = {
			.number = number,
			.wanted = &config->lists[number],
			.declared = &declared->lists[number],
			.allow = allow,
		};

		if (config->lists[number].is_said)
			err = filter_apply_list(e, &change, check, r);
		else if (check)
			err = list_warn_lost(e, number);
	}
	free(live.entries);
	return err;
}

static int filter_get(struct ecbpf *e, struct ecbpf_config *config)
{
	int err = 0;

	config->has_filter = true; /* never set: the defaults */
	for (__u32 number = 0; number < ECBPF_FILTER_LISTS && !err; number++) {
		bool is_lost;

		err = conf_list_live(e, number, &config->lists[number], &is_lost);
	}
	return err;
}

/* --- export ------------------------------------------------------------------------------- */

int conf_list_text(struct ecbpf *e, const struct conf_list *list, char **ret_text)
{
	char *text = NULL, line[FILTER_ENTRY_TEXT];
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < list->count; i++) {
		filter_entry_format(&list->entries[i], line);
		fprintf(out, "%s\n", line);
	}
	if (fclose(out)) {
		free(text);
		return ecbpf_fail_memory(e);
	}
	*ret_text = text;
	return 0;
}

static int list_export(struct ecbpf *e, __u32 number, struct conf_files *files,
		       struct conf_text *text)
{
	const char *key = filter_list_names[number];
	struct conf_list list = {};
	char name[32], *lines;
	bool is_lost;
	int err;

	err = text->for_undo ? conf_list_live(e, number, &list, &is_lost)
			     : conf_list_get(e, number, &list);
	if (err || !list.count)
		goto out;
	if (!files) {
		conf_printf(text, "# %s: %zu prefixes\n", key, list.count);
		goto out;
	}
	err = conf_list_text(e, &list, &lines);
	if (err)
		goto out;
	snprintf(name, sizeof(name), "%s.list", key);
	conf_files_add(files, name, lines);
	conf_printf(text, "%s = %s/%s\n", key, files->dir, name);
out:
	free(list.entries);
	return err;
}

static int filter_export(struct ecbpf *e, struct conf_files *files, struct conf_text *text)
{
	_cleanup_free_ struct ecbpf_prefix *vips = NULL;
	struct ecbpf_filter_config config;
	size_t count = 0;
	int err;

	err = conf_has_map(e, "filter_settings");
	if (err <= 0)
		return err;
	err = ecbpf_filter_config_get(e, &config);
	if (!err)
		err = conf_vips_get(e, &vips, &count);
	if (err)
		return err;
	conf_printf(text, "\n[filter]\n");
	conf_values_print(ecbpf_filter_settings(), &config, text);
	for (size_t i = 0; i < count; i++) {
		char vip[ECBPF_PREFIX_TEXT];

		ecbpf_prefix_format(&vips[i], vip);
		conf_printf(text, "vip = %s\n", vip);
	}
	for (__u32 number = 0; number < ECBPF_FILTER_LISTS && !err; number++)
		err = list_export(e, number, files, text);
	return err;
}

static const char *const keys[] = {"vip", "drop", "allow", NULL};

const struct conf_section conf_section_filter = {
	.name = "filter",
	.stage = "filter",
	.settings = ecbpf_filter_settings,
	.keys = keys,
	.open = open_filter,
	.set = set_filter,
	.check = lists_read,
	.is_wanted = filter_is_wanted,
	.apply = filter_apply,
	.export = filter_export,
	.get = filter_get,
};
