// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-filter: the filter for invalid packets, fragments and blocked sources, see ecbpf-filter(8)
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include <ecbpf/libecbpf-filter.h>
#include "tools/common/change.h"
#include "tools/common/list.h"
#include "tools/common/settings.h"
#include "tools/common/stage.h"
#include "tools/common/watched.h"
#include "tools/filter/filter.h"

enum {
	OPT_FUSED = TOOL_LONG_ONLY,
};

static const struct tool_option change_options[] = {TOOL_CHANGE_OPTIONS, TOOL_COMMON_OPTIONS};

static const char *const *strings(const struct tool_list *list)
{
	return (const char *const *)list->items;
}

/* --- load, unload --------------------------------------------------------------------------- */

static const struct tool_option load_options[] = {
	TOOL_MODE_OPTION,
	{OPT_FUSED, "fused", NULL, "load it in ecbpf_fused, with the stages there"},
	TOOL_CHANGE_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

static int run_load(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	enum ecbpf_mode mode = ECBPF_MODE_UNSPEC;
	const struct tool_list none = {};
	struct ecbpf_filter_config config;
	bool is_fused = false;
	int id, err = 0;

	while (!err && (id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == OPT_FUSED)
			is_fused = true;
		else if (id == 'm')
			err = tool_parse_mode(optarg, &mode);
		else if (id != 'j')
			err = TOOL_USAGE;
	}
	if (err)
		return err;
	if (optind == argc)
		return tool_usage("no interface");
	if (tool_operands_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	tool_change_begin(NULL);
	if (ecbpf_filter_load(tool->ecbpf, strings(&ifaces), ifaces.count, mode, is_fused))
		return tool_fail_ecbpf(tool);
	tool_stage_changed(ECBPF_STAGE_FILTER, &ifaces, "loaded");
	if (!ecbpf_filter_config_get(tool->ecbpf, &config))
		tool_settings_kept(ecbpf_filter_settings(), &config, &none);
	return TOOL_OK;
}

static int run_unload(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	int status;

	if (tool_parse_change(tool, argc, argv))
		return TOOL_USAGE;
	status = tool_stage_operands(tool, ECBPF_STAGE_FILTER, argc, argv, &ifaces);
	if (status)
		return status;
	tool_change_begin(NULL);
	if (!ifaces.count)
		return tool_fail("the filter is loaded on no interface");
	if (ecbpf_filter_unload(tool->ecbpf, strings(&ifaces), ifaces.count))
		return tool_fail_ecbpf(tool);
	tool_stage_changed(ECBPF_STAGE_FILTER, &ifaces, "unloaded");
	tool_warn_watched(tool, NULL, &ifaces);
	return TOOL_OK;
}

/* --- set, refresh, vip ---------------------------------------------------------------------- */

static int run_set(struct tool *tool, int argc, char **argv)
{
	struct tool_list texts TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_filter_config before, after;

	if (tool_parse_change(tool, argc, argv) ||
	    tool_settings_operands(tool, argc - optind, argv + optind, &texts))
		return TOOL_USAGE;
	tool_change_begin(NULL);
	if (ecbpf_filter_config_get(tool->ecbpf, &before) ||
	    ecbpf_filter_set(tool->ecbpf, strings(&texts), texts.count))
		return tool_fail_ecbpf(tool);
	if (ecbpf_filter_config_get(tool->ecbpf, &after)) /* it is done, even so */
		tool_changed("settings");
	else
		tool_settings_changed(ecbpf_filter_settings(), &before, &after);
	return TOOL_OK;
}

static int run_refresh(struct tool *tool, int argc, char **argv)
{
	if (tool_parse_change(tool, argc, argv) || tool_operands_none(argc, argv))
		return TOOL_USAGE;
	tool_change_begin(NULL);
	if (ecbpf_filter_refresh(tool->ecbpf))
		return tool_fail_ecbpf(tool);
	tool_entries_changed(tool, "addresses");
	return TOOL_OK;
}

static const struct tool_option vip_options[] = {
	{'f', "file", "FILE", "add, delete: of a list, see ecbpf-list(5); -: standard input"},
	TOOL_IF_EXISTS_OPTION("delete: "),
	TOOL_CHANGE_OPTIONS,
	TOOL_LIST_SKIP_BAD_OPTION,
	TOOL_COMMON_OPTIONS,
};

struct ecbpf_prefix *filter_vips_get(struct tool *tool, size_t *count)
{
	struct ecbpf_prefix *vips;

	if (ecbpf_filter_vip_list(tool->ecbpf, &vips, count)) {
		tool_fail_ecbpf(tool);
		return NULL;
	}
	return vips;
}

struct json_object *filter_json_vips(const struct ecbpf_prefix *vips, size_t count)
{
	struct json_object *json = json_object_new_array();

	for (size_t i = 0; i < count; i++)
		json_object_array_add(json, json_object_new_string(tool_prefix(&vips[i])));
	return json;
}

static int vip_list(struct tool *tool, bool is_json)
{
	struct ecbpf_prefix *vips;
	size_t count;

	vips = filter_vips_get(tool, &count);
	if (!vips)
		return TOOL_FAILED;
	if (is_json)
		tool_json_print(filter_json_vips(vips, count));
	for (size_t i = 0; i < count && !is_json; i++)
		printf("%s\n", tool_prefix(&vips[i]));
	free(vips);
	return TOOL_OK;
}

static int vip_change(struct tool *tool, bool is_add, const char *file, int argc, char **argv)
{
	struct ecbpf_list list TOOL_CLEANUP(ecbpf_list_free) = {};
	struct ecbpf_prefix *vips;
	int err;

	err = tool_list_read(tool, file, argc, argv, 0, &list);
	if (err)
		return err;
	vips = tool_list_prefixes(&list);
	tool_change_begin(is_add ? "add" : "delete");
	err = is_add ? ecbpf_filter_vip_add(tool->ecbpf, vips, list.count)
		     : ecbpf_filter_vip_delete(tool->ecbpf, vips, list.count);
	free(vips);
	if (err)
		return tool_fail_ecbpf(tool);
	tool_entries_changed(tool, "VIPs");
	return TOOL_OK;
}

static int vip_flush(struct tool *tool)
{
	tool_change_begin("flush");
	if (ecbpf_filter_vip_flush(tool->ecbpf))
		return tool_fail_ecbpf(tool);
	tool_entries_changed(tool, "VIPs");
	return TOOL_OK;
}

static int run_vip(struct tool *tool, int argc, char **argv)
{
	const char *what, *file = NULL;
	bool is_json = false, may_be_absent = false;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		may_be_absent |= id == TOOL_IF_EXISTS;
		if (id == 'j')
			is_json = true;
		else if (id == 'f')
			file = optarg;
		else if (!tool_list_option(tool, id))
			return TOOL_USAGE;
	}
	if (optind == argc)
		return tool_usage("vip takes add, delete, list or flush");
	what = argv[optind];
	argv += optind + 1;
	argc -= optind + 1;
	if (may_be_absent && strcmp(what, "delete"))
		return tool_usage("--if-exists is an option of delete");
	if (!strcmp(what, "add") || !strcmp(what, "delete"))
		return vip_change(tool, what[0] == 'a', file, argc, argv);
	if (strcmp(what, "list") && strcmp(what, "flush"))
		return tool_usage("'%s' is not add, delete, list or flush", what);
	if (argc || file)
		return tool_usage("'%s': vip %s takes no addresses", argc ? argv[0] : file, what);
	if (what[0] == 'f')
		return vip_flush(tool);
	return vip_list(tool, is_json);
}

/* --- the tool ------------------------------------------------------------------------------- */

#define LIST_ARGS                                                                \
	"add PREFIX... [-t TAG] [-e TIME] | delete PREFIX... | list | flush |\n" \
	"       import -f FILE [--replace] | top [N]"

static const struct tool_verb verbs[] = {
	{
		.name = "load",
		.args = "IFACE...",
		.text = "load the filter on interfaces",
		.about = "Interfaces are separated by blanks or commas. All of them get the\n"
			 "filter, or none. Existing settings and lists are used.\n",
		.examples = "  ecbpf-filter load eth0 eth1\n"
			    "  ecbpf-filter load -m skb --fused eth0\n",
		.options = load_options,
		.run = run_load,
	},
	{
		.name = "unload",
		.args = "[IFACE...]",
		.text = "unload the filter from interfaces, or from all",
		.about = "Settings and lists are kept.\n",
		.examples = "  ecbpf-filter unload eth0\n",
		.options = change_options,
		.run = run_unload,
	},
	{
		.name = "set",
		.args = "KEY=VALUE...",
		.text = "change settings in one step",
		.settings = ecbpf_filter_settings,
		.examples = "  ecbpf-filter set frags=ptb frags6=ptb ptb-max-pps=100\n"
			    "  ecbpf-filter set checks=drop martian-source=count\n",
		.options = change_options,
		.run = run_set,
	},
	{
		.name = "drop",
		.args = LIST_ARGS,
		.text = "manage blocked sources",
		.about = "ecbpf-list(5) describes files. The whole file is imported in one step,\n"
			 "or nothing. Prefixes that remain keep their counters.\n"
			 "'list' prints a file; 'top' the prefixes with most packets.\n",
		.examples = "  ecbpf-filter drop add 192.0.2.0/24 2001:db8::/32 -t scan -e 2h\n"
			    "  ecbpf-filter drop import --replace -f blocklist.txt\n",
		.options = filter_list_options,
		.run = filter_list_drop,
	},
	{
		.name = "allow",
		.args = LIST_ARGS,
		.text = "manage sources that are never blocked",
		.about = "As 'drop'. These sources are not exempt from checks. Packets are\n"
			 "counted if 'drop' has their source as well.\n",
		.examples = "  ecbpf-filter allow add 198.51.100.0/24 -t office\n",
		.options = filter_list_options,
		.run = filter_list_allow,
	},
	{
		.name = "vip",
		.args = "add ADDRESS... | delete ADDRESS... | list | flush",
		.text = "manage addresses of this host that get no fragments",
		.about = "Addresses or prefixes. Fragments to them are treated like those to\n"
			 "other hosts: see the settings frags and frags6.\n",
		.examples = "  ecbpf-filter vip add 203.0.113.80 2001:db8:80::/64\n",
		.options = vip_options,
		.run = run_vip,
	},
	{
		.name = "refresh",
		.args = "",
		.text = "read the addresses of this host again",
		.about = "load, set and vip do so as well.\n",
		.examples = "  ecbpf-filter refresh\n",
		.options = change_options,
		.run = run_refresh,
	},
	{
		.name = "status",
		.args = "[IFACE...]",
		.text = "show settings, lists and counters",
		.examples = "  ecbpf-filter status eth0\n"
			    "  ecbpf-filter status --json\n",
		.options = filter_status_options,
		.run = filter_run_status,
	},
	{},
};

int main(int argc, char **argv)
{
	struct tool tool = {
		.name = "ecbpf-filter",
		.text = "Drops packets that no legitimate host sends, fragments, and packets of\n"
			"blocked sources, before the network stack handles them.\n",
		.examples =
			"  ecbpf-filter load eth0                load it with its defaults\n"
			"  ecbpf-filter set frags=ptb frags6=ptb\n"
			"  ecbpf-filter vip add 203.0.113.80     a VIP of this director\n"
			"  ecbpf-filter status                   settings, lists and counters\n",
		.verbs = verbs,
	};

	return tool_main(&tool, argc, argv);
}
