// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fastpath: settings */
#include <limits.h>
#include <string.h>
#include "tools/fastpath/fastpath.h"

const struct setting settings_table[] = {
#define NUMBER(name, unit, field)                                                  \
	{                                                                          \
		name, unit, offsetof(struct ecbpf_fastpath_settings, field), false \
	}
#define SWITCH(name, field)                                                     \
	{                                                                       \
		name, "", offsetof(struct ecbpf_fastpath_settings, field), true \
	}
	NUMBER("lease", "ms", lease_ms),
	NUMBER("sample", "ms", sample_ms),
	NUMBER("inactive", "ms", inactive_ms),
	SWITCH("monitor", monitor),
	SWITCH("limit", limit),
	NUMBER("target-pps", "", target_pps),
	NUMBER("spike", "%", spike_percent),
	NUMBER("max", "%", max_percent),
	NUMBER("reset-pps", "", reset_pps),
	{},
};

static int set_one(const char *text, struct ecbpf_fastpath_settings *settings)
{
	const char *value = strchr(text, '=');
	const struct setting *s;
	char *field;
	__u64 number;

	if (!value)
		return tool_usage("'%s' is not KEY=VALUE", text);
	for (s = settings_table; s->name; s++)
		if (strlen(s->name) == (size_t)(value - text) &&
		    !memcmp(s->name, text, value - text))
			break;
	if (!s->name)
		return tool_usage("'%.*s' is not one of lease, sample, inactive, monitor, limit, "
				  "target-pps, spike, max, reset-pps",
				  (int)(value - text), text);
	value++;
	field = (char *)settings + s->off;
	if (s->is_bool) {
		if (strcmp(value, "on") && strcmp(value, "off"))
			return tool_usage("%s: '%s' is not on or off", s->name, value);
		*(bool *)field = !strcmp(value, "on");
		return 0;
	}
	if (tool_parse_number(s->name, value, 0, UINT_MAX, &number))
		return TOOL_USAGE;
	*(__u32 *)field = number;
	return 0;
}

int run_set(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fastpath_settings settings;
	int err;

	if (parse_none(tool, argc, argv))
		return TOOL_USAGE;
	if (optind == argc)
		return tool_usage("no setting: give KEY=VALUE");
	/* usage errors come before all others */
	for (int i = optind; i < argc; i++) {
		err = set_one(argv[i], &settings);
		if (err)
			return err;
	}
	if (ecbpf_fastpath_get(tool->ecbpf, &settings))
		return tool_fail_ecbpf(tool);
	for (int i = optind; i < argc; i++)
		set_one(argv[i], &settings);
	return ecbpf_fastpath_set(tool->ecbpf, &settings) ? tool_fail_ecbpf(tool) : TOOL_OK;
}

const char *setting_text(const struct setting *s, const struct ecbpf_fastpath_settings *settings)
{
	const char *field = (const char *)settings + s->off;

	if (s->is_bool)
		return *(const bool *)field ? "on" : "off";
	return tool_str("%u%s%s", *(const __u32 *)field, *s->unit == 'm' ? " " : "", s->unit);
}
