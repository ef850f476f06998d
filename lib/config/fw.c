// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* [fw]: the firewall's rules */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <bpf/libbpf.h>
#include <ecbpf/fw.h>
#include "bpf/lock.h"
#include "bpf/program.h"
#include "config/parse.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/prefix.h"
#include "core/util.h"
#include "fw/rules.h"

static int open_fw(struct conf_parser *p, const char *name)
{
	(void)name;
	p->config->has_fw = true;
	return 0;
}

static int set_fw(struct conf_parser *p, const char *key, const char *value)
{
	struct conf_word *rules = &p->config->rules;

	if (strcmp(key, "rules"))
		return conf_set_value(p, ecbpf_fw_settings(), key, value, &p->config->fw,
				      &p->config->fw_given);
	if (*value && *value != '/')
		return conf_fail(p->e, &p->at, "%s: '%s' does not begin with /", key, value);
	rules->line = p->at.line;
	rules->file = p->at.file;
	return conf_set_text(p, value, &rules->text);
}

static int rules_read(struct ecbpf *e, struct ecbpf_config *config)
{
	const char *rules = config->rules.text;
	int err;

	if (!rules)
		return 0;
	if (!*rules)
		return ecbpf_fw_parse(e, "", "", 0, &config->ruleset);
	err = ecbpf_fw_read(e, rules, &config->ruleset);
	if (!err && !config->ruleset->rules_count && !config->ruleset->sets_count &&
	    !(e->list_policy & ECBPF_LIST_ALLOW_EMPTY))
		err = ecbpf_fail(e, -EPERM,
				 "rules: %s is empty: without a file there are no rules, 'rules ='",
				 rules);
	return !err || err == -EINVAL ? err : conf_fail_at(e, err, &config->rules);
}

static bool fw_is_wanted(const struct ecbpf_config *config)
{
	return config->ruleset || config->has_fw;
}

/* The ruleset that is live; one without rules, if none ever was */
int conf_ruleset_get(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset)
{
	int err = conf_is_pinned(e, "fw_active");

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
			err = conf_report_change(e, r, "fw: %s rule: %s",
						 order < 0 ? "add" : "remove",
						 order < 0 ? new[n] : old[o]);
		n += order <= 0;
		o += order >= 0;
	}
	if (!err && r->count == before)
		err = conf_report_change(e, r, "fw: another order of rules");
	return err;
}

/* @new: NULL: there is none any more; @old likewise, not yet */
static int set_differs(struct ecbpf *e, const struct fw_set *new, const struct fw_set *old,
		       struct conf_report *r)
{
	size_t added = 0, removed = 0, n = 0, o = 0;

	if (!new && old->prefixes_count)
		return conf_report_change(e, r, "fw: remove set %s, which has %zu prefix%s",
					  old->name, old->prefixes_count,
					  old->prefixes_count == 1 ? "" : "es");
	if (!new || !old)
		return conf_report_change(e, r, "fw: %s set %s", new ? "add" : "remove",
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
		return conf_report_change(e, r, "fw: set %s: of %s, was of %s", new->name,
					  fw_set_family(new), fw_set_family(old));
	if (new->is_live != old->is_live)
		return conf_report_change(e, r, "fw: set %s: %s, was %s", new->name,
					  new->is_live ? "live" : "of the file",
					  old->is_live ? "live" : "of a file");
	if (new->is_live)
		return 0;
	if (!added && !removed)
		return 0;
	return conf_report_change(e, r, "fw: set %s: %zu added, %zu removed", new->name, added,
				  removed);
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
		err = ecbpf_fail_memory(e);
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

	lock = ecbpf_lock_make(e);
	if (lock < 0)
		return lock;
	err = ecbpf_stage_maps(e, "fw", &maps);
	if (!err)
		bpf_object__close(maps);
	close(lock);
	return err ? err : fw_apply_told(e, ruleset);
}

/* Before rules: a ruleset that becomes live finds them */
static int fw_apply_settings(struct ecbpf *e, const struct ecbpf_fw_config *wanted, bool check,
			     struct conf_report *r)
{
	const struct ecbpf_settings *settings = ecbpf_fw_settings();
	struct ecbpf_fw_config running;
	int err;

	err = ecbpf_fw_config_get(e, &running);
	if (!err)
		err = conf_values_report(e, settings, wanted, &running, r);
	for (size_t i = 0; i < settings->count && !err && !check; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];
		char value[ECBPF_SETTING_TEXT], text[128];
		const char *texts[] = {text};

		if (ecbpf_setting_value(s, wanted) == ecbpf_setting_value(s, &running))
			continue;
		ecbpf_setting_format(s, ecbpf_setting_value(s, wanted), value, sizeof(value));
		snprintf(text, sizeof(text), "%s=%s", s->name, value);
		err = ecbpf_fw_set(e, texts, 1);
	}
	return err;
}

static int fw_apply_rules(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, bool check,
			  struct conf_report *r)
{
	struct ecbpf_fw_ruleset *live;
	size_t before = r->count, bytes;
	int err;

	err = conf_ruleset_get(e, &live);
	if (err)
		return err;
	err = rulesets_differ(e, ruleset, live, r);
	if (!err && check && r->count > before)
		err = fw_rules_check_empty(e, ruleset, live);
	if (!err && check && r->count > before)
		err = fw_sets_check(e, ruleset, live);
	ecbpf_fw_ruleset_free(live);
	if (err || r->count == before)
		return err;
	return check ? ecbpf_fw_bytes(e, ruleset, &bytes) : ruleset_apply(e, ruleset);
}

static int fw_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
		    struct conf_report *r)
{
	unsigned int policy;
	int err;

	if (config->has_fw) {
		err = fw_apply_settings(e, &config->fw, check, r);
		if (err || !config->ruleset)
			return err;
	}
	policy = e->list_policy;
	if (config->rules.text && !*config->rules.text)
		e->list_policy |= ECBPF_LIST_ALLOW_EMPTY;
	err = fw_apply_rules(e, config->ruleset, check, r);
	e->list_policy = policy;
	return err;
}

static int fw_get(struct ecbpf *e, struct ecbpf_config *config)
{
	int err = ecbpf_fw_config_get(e, &config->fw);

	config->has_fw = true;
	return err ? err : conf_ruleset_get(e, &config->ruleset);
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
	out = conf_file_begin(e, dir, work, sizeof(work));
	err = -EIO;
	if (out) {
		fputs(text, out);
		err = conf_file_end(e, out, work, dir, name);
	}
	free(text);
	return err;
}

static int fw_export(struct ecbpf *e, const char *dir, struct conf_text *text)
{
	const struct ecbpf_settings *settings = ecbpf_fw_settings();
	static const char name[] = "fw.rules";
	struct ecbpf_fw_summary sum;
	struct ecbpf_fw_ruleset *live;
	struct ecbpf_fw_config running;
	bool has_head = false;
	int err;

	err = ecbpf_fw_config_get(e, &running);
	if (!err)
		err = conf_ruleset_get(e, &live);
	if (err)
		return err;
	ecbpf_fw_summary(live, &sum);
	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];
		__u32 number = ecbpf_setting_value(s, &running);
		char value[ECBPF_SETTING_TEXT];

		if (number == s->value)
			continue;
		conf_printf(text, "%s%s = %s\n", has_head ? "" : "\n[fw]\n", s->name,
			    ecbpf_setting_format(s, number, value, sizeof(value)));
		has_head = true;
	}
	if (sum.rules || sum.sets) {
		if (dir) {
			conf_printf(text, "%srules = %s/%s\n", has_head ? "" : "\n[fw]\n", dir,
				    name);
			err = ruleset_write(e, live, dir, name);
		} else {
			conf_printf(text, "\n# [fw]: %zu rules, %zu sets\n", sum.rules, sum.sets);
		}
	}
	ecbpf_fw_ruleset_free(live);
	return err;
}

static const char *const keys[] = {"rules", NULL};

const struct conf_section conf_section_fw = {
	.name = "fw",
	.settings = ecbpf_fw_settings,
	.keys = keys,
	.open = open_fw,
	.set = set_fw,
	.check = rules_read,
	.is_wanted = fw_is_wanted,
	.apply = fw_apply,
	.export = fw_export,
	.get = fw_get,
};
