#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 600
#
# What is odd, in the middle of flows that have leases: TTL 1, more than the path MTU, options,
# fragments, ICMP errors, FIN and RST, one and storms of them, SYN on a live flow, ports used again,
# flows that nobody has begun. Whatever comes of it, at real servers and client, is the same with
# the fast path and without.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../director.sh
. "$(dirname "$0")/../director.sh"

# cases DIRECTORY: what comes of them
cases()
{
	services sh -b sh-port # the same server for the same flow, each time
	capture_start "$1" real1=eth0 real2=eth0 router=director
	on router /usr/bin/python3 "$vm/cases.py" send director "$director" tcp,udp \
		"$vip4" "$vip6"
	capture_stop
}

printf 'route replace %s dev eth0 mtu 1400\n' "${real4[@]}" | on director ip -batch -
printf 'route replace %s dev eth0 mtu 1400\n' "${real6[@]}" | on director ip -6 -batch -
cases "$tmp/alone"
for mode in "" --fused; do
	works "load $mode" fastpath load -i eth0 --flows 100000 ${mode:+"$mode"}
	fastpath set lease=60000 sample=30000 # an emulated machine may take its time
	cases "$tmp/fast"
	if out=$(/usr/bin/python3 "$vm/cases.py" compare "$tmp/alone" "$tmp/fast"); then
		pass "the same as IPVS alone $mode: $out"
	else
		fail "the same as IPVS alone $mode" "$(tr '\n' ';' <<<"$out")"
	fi
	tx=$(value packets XDP_TX)
	works "most of the rest went by XDP ($tx)" test "$tx" -gt 500
	for reason in ttl length special syn fin rst checksum; do
		works "seen: $reason" test "$(value reasons "fastpath-$reason")" -gt 0
	done
	works "unload" fastpath unload
done
summary
