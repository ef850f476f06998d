#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Searches that take the programs more steps than they make in one call: many rules that match and
# do not decide, many sets, deep trees of prefixes, many prefixes of one source that have expired.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
use_build ip ecbpf-fw ecbpf-filter ecbpf-loader
require_cmd bpftool jq python3
work=$(mktemp -d)
defer rm -rf "$work"

# One UDP packet of each family
/usr/bin/python3 - "$work" <<-'END'
	import sys
	from scapy.all import Ether, IP, IPv6, UDP
	for name, ip in (("4", IP(src="10.170.85.170", dst="198.51.100.1")),
	                 ("6", IPv6(src="2001:db8:a5a5:5a5a:a5a5:5a5a:a5a5:5a5a", dst="2001:db8::1"))):
	    with open(f"{sys.argv[1]}/{name}", "wb") as file:
	        file.write(bytes(Ether()/ip/UDP(sport=1000, dport=53)/bytes(40)))
END

# verdict FAMILY: of the program on rare0
verdict()
{
	bpftool -j prog run id "$(ecbpf-loader status -j rare0 | jq '.[0].members[0].id')" \
		data_in "$work/$1" repeat 1 | jq .retval
}

# nested FAMILY STEP: all prefixes of its source whose length is a multiple of STEP, shortest first
nested()
{
	/usr/bin/python3 - "$@" <<-'END'
		import ipaddress, sys
		family, step = map(int, sys.argv[1:])
		source = {4: "10.170.85.170", 6: "2001:db8:a5a5:5a5a:a5a5:5a5a:a5a5:5a5a"}[family]
		width = {4: 32, 6: 128}[family]
		for length in range(8, width + 1, step):
		    print(ipaddress.ip_network(f"{source}/{length}", strict=False))
	END
}

# counts: how often each count of packets of a rule, as "times x packets"
counts() { ecbpf-fw stats -j | jq -r '.[].packets' | sort -n | uniq -c | awk '{print $1 "x" $2}' | xargs; }

ip link add rare0 type veth peer name rare1
ip link set rare0 up
echo 'ip from any to any icmp' | ecbpf-fw load --fused -f - rare0 >/dev/null

# anew: rules from standard input, whose counters begin with 0
anew()
{
	echo 'ip from any to any icmp' | ecbpf-fw apply -q -f - 2>/dev/null # sets go
	ecbpf-fw apply -q -f -
}

# 64 rules are small, 4,096 medium, more are large
for rules in 60 1500 4000 9000; do
	{
		for ((i = 0; i < rules; i++)); do echo "ip from any to any udp count"; done
		echo "ip from any to any udp drop"
		echo "ip from any to any udp count"
	} | anew
	equal "$rules rules that count: verdict" 1 "$(verdict 4)"
	equal "$rules rules that count: each of them" "1x0 $((rules + 1))x1" "$(counts)"
done

# the rules that fill up a ruleset name other ports
filler() { for ((i = 0; i < $1; i++)); do echo "ip from any to any udp dport $((1000 + i)) drop"; done; }

for rules in 0 100 4500; do
	{
		for ((i = 0; i < 60; i++)); do echo "set s$i { 10.0.0.0/8, 192.0.2.$i }"; done
		echo 'set other { 192.0.2.77 }'
		for ((i = 0; i < 60; i++)); do echo "ip from @s$i to any udp count"; done
		filler "$rules"
		echo 'ip from @other to any udp drop'
		echo 'ip from @s59 to any udp drop'
	} | anew
	equal "60 sets, $rules rules beside: verdict" 1 "$(verdict 4)"
	equal "60 sets, $rules rules beside: each of them" "$((rules + 1))x0 61x1" "$(counts)"
done

for rules in 0 100 4500; do
	for family in 4 6; do
		{
			while read -r prefix; do
				echo "ip from $prefix to any udp count" | sed "s/^ip /ip${family#4} /"
			done < <(nested "$family" 4)
			filler "$rules"
			echo 'ip from 10.170.85.170/31 to any udp drop'
			echo 'ip6 from 2001:db8:a5a5:5a5a:a5a5:5a5a:a5a5:5a5a/127 to any udp drop'
		} | anew
		depth=$(nested "$family" 4 | wc -l)
		equal "IPv$family: $depth prefixes, $rules rules beside: verdict" 1 "$(verdict "$family")"
		equal "IPv$family: $depth prefixes, $rules rules beside: each of them" \
			"$((rules + 1))x0 $((depth + 1))x1" "$(counts)"
	done
done

for family in 4 6; do
	{
		echo 'set deep { 192.0.2.1 }'
		echo 'set deep6 ip6 { 2001:db8::77 }'
		echo 'ip from @deep to any udp drop'
		echo 'ip6 from @deep6 to any udp drop'
	} | anew
	equal "IPv$family: not in a set" 2 "$(verdict "$family")"
	# beside each prefix of the path its sibling: no node can be skipped
	nested "$family" 2 | /usr/bin/python3 -c '
import ipaddress, sys
for line in sys.stdin:
    net = ipaddress.ip_network(line.strip())
    sibling = int(net.network_address) ^ 1 << net.max_prefixlen - net.prefixlen
    print(ipaddress.ip_network((sibling, net.prefixlen)))' >"$work/siblings"
	ecbpf-fw set add -q "deep${family#4}" -f "$work/siblings"
	equal "IPv$family: beside the prefixes of a set" 2 "$(verdict "$family")"
	ecbpf-fw set add -q "deep${family#4}" "$(nested "$family" 2 | tail -n 1)"
	equal "IPv$family: in a set, deep" 1 "$(verdict "$family")"
done
ecbpf-fw unload

ecbpf-filter load --fused rare0 >/dev/null
for family in 4 6; do
	nested "$family" 2 >"$work/prefixes"
	first=$(head -n 1 "$work/prefixes")
	sed -i 1d "$work/prefixes"
	ecbpf-filter drop add -q "$first"
	# shellcheck disable=SC2046 # prefixes
	ecbpf-filter drop add -q -e 1s $(<"$work/prefixes")
	sleep 2.2 # times are whole seconds
	equal "IPv$family: $(wc -l <"$work/prefixes") prefixes have expired: verdict" 1 \
		"$(verdict "$family")"
	# shellcheck disable=SC2046 # prefixes
	ecbpf-filter drop delete -q "$first"
	equal "IPv$family: all have: verdict" 2 "$(verdict "$family")"
	ecbpf-filter drop flush -q
done
summary
