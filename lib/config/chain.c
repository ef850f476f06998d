// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* [chain]: which stages, in which order and how */
#include <string.h>
#include "config/parse.h"
#include "core/names.h"

#define STAGE_SEPARATORS " \t,"

/* Most likely, another stage was meant */
static void note_twice(struct conf_parser *p, const char *value)
{
	for (const char *s = value; *s; s += strcspn(s, STAGE_SEPARATORS)) {
		size_t len;

		s += strspn(s, STAGE_SEPARATORS);
		len = strcspn(s, STAGE_SEPARATORS);
		for (const char *t = s + len; len && *t; t += strcspn(t, STAGE_SEPARATORS)) {
			t += strspn(t, STAGE_SEPARATORS);
			if (strcspn(t, STAGE_SEPARATORS) != len || strncmp(s, t, len))
				continue;
			p->config->twice = p->at;
			for (size_t i = 0; i < CONF_STAGES_COUNT; i++)
				if (strlen(conf_stage_names[i]) == len &&
				    !strncmp(conf_stage_names[i], s, len))
					p->config->twice.text = (char *)conf_stage_names[i];
		}
	}
}

static int set_stages(struct conf_parser *p, const char *value)
{
	struct conf_words *stages = &p->config->stages;
	const char *names[CONF_STAGES_COUNT + 1] = {};
	size_t before = *value ? stages->count : 0;
	int err;

	p->config->has_stages = true;
	for (size_t i = 0; i < CONF_STAGES_COUNT; i++)
		names[i] = conf_stage_names[i];
	err = conf_set_words(p, value, STAGE_SEPARATORS, stages);
	note_twice(p, value);
	for (size_t i = before; i < stages->count && !err; i++)
		if (!conf_is_one_of(stages->items[i].text, names))
			err = conf_fail_unknown(p, "stage", stages->items[i].text, names);
	return err;
}

static int set_chain(struct conf_parser *p, const char *key, const char *value)
{
	struct ecbpf_config *config = p->config;

	if (!strcmp(key, "on-stop")) {
		config->is_left = !strcmp(value, "leave");
		return config->is_left || !strcmp(value, "detach")
			       ? 0
			       : conf_fail(p->e, &p->at, "on-stop: '%s' is not detach or leave",
					   value);
	}
	if (!strcmp(key, "on-error")) {
		config->on_error =
			!strcmp(value, "open") ? CONF_ON_ERROR_OPEN : CONF_ON_ERROR_LAST_GOOD;
		return config->on_error == CONF_ON_ERROR_OPEN || !strcmp(value, "last-good")
			       ? 0
			       : conf_fail(p->e, &p->at, "on-error: '%s' is not open or last-good",
					   value);
	}
	if (!strcmp(key, "stages"))
		return set_stages(p, value);
	if (!strcmp(key, "fused")) {
		config->is_fused = !strcmp(value, "yes");
		return config->is_fused || !strcmp(value, "no")
			       ? 0
			       : conf_fail(p->e, &p->at, "fused: '%s' is not yes or no", value);
	}
	if (ecbpf_mode_parse(value, &config->mode))
		return conf_fail(p->e, &p->at, "mode: '%s' is not native, skb or unspecified",
				 value);
	return 0;
}

static int stage_place(const struct ecbpf_config *config, const char *name)
{
	const struct conf_unit *unit = conf_unit_find(config, name, true);

	return unit && unit->prio >= 0 ? unit->prio : ecbpf_stage_prio(name);
}

/* The list is the order, and priorities say the same */
static int stages_check(struct ecbpf *e, struct ecbpf_config *config)
{
	const struct conf_words *stages = &config->stages;

	/* fused, only the list says it */
	for (size_t i = 1; i < stages->count && !config->is_fused; i++) {
		const struct conf_word *a = &stages->items[i - 1], *b = &stages->items[i];
		int before = stage_place(config, a->text), after = stage_place(config, b->text);

		if (before > after || (before == after && strcmp(a->text, b->text) > 0))
			return conf_fail(e, b,
					 "stages: '%s' (priority %d) before '%s' (priority %d): "
					 "give them in order, or another prio in [stage %s]",
					 a->text, before, b->text, after, b->text);
	}
	if (config->is_fused && stages->count > ECBPF_FUSED_SLOTS)
		return conf_fail(e, &stages->items[0], "stages: more than %d, and fused",
				 ECBPF_FUSED_SLOTS);
	return 0;
}

static const char *const keys[] = {"stages", "fused", "mode", "on-stop", "on-error", NULL};

const struct conf_section conf_section_chain = {
	.name = "chain",
	.keys = keys,
	.set = set_chain,
	.check = stages_check,
};
