#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 600
#
# A flood of SYNs, and of ACKs of no connection, of ten times what the shield is told that IPVS may
# get: known flows lose nothing, new connections come to be. $ECBPF_FLOOD: packets a second (an
# emulated machine's limit is that of who sends them).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../lib.sh
. "$(dirname "$0")/../../lib.sh"
fresh_bpffs "$@"
# shellcheck source-path=SCRIPTDIR source=../director.sh
. "$(dirname "$0")/../director.sh"

flood=${ECBPF_FLOOD:-2000} flows=50
failover=(/usr/bin/python3 "$vm/failover.py")
for node in real1 real2; do
	on "$node" ip route add blackhole 198.18.0.0/15 # what belongs to nothing is not answered
done
on director sysctl -qw net.ipv4.vs.sloppy_tcp=1 # or IPVS takes no flow without its SYN
services rr
fastpath load -i eth0 --flows 100000
fastpath set limit=on target-pps=$((flood / 10)) spike=50 max=95 lease=60000 sample=30000

# shellcheck disable=SC2016 # for awk
# conns: connections that IPVS has begun
conns() { on director awk 'NR == 3 { print strtonum("0x" $1) }' /proc/net/ip_vs_stats; }

for kind in syn ack; do
	rm -f "$tmp"/ready*
	pids=()
	for node in real1 real2; do
		"${vpop[@]}" exec "$node" "${failover[@]}" capture eth0 "$tmp/$node" \
			>"$tmp/ready-$node" &
		pids+=($!)
	done
	for node in real1 real2; do
		until grep -qs ready "$tmp/ready-$node"; do sleep 0.1; done
	done
	"${vpop[@]}" exec router "${failover[@]}" send director "$director" "$vip4" 10000 \
		"$flows" 50 >"$tmp/ready" &
	sender=$!
	until grep -qs ready "$tmp/ready"; do sleep 0.1; done
	read -r before < <(value reasons fastpath-shield)
	begun=$(conns)
	"${vpop[@]}" exec router "${failover[@]}" storm director "$director" "$vip4" "$flood" 15 \
		"$kind" >"$tmp/storm" &
	storm=$!
	sleep 3
	connections=() new=0
	for ((i = 0; i < 20; i++)); do
		on client curl -s -m 10 -o "$tmp/new-$i" "http://$vip4/" &
		connections+=($!)
	done
	for pid in "${connections[@]}"; do
		! wait "$pid" || new=$((new + 1))
	done
	wait "$storm"
	kill "$sender"
	wait "$sender" || : # it is through
	sleep 1
	kill "${pids[@]}"
	wait "${pids[@]}" || : # by this signal
	sent=$(<"$tmp/storm") dropped=$(($(value reasons fastpath-shield) - before))
	echo "$kind: $sent packets in 15 s, $dropped dropped; IPVS: $(($(conns) - begun)) connections"
	# the shield has to find out first
	expect "$kind: $dropped of $sent dropped" test $((10 * dropped)) -gt $((7 * sent))
	equal "$kind: no known flow loses a packet" "$(tail -n 1 "$tmp/ready")" \
		"$(cat "$tmp/real1" "$tmp/real2" | wc -l)"
	expect "$kind: $new of 20 new connections come to be" test "$new" -ge 18
done
expect "unload" fastpath unload
summary
