// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* [stage NAME] and [program NAME]: priority, actions and constants of a program */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include "bpf/program.h"
#include "config/parse.h"
#include "core/error.h"

const char *const conf_stage_names[] = {
#define X(value, NAME, name, prio, text) #name,
	ECBPF_STAGES(X)
#undef X
		CONF_FUSED,
	NULL};

struct conf_unit *conf_unit_find(const struct ecbpf_config *config, const char *name, bool is_stage)
{
	for (size_t i = 0; i < config->units_count; i++)
		if (config->units[i].is_stage == is_stage && !strcmp(config->units[i].name, name))
			return &config->units[i];
	return NULL;
}

static int open_unit(struct conf_parser *p, const char *name, bool is_stage)
{
	struct ecbpf_config *config = p->config;
	struct conf_unit *units;

	p->unit = conf_unit_find(config, name, is_stage);
	if (p->unit)
		return 0;
	units = reallocarray(config->units, config->units_count + 1, sizeof(*units));
	if (!units)
		return ecbpf_fail_memory(p->e);
	config->units = units;
	p->unit = &units[config->units_count];
	*p->unit = (struct conf_unit){.is_stage = is_stage, .prio = -1, .file = p->at};
	p->unit->name = strdup(name);
	if (!p->unit->name)
		return ecbpf_fail_memory(p->e);
	config->units_count++;
	return 0;
}

static int open_stage(struct conf_parser *p, const char *name)
{
	if (!conf_is_one_of(name, conf_stage_names))
		return conf_fail_unknown(p, "stage", name, conf_stage_names);
	return open_unit(p, name, true);
}

static int open_program(struct conf_parser *p, const char *name)
{
	return open_unit(p, name, false);
}

/* A constant: a number or an action. Whether there is one of this name: units_check() */
static int set_constant(struct conf_parser *p, const char *key, const char *value)
{
	struct conf_words *settings = &p->unit->settings;
	int action = conf_action_find(value, strlen(value));
	char setting[256];

	for (size_t i = 0; i < settings->count; i++) {
		char *old = settings->items[i].text;

		if (strncmp(old, key, strlen(key)) || old[strlen(key)] != '=')
			continue;
		free(old); /* a later one wins */
		settings->items[i] = settings->items[--settings->count];
		break;
	}
	if (action >= 0)
		snprintf(setting, sizeof(setting), "%s=%d", key, action);
	else
		snprintf(setting, sizeof(setting), "%s=%s", key, value);
	return conf_words_add(p, settings, setting, strlen(setting));
}

static int set_actions(struct conf_parser *p, const char *value, __u32 *ret)
{
	__u32 actions = 0;
	const char *rest = value;

	for (rest += strspn(rest, " ,\t"); *rest; rest += strspn(rest, " ,\t")) {
		size_t len = strcspn(rest, " ,\t");
		int action = conf_action_find(rest, len);

		if (action < 0)
			return conf_fail(p->e, &p->at,
					 "actions: '%.*s' is not XDP_ABORTED, XDP_DROP, XDP_PASS, "
					 "XDP_TX or XDP_REDIRECT",
					 (int)len, rest);
		actions |= 1U << action;
		rest += len;
	}
	if (!actions)
		return conf_fail(p->e, &p->at, "actions: none given");
	*ret = actions;
	return 0;
}

static int set_stage(struct conf_parser *p, const char *key, const char *value)
{
	__u32 prio = 0;
	int err;

	if (!strcmp(key, "actions"))
		return set_actions(p, value, &p->unit->actions);
	if (strcmp(key, "prio"))
		return set_constant(p, key, value);
	err = conf_set_number(p, key, value, INT_MAX, &prio);
	if (!err)
		p->unit->prio = prio;
	return err;
}

static int set_program(struct conf_parser *p, const char *key, const char *value)
{
	struct conf_unit *unit = p->unit;

	if (!strcmp(key, "section"))
		return conf_set_text(p, value, &unit->section);
	if (!strcmp(key, "prog-name"))
		return conf_set_text(p, value, &unit->prog_name);
	if (strcmp(key, "file"))
		return set_stage(p, key, value);
	if (*value != '/')
		return conf_fail(p->e, &p->at, "file: '%s' does not begin with /", value);
	unit->file.line = p->at.line;
	unit->file.file = p->at.file;
	return conf_set_text(p, value, &unit->file.text);
}

/* One constant, tried on the object: there is none of the name, or the value does not fit */
static int unit_try(struct ecbpf *e, const struct ecbpf_config *config,
		    const struct conf_unit *unit, const char *setting)
{
	struct ecbpf_program spec = ECBPF_PROGRAM_INIT;
	struct program program;
	int err;

	spec.file = unit->is_stage ? unit->name : unit->file.text;
	spec.section = unit->section;
	spec.name = unit->prog_name;
	spec.settings = &setting;
	spec.settings_count = !!setting;
	if (unit->is_stage && !strcmp(unit->name, CONF_FUSED))
		spec.fused =
			config->stages.count ? config->stages.items[0].text : conf_stage_names[0];
	err = ecbpf_program_open(e, &spec, NULL, false, &program);
	if (!err)
		ecbpf_program_close(&program);
	return err;
}

static int unit_check(struct ecbpf *e, const struct ecbpf_config *config,
		      const struct conf_unit *unit)
{
	int err;

	if (!unit->is_stage && !unit->file.text)
		return conf_fail(e, &unit->file, "[program %s]: which file?", unit->name);
	if (unit->section && unit->prog_name)
		return conf_fail(e, &unit->file,
				 "[program %s]: section and prog-name both say which program; give "
				 "one",
				 unit->name);
	err = unit->is_stage ? 0 : unit_try(e, config, unit, NULL);
	if (err)
		return conf_fail_at(e, err, &unit->file);
	for (size_t i = 0; i < unit->settings.count; i++) {
		err = unit_try(e, config, unit, unit->settings.items[i].text);
		if (err)
			return conf_fail_at(e, err, &unit->settings.items[i]);
	}
	return 0;
}

static int units_check(struct ecbpf *e, struct ecbpf_config *config)
{
	int err = 0;

	for (size_t i = 0; i < config->units_count && !err; i++)
		err = unit_check(e, config, &config->units[i]);
	return err;
}

static const char *const stage_keys[] = {"prio", "actions", NULL};
static const char *const program_keys[] = {"file", "section", "prog-name", "prio", "actions", NULL};

const struct conf_section conf_section_stage = {
	.name = "stage",
	.has_name = true,
	.keys = stage_keys,
	.open = open_stage,
	.set = set_stage,
	.check = units_check,
};

const struct conf_section conf_section_program = {
	.name = "program",
	.has_name = true,
	.keys = program_keys,
	.open = open_program,
	.set = set_program,
};
