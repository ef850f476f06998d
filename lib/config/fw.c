// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* [fw]: the firewall's rules */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <bpf/libbpf.h>
#include <ecbpf/fw.h>
#include "bpf/lock.h"
#include "chain/lost.h"
#include "config/parse.h"
#include "core/error.h"
#include "core/file.h"
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
	_cleanup_close_ int fd = -1;
	int err;

	if (!rules)
		return 0;
	if (!*rules)
		return ecbpf_fw_parse(e, "", "", 0, &config->ruleset);
	fd = ecbpf_file_open(e, rules);
	err = fd < 0 ? fd : fw_read_fd(e, rules, fd, &config->ruleset);
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

static int ruleset_get(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset, bool *ret_is_lost)
{
	int err = conf_has_map(e, "fw_active");

	if (ret_is_lost)
		*ret_is_lost = false;

	/* those that are there without others are made anew */
	for (size_t i = 0; ecbpf_fw_maps[i] && err > 0 && e->renews_maps; i++)
		err = conf_is_pinned(e, ecbpf_fw_maps[i]);
	if (err < 0)
		return err;
	if (!err)
		return ecbpf_fw_parse(e, "", "", 0, ret_ruleset);
	return ret_is_lost ? fw_get_lost(e, ret_ruleset, ret_is_lost)
			   : ecbpf_fw_get(e, ret_ruleset);
}

/* The ruleset that is live; one without rules, if none ever was */
int conf_ruleset_get(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset)
{
	return ruleset_get(e, ret_ruleset, NULL);
}

int conf_ruleset_live(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset)
{
	bool is_lost;

	return ruleset_get(e, ret_ruleset, &is_lost);
}

/* One line of fw_diff() */
static int report_line(struct ecbpf *e, void *data, const char *line, bool is_removal)
{
	int err = conf_report_change(e, data, "fw: %s", line);

	if (!err && is_removal)
		conf_report_removal(data);
	return err;
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

/* @is_start: who starts goes on without the rules, if these must not be changed now */
static int fw_apply_rules(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, bool check,
			  bool is_start, struct conf_report *r)
{
	struct ecbpf_fw_ruleset *live;
	size_t before = r->count, bytes;
	bool is_lost;
	int err;

	err = ruleset_get(e, &live, &is_lost);
	if (err)
		return err;
	if (is_lost)
		err = conf_report_change(e, r,
					 "fw: tables of the rules were removed from ecbpf's maps: "
					 "made again");
	if (!err)
		err = fw_diff(e, ruleset, live, report_line, r);
	if (!err && check && r->count > before)
		err = fw_rules_check_empty(e, ruleset, live);
	if (!err && check && r->count > before)
		err = fw_sets_check(e, ruleset, live);
	ecbpf_fw_ruleset_free(live);
	if (!err) /* the same rules, too: they may be live for a while only */
		err = fw_confirm_check(e);
	if (err == -EBUSY && is_start) {
		ecbpf_log(e, ECBPF_LOG_WARN, "the rules stay as they are: %s", e->error);
		r->count = before;
		return 0;
	}
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
	err = fw_apply_rules(e, config->ruleset, check, config->is_start, r);
	e->list_policy = policy;
	return err;
}

static int fw_get(struct ecbpf *e, struct ecbpf_config *config)
{
	int err = ecbpf_fw_config_get(e, &config->fw);

	config->has_fw = true;
	return err ? err : conf_ruleset_live(e, &config->ruleset);
}

static int fw_export(struct ecbpf *e, struct conf_files *files, struct conf_text *text)
{
	const struct ecbpf_settings *settings = ecbpf_fw_settings();
	static const char name[] = "fw.rules";
	struct ecbpf_fw_summary sum;
	struct ecbpf_fw_ruleset *live;
	struct ecbpf_fw_config running;
	bool has_head = false;
	char *rules;
	int err;

	err = ecbpf_fw_config_get(e, &running);
	if (!err)
		err = text->for_undo ? conf_ruleset_live(e, &live) : conf_ruleset_get(e, &live);
	if (err)
		return err;
	ecbpf_fw_summary(live, &sum);
	if (!text->for_undo && fw_confirm_check(e) == -EBUSY)
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "rules that wait for 'ecbpf-fw confirm' are exported, too");
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
		if (files) {
			conf_printf(text, "%srules = %s/%s\n", has_head ? "" : "\n[fw]\n",
				    files->dir, name);
			err = ecbpf_fw_print(e, live, &rules);
			if (!err)
				conf_files_add(files, name, rules);
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
	.stage = "fw",
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
