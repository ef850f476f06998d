#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 1800
#
# What IPVS would not forward, the fast path does not either: packets of a live flow to another
# Ethernet address or in another VLAN, and flows that are only routed; a spoofed reset of a live
# connection changes nothing; and servers of changing Ethernet addresses use up no next hops.
# $ECBPF_LONG: IPv4 and IPv6 in both modes, not one in each.
# shellcheck disable=SC2154 # variables of director.sh
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../director.sh
. "$(dirname "$0")/../director.sh"

# ways VIP: packets by each way, of a connection that IPVS has; print how many arrived, by way
ways()
{
	local node pids=()

	for node in real1 real2; do
		start "$tmp/ready" "${vpop[@]}" exec "$node" "$vm/ways.py" receive eth0 "$tmp/$node"
		pids+=("$started")
	done
	on router "$vm/ways.py" send director "$director" "$1" 50
	sleep 1
	kill "${pids[@]}"
	wait "${pids[@]}" || :
	paste -d ' ' "$tmp/real1" "$tmp/real2" | awk '{ print $1 + $5, $2 + $6, $3 + $7 }'
}

services rr
on director sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
for vip in "$vip4" "$vip6"; do
	equal "IPVS alone, $vip" "50 0 0" "$(ways "$vip")"
done
for mode in "" --fused; do
	works "load $mode" fastpath load -i eth0 --flows 100000 ${mode:+"$mode"}
	fastpath set lease=60000 sample=59000 reset-pps=1000
	vips=("$vip4") routed=("${real6[0]}")
	[[ ! $mode ]] || vips=("$vip6") routed=("${real4[0]}")
	[[ ! ${ECBPF_LONG-} ]] || vips=("$vip4" "$vip6") routed=("${real4[0]}" "${real6[0]}")
	for vip in "${vips[@]}"; do
		before=$(value reasons fastpath-lease)
		equal "ways in, $vip $mode" "50 0 0" "$(ways "$vip")"
		works "they were seen, and the flow's own went by XDP" test \
			"$(value reasons fastpath-ingress)" -gt 50 -a \
			"$(value reasons fastpath-lease)" -gt $((before + 40))
		before=$(value reasons fastpath-lease)
		on router "$vm/ways.py" reset director "$director" "$vip" 20
		sleep 0.5
		# one may be a sample
		works "a spoofed reset, $vip $mode: the flow goes on" test \
			"$(value reasons fastpath-lease)" -ge $((before + 19))
	done
	equal "nothing was answered $mode" "0 0" "$(value reasons fastpath-reset egress dead)"
	# stateful rules would see samples only of what is routed
	for real in "${routed[@]}"; do
		before=$(value egress granted packets XDP_TX)
		equal "routed, $real $mode" "50 0 0" "$(ways "$real")"
		equal "gets no lease" "$before" "$(value egress granted packets XDP_TX)"
	done
	works "counted" test "$(value egress routed)" -ge $((45 * ${#routed[@]}))
	works "unload $mode" fastpath unload
done

# A server with one Ethernet address after another. Once: leases are granted by the program at TC,
# which is the same in both modes
fastpath load -i eth0 --flows 100000
fastpath set sample=50 lease=100
"${vpop[@]}" exec router "$vm/ways.py" send director "$director" "$vip4" 100000 &
sender=$!
for ((i = 0; i < 24; i++)); do
	for real in "${real4[@]}"; do
		on director ip neigh replace "$real" lladdr "02:ec:bf:01:00:$(printf %02x "$i")" \
			dev eth0 nud permanent
	done
	sleep 1
done
kill "$sender"
wait "$sender" || :
works "many of them were used" test "$(value egress moved)" -gt 10
works "24 addresses later, $(fastpath status -j | jq .hops) next hops" test \
	"$(fastpath status -j | jq .hops)" -lt 18
for real in "${real4[@]}"; do
	on director ip neigh del "$real" dev eth0
done
works "unload" fastpath unload
summary
