#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 1200
#
# Fragments: a Linux client takes our answers to them for true, learns the path MTU, and its
# transfers go on; chained, alone and fused, native and skb mode. And ecbpf-filter itself: what
# stays over a reload, local addresses, what is refused.
#
#	client eth0 ---- ra router rb ---- d0, this one, with the VIPs on lo
#	MTU 1500           1400 from rb on
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../chains.sh
. "$(dirname "$0")/../chains.sh"
require_cmd ethtool ecbpf-filter
fragmenting=$vm_dir/fragmenting
vip4=203.0.113.80 vip6=2001:db8:80::80

filter() { ecbpf-filter "$@"; }

ns_add client
ns_add router
ip -batch - <<END
link add d0 mtu 1400 type veth peer name rb mtu 1400 netns router
link set d0 up
address add 192.0.2.10/24 dev d0
address add 2001:db8:2::10/64 dev d0 nodad
address add $vip4/32 dev lo
address add $vip6/128 dev lo nodad
END
ip -n router -batch - <<END
link add ra type veth peer name eth0 netns client
link set ra up
link set rb up
address add 198.51.100.1/24 dev ra
address add 2001:db8:1::1/64 dev ra nodad
address add 192.0.2.1/24 dev rb
address add 2001:db8:2::1/64 dev rb nodad
route add $vip4/32 via 192.0.2.10
route add $vip6/128 via 2001:db8:2::10
END
ip -n client -batch - <<END
link set eth0 up
address add 198.51.100.2/24 dev eth0
address add 2001:db8:1::2/64 dev eth0 nodad
route add default via 198.51.100.1
route add default via 2001:db8:1::1
END
ip route add default via 192.0.2.1
ip route add default via 2001:db8:2::1
ns router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
	net.ipv4.conf.{all,ra,rb}.rp_filter=0
# as on a wire: whole packets with checksums. What XDP_TX sends through a veth pair stays in its
# queue until something else comes along, but for a program on the other end (veth_xdp_flush()).
ns client ethtool -K eth0 tx off tso off gso off >/dev/null
ethtool -K d0 tx off >/dev/null
ns router ip link set rb xdpdrv object "$(foreign foreign_pass)" section xdp

for vip in "$vip4" "$vip6"; do
	start "$tmp/server" "$fragmenting" server "$vip" 7000
	defer kill "$started"
done

# IPv6 routers do not fragment, but say that the packet is too big: here they would be who says it
ip -n router link set rb mtu 1500
ip link set d0 mtu 1500

# What a client has learned goes with the route that it has learned it for. A cache that was
# flushed is no help: now and then the kernel learns nothing for an address of before.
client_forget()
{
	ip -n client -batch - <<-END
	route del default via 198.51.100.1
	route add default via 198.51.100.1
	END
	ip -n client -6 -batch - <<-END
	route del default via 2001:db8:1::1
	route add default via 2001:db8:1::1
	END
}

# learned VIP: print the MTU that the client has learned, or nothing
learned() { ns client ip route get "$1" | sed -nE 's/.* mtu ([0-9]+).*/\1/p'; }

# count NAME: print a counter of status, summed over the interfaces
count() { filter status d0 | awk -v name="$1:" '$1 == name { n += $2 } END { print n + 0 }'; }


# scenario NAME: senders that are fragmented, over IPv4 by the router, over IPv6 by themselves
scenario()
{
	local before

	client_forget
	filter status --clear d0
	before=$(awk '$1 == "Ip6ReasmReqds" { print $2 }' /proc/net/snmp6)
	ip -n router link set rb mtu 1400
	equal "$1: TCP over IPv4 goes on" "done" \
		"$(ns client "$fragmenting" tcp "$vip4" 7000 30)"
	equal "$1: the client has learned what came through" 1396 "$(learned "$vip4")"
	client_forget
	equal "$1: UDP over IPv4 goes on" "done" \
		"$(ns client "$fragmenting" udp "$vip4" 7000 30)"
	equal "$1: the client has learned it again" 1396 "$(learned "$vip4")"
	ip -n router link set rb mtu 1500
	equal "$1: UDP over IPv6 goes on" "done" \
		"$(ns client "$fragmenting" udp "$vip6" 7000 30)"
	equal "$1: the client has learned it over IPv6" 1496 "$(learned "$vip6")"
	if (($(count ptb_sent_count) >= 3 && $(count ip_frag_drop_count) >= 3 &&
		$(count ip6_frag_drop_count) >= 2)); then
		pass "$1: counters"
	else
		fail "$1: counters" "$(filter status d0 | tr '\n' ' ')"
	fi
	equal "$1: no fragment got through" "$before" \
		"$(awk '$1 == "Ip6ReasmReqds" { print $2 }' /proc/net/snmp6)"
}

# --- settings before anything is loaded ---------------------------------------------------------

works "set before load" filter set frags=ptb frags6=ptb ptb-max-pps=100
works "vip add before load" filter vip add "$vip4" "$vip6"
refused "set: bad value" 2 "land: 'yes' is not off, count or drop" filter set frags=drop land=yes
refused "set: bad key" 2 "no setting 'fragments'" filter set fragments=drop
refused "vip add: no address" 2 "'vip4' is not an address" filter vip add vip4
refused "unload: not loaded" 1 "not loaded" filter unload d0
refused "load: no such interface" 1 "nosuch" filter load d0 nosuch

# --- all ways to run it -------------------------------------------------------------------------

for mode in native skb; do
	works "load alone, $mode" filter load -m "$mode" d0
	equal "alone, $mode: the member" "ecbpf_filter" "$(names d0)"
	scenario "alone, $mode"
	refused "load again, $mode" 1 "loaded already" filter load d0
	works "unload, $mode" filter unload d0

	works "load a foreign program, $mode" loader load -m "$mode" -P 5 d0 \
		"$(foreign foreign_pass)"
	works "load others, $mode" loader load d0 count
	works "load chained, $mode" filter load d0
	equal "chained, $mode: the members" "foreign_pass ecbpf_filter ecbpf_count" "$(names d0)"
	equal "chained, $mode: with libxdp's own dispatcher" "" \
		"$(loader doctor -v d0 | grep dispatcher-own || :)"
	scenario "chained, $mode"
	works "unload from the chain, $mode" filter unload
	equal "chained, $mode: the others stay" "foreign_pass ecbpf_count" "$(names d0)"
	works "unload the rest, $mode" loader unload -a d0

	works "load fused, $mode" filter load --fused -m "$mode" d0
	equal "fused, $mode: the member" "ecbpf_fused" "$(names d0)"
	scenario "fused, $mode"
	works "unload fused, $mode" filter unload d0
done

# --- without answers, the sender is stuck: the test can fail ------------------------------------

works "load to drop" filter load d0
works "set frags=drop" filter set frags=drop frags6=drop
client_forget
ip -n router link set rb mtu 1400
equal "frags=drop: stuck" stuck "$(ns client "$fragmenting" tcp "$vip4" 7000 3)"
equal "frags=drop: nothing learned" "" "$(learned "$vip4")"

# --- local addresses ----------------------------------------------------------------------------

works "vip delete" filter vip delete "$vip4"
equal "fragments to an address of this host pass" "done" \
	"$(ns client "$fragmenting" tcp "$vip4" 7000 30)"
ip -n router link set rb mtu 1500 # the answers to ping are as large as the questions
ip address add 203.0.113.81/32 dev lo
ip -n router route add 203.0.113.81/32 via 192.0.2.10
fragments_lost() { ns client ping -q -c 2 -i 0.2 -W 2 -s 3000 -M dont 203.0.113.81 >/dev/null; }
if fragments_lost; then
	fail "an address that the filter does not know yet" "its fragments passed"
else
	pass "an address that the filter does not know yet"
fi
works "refresh" filter refresh
expect "fragments to the new address pass" fragments_lost
ip address del 203.0.113.81/32 dev lo
ip route add local 203.0.113.0/24 dev lo
works "refresh, a local prefix" filter refresh
expect "fragments to an address in a local prefix pass" fragments_lost
works "vip add a prefix" filter vip add 203.0.113.64/26
if fragments_lost; then
	fail "an address in a prefix of VIPs" "its fragments passed"
else
	pass "an address in a prefix of VIPs"
fi
equal "vip list" "203.0.113.64/26 2001:db8:80::80" "$(filter vip list | xargs)"

# --- what stays ---------------------------------------------------------------------------------

before=$(filter status -j d0 | jq -cS 'del(.interfaces)')
works "reload" filter unload
works "load after unload" filter load d0
equal "settings and VIPs are as they were" "$before" \
	"$(filter status -j d0 | jq -cS 'del(.interfaces)')"
works "status --clear" filter status --clear
equal "counters are clear" 0 "$(count ip_frag_drop_count)"

# --- chained here, fused there ------------------------------------------------------------------

ip link add mix0 type veth peer name mix1
defer ip link del mix0
refused "unload: not loaded on one of two" 1 "mix0: the filter is not loaded" filter unload d0 mix0
equal "and stays on the other" "ecbpf_filter" "$(names d0)"
works "load fused beside" filter load --fused mix0
works "unload both" filter unload d0 mix0
equal "unload both: nothing is left" "" "$(names d0 2>/dev/null)$(names mix0 2>/dev/null)"
summary
