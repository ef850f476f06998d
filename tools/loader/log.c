// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The verb log: changes that the tools wrote to the systemd journal, as journalctl(1) finds them */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <net/if.h>
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
#define BAD_TIME      "Failed to parse timestamp: " /* of journalctl */

extern char **environ;

const struct tool_option loader_log_options[] = {
	{'n', "lines", "N", "the last N changes (default: 100; 0: all)"},
	{OPT_SINCE, "since", "TIME", "changes since then: today, -1h, see systemd.time(7)"},
	{'i', "interface", "IFACE", "changes of this interface; " TOOL_REPEATED},
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

/* @convert: localtime_r, gmtime_r. Return: NULL if there is none */
static const char *time_of(struct json_object *entry, const char *format,
			   struct tm *(*convert)(const time_t *, struct tm *))
{
	const char *text = field(entry, "__REALTIME_TIMESTAMP");
	time_t seconds = text ? (time_t)(strtoull(text, NULL, 10) / 1000000) : 0;
	char when[64];
	struct tm tm;

	if (!text || !convert(&seconds, &tm))
		return NULL;
	strftime(when, sizeof(when), format, &tm);
	return tool_str("%s", when);
}

/* The journal has text only. What is no number is null */
static struct json_object *number_of(struct json_object *entry, const char *name)
{
	const char *text = field(entry, name);
	char *end;
	__u64 number;

	errno = 0;
	number = text ? strtoull(text, &end, 10) : 0;
	return text && isdigit((unsigned char)*text) && !*end && !errno
		       ? json_object_new_uint64(number)
		       : NULL;
}

static struct json_object *json_entry(struct json_object *entry)
{
	static const char *const texts[][2] = {
		{"tool", "ECBPF_TOOL"}, {"verb", "ECBPF_VERB"},
		{"what", "ECBPF_WHAT"}, {"result", "ECBPF_RESULT"},
		{"text", "ECBPF_TEXT"}, {"sudo_user", "ECBPF_SUDO_USER"},
	};
	static const char *const numbers[][2] = {
		{"pid", "ECBPF_PID"},
		{"uid", "ECBPF_UID"},
		{"loginuid", "ECBPF_LOGINUID"},
	};
	struct json_object *json = json_object_new_object();

	tool_json_str(json, "time", time_of(entry, "%Y-%m-%dT%H:%M:%SZ", gmtime_r));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		tool_json_str(json, texts[i][0], field(entry, texts[i][1]));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_object_object_add(json, numbers[i][0], number_of(entry, numbers[i][1]));
	json_object_object_add(json, "interfaces", ifaces_of(entry));
	return json;
}

static void print_entry(struct json_object *entry)
{
	const char *text = field(entry, "ECBPF_TEXT"), *what = field(entry, "ECBPF_WHAT");

	printf("%s %s: %s %s", time_of(entry, "%Y-%m-%d %H:%M:%S", localtime_r) ?: "-",
	       tool_safe(who(entry) ?: "-"), tool_safe(field(entry, "ECBPF_TOOL") ?: "-"),
	       tool_safe(field(entry, "ECBPF_VERB") ?: "-"));
	printf("%s%s: %s%s%s\n", what && *what ? " " : "", tool_safe(what ?: ""),
	       tool_safe(field(entry, "ECBPF_RESULT") ?: "-"), text && *text ? ": " : "",
	       tool_safe(text ?: ""));
}

/* The last @max entries of those that were read; all if @max is 0 */
struct last {
	struct json_object **entries;
	size_t count; /* of @entries */
	size_t max;
	size_t read;
};

/* @entry belongs to @last afterwards */
static void last_add(struct last *last, struct json_object *entry)
{
	size_t at = last->max ? last->read % last->max : last->read;

	last->read++;
	if (at < last->count) {
		json_object_put(last->entries[at]);
	} else {
		last->entries = tool_alloc(last->entries, (at + 1) * sizeof(*last->entries));
		last->count++;
	}
	last->entries[at] = entry;
}

/* The one at @i, the oldest first */
static struct json_object *last_get(const struct last *last, size_t i)
{
	return last->entries[last->count ? (last->read + i) % last->count : 0];
}

static void last_free(struct last *last)
{
	for (size_t i = 0; i < last->count; i++)
		json_object_put(last->entries[i]);
	free(last->entries);
}

static void print_last(const struct last *last, bool is_json)
{
	struct json_object *list = is_json ? json_object_new_array() : NULL;

	for (size_t i = 0; i < last->count; i++)
		if (is_json)
			json_object_array_add(list, json_entry(last_get(last, i)));
		else
			print_entry(last_get(last, i));
	if (is_json)
		tool_json_print_exact(list); /* the journal has it so */
}

/* What journalctl prints: an object on each line, or what is wrong. Return: enum tool_exit */
static int read_entries(FILE *file, struct last *last)
{
	char *line = NULL;
	size_t size = 0;
	int status = 0;

	while (!status && getline(&line, &size, file) > 0) {
		struct json_object *entry = json_tokener_parse(line);

		if (json_object_is_type(entry, json_type_object)) {
			last_add(last, entry);
			continue;
		}
		json_object_put(entry);
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, BAD_TIME, strlen(BAD_TIME)))
			status = tool_usage("--since: '%s' is not a time, see systemd.time(7)",
					    line + strlen(BAD_TIME));
		else
			status = tool_fail("journalctl: %s", line);
	}
	free(line);
	return status;
}

/* Return: enum tool_exit */
static int run_journalctl(const char *const *argv, struct last *last)
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
	status = read_entries(file, last);
	fclose(file);
	while (waitpid(pid, &err, 0) < 0 && errno == EINTR)
		;
	if (!status && err)
		status = TOOL_FAILED; /* it has said why */
	return status;
}

/* journalctl -q does not tell a journal that is not there from one without entries */
static int require_journal(void)
{
	glob_t found = {};
	int err = glob("/run/log/journal/*/*.journal", GLOB_NOSORT, NULL, &found);

	if (err)
		err = glob("/var/log/journal/*/*.journal", GLOB_NOSORT, NULL, &found);
	globfree(&found);
	return err ? tool_fail("no systemd journal here: it is not known who changed what") : 0;
}

/* Entries have the name that the interface had, which may be an alternative one by now */
static size_t add_iface(const char *name, const char **ret_words)
{
	unsigned int index = ecbpf_iface_find(name);
	char real_name[IF_NAMESIZE];

	ret_words[0] = tool_str("ECBPF_IFACE=%s", name);
	if (!index || !if_indextoname(index, real_name) || !strcmp(real_name, name))
		return 1;
	ret_words[1] = tool_str("ECBPF_IFACE=%s", real_name);
	return 2;
}

int loader_run_log(struct tool *tool, int argc, char **argv)
{
	const char *words[16] = {"journalctl", "-q", "--no-pager", "-o", "json", "--all"};
	bool is_json = false, has_lines = false, has_since = false;
	struct last last TOOL_CLEANUP(last_free) = {};
	__u64 lines = LINES_DEFAULT;
	size_t count = 6;
	int id, status;

	words[count++] = "MESSAGE_ID=" AUDIT_MESSAGE_ID;
	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == 'j') {
			is_json = true;
		} else if (id == 'i') {
			count += add_iface(optarg, &words[count]);
		} else if (id == OPT_SINCE && strcmp(optarg, tool_safe(optarg))) {
			return tool_usage("--since: '%s' is not a time", optarg);
		} else if (id == OPT_SINCE) {
			words[count++] = tool_str("--since=%s", optarg);
			has_since = true;
		} else if (id == 'n') {
			has_lines = true;
			if (tool_parse_number("--lines", optarg, 0, 1000000000, &lines))
				return TOOL_USAGE;
		} else {
			return TOOL_USAGE;
		}
		if (count >= 13)
			return tool_usage("too many options");
	}
	if (tool_operands_none(argc, argv))
		return TOOL_USAGE;
	/* with --since, journalctl's --lines are the first ones. One more: there are more */
	if (lines && !has_since)
		words[count++] = tool_str("--lines=%llu", (unsigned long long)lines + 1);
	last.max = lines;
	status = run_journalctl(words, &last);
	if (!status && !last.count)
		status = require_journal();
	if (status)
		return status;
	print_last(&last, is_json);
	if (!has_lines && last.read > last.count)
		tool_warn("these are the last %zu changes, there are more: -n 0 prints all",
			  last.count);
	return TOOL_OK;
}
