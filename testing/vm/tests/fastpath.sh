#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 1800
#
# The fast path beside IPVS: what arrives at the real servers is byte for byte what IPVS alone
# sends, at the server that IPVS says; with one port and two, with tags and without, chained and
# fused, alone and between the filter, the firewall and the sampler in one ecbpf_fused.
# $ECBPF_FLOWS, $ECBPF_PACKETS: how many of each kind, and packets of each. $ECBPF_LONG=1:
# every scheduler with one port and two, with tags and without, each after IPVS alone ("matrix"),
# and 100,000 flows ("many"; $ECBPF_MANY of each of the four kinds, 25,000).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../director.sh
. "$(dirname "$0")/../director.sh"

servers=("real1=02:ec:bf:00:00:03=${real4[0]}=${real6[0]}=$tmp/frames/real1"
	"real2=02:ec:bf:00:00:04=${real4[1]}=${real6[1]}=$tmp/frames/real2")

# traffic NAME SEED SOURCE [TAG]: numbered packets; each must arrive as IPVS alone would send it
traffic()
{
	local out

	capture_start "$tmp/frames" real1=eth0 real2=eth0
	on router "$flows" send director "$tmp/sent" "$director" "$2" "${ECBPF_FLOWS:-4}" \
		"${ECBPF_PACKETS:-8}" tcp,udp "$vip4" "$vip6" real1,real2 ${4+"$4"}
	capture_stop
	on director cat /proc/net/ip_vs_conn >"$tmp/conns"
	if out=$("$flows" compare "$tmp/sent" "$3" "$tmp/conns" "${servers[@]}"); then
		pass "$1: $out"
	else
		fail "$1" "$(tr '\n' ';' <<<"$out")"
	fi
}

# leave_by IFACE: to the real servers
leave_by()
{
	printf 'route replace %s dev %s\n' "${real4[0]}" "$1" "${real4[1]}" "$1" |
		on director ip -batch -
	printf 'route replace %s dev %s\n' "${real6[0]}" "$1" "${real6[1]}" "$1" |
		on director ip -6 -batch -
}

# run NAME SCHEDULER OUT SOURCE [TAG] -- LOAD-ARGUMENT...
run()
{
	local name="$2, $1" scheduler=$2 out=$3 source=$4 tag=()

	shift 4
	[[ $1 == -- ]] || { tag=("$1"); shift; }
	shift
	leave_by "$out"
	services "$scheduler"
	if [[ ${ECBPF_LONG-} || ! $alone ]]; then
		traffic "IPVS alone, $name" $((seed++)) "$source" "${tag[@]}"
		services "$scheduler"
		alone=1
	fi
	if [[ $whole ]]; then
		works "filter" on director ecbpf-filter load --fused eth0
		works "fw" on director ecbpf-fw load --fused -f "$tmp/rules" eth0
		works "sampler" on director ecbpf-sampler load --fused eth0
	fi
	works "load $*" fastpath load -i eth0 --flows "${ECBPF_TABLE:-100000}" "$@"
	fastpath set lease=60000 sample=30000 # an emulated machine may take its time
	traffic "fast path, $name" $((seed++)) "$source" "${tag[@]}"
	bypass "$name"
	works "IPVS agrees to all leases" fastpath check
	if [[ $whole ]]; then
		equal "one program with all stages" "filter fw fastpath sampler" "$(stages)"
	fi
	if [[ $whole == go ]]; then
		works "the filter goes" on director ecbpf-filter unload eth0
		traffic "without the filter, $name" $((seed++)) "$source" "${tag[@]}"
		bypass "without the filter, $name"
	fi
	works "unload" fastpath unload
	if [[ $whole == go ]]; then
		equal "the others stay" "fw sampler" "$(stages)"
		traffic "without the fast path, $name" $((seed++)) "$source" "${tag[@]}"
		works "unload fw" on director ecbpf-fw unload eth0
		works "unload sampler" on director ecbpf-sampler unload eth0
	fi
}

# stages: of ecbpf_fused on the director's port
stages()
{
	on director ecbpf-loader status -j eth0 |
		jq -r '.[0].members[] | select(.name == "ecbpf_fused").stages | map(.stage) | join(" ")'
}

# a second port, and VLANs on both; addresses to ask for neighbours from
back=02:ec:bf:00:00:09
ip -n fastpath-router link add back address 02:ec:bf:00:01:09 type veth peer name eth1 \
	address "$back" netns fastpath-director
ip -n fastpath-router -batch - <<-END
	link set back master br0 addrgenmode none up
	link add link director name director.200 type vlan id 200
	link add link back name back.200 type vlan id 200
	link set director.200 master br0 addrgenmode none up
	link set back.200 master br0 addrgenmode none up
END
ip -n fastpath-director -batch - <<-END
	link set eth1 up
	link add link eth0 name eth0.100 type vlan id 100
	link add link eth0 name eth0.200 type vlan id 200
	link add link eth1 name eth1.200 type vlan id 200
	link set eth0.100 up
	link set eth0.200 up
	link set eth1.200 up
	address add 192.0.2.110/32 dev eth1
	address add 192.0.2.111/32 dev eth0.200
	address add 192.0.2.112/32 dev eth1.200
END
on router ecbpf-loader load --fused pass back
# a veth that has no XDP program of its own takes no redirected packets
on director ecbpf-loader load --fused pass eth1

seed=1 alone='' whole=''
echo 'ip from 203.0.113.0/24 to any udp drop' >"$tmp/rules"
run "one port" rr eth0 "$director" --
whole=go
run "in with a tag, out by another port without" mh eth1 "$back" 100 -- -o eth1 --fused
whole=''
run "out by another port with a tag" wlc eth1.200 "$back" -- -o eth1
run "another tag" sh eth0.200 "$director" 100 -- --fused
if [[ ${ECBPF_LONG-} =~ ^(1|matrix)$ ]]; then
	for scheduler in rr wlc sh mh; do
		for tag in "" 100; do
			run "one port${tag:+, tag}" "$scheduler" "eth0${tag:+.200}" "$director" \
				${tag:+"$tag"} -- --fused
			run "two ports${tag:+, tag}" "$scheduler" "eth1${tag:+.200}" "$back" \
				${tag:+"$tag"} -- -o eth1
		done
	done
fi
if [[ ${ECBPF_LONG-} =~ ^(1|many)$ ]]; then
	export ECBPF_FLOWS=${ECBPF_MANY:-25000} ECBPF_PACKETS=2 ECBPF_LONGEST=100
	ECBPF_TABLE=200000
	on director ipvsadm --set 3600 3600 3600 # none ends before the last one is there
	ECBPF_LONG='' whole=once
	run "many flows" rr eth0 "$director" -- --fused
fi

# --- connections that go on ---------------------------------------------------------------------

leave_by eth0
# one port only: each of them answers when the router asks who has the address
ip -n fastpath-director -batch - <<-END
	link delete eth1
	link delete eth0.100
	link delete eth0.200
END
on router ip neigh flush dev br0
services rr
fastpath load -i eth0 --flows 100000
fastpath set lease=60000 sample=30000 # an emulated machine may take its time
"${vpop[@]}" exec client curl -s -o "$tmp/big" --limit-rate 50k "http://$vip4/bulk" &
pid=$!
until (($(value packets XDP_TX) > 0)) || ! kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
works "a download goes by XDP" test "$(value packets XDP_TX)" -gt 0
works "unload, in the middle of it" fastpath unload
wait "$pid" || fail "a download beside the fast path" "curl: $?"
equal "all of it" 1048576 "$(stat -c %s "$tmp/big")"
summary
