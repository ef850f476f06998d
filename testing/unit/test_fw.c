// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The firewall's rules: what is good, and in which form it is printed; what is not, and where and
 * in which words that is told; changes to a ruleset. That rules mean the same to two parsers is for
 * test_fw_rules.py.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/bpf.h>
#include "core/util.h"
#include "fw/compile.h"
#include "fw/rules.h"
#include "handle.h"

/* --- /etc/services and /etc/protocols, whatever this host has ------------------------------------
 */

static const struct {
	const char *name, *proto;
	int number;
} services[] =
	{
		{"ftp-data", "tcp", 20}, {"http", "tcp", 80},	    {"https", "tcp", 443},
		{"https", "udp", 443},	 {"domain", "tcp", 53},	    {"domain", "udp", 53},
		{"tftp", "udp", 69},	 {"http-alt", "tcp", 8080}, {"3com-x", "tcp", 106},
		{"a", "tcp", 1},	 {"b-c", "tcp", 2},	    {"a-b", "tcp", 3},
		{"c", "tcp", 4},
},
  protocols[] = {
	  {"ip", NULL, 0},   {"icmp", NULL, 1}, {"tcp", NULL, 6},     {"gre", NULL, 47},
	  {"esp", NULL, 50}, {"ah", NULL, 51},	{"mptcp", NULL, 262},
};

int getservbyname_r(const char *name, const char *proto, struct servent *entry, char *buffer,
		    size_t size, struct servent **found)
{
	(void)buffer;
	(void)size;
	*found = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (!strcmp(name, services[i].name) && !strcmp(proto, services[i].proto)) {
			entry->s_port = htons(services[i].number);
			*found = entry;
		}
	return 0;
}

int getprotobyname_r(const char *name, struct protoent *entry, char *buffer, size_t size,
		     struct protoent **found)
{
	(void)buffer;
	(void)size;
	*found = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (!strcmp(name, protocols[i].name)) {
			entry->p_proto = protocols[i].number;
			*found = entry;
		}
	return 0;
}

/* --- rules ---------------------------------------------------------------------------------------
 */

static struct ecbpf_fw_ruleset *parse(const char *text)
{
	struct ecbpf_fw_ruleset *ruleset;

	if (ecbpf_fw_parse(e, "rules", text, strlen(text), &ruleset))
		fail_msg("'%s': %s", text, ecbpf_error(e));
	return ruleset;
}

static char *print(const struct ecbpf_fw_ruleset *ruleset)
{
	char *text;

	assert_int_equal(ecbpf_fw_print(e, ruleset, &text), 0);
	return text;
}

/* Text, and how it is printed. What is printed is printed the same once more */
static void printed(void **state)
{
	static const struct {
		const char *text, *printed;
	} cases[] = {
		/* the old language */
		{"ip from any to any tcp", "ip from any to any tcp drop\n"},
		{"packet length any ip from any to any ttl any tcp sport any window any\n",
		 "ip from any to any tcp drop\n"},
		{"packet ip6 from any to any udp\n", "ip6 from any to any udp drop\n"},
		{"packet length 60 ip from {99.179.48.253/32} to {152.195.8.8/32} ttl 119 tcp "
		 "sport {50633} window 4160 flags {ack} mask {syn,fin,psh,ack}",
		 "packet length 60 ip from 99.179.48.253 to 152.195.8.8 ttl 119 tcp sport 50633 "
		 "window 4160 flags {ack} mask {ack, psh, syn, fin} drop\n"},
		{"udp sport {53,37224,57000-58000} ip from any to any name \"a # b\" # c",
		 "ip from any to any udp sport {53, 37224, 57000-58000} drop name \"a # b\"\n"},
		{"ip from {8.8.8.8 / 16} to any icmp type 8\r\n\r\n",
		 "ip from 8.8.0.0/16 to any icmp type 8 drop\n"},
		{"ip from{1.2.3.4/32,1.2.3.4/32}to any tcp sport{1 - 5,3}",
		 "ip from 1.2.3.4 to any tcp sport 1-5 drop\n"},
		{"ip6 from {2001:DB8::1/128, 2001:db8::/33} to any icmp6 type 128",
		 "ip6 from 2001:db8::/33 to any icmp6 type 128 drop\n"},
		{"ip from any to any tcp sport {1} window 2 udp sport {3}",
		 "ip from any to any tcp sport 1 window 2 udp sport 3 drop\n"},
		{"ip from any to any tcp flags", "ip from any to any tcp drop\n"},
		{"ip from any to any tcp flags {syn} name \"no name\"\n"
		 "ip from any to any udp name \"no name\"",
		 "ip from any to any tcp flags {syn} drop name \"no name\"\n"
		 "ip from any to any udp drop name \"no name\"\n"},
		{"test sha1 5EE7710e4f59c537e76c9d243658931828ce296d xdp_action XDP_ABORTED",
		 "test sha1 5ee7710e4f59c537e76c9d243658931828ce296d xdp_action XDP_ABORTED\n"},
		{"# nothing\n\n \t\n", ""},
		{"# nothing\r\n# at \r\r\n# all\r", ""},
		{"set s { # a\r\n} # b\r\nip udp # c\r\n",
		 "set s {}\nip from any to any udp drop\n"},
		{"", ""},
		/* null flags, port 0 */
		{"ip from any to any tcp flags {} mask {fin,syn,rst,psh,ack,urg,ece,cwr}",
		 "ip from any to any tcp flags {} mask {cwr, ece, urg, ack, psh, rst, syn, fin} "
		 "drop\n"},
		{"ip from any to any tcp flags mask {syn}",
		 "ip from any to any tcp flags {} mask {syn} drop\n"},
		{"ip from any to any udp sport {0}", "ip from any to any udp sport 0 drop\n"},
		/* what is added */
		{"ip from 10.0.0.0/8 to !{1.1.1.1, 1.1.1.2} udp drop",
		 "ip from 10.0.0.0/8 to !{1.1.1.1, 1.1.1.2} udp drop\n"},
		{"drop ip from 0.0.0.0/0 to 0.0.0.0/0 udp", "ip from any to any udp drop\n"},
		{"ip from any to any udp sport !{53, 123} dport !1-10 pass",
		 "ip from any to any udp sport !{53, 123} dport !1-10 pass\n"},
		{"ip from any to any udp sport {3-4, 1-2, 5}",
		 "ip from any to any udp sport 1-5 drop\n"},
		{"ip from any to any udp sport 0-65535",
		 "ip from any to any udp sport 0-65535 drop\n"},
		{"packet length {60, 64-128} ip from any to any ttl 1-5 vlan {5, 7} frag any "
		 "options "
		 "icmp type 3 code {0, 1} count",
		 "packet length {60, 64-128} ip from any to any ttl 1-5 vlan {5, 7} frag any "
		 "options icmp type 3 code 0-1 count\n"},
		{"ip from any to any frag no proto 47",
		 "ip from any to any frag no proto 47 drop\n"},
		{"dry ip from any to any udp", "ip from any to any udp dry drop\n"},
		{"dry pass ip from any to any udp", "ip from any to any udp dry pass\n"},
		{"ip from any to any udp dry limit 10 pps",
		 "ip from any to any udp dry limit 10/s\n"},
		{"limit 2000/s burst 200 ip from any to any udp",
		 "ip from any to any udp limit 2kpps\n"},
		{"limit 2000kpps burst 7 per src ip from any to any udp",
		 "ip from any to any udp limit 2Mpps burst 7 per src\n"},
		{"ip6 from any to any udp limit 5 Mbit/s per src/56",
		 "ip6 from any to any udp limit 5Mbit/s per src/56\n"},
		{"ip6 from any to any udp limit 5 Mbit/s per src / 64",
		 "ip6 from any to any udp limit 5Mbit/s per src\n"},
		{"ip6 from any to any udp limit 5 Mbit/s per src/128",
		 "ip6 from any to any udp limit 5Mbit/s per src/128\n"},
		{"ip from any to any udp limit 5/s per src/32",
		 "ip from any to any udp limit 5/s per src\n"},
		/* what may be left out */
		{"ip udp dport 53", "ip from any to any udp dport 53 drop\n"},
		{"ip from 192.0.2.1", "ip from 192.0.2.1 to any proto any drop\n"},
		{"ip to 192.0.2.1 tcp dport 443 pass",
		 "ip from any to 192.0.2.1 tcp dport 443 pass\n"},
		{"ip6 to ::1 from 2001:db8::/32 count",
		 "ip6 from 2001:db8::/32 to ::1 proto any count\n"},
		{"ip frag later", "ip from any to any frag later proto any drop\n"},
		{"ip ttl 1 to 192.0.2.1", "ip from any to 192.0.2.1 ttl 1 proto any drop\n"},
		{"ip proto any", "ip from any to any proto any drop\n"},
		{"malformed any ip6", "malformed any ip6 from any to any drop\n"},
		{"accept ip udp", "ip from any to any udp pass\n"},
		{"ip udp dry accept", "ip from any to any udp dry pass\n"},
		{"ip udp limit 10Gbit/s", "ip from any to any udp limit 10000Mbit/s\n"},
		{"ip udp limit 2.5 Gbit/s burst 7000",
		 "ip from any to any udp limit 2500Mbit/s burst 7000\n"},
		{"ip udp limit 0.064Mbit/s", "ip from any to any udp limit 64kbit/s\n"},
		{"ip udp limit 1500kbit/s", "ip from any to any udp limit 1500kbit/s\n"},
		{"ip udp limit 1000kbit/s", "ip from any to any udp limit 1Mbit/s\n"},
		{"ip udp limit 1.5Mpps", "ip from any to any udp limit 1500kpps\n"},
		{"ip udp limit 0.001kpps", "ip from any to any udp limit 1/s\n"},
		{"ip udp limit 5.0/s", "ip from any to any udp limit 5/s\n"},
		{"ip udp limit 1000.000Gbit/s", "ip from any to any udp limit 1000000Mbit/s\n"},
		/* names */
		{"ip proto gre", "ip from any to any proto 47 drop\n"},
		{"ip proto {gre, 4, ah-99}", "ip from any to any proto {4, 47, 51-99} drop\n"},
		{"ip proto !esp-ah", "ip from any to any proto !50-51 drop\n"},
		{"ip tcp dport https udp dport domain",
		 "ip from any to any tcp dport 443 udp dport 53 drop\n"},
		{"ip tcp sport !{http,https} dport { ftp-data , 22 }",
		 "ip from any to any tcp sport !{80, 443} dport {20, 22} drop\n"},
		{"ip tcp dport {http-https, http-alt-9000, 7-ftp-data}",
		 "ip from any to any tcp dport {7-20, 80-443, 8080-9000} drop\n"},
		{"ip tcp dport {http - https, 7 - ftp-data, ftp-data- 22, http-alt -9000}",
		 "ip from any to any tcp dport {7-22, 80-443, 8080-9000} drop\n"},
		{"ip tcp dport 3com-x", "ip from any to any tcp dport 106 drop\n"},
		{"ip tcp dport a-c", "ip from any to any tcp dport 1-4 drop\n"},
		/* both families */
		{"inet udp dport 53", "inet from any to any udp dport 53 drop\n"},
		{"inet from {2001:db8::/32, 192.0.2.7/24} tcp pass",
		 "inet from {192.0.2.0/24, 2001:db8::/32} to any tcp pass\n"},
		{"inet from {0.0.0.0/0, ::1} udp", "inet from {0.0.0.0/0, ::1} to any udp drop\n"},
		{"inet from {::/0, 0.0.0.0/0} udp", "inet from any to any udp drop\n"},
		{"inet to !{::1, 127.0.0.1} udp", "inet from any to !{127.0.0.1, ::1} udp drop\n"},
		{"icmp6 type 128 inet icmp type 8 code 0 count",
		 "inet from any to any icmp type 8 code 0 icmp6 type 128 count\n"},
		{"icmp6 type 1 code 2 ip6", "ip6 from any to any icmp6 type 1 code 2 drop\n"},
		{"malformed any inet", "malformed any inet from any to any drop\n"},
		{"set s {1.2.3.4}\ninet from @s limit 5/s",
		 "set s {\n\t1.2.3.4\n}\ninet from @s to any proto any limit 5/s\n"},
		/* either port */
		{"ip tcp window 5 port https udp port {53, 5353}",
		 "ip from any to any tcp port 443 window 5 udp port {53, 5353} drop\n"},
		{"ip udp port !{53, 123}",
		 "ip from any to any udp sport !{53, 123} dport !{53, 123} drop\n"},
		{"ip udp port any", "ip from any to any udp drop\n"},
		{"ip udp port 0-65535", "ip from any to any udp port 0-65535 drop\n"},
		/* malformed packets */
		{"malformed any", "malformed any drop\n"},
		{"pass malformed {udp-truncated, tcp-doff,udp-truncated}",
		 "malformed {tcp-doff, udp-truncated} pass\n"},
		{"vlan 7 packet length 60 ip6 from ::/1 to any malformed ip6-ext-limit "
		 "limit 5/s per src/48",
		 "packet length 60 malformed ip6-ext-limit ip6 from ::/1 to any vlan 7 limit 5/s "
		 "per src/48\n"},
		/* sets, before and behind their use */
		{"ip from @b-1.x to ! @a udp\nset a { 1.2.3.4/24,\n\t1.2.3.4 # c\n\n 1.2.3.0/24 }\n"
		 "set b-1.x ip { }",
		 "set a {\n\t1.2.3.0/24\n\t1.2.3.4\n}\nset b-1.x ip {}\n"
		 "ip from @b-1.x to !@a udp drop\n"},
		{"set s ip6 {::1}", "set s ip6 {\n\t::1\n}\n"},
		{"set s ip6   live", "set s ip6 live\n"},
		{"set s live\nip from @s to any tcp drop",
		 "set s live\nip from @s to any tcp drop\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ecbpf_fw_ruleset *ruleset, *again;
		char *text, *text_again;

		ruleset = parse(cases[i].text);
		text = print(ruleset);
		if (strcmp(text, cases[i].printed))
			fail_msg("'%s' is printed as '%s'", cases[i].text, text);
		again = parse(text);
		text_again = print(again);
		assert_string_equal(text_again, text);
		ecbpf_fw_ruleset_free(ruleset);
		ecbpf_fw_ruleset_free(again);
		free(text);
		free(text_again);
	}
}

#define OPTIONS                                                                             \
	"an option (malformed, packet, vlan, ip, ip6, inet, ttl, frag, options, tcp, udp, " \
	"icmp, icmp6, proto, name, drop, pass, accept, count, limit, dry)"
#define MALFORMED                                                            \
	"any, or a reason: tcp-truncated, ip6-ext-limit, or another one of " \
	"ecbpf-fw-rules(5)"
#define CR    "a carriage return ends no line: write a newline"
#define UNITS "/s, pps, kpps, Mpps, kbit/s, Mbit/s, Gbit/s"
#define ALL(family)                                                                   \
	"this rule matches all packets of " family ": if you mean that, write proto " \
	"any; else a protocol (tcp, udp, icmp, icmp6, proto N) or another selector"
#define ADDRESS "is not an address, such as 192.0.2.1 or 2001:db8::1"

/* Rules, and all that is told of them: line:column, message; up to {} */
static const struct {
	const char *text;
	const char *told[4];
} bad[] = {
	/* malformed packets */
	{"malformed", {"1:10: expected " MALFORMED ", found the end of the line"}},
	{"malformed fw-drop", {"1:11: expected " MALFORMED ", found 'fw-drop'"}},
	{"malformed none", {"1:11: expected " MALFORMED ", found 'none'"}},
	{"malformed tcp-doff, runt",
	 {"1:19: expected braces around a list: {runt, tcp-doff}, found ','"}},
	{"ip from any to any malformed any tcp dport 7 ttl 5",
	 {"1:46: 'ttl' and 'malformed' in one rule: with malformed go packet length, vlan, ip, "
	  "ip6 and inet",
	  "1:34: 'tcp' and 'malformed' in one rule: with malformed go packet length, vlan, ip, "
	  "ip6 and inet"}},
	{"malformed any limit 5/s per src", {"1:15: 'per src' needs ip or ip6"}},
	/* what could never match */
	{"packet length 65536 ip from any to any tcp",
	 {"1:15: length: '65536' is not a number from 0 to 65535"}},
	{"ip from any to any tcp sport {90-80}",
	 {"1:31: sport: '90-80' is in descending order, write 80-90"}},
	{"ip from any to any ttl 300 tcp", {"1:24: ttl: '300' is not a number from 0 to 255"}},
	{"ip from any to any icmp type 300", {"1:30: type: '300' is not a number from 0 to 255"}},
	{"ip from any to any icmp code 256", {"1:30: code: '256' is not a number from 0 to 255"}},
	{"ip from any to any vlan 4096 tcp", {"1:25: vlan: '4096' is not a number from 0 to 4095"}},
	{"ip from any to any proto 256", {"1:26: proto: '256' is not a number from 0 to 255"}},
	{"ip from any to any tcp window 65536",
	 {"1:31: window: '65536' is not a number from 0 to 65535"}},
	{"ip from any to any tcp sport 18446744073709551617",
	 {"1:30: sport: '18446744073709551617' is not a number from 0 to 65535"}},
	{"ip from 1.2.3.4/33 to any tcp",
	 {"1:9: '1.2.3.4/33' has a prefix length that is not 0 to 32"}},
	{"ip6 from ::/129 to any tcp", {"1:10: '::/129' has a prefix length that is not 0 to 128"}},
	{"ip from {} to any tcp", {"1:9: an empty list matches nothing"}},
	{"ip from any to any tcp sport {}", {"1:30: sport: an empty list matches nothing"}},
	{"ip from !any to any tcp", {"1:9: '!any' matches nothing"}},
	{"ip from !{0.0.0.0/0} to any tcp", {"1:9: '!' of all addresses matches nothing"}},
	{"ip from any to any tcp sport !any", {"1:30: sport: '!any' matches nothing"}},
	{"ip from any to any tcp sport !{0-7, 8-65535}",
	 {"1:30: sport: '!' of all values matches nothing"}},
	{"ip from any to any tcp flags {syn} mask {ack}",
	 {"1:30: this matches nothing: a flag that must be set is not in the mask"}},
	{"ip from any to any frag later tcp dport 80 udp sport 1",
	 {"1:20: this matches nothing: a later fragment has no ports, window, flags, type or "
	  "code"}},
	/* what would surprise */
	{"ip from any to any tcp flags {}",
	 {"1:30: no flag is tested, so this matches any flags; for packets without flags: flags {} "
	  "mask {cwr, ece, urg, ack, psh, rst, syn, fin}"}},
	{"ip from any to any tcp sport 80 proto 6",
	 {"1:33: 'proto' includes 6, which is 'tcp'; remove one of them"}},
	{"ip6 from any to any icmp6 proto any",
	 {"1:27: 'proto' includes 58, which is 'icmp6'; remove one of them"}},
	{"ip from 010.1.1.1 to any udp",
	 {"1:9: '010.1.1.1' has an octet with a leading zero, which some read as octal and others "
	  "as decimal"}},
	{"ip from 10.1 to any udp", {"1:9: '10.1' " ADDRESS}},
	/* what is missing */
	{"ip from any to any", {"1:1: " ALL("ip")}},
	{"ip6 from ::/0 ttl any drop", {"1:1: " ALL("ip6")}},
	{"  tcp", {"1:3: a rule needs ip, ip6, or inet for both"}},
	{"drop", {"1:1: a rule needs ip, ip6, or inet for both"}},
	{"ip", {"1:1: " ALL("ip")}},
	{"inet pass", {"1:1: " ALL("ip and ip6")}},
	{"ip inet udp", {"1:4: 'ip' and 'inet' exclude each other"}},
	{"inet from 192.0.2.1",
	 {"1:11: these addresses are all of ip: write ip instead of inet, or add some of the other "
	  "family"}},
	{"inet to !{::1, ::2}",
	 {"1:9: these addresses are all of ip6: write ip6 instead of inet, or add some of the "
	  "other family"}},
	{"inet to !{::/0, 192.0.2.1}", {"1:9: '!' of all addresses matches nothing"}},
	{"set s ip {1.2.3.4}\ninet from @s",
	 {"2:12: the set 's' holds addresses of ip in a rule of inet"}},
	{"inet icmp type 8",
	 {"1:6: 'icmp' alone is of one family: write icmp and icmp6, or ip instead of inet"}},
	{"icmp6 inet",
	 {"1:1: 'icmp6' alone is of one family: write icmp and icmp6, or ip6 instead of inet"}},
	{"inet udp limit 5/s per src",
	 {"1:10: 'per src' and 'inet' in one rule: write a rule for ip and one for ip6"}},
	{"ip tcp port 5 sport 6", {"1:15: 'port' and 'sport' exclude each other"}},
	{"ip tcp sport 5 dport 7 port 6", {"1:24: 'sport' and 'port' exclude each other"}},
	{"ip port 5", {"1:4: 'port' must follow tcp or udp"}},
	{"ip frag later udp port 5",
	 {"1:4: this matches nothing: a later fragment has no ports, window, flags, type or "
	  "code"}},
	{"ip to any", {"1:1: " ALL("ip")}},
	{"ip any to any udp", {"1:4: expected 'from' or 'to' before addresses, found 'any'"}},
	{"ip 192.0.2.1 udp", {"1:4: expected 'from' or 'to' before addresses, found '192.0.2.1'"}},
	{"ip6 fe80::1 udp", {"1:5: expected 'from' or 'to' before addresses, found 'fe80::1'"}},
	{"ip @bad udp", {"1:4: expected 'from' or 'to' before addresses, found '@bad'"}},
	{"from 192.0.2.1 ip udp", {"1:1: 'from' must follow ip or ip6 or inet"}},
	{"ip udp from 192.0.2.1", {"1:8: 'from' must follow ip or ip6 or inet"}},
	{"ip from 192.0.2.1 from any udp", {"1:19: 'from' is repeated"}},
	{"ip from",
	 {"1:8: expected 'any', an address, a list in braces or @SET, found the end of the line"}},
	{"ip from @ to any tcp",
	 {"1:11: expected the name of a set (letters, digits, '_', '-', '.'), found 'to'"}},
	{"ip from {1.2.3.4 to any tcp", {"1:18: expected ',' or '}', found 'to'"}},
	{"ip from {1.2.3.4,", {"1:18: expected an address, found the end of the line"}},
	{"ip from any to any udp sport",
	 {"1:29: sport: expected a number from 0 to 65535, found the end of the line"}},
	{"ip from any to any udp sport {53",
	 {"1:33: expected ',' or '}', found the end of the line"}},
	{"ip from any to any udp sport 5-",
	 {"1:32: sport: expected a number from 0 to 65535, found the end of the line"}},
	{"ip from any to any udp name",
	 {"1:28: expected a name in double quotes, found the end of the line"}},
	{"ip from any to any udp name x", {"1:29: expected a name in double quotes, found 'x'"}},
	{"ip from any to any udp name \"x", {"1:29: missing '\"' at the end of the line"}},
	{"ip from any to any udp name \"\x1b[1m\"", {"1:30: byte 0x1b is not allowed in quotes"}},
	{"ip from any to any udp name \"\xc3\xa4\xff\"",
	 {"1:32: byte 0xff is not allowed in quotes"}},
	{"ip from any to any udp name \"\xc2\x9b\"", {"1:30: byte 0xc2 is not allowed in quotes"}},
	{"ip from any to any udp name \"\xe2\x82\"", {"1:30: byte 0xe2 is not allowed in quotes"}},
	/* lines end by LF, with CR before it or not */
	{"ip udp\r\n# block telnet\rip tcp dport 23\r\n", {"2:15: " CR}},
	{"# a\rip udp\r# b", {"1:4: " CR}},
	{"set s {\n1.2.3.4 # a\r1.2.3.5\n}", {"2:12: " CR}},
	{"ip udp # a\rip tcp", {"1:11: " CR}},
	{"ip udp\rip tcp", {"1:7: " CR}},
	{"set s {1.2.3.4}\rip udp", {"1:16: " CR}},
	/* what does not belong there */
	{"allow ip from any to any udp", {"1:1: 'allow' is no word of these rules: write pass"}},
	{"ip udp dst port 53", {"1:8: 'dst' is no word of these rules: write dport"}},
	{"ip udp src 53", {"1:8: 'src' is no word of these rules: write sport"}},
	{"ip udp dst 192.0.2.1", {"1:8: 'dst' is no word of these rules: write to"}},
	{"ip6 src 2001:db8::1", {"1:5: 'src' is no word of these rules: write from"}},
	{"ip gre", {"1:4: 'gre' is a protocol: write proto gre"}},
	{"ip tcp dport 80:90 ttl 256",
	 {"1:14: dport: '80:90' is not a range, write 80-90",
	  "1:24: ttl: '256' is not a number from 0 to 255"}},
	{"ip tcp sport {1, 5:7}", {"1:18: sport: '5:7' is not a range, write 5-7"}},
	{"ip saddr 192.0.2.1 udp", {"1:4: 'saddr' is no word of these rules: write from"}},
	{"pas ip from any to any udp", {"1:1: expected " OPTIONS ", found 'pas'"}},
	{"ip from any to any udp {", {"1:24: expected " OPTIONS ", found '{'"}},
	{"ip from any to any sport 5 udp", {"1:20: 'sport' must follow tcp or udp"}},
	{"ip from any to any udp window 5", {"1:24: 'window' must follow tcp"}},
	{"ip from any to any icmp flags {syn}", {"1:25: 'flags' must follow tcp"}},
	{"ip from any to any tcp type 5", {"1:24: 'type' must follow icmp or icmp6"}},
	{"length 5 ip from any to any tcp", {"1:1: 'length' must follow packet"}},
	{"ip from any to any tcp tcp", {"1:24: 'tcp' is repeated"}},
	{"ip from any to any tcp sport 5 sport 6", {"1:32: 'sport' is repeated"}},
	{"ip from any to any ttl 5 ttl 6 tcp", {"1:26: 'ttl' is repeated"}},
	{"ip from any to any ip6 from any to any tcp", {"1:20: 'ip' and 'ip6' exclude each other"}},
	{"ip from any to any udp drop pass", {"1:29: 'drop' and 'pass' exclude each other"}},
	{"ip udp accept pass", {"1:15: 'accept' and 'pass' exclude each other"}},
	{"ip from any to any udp drop dry", {"1:29: 'dry' must precede the action: dry drop"}},
	{"ip from any to any icmp6", {"1:20: 'icmp6' needs ip6; with ip, write icmp"}},
	{"ip6 from any to any icmp", {"1:21: 'icmp' needs ip; with ip6, write icmp6"}},
	{"ip6 from 1.2.3.4 to any tcp", {"1:10: '1.2.3.4' is an address of ip in a rule of ip6"}},
	{"ip from any to {1.1.1.1, ::1} tcp", {"1:26: '::1' is an address of ip6 in a rule of ip"}},
	{"ip from {any} to any tcp", {"1:10: 'any' " ADDRESS}},
	{"ip from {@x} to any tcp",
	 {"1:10: expected an address (a list cannot have sets), found '@x'"}},
	{"ip from 1.1.1.1, 1.1.1.2 to any tcp",
	 {"1:16: expected the next option (a list is written in braces), found ','"}},
	{"ip from any to any tcp sport 53, 54",
	 {"1:32: expected the next option (a list is written in braces: {1, 2}), found ','"}},
	{"ip from any to any tcp window http",
	 {"1:31: window: expected a number from 0 to 65535, found 'http'"}},
	{"ip from any to any tcp sport htp",
	 {"1:30: sport: 'htp' is no service of tcp in /etc/services: use the number"}},
	{"ip tcp dport {http, tftp, 70} udp dport http",
	 {"1:21: dport: 'tftp' is a service of udp only; of tcp, use the number: 69",
	  "1:41: dport: 'http' is a service of tcp only; of udp, use the number: 80"}},
	{"ip tcp dport http-htps ttl 256",
	 {"1:14: dport: 'http-htps' is no service of tcp in /etc/services: use the number",
	  "1:28: ttl: '256' is not a number from 0 to 255"}},
	{"ip tcp dport 80-htps", {"1:14: dport: '80-htps' is neither a number nor a range (1-5)"}},
	{"ip tcp dport 80 - htps",
	 {"1:19: dport: 'htps' is no service of tcp in /etc/services: use the number"}},
	{"ip tcp dport {http-, 5}", {"1:20: dport: expected a number from 0 to 65535, found ','"}},
	{"ip tcp dport https-http",
	 {"1:14: dport: 'https-http' is in descending order, write 80-443"}},
	{"ip tcp dport a-b-c",
	 {"1:14: dport: 'a-b-c' can be read as several ranges of names: use numbers"}},
	{"ip tcp dport http-70000",
	 {"1:14: dport: 'http-70000' is no service of tcp in /etc/services: use the number"}},
	{"ip proto grre", {"1:10: proto: 'grre' is no protocol in /etc/protocols: use the number"}},
	{"ip proto mptcp", {"1:10: proto: 'mptcp' is 262, more than 255"}},
	{"ip proto {5 - mptcp, 5-mptcp}",
	 {"1:15: proto: 'mptcp' is 262, more than 255",
	  "1:22: proto: '5-mptcp' is 262, more than 255"}},
	{"ip proto ip",
	 {"1:10: proto: 'ip' is the number 0 in /etc/protocols, and not all packets: write any "
	  "or 0"}},
	{"ip proto tcp dport 80", {"1:14: 'dport' must follow tcp or udp"}},
	{"ip from any to any tcp sport 5x",
	 {"1:30: sport: '5x' is neither a number nor a range (1-5)"}},
	{"ip from any to any tcp sport 0x50",
	 {"1:30: sport: '0x50' is neither a number nor a range (1-5)"}},
	{"ip from any to any tcp sport -5",
	 {"1:30: sport: expected a number from 0 to 65535, found '-5'"}},
	{"ip from any to any tcp flags {foo}",
	 {"1:31: expected a flag (cwr, ece, urg, ack, psh, rst, syn, fin), found 'foo'"}},
	{"ip from any to any frag last udp",
	 {"1:25: expected 'first', 'later', 'any' or 'no', found 'last'"}},
	/* limits */
	{"ip from any to any udp limit",
	 {"1:29: limit: expected a number from 1 to 1000000000, found the end of the line"}},
	{"ip from any to any udp limit 0/s",
	 {"1:30: limit: '0' is not a number from 1 to 1000000000"}},
	{"ip from any to any udp limit 5",
	 {"1:31: expected a unit (" UNITS "), found the end of the line"}},
	{"ip from any to any udp limit 5 mpps",
	 {"1:32: limit: 'mpps' is no unit, write Mpps (units: " UNITS ")"}},
	{"ip udp limit 5gbps", {"1:15: limit: 'gbps' is no unit, write Gbit/s (units: " UNITS ")"}},
	{"ip udp limit 5 MB/s", {"1:16: expected a unit (" UNITS "), found 'MB/s'"}},
	{"ip udp limit 5 foo", {"1:16: expected a unit (" UNITS "), found 'foo'"}},
	{"ip udp limit 0.0Mpps", {"1:14: limit: '0.0' is not above 0"}},
	{"ip udp limit 1.2345Mpps", {"1:14: limit: '1.2345' has more than three decimals"}},
	{"ip udp limit 1.5/s", {"1:14: limit: '1.5/s' is a fraction: of /s, write a whole number"}},
	{"ip udp limit 1.5 kbit/s",
	 {"1:14: limit: '1.5 kbit/s' is a fraction: of kbit/s, write a whole number"}},
	{"ip udp limit 1000.001Gbit/s", {"1:14: limit: '1000.001Gbit/s' is more than 1000 Gbit/s"}},
	{"ip udp limit 99999999999999999999.5Mpps",
	 {"1:14: limit: '99999999999999999999.5Mpps' is more than 1000 Mpps"}},
	{"ip udp limit 5.", {"1:15: expected a unit (" UNITS "), found '.'"}},
	{"ip from any to any udp limit 1001Mpps",
	 {"1:30: limit: '1001Mpps' is more than 1000 Mpps"}},
	{"ip from any to any udp limit 5/s burst 0",
	 {"1:40: burst: '0' is not a number from 1 to 4294967295"}},
	{"ip from any to any udp limit 5/s per dst",
	 {"1:38: expected 'src' or 'src/LEN', found 'dst'"}},
	{"limit 5/s per src/33 ip from any to any udp",
	 {"1:19: per src: '33' is not a number from 1 to 32"}},
	{"ip from any to any udp limit 5/s per src/0",
	 {"1:42: per src: '0' is not a number from 1 to 32"}},
	{"limit 5/s per src/0 ip from any to any udp",
	 {"1:19: per src (ip: at most 32): '0' is not a number from 1 to 128"}},
	{"ip6 from any to any udp limit 5/s per src/0",
	 {"1:43: per src: '0' is not a number from 1 to 128"}},
	/* sets, assertions */
	{"ip from @nope to any udp", {"1:10: there is no set 'nope'"}},
	{"set a ip6 { ::1 }\nip from @a to any udp",
	 {"2:10: the set 'a' holds addresses of ip6 in a rule of ip"}},
	{"set a ip { 1.1.1.1, ::1, 2.2.2, }\n",
	 {"1:21: '::1' is an address of ip6 in a set of ip", "1:26: '2.2.2' " ADDRESS}},
	{"set a ip6 { 1.1.1.1 }", {"1:13: '1.1.1.1' is an address of ip in a set of ip6"}},
	{"set a {\n1.1.1.1 1.1.1.2\n}",
	 {"2:9: expected ',' or '}', found '1.1.1.2'", "3:1: expected " OPTIONS ", found '}'"}},
	{"set a {\n1.1.1.1\n", {"1:7: '{' without '}'"}},
	{"set a {1.1.1.1}\nset a {1.1.1.1}", {"2:5: there is a set 'a' already"}},
	{"set a {1.1.1.1} x", {"1:17: expected the end of the line, found 'x'"}},
	{"set a", {"1:6: expected 'ip', 'ip6', '{', 'file' or 'live', found the end of the line"}},
	{"set a live {}", {"1:12: expected the end of the line, found '{'"}},
	{"set a file \"/nonexistent\"", {"1:12: /nonexistent: No such file or directory"}},
	{"set a file \"/dev/zero\"", {"1:12: /dev/zero: not a regular file"}},
	{"set a-name-of-more-than-thirty-one-bytes {}",
	 {"1:5: 'a-name-of-more-than-thirty-one-bytes' is longer than the 31 bytes of a set's "
	  "name"}},
	{"test sha1 12 xdp_action XDP_DROP",
	 {"1:11: expected a SHA-1 sum (40 hexadecimal digits), found '12'"}},
	{"test sha1 5ee7710e4f59c537e76c9d243658931828ce296d xdp_action XDP_TX",
	 {"1:63: expected XDP_PASS, XDP_DROP or XDP_ABORTED, found 'XDP_TX'"}},
	{"test sha1 5ee7710e4f59c537e76c9d243658931828ce296d xdp_action XDP_DROP 5",
	 {"1:72: expected the end of the line, found '5'"}},
	{"test 5", {"1:6: expected 'sha1', found '5'"}},
	/* all of a file, and of a line what can be told apart */
	{"foo\n\n# ok\nip from any to any ttl 256 tcp sport 65536\nip from any to any\n",
	 {"1:1: expected " OPTIONS ", found 'foo'",
	  "4:24: ttl: '256' is not a number from 0 to 255",
	  "4:38: sport: '65536' is not a number from 0 to 65535", "5:1: " ALL("ip")}},
};

/* The messages of the detail, without the file's name; up to four */
static size_t messages(char told[4][512])
{
	const char *pos = ecbpf_error_detail(e), *end;
	size_t count = 0;

	for (; *pos; pos = end + 1) {
		end = strchrnul(pos, '\n');
		if (!strncmp(pos, "rules:", 6) && count < 4)
			snprintf(told[count++], 512, "%.*s", (int)(end - pos - 6), pos + 6);
		if (!*end)
			break;
	}
	return count;
}

static void refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct ecbpf_fw_ruleset *ruleset = NULL;
		char told[4][512];
		size_t count;

		if (ecbpf_fw_parse(e, "rules", bad[i].text, strlen(bad[i].text), &ruleset) !=
		    -EINVAL)
			fail_msg("'%s' is taken", bad[i].text);
		assert_null(ruleset);
		count = messages(told);
		for (size_t j = 0; j < 4; j++) {
			const char *expected = bad[i].told[j];

			if (j >= count && !expected)
				continue;
			if (j >= count || !expected || strcmp(told[j], expected))
				fail_msg("'%s': told is '%s', expected '%s'", bad[i].text,
					 j < count ? told[j] : "", expected ? expected : "");
		}
		assert_non_null(strstr(ecbpf_error(e), bad[i].told[0]));
		assert_null(strchr(ecbpf_error(e), '\n'));
	}
}

/* What an earlier version took is read back; so is what it prints */
static void kept(void **state)
{
	static const char text[] = "ip from any to any udp drop name \"a\xff\x1b\"\n";
	struct ecbpf_fw_ruleset *ruleset, *again;
	char *shown, *shown_again;

	(void)state;
	assert_int_equal(ecbpf_fw_parse(e, "rules", text, strlen(text), &ruleset), -EINVAL);
	assert_int_equal(fw_parse_kept(e, "rules", text, strlen(text), &ruleset), 0);
	assert_string_equal(ecbpf_fw_rule_name(ruleset, 0), "a\xff\x1b");
	assert_int_equal(fw_rule_insert_kept(e, ruleset, 1, text), 0);
	assert_int_equal(ecbpf_fw_rule_insert(e, ruleset, 1, text), -EINVAL);
	assert_int_equal(fw_rule_insert_kept(e, ruleset, 1, "ip udp # a\rb"), 0);
	assert_int_equal(ecbpf_fw_rule_insert(e, ruleset, 1, "ip udp # a\rb"), -EINVAL);
	assert_int_equal(ecbpf_fw_parse(e, "rules", "# \0\nip udp", 10, &again), -EINVAL);
	assert_string_equal(ecbpf_error(e), "rules:1:3: a zero byte: UTF-16, or no text file");
	shown = print(ruleset);
	assert_int_equal(fw_parse_kept(e, "rules", shown, strlen(shown), &again), 0);
	shown_again = print(again);
	assert_string_equal(shown, shown_again);
	free(shown);
	free(shown_again);
	ecbpf_fw_ruleset_free(ruleset);
	ecbpf_fw_ruleset_free(again);
}

/* Everything about one error: line and caret below it, with tabs and letters of several bytes */
static void shown(void **state)
{
	static const struct {
		const char *text, *detail;
	} cases[] = {
		{"\tip from any to any udp sport 65536\r\n",
		 "rules:1:31: sport: '65536' is not a number from 0 to 65535\n"
		 "\tip from any to any udp sport 65536\n"
		 "\t                             ^~~~~\n1 error\n"},
		{"udp name \"\xc3\xa4\xc3\xb6\" sport !5y\x1b",
		 "rules:1:24: sport: '5y' is neither a number nor a range (1-5)\n"
		 "udp name \"\xc3\xa4\xc3\xb6\" sport !5y?\n"
		 "                     ^~\n"
		 "rules:1:26: expected " OPTIONS ", found '?'\n"
		 "udp name \"\xc3\xa4\xc3\xb6\" sport !5y?\n"
		 "                       ^\n2 errors\n"},
		{"ip from any to any", "rules:1:1: " ALL("ip") "\n"
							       "ip from any to any\n^~\n1 error\n"},
	};
	struct ecbpf_fw_ruleset *ruleset;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(
			ecbpf_fw_parse(e, "rules", cases[i].text, strlen(cases[i].text), &ruleset),
			-EINVAL);
		assert_string_equal(ecbpf_error_detail(e), cases[i].detail);
	}
}

/* Of a very long line, the part in question; of very many errors, 20 */
static void shown_in_part(void **state)
{
	struct ecbpf_fw_ruleset *ruleset;
	size_t size = 10000 * 4;
	char *text = malloc(size);
	const char *line;

	(void)state;
	memset(text, ' ', size);
	text[5000] = 'x';
	assert_int_equal(ecbpf_fw_parse(e, "rules", text, 9000, &ruleset), -EINVAL);
	line = strchr(ecbpf_error_detail(e), '\n') + 1;
	assert_int_equal(strcspn(line, "\n"), 120);
	assert_int_equal(strchr(line, 'x') - line, 60);
	assert_int_equal(strchr(line, '^') - strchr(line, '\n') - 1, 60);

	for (size_t i = 0; i < size; i += 4)
		memcpy(text + i, "foo\n", 4);
	assert_int_equal(ecbpf_fw_parse(e, "rules", text, size, &ruleset), -EINVAL);
	line = ecbpf_error_detail(e);
	assert_string_equal(line + strlen(line) - strlen("\n10000 errors, of which 20 are shown\n"),
			    "\n10000 errors, of which 20 are shown\n");
	free(text);
}

/* What the compiler is given */
static void modelled(void **state)
{
	struct ecbpf_fw_ruleset *ruleset =
		parse("ip6 from 2001:db8::ffff/112 to !{2001:db8::/32, 2001:db8:1::/48} "
		      "tcp flags {syn} mask {syn, ack} udp sport !53 frag any vlan 7 "
		      "limit 8Mbit/s per src/64\n"
		      "set x { 1.2.3.4 }\nip from any to @x proto !{6, 17}");
	const struct fw_rule *rule = ruleset->rules;
	const __u8 addr[16] = {0x20, 0x01, 0x0d, 0xb8};

	(void)state;
	assert_int_equal(ruleset->rules_count, 2);
	assert_int_equal(rule->line, 1);
	assert_int_equal(rule->family, 6);
	assert_int_equal(rule->protos, FW_PROTO_TCP | FW_PROTO_UDP);
	assert_int_equal(rule->action, FW_LIMIT);
	assert_int_equal(rule->limit.rate, 1000000);
	assert_int_equal(rule->limit.burst, 100000);
	assert_true(rule->limit.is_bytes);
	assert_int_equal(rule->limit.src_len, 64);
	assert_int_equal(rule->src.kind, FW_ADDRS_LIST);
	assert_int_equal(rule->src.prefixes[0].len, 112);
	assert_memory_equal(rule->src.prefixes[0].addr, addr, 16);
	assert_true(rule->dst.is_negated);
	assert_int_equal(rule->dst.prefixes_count, 1); /* the other lies in it */
	assert_int_equal(rule->dst.prefixes[0].len, 32);
	assert_int_equal(rule->tcp.flags, 0x02);
	assert_int_equal(rule->tcp.mask, 0x12);
	assert_int_equal(rule->udp.sport.count, 2);
	assert_int_equal(rule->udp.sport.ranges[0].last, 52);
	assert_int_equal(rule->udp.sport.ranges[1].first, 54);
	assert_int_equal(rule->udp.sport.ranges[1].last, 65535);
	assert_true(fw_values_have(&rule->udp.sport, 0));
	assert_false(fw_values_have(&rule->udp.sport, 53));
	assert_true(fw_values_have(&rule->udp.dport, 53));
	assert_int_equal(rule->frags, 1 << ECBPF_FRAG_FIRST | 1 << ECBPF_FRAG_LATER);
	assert_int_equal(rule->vlan.ranges[0].first, 7);
	rule++;
	assert_int_equal(rule->line, 3);
	assert_int_equal(rule->frags, FW_FRAGS_ALL);
	assert_int_equal(rule->dst.kind, FW_ADDRS_SET);
	assert_int_equal(rule->dst.set, 0);
	assert_int_equal(rule->protos, FW_PROTO_NUMBER);
	assert_int_equal(rule->proto.count, 3);
	assert_false(fw_values_have(&rule->proto, 17));
	ecbpf_fw_ruleset_free(ruleset);
}

/* Sets from files: relative to the rules, every error, printed as files */
static void set_files(void **state)
{
	char dir[] = "/tmp/ecbpf-fw-XXXXXX", *text, *path, *rules;
	struct ecbpf_fw_ruleset *ruleset;
	struct ecbpf_fw_summary summary;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_true(asprintf(&path, "%s/bad", dir) > 0 && asprintf(&rules, "%s/rules", dir) > 0);
	file = fopen(path, "w");
	fputs("# worst\n10.1.2.3/8\n\n 192.0.2.1 # why\r\n10.0.0.0/8", file);
	fclose(file);
	file = fopen(rules, "w");
	fputs("set bad file \"bad\"\nip from @bad to any udp\nip6 from @bad to any udp\n", file);
	fclose(file);
	assert_int_equal(ecbpf_fw_read(e, rules, &ruleset), 0);
	ecbpf_fw_summary(ruleset, &summary);
	assert_int_equal(summary.prefixes, 2);
	text = print(ruleset);
	assert_non_null(strstr(text, "set bad file \"/tmp/ecbpf-fw-"));
	ecbpf_fw_ruleset_free(ruleset);
	ruleset = parse(text); /* from anywhere */
	ecbpf_fw_ruleset_free(ruleset);
	free(text);

	file = fopen(path, "w");
	fputs("10.1.2.3/8\n::1\n1.1.1.2 1.1.1.1\nfoo\n", file);
	fclose(file);
	assert_int_equal(ecbpf_fw_read(e, rules, &ruleset), -EINVAL);
	assert_string_equal(ecbpf_error_detail(e),
			    "bad:3:9: '1.1.1.1' is neither a netmask nor the end of a range: it is "
			    "below the address before it\n1.1.1.2 1.1.1.1\n        ^~~~~~~\n"
			    "bad:4:1: 'foo' " ADDRESS "\nfoo\n^~~\n2 errors\n");
	unlink(path);
	unlink(rules);
	assert_int_equal(rmdir(dir), 0);
	free(path);
	free(rules);
	assert_int_equal(ecbpf_fw_read(e, "/nonexistent", &ruleset), -ENOENT);
	assert_string_equal(ecbpf_error(e), "/nonexistent: No such file or directory");
	assert_int_equal(ecbpf_fw_read(e, "/tmp", &ruleset), -EISDIR);
}

#define RULES "set s { 1.2.3.4 }\nip from any to any tcp name \"a\"\nip from any to any udp\n"

static void edited(void **state)
{
	struct ecbpf_fw_ruleset *ruleset = parse(RULES);
	size_t index = 77;
	char *text;

	(void)state;
	assert_int_equal(ecbpf_fw_rule_insert(e, ruleset, 0, "ip from @s to any icmp # x\n"), 0);
	assert_int_equal(ecbpf_fw_rule_insert(e, ruleset, 3, "ip from any to any proto 47 pass"),
			 0);
	assert_int_equal(ecbpf_fw_rule_find(e, ruleset, "a", &index), 0);
	assert_int_equal(index, 1);
	assert_int_equal(ecbpf_fw_rule_replace(e, ruleset, 1, "ip6 from any to any tcp"), 0);
	assert_int_equal(ecbpf_fw_rule_find(e, ruleset, "3", &index), 0);
	assert_int_equal(index, 2);
	ecbpf_fw_rule_delete(ruleset, 2);
	text = print(ruleset);
	assert_string_equal(text, "set s {\n\t1.2.3.4\n}\nip from @s to any icmp drop\n"
				  "ip6 from any to any tcp drop name \"a\"\n"
				  "ip from any to any proto 47 pass\n");
	free(text);
	assert_string_equal(ecbpf_fw_rule_name(ruleset, 1), "a");
	assert_null(ecbpf_fw_rule_name(ruleset, 0));

	/* what is refused changes nothing */
	assert_int_equal(ecbpf_fw_rule_insert(e, ruleset, 0, "ip from @t to any tcp"), -EINVAL);
	assert_string_equal(ecbpf_error(e), "rule:1:10: there is no set 't'");
	assert_int_equal(ecbpf_fw_rule_insert(e, ruleset, 0, ""), -EINVAL);
	assert_int_equal(ecbpf_fw_rule_insert(e, ruleset, 0, "set x {1.1.1.1}"), -EINVAL);
	assert_int_equal(ecbpf_fw_rule_insert(e, ruleset, 0,
					      "ip from any to any tcp\nip from any to any tcp"),
			 -EINVAL);
	assert_string_equal(
		ecbpf_error(e),
		"rule:2:1: expected the end of the text (a rule is one line), found 'ip'");
	assert_int_equal(ecbpf_fw_rule_replace(e, ruleset, 2, "foo"), -EINVAL);
	assert_int_equal(ecbpf_fw_rule_insert(e, ruleset, 4, "ip from any to any tcp"), -EINVAL);
	assert_int_equal(ecbpf_fw_rule_replace(e, ruleset, 3, "ip from any to any tcp"), -EINVAL);
	assert_int_equal(ruleset->rules_count, 3);

	index = 77;
	assert_int_equal(ecbpf_fw_rule_find(e, ruleset, "4", &index), -ENOENT);
	assert_string_equal(ecbpf_error(e), "no rule 4; there are 3");
	assert_int_equal(ecbpf_fw_rule_find(e, ruleset, "b", &index), -ENOENT);
	assert_int_equal(ecbpf_fw_rule_insert(e, ruleset, 0, "ip from any to any tcp name \"a\""),
			 0);
	assert_int_equal(ecbpf_fw_rule_find(e, ruleset, "a", &index), -EINVAL);
	assert_string_equal(ecbpf_error(e),
			    "2 rules have the name 'a', the first is 1, the last 3; "
			    "give the number");
	assert_int_equal(ecbpf_fw_rule_insert(e, ruleset, 0, "ip from any to any tcp name \"7\""),
			 -EINVAL);
	assert_string_equal(ecbpf_error(e), "rule:1:29: a name must not be a number: 'rule delete "
					    "7' is about the rule at that place");
	/* one that was live already */
	assert_int_equal(fw_rule_insert_kept(e, ruleset, 0, "ip from any to any tcp name \"7\""),
			 0);
	assert_int_equal(ecbpf_fw_rule_find(e, ruleset, "\"7\"", &index), 0);
	assert_int_equal(index, 0);
	ecbpf_fw_ruleset_free(ruleset);
	ecbpf_fw_ruleset_free(NULL);
}

/* What is lent is neither changed nor freed with the copy */
static void lent(void **state)
{
	struct ecbpf_fw_ruleset *lender, *ruleset, *copy;
	char *before, *text;

	(void)state;
	lender = parse(RULES "ip from {1.1.1.1, 2.2.2.2} to any tcp dport {1, 3} name \"b\"\n");
	before = print(lender);
	ruleset = fw_ruleset_lend(lender);
	assert_non_null(ruleset);
	assert_int_equal(ecbpf_fw_rule_replace(e, ruleset, 0, "ip6 from any to any tcp"), 0);
	assert_int_equal(ecbpf_fw_rule_insert(e, ruleset, 0, "ip from @s to any icmp"), 0);
	ecbpf_fw_rule_delete(ruleset, 2);
	copy = fw_ruleset_copy(ruleset);
	assert_non_null(copy);
	ecbpf_fw_ruleset_free(ruleset);
	text = print(lender);
	assert_string_equal(text, before);
	ecbpf_fw_ruleset_free(lender);
	free(text);
	text = print(copy);
	assert_string_equal(text, "set s {\n\t1.2.3.4\n}\nip from @s to any icmp drop\n"
				  "ip6 from any to any tcp drop name \"a\"\n"
				  "ip from {1.1.1.1, 2.2.2.2} to any tcp dport {1, 3} drop "
				  "name \"b\"\n");
	free(text);
	free(before);
	ecbpf_fw_ruleset_free(copy);
}

static void too_many(void **state)
{
	static const char line[] = "ip from any to any tcp\n";
	size_t len = strlen(line), count = FW_RULES_MAX + 2;
	char *text = malloc(len * count);
	struct ecbpf_fw_ruleset *ruleset;

	(void)state;
	for (size_t i = 0; i < count; i++)
		memcpy(text + i * len, line, len);
	assert_int_equal(ecbpf_fw_parse(e, "rules", text, len * FW_RULES_MAX, &ruleset), 0);
	assert_int_equal(ruleset->rules_count, FW_RULES_MAX);
	assert_int_equal(ecbpf_fw_rule_insert(e, ruleset, 0, line), -E2BIG);
	ecbpf_fw_ruleset_free(ruleset);
	assert_int_equal(ecbpf_fw_parse(e, "rules", text, len * count, &ruleset), -EINVAL);
	assert_string_equal(ecbpf_error_detail(e), "rules:10241:1: more than 10240 rules\n"
						   "ip from any to any tcp\n^~\n1 error\n");
	free(text);
}

/* Sets that are looked up: pairs of a set and where. One more is told where it is */
/* Rules that are several in the tables */
static void too_many_parts(void **state)
{
	static const char line[] = "inet udp port 53\n";
	const size_t count = FW_RULES_MAX / 4 + 1;
	char *text = malloc(count * strlen(line));
	struct ecbpf_fw_ruleset *ruleset;
	struct fw_generation generation;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < count; i++)
		memcpy(text + i * strlen(line), line, strlen(line));
	assert_int_equal(ecbpf_fw_parse(e, "rules", text, count * strlen(line), &ruleset), 0);
	assert_int_equal(fw_compile(e, ruleset, NULL, NULL, NULL, &generation), -E2BIG);
	assert_string_equal(ecbpf_error(e), "2561 rules are 10244 in the tables, where 'inet' and "
					    "'port' count twice: 10240 are allowed");
	ecbpf_fw_ruleset_free(ruleset);
	free(text);
}

static void too_many_uses(void **state)
{
	struct ecbpf_fw_ruleset *ruleset;
	char text[16384];
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 33; i++)
		len += snprintf(text + len, sizeof(text) - len, "set s%d {10.0.0.%d}\n", i, i);
	for (int i = 0; i < 32; i++)
		len += snprintf(text + len, sizeof(text) - len,
				"ip from @s%d to @s%d tcp\nip from @s%d to any udp\n", i, i, i);
	assert_int_equal(ecbpf_fw_parse(e, "rules", text, len, &ruleset), 0);
	ecbpf_fw_ruleset_free(ruleset);
	/* of the other family as well */
	snprintf(text + len, sizeof(text) - len, "ip6 from @s1 to any tcp\n");
	assert_int_equal(ecbpf_fw_parse(e, "rules", text, strlen(text), &ruleset), -EINVAL);
	len += snprintf(text + len, sizeof(text) - len, "ip from @s32 to @s32 tcp\n");
	assert_int_equal(ecbpf_fw_parse(e, "rules", text, len, &ruleset), -EINVAL);
	assert_string_equal(ecbpf_error(e),
			    "rules:98:10: more than 64 sets are looked up; one counts twice as "
			    "source and as destination, and as of ip and of ip6");
}

static void note_warning(void *data, enum ecbpf_log_level level, const char *line)
{
	const char *number = strstr(line, ": rule ");

	if (level == ECBPF_LOG_WARN && strstr(line, "neighbour discovery") && number)
		*(char *)data = number[strlen(": rule ")];
}

/* Rules that stop IPv6 neighbour discovery, and rules that do not */
static void neighbours(void **state)
{
	static const struct {
		const char *text;
		char rule; /* that the warning names; 0: none */
	} cases[] = {
		{"ip6 from any to any proto any drop", '1'},
		{"ip from any to any icmp\nip6 from any to any icmp6", '2'},
		{"ip6 from any to any icmp6 type 136", '1'},
		{"ip6 from any to any icmp6 type 133-135 pass\nip6 from any to any icmp6", '2'},
		{"ip6 from any to any ttl 255 icmp6 type 133-136 pass\nip6 from any to any proto "
		 "any",
		 0},
		{"ip6 from fe80::/10 to any icmp6 pass\nip6 from any to any proto any", 0},
		{"inet proto any", '1'},
		{"inet icmp type 8 icmp6 type 135", '1'},
		{"inet icmp type 135 icmp6 type 8", 0},
		{"inet icmp icmp6 pass\ninet proto any", 0},
		{"ip6 from any to any dry drop icmp6", 0},
		{"ip6 from any to any icmp6 type 128", 0},
		{"ip6 from 2001:db8::/32 to any icmp6", 0},
		{"ip6 from any to any ttl 0-254 proto any", 0},
		{"ip6 from any to any proto !58", 0},
		{"malformed any drop", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char path[] = "/tmp/test_fw.XXXXXX";
		struct ecbpf_fw_ruleset *ruleset;
		char warned = 0;
		int fd = mkstemp(path);

		assert_true(fd >= 0);
		assert_int_equal(write(fd, cases[i].text, strlen(cases[i].text)),
				 strlen(cases[i].text));
		close(fd);
		ecbpf_set_log(e, note_warning, &warned);
		assert_int_equal(ecbpf_fw_read(e, path, &ruleset), 0);
		ecbpf_set_log(e, NULL, NULL);
		unlink(path);
		ecbpf_fw_ruleset_free(ruleset);
		if (warned != cases[i].rule)
			fail_msg("'%s': warns of rule %d, not %d", cases[i].text,
				 warned ? warned - '0' : 0,
				 cases[i].rule ? cases[i].rule - '0' : 0);
	}
}

static void note_text(void *data, enum ecbpf_log_level level, const char *line)
{
	if (level == ECBPF_LOG_WARN && !*(char *)data)
		snprintf(data, 256, "%s", line);
}

/* Rules that do not do what they look like, and those that do */
static void misleading(void **state)
{
	static const struct {
		const char *text;
		const char *warning; /* NULL: none */
	} cases[] = {
		{"ip6 from any to any proto 44", "rule matches later fragments only"},
		{"ip6 from any to any frag no proto {0, 43, 51, 60}", "rule matches nothing"},
		{"ip6 from any to any proto {44, 50}", NULL},
		{"ip6 from any to any proto !44 limit 9/s", NULL},
		{"ip from any to any proto 51", NULL},
		{"ip6 proto icmp", "protocol 1 is not that of ICMP in ip6: write icmp6"},
		{"ip proto 58", "protocol 58 is not that of ICMP in ip: write icmp"},
		{"ip proto icmp", NULL},
		{"ip6 proto {1, 2}", NULL},
		{"ip6 proto 58 ttl 0-254", NULL},
		{"inet proto icmp",
		 "protocol 1 is that of ICMP in ip only: write icmp and icmp6, or "
		 "ip instead of inet"},
		{"inet proto 58 ttl 0-254", "protocol 58 is that of ICMP in ip6 only"},
		{"inet proto {1, 58} ttl 0-254", NULL},
		{"packet length 0-13 ip from any to any udp", "rule matches nothing"},
		{"packet length 41 ip from any to any udp dport 5", "rule matches nothing"},
		{"packet length 42 ip from any to any udp dport 5", NULL},
		{"packet length 42 vlan 3 ip from any to any udp dport 5", "rule matches nothing"},
		{"packet length 34 ip from any to any udp", NULL},
		{"packet length 33 ip from any to any proto any", "rule matches nothing"},
		{"packet length 54 ip from any to any tcp flags {syn}", NULL},
		{"packet length 53 ip from any to any tcp flags {syn}", "rule matches nothing"},
		{"packet length !0-53 ip from any to any tcp flags {syn}", NULL},
		{"malformed ip-truncated ip from 10.0.0.1 to any", NULL},
		{"malformed ip-version ip from 10.0.0.1 to any", "rule matches nothing"},
		{"malformed runt vlan 5", "rule matches nothing"},
		{"malformed {runt, vlan-tags} vlan 5", NULL},
		{"malformed runt packet length 14-60", "rule matches nothing"},
		{"malformed runt packet length 0-13", NULL},
		{"malformed ip6-ext-limit ip from any to any", "rule matches nothing"},
		{"malformed any ip from any to any", NULL},
		{"ip from any to any tcp udp dport 53 pass", "rule matches all of tcp"},
		{"ip from any to any tcp dport 53 udp pass", "rule matches all of udp"},
		{"ip from any to any tcp dport 53 udp dport 53 pass", NULL},
		{"ip from any to any tcp udp pass", NULL},
		{"ip from any to any udp limit 10Mbit/s burst 10", "'burst 10' is bytes"},
		{"ip from any to any udp limit 10Mbit/s burst 1514", NULL},
		{"packet length 0-100 ip from any to any udp limit 10Mbit/s burst 100", NULL},
		{"ip from any to any udp limit 10/s burst 1", NULL},
		{"set b { 192.0.2.1, 2001:db8::1 }\nip from @b to any proto any",
		 "set 'b': no rule matches its 1 IPv6 prefix: only rules of ip use the set"},
		{"set b { 192.0.2.1, 192.0.2.2 }\nip6 from any to @b tcp",
		 "set 'b': no rule matches any of its 2 IPv4 prefixes: only rules of ip6"},
		{"set b { 192.0.2.1, 2001:db8::1 }\nip from @b to any proto any\n"
		 "ip6 from @b to any tcp",
		 NULL},
		{"set b { 2001:db8::1 }\nip from any to any tcp", NULL},
		{"set b { 192.0.2.1, 2001:db8::1 }\ninet from @b", NULL},
		{"set b {192.0.2.1}\ninet from !@b tcp pass",
		 "'!@b' matches all addresses of ip6: set 'b' has none of them"},
		{"ip6 to !@b tcp\nip6 from @b tcp\nset b {192.0.2.1}\nip from @b tcp",
		 ":1: '!@b' matches all addresses of ip6: set 'b' has none of them"},
		{"set b {}\nip from !@b tcp pass",
		 ":2: '!@b' matches all addresses of ip: set 'b' has none of them"},
		{"set b {}\ninet to !@b tcp pass", "matches all addresses of ip and ip6: set 'b'"},
		{"set b {::1}\nip from @b to !@b tcp",
		 "'!@b' matches all addresses of ip: set 'b'"},
		{"set b {::1}\nip6 from !@b tcp", NULL},
		{"set b {}\nip from @b tcp", NULL},
		{"set b {192.0.2.1, ::1}\ninet from !@b tcp", NULL},
		{"set b live\ninet from !@b tcp", NULL},
		{"ip vlan any proto any",
		 ":1: 'vlan any' tests nothing, and untagged frames match, "
		 "too: write vlan 0-4095, or leave it out"},
		{"ip frag no udp vlan any", "'vlan any' tests nothing"},
		{"malformed any vlan any", "'vlan any' tests nothing"},
		{"ip vlan 0-4095 proto any", NULL},
		{"ip udp dport any", "'dport any' tests nothing, and later fragments match, too: "
				     "write dport 0-65535, or leave it out"},
		{"ip tcp sport 5 udp sport any", "'sport any' tests nothing"},
		{"inet tcp port any", "'port any' tests nothing"},
		{"ip tcp window any", "'window any' tests nothing"},
		{"ip tcp flags", "'flags' alone tests nothing, and later fragments match, too"},
		{"ip icmp type any", "'type any' tests nothing, and later fragments match, too: "
				     "write type 0-255, or leave it out"},
		{"inet icmp type 8 icmp6 code any count", "'code any' tests nothing"},
		{"ip6 icmp6 code any count", "'code any' tests nothing"},
		{"ip6 icmp6 type 128 code any", NULL},
		{"inet icmp type 8 icmp6 type 128 code any", NULL},
		{"ip tcp sport any dport 80 window any flags", NULL},
		{"ip tcp flags {syn} sport any", NULL},
		{"ip frag no udp dport any", NULL},
		{"ip frag first tcp flags dport any", NULL},
		{"packet length any ip ttl any udp", NULL},
		{"malformed ip6-ext-limit inet", NULL},
		{"malformed ip-version inet", "rule matches nothing"},
		{"inet tcp udp port 53", "rule matches all of tcp"},
		{"packet length 42 inet udp port 53", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char path[] = "/tmp/test_fw.XXXXXX", warning[256] = "";
		struct ecbpf_fw_ruleset *ruleset;
		int fd = mkstemp(path);

		assert_true(fd >= 0);
		assert_int_equal(write(fd, cases[i].text, strlen(cases[i].text)),
				 strlen(cases[i].text));
		close(fd);
		ecbpf_set_log(e, note_text, warning);
		assert_int_equal(ecbpf_fw_read(e, path, &ruleset), 0);
		ecbpf_set_log(e, NULL, NULL);
		unlink(path);
		ecbpf_fw_ruleset_free(ruleset);
		if (cases[i].warning ? !strstr(warning, cases[i].warning) : *warning)
			fail_msg("'%s': '%s', not '%s'", cases[i].text, warning,
				 cases[i].warning ?: "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(printed),	  cmocka_unit_test(neighbours),
		cmocka_unit_test(refused),	  cmocka_unit_test(kept),
		cmocka_unit_test(shown),	  cmocka_unit_test(shown_in_part),
		cmocka_unit_test(modelled),	  cmocka_unit_test(set_files),
		cmocka_unit_test(edited),	  cmocka_unit_test(too_many),
		cmocka_unit_test(too_many_uses),  cmocka_unit_test(misleading),
		cmocka_unit_test(too_many_parts), cmocka_unit_test(lent),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
