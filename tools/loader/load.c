// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The verbs that change chains: load, replace, unload, clean */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tools/common/change.h"
#include "tools/common/watched.h"
#include "tools/loader/loader.h"

/* Options of load and replace; -m is for load alone, as a chain has one mode */
struct load_options {
	enum ecbpf_mode mode;
	struct ecbpf_program program; /* what all programs get */
	struct tool_list settings;
};

#define PROGRAM_OPTIONS                                                                        \
	{'P', "prio", "N",                                                                     \
	 "run priority, 0 to 2147483647; low runs first\n"                                     \
	 "(default: as the program declares, else 50)"},                                       \
		{'A', "actions", "LIST",                                                       \
		 "actions after which the next program runs,\n"                                \
		 "XDP_PASS,XDP_TX (default: as the program\n"                                  \
		 "declares, else XDP_PASS)"},                                                  \
		{'s', "section", "NAME",                                                       \
		 "take the program from this ELF section\n"                                    \
		 "(default: the first XDP program)"},                                          \
		{'n', "prog-name", "NAME", "name of the program in the object"},               \
		{'p', "pin-path", "DIR",                                                       \
		 "pin maps that are declared with pinning in this\n"                           \
		 "directory (default: do not pin them)"},                                      \
		{'S', "set", "NAME=VALUE",                                                     \
		 "set a constant of the program to a number or an\n"                           \
		 "XDP action; " TOOL_REPEATED},                                                \
	{                                                                                      \
		OPT_FUSED, "fused", "STAGES", "load one program with these stages: pass,count" \
	}

const struct tool_option loader_load_options[] = {
	TOOL_MODE_OPTION,
	PROGRAM_OPTIONS,
	TOOL_CHANGE_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

const struct tool_option loader_replace_options[] = {PROGRAM_OPTIONS, TOOL_CHANGE_OPTIONS,
						     TOOL_COMMON_OPTIONS};

static int parse_mode(const char *text, enum ecbpf_mode *ret_mode)
{
	if (!strcmp(text, "hw")) /* which xdp-loader has */
		return tool_usage("--mode: 'hw' is not supported: programs in hardware cannot be "
				  "chained; use native or skb");
	return tool_parse_mode(text, ret_mode);
}

static int parse_load_options(struct tool *tool, int argc, char **argv, struct load_options *o)
{
	struct ecbpf_program *program = &o->program;
	__u64 number;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		int err = 0;

		switch (id) {
		case 'm':
			err = parse_mode(optarg, &o->mode);
			break;
		case 'P':
			err = tool_parse_number("--prio", optarg, 0, INT_MAX, &number);
			if (!err)
				program->prio = number;
			break;
		case 'A':
			err = tool_parse_actions("--actions", optarg, &program->actions);
			break;
		case 's':
			program->section = optarg;
			break;
		case 'n':
			program->name = optarg;
			break;
		case 'p':
			program->pin_path = optarg;
			break;
		case 'S':
			err = tool_parse_setting("--set", optarg, &o->settings);
			break;
		case OPT_FUSED:
			program->fused = optarg;
			break;
		case 'j':
			break;
		default:
			return TOOL_USAGE;
		}
		if (err)
			return err;
	}
	if (program->section && program->name)
		return tool_usage("--section and --prog-name cannot be combined");
	program->settings = (const char *const *)o->settings.items;
	program->settings_count = o->settings.count;
	return 0;
}

/*
 * The programs to load: --fused, and what is named; options are for all. A section or a name is of
 * an object file, so not of --fused. Return: how many
 */
static size_t list_programs(const struct load_options *o, size_t files_count, char **files,
			    struct ecbpf_program *programs)
{
	size_t count = 0;

	if (o->program.fused) {
		programs[count] = o->program;
		programs[count].section = NULL;
		programs[count].name = NULL;
		count++;
	}
	for (size_t i = 0; i < files_count; i++) {
		programs[count] = o->program;
		programs[count].fused = NULL;
		programs[count].file = files[i];
		count++;
	}
	return count;
}

static int load(struct tool *tool, const struct load_options *o, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_program *programs;
	size_t count;
	int err;

	if (argc < 1)
		return tool_usage("on which interface?");
	if (argc < 2 && !o->program.fused)
		return tool_usage("which program?");
	if (argc < 2 && (o->program.section || o->program.name))
		return tool_usage(
			"--section and --prog-name need an object file; --fused has none");
	err = tool_parse_ifaces(argv[0], &ifaces);
	if (err)
		return err;
	programs = tool_alloc(NULL, argc * sizeof(*programs));
	count = list_programs(o, argc - 1, argv + 1, programs);
	tool_change_begin(NULL);
	err = ecbpf_chain_load(tool->ecbpf, (const char *const *)ifaces.items, ifaces.count,
			       programs, count, o->mode);
	if (err) {
		free(programs);
		return tool_fail_ecbpf(tool);
	}
	for (size_t i = 0; i < ifaces.count; i++)
		for (size_t j = 0; j < count; j++)
			tool_changed("%s: %s loaded", ifaces.items[i],
				     programs[j].fused ?: programs[j].file);
	free(programs);
	return TOOL_OK;
}

int loader_run_load(struct tool *tool, int argc, char **argv)
{
	struct load_options o = {.program = ECBPF_PROGRAM_INIT};
	int err;

	err = parse_load_options(tool, argc, argv, &o);
	if (!err)
		err = load(tool, &o, argc - optind, argv + optind);
	tool_list_free(&o.settings);
	return err;
}

static int replace(struct tool *tool, const struct load_options *o, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_program program;
	int err;

	if (argc < 2)
		return tool_usage(argc ? "replace which program?" : "on which interface?");
	if (argc < 3 && !o->program.fused)
		return tool_usage("replace it by which program?");
	if (argc > 2 && o->program.fused)
		return tool_usage("'%s': replace takes one program, and --fused is one", argv[2]);
	if (argc > 3)
		return tool_usage("'%s': replace takes one program", argv[3]);
	if (o->program.fused && (o->program.section || o->program.name))
		return tool_usage(
			"--section and --prog-name need an object file; --fused has none");
	err = tool_parse_ifaces(argv[0], &ifaces);
	if (err)
		return err;
	if (ifaces.count > 1)
		return tool_usage("'%s': replace takes one interface", argv[0]);
	list_programs(o, argc - 2, argv + 2, &program);
	tool_change_begin(NULL);
	if (ecbpf_chain_replace(tool->ecbpf, ifaces.items[0], argv[1], &program))
		return tool_fail_ecbpf(tool);
	tool_changed("%s: %s replaced by %s", ifaces.items[0], argv[1],
		     program.fused ?: program.file);
	return TOOL_OK;
}

int loader_run_replace(struct tool *tool, int argc, char **argv)
{
	struct load_options o = {.program = ECBPF_PROGRAM_INIT};
	int err;

	err = parse_load_options(tool, argc, argv, &o);
	if (!err)
		err = replace(tool, &o, argc - optind, argv + optind);
	tool_list_free(&o.settings);
	return err;
}

const struct tool_option loader_unload_options[] = {
	{'i', "id", "ID", "the program with this ID"},
	{'n', "name", "NAME", "the programs of this name, or of this stage"},
	{'a', "all", NULL,
	 "all programs, also one that is attached without\n"
	 "a dispatcher"},
	TOOL_CHANGE_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

int loader_run_unload(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_selector selector = {};
	__u64 number;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		switch (id) {
		case 'i':
			if (tool_parse_number("--id", optarg, 1, UINT_MAX, &number))
				return TOOL_USAGE;
			selector.id = number;
			break;
		case 'n':
			selector.name = optarg;
			break;
		case 'a':
			selector.all = true;
			break;
		case 'j':
			break;
		default:
			return TOOL_USAGE;
		}
	}
	if (!!selector.id + !!selector.name + selector.all != 1)
		return tool_usage("expected one of --id, --name and --all");
	if (optind == argc)
		return tool_usage("from which interface?");
	if (tool_operands_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	tool_change_begin(NULL);
	if (ecbpf_chain_unload(tool->ecbpf, (const char *const *)ifaces.items, ifaces.count,
			       &selector))
		return tool_fail_ecbpf(tool);
	for (size_t i = 0; i < ifaces.count; i++)
		tool_changed("%s: %s unloaded", ifaces.items[i],
			     selector.all    ? "all programs"
			     : selector.name ? selector.name
					     : tool_str("program %u", selector.id));
	tool_warn_watched(tool, NULL, &ifaces);
	return TOOL_OK;
}

const struct tool_option loader_clean_options[] = {
	{'a', "all", NULL, "remove all rules, lists, sets and settings, too"},
	TOOL_CHANGE_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

/* Whoever is at a terminal can change her mind */
static bool is_sure(void)
{
	char answer[16] = "";

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return true;
	fprintf(stderr, "Remove all rules, lists, sets and settings of ecbpf [y/N]? ");
	return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

int loader_run_clean(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_changed maps;
	size_t removed = 0, i = 0;
	bool is_all = false;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id != 'a' && id != 'j')
			return TOOL_USAGE;
		is_all |= id == 'a';
	}
	if (tool_operands_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	if (is_all && ifaces.count)
		return tool_usage("'%s': --all takes no interface", ifaces.items[0]);
	if (is_all && !is_sure())
		return tool_fail("nothing was removed");
	tool_change_begin(NULL);
	do {
		const char *iface = ifaces.count ? ifaces.items[i] : NULL;
		size_t count = 0;

		if (ecbpf_clean(tool->ecbpf, iface, &count))
			return tool_fail_ecbpf(tool);
		removed += count;
	} while (++i < ifaces.count);
	if (is_all && ecbpf_clean_maps(tool->ecbpf)) {
		tool_warn_watched(tool, NULL, NULL); /* it holds programs, too */
		return tool_fail_ecbpf(tool);
	}
	ecbpf_changed(tool->ecbpf, &maps);
	if (removed || maps.removed)
		tool_changed("removed the pins of %zu dispatcher%s%s", removed,
			     removed == 1 ? "" : "s",
			     is_all ? ", rules, lists, sets and settings" : "");
	else
		tool_unchanged("removed the pins of 0 dispatchers");
	tool_change_number("removed", removed + maps.removed);
	return TOOL_OK;
}
