// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The differences of two rulesets, a line for each.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/error.h"
#include "core/handle.h"
#include "core/prefix.h"
#include "fw/live.h"

#define LINE_MAX_BYTES 512

__attribute__((format(printf, 5, 6))) static int
tell(struct ecbpf *e, ecbpf_fw_line_fn fn, void *data, bool is_removal, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	return fn(e, data, line, is_removal);
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
			ecbpf_fw_line_fn fn, void *data)
{
	bool is_same = new_count == old_count;
	size_t told = 0;
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
			err = tell(e, fn, data, order > 0, "%s rule: %s",
				   order < 0 ? "add" : "remove", order < 0 ? new[n] : old[o]);
		told += !!order;
		n += order <= 0;
		o += order >= 0;
	}
	if (!err && !told)
		err = tell(e, fn, data, false, "another order of rules");
	return err;
}

/* @new: NULL: there is none any more; @old likewise, not yet */
static int set_differs(struct ecbpf *e, const struct fw_set *new, const struct fw_set *old,
		       ecbpf_fw_line_fn fn, void *data)
{
	size_t added = 0, removed = 0, n = 0, o = 0;

	if (!new && old->prefixes_count)
		return tell(e, fn, data, true, "remove set %s, which has %zu prefix%s", old->name,
			    old->prefixes_count, old->prefixes_count == 1 ? "" : "es");
	if (!new || !old)
		return tell(e, fn, data, !new, "%s set %s", new ? "add" : "remove",
			    (new ?: old)->name);
	while (n < new->prefixes_count || o < old->prefixes_count) {
		int order = n == new->prefixes_count ? 1
			    : o == old->prefixes_count
				    ? -1
				    : ecbpf_prefix_compare(&new->prefixes[n], &old->prefixes[o]);

		added += order < 0;
		removed += order > 0;
		n += order <= 0;
		o += order >= 0;
	}
	if (new->family != old->family)
		return tell(e, fn, data, false, "set %s: of %s, was of %s", new->name,
			    fw_set_family(new), fw_set_family(old));
	if (new->is_live != old->is_live)
		return tell(e, fn, data, false, "set %s: %s, was %s", new->name,
			    new->is_live ? "live" : "of the file",
			    old->is_live ? "live" : "of a file");
	if (new->is_live)
		return 0;
	if (!added && !removed)
		return 0;
	return tell(e, fn, data, !added, "set %s: %zu added, %zu removed", new->name, added,
		    removed);
}

static int sets_differ(struct ecbpf *e, const struct ecbpf_fw_ruleset *new,
		       const struct ecbpf_fw_ruleset *old, ecbpf_fw_line_fn fn, void *data)
{
	int err = 0;

	for (size_t i = 0; i < new->sets_count && !err; i++) {
		const struct fw_set *set = &new->sets[i];

		err = set_differs(e, set, fw_set_find(old, set->name, strlen(set->name)), fn, data);
	}
	for (size_t i = 0; i < old->sets_count && !err; i++) {
		const struct fw_set *set = &old->sets[i];

		if (!fw_set_find(new, set->name, strlen(set->name)))
			err = set_differs(e, NULL, set, fn, data);
	}
	return err;
}

int fw_diff(struct ecbpf *e, const struct ecbpf_fw_ruleset *new, const struct ecbpf_fw_ruleset *old,
	    ecbpf_fw_line_fn fn, void *data)
{
	char **new_texts = texts_of(new), **old_texts = texts_of(old);
	int err;

	if (!new_texts || !old_texts)
		err = ecbpf_fail_memory(e);
	else
		err = rules_differ(e, new_texts, new->rules_count, old_texts, old->rules_count, fn,
				   data);
	texts_free(new_texts);
	texts_free(old_texts);
	return err ? err : sets_differ(e, new, old, fn, data);
}

int ecbpf_fw_diff(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, ecbpf_fw_line_fn fn,
		  void *data)
{
	struct ecbpf_fw_ruleset *live;
	bool is_live = false;
	size_t bytes;
	int err;

	err = fw_live_is_there(e, &is_live);
	if (!err)
		err = ecbpf_fw_get(e, &live);
	if (err)
		return err;
	if (!is_live) /* even a ruleset without rules puts the settings into effect */
		err = fn(e, data, "rules become live", false);
	if (!err)
		err = fw_diff(e, ruleset, live, fn, data);
	if (!err)
		err = fw_rules_check_empty(e, ruleset, live);
	if (!err)
		err = fw_sets_check(e, ruleset, live);
	if (!err)
		err = ecbpf_fw_bytes(e, ruleset, &bytes);
	ecbpf_fw_ruleset_free(live);
	return err;
}
