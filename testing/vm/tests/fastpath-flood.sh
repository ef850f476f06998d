#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 900
#
# The shield below floods of SYNs, and of ACKs that belong to nothing, of ten times as many packets
# as IPVS can begin connections here, which is measured first: no live flow loses a packet, and new
# connections come to be. $ECBPF_SECONDS: how long each flood lasts (10).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../director.sh
. "$(dirname "$0")/../director.sh"

seconds=${ECBPF_SECONDS:-10}

# IPVS sends half of the connections to each; nobody answers a flood
printf '%s\n' "-A -t $vip4:82 -s rr" "-a -t $vip4:82 -r "{"${real4[0]}","${real4[1]}"}":82 -g" |
	on director ipvsadm -R
on router ip route add blackhole 198.18.0.0/15
for node in real1 real2; do
	on "$node" ip route add blackhole 198.18.0.0/15
done
serve 82 "$flows" accept 82

fastpath load -i eth0 --flows 100000
read -r begun succeeded < <(on client "$flows" connect "$vip4" 82 5 0)
equal "without a flood: all connections come to be" "$begun" "$succeeded"
sustained=$((succeeded / 5))
echo "$sustained connections a second through IPVS"
fastpath set limit=on target-pps=$sustained spike=50 max=95 lease=60000 sample=30000
for kind in syn ack; do
	stamps_start
	start "$tmp/sent" "${vpop[@]}" exec router "$flows" live director "$director" "$vip4" \
		10000 50 100
	sender=$started
	sleep 1
	dropped=$(value reasons fastpath-shield)
	"${vpop[@]}" exec router "$flows" storm director "$director" "$vip4" 82 \
		$((11 * sustained)) "$seconds" "$kind" >"$tmp/storm" &
	storm=$!
	sleep 2
	read -r begun succeeded < <(on client "$flows" connect "$vip4" 82 $((seconds - 4)) 10)
	wait "$storm"
	dropped=$(($(value reasons fastpath-shield) - dropped)) sent=$(<"$tmp/storm")
	kill "$sender"
	wait "$sender"
	sleep 0.5
	stamps_stop
	# a busy machine may be slower now than when it was measured: how many times is only told
	times=$((10 * sent / seconds / sustained))
	works "$kind: $dropped dropped of $sent, $((times / 10)).$((times % 10)) times as many" \
		test $((2 * dropped)) -gt "$sent"
	equal "$kind: no live flow loses a packet" "$(tail -n 1 "$tmp/sent")" \
		"$(sort -k 2 -n -u "$tmp"/real[12] | wc -l)"
	works "$kind: $succeeded of $begun new connections come to be" \
		test $((10 * succeeded)) -ge $((9 * begun))
done
works "unload" fastpath unload
summary
