// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The verb log: changes that the tools wrote to the systemd journal, as journalctl(1) finds them */
#include <errno.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <json-c/json.h>
#include "tools/common/audit.h"
#include "tools/loader/loader.h"

#define LINES_DEFAULT 100

extern char **environ;

const struct tool_option loader_log_options[] = {
	{'n', "lines", "N", "the last N changes (default: 100; 0: all)"},
	{OPT_SINCE, "since", "TIME", "changes since then: today, -1h, see systemd.time(7)"},
	{'i', "interface", "IFACE", "changes of this interface"},
	TOOL_JSON_OPTION,
	TOOL_COMMON_OPTIONS,
};

/* Of an entry; one that it has several times is an array. Return: NULL if there is none */
static const char *field(struct json_object *entry, const char *name)
{
	struct json_object *value;

	if (!json_object_object_get_ex(entry, name, &value))
		return NULL;
	if (json_object_is_type(value, json_type_array))
		value = json_object_array_get_idx(value, 0);
	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

static const char *user_name(const char *uid)
{
	struct passwd *user = uid ? getpwuid(strtoul(uid, NULL, 10)) : NULL;

	return user ? tool_str("%s", user->pw_name) : uid;
}

/* Who was it? Whoever logged in, else whom the process was of */
static const char *who(struct json_object *entry)
{
	const char *sudo_user = field(entry, "ECBPF_SUDO_USER");
	const char *login = field(entry, "ECBPF_LOGINUID");

	return sudo_user ?: user_name(login ?: field(entry, "ECBPF_UID"));
}

static struct json_object *ifaces_of(struct json_object *entry)
{
	struct json_object *list = json_object_new_array(), *value;

	if (!json_object_object_get_ex(entry, "ECBPF_IFACE", &value))
		return list;
	if (!json_object_is_type(value, json_type_array)) {
		json_object_array_add(list, json_object_get(value));
		return list;
	}
	for (size_t i = 0; i < json_object_array_length(value); i++)
		json_object_array_add(list, json_object_get(json_object_array_get_idx(value, i)));
	return list;
}

static const char *time_of(struct json_object *entry, const char *format)
{
	const char *text = field(entry, "__REALTIME_TIMESTAMP");
	time_t seconds = text ? (time_t)(strtoull(text, NULL, 10) / 1000000) : 0;
	char when[64];
	struct tm tm;

	if (!localtime_r(&seconds, &tm))
		return "-";
	strftime(when, sizeof(when), format, &tm);
	return tool_str("%s", when);
}

static struct json_object *json_entry(struct json_object *entry)
{
	static const char *const names[][2] = {
		{"tool", "ECBPF_TOOL"},
		{"verb", "ECBPF_VERB"},
		{"what", "ECBPF_WHAT"},
		{"result", "ECBPF_RESULT"},
		{"text", "ECBPF_TEXT"},
		{"pid", "ECBPF_PID"},
		{"uid", "ECBPF_UID"},
		{"loginuid", "ECBPF_LOGINUID"},
		{"sudo_user", "ECBPF_SUDO_USER"},
	};
	struct json_object *json = json_object_new_object();

	tool_json_str(json, "time", time_of(entry, "%Y-%m-%dT%H:%M:%S%z"));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		tool_json_str(json, names[i][0], field(entry, names[i][1]));
	json_object_object_add(json, "interfaces", ifaces_of(entry));
	return json;
}

static void print_entry(struct json_object *entry)
{
	const char *text = field(entry, "ECBPF_TEXT"), *what = field(entry, "ECBPF_WHAT");

	printf("%s %s: %s %s", time_of(entry, "%Y-%m-%d %H:%M:%S"), tool_safe(who(entry) ?: "-"),
	       tool_safe(field(entry, "ECBPF_TOOL") ?: "-"),
	       tool_safe(field(entry, "ECBPF_VERB") ?: "-"));
	printf("%s%s: %s%s%s\n", what && *what ? " " : "", tool_safe(what ?: ""),
	       tool_safe(field(entry, "ECBPF_RESULT") ?: "-"), text && *text ? ": " : "",
	       tool_safe(text ?: ""));
}

/* What journalctl prints: an object on each line, or what is wrong. Return: 0 or TOOL_FAILED */
static int read_entries(FILE *file, struct json_object *list)
{
	char *line = NULL;
	size_t size = 0;
	int status = 0;

	while (!status && getline(&line, &size, file) > 0) {
		struct json_object *entry = json_tokener_parse(line);

		if (!json_object_is_type(entry, json_type_object))
			status = tool_fail("journalctl: %.*s", (int)strcspn(line, "\n"), line);
		else if (list)
			json_object_array_add(list, json_entry(entry));
		else
			print_entry(entry);
		json_object_put(entry);
	}
	free(line);
	return status;
}

/* Return: 0 or TOOL_FAILED */
static int run_journalctl(const char *const *argv, struct json_object *list)
{
	posix_spawn_file_actions_t actions;
	int fds[2], err, status;
	pid_t pid;
	FILE *file;

	if (pipe(fds))
		return tool_fail("pipe: %s", strerror(errno));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
	posix_spawn_file_actions_addclose(&actions, fds[0]);
	posix_spawn_file_actions_addclose(&actions, fds[1]);
	err = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	file = err ? NULL : fdopen(fds[0], "re");
	if (!file) {
		close(fds[0]);
		return tool_fail("journalctl: %s", strerror(err ?: errno));
	}
	status = read_entries(file, list);
	fclose(file);
	while (waitpid(pid, &err, 0) < 0 && errno == EINTR)
		;
	if (!status && err)
		status = TOOL_FAILED; /* it has said why */
	return status;
}

int loader_run_log(struct tool *tool, int argc, char **argv)
{
	const char *words[16] = {"journalctl", "-q", "--no-pager", "-o", "json", "--all"};
	struct json_object *list = NULL;
	__u64 lines = LINES_DEFAULT;
	bool is_json = false;
	size_t count = 6;
	int id, status;

	words[count++] = "MESSAGE_ID=" AUDIT_MESSAGE_ID;
	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == 'j')
			is_json = true;
		else if (id == 'i')
			words[count++] = tool_str("ECBPF_IFACE=%s", optarg);
		else if (id == OPT_SINCE && strcmp(optarg, tool_safe(optarg)))
			return tool_usage("--since: '%s' is not a time", optarg);
		else if (id == OPT_SINCE)
			words[count++] = tool_str("--since=%s", optarg);
		else if (id != 'n' || tool_parse_number("--lines", optarg, 0, 1000000000, &lines))
			return TOOL_USAGE;
		if (count >= 14)
			return tool_usage("too many options");
	}
	if (tool_operands_none(argc, argv))
		return TOOL_USAGE;
	if (lines)
		words[count++] = tool_str("--lines=%llu", (unsigned long long)lines);
	if (is_json)
		list = json_object_new_array();
	status = run_journalctl(words, list);
	if (list && status == TOOL_OK)
		tool_json_print(list);
	else
		json_object_put(list);
	return status;
}
