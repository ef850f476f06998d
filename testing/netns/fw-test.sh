#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# ecbpf-fw test: the attacks of ecbpf-fw-rules(5) and the assertions of rules, decided by the real
# program. Nothing is attached.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
top=$(cd "$(dirname "$0")/../.." && pwd)
export PATH=${ECBPF_BUILD:-$top/build/test}/root/sbin:$PATH
require_cmd ecbpf-fw python3 sha1sum
work=$(mktemp -d)
defer rm -rf "$work"

# run ARG...: into $status, $out, $err
run()
{
	status=0
	ecbpf-fw test "$@" >"$work/out" 2>"$work/err" || status=$?
	out=$(<"$work/out") err=$(<"$work/err")
}

# equal NAME ACTUAL EXPECTED
equal()
{
	if [[ $2 == "$3" ]]; then
		pass "$1"
	else
		fail "$1" "'$2' is not '$3'"
	fi
}

# Two packets, and their sums by another hand
/usr/bin/python3 - "$work" <<-'END'
	import hashlib, sys
	from scapy.all import Ether, IP, TCP, UDP, wrpcap, wrpcapng
	work = sys.argv[1]
	packets = [Ether()/IP()/UDP(sport=53), Ether()/IP()/TCP()]
	wrpcap(work + "/a.pcap", packets)
	wrpcapng(work + "/a.pcapng", packets)
	wrpcap(work + "/raw.pcap", [IP()/UDP()])
	for i, packet in enumerate(packets):
	    with open(f"{work}/sum{i}", "w") as file:
	        file.write(hashlib.sha1(bytes(packet)).hexdigest())
END
udp=$(<"$work/sum0") tcp=$(<"$work/sum1")
rules=$work/rules
cat >"$rules" <<-END
	ip from any to any udp sport 53 name "dns"
	test sha1 $udp xdp_action XDP_DROP
	test sha1 $tcp xdp_action XDP_PASS
END

run -f "$rules" -r "$work/a.pcap"
if ((status)) && [[ $err == *'not there yet'* ]]; then
	skip_all "the firewall's program is not there yet"
fi
equal "assertions that hold" "$status $err" "0 "
equal "a line a packet" "$out" "$(printf '%s\t42\tXDP_DROP\t1\t%s\tdns\n%s\t54\tXDP_PASS\t-\t%s\t\n%s' \
	1 "$udp" 2 "$tcp" "2 packets, 2 assertions, 0 failed")"
run -f "$rules" -r - <"$work/a.pcapng"
equal "pcapng, from standard input" "$status ${out##*$'\n'}" "0 2 packets, 2 assertions, 0 failed"

sed -i 's/XDP_PASS/XDP_DROP/' "$rules"
run -f "$rules" -r "$work/a.pcap"
equal "an assertion that does not hold" "$status $err" \
	"1 $rules:3: $tcp: expected XDP_DROP, packet 2 got XDP_PASS"
sed -i "3s/sha1 ./sha1 $([[ $tcp == 0* ]] && echo 1 || echo 0)/" "$rules"
run -f "$rules" -r "$work/a.pcap"
equal "an assertion without its packet" "$status ${err#*: }" \
	"1 $(sed -n '3s/test sha1 \([^ ]*\) .*/\1/p' "$rules"): expected XDP_DROP, but no packet has this sum"
run -j -f "$rules" -r "$work/a.pcap"
equal "as JSON" "$status $(jq -c '[.packets[].rule, .assertions, .failed[].line]' <<<"$out")" \
	'1 [1,null,2,3]'

run -f "$rules" -r "$work/raw.pcap"
# what libpcap calls it differs by its version
equal "not Ethernet" "$status ${err/ is *, only/ is X, only}" \
	"1 ecbpf-fw: $work/raw.pcap: its link type is X, only Ethernet can be read"
head -c 100 "$work/a.pcap" >"$work/cut.pcap"
run -f "$rules" -r "$work/cut.pcap"
equal "a cut file" "$status ${err%%; tried*}" \
	"1 ecbpf-fw: $work/cut.pcap: after packet 1: truncated dump file"
run -f "$rules" -r /nonexistent
equal "no file" "$status $err" "1 ecbpf-fw: /nonexistent: No such file or directory"
run -f "$rules"
equal "no packets" "$status ${err%%$'\n'*}" "2 ecbpf-fw: missing -r PCAP"

# Budgets for each source: time stands still, and so all counts are exact. Of each length of prefix
# two sources that differ behind it, which share a budget of 5, and a third that differs in its last
# bit. Sources that share a budget by their hashes (one time in 8192) do not do so three times
/usr/bin/python3 - "$work" <<-'END'
	import ipaddress, sys
	from scapy.all import Ether, IP, IPv6, UDP, wrpcap
	work, packets, lines, wanted = sys.argv[1], [], [], []
	for family, ip, bits, lengths in (("ip", IP, 32, (1, 8, 24, 25, 31, 32)),
	                                  ("ip6", IPv6, 128, (1, 48, 64, 65, 96, 127, 128))):
	    base = int(ipaddress.ip_address("192.0.2.1" if bits == 32 else "2001:db8::1:2:3:1"))
	    to = "198.51.100.1" if bits == 32 else "2001:db8::2"
	    for length in lengths:
	        port = 1000 * (bits == 128) + length
	        per = "" if length == bits else f"/{length}"
	        lines.append(f"{family} from any to any udp dport {port} limit 1/s burst 5 per src{per}")
	        behind = base ^ (1 << bits - length - 1) if length < bits else base
	        for source, count, passing in ((base, 3, 3), (behind, 4, 2),
	                                       (base ^ 1 << bits - length, 6, 5), (base, 1, 0)):
	            source = str(ipaddress.IPv4Address(source) if bits == 32 else
	                         ipaddress.IPv6Address(source))
	            packets += [Ether() / ip(src=source, dst=to) / UDP(dport=port)] * count
	            verdicts = ["XDP_PASS"] * passing + ["XDP_DROP"] * (count - passing)
	            wanted += [f"{family}/{length} {source} {verdict}" for verdict in verdicts]
	wrpcap(f"{work}/sources.pcap", packets)
	open(f"{work}/sources", "w").write("\n".join(lines) + "\n")
	open(f"{work}/wanted", "w").write("\n".join(wanted) + "\n")
END
for _ in 1 2 3; do
	ecbpf-fw test -j -f "$work/sources" -r "$work/sources.pcap" | jq -r '.packets[].action' |
		paste -d ' ' <(cut -d ' ' -f 1,2 "$work/wanted") - >"$work/got"
	cmp -s "$work/wanted" "$work/got" && break
done
equal "budgets for each source, exactly" "$(diff "$work/wanted" "$work/got" | head -n 5)" ""

while read -r result name; do
	case $result in
	PASS) pass "$name" ;;
	FAIL) fail "${name%%:*}" "${name#*:}" ;;
	esac
done < <(/usr/bin/python3 "$top/testing/oracle/fw_attacks.py" ecbpf-fw test 2>&1)
summary
