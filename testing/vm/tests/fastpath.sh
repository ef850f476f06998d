#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 900
#
# The fast path beside IPVS: what arrives at the real servers is byte for byte what IPVS alone
# sends, at the server that IPVS says; chained and fused. $ECBPF_LONG: more schedulers; $FLOWS,
# $PACKETS: how many of each kind, and packets of each.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../lib.sh
. "$(dirname "$0")/../../lib.sh"

fresh_bpffs "$@"
require_module ip_vs ip_vs_rr ip_vs_wlc ip_vs_sh ip_vs_mh
here=$(cd "$(dirname "$0")" && pwd -P)
ECBPF_BUILD=$(cd "${ECBPF_BUILD:-$here/../../../build/test}" && pwd -P)
PATH=$ECBPF_BUILD/root/sbin:$PATH
require_cmd ecbpf-fastpath ipvsadm curl /usr/bin/python3
tmp=$(mktemp -d)
defer rm -rf "$tmp"
flows=$here/../flows.py
vpop=("$here/../../vpop/vpop" --name fastpath)
vip4=$("${vpop[@]}" vip4) vip6=$("${vpop[@]}" vip6)
director=02:ec:bf:00:00:02
servers=("real1=02:ec:bf:00:00:03=192.0.2.11=2001:db8:2::11=$tmp/real1"
	"real2=02:ec:bf:00:00:04=192.0.2.12=2001:db8:2::12=$tmp/real2")

on() { "${vpop[@]}" exec "$@"; }
fastpath() { on director ecbpf-fastpath "$@"; }

# equal NAME WANT GOT
equal() { if [[ $2 == "$3" ]]; then pass "$1"; else fail "$1" "wanted '$2', got '$3'"; fi; }

# expect NAME COMMAND...
expect()
{
	local out

	if out=$("${@:2}" 2>&1); then pass "$1"; else fail "$1" "${out:-exit status not 0}"; fi
}

# value GROUP KEY...: numbers out of `status -j`, in one line
value()
{
	fastpath status -j | /usr/bin/python3 -c '
import json, sys
status = json.load(sys.stdin)
print(*(status[group][key] for group, key in zip(sys.argv[1::2], sys.argv[2::2])))' "$@"
}

# services SCHEDULER: IPVS anew, without connections; TCP and UDP
services()
{
	local proto

	on director ipvsadm -C
	for proto in -t -u; do
		printf '%s\n' "-A $proto $vip4:80 -s $1" "-A $proto [$vip6]:80 -s $1" \
			"-a $proto $vip4:80 -r 192.0.2.1"{1,2}":80 -g" \
			"-a $proto [$vip6]:80 -r [2001:db8:2::1"{1,2}"]:80 -g"
	done | on director ipvsadm -R
}

# traffic NAME SEED: numbered packets; each must arrive as IPVS alone would send it
traffic()
{
	local pids=() node out

	for node in real1 real2; do
		"${vpop[@]}" exec "$node" /usr/bin/python3 "$flows" capture eth0 "$tmp/$node" \
			>"$tmp/ready-$node" &
		pids+=($!)
	done
	until grep -qs ready "$tmp/ready-real1" && grep -qs ready "$tmp/ready-real2"; do
		sleep 0.1
	done
	on router /usr/bin/python3 "$flows" send director "$tmp/sent" "$director" "$2" \
		"${FLOWS:-4}" "${PACKETS:-12}" tcp,udp "$vip4" "$vip6"
	sleep 0.5
	kill "${pids[@]}"
	wait "${pids[@]}" || :
	on director cat /proc/net/ip_vs_conn >"$tmp/conns"
	if out=$(/usr/bin/python3 "$flows" compare "$tmp/sent" "$director" "$tmp/conns" \
		"${servers[@]}"); then
		pass "$1: $out"
	else
		fail "$1" "$(tr '\n' ';' <<<"$out")"
	fi
}

defer "${vpop[@]}" down
"${vpop[@]}" up
# XDP_TX to a veth arrives where the other end has an XDP program
on router ecbpf-loader load --fused pass director
# the flood of packets that belong to nothing is not answered
for node in real1 real2; do
	on "$node" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
done

schedulers=(rr mh)
[[ ! ${ECBPF_LONG-} ]] || schedulers=(rr mh wlc sh)
seed=1 mode=()
for scheduler in "${schedulers[@]}"; do
	services "$scheduler"
	traffic "IPVS alone, $scheduler" $((seed++))
	services "$scheduler"
	expect "load ${mode[*]}" fastpath load -i eth0 --flows 100000 "${mode[@]}"
	traffic "fast path ${mode[*]}, $scheduler" $((seed++))
	read -r tx up < <(value packets XDP_TX packets XDP_PASS)
	if ((tx > up)); then
		pass "most went by XDP ($tx, $up)"
	else
		fail "most went by XDP" "$tx did, $up did not"
	fi
	expect "IPVS agrees to all leases" fastpath check
	expect "unload" fastpath unload
	mode=(--fused)
done

# --- connections that go on ---------------------------------------------------------------------

services rr
fastpath load -i eth0 --flows 100000
fastpath set lease=500 sample=200
"${vpop[@]}" exec client curl -s -o "$tmp/big" --limit-rate 200k "http://$vip4/bulk" &
pid=$!
sleep 2
expect "a download goes by XDP" test "$(value packets XDP_TX)" -gt 10
expect "unload, in the middle of it" fastpath unload
wait "$pid" || fail "a download beside the fast path" "curl: $?"
equal "all of it" 1048576 "$(stat -c %s "$tmp/big")"
summary
