// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A stage's table of settings as operands, options, help and JSON */
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include "tools/common/change.h"
#include "tools/common/settings.h"

#define HELP_COLUMNS 80

/* --- help ----------------------------------------------------------------------------------- */

/* In lines behind a column of @width characters, which is filled in already */
static void print_wrapped(const char *text, int width)
{
	int column = width;

	while (*text) {
		int len = strcspn(text, " ");

		if (column > width && column + 1 + len > HELP_COLUMNS) {
			printf("\n%*s", width, "");
			column = width;
		}
		column += printf("%s%.*s", column > width ? " " : "", len, text);
		text += len + (text[len] == ' ');
	}
	printf("\n");
}

/* "off|count|drop" or "N" */
static const char *value_name(const struct ecbpf_setting *s)
{
	char *name;

	if (!s->words)
		return "N";
	name = (char *)tool_str("%s", s->words);
	for (char *c = name; *c; c++)
		if (*c == ',')
			*c = '|';
	return name;
}

static const char *default_text(const struct ecbpf_setting *s)
{
	char value[ECBPF_SETTING_TEXT];

	if (s->leader)
		return tool_str("that of %s", s->leader);
	return tool_str("%s", ecbpf_setting_format(s, s->value, value, sizeof(value)));
}

static void help_line(const char *head, const char *text, int width)
{
	int len = printf("%s", head);

	if (len >= width - 1)
		len = printf("\n") - 1;
	printf("%*s", width - len, "");
	print_wrapped(text, width);
}

static void help_setting(const char *head, const struct ecbpf_setting *s, int width)
{
	const char *range = "";

	if (!s->words)
		range = tool_str("%u to %u%s%s, ", s->min, s->max, s->unit ? " " : "",
				 s->unit ?: "");
	help_line(head, tool_str("%s (%sdefault: %s)", s->text, range, default_text(s)), width);
}

void tool_settings_help_options(const struct ecbpf_settings *settings, int width)
{
	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];

		help_setting(tool_str("      --%s %s", s->name, value_name(s)), s, width);
	}
}

void tool_settings_help(const struct ecbpf_settings *settings)
{
	const char *group = "";
	int width = 0;

	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];
		int len = strlen(s->name) + strlen(value_name(s));

		if (len > width)
			width = len;
	}
	width += 5; /* "  ", "=", "  " */
	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];

		if (s->group && strcmp(s->group, group)) {
			group = s->group;
			help_line(tool_str("  %s=%s", group, value_name(s)),
				  "all of the settings that follow", width);
		}
		help_setting(tool_str("  %s=%s", s->name, value_name(s)), s, width);
	}
}

/* --- arguments ------------------------------------------------------------------------------ */

#define ROWS_MAX 64

static int take(struct tool *tool, const char *text, void *values, __u64 *given)
{
	return ecbpf_settings_parse(tool->ecbpf, tool->verb->settings(), &text, 1, values, given);
}

int tool_settings_option(struct tool *tool, int id, const char *value, struct tool_list *texts)
{
	const struct ecbpf_setting *s = &tool->verb->settings()->rows[id - TOOL_SETTING];
	const char *text = tool_str("%s=%s", s->name, value);
	__u32 values[ROWS_MAX]; /* only tried: values are __u32, one for each row */
	__u64 given = 0;

	if (take(tool, text, values, &given))
		return tool_usage("--%s", ecbpf_error(tool->ecbpf));
	tool_list_add(texts, text);
	return 0;
}

static bool is_same_key(const char *text, const char *other)
{
	size_t len = strcspn(text, "=");

	return len == strcspn(other, "=") && !memcmp(text, other, len);
}

int tool_settings_operands(struct tool *tool, int argc, char **argv, struct tool_list *texts)
{
	__u32 values[ROWS_MAX];
	__u64 given = 0;

	for (int i = 0; i < argc; i++) {
		for (int k = 0; k < i; k++)
			if (is_same_key(argv[i], argv[k]))
				return tool_usage("'%s': '%s' is another value for it", argv[i],
						  argv[k]);
		if (take(tool, argv[i], values, &given))
			return tool_usage("%s", ecbpf_error(tool->ecbpf));
		tool_list_add(texts, argv[i]);
	}
	return texts->count ? 0 : tool_usage("no setting: give KEY=VALUE");
}

void tool_settings_take(struct tool *tool, const struct tool_list *texts, void *values)
{
	__u64 given = 0;

	for (size_t i = 0; i < texts->count; i++)
		take(tool, texts->items[i], values, &given);
}

/* --- output --------------------------------------------------------------------------------- */

const char *tool_setting_key(const struct ecbpf_setting *s, char dash)
{
	char *key = (char *)tool_str("%s", s->name);

	for (char *c = key; *c && !s->group; c++)
		if (*c == '-')
			*c = dash;
	return key;
}

void tool_settings_json(struct json_object *json, const struct ecbpf_settings *settings,
			const void *values, char dash)
{
	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];
		const char *key = tool_setting_key(s, dash);
		__u32 value = ecbpf_setting_value(s, values);
		struct json_object *to = json;
		char text[ECBPF_SETTING_TEXT];

		if (s->group && !json_object_object_get_ex(json, s->group, &to)) {
			to = json_object_new_object();
			json_object_object_add(json, s->group, to);
		}
		if (!s->words)
			tool_json_num(to, key, value);
		else if (!strcmp(s->words, "off,on"))
			tool_json_bool(to, key, value);
		else
			tool_json_str(to, key, ecbpf_setting_format(s, value, text, sizeof(text)));
	}
}

const char *tool_setting_text(const struct ecbpf_setting *s, const void *values)
{
	char text[ECBPF_SETTING_TEXT];

	ecbpf_setting_format(s, ecbpf_setting_value(s, values), text, sizeof(text));
	return tool_str("%s%s%s", text, s->unit && *s->unit != '%' ? " " : "", s->unit ?: "");
}

static bool is_given(const struct tool_list *given, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < given->count; i++)
		if (!strncmp(given->items[i], name, len) && given->items[i][len] == '=')
			return true;
	return false;
}

static __u32 leader_value(const struct ecbpf_settings *settings, const struct ecbpf_setting *s,
			  const void *values)
{
	for (size_t i = 0; i < settings->count; i++)
		if (!strcmp(settings->rows[i].name, s->leader))
			return ecbpf_setting_value(&settings->rows[i], values);
	return 0;
}

void tool_settings_kept(const struct ecbpf_settings *settings, const void *values,
			const struct tool_list *given)
{
	const char *text = "";

	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];
		__u32 value = ecbpf_setting_value(s, values);
		char value_text[ECBPF_SETTING_TEXT];

		if (value == s->value || is_given(given, s->name) ||
		    (s->leader && is_given(given, s->leader) &&
		     value == leader_value(settings, s, values)))
			continue;
		text = tool_str("%s %s=%s", text, s->name,
				ecbpf_setting_format(s, value, value_text, sizeof(value_text)));
	}
	if (*text)
		tool_unchanged("settings kept from before:%s", text);
}

const char *tool_settings_text(const struct ecbpf_settings *settings, const void *values)
{
	const char *text = "";

	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];
		char value[ECBPF_SETTING_TEXT];

		ecbpf_setting_format(s, ecbpf_setting_value(s, values), value, sizeof(value));
		text = tool_str("%s %s=%s", text, s->name, value);
	}
	return text;
}

void tool_settings_changed(const struct ecbpf_settings *settings, const void *before,
			   const void *after)
{
	bool is_same = true;

	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];

		if (ecbpf_setting_value(s, before) == ecbpf_setting_value(s, after))
			continue;
		tool_changed("%s: %s, was %s", s->name, tool_setting_text(s, after),
			     tool_setting_text(s, before));
		is_same = false;
	}
	if (is_same)
		tool_unchanged("the settings are so already");
}
