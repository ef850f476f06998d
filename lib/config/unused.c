// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a configuration says and nothing uses: interfaces that are not there, stages that do not run
 */
#include <stdio.h>
#include <string.h>
#include "config/parse.h"
#include "config/plan.h"

#define UNUSED_TEXT 200

static bool has_stage(const struct ecbpf_config *config, const char *name)
{
	return conf_words_have(&config->stages, name, strlen(name));
}

static void tell_section(const struct ecbpf_config *config, const struct conf_word *at,
			 const char *section, const char *stage, conf_unused_fn fn, void *data)
{
	char text[UNUSED_TEXT];

	if (!at->file || has_stage(config, stage))
		return;
	snprintf(text, sizeof(text), "[%s] is not used: %s is not among the stages", section,
		 stage);
	fn(at, text, data);
}

void conf_unused_sections(const struct ecbpf_config *config, conf_unused_fn fn, void *data)
{
	char section[64], text[UNUSED_TEXT];

	if (!config->has_interfaces || !config->ingress.count)
		return;
	if (config->twice.file) {
		snprintf(text, sizeof(text), "stages: '%s' is given twice, and runs once",
			 config->twice.text);
		fn(&config->twice, text, data);
	}
	for (size_t i = 0; conf_sections[i]; i++)
		if (conf_sections[i]->stage)
			tell_section(config, &config->heads[i], conf_sections[i]->name,
				     conf_sections[i]->stage, fn, data);
	for (size_t i = 0; i < config->units_count; i++) {
		const struct conf_unit *unit = &config->units[i];

		snprintf(section, sizeof(section), "stage %.50s", unit->name);
		if (unit->is_stage && strcmp(unit->name, CONF_FUSED))
			tell_section(config, &unit->file, section, unit->name, fn, data);
	}
	if (config->egress.count && !has_stage(config, "fastpath"))
		fn(&config->egress.items[0], "egress is not used: fastpath is not among the stages",
		   data);
}

void conf_unused_words(const struct ecbpf_config *config, const struct conf_plan *plan,
		       conf_unused_fn fn, void *data)
{
	char text[UNUSED_TEXT];
	bool has_any = false;

	for (size_t i = 0; i < plan->absent_count; i++) {
		const struct conf_word *word = plan->absent[i];

		snprintf(text, sizeof(text), "%.100s: no such interface%s", word->text,
			 strchr(word->text, ',') ? CONF_BLANKS : "");
		fn(word, text, data);
	}
	for (size_t i = 0; i < plan->links_count; i++)
		has_any |= plan->is_ingress[i];
	if (!has_any && config->ingress.count)
		fn(&config->ingress.items[0],
		   "ingress: none of these interfaces is there: "
		   "no stage runs",
		   data);
}
