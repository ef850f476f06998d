/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What all tools share: verbs and their options, messages, parsing of arguments, tables, JSON.
 *
 * A tool is a const table of verbs, each with a const table of options; help comes out of these. A
 * verb's function parses its arguments, calls libecbpf, prints, and returns an exit status.
 */
#ifndef ECBPF_TOOLS_COMMON_H
#define ECBPF_TOOLS_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>
#include <ecbpf/libecbpf.h>
#include "tools/common/safe.h"

struct json_object;

enum tool_exit {
	TOOL_OK = 0,
	TOOL_FAILED = 1,  /* it was tried, and did not work */
	TOOL_USAGE = 2,	  /* not understood, nothing was tried */
	TOOL_CHANGES = 3, /* --check --exit-code: something would change */
};

#define TOOL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define TOOL_CLEANUP(f)	       __attribute__((cleanup(f)))

/* --- verbs and options ---------------------------------------------------------------------- */

/* Options without a letter are numbered from here */
#define TOOL_LONG_ONLY 256
/* And those that are settings from here, in the order of the stage's table */
#define TOOL_SETTING 1024

/* In the help of an option with an argument; without it, only one is allowed */
#define TOOL_REPEATED "may be repeated"

/**
 * struct tool_option - one option of a verb
 * @id: its letter, or TOOL_LONG_ONLY and up
 * @name: long name
 * @arg: what help calls its argument; NULL if it has none
 * @text: for help; lines after the first begin after a newline
 */
struct tool_option {
	int id;
	const char *name;
	const char *arg;
	const char *text;
};

/* In every verb's options, last */
#define TOOL_COMMON_OPTIONS                                                       \
	{'v', "verbose", NULL, "print each step; twice: also libbpf's messages"}, \
		{'h', "help", NULL, "show this help"},                            \
		{TOOL_LONG_ONLY - 1, "version", NULL, "show the version"},        \
	{                                                                         \
	}

/* --mode, of verbs that attach */
#define TOOL_MODE_OPTION                                                                        \
	{                                                                                       \
		'm', "mode", "MODE",                                                            \
			"native, skb or unspecified: that of the chain,\nnative for a new one " \
			"(default: unspecified)"                                                \
	}

/* Of verbs that change something, see change.h */
#define TOOL_QUIET_OPTION                                            \
	{                                                            \
		'q', "quiet", NULL, "print errors and warnings only" \
	}
#define TOOL_CHANGE_OPTIONS                                       \
	TOOL_QUIET_OPTION,                                        \
	{                                                         \
		'j', "json", NULL, "print JSON: what was changed" \
	}

/* --if-exists of verbs that delete; --exit-code of those with --check */
#define TOOL_IF_EXISTS (TOOL_LONG_ONLY + 104)
#define TOOL_IF_EXISTS_OPTION(verbs)                                                 \
	{                                                                            \
		TOOL_IF_EXISTS, "if-exists", NULL, verbs "a missing one is no error" \
	}
#define TOOL_KEEP_PERMANENT (TOOL_LONG_ONLY + 106)
#define TOOL_EXIT_CODE	    (TOOL_LONG_ONLY + 105)
#define TOOL_EXIT_CODE_OPTION                                                   \
	{                                                                       \
		TOOL_EXIT_CODE, "exit-code", NULL,                              \
			"with --check: exit status 3 if something would change" \
	}

/* --json, and --clear of verbs that print counters, see tool_parse_json(), tool_parse_clear() */
#define TOOL_JSON_OPTION                        \
	{                                       \
		'j', "json", NULL, "print JSON" \
	}
#define TOOL_CLEAR (TOOL_LONG_ONLY + 103)
#define TOOL_CLEAR_OPTION                                             \
	{                                                             \
		TOOL_CLEAR, "clear", NULL, "set the counters to zero" \
	}

struct ecbpf_settings;
/* In the options of verbs that read lists, see ecbpf_list_policy() */
#define TOOL_LIST_SKIP_BAD (TOOL_LONG_ONLY + 100)
#define TOOL_LIST_EMPTY	   (TOOL_LONG_ONLY + 101)
#define TOOL_LIST_FORCE	   (TOOL_LONG_ONLY + 102)
#define TOOL_LIST_SKIP_BAD_OPTION                                      \
	{                                                              \
		TOOL_LIST_SKIP_BAD, "skip-bad", NULL,                  \
			"skip bad lines of lists, show and count them" \
	}
#define TOOL_LIST_FORCE_OPTION                                               \
	{                                                                    \
		TOOL_LIST_FORCE, "force", NULL,                              \
			"block this host, its gateway, loopback, everything" \
	}
#define TOOL_LIST_OPTIONS                                                                 \
	TOOL_LIST_SKIP_BAD_OPTION,                                                        \
		{TOOL_LIST_EMPTY, "allow-empty", NULL, "a filled list may become empty"}, \
		TOOL_LIST_FORCE_OPTION

struct tool;

/* Is it one of TOOL_LIST_OPTIONS, TOOL_IF_EXISTS_OPTION? Then it is set */
bool tool_list_option(struct tool *tool, int id);

/**
 * struct tool_verb - one verb of a tool
 * @args: behind the options, for help: "IFACE PROGRAM..."
 * @text: what it does, for the list of verbs
 * @about: what else there is to say, for its help; or NULL
 * @examples: for its help; or NULL
 * @options: up to {}
 * @settings: the table of a stage, which it takes as operands KEY=VALUE if @args has that; or
 *	      NULL
 * @has_setting_options: and as options --KEY VALUE
 * @run: @argv without the verb's name; Return: enum tool_exit
 */
struct tool_verb {
	const char *name;
	const char *args;
	const char *text;
	const char *about;
	const char *examples;
	const struct tool_option *options;
	const struct ecbpf_settings *(*settings)(void);
	bool has_setting_options;
	int (*run)(struct tool *tool, int argc, char **argv);
};

struct tool {
	const char *name;
	const char *text;
	const char *examples;
	const struct tool_verb *verbs; /* up to {}; the first that an abbreviation fits is meant.
					* Or a single one named "": a tool without verbs */
	const struct tool_verb *verb;  /* the one that runs */
	struct ecbpf *ecbpf;
};

/* main() of a tool */
int tool_main(struct tool *tool, int argc, char **argv);

/* Next option of the verb that runs, as getopt(3); after -1, optind is the first operand. '?': a
 * usage error, told already
 */
int tool_getopt(struct tool *tool, int argc, char **argv);

/* How often -v was given */
int tool_verbosity(void);

/* --- messages ------------------------------------------------------------------------------- */

/* Control characters in them are shown as text, see safe.h; the same for cells of tables */

void tool_warn(const char *fmt, ...) TOOL_PRINTF(1, 2);

/* What tool_usage() begins with, if the argument is of a file; NULL: it is of the command line */
void tool_usage_at(const char *file, int line);
/* One line, and where help is. Return: TOOL_USAGE */
int tool_usage(const char *fmt, ...) TOOL_PRINTF(1, 2);

/* One line. Return: TOOL_FAILED */
int tool_fail(const char *fmt, ...) TOOL_PRINTF(1, 2);

/* The last failure of the library, with the end of what belongs to it. Return: TOOL_FAILED */
int tool_fail_ecbpf(const struct tool *tool);

/* --- arguments ------------------------------------------------------------------------------ */

struct tool_list {
	char **items;
	size_t count;
};

void tool_list_add(struct tool_list *list, const char *item);
void tool_list_free(struct tool_list *list);

/*
 * The parsers return 0, or TOOL_USAGE when they have said what is wrong with @text. @what is the
 * option or operand it came with, "--prio".
 */
int tool_parse_number(const char *what, const char *text, __u64 min, __u64 max, __u64 *ret_value);

/* For verbs that have only common options */
int tool_parse_none(struct tool *tool, int argc, char **argv);

/* And TOOL_CHANGE_OPTIONS; TOOL_JSON_OPTION, and TOOL_CLEAR_OPTION */
int tool_parse_change(struct tool *tool, int argc, char **argv);
int tool_parse_json(struct tool *tool, int argc, char **argv, bool *ret_is_json);
int tool_parse_clear(struct tool *tool, int argc, char **argv, bool *ret_is_json,
		     bool *ret_is_clear);

/* Behind the options: there are no more operands; they are interfaces */
int tool_operands_none(int argc, char **argv);
int tool_operands_ifaces(int argc, char **argv, struct tool_list *ifaces);

/* Of TOOL_MODE_OPTION */
int tool_parse_mode(const char *text, enum ecbpf_mode *ret_mode);

/* "XDP_PASS,XDP_DROP" to bits (1 << XDP_PASS) and so on; not none */
int tool_parse_actions(const char *what, const char *text, __u32 *ret_actions);

/* "NAME=VALUE", VALUE being a number or an action, to the "NAME=NUMBER" of ecbpf_program */
int tool_parse_setting(const char *what, const char *text, struct tool_list *settings);

/*
 * "eth0,eth1" to interfaces; one whose name has a comma wins over the list. None is added twice.
 * Interfaces need not exist: the library tells.
 */
int tool_parse_ifaces(const char *text, struct tool_list *ifaces);

/* All interfaces there are. Return: 0 or TOOL_FAILED */
int tool_ifaces_all(struct tool_list *ifaces);

/* --- output --------------------------------------------------------------------------------- */

/* Columns as wide as they have to be, two spaces apart. Cells are copied */
struct tool_table {
	size_t columns;
	const char *align; /* one letter a column: 'l' or 'r' */
	struct tool_list cells;
};

/* As many cells as there are columns */
void tool_table_row(struct tool_table *table, ...);
void tool_table_print(const struct tool_table *table, const char *indent);
void tool_table_write(FILE *out, const struct tool_table *table, const char *indent);
void tool_table_free(struct tool_table *table);

/* For cells: printf() into memory that the next eight calls leave alone */
const char *tool_str(const char *fmt, ...) TOOL_PRINTF(1, 2);

/* "1 rule", "2 rules"; memory as of tool_str(). Words with -es: those that end with x */
const char *tool_many(size_t count, const char *what);

/* Add to an object; a NULL @value is null */
void tool_json_str(struct json_object *json, const char *key, const char *value);
void tool_json_num(struct json_object *json, const char *key, __u64 value);
void tool_json_bool(struct json_object *json, const char *key, bool value);

/* Print and free, see tool_put_json(); _exact: what is of tool_exact(); _line: one of several */
void tool_json_print(struct json_object *json);
void tool_json_print_exact(struct json_object *json);
void tool_json_print_line(struct json_object *json);

/* Or an end of the program: a tool has nothing to do without memory */
void *tool_alloc(void *ptr, size_t bytes);

#endif /* ECBPF_TOOLS_COMMON_H */
