// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw: the firewall, see ecbpf-fw(8) and, for its rules, ecbpf-fw-rules(5). */
#include "tools/fw/fw.h"

static const struct tool_verb verbs[] = {
	{
		.name = "load",
		.args = "IFACE...",
		.text = "put the firewall onto interfaces",
		.about = "All interfaces have one ruleset. Its rules are live before the first "
			 "packet.\n",
		.examples = "      ecbpf-fw load -f rules eth0 eth1\n",
		.options = fw_load_options,
		.run = fw_run_load,
	},
	{
		.name = "unload",
		.args = "[IFACE]...",
		.text = "take it off these interfaces, or off all",
		.about = "The rules stay, with their counters, for the next load; to forget them, "
			 "too:\n"
			 "ecbpf-loader clean.\n",
		.options = fw_unload_options,
		.run = fw_run_unload,
	},
	{
		.name = "apply",
		.args = "-f FILE",
		.text = "make the rules of a file live, all in one step",
		.about = "Packets see the old rules or the new ones. A rule that was there before "
			 "goes on\n"
			 "with its counters: by its name, or by what it says if it has none.\n",
		.examples = "      ecbpf-fw apply -f rules\n"
			    "  What is live, edited:\n"
			    "      ecbpf-fw rule list | sed 's/drop/dry drop/' | ecbpf-fw apply -f "
			    "-\n",
		.options = fw_apply_options,
		.run = fw_run_apply,
	},
	{
		.name = "set",
		.args = "create|destroy|add|delete|list|flush|replace NAME [PREFIX]...",
		.text = "change the live sets of addresses; no rule is touched",
		.about = "Adding what is there, or deleting what is not, is fine. One call is all "
			 "or\n"
			 "nothing. 'list NAME' prints what 'replace -f' reads; 'list' shows which "
			 "sets there are.\n",
		.examples = "      ecbpf-fw set create bad\n"
			    "      ecbpf-fw rule add 'ip from @bad to any tcp udp icmp'\n"
			    "      ecbpf-fw set add bad 192.0.2.1 198.51.100.0/24\n"
			    "      ecbpf-fw set replace bad -f blocklist\n",
		.options = fw_set_options,
		.run = fw_run_set,
	},
	{
		.name = "stats",
		.args = "",
		.text = "show what the live rules counted",
		.about = "Packets and bytes that each rule took, of a limit how many were above "
			 "it, and\n"
			 "packets a second now.\n",
		.examples = "      ecbpf-fw stats --watch\n",
		.options = fw_stats_options,
		.run = fw_run_stats,
	},
	{
		.name = "status",
		.args = "",
		.text = "show where the firewall is loaded, and how much there is of it",
		.options = fw_status_options,
		.run = fw_run_status,
	},
	{
		.name = "check",
		.args = "-f FILE",
		.text = "look for errors in rules, all of them in one run",
		.about =
			"Needs no privilege, and touches nothing that is live. Says how many "
			"rules,\n"
			"sets and assertions there are; or, for each error, where it is, and what\n"
			"is allowed there.\n",
		.examples = "      ecbpf-fw check -f rules\n"
			    "  One rule, from a shell, and how it is understood:\n"
			    "      echo 'ip from any to any udp sport {19, 123}' | ecbpf-fw check "
			    "-p -f -\n",
		.options = fw_check_options,
		.run = fw_run_check,
	},
	{
		.name = "test",
		.args = "-f FILE -r PCAP",
		.text = "try rules on captured packets, and check the assertions of the rules",
		.about = "The real program decides, but touches nothing that is live. For each "
			 "packet\n"
			 "a line: number, bytes, verdict, number of the rule that decided or -, "
			 "SHA-1\n"
			 "of the packet, name of the rule. Exit status 1: a packet's verdict is "
			 "not\n"
			 "what a 'test' line of FILE says, or there is no such packet.\n",
		.examples = "  What would these rules have dropped of an attack?\n"
			    "      tcpdump -c 10000 -w attack.pcap -i eth0\n"
			    "      ecbpf-fw test -f rules -r attack.pcap | cut -f 3,4 | sort | "
			    "uniq -c\n",
		.options = fw_test_options,
		.run = fw_run_test,
	},
	{
		.name = "rule",
		.args = "add TEXT | insert N TEXT | replace N|NAME TEXT | delete N|NAME | list",
		.text = "change the live rules one at a time, or list them",
		.about = "Packets see the rules before or after a change. 'insert' puts the new "
			 "rule\n"
			 "before rule N. 'list' prints a file that 'apply' takes. Quotes keep the\n"
			 "shell from taking braces, '!' and '\"' for its own.\n",
		.examples =
			"  The attack at hand:\n"
			"      ecbpf-fw rule add 'ip from any to any udp sport {123, 11211} drop'\n"
			"  Only count at first, then drop:\n"
			"      ecbpf-fw rule insert 1 'dry drop ip from @bad to any tcp name "
			"\"bad\"'\n"
			"      ecbpf-fw rule replace bad 'drop ip from @bad to any tcp'\n"
			"      ecbpf-fw rule delete bad\n",
		.options = fw_rule_options,
		.run = fw_run_rule,
	},
	{},
};

int main(int argc, char **argv)
{
	struct tool tool = {
		.name = "ecbpf-fw",
		.text = "A firewall in front of the network stack, against floods: rules drop, "
			"limit or\n"
			"count packets, see ecbpf-fw-rules(5).\n",
		.examples = "  ecbpf-fw check -f rules               are the rules good?\n"
			    "  ecbpf-fw test -f rules -r a.pcap      what would they do?\n"
			    "  ecbpf-fw rule add 'ip from 192.0.2.0/24 to any tcp'\n"
			    "  ecbpf-fw rule list                    what is live?\n",
		.verbs = verbs,
	};

	return tool_main(&tool, argc, argv);
}
