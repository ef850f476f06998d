// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw: the firewall, see ecbpf-fw(8) and, for its rules, ecbpf-fw-rules(5). */
#include "tools/fw/fw.h"

static const struct tool_verb verbs[] = {
	{
		.name = "load",
		.args = "IFACE...",
		.text = "load the firewall on interfaces",
		.about = "All interfaces share one ruleset. The rules are live before the first\n"
			 "packet.\n",
		.examples = "      ecbpf-fw load -f rules eth0 eth1\n",
		.options = fw_load_options,
		.settings = ecbpf_fw_settings,
		.has_setting_options = true,
		.run = fw_run_load,
	},
	{
		.name = "unload",
		.args = "[IFACE]...",
		.text = "unload it from these interfaces, or from all",
		.about = "Rules and counters stay for the next load; 'ecbpf-loader clean --all'\n"
			 "removes them.\n",
		.options = fw_unload_options,
		.run = fw_run_unload,
	},
	{
		.name = "apply",
		.args = "-f FILE",
		.text = "replace the live rules by those of a file, in one step",
		.about = "Packets are matched against all of the old rules or all of the new\n"
			 "ones. A rule that stays keeps its counters: a rule of the same name,\n"
			 "or without a name, of the same meaning.\n",
		.examples =
			"      ecbpf-fw apply -f rules\n"
			"  Unless they drop more than this of known good packets:\n"
			"      ecbpf-fw apply -f rules --gate 'good.pcap:max-dropped 0.1%'\n"
			"  Edit the live rules:\n"
			"      ecbpf-fw rule list | sed 's/drop/dry drop/' | ecbpf-fw apply -f -\n",
		.options = fw_apply_options,
		.run = fw_run_apply,
	},
	{
		.name = "set",
		.args = "create|destroy|add|delete|list|flush|replace NAME [PREFIX]... | "
			"KEY=VALUE...",
		.text = "change or list the live sets of addresses; change settings",
		.about = "Adding a prefix that is there is no error. If a command fails, the set "
			 "is not changed. 'list NAME' prints\n"
			 "what 'replace -f' reads; 'list' prints all sets. Settings take effect\n"
			 "at once.\n",
		.examples = "      ecbpf-fw set create bad\n"
			    "      ecbpf-fw rule add 'ip from @bad to any tcp udp icmp'\n"
			    "      ecbpf-fw set add bad 192.0.2.1 198.51.100.0/24\n"
			    "      ecbpf-fw set replace bad -f blocklist\n"
			    "      ecbpf-fw set malformed=drop not-inspected=pass\n",
		.options = fw_set_options,
		.settings = ecbpf_fw_settings,
		.run = fw_run_set,
	},
	{
		.name = "stats",
		.args = "",
		.text = "print the counters of the live rules",
		.about = "Packets and bytes that matched, packets that were dropped, for limits\n"
			 "the packets above the limit and the packets of sources that shared a\n"
			 "bucket, and packets a second.\n",
		.examples = "      ecbpf-fw stats --watch\n"
			    "      ecbpf-fw stats --sort dropped\n",
		.options = fw_stats_options,
		.run = fw_run_stats,
	},
	{
		.name = "status",
		.args = "",
		.text = "print interfaces, number of rules and sets, and memory",
		.options = fw_status_options,
		.run = fw_run_status,
	},
	{
		.name = "check",
		.args = "-f FILE",
		.text = "report all errors in rules",
		.about = "Needs no privilege. Prints how many rules, sets and assertions there\n"
			 "are; or each error, with its position and what is allowed there.\n",
		.examples = "      ecbpf-fw check -f rules\n"
			    "  One rule in its canonical form:\n"
			    "      echo 'ip from any to any udp sport {19, 123}' "
			    "| ecbpf-fw check -p -f -\n",
		.options = fw_check_options,
		.run = fw_run_check,
	},
	{
		.name = "test",
		.args = "-f FILE -r PCAP",
		.text = "try rules on captured packets, and check their assertions",
		.about = "Runs the firewall's program without touching the live rules. Prints a\n"
			 "line for each packet: number, bytes, verdict, number of the rule that\n"
			 "decided or -, SHA-1 of the packet, name of the rule. The verdict is\n"
			 "'unknown' if it depends on bytes that were not captured; packets that\n"
			 "cannot be tried are 'skipped'. The exit status is 1 if a packet has\n"
			 "another verdict than a 'test' line of FILE says, or if there is no such\n"
			 "packet.\n",
		.examples = "  What would these rules have dropped of an attack?\n"
			    "      tcpdump -c 10000 -s 96 -w attack.pcap -i eth0\n"
			    "      ecbpf-fw test --by-rule -f rules -r attack.pcap\n",
		.options = fw_test_options,
		.run = fw_run_test,
	},
	{
		.name = "rule",
		.args = "add TEXT | insert N TEXT | replace N|NAME TEXT | delete N|NAME | list",
		.text = "change single live rules, or list all",
		.about = "Each change is atomic. 'insert' puts the new rule before rule N.\n"
			 "'list' prints what 'apply' reads. Quote rules, as braces, '!' and '\"'\n"
			 "are special to the shell.\n",
		.examples =
			"  Drop an attack:\n"
			"      ecbpf-fw rule add 'ip from any to any udp sport {123, 11211} drop'\n"
			"  First only count, then drop:\n"
			"      ecbpf-fw rule insert 1 'dry drop ip from @bad to any tcp "
			"name \"bad\"'\n"
			"      ecbpf-fw rule replace bad 'drop ip from @bad to any tcp'\n"
			"      ecbpf-fw rule delete bad\n",
		.options = fw_rule_options,
		.run = fw_run_rule,
	},
	{
		.name = "confirm",
		.args = "",
		.text = "keep the rules of a change that was made with --confirm",
		.about = "Until it is typed, the change is on probation: when its time is over, "
			 "the\n"
			 "rules before are live again, whatever has become of this session.\n",
		.examples = "      ecbpf-fw apply -f rules --confirm 60s\n"
			    "      ecbpf-fw confirm\n",
		.options = fw_confirm_options,
		.run = fw_run_confirm,
	},
	{
		.name = "undo",
		.args = "",
		.text = "take a change that waits back, at once",
		.options = fw_confirm_options,
		.run = fw_run_undo,
	},
	{
		.name = "panic",
		.args = "drop|pass|off",
		.text = "drop or pass all packets without asking the rules",
		.about = "The rules stay, and can be changed meanwhile. 'drop' drops every IP "
			 "packet,\n"
			 "those of your own session, too. A restart of the host ends it.\n",
		.examples = "      ecbpf-fw panic pass\n"
			    "      ecbpf-fw panic off\n",
		.options = fw_confirm_options,
		.run = fw_run_panic,
	},
	{},
};

int main(int argc, char **argv)
{
	struct tool tool = {
		.name = "ecbpf-fw",
		.text = "A firewall in front of the network stack, against floods. Rules drop, "
			"limit or\n"
			"count packets, see ecbpf-fw-rules(5).\n",
		.examples = "  ecbpf-fw check -f rules               check rules for errors\n"
			    "  ecbpf-fw test -f rules -r a.pcap      try them on a capture\n"
			    "  ecbpf-fw rule add 'ip from 192.0.2.0/24 to any tcp'\n"
			    "  ecbpf-fw rule list                    list the live rules\n",
		.verbs = verbs,
	};

	return tool_main(&tool, argc, argv);
}
