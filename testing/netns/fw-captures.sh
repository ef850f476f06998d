#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# ecbpf-fw test takes captures as people have them: cut, of other link types, of several interfaces,
# cut off in the middle, with packets that cannot be tried. Files are made by Scapy, editcap and
# mergecap, and byte by byte; what is expected, the model says or the packet that was not cut.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/fw-test.sh
. "$(dirname "$0")/../lib/fw-test.sh"
require_cmd jq editcap mergecap capinfos

# verdicts FILE [RULES]: verdict and rule of each packet, in a line
verdicts() { run -f "${2:-$work/rules}" -r "$1" && cut -sf 3,4 "$work/out" | tr '\t\n' ': '; }

# total FILE [RULES]: packets, unknown, skipped
total()
{
	run -j -f "${2:-$work/rules}" -r "$1"
	jq -r '[.total.packets, .total.unknown, .total.skipped] | join(" ")' <<<"$out"
}

/usr/bin/python3 "$top/testing/lib/fw_captures.py" "$work"
cat >"$work/rules" <<-'END'
	ip from 192.0.2.1 to any udp sport 53 name "dns"
	ip from any to any tcp flags {syn} mask {syn, ack}
	ip6 from any to any udp dport 443
	packet length 46 ip from any to any icmp
END
whole='XDP_DROP:1 XDP_PASS:- XDP_DROP:2 XDP_PASS:- XDP_DROP:3 XDP_DROP:4 '
equal "whole packets" "$(verdicts "$work/whole.pcap")" "$whole"

# Of 42 bytes of IPv4, 62 of IPv6 no rule asks for more
editcap -s 96 "$work/whole.pcap" "$work/96.pcap"
equal "cut to 96 bytes" "$(verdicts "$work/96.pcap")" "$whole"
editcap -s 62 "$work/whole.pcap" "$work/62.pcap"
equal "cut to 62 bytes" "$(verdicts "$work/62.pcap")" "$whole"
editcap -s 36 "$work/whole.pcap" "$work/36.pcap"
equal "cut to 36 bytes: source port of IPv4, nothing of TCP, no destination of IPv6" \
	"$(verdicts "$work/36.pcap")" \
	'XDP_DROP:1 XDP_PASS:- unknown:- unknown:- unknown:- XDP_DROP:4 '
equal "they are counted" "$(total "$work/36.pcap")" "6 3 0"
editcap -F pcap -s 34 "$work/whole.pcap" "$work/34.pcap"
equal "cut to 34 bytes: the source says that no rule asks for the port" \
	"$(verdicts "$work/34.pcap")" \
	'unknown:- XDP_PASS:- unknown:- unknown:- unknown:- XDP_DROP:4 '
editcap -s 13 "$work/whole.pcap" "$work/13.pcap"
equal "cut within the Ethernet header" "$(verdicts "$work/13.pcap")" \
	"$(printf 'unknown:- %.0s' {1..6})"
equal "lengths are those on the wire" "$(cut -sf 2 "$work/out" | tr '\n' ' ')" \
	'60 60 60 60 82 46 '

for link in sll sll2 raw null null-swapped loop several.pcapng; do
	[[ $link == *.* ]] || link+=.pcap
	equal "link type: $link" "$(verdicts "$work/$link")" "$whole"
done
equal "IPv4 and IPv6 without header" "$(verdicts "$work/ipv4.pcap") $(verdicts "$work/ipv6.pcap")" \
	"${whole/ XDP_DROP:3/} XDP_DROP:3 "
mergecap -F pcapng -w "$work/merged.pcapng" "$work/whole.pcap" "$work/sll.pcap" "$work/raw.pcap"
equal "three files of three link types, merged" \
	"$(capinfos -TrcM "$work/merged.pcapng" | cut -f 2) $(verdicts "$work/merged.pcapng" |
		tr ' ' '\n' | sort | uniq -c | awk 'NF > 1 { print $1, $2 }' | paste -sd ' ')" \
	"18 3 XDP_DROP:1 3 XDP_DROP:2 3 XDP_DROP:3 3 XDP_DROP:4 6 XDP_PASS:-"
for format in nsecpcap modpcap pcapng; do
	editcap -F $format "$work/whole.pcap" "$work/$format"
	equal "format $format" "$(verdicts "$work/$format")" "$whole"
done
equal "pcapng in the other byte order, two sections, all kinds of packet blocks" \
	"$(verdicts "$work/blocks.pcapng")" "$whole$whole$whole"

# what cannot be tried
equal "runts, sent packets, unknown link types, ARP of raw, empty" "$(total "$work/odd.pcapng")" "9 0 8"
equal "each with its reason" "$(jq -r '.skipped[] | "\(.packets) \(.why)"' "$work/out")" \
	"2 shorter than an Ethernet header
1 sent by the host that captured it
1 of a link type that is not supported
1 of a device that is no Ethernet
1 neither IPv4 nor IPv6
2 empty"
equal "as text, too" "$(run -f "$work/rules" -r "$work/odd.pcapng"; grep -c ^skipped: "$work/out")" 6

# merged by GRO, to more than 65,535 bytes: as one packet, if the kernel can
equal "65,549 bytes, 96 of them captured, and whole" "$(verdicts "$work/gro.pcap")" \
	'XDP_DROP:2 XDP_DROP:2 XDP_PASS:- '
equal "its length" "$(cut -sf 2 "$work/out" | head -1)" 65549
equal "longer than the kernel tries" "$(total "$work/long.pcap")" "2 0 1"

# cut off, damaged
for file in whole.pcap pcapng; do
	size=$(stat -c %s "$work/$file")
	# behind the heads of the file and of its interface; the last one is a byte before the end
	for ((at = size - 1; at > 200; at -= 37)); do
		head -c $at "$work/$file" >"$work/cut"
		run -j -f "$work/rules" -r "$work/cut"
		counted=$(capinfos -TrcM "$work/cut" 2>"$work/capinfos" | cut -f 2 || :)
		equal "$file cut off at byte $at: as many packets as capinfos reads, no failure" \
			"$status $(jq -r '"\(.total.packets) \(.cut_off) \(.damage)"' <<<"$out")" \
			"0 $counted $([[ -s $work/capinfos ]] && echo true || echo false) null"
	done
done
head -c $((size - 1)) "$work/pcapng" >"$work/cut.pcapng"
run -f "$work/rules" -r "$work/cut.pcapng"
equal "the warning" "${err/after packet ?: /}" \
	"ecbpf-fw: $work/cut.pcapng: it is cut off the file ends within a block"
run -j -f "$work/rules" -r "$work/damaged.pcapng"
equal "damaged: a failure, and what is before it" \
	"$status $(jq -r '"\(.packets | length) \(.total.packets) \(.damage)"' <<<"$out")" \
	"1 6 6 after packet 6: a block of 13 bytes"
run -j -f "$work/rules" -r - <"$work/whole.pcap"
equal "standard input" "$status $(jq .total.packets <<<"$out")" "0 6"

# assertions on what has no verdict
sum=$(jq -r '.packets[0].sha1' <<<"$out")
(cat "$work/rules"; echo "test sha1 $sum xdp_action XDP_DROP") >"$work/asserted"
run -f "$work/asserted" -r "$work/whole.pcap"
equal "an assertion on a whole packet" "$status" 0
sum=$(head -c 74 "$work/34.pcap" | tail -c 34 | sha1sum | cut -d ' ' -f 1)
(cat "$work/rules"; echo "test sha1 $sum xdp_action XDP_DROP") >"$work/asserted"
run -f "$work/asserted" -r "$work/34.pcap"
equal "an assertion on an unknown one" "$status ${err#*: }" \
	"1 $sum: expected XDP_DROP, packet 1 is unknown: the verdict depends on bytes that were not captured"

# limits: three packets that are cut before their port may each have taken one of ten tokens
cat >"$work/limit" <<-'END'
	ip from any to any udp dport 53 limit 1/s burst 10
	ip from any to any udp dport 123 limit 1/s burst 2 per src
END
equal "a limit is known while it does not depend on unknown packets" \
	"$(verdicts "$work/limit.pcap" "$work/limit" | tr ' ' '\n' | uniq -c | awk 'NF > 1 { print $1, $2 }')" \
	"3 unknown:-
7 XDP_PASS:-
3 unknown:-
1 XDP_PASS:-
1 unknown:-
2 XDP_PASS:-
2 XDP_DROP:2"

# by rule, against the model
run -j --by-rule -f "$work/rules" -r "$work/whole.pcap"
equal "by rule" "$(jq -c '[.rules[], .none | [.packets, .bytes, .dropped, .percent]]' <<<"$out")" \
	'[[1,60,1,16.7],[1,60,1,16.7],[1,82,1,16.7],[1,46,1,16.7],[2,120,0,33.3]]'
equal "without packets" "$(jq -c '[has("packets"), .total]' <<<"$out")" \
	'[false,{"packets":6,"passed":2,"dropped":4,"unknown":0,"skipped":0}]'
run --by-rule -f "$work/rules" -r "$work/whole.pcap"
equal "by rule, as a table" "$(awk '{ print $1, $2, $3, $4, $5 }' <<<"$out")" "rule packets bytes share dropped
1 1 60 16.7% 1
2 1 60 16.7% 1
3 1 82 16.7% 1
4 1 46 16.7% 1
- 2 120 33.3% 0
6 packets, 0 unknown, 0"
while read -r seed got wanted; do
	equal "by rule: random rules, seed $seed" "$got" "$wanted"
done < <(/usr/bin/python3 "$top/testing/lib/fw_captures.py" "$work" 1 2 3)
run -j --by-rule -f /dev/null -r "$work/34.pcap"
equal "without rules" "$status $(jq -c '[.rules, .total.unknown]' <<<"$out")" '0 [[],2]'
summary
