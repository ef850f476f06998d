// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What all tools share, see common.h */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <json-c/json.h>
#include <linux/bpf.h>
#include <ecbpf/libecbpf-list.h>
#include "tools/common/change.h"
#include "tools/common/common.h"
#include "tools/common/settings.h"

#define OPTIONS_MAX	  128
#define DETAIL_LINES_MAX  15
#define HELP_OPTION_WIDTH 28

enum {
	OPTION_VERSION = TOOL_LONG_ONLY - 1
};

/* The one tool of this process, for messages */
static struct tool *self;
static int verbosity;
static char last_error[512];

int tool_verbosity(void)
{
	return verbosity;
}

bool tool_list_option(struct tool *tool, int id)
{
	static unsigned int policy;

	if (id == TOOL_LIST_SKIP_BAD)
		policy |= ECBPF_LIST_SKIP_BAD;
	else if (id == TOOL_LIST_EMPTY)
		policy |= ECBPF_LIST_ALLOW_EMPTY;
	else if (id == TOOL_LIST_FORCE)
		policy |= ECBPF_LIST_FORCE;
	else if (id == TOOL_IF_EXISTS)
		policy |= ECBPF_LIST_IF_EXISTS;
	else if (id == TOOL_KEEP_PERMANENT)
		policy |= ECBPF_LIST_KEEP_PERMANENT;
	else
		return false;
	ecbpf_list_policy(tool->ecbpf, policy);
	return true;
}

/* --- messages ------------------------------------------------------------------------------- */

TOOL_PRINTF(1, 0) static void message(const char *fmt, va_list args)
{
	char *text;

	fflush(stdout); /* both may go to one file */
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	fprintf(stderr, "%s: ", self->name);
	if (text)
		tool_put_safe(stderr, text, strlen(text), "");
	else
		fputs("out of memory", stderr);
	fputc('\n', stderr);
	free(text);
}

void tool_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	message(fmt, args);
	va_end(args);
}

static char usage_place[256];

void tool_usage_at(const char *file, int line)
{
	*usage_place = '\0';
	if (file)
		snprintf(usage_place, sizeof(usage_place), "%s:%d: ", file, line);
}

int tool_usage(const char *fmt, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	tool_warn("%s%s", usage_place, text ?: "out of memory");
	free(text);
	fprintf(stderr, "Try '%s%s%s --help'\n", self->name,
		self->verb && *self->verb->name ? " " : "", self->verb ? self->verb->name : "");
	return TOOL_USAGE;
}

int tool_fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(last_error, sizeof(last_error), fmt, args);
	va_end(args);
	va_start(args, fmt);
	message(fmt, args);
	va_end(args);
	return TOOL_FAILED;
}

/* A verifier log tells at its end what is wrong */
static void print_detail(const char *detail)
{
	size_t len = strlen(detail), lines = 0, skip;
	const char *p;

	while (len && detail[len - 1] == '\n')
		len--;
	for (p = detail; p < detail + len; p++)
		lines += *p == '\n';
	lines += len > 0;
	skip = verbosity || lines <= DETAIL_LINES_MAX ? 0 : lines - DETAIL_LINES_MAX;
	if (skip)
		fprintf(stderr, "  (the last %d of %zu lines; -v shows all)\n", DETAIL_LINES_MAX,
			lines);
	for (p = detail; p<detail + len; skip -= skip> 0) {
		const char *end = memchr(p, '\n', detail + len - p);

		if (!end)
			end = detail + len;
		if (!skip) {
			fputs("  ", stderr);
			tool_put_safe(stderr, p, end - p, "\t");
			fputc('\n', stderr);
		}
		p = end + 1;
	}
}

int tool_fail_ecbpf(const struct tool *tool)
{
	const char *error = ecbpf_error(tool->ecbpf), *detail = ecbpf_error_detail(tool->ecbpf);

	snprintf(last_error, sizeof(last_error), "%s", error);
	/* errors in a file, the first one first */
	if (*error && !strncmp(detail, error, strlen(error))) {
		fflush(stdout);
		tool_put_safe(stderr, detail, strlen(detail), "\n\t");
		return TOOL_FAILED;
	}
	tool_warn("%s", error);
	print_detail(detail);
	return TOOL_FAILED;
}

static void log_line(void *data, enum ecbpf_log_level level, const char *line)
{
	(void)data;
	if ((int)level > verbosity)
		return;
	if (level == ECBPF_LOG_WARN)
		tool_warn("warning: %s", line);
	else
		tool_warn("%s", line);
}

void *tool_alloc(void *ptr, size_t bytes)
{
	void *moved = realloc(ptr, bytes);

	if (!moved)
		exit(tool_fail("out of memory"));
	return moved;
}

/* --- help ----------------------------------------------------------------------------------- */

static void help_option(const struct tool_option *option)
{
	const char *text = option->text, *end;
	char head[64];
	int len;

	if (option->id < OPTION_VERSION)
		len = snprintf(head, sizeof(head), "  -%c, --%s", option->id, option->name);
	else
		len = snprintf(head, sizeof(head), "      --%s", option->name);
	if (option->arg)
		snprintf(head + len, sizeof(head) - len, " %s", option->arg);
	printf("%-*s", HELP_OPTION_WIDTH, head);
	while ((end = strchr(text, '\n'))) {
		printf("%.*s\n%*s", (int)(end - text), text, HELP_OPTION_WIDTH, "");
		text = end + 1;
	}
	printf("%s\n", text);
}

static bool takes_keys(const struct tool_verb *verb)
{
	return verb->settings && strstr(verb->args, "KEY=VALUE");
}

static void help_verb(const struct tool *tool, const struct tool_verb *verb)
{
	bool is_only = !*verb->name;

	printf("Usage: %s%s%s [OPTION]... %s\n\n%c%s.\n", tool->name, is_only ? "" : " ",
	       verb->name, verb->args, verb->text[0] - 'a' + 'A', verb->text + 1);
	if (verb->about)
		printf("\n%s", verb->about);
	printf("\nOptions:\n");
	for (const struct tool_option *option = verb->options; option->name; option++) {
		if (option->id == 'v' && verb->has_setting_options && !takes_keys(verb))
			tool_settings_help_options(verb->settings(), HELP_OPTION_WIDTH);
		help_option(option);
	}
	if (takes_keys(verb)) {
		printf("\nSettings:\n");
		tool_settings_help(verb->settings());
	}
	if (verb->examples)
		printf("\nExamples:\n%s", verb->examples);
	printf("\nMore in %s(%d).\n", tool->name, is_only ? 1 : 8);
}

static void help_tool(const struct tool *tool)
{
	printf("Usage: %s VERB [OPTION]... [ARGUMENT]...\n\n%s\nVerbs:\n", tool->name, tool->text);
	for (const struct tool_verb *verb = tool->verbs; verb->name; verb++)
		printf("  %-10s%s\n", verb->name, verb->text);
	printf("  %-10s%s\n", "help", "show this help, or that of a verb");
	printf("\nExamples:\n%s\n'%s VERB --help' shows the options of a verb. More in %s(8).\n",
	       tool->examples, tool->name, tool->name);
}

static void print_version(const struct tool *tool)
{
	printf("%s %s\n", tool->name, ecbpf_version());
}

/* --- verbs and options ---------------------------------------------------------------------- */

static void getopt_tables(const struct tool_verb *verb, struct option *longs, char *shorts)
{
	const struct tool_option *options = verb->options;

	*shorts++ = ':';
	for (; options->name; options++, longs++) {
		*longs = (struct option){.name = options->name,
					 .has_arg = options->arg ? required_argument : no_argument,
					 .val = options->id};
		if (options->id >= OPTION_VERSION)
			continue;
		*shorts++ = options->id;
		if (options->arg)
			*shorts++ = ':';
	}
	for (size_t i = 0; verb->has_setting_options && i < verb->settings()->count; i++)
		*longs++ = (struct option){.name = verb->settings()->rows[i].name,
					   .has_arg = required_argument,
					   .val = TOOL_SETTING + (int)i};
	*longs = (struct option){};
	*shorts = '\0';
}

/* Of two values nobody knows which one counts. @seen: a bit for each option of the table */
static bool check_repeated(const struct tool_verb *verb, const struct option *longs, int id,
			   __u64 *seen)
{
	size_t i = 0;

	while (longs[i].name && longs[i].val != id)
		i++;
	if (!longs[i].name || longs[i].has_arg == no_argument)
		return true;
	if (seen[i / 64] & 1ULL << i % 64 &&
	    (id >= TOOL_SETTING || !strstr(verb->options[i].text, TOOL_REPEATED))) {
		tool_usage("--%s is given twice", longs[i].name);
		return false;
	}
	seen[i / 64] |= 1ULL << i % 64;
	return true;
}

static void finish(struct tool *tool, int status) __attribute__((noreturn));

int tool_getopt(struct tool *tool, int argc, char **argv)
{
	static __u64 seen[OPTIONS_MAX / 64];
	struct option longs[OPTIONS_MAX];
	char shorts[2 * OPTIONS_MAX + 2];
	int id;

	getopt_tables(tool->verb, longs, shorts);
	opterr = 0;
	if (optind <= 1) /* the first option, maybe of another round */
		memset(seen, 0, sizeof(seen));
	while ((id = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (!check_repeated(tool->verb, longs, id, seen))
			return '?';
		switch (id) {
		case 'v':
			verbosity++;
			continue;
		case 'q':
			tool_change_quiet();
			continue;
		case 'j':
			tool_change_json();
			return id;
		case 'h':
			help_verb(tool, tool->verb);
			finish(tool, TOOL_OK);
		case OPTION_VERSION:
			print_version(tool);
			finish(tool, TOOL_OK);
		case ':':
			tool_usage("%s: needs an argument", argv[optind - 1]);
			return '?';
		case '?':
			if (optopt && optopt < OPTION_VERSION && strchr(shorts, optopt) == NULL)
				tool_usage("-%c: no such option", optopt);
			else if (optopt)
				tool_usage("%s: takes no argument", argv[optind - 1]);
			else
				tool_usage("%s: no such option, or short for several",
					   argv[optind - 1]);
			return '?';
		}
		return id;
	}
	return -1;
}

/* As xdp-loader does, a verb may be cut short */
static const struct tool_verb *find_verb(const struct tool *tool, const char *name)
{
	const struct tool_verb *verb;

	for (verb = tool->verbs; verb->name; verb++)
		if (!strcmp(verb->name, name))
			return verb;
	for (verb = tool->verbs; verb->name && name[0]; verb++)
		if (!strncmp(verb->name, name, strlen(name)))
			return verb;
	return NULL;
}

static int help(struct tool *tool, const char *name)
{
	const struct tool_verb *verb;

	if (!name || !strcmp(name, "-h") || !strcmp(name, "--help") || !strcmp(name, "help")) {
		help_tool(tool);
		return TOOL_OK;
	}
	verb = find_verb(tool, name);
	if (!verb)
		return tool_usage("'%s' is not a verb", name);
	help_verb(tool, verb);
	return TOOL_OK;
}

/*
 * A file opened in the place of a closed stdout would be written to. What stands for a closed stdin
 * cannot be read, by whatever name: an empty file would be a list without entries
 */
static void guard_std_fds(void)
{
	int fd;

	if (fcntl(STDIN_FILENO, F_GETFD) < 0 && errno == EBADF)
		(void)!open("/", O_PATH | O_DIRECTORY);
	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/*
 * What could not be written was not said: to a script, that is a failure. But of a change that was
 * made, it would be told that nothing was changed
 */
static void finish(struct tool *tool, int status)
{
	const char *problem;

	tool_change_end(tool, status, last_error);
	problem = ferror(stdout) ? "could not be written" : NULL;
	if (fflush(stdout))
		problem = strerror(errno);
	if (problem && status == TOOL_OK && tool_change_is_begun())
		tool_warn("standard output: %s; what was to be changed is changed", problem);
	else if (problem && (status == TOOL_OK || status == TOOL_CHANGES))
		status = tool_fail("standard output: %s", problem);
	ecbpf_free(tool->ecbpf);
	exit(status);
}

static void __attribute__((noreturn))
run(struct tool *tool, const struct tool_verb *verb, int argc, char **argv)
{
	tool->verb = verb;
	tool_change_args(argc, argv);
	if (ecbpf_new(&tool->ecbpf))
		exit(tool_fail("out of memory"));
	ecbpf_set_log(tool->ecbpf, log_line, NULL);
	finish(tool, verb->run(tool, argc, argv));
}

int tool_main(struct tool *tool, int argc, char **argv)
{
	self = tool;
	guard_std_fds();
	if (!*tool->verbs->name)
		run(tool, tool->verbs, argc, argv);
	if (argc < 2)
		return tool_usage("which verb?");
	if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help"))
		finish(tool, help(tool, NULL));
	if (!strcmp(argv[1], "--version")) {
		print_version(tool);
		finish(tool, TOOL_OK);
	}
	if (argv[1][0] == '-')
		return tool_usage("%s: the verb comes first", argv[1]);
	tool->verb = find_verb(tool, argv[1]);
	if (!tool->verb && argv[1][0] && !strncmp("help", argv[1], strlen(argv[1])))
		finish(tool, help(tool, argv[2]));
	if (!tool->verb)
		return tool_usage("'%s' is not a verb", argv[1]);
	run(tool, tool->verb, argc - 1, argv + 1);
}

/* --- arguments ------------------------------------------------------------------------------ */

void tool_list_add(struct tool_list *list, const char *item)
{
	size_t bytes = strlen(item) + 1;
	char *copy = memcpy(tool_alloc(NULL, bytes), item, bytes);

	list->items = tool_alloc(list->items, (list->count + 1) * sizeof(*list->items));
	list->items[list->count++] = copy;
}

void tool_list_free(struct tool_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct tool_list){};
}

int tool_parse_none(struct tool *tool, int argc, char **argv)
{
	return tool_getopt(tool, argc, argv) == -1 ? 0 : TOOL_USAGE;
}

int tool_parse_change(struct tool *tool, int argc, char **argv)
{
	int id;

	do
		id = tool_getopt(tool, argc, argv);
	while (id == 'j');
	return id == -1 ? 0 : TOOL_USAGE;
}

int tool_parse_json(struct tool *tool, int argc, char **argv, bool *ret_is_json)
{
	bool is_clear;

	return tool_parse_clear(tool, argc, argv, ret_is_json, &is_clear);
}

int tool_parse_clear(struct tool *tool, int argc, char **argv, bool *ret_is_json,
		     bool *ret_is_clear)
{
	int id;

	*ret_is_json = *ret_is_clear = false;
	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == 'j')
			*ret_is_json = true;
		else if (id == TOOL_CLEAR)
			*ret_is_clear = true;
		else
			return TOOL_USAGE;
	}
	return 0;
}

int tool_operands_none(int argc, char **argv)
{
	return optind < argc ? tool_usage("'%s': takes no operands", argv[optind]) : 0;
}

int tool_operands_ifaces(int argc, char **argv, struct tool_list *ifaces)
{
	for (int i = optind; i < argc; i++)
		if (tool_parse_ifaces(argv[i], ifaces))
			return TOOL_USAGE;
	return 0;
}

/* Decimal, or hexadecimal after 0x; nothing before, nothing behind, no overflow */
static bool read_number(const char *text, __u64 *ret_value)
{
	bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = is_hex ? text + 2 : text;
	char *end;
	__u64 value;

	if (!*digits || digits[strspn(digits, is_hex ? "0123456789abcdefABCDEF" : "0123456789")])
		return false;
	errno = 0;
	value = strtoull(digits, &end, is_hex ? 16 : 10);
	if (errno || *end)
		return false;
	*ret_value = value;
	return true;
}

int tool_parse_number(const char *what, const char *text, __u64 min, __u64 max, __u64 *ret_value)
{
	__u64 value;

	if (!read_number(text, &value) || value < min || value > max)
		return tool_usage("%s: '%s' is not a number from %" PRIu64 " to %" PRIu64, what,
				  text, (uint64_t)min, (uint64_t)max);
	*ret_value = value;
	return 0;
}

int tool_parse_mode(const char *text, enum ecbpf_mode *ret_mode)
{
	if (ecbpf_mode_parse(text, ret_mode))
		return tool_usage("--mode: '%s' is not native, skb or unspecified", text);
	return 0;
}

static bool read_action(const char *text, size_t len, __u32 *ret_action)
{
	for (__u32 action = XDP_ABORTED; action <= XDP_REDIRECT; action++) {
		const char *name = ecbpf_action_name(action);

		if (strlen(name) == len && !memcmp(name, text, len)) {
			*ret_action = action;
			return true;
		}
	}
	return false;
}

int tool_parse_actions(const char *what, const char *text, __u32 *ret_actions)
{
	__u32 actions = 0, action;

	for (const char *p = text;; p++) {
		size_t len = strcspn(p, ",");

		if (!read_action(p, len, &action))
			return tool_usage("%s: '%.*s' is not one of XDP_ABORTED, XDP_DROP, "
					  "XDP_PASS, XDP_TX, XDP_REDIRECT",
					  what, (int)len, p);
		actions |= 1U << action;
		p += len;
		if (!*p)
			break;
	}
	*ret_actions = actions;
	return 0;
}

int tool_parse_setting(const char *what, const char *text, struct tool_list *settings)
{
	const char *value = strchr(text, '=');
	char *setting;
	__u64 number;
	__u32 action;

	if (!value || value == text)
		return tool_usage("%s: '%s' is not NAME=VALUE", what, text);
	value++;
	if (read_action(value, strlen(value), &action))
		number = action;
	else if (!read_number(value, &number))
		return tool_usage("%s: '%s': the value is neither a number nor an XDP action", what,
				  text);
	if (asprintf(&setting, "%.*s%" PRIu64, (int)(value - text), text, (uint64_t)number) < 0)
		exit(tool_fail("out of memory"));
	tool_list_add(settings, setting);
	free(setting);
	return 0;
}

static void add_iface(struct tool_list *ifaces, const char *name)
{
	char real_name[IF_NAMESIZE];
	unsigned int index = ecbpf_iface_find(name);

	/* an alternative name may have led there */
	if (index && if_indextoname(index, real_name))
		name = real_name;
	for (size_t i = 0; i < ifaces->count; i++)
		if (!strcmp(ifaces->items[i], name))
			return;
	tool_list_add(ifaces, name);
	tool_change_iface(name);
}

int tool_parse_ifaces(const char *text, struct tool_list *ifaces)
{
	char *copy, *name, *rest;

	if (!text[0])
		return tool_usage("'' is not an interface");
	if (ecbpf_iface_find(text)) {
		add_iface(ifaces, text);
		return 0;
	}
	copy = strcpy(tool_alloc(NULL, strlen(text) + 1), text);
	rest = copy;
	while ((name = strsep(&rest, ","))) {
		if (!name[0]) {
			free(copy);
			return tool_usage("'%s': an interface is missing in this list", text);
		}
		add_iface(ifaces, name);
	}
	free(copy);
	return 0;
}

int tool_ifaces_all(struct tool_list *ifaces)
{
	struct if_nameindex *all = if_nameindex();

	if (!all)
		return tool_fail("list of interfaces: %s", strerror(errno));
	for (struct if_nameindex *i = all; i->if_index; i++)
		tool_list_add(ifaces, i->if_name);
	if_freenameindex(all);
	return 0;
}

/* --- output --------------------------------------------------------------------------------- */

const char *tool_str(const char *fmt, ...)
{
	static char buffers[8][512];
	static unsigned int next;
	char *buffer = buffers[next++ % 8];
	va_list args;

	va_start(args, fmt);
	vsnprintf(buffer, sizeof(buffers[0]), fmt, args);
	va_end(args);
	return buffer;
}

const char *tool_many(size_t count, const char *what)
{
	const char *ending = what[strlen(what) - 1] == 'x' ? "es" : "s";

	return tool_str("%zu %s%s", count, what, count == 1 ? "" : ending);
}

void tool_table_row(struct tool_table *table, ...)
{
	va_list args;

	va_start(args, table);
	for (size_t i = 0; i < table->columns; i++)
		tool_list_add(&table->cells, va_arg(args, const char *));
	va_end(args);
}

void tool_table_write(FILE *out, const struct tool_table *table, const char *indent)
{
	size_t columns = table->columns;
	int *widths = tool_alloc(NULL, columns * sizeof(*widths));

	memset(widths, 0, columns * sizeof(*widths));
	for (size_t i = 0; i < table->cells.count; i++) {
		int len = strlen(tool_safe(table->cells.items[i]));

		if (widths[i % columns] < len)
			widths[i % columns] = len;
	}
	for (size_t i = 0; i < table->cells.count; i++) {
		/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): a table has columns */
		size_t column = i % columns;
		const char *cell = tool_safe(table->cells.items[i]);

		fprintf(out, "%s", column ? "  " : indent);
		if (table->align[column] == 'r')
			fprintf(out, "%*s", widths[column], cell);
		else if (column + 1 < columns)
			fprintf(out, "%-*s", widths[column], cell);
		else
			fprintf(out, "%s", cell);
		if (column + 1 == columns)
			fprintf(out, "\n");
	}
	free(widths);
}

void tool_table_print(const struct tool_table *table, const char *indent)
{
	tool_table_write(stdout, table, indent);
}

void tool_table_free(struct tool_table *table)
{
	tool_list_free(&table->cells);
}

void tool_json_str(struct json_object *json, const char *key, const char *value)
{
	json_object_object_add(json, key, value ? json_object_new_string(value) : NULL);
}

void tool_json_num(struct json_object *json, const char *key, __u64 value)
{
	json_object_object_add(json, key, json_object_new_uint64(value));
}

void tool_json_bool(struct json_object *json, const char *key, bool value)
{
	json_object_object_add(json, key, json_object_new_boolean(value));
}

static void json_print(struct json_object *json, int flags, bool has_escapes)
{
	tool_put_json(stdout,
		      json_object_to_json_string_ext(json, flags | JSON_C_TO_STRING_NOSLASHESCAPE),
		      has_escapes);
	putchar('\n');
	json_object_put(json);
}

void tool_json_print(struct json_object *json)
{
	json_print(json, JSON_C_TO_STRING_PRETTY, false);
}

void tool_json_print_exact(struct json_object *json)
{
	json_print(json, JSON_C_TO_STRING_PRETTY, true);
}

void tool_json_print_line(struct json_object *json)
{
	json_print(json, JSON_C_TO_STRING_PLAIN, false);
}
