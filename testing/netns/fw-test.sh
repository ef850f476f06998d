#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# ecbpf-fw test: the attacks of ecbpf-fw-rules(5) and the assertions of rules, decided by the real
# program. Nothing is attached.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/fw-test.sh
. "$(dirname "$0")/../lib/fw-test.sh"
require_cmd sha1sum

# Two packets, and their sums by another hand
/usr/bin/python3 - "$work" <<-'END'
	import hashlib, sys
	from scapy.all import Ether, IP, TCP, UDP, wrpcap, wrpcapng
	work = sys.argv[1]
	packets = [Ether()/IP()/UDP(sport=53), Ether()/IP()/TCP()]
	wrpcap(work + "/a.pcap", packets)
	wrpcapng(work + "/a.pcapng", packets)
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
equal "assertions that hold" "$status $err" "0 "
equal "a line a packet" "$out" "$(printf '%s\t42\tXDP_DROP\t1\t%s\tdns\n%s\t54\tXDP_PASS\t-\t%s\t\n%s' \
	1 "$udp" 2 "$tcp" "2 packets, 0 unknown, 0 skipped, 2 assertions, 0 failed")"
run -f "$rules" -r - <"$work/a.pcapng"
equal "pcapng, from standard input" "$status ${out##*$'\n'}" \
	"0 2 packets, 0 unknown, 0 skipped, 2 assertions, 0 failed"

sed -i 's/XDP_PASS/XDP_DROP/' "$rules"
run -f "$rules" -r "$work/a.pcap"
equal "an assertion that does not hold" "$status $err" \
	"1 $rules:3: $tcp: expected XDP_DROP, packet 2 got XDP_PASS"
sed -i "3s/sha1 ./sha1 $([[ $tcp == 0* ]] && echo 1 || echo 0)/" "$rules"
run -f "$rules" -r "$work/a.pcap"
equal "an assertion without its packet" "$status ${err#*: }" \
	"1 $(sed -n '3s/test sha1 \([^ ]*\) .*/\1/p' "$rules"): expected XDP_DROP, but no packet has this sum"
run -j -f "$rules" -r "$work/a.pcap"
equal "as JSON" "$status $(jq -c '[.packets[].rule, .assertions, (.failed[] | .line, has("packet"))]' <<<"$out")" \
	'1 [1,null,2,3,true]'

run -f "$rules" -r "$rules"
equal "not a capture" "$status $out ${err%%: unknown*}" "1  ecbpf-fw: $rules"
run -f "$rules" -r /nonexistent
equal "no file" "$status $err" "1 ecbpf-fw: /nonexistent: No such file or directory"
run -f "$rules"
equal "no packets" "$status ${err%%$'\n'*}" "2 ecbpf-fw: missing -r PCAP"

# Budgets for each source: time stands still, and so all counts are exact. Of each length of prefix
# two sources that differ behind it, which share a budget of 5, and a third that differs in its last
# bit. Without a length an IPv4 address is a source, of IPv6 a /64
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
	        per = "" if length == {"ip": 32, "ip6": 64}[family] else f"/{length}"
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
ecbpf-fw test -j -f "$work/sources" -r "$work/sources.pcap" | jq -r '.packets[].action' |
	paste -d ' ' <(cut -d ' ' -f 1,2 "$work/wanted") - >"$work/got"
equal "budgets for each source, exactly" "$(diff "$work/wanted" "$work/got" | head -n 5)" ""

# Many sources, none of which may be another one's loss: 20,000 that use up their budgets; and 1,000
# with a packet each, in the middle of 150,000 of random addresses of one /64
/usr/bin/python3 - "$work" <<-'END'
	import random, struct, sys
	work, rng = sys.argv[1], random.Random(17)

	def write(name, frames):
	    with open(f"{work}/{name}.pcap", "wb") as file:
	        file.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
	        for frame in frames:
	            file.write(struct.pack("=IIII", 0, 0, len(frame), len(frame)) + frame)

	def ip4(source):
	    return bytes(12) + struct.pack("!HBBHHHBBHIIHHHH", 0x0800, 0x45, 0, 28, 0, 0, 64, 17, 0,
	                                   source, 0xc6336401, 1, 53, 8, 0)

	def ip6(high):
	    return bytes(12) + struct.pack("!HIHBBQQQQHHHH", 0x86dd, 6 << 28, 8, 17, 64, high,
	                                   rng.getrandbits(64), 0x20010db8 << 32, 2, 1, 53, 8, 0)

	sources = rng.sample(range(1 << 24, 223 << 24), 20000)
	write("many", [ip4(source) for source in sources for _ in range(5)])
	write("attack", [frame for i in range(1000) for frame in
	                 [ip6(0x20010db8000f0000)] * 75 + [ip6(0x2001 << 48 | i << 16)] +
	                 [ip6(0x20010db8000f0000) for _ in range(75)]])
END
echo 'ip from any to any udp limit 5/s burst 5 per src' >"$work/many"
equal "20,000 sources within their limits: none is over" \
	"$(ecbpf-fw test -f "$work/many" -r "$work/many.pcap" | cut -f 3 | grep -c XDP_DROP)" 0
cat >"$work/attack" <<-'END'
	ip6 from any to any udp limit 5/s burst 5 per src
	ip6 from any to any udp pass
END
ecbpf-fw test -f "$work/attack" -r "$work/attack.pcap" | cut -f 3,4 | grep XDP | sort |
	uniq -c | awk '{ print $1, $2, $3 }' >"$work/got"
equal "a /64 with 150,000 packets: 1,000 other sources get through" "$(<"$work/got")" \
	$'149995 XDP_DROP 1\n1005 XDP_PASS 2'

while read -r result name; do
	case $result in
	PASS) pass "$name" ;;
	FAIL) fail "${name%%:*}" "${name#*:}" ;;
	esac
done < <(/usr/bin/python3 "$top/testing/oracle/fw_attacks.py" ecbpf-fw test 2>&1)
summary
