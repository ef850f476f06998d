// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ecbpf-filter: lists of sources. `list` prints the format that `import` reads: prefix, tag,
 * expiry; other information is in a comment.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <json-c/json.h>
#include <ecbpf/libecbpf-filter.h>
#include "tools/common/change.h"
#include "tools/common/list.h"
#include "tools/filter/filter.h"

enum {
	OPT_REPLACE = TOOL_LONG_ONLY,
	OPT_TAGS,
};

#define TOP_DEFAULT 10

const struct tool_option filter_list_options[] = {
	{'t', "tag", "TAG",
	 "add: a note of up to 31 characters without blanks;\n"
	 "delete: only with this tag"},
	{'e', "expires", "TIME",
	 "add: duration, such as 90s, 10m, 2h, 7d, 4w, or time,\n"
	 "such as 2027-01-31T23:59:59Z"},
	{'f', "file", "FILE", "import: a list, see ecbpf-list(5); -: standard input"},
	{OPT_REPLACE, "replace", NULL, "import: replaces the list with these prefixes"},
	{OPT_TAGS, "tags", NULL, "list: only the tags, each once"},
	{TOOL_KEEP_PERMANENT, "keep-permanent", NULL,
	 "add, import: entries without expiry do not get one"},
	TOOL_IF_EXISTS_OPTION("delete: "),
	TOOL_CHANGE_OPTIONS,
	TOOL_LIST_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

struct options {
	__u32 list;
	const char *verb;
	const char *tag;
	const char *expires;
	const char *file;
	bool is_replace;
	bool is_json;
	bool is_tags;
	bool may_be_absent;
	bool keeps_permanent;
};

struct entries {
	struct ecbpf_filter_entry *items;
	size_t count;
};

static void entries_free(struct entries *entries)
{
	free(entries->items);
}

/* --- operands --------------------------------------------------------------------------------- */

/* Of a list. Return: 0 or TOOL_FAILED */
static int take_list(struct tool *tool, const struct ecbpf_list *list, struct entries *entries)
{
	entries->items = ecbpf_filter_entries(tool->ecbpf, list);
	if (!entries->items)
		return tool_fail_ecbpf(tool);
	entries->count = list->count;
	return 0;
}

/* Operands, with the options' tag and expiry. Return: 0, TOOL_FAILED or TOOL_USAGE */
static int parse_operands(struct tool *tool, const struct options *options, char **operands,
			  int count, struct entries *entries)
{
	struct ecbpf_list list TOOL_CLEANUP(ecbpf_list_free) = {};
	struct ecbpf *e = tool->ecbpf;
	__u64 expires = 0;
	int err;

	if (options->expires && ecbpf_filter_expiry_parse(e, options->expires, &expires))
		return tool_usage("--expires: %s", ecbpf_error(e));
	err = tool_list_read(tool, NULL, count, operands, 0, &list);
	if (!err)
		err = take_list(tool, &list, entries);
	for (size_t i = 0; i < entries->count && !err; i++) {
		entries->items[i].expires = expires;
		if (ecbpf_filter_tag_set(e, &entries->items[i], options->tag ?: ""))
			err = tool_usage("--tag: %s", ecbpf_error(e));
	}
	return err;
}

/* --- import ----------------------------------------------------------------------------------- */

static const char *const names[] = {
	[ECBPF_FILTER_ALLOW] = "allow",
	[ECBPF_FILTER_BLOCK] = "drop",
};

/* @removed: by delete; an import has it in @changes */
static int report(const struct options *options, const struct ecbpf_filter_changes *changes,
		  __u64 removed)
{
	const struct {
		__u64 count;
		const char *text;
	} parts[] = {
		{changes->added, "added"},
		{changes->covered, "covered by another prefix of the list"},
		{changes->updated, "changed"},
		{changes->permanent, "with no expiry any more"},
		{removed, "removed"},
		{changes->same, "listed already"},
	};
	const char *text = "";

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i].count)
			text = tool_str("%s%s %" PRIu64 " %s", text, *text ? "," : "",
					(uint64_t)parts[i].count, parts[i].text);
	if (changes->added || changes->updated || removed)
		tool_changed("%s:%s", names[options->list], text);
	else
		tool_unchanged("%s:%s", names[options->list], *text ? text : " nothing to change");
	tool_change_number("added", changes->added);
	tool_change_number("updated", changes->updated);
	tool_change_number("removed", removed);
	tool_change_number("unchanged", changes->same);
	return TOOL_OK;
}

static int run_import(struct tool *tool, const struct options *options)
{
	struct ecbpf_list list TOOL_CLEANUP(ecbpf_list_free) = {};
	struct entries entries TOOL_CLEANUP(entries_free) = {};
	struct ecbpf_filter_changes changes;
	int err;

	if (!options->file)
		return tool_usage("no file: give -f FILE");
	err = tool_list_read(tool, options->file, 0, NULL, ECBPF_LIST_EXPIRES, &list);
	if (!err)
		err = take_list(tool, &list, &entries);
	if (err)
		return err;
	tool_change_begin(options->verb);
	tool_change_stage(ECBPF_STAGE_FILTER);
	if (options->is_replace)
		err = ecbpf_filter_list_replace(tool->ecbpf, options->list, entries.items,
						entries.count, &changes);
	else
		err = ecbpf_filter_list_add(tool->ecbpf, options->list, entries.items,
					    entries.count, &changes);
	if (err)
		return tool_fail_ecbpf(tool);
	changes.covered = 0;
	return report(options, &changes, changes.deleted);
}

/* --- list, top -------------------------------------------------------------------------------- */

static const char *time_str(__u64 when)
{
	time_t seconds = when;
	char text[32];
	struct tm tm;

	if (!when || !gmtime_r(&seconds, &tm))
		return "-";
	strftime(text, sizeof(text), ECBPF_FILTER_TIME_FORMAT, &tm);
	return tool_str("%s", text);
}

static void print_entry(const struct ecbpf_filter_entry *entry)
{
	printf("%-18s %s %s # %" PRIu64 " packets, %" PRIu64 " bytes, since %s\n",
	       tool_prefix(&entry->prefix), entry->tag[0] ? tool_safe(entry->tag) : "-",
	       time_str(entry->expires), (uint64_t)entry->packets, (uint64_t)entry->bytes,
	       time_str(entry->loaded));
}

static struct json_object *json_entry(const struct ecbpf_filter_entry *entry)
{
	struct json_object *json = json_object_new_object();

	tool_json_str(json, "prefix", tool_prefix(&entry->prefix));
	tool_json_str(json, "tag", entry->tag[0] ? entry->tag : NULL);
	tool_json_str(json, "expires", entry->expires ? time_str(entry->expires) : NULL);
	tool_json_str(json, "loaded", time_str(entry->loaded));
	tool_json_num(json, "packets", entry->packets);
	tool_json_num(json, "bytes", entry->bytes);
	return json;
}

static int compare_hits(const void *a, const void *b)
{
	const struct ecbpf_filter_entry *x = a, *y = b;

	return x->packets > y->packets ? -1 : x->packets < y->packets;
}

/* @top: number of entries with most packets; 0: all */
static int run_list(struct tool *tool, const struct options *options, __u64 top)
{
	struct entries entries TOOL_CLEANUP(entries_free) = {};
	struct json_object *json = NULL;

	if (ecbpf_filter_list_get(tool->ecbpf, options->list, &entries.items, &entries.count))
		return tool_fail_ecbpf(tool);
	if (top)
		qsort(entries.items, entries.count, sizeof(*entries.items), compare_hits);
	if (options->is_json)
		json = json_object_new_array();
	for (size_t i = 0; i < entries.count && (!top || i < top); i++) {
		if (top && !entries.items[i].packets)
			break;
		if (json)
			json_object_array_add(json, json_entry(&entries.items[i]));
		else
			print_entry(&entries.items[i]);
	}
	if (json)
		tool_json_print(json);
	return TOOL_OK;
}

static int compare_tags(const void *a, const void *b)
{
	const struct ecbpf_filter_entry *x = a, *y = b;

	return strcmp(x->tag, y->tag);
}

static int run_tags(struct tool *tool, const struct options *options)
{
	struct entries entries TOOL_CLEANUP(entries_free) = {};
	const char *last = "";

	if (ecbpf_filter_list_get(tool->ecbpf, options->list, &entries.items, &entries.count))
		return tool_fail_ecbpf(tool);
	qsort(entries.items, entries.count, sizeof(*entries.items), compare_tags);
	for (size_t i = 0; i < entries.count; i++) {
		if (strcmp(entries.items[i].tag, last))
			printf("%s\n", tool_safe(entries.items[i].tag));
		last = entries.items[i].tag;
	}
	return TOOL_OK;
}

static int run_top(struct tool *tool, const struct options *options, int argc, char **argv)
{
	__u64 top = TOP_DEFAULT;

	if (argc > 1)
		return tool_usage("'%s': top takes one number", argv[1]);
	if (argc && tool_parse_number("top", argv[0], 1, ECBPF_TRIE_VALUE_MAX, &top))
		return TOOL_USAGE;
	return run_list(tool, options, top);
}

/* --- verbs ------------------------------------------------------------------------------------ */

static int run_change(struct tool *tool, const struct options *options, int argc, char **argv)
{
	struct entries entries TOOL_CLEANUP(entries_free) = {};
	struct ecbpf_filter_changes changes = {};
	struct ecbpf_changed changed;
	int err;

	if (!argc)
		return tool_usage("no prefix");
	err = parse_operands(tool, options, argv, argc, &entries);
	if (err)
		return err;
	tool_change_begin(options->verb);
	tool_change_stage(ECBPF_STAGE_FILTER);
	if (!strcmp(options->verb, "delete"))
		err = ecbpf_filter_list_delete(tool->ecbpf, options->list, entries.items,
					       entries.count);
	else
		err = ecbpf_filter_list_add(tool->ecbpf, options->list, entries.items,
					    entries.count, &changes);
	if (err)
		return tool_fail_ecbpf(tool);
	ecbpf_changed(tool->ecbpf, &changed);
	return report(options, &changes, changed.removed);
}

/* Refuse options of other verbs. Return: 0 or TOOL_USAGE */
static int check_options(const struct options *options)
{
	const char *verb = options->verb;
	bool is_add = !strcmp(verb, "add"), is_import = !strcmp(verb, "import");

	if (options->expires && !is_add)
		return tool_usage("--expires is an option of add");
	if (options->tag && !is_add && strcmp(verb, "delete"))
		return tool_usage("--tag is an option of add and delete");
	if (options->keeps_permanent && !is_add && !is_import)
		return tool_usage("--keep-permanent is an option of add and import");
	if ((options->file || options->is_replace) && !is_import)
		return tool_usage("--file and --replace are options of import");
	if (options->is_tags && (options->is_json || strcmp(verb, "list")))
		return tool_usage("--tags is an option of list without --json");
	if (options->may_be_absent && strcmp(verb, "delete"))
		return tool_usage("--if-exists is an option of delete");
	return 0;
}

static int run_flush(struct tool *tool, const struct options *options)
{
	struct ecbpf_filter_changes changes = {};

	tool_change_begin(options->verb);
	ecbpf_list_policy(tool->ecbpf, ECBPF_LIST_ALLOW_EMPTY);
	if (ecbpf_filter_list_replace(tool->ecbpf, options->list, NULL, 0, &changes))
		return tool_fail_ecbpf(tool);
	return report(options, &changes, changes.deleted);
}

static int run(struct tool *tool, __u32 list, int argc, char **argv)
{
	struct options options = {.list = list};
	int id, rest;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		options.may_be_absent |= id == TOOL_IF_EXISTS;
		options.keeps_permanent |= id == TOOL_KEEP_PERMANENT;
		if (id == 't')
			options.tag = optarg;
		else if (id == 'e')
			options.expires = optarg;
		else if (id == 'f')
			options.file = optarg;
		else if (id == 'j')
			options.is_json = true;
		else if (id == OPT_REPLACE)
			options.is_replace = true;
		else if (id == OPT_TAGS)
			options.is_tags = true;
		else if (!tool_list_option(tool, id))
			return TOOL_USAGE;
	}
	if (optind == argc)
		return tool_usage("expected add, delete, list, flush, import or top");
	ecbpf_session_guard(tool->ecbpf, true);
	options.verb = argv[optind++];
	rest = argc - optind;
	if (check_options(&options))
		return TOOL_USAGE;
	if (!strcmp(options.verb, "add") || !strcmp(options.verb, "delete"))
		return run_change(tool, &options, rest, argv + optind);
	if (!strcmp(options.verb, "top"))
		return run_top(tool, &options, rest, argv + optind);
	if (strcmp(options.verb, "list") && strcmp(options.verb, "flush") &&
	    strcmp(options.verb, "import"))
		return tool_usage("'%s' is not add, delete, list, flush, import or top",
				  options.verb);
	if (rest)
		return tool_usage("'%s': %s takes no prefixes", argv[optind], options.verb);
	if (options.is_tags)
		return run_tags(tool, &options);
	if (options.verb[0] == 'l')
		return run_list(tool, &options, 0);
	if (options.verb[0] == 'i')
		return run_import(tool, &options);
	return run_flush(tool, &options);
}

int filter_list_drop(struct tool *tool, int argc, char **argv)
{
	return run(tool, ECBPF_FILTER_BLOCK, argc, argv);
}

int filter_list_allow(struct tool *tool, int argc, char **argv)
{
	return run(tool, ECBPF_FILTER_ALLOW, argc, argv);
}

/* --- status ----------------------------------------------------------------------------------- */

int filter_list_print(struct tool *tool)
{
	struct ecbpf_filter_size size;

	for (__u32 list = 0; list < ECBPF_FILTER_LISTS; list++) {
		if (ecbpf_filter_list_size(tool->ecbpf, list, &size))
			return tool_fail_ecbpf(tool);
		printf("  %s: %" PRIu64 " IPv4, %" PRIu64 " IPv6 prefixes, %" PRIu64 " MiB\n",
		       names[list], (uint64_t)size.prefixes[0], (uint64_t)size.prefixes[1],
		       (uint64_t)(size.bytes >> 20));
	}
	return TOOL_OK;
}

int filter_list_json(struct tool *tool, struct json_object *json)
{
	struct ecbpf_filter_size size;

	for (__u32 list = 0; list < ECBPF_FILTER_LISTS; list++) {
		struct json_object *entry;

		if (ecbpf_filter_list_size(tool->ecbpf, list, &size))
			return tool_fail_ecbpf(tool);
		entry = json_object_new_object();
		tool_json_num(entry, "ip", size.prefixes[0]);
		tool_json_num(entry, "ip6", size.prefixes[1]);
		tool_json_num(entry, "bytes", size.bytes);
		json_object_object_add(json, names[list], entry);
	}
	return TOOL_OK;
}
