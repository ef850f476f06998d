// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-loader: chains of XDP programs on interfaces, see ecbpf-loader(8) */
#include "tools/loader/loader.h"

int loader_parse_ifaces(int argc, char **argv, struct tool_list *ifaces)
{
	for (int i = optind; i < argc; i++)
		if (tool_parse_ifaces(argv[i], ifaces))
			return TOOL_USAGE;
	return 0;
}

static const struct tool_option loader_json_options[] = {
	{'j', "json", NULL, "print JSON"},
	TOOL_COMMON_OPTIONS,
};

int loader_parse_json(struct tool *tool, int argc, char **argv, bool *ret_is_json)
{
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id != 'j')
			return TOOL_USAGE;
		*ret_is_json = true;
	}
	return 0;
}

/* Those of xdp-loader first: its abbreviations go on to mean the same */
static const struct tool_verb verbs[] = {
	{
		.name = "load",
		.args = "IFACE[,IFACE...] PROGRAM...",
		.text = "add XDP programs to the chains of interfaces",
		.about = "PROGRAM is an object file, or a stage if there is no such file (see\n"
			 "'ecbpf-loader stages'). Several programs are added in one step, options\n"
			 "are for all of them. On failure every chain is as it was.\n",
		.examples =
			"  Count what passes on eth0 and eth1, malformed packets dropped:\n"
			"      ecbpf-loader load -S malformed_action=XDP_DROP eth0,eth1 count\n"
			"  A program of your own, before those of priority 50:\n"
			"      ecbpf-loader load -P 20 eth0 my_prog.bpf.o\n"
			"  Two stages in one program, for speed or where nothing can be chained:\n"
			"      ecbpf-loader load --fused pass,count eth0\n",
		.options = loader_load_options,
		.run = loader_run_load,
	},
	{
		.name = "unload",
		.args = "IFACE[,IFACE...]...",
		.text = "take XDP programs out of the chains of interfaces",
		.about = "One of --id, --name and --all says which. On failure every chain is\n"
			 "as it was.\n",
		.examples = "  One program of several (IDs: 'ecbpf-loader status eth0'):\n"
			    "      ecbpf-loader unload -i 57 eth0\n"
			    "  The stage count, from two interfaces:\n"
			    "      ecbpf-loader unload -n count eth0,eth1\n"
			    "  All of them:\n"
			    "      ecbpf-loader unload eth0 -a\n",
		.options = loader_unload_options,
		.run = loader_run_unload,
	},
	{
		.name = "status",
		.args = "[IFACE]...",
		.text = "show the XDP programs of interfaces, and what they counted",
		.about = "Without an interface: all of them.\n",
		.examples = "  All interfaces:\n"
			    "      ecbpf-loader status\n"
			    "  Packets that count dropped on eth0, for a script:\n"
			    "      ecbpf-loader status -j eth0 |\n"
			    "        jq '.[].members[].stages[]?|select(.stage==\"count\")|\n"
			    "            .actions.XDP_DROP.packets'\n"
			    "  Start counting anew:\n"
			    "      ecbpf-loader status --clear eth0\n",
		.options = loader_status_options,
		.run = loader_run_status,
	},
	{
		.name = "clean",
		.args = "[IFACE]...",
		.text = "remove what interrupted loads left in the BPF file system",
		.about =
			"Without an interface: for all of them. Chains that run are not touched.\n",
		.examples = "      ecbpf-loader clean\n",
		.options = loader_clean_options,
		.run = loader_run_clean,
	},
	{
		.name = "features",
		.args = "IFACE",
		.text = "show what a network device can do with XDP",
		.examples = "      ecbpf-loader features eth0\n",
		.options = loader_json_options,
		.run = loader_run_features,
	},
	{
		.name = "replace",
		.args = "IFACE NAME PROGRAM",
		.text = "put new code in the place of a program of a chain",
		.about = "NAME is a program, or a stage, that is there once. PROGRAM takes its\n"
			 "place in one step: each packet meets the old code or the new one.\n"
			 "Priority, actions, and maps that are the same in both are kept.\n",
		.examples =
			"  A new build of a program, while packets pass:\n"
			"      ecbpf-loader replace eth0 my_prog my_prog.bpf.o\n"
			"  Other stages in the fused program:\n"
			"      ecbpf-loader replace --fused pass,count,printk eth0 ecbpf_fused\n",
		.options = loader_replace_options,
		.run = loader_run_replace,
	},
	{
		.name = "doctor",
		.args = "[IFACE]...",
		.text = "look for all that is known to go wrong",
		.about = "One line for each thing found: what, why it matters, the command that\n"
			 "mends it. With -v, what was found in order, too. Without an\n"
			 "interface: all that have an XDP program. Exit status 1: traffic is\n"
			 "not handled as asked.\n",
		.examples = "      ecbpf-loader doctor\n"
			    "      ecbpf-loader doctor -v eth0\n",
		.options = loader_json_options,
		.run = loader_run_doctor,
	},
	{
		.name = "stages",
		.args = "",
		.text = "list the stages, what they do and where in a chain they run",
		.examples = "      ecbpf-loader stages\n",
		.options = loader_json_options,
		.run = loader_run_stages,
	},
	{
		.name = "apply",
		.args = "[FILE]",
		.text = "bring chains and settings to what a file says",
		.about = "FILE is one of ecbpf.conf(5), - is standard input; without it, the\n"
			 "installed ecbpf.conf and conf.d. Only differences are changed; on\n"
			 "failure nothing is changed.\n",
		.examples = "  What would change:\n"
			    "      ecbpf-loader apply -c\n"
			    "  And now do it:\n"
			    "      ecbpf-loader apply --diff\n",
		.options = loader_apply_options,
		.run = loader_run_apply,
	},
	{
		.name = "export",
		.args = "",
		.text = "print what runs as a file that apply takes",
		.examples = "      ecbpf-loader export -d /etc/ecbpf >ecbpf.conf\n",
		.options = loader_export_options,
		.run = loader_run_export,
	},
	{
		.name = "refresh",
		.args = "",
		.text = "read this host's addresses and IPVS's UDP services again",
		.about = "The filter lets fragments to this host's addresses pass; the fast path\n"
			 "takes UDP services of IPVS. Stages that are not loaded are skipped.\n"
			 "apply does this, and so does ecbpf.service every 10 seconds.\n",
		.examples = "      ecbpf-loader refresh\n",
		.options = loader_refresh_options,
		.run = loader_run_refresh,
	},
	{
		.name = "metrics",
		.args = "[IFACE]...",
		.text = "print all counters for Prometheus, or send them to statsd",
		.about = "The text that node_exporter reads from its textfile directory. Without\n"
			 "an interface: all of them.\n",
		.examples = "      ecbpf-loader metrics -o "
			    "/var/lib/prometheus/node-exporter/ecbpf.prom\n"
			    "      ecbpf-loader metrics --statsd localhost:8125\n",
		.options = loader_metrics_options,
		.run = loader_run_metrics,
	},
	{},
};

int main(int argc, char **argv)
{
	struct tool tool = {
		.name = "ecbpf-loader",
		.text = "Chains of XDP programs on network interfaces: load them, see what they\n"
			"do and whether they work. Takes the place of xdp-loader.\n",
		.examples = "  ecbpf-loader load eth0 pass count     two stages on eth0\n"
			    "  ecbpf-loader status eth0              what they counted\n"
			    "  ecbpf-loader doctor                   is everything well?\n"
			    "  ecbpf-loader unload eth0 --all        as if nothing had been\n",
		.verbs = verbs,
	};

	return tool_main(&tool, argc, argv);
}
