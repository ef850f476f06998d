#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# ecbpf-fw apply --gate: rules that drop too much of a capture that is known to be good. How many
# packets of it a rule drops, Scapy says.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/fw.sh
. "$(dirname "$0")/../lib/fw.sh"
require_cmd jq
fw_pair

# 2,000 packets: 3 of DNS, 1 of TCP from 203.0.113.7, 1 that is malformed, the others to port 443.
# In cut, the ports of 5 are missing
/usr/bin/python3 - "$work" <<-'END'
	import sys
	from scapy.all import Ether, IP, RawPcapWriter, TCP, UDP, rdpcap, wrpcap
	work = sys.argv[1]
	web = [Ether() / IP(src=f"198.51.100.{i % 250}", dst="192.0.2.1") / TCP(dport=443, flags="A")
	       for i in range(1995)]
	other = [Ether() / IP(src="198.51.100.1", dst="192.0.2.1") / UDP(sport=53, dport=5000)] * 3
	other += [Ether() / IP(src="203.0.113.7", dst="192.0.2.1") / TCP(dport=443, flags="A"),
	          Ether() / IP(src="198.51.100.1", dst="192.0.2.1", len=10) / TCP()]
	wrpcap(f"{work}/good.pcap", web + other)
	packets = rdpcap(f"{work}/good.pcap")
	assert len(packets) == 2000
	with open(f"{work}/facts", "w") as file:
	    print(sum(UDP in p and p[UDP].sport == 53 for p in packets),
	          sum(p[IP].src == "203.0.113.7" for p in packets), file=file)
	wrpcap(f"{work}/a:b.pcap", web[:10])
	wrpcap(f"{work}/x:max-dropped 5%", other[:1])
	cut = [bytes(p)[:34] for p in web[:5]]
	with open(f"{work}/cut.pcap", "wb") as file:
	    writer = RawPcapWriter(file, linktype=1)
	    writer.write_header(None)
	    for frame in cut:
	        writer.write_packet(frame, wirelen=54)
	    for p in web[:95]:
	        writer.write_packet(bytes(p))
	    writer.flush()
	with open(f"{work}/broken.pcap", "wb") as file:
	    data = open(f"{work}/good.pcap", "rb").read()
	    file.write(data[:24 + 70] + b"\xff" * 16 + data[110:])
	open(f"{work}/end.pcap", "wb").write(open(f"{work}/a:b.pcap", "rb").read()[:-5])
	wrpcap(f"{work}/empty.pcap", [Ether()][:0], linktype=1)
END
read -r dns host <"$work/facts"
good=$work/good.pcap
base='ip from 192.0.2.99 to any udp dport 9 drop'
fw load -q --fused -f - fw0 <<<"$base"

# gate NAME STATUS LAST-LINE CAPTURE [OPTION]... <RULES; what is live afterwards agrees
gate()
{
	local status=0

	cat >"$work/rules"
	fw apply -f "$work/rules" --gate "$4" "${@:5}" >"$work/out" 2>"$work/err" || status=$?
	check "$1" "$2 $3" "$status $(cat "$work/out" "$work/err" | sed 's/^ecbpf-fw: //' | tail -n 1)"
	if ((status)) || [[ ${*:5} == *-c* ]]; then
		check "$1: nothing was changed" "$base" "$(fw rule list | grep -v '^#')"
	else
		check "$1: it is live" 0 "$(fw apply -c --exit-code -f "$work/rules" >/dev/null; echo $?)"
		fw apply -q -f - <<<"$base"
	fi
}
# of N, dropped M, at most TEXT
refused() { echo "$3: $2 of $1 packets would be dropped; at most $4 may be: nothing is changed"; }
taken() { echo "$3: $2 of $1 packets would be dropped"; }

# the malformed packet is dropped by any rules
gate "none may be dropped" 1 "$(refused 2000 1 "$good" 0%)" "$good" <<<"$base"
gate "0.05% is one" 0 "$(taken 2000 1 "$good")" "$good:max-dropped 0.05%" \
	<<<'ip from 192.0.2.98 to any udp drop'
dns_rule='ip from any to any udp sport 53 drop name "dns"'
host_rule='ip from 203.0.113.7 to any drop'
gate "not more" 1 "$(refused 2000 $((dns + 1)) "$good" 0.05%)" "$good:max-dropped 0.05%" <<<"$dns_rule"
check "the packets by rule" "1|$dns|$dns" "$(awk '$1 == 1 { print $1 "|" $2 "|" $5 }' "$work/out")"
check "and those of none" "-|1" "$(awk '$1 == "-" { print $1 "|" $5 }' "$work/out")"
gate "0.2%" 0 "$(taken 2000 $((dns + 1)) "$good")" "$good:max-dropped 0.2%" <<<"$dns_rule"
gate "all of it" 0 "$(taken 2000 $((host + 1)) "$good")" "$good:max-dropped 100%" <<<"$host_rule"
gate "two rules" 1 "$(refused 2000 $((dns + host + 1)) "$good" 0.2%)" "$good:max-dropped 0.2%" \
	<<<"$dns_rule"$'\n'"$host_rule"
gate "--check" 1 "$(refused 2000 $((dns + 1)) "$good" 0.1%)" "$good:max-dropped 0.1%" -c \
	<<<"$dns_rule"
gate "--check, taken" 0 "$(taken 2000 $((dns + 1)) "$good")" "$good:max-dropped 1%" -c <<<"$dns_rule"
gate "-q: one line" 1 "$(refused 2000 $((dns + 1)) "$good" 0%)" "$good" -q <<<"$dns_rule"
check "no table" 1 "$(cat "$work/out" "$work/err" | wc -l)"

gate "a colon in its name" 0 "$(taken 10 0 "$work/a:b.pcap")" "$work/a:b.pcap" <<<"$dns_rule"
gate "and a share" 0 "$(taken 10 0 "$work/a:b.pcap")" "$work/a:b.pcap:max-dropped 1%" <<<"$dns_rule"
gate "a name that looks like a share" 1 "$(refused 1 1 "$work/x:max-dropped 5%" 99.9999%)" \
	"$work/x:max-dropped 5%:max-dropped 99.9999%" <<<"$dns_rule"
for share in '' 1 101% -1% 1.% .5% 0.00001% '1 %' x% 100.1%; do
	bad "share '$share'" 2 "is not a share" fw apply -f "$work/rules" --gate "a:max-dropped $share"
done
bad "both from standard input" 2 "cannot both be standard input" fw apply -f - --gate - </dev/null

# --- what cannot be judged ------------------------------------------------------------------------

cut=$work/cut.pcap
gate "ports that are missing" 1 "$cut: 0 of 100 packets would be dropped, and of 5 it is not known; \
at most 0% may be: nothing is changed" "$cut" <<<'ip from any to any tcp dport 80 drop'
gate "of 5%" 0 "$cut: 0 of 100 packets would be dropped, and of 5 it is not known" \
	"$cut:max-dropped 5%" <<<'ip from any to any tcp dport 80 drop'
gate "damaged" 1 "$(ecbpf-fw test -f <(echo "$dns_rule") -r "$work/broken.pcap" 2>&1 >/dev/null |
	sed 's/^ecbpf-fw: //')" "$work/broken.pcap:max-dropped 100%" <<<"$dns_rule"
gate "the end is missing: what is there" 0 "$work/end.pcap: it is cut off after packet 9: truncated \
dump file; tried to read 54 captured bytes, only got 49" "$work/end.pcap" <<<"$dns_rule"
gate "no packet" 1 "$work/empty.pcap: no packet of it can be tried: nothing is changed" \
	"$work/empty.pcap:max-dropped 100%" <<<"$dns_rule"
gate "no file" 1 "$work/none: No such file or directory" "$work/none" <<<"$dns_rule"
gate "no capture" 1 "$work/rules: unknown file format" "$work/rules" <<<"$dns_rule"
gate "limits do not count, and are told" 0 "$work/a:b.pcap: 7 packets above limits are not counted: \
time stands still while rules are tried" "$work/a:b.pcap" \
	<<<'ip from any to any tcp limit 3/s burst 3'

# --- a live set has what it has -------------------------------------------------------------------

live='set bad live
ip from @bad to any drop'
fw apply -q -f - <<<"$live"
fw set add -q bad 203.0.113.7
base="set bad live
ip from @bad to any proto any drop"
echo "$live" >"$work/rules"
status=0
fw apply -f "$work/rules" --gate "$good:max-dropped 0.05%" >"$work/out" 2>&1 || status=$?
check "addresses of a live set" "1 $host" \
	"$status $(awk '$1 == 1 { print $5 }' "$work/out")"
check "JSON" "[[$host],1]" "$(fw apply -j -f "$work/rules" --gate "$good" 2>/dev/null |
	jq -c '[[.rules[].dropped], .none.dropped]')"
check "JSON of what was taken" "[2000,$((host + 1))]" "$(fw apply -j -f "$work/rules" \
	--gate "$good:max-dropped 1%" | jq -c '[.gate_packets, .gate_dropped]')"
summary
