# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# For the tests of the fast path: a virtual POP whose director has IPVS, removed at the end. Comes
# first in the script, with its arguments.

# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/lib.sh"
fresh_bpffs "$@"
require_module ip_vs ip_vs_rr ip_vs_wlc ip_vs_sh ip_vs_mh
vm=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
use_build ecbpf-fastpath ecbpf-loader ipvsadm curl jq /usr/bin/python3
flows=$ECBPF_BUILD/testing/vm/flows
[[ -x $flows ]] || skip_all "no $flows; run testing/vm/helpers"
tmp=$(mktemp -d)
defer rm -rf "$tmp"
vpop=("$vm/../vpop/vpop" --name fastpath)
vip4=$("${vpop[@]}" vip4) vip6=$("${vpop[@]}" vip6)
# shellcheck disable=SC2034 # for those who source this, like the next ones
director=02:ec:bf:00:00:02
real4=(192.0.2.11 192.0.2.12) real6=(2001:db8:2::11 2001:db8:2::12)

on() { "${vpop[@]}" exec "$@"; }
fastpath() { on director ecbpf-fastpath "$@"; }

# serve PORT COMMAND...: on both real servers, in the background, and wait until it listens
serve()
{
	local node

	for node in real1 real2; do
		"${vpop[@]}" exec "$node" "${@:2}" &
		defer kill $!
	done
	for node in real1 real2; do
		until on "$node" ss -Hltn | grep -q ":$1 "; do sleep 0.1; done
	done
}

# value GROUP KEY...: numbers out of `status -j`, in one line
value()
{
	fastpath status -j | /usr/bin/python3 -c '
import json, sys
status = json.load(sys.stdin)
print(*(status[group].get(key, 0) for group, key in zip(sys.argv[1::2], sys.argv[2::2])))' "$@"
}

# bypass NAME: most of what came in went by XDP
bypass()
{
	local tx redirect up

	read -r tx redirect up < <(value packets XDP_TX packets XDP_REDIRECT packets XDP_PASS)
	if ((tx + redirect > up)); then
		pass "$1: most went by XDP ($((tx + redirect)), $up did not)"
	else
		fail "$1: most went by XDP" "$((tx + redirect)) did, $up did not"
	fi
}

# services SCHEDULER [FLAG]...: IPVS anew, without connections; TCP and UDP
services()
{
	local proto try

	on director ipvsadm -C # and with them, soon, their connections: expire_nodest_conn
	for ((try = 0; try < 50; try++)); do
		(($(on director cat /proc/net/ip_vs_conn | wc -l) > 1)) || break
		sleep 0.1
	done
	for proto in -t -u; do
		printf '%s\n' "-A $proto $vip4:80 -s $*" "-A $proto [$vip6]:80 -s $*" \
			"-a $proto $vip4:80 -r "{"${real4[0]}","${real4[1]}"}":80 -g" \
			"-a $proto [$vip6]:80 -r "{"[${real6[0]}]","[${real6[1]}]"}":80 -g"
	done | on director ipvsadm -R
}

captures=() # no functions in the background: it is the process itself that is to be killed

# capture_start DIRECTORY NODE=IFACE...: frames that come in there, to the file NODE in DIRECTORY
capture_start()
{
	local node

	captures=()
	mkdir -p "$1"
	rm -f "$1"/*
	for node in "${@:2}"; do
		start "$tmp/ready" "${vpop[@]}" exec "${node%=*}" "$flows" capture "${node#*=}" \
			"$1/${node%=*}"
		captures+=("$started")
	done
}

capture_stop()
{
	local pid

	sleep 0.5
	kill "${captures[@]}"
	for pid in "${captures[@]}"; do
		wait "$pid" || fail "capture" "incomplete, status $?"
	done
}

defer "${vpop[@]}" down
"${vpop[@]}" up
# XDP_TX to a veth arrives where the other end has an XDP program
on router ecbpf-loader load --fused pass director
# what belongs to nothing is not answered by real servers; what the director says is not limited
sysctl -qw net.ipv4.icmp_msgs_per_sec=1000000 net.ipv4.icmp_msgs_burst=100000 2>/dev/null || :
for node in real1 real2; do
	on "$node" ip route add blackhole 198.51.100.77
	on "$node" ip -6 route add blackhole 2001:db8:1::77
done
for node in director real1 real2; do
	on "$node" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
done
on director sysctl -qw net.ipv4.vs.expire_nodest_conn=1
# real servers that say nothing for a while are not forgotten, and what is for them not flooded
for node in real1 real2; do
	bridge -n fastpath-router fdb replace "02:ec:bf:00:00:0$((${node#real} + 2))" \
		dev "$node" master static
done
# a client that nobody is: what it is sent gets lost
on router ip neigh replace 198.51.100.77 lladdr 02:ec:bf:00:00:77 dev client
on router ip -6 neigh replace 2001:db8:1::77 lladdr 02:ec:bf:00:00:77 dev client

# stamps_start: what "flows live" sends, as it comes to the real servers, goes to $tmp/real1, real2
stamps_start()
{
	local node

	stamps=()
	for node in real1 real2; do
		start "$tmp/ready" "${vpop[@]}" exec "$node" "$flows" stamps eth0 "$tmp/$node"
		stamps+=("$started")
	done
}

stamps_stop()
{
	kill "${stamps[@]}"
	wait "${stamps[@]}"
}
