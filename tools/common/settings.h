/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A stage's table of settings as operands, options, help and JSON */
#ifndef ECBPF_TOOLS_SETTINGS_H
#define ECBPF_TOOLS_SETTINGS_H

#include <ecbpf/libecbpf-settings.h>
#include "tools/common/common.h"

/* The lines of help: "      --KEY VALUE   text", as wide as other options; or "  KEY=VALUE   text"
 */
void tool_settings_help_options(const struct ecbpf_settings *settings, int width);
void tool_settings_help(const struct ecbpf_settings *settings);

/*
 * Settings of the verb that runs, as "KEY=VALUE" to @texts: an option, @id as tool_getopt() returns
 * it, or all operands. Return: 0 or TOOL_USAGE
 */
int tool_settings_option(struct tool *tool, int id, const char *value, struct tool_list *texts);
int tool_settings_operands(struct tool *tool, int argc, char **argv, struct tool_list *texts);

/* Into @values what tool_settings_option() and tool_settings_operands() took */
void tool_settings_take(struct tool *tool, const struct tool_list *texts, void *values);

/* Tell each that differs, see tool_changed() */
void tool_settings_changed(const struct ecbpf_settings *settings, const void *before,
			   const void *after);

/*
 * A stage was loaded: tell which settings it has from before, which are not the defaults and not
 * among @given, "KEY=VALUE" each
 */
void tool_settings_kept(const struct ecbpf_settings *settings, const void *values,
			const struct tool_list *given);

/* " KEY=VALUE" of each; memory as of tool_str() */
const char *tool_settings_text(const struct ecbpf_settings *settings, const void *values);

/* Its name, with @dash for each -, but in a group; memory as of tool_str() */
const char *tool_setting_key(const struct ecbpf_setting *setting, char dash);

/* Add to an object, groups as objects. "off" and "on" are booleans */
void tool_settings_json(struct json_object *json, const struct ecbpf_settings *settings,
			const void *values, char dash);

/* "1000 ms", "off"; memory as of tool_str() */
const char *tool_setting_text(const struct ecbpf_setting *setting, const void *values);

#endif /* ECBPF_TOOLS_SETTINGS_H */
