// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-loader: chains of XDP programs on interfaces, see ecbpf-loader(8) */
#include "tools/loader/loader.h"

static const struct tool_option loader_json_options[] = {
	TOOL_JSON_OPTION,
	TOOL_COMMON_OPTIONS,
};

/* Verbs of xdp-loader first, so that its abbreviations keep their meaning */
static const struct tool_verb verbs[] = {
	{
		.name = "load",
		.args = "IFACE[,IFACE...] PROGRAM...",
		.text = "add XDP programs to the chains of interfaces",
		.about =
			"PROGRAM is the name of a stage (see 'ecbpf-loader stages'), or an object\n"
			"file if there is a / in it or it ends in .o. All programs are added in\n"
			"one step; options apply to all of them. On failure all chains are\n"
			"unchanged.\n",
		.examples =
			"  Count packets on eth0 and eth1, and drop malformed ones:\n"
			"      ecbpf-loader load -S malformed_action=XDP_DROP eth0,eth1 count\n"
			"  A program of your own, before those of priority 50:\n"
			"      ecbpf-loader load -P 20 eth0 my_prog.bpf.o\n"
			"  Two stages in one program, for speed or for kernels without chains:\n"
			"      ecbpf-loader load --fused pass,count eth0\n",
		.options = loader_load_options,
		.run = loader_run_load,
	},
	{
		.name = "unload",
		.args = "IFACE[,IFACE...]...",
		.text = "remove XDP programs from the chains of interfaces",
		.about = "One of --id, --name and --all selects them. On failure all chains are\n"
			 "unchanged.\n",
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
		.text = "show the XDP programs of interfaces and their counters",
		.about = "Default: all interfaces. Without -v, the table of xdp-loader alone.\n",
		.examples =
			"  All interfaces:\n"
			"      ecbpf-loader status\n"
			"  With counters:\n"
			"      ecbpf-loader status -v eth0\n"
			"  Number of packets that the stage count dropped on eth0, for a script:\n"
			"      ecbpf-loader status -j eth0 |\n"
			"        jq '.[].members[].stages[]?|select(.stage==\"count\")|\n"
			"            .actions.XDP_DROP.packets'\n"
			"  Set counters to zero:\n"
			"      ecbpf-loader status --clear eth0\n",
		.options = loader_status_options,
		.run = loader_run_status,
	},
	{
		.name = "clean",
		.args = "[IFACE]...",
		.text = "remove pins that interrupted loads left in the BPF file system",
		.about = "Default: all interfaces. Pins that may be of an attached chain, in any\n"
			 "network namespace, are left.\n",
		.examples = "      ecbpf-loader clean\n"
			    "  All that ecbpf has pinned, when nothing is loaded:\n"
			    "      ecbpf-loader clean --all\n",
		.options = loader_clean_options,
		.run = loader_run_clean,
	},
	{
		.name = "features",
		.args = "IFACE",
		.text = "show the XDP features of a network device",
		.examples = "      ecbpf-loader features eth0\n",
		.options = loader_json_options,
		.run = loader_run_features,
	},
	{
		.name = "replace",
		.args = "IFACE NAME PROGRAM",
		.text = "replace a program of a chain by another one",
		.about = "NAME is a program or stage that the chain has exactly once. PROGRAM\n"
			 "replaces it in one step: each packet meets the old code or the new one.\n"
			 "Priority, actions, and maps that are the same in both are kept.\n",
		.examples =
			"  A new build of a program, without losing packets:\n"
			"      ecbpf-loader replace eth0 my_prog my_prog.bpf.o\n"
			"  Other stages in the fused program:\n"
			"      ecbpf-loader replace --fused pass,count,printk eth0 ecbpf_fused\n",
		.options = loader_replace_options,
		.run = loader_run_replace,
	},
	{
		.name = "doctor",
		.args = "[IFACE]...",
		.text = "check for known problems",
		.about = "Each problem is a line: the problem, its consequence, and the command\n"
			 "that fixes it. With -v, checks that found no problem, too. Default:\n"
			 "all interfaces that have an XDP program. Exit status 1: traffic is not\n"
			 "handled as configured.\n",
		.examples = "      ecbpf-loader doctor\n"
			    "      ecbpf-loader doctor -v eth0\n",
		.options = loader_json_options,
		.run = loader_run_doctor,
	},
	{
		.name = "stages",
		.args = "",
		.text = "list the stages with their purpose and run priority",
		.examples = "      ecbpf-loader stages\n",
		.options = loader_json_options,
		.run = loader_run_stages,
	},
	{
		.name = "apply",
		.args = "[FILE]",
		.text = "change chains and settings to those of a file",
		.about = "FILE is described in ecbpf.conf(5), - is standard input (default: the\n"
			 "installed ecbpf.conf and conf.d/*.conf). Only differences are applied;\n"
			 "on failure nothing is changed.\n",
		.examples = "  Print the changes that would be made:\n"
			    "      ecbpf-loader apply -c\n"
			    "  Make them:\n"
			    "      ecbpf-loader apply --diff\n",
		.options = loader_apply_options,
		.run = loader_run_apply,
	},
	{
		.name = "export",
		.args = "",
		.text = "print the running state as a file for apply",
		.examples = "      ecbpf-loader export -d /etc/ecbpf >ecbpf.conf\n",
		.options = loader_export_options,
		.run = loader_run_export,
	},
	{
		.name = "refresh",
		.args = "",
		.text = "read this host's addresses and IPVS's UDP services again",
		.about = "The filter lets fragments to this host's addresses pass; the fast path\n"
			 "forwards packets of UDP services. Stages that are not loaded are\n"
			 "skipped. Maps whose pins were removed are pinned again. apply does\n"
			 "all this as well, and watch every second.\n",
		.examples = "      ecbpf-loader refresh\n",
		.options = loader_refresh_options,
		.run = loader_run_refresh,
	},
	{
		.name = "watch",
		.args = "[FILE]",
		.text = "apply a file, and keep interfaces as it declares them",
		.about =
			"Runs until SIGTERM, which removes all that it loaded unless on-stop is\n"
			"leave; SIGHUP reads FILE again, SIGINT ends it and removes nothing.\n"
			"Interfaces that are missing, or lose their programs, get them within a\n"
			"second. ecbpf.service runs this. Its end changes nothing in the kernel.\n",
		.examples = "  In the foreground:\n"
			    "      ecbpf-loader watch\n"
			    "  After a change of the file, as systemctl reload ecbpf:\n"
			    "      ecbpf-loader watch --reload\n",
		.options = loader_watch_options,
		.run = loader_run_watch,
	},
	{
		.name = "log",
		.args = "",
		.text = "show who changed what, from the systemd journal",
		.about = "Each verb that changes something, of each of ecbpf's tools, writes one\n"
			 "entry, also when it fails; watch one for each change that it makes.\n",
		.examples = "      ecbpf-loader log --since today\n"
			    "      ecbpf-loader log -n 10 -i eth0\n",
		.options = loader_log_options,
		.run = loader_run_log,
	},
	{
		.name = "metrics",
		.args = "[IFACE]...",
		.text = "print all counters for Prometheus, or send them to statsd",
		.about = "The format is that of node_exporter's textfile directory. Default: all\n"
			 "interfaces.\n",
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
		.text = "Load XDP programs on network interfaces, several on each, and show their\n"
			"counters and state. Replaces xdp-loader.\n",
		.examples = "  ecbpf-loader load eth0 pass count     two stages on eth0\n"
			    "  ecbpf-loader status -v eth0           show their counters\n"
			    "  ecbpf-loader doctor                   check for problems\n"
			    "  ecbpf-loader unload eth0 --all        remove all programs\n",
		.verbs = verbs,
	};

	return tool_main(&tool, argc, argv);
}
