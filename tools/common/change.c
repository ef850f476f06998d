// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a verb changes, see change.h */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include "tools/common/audit.h"
#include "tools/common/change.h"

/* Of the one verb that this process runs */
static struct {
	struct tool_list args;
	bool is_begun;
	bool is_check;
	bool is_quiet;
	bool is_json;
	const char *sub;
	__u32 stage; /* 0: none */
	bool is_urgent;
	struct tool_list ifaces;
	struct tool_list changes;
	struct tool_list notes;	  /* why nothing was changed */
	struct tool_list shorter; /* instead of @changes */
	struct json_object *numbers;
} state;

void tool_change_args(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		tool_list_add(&state.args, argv[i]);
}

void tool_change_quiet(void)
{
	state.is_quiet = true;
}

bool tool_change_is_quiet(void)
{
	return state.is_quiet;
}

void tool_change_json(void)
{
	state.is_json = true;
}

void tool_change_check(void)
{
	state.is_begun = true;
	state.is_check = true;
}

void tool_change_begin(const char *sub)
{
	state.is_begun = true;
	state.sub = sub;
	signal(SIGPIPE, SIG_IGN); /* nobody reads: no reason to end in the middle of it */
}

void tool_change_stage(__u32 stage)
{
	state.stage = stage;
}

void tool_change_urgent(__u32 stage)
{
	state.stage = stage;
	state.is_urgent = true;
}

bool tool_change_is_begun(void)
{
	return state.is_begun && !state.is_check;
}

void tool_change_iface(const char *iface)
{
	for (size_t i = 0; i < state.ifaces.count; i++)
		if (!strcmp(state.ifaces.items[i], iface))
			return;
	tool_list_add(&state.ifaces, iface);
}

TOOL_PRINTF(2, 0) static void add_line(struct tool_list *lines, const char *fmt, va_list args)
{
	char *text;

	if (vasprintf(&text, fmt, args) < 0)
		exit(tool_fail("out of memory"));
	tool_list_add(lines, text);
	free(text);
}

void tool_changed(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_line(&state.changes, fmt, args);
	va_end(args);
}

void tool_unchanged(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_line(&state.notes, fmt, args);
	va_end(args);
}

void tool_entries_changed(const struct tool *tool, const char *what)
{
	struct ecbpf_changed changed;

	ecbpf_changed(tool->ecbpf, &changed);
	if (changed.added)
		tool_changed("%s: %" PRIu64 " added", what, (uint64_t)changed.added);
	if (changed.removed)
		tool_changed("%s: %" PRIu64 " removed", what, (uint64_t)changed.removed);
	if (!changed.added && !changed.removed)
		tool_unchanged("%s: nothing to change", what);
	tool_change_number("added", changed.added);
	tool_change_number("removed", changed.removed);
}

void tool_change_number(const char *key, __u64 value)
{
	if (!state.numbers)
		state.numbers = json_object_new_object();
	tool_json_num(state.numbers, key, value);
}

void tool_change_short(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_line(&state.shorter, fmt, args);
	va_end(args);
}

/* Items with @between; for free() */
static char *join(const struct tool_list *list, const char *between, const char *without)
{
	size_t size = 1;
	char *text, *end;

	for (size_t i = 0; i < list->count; i++)
		size += strlen(list->items[i]) + strlen(between);
	end = text = tool_alloc(NULL, size);
	*end = '\0';
	for (size_t i = 0; i < list->count; i++) {
		if (without && !strcmp(list->items[i], without)) {
			without = NULL; /* once */
			continue;
		}
		end = stpcpy(stpcpy(end, end > text ? between : ""), list->items[i]);
	}
	return text;
}

static void write_audit(const struct tool *tool, int status, const char *error)
{
	const struct tool_list *lines = state.changes.count ? &state.changes : &state.notes;
	char *text = join(lines, "; ", NULL), *what = join(&state.args, " ", state.sub);
	struct audit audit = {
		.tool = tool->name,
		.verb = tool_str("%s%s%s", tool->verb->name, state.sub ? " " : "",
				 state.sub ? state.sub : ""),
		.what = what,
		.ifaces = state.ifaces.items,
		.ifaces_count = state.ifaces.count,
		.result = status		? "failed"
			  : state.changes.count ? "changed"
						: "unchanged",
		.text = status ? error : text,
	};

	audit_write(&audit);
	free(text);
	free(what);
}

static struct json_object *json_lines(const struct tool_list *lines)
{
	struct json_object *json = json_object_new_array();

	for (size_t i = 0; i < lines->count; i++)
		json_object_array_add(json, json_object_new_string(lines->items[i]));
	return json;
}

static void print_json(void)
{
	struct json_object *json = json_object_new_object();

	tool_json_bool(json, "changed", state.changes.count);
	json_object_object_add(json, "changes", json_lines(&state.changes));
	json_object_object_add(json, "notes", json_lines(&state.notes));
	if (state.numbers) {
		json_object_object_foreach(state.numbers, key, value)
		{
			json_object_object_add(json, key, json_object_get(value));
		}
	}
	tool_json_print(json);
}

static void print_lines(const struct tool_list *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		printf("%s\n", tool_safe(lines->items[i]));
}

/* What cannot be told is no failure of what was done */
static void warn_reach(const struct tool *tool)
{
	const char *stage = ecbpf_stage_name(state.stage);
	char iface[16];

	if (ecbpf_stage_reach(tool->ecbpf, state.stage, iface))
		return;
	if (*iface)
		tool_warn("the program on %s goes on with other maps, this has no effect there: "
			  "'ecbpf-loader doctor %s' says what helps",
			  tool_safe(iface), tool_safe(iface));
	else
		tool_warn("no interface has the %s, this has no effect until 'ecbpf-%s load'",
			  state.stage == ECBPF_STAGE_FW ? "firewall" : stage, stage);
}

void tool_change_end(const struct tool *tool, int status, const char *error)
{
	bool is_good = status == TOOL_OK || status == TOOL_CHANGES;

	if (!state.is_begun)
		return;
	if (is_good && state.is_json && !state.is_quiet) {
		print_json();
	} else if (is_good && !state.is_quiet) {
		print_lines(state.shorter.count ? &state.shorter : &state.changes);
		print_lines(&state.notes);
	}
	if (!state.is_check)
		write_audit(tool, status, error);
	if (is_good && !state.is_check && state.stage &&
	    (state.is_urgent || (!state.is_quiet && state.changes.count)))
		warn_reach(tool);
	json_object_put(state.numbers);
	tool_list_free(&state.args);
	tool_list_free(&state.ifaces);
	tool_list_free(&state.changes);
	tool_list_free(&state.notes);
	tool_list_free(&state.shorter);
}
