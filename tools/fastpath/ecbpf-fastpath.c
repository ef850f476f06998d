// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fastpath: the fast path for IPVS, see ecbpf-fastpath(8) */
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include "tools/common/change.h"
#include "tools/common/watched.h"
#include "tools/common/list.h"
#include "tools/fastpath/fastpath.h"

enum {
	OPT_FLOWS = TOOL_LONG_ONLY,
	OPT_MONITOR,
	OPT_FUSED,
};

const struct tool_option change_options[] = {TOOL_CHANGE_OPTIONS, TOOL_COMMON_OPTIONS};

const struct tool_option json_options[] = {
	TOOL_JSON_OPTION,
	TOOL_COMMON_OPTIONS,
};

/* --- load, unload --------------------------------------------------------------------------- */

static const struct tool_option load_options[] = {
	{'i', "in", "IFACE,...", "where packets of clients come in; " TOOL_REPEATED},
	{'o', "out", "IFACE,...", "further interfaces where they leave; " TOOL_REPEATED},
	{OPT_FLOWS, "flows", "N", "flows that the table has room for (default: 1000000)"},
	TOOL_MODE_OPTION,
	{OPT_MONITOR, "monitor", NULL, "forward nothing, count packets that would be forwarded"},
	{OPT_FUSED, "fused", NULL, "load it in ecbpf_fused, with the stages there"},
	TOOL_CHANGE_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

static int parse_load(struct tool *tool, int argc, char **argv, struct ecbpf_fastpath_load *load,
		      struct tool_list *in, struct tool_list *out)
{
	__u64 number;
	int id, err;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		err = 0;
		switch (id) {
		case 'i':
			err = tool_parse_ifaces(optarg, in);
			break;
		case 'o':
			err = tool_parse_ifaces(optarg, out);
			break;
		case OPT_FLOWS:
			err = tool_parse_number("--flows", optarg, ECBPF_FLOWS_MIN, ECBPF_FLOWS_MAX,
						&number);
			if (!err)
				load->flows = number;
			break;
		case 'm':
			err = tool_parse_mode(optarg, &load->mode);
			break;
		case OPT_MONITOR:
			load->monitor = true;
			break;
		case OPT_FUSED:
			load->is_fused = true;
			break;
		case 'j':
			break;
		default:
			return TOOL_USAGE;
		}
		if (err)
			return err;
	}
	if (optind < argc)
		return tool_usage("'%s': name interfaces with --in and --out", argv[optind]);
	if (!in->count)
		return tool_usage("no interface: give --in");
	load->in = (const char *const *)in->items;
	load->in_count = in->count;
	load->out = (const char *const *)out->items;
	load->out_count = out->count;
	return 0;
}

static int run_load(struct tool *tool, int argc, char **argv)
{
	struct tool_list in TOOL_CLEANUP(tool_list_free) = {};
	struct tool_list out TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_fastpath_load load = {};
	int err;

	err = parse_load(tool, argc, argv, &load, &in, &out);
	if (err)
		return err;
	tool_change_begin(NULL);
	if (ecbpf_fastpath_load(tool->ecbpf, &load))
		return tool_fail_ecbpf(tool);
	for (size_t i = 0; i < in.count; i++)
		tool_changed("%s: fastpath loaded, in and out", in.items[i]);
	for (size_t i = 0; i < out.count; i++)
		tool_changed("%s: fastpath loaded, out", out.items[i]);
	return TOOL_OK;
}

static int run_unload(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_fastpath_port *ports;
	size_t count;

	if (tool_parse_change(tool, argc, argv))
		return TOOL_USAGE;
	if (optind < argc)
		return tool_usage("'%s': unload takes no interface", argv[optind]);
	tool_change_begin(NULL);
	/* who may not look may not unload, and is told what that needs */
	if (!ecbpf_fastpath_ports(tool->ecbpf, &ports, &count)) {
		for (size_t i = 0; i < count; i++)
			tool_list_add(&ifaces, ports[i].iface);
		free(ports);
	}
	for (size_t i = 0; i < ifaces.count; i++)
		tool_change_iface(ifaces.items[i]);
	if (ecbpf_fastpath_unload(tool->ecbpf))
		return tool_fail_ecbpf(tool);
	for (size_t i = 0; i < ifaces.count; i++)
		tool_changed("%s: fastpath unloaded", ifaces.items[i]);
	if (!ifaces.count)
		tool_changed("fastpath unloaded from no interface");
	else
		tool_warn_watched(tool, NULL, &ifaces);
	return TOOL_OK;
}

/* --- exclude, refresh ----------------------------------------------------------------------- */

static int exclude_list(struct tool *tool, bool is_json)
{
	struct json_object *json = is_json ? json_object_new_array() : NULL;
	struct ecbpf_prefix *prefixes;
	char text[ECBPF_PREFIX_TEXT];
	size_t count;

	if (ecbpf_fastpath_exclude_list(tool->ecbpf, &prefixes, &count)) {
		json_object_put(json);
		return tool_fail_ecbpf(tool);
	}
	for (size_t i = 0; i < count; i++) {
		ecbpf_prefix_format(&prefixes[i], text);
		if (json)
			json_object_array_add(json, json_object_new_string(text));
		else
			printf("%s\n", text);
	}
	if (json)
		tool_json_print(json);
	free(prefixes);
	return TOOL_OK;
}

static const struct tool_option exclude_options[] = {
	{'f', "file", "FILE", "add, delete: of a list, see ecbpf-list(5); -: standard input"},
	TOOL_IF_EXISTS_OPTION("delete: "),
	TOOL_CHANGE_OPTIONS,
	TOOL_LIST_SKIP_BAD_OPTION,
	TOOL_COMMON_OPTIONS,
};

static int exclude_change(struct tool *tool, bool is_add, const char *file, int argc, char **argv)
{
	struct ecbpf_list list TOOL_CLEANUP(ecbpf_list_free) = {};
	struct ecbpf_prefix *prefixes;
	int err;

	err = tool_list_read(tool, file, argc, argv, 0, &list);
	if (err)
		return err;
	tool_change_begin(is_add ? "add" : "delete");
	prefixes = tool_list_prefixes(&list);
	err = is_add ? ecbpf_fastpath_exclude_add(tool->ecbpf, prefixes, list.count)
		     : ecbpf_fastpath_exclude_delete(tool->ecbpf, prefixes, list.count);
	free(prefixes);
	if (err)
		return tool_fail_ecbpf(tool);
	tool_entries_changed(tool, "excluded addresses");
	return TOOL_OK;
}

static int run_exclude(struct tool *tool, int argc, char **argv)
{
	bool is_json = false, may_be_absent = false, is_add;
	const char *what, *file = NULL;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		may_be_absent |= id == TOOL_IF_EXISTS;
		if (id == 'f')
			file = optarg;
		else if (id == 'j')
			is_json = true;
		else if (!tool_list_option(tool, id))
			return TOOL_USAGE;
	}
	what = optind < argc ? argv[optind++] : "";
	if (may_be_absent && strcmp(what, "delete"))
		return tool_usage("--if-exists is an option of delete");
	if (!strcmp(what, "list") && optind == argc && !file)
		return exclude_list(tool, is_json);
	is_add = !strcmp(what, "add");
	if ((!is_add && strcmp(what, "delete")) || (optind == argc && !file))
		return tool_usage("exclude takes 'add ADDRESS...', 'delete ADDRESS...' or 'list'");
	return exclude_change(tool, is_add, file, argc - optind, argv + optind);
}

static int run_refresh(struct tool *tool, int argc, char **argv)
{
	size_t count, repaired;

	if (tool_parse_change(tool, argc, argv) || tool_operands_none(argc, argv))
		return TOOL_USAGE;
	tool_change_begin(NULL);
	if (ecbpf_fastpath_refresh(tool->ecbpf, &count) ||
	    ecbpf_fastpath_repair(tool->ecbpf, &repaired))
		return tool_fail_ecbpf(tool);
	tool_entries_changed(tool, tool_str("UDP flows of %zu services get leases", count));
	if (repaired)
		tool_changed("%zu interface%s: TC program attached again", repaired,
			     repaired > 1 ? "s" : "");
	return TOOL_OK;
}

/* --- main ----------------------------------------------------------------------------------- */

static const struct tool_verb verbs[] = {
	{
		.name = "load",
		.args = "--in IFACE",
		.text = "load the fast path on interfaces",
		.options = load_options,
		.examples = "  ecbpf-fastpath load -i eth0              in and out by eth0\n"
			    "  ecbpf-loader load eth1 pass              so that eth1 accepts "
			    "redirected packets\n"
			    "  ecbpf-fastpath load -i eth0 -o eth1      in by eth0, out by eth1\n",
		.run = run_load,
	},
	{
		.name = "unload",
		.args = "",
		.text = "unload it from all interfaces; IPVS continues",
		.options = change_options,
		.run = run_unload,
	},
	{
		.name = "set",
		.args = "KEY=VALUE...",
		.text = "change settings",
		.options = change_options,
		.settings = ecbpf_fastpath_settings,
		.examples = "  ecbpf-fastpath set monitor=off lease=2000\n",
		.run = run_set,
	},
	{
		.name = "status",
		.args = "",
		.text = "show interfaces, settings, table and counters",
		.options = json_options,
		.run = run_status,
	},
	{
		.name = "stats",
		.args = "[SECONDS [COUNT]]",
		.text = "show the rates of SECONDS (1), COUNT times (1)",
		.options = json_options,
		.run = run_stats,
	},
	{
		.name = "exclude",
		.args = "add|delete|list [ADDRESS]...",
		.text = "addresses whose flows get no lease",
		.options = exclude_options,
		.run = run_exclude,
	},
	{
		.name = "flows",
		.args = "",
		.text = "show flows that have or had a lease",
		.options = flows_options,
		.run = run_flows,
	},
	{
		.name = "flush",
		.args = "[PROTO SOURCE:PORT DESTINATION:PORT]",
		.text = "end leases at once",
		.options = flush_options,
		.run = run_flush,
	},
	{
		.name = "explain",
		.args = "PROTO SOURCE:PORT DESTINATION:PORT",
		.text = "show how a packet of a flow would be handled, and why",
		.options = json_options,
		.examples = "  ecbpf-fastpath explain tcp 198.51.100.2:40000 203.0.113.80:443\n",
		.run = run_explain,
	},
	{
		.name = "check",
		.args = "",
		.text = "check the setup, and the leases against IPVS",
		.options = json_options,
		.run = run_check,
	},
	{
		.name = "refresh",
		.args = "",
		.text = "read the UDP services of IPVS, attach lost TC programs",
		.options = change_options,
		.run = run_refresh,
	},
	{},
};

int main(int argc, char **argv)
{
	struct tool tool = {
		.name = "ecbpf-fastpath",
		.text = "The fast path for IPVS: XDP forwards packets of balanced connections to "
			"the\n"
			"server that IPVS chose.\n",
		.examples =
			"  ecbpf-fastpath load -i eth0           clients and servers behind eth0\n"
			"  ecbpf-fastpath status                 settings, table and counters\n"
			"  ecbpf-fastpath set lease=500          leases of half a second\n"
			"  ecbpf-fastpath unload                 all packets to IPVS again\n",
		.verbs = verbs,
	};

	return tool_main(&tool, argc, argv);
}
