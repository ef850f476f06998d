// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The values of a stage's settings in a report or a configuration */
#include "config/conf.h"

int conf_values_report(struct ecbpf *e, const struct ecbpf_settings *settings, const void *wanted,
		       const void *running, struct conf_report *report)
{
	char new[ECBPF_SETTING_TEXT], old[ECBPF_SETTING_TEXT];
	int err = 0;

	for (size_t i = 0; i < settings->count && !err; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];
		__u32 to = ecbpf_setting_value(s, wanted), from = ecbpf_setting_value(s, running);

		if (to != from)
			err = conf_report_change(e, report, "%s: %s %s, was %s", settings->stage,
						 s->name,
						 ecbpf_setting_format(s, to, new, sizeof(new)),
						 ecbpf_setting_format(s, from, old, sizeof(old)));
	}
	return err;
}

void conf_values_print(const struct ecbpf_settings *settings, const void *values,
		       struct conf_text *text)
{
	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];
		char value[ECBPF_SETTING_TEXT];

		conf_printf(text, "%s = %s\n", s->name,
			    ecbpf_setting_format(s, ecbpf_setting_value(s, values), value,
						 sizeof(value)));
	}
}
