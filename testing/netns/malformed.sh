#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Malformed frames, 40 kinds of packets cut at every byte, and other link layers, to a host that has
# raw sockets and forwards: with rules that drop all of a protocol, nothing of it reaches a socket
# or the other side. What the kernel lets through without a firewall is the second opinion. The fast
# path forwards none of them, even with the addresses and ports of a flow that has a lease.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/fw.sh
. "$(dirname "$0")/../lib/fw.sh"
/usr/bin/python3 -c 'import scapy' 2>/dev/null || skip_all "no Scapy (Debian: python3-scapy)"

# --- client - host - server -----------------------------------------------------------------------

ns_add client
ns_add server
ip link add h0 address 02:00:00:00:00:01 type veth peer name c0 netns client
ip link add h1 address 02:00:00:00:00:03 type veth peer name s0 netns server
ns client ip link set c0 address 02:00:00:00:00:02
ns client tee /proc/sys/net/ipv6/conf/c0/disable_ipv6 >/dev/null <<<1 # no reports of its own
ns server ip link set s0 address 02:00:00:00:00:04
for file in /proc/sys/net/ipv6/conf/*/accept_dad; do
	echo 0 >"$file"
done
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
ip address add 192.0.2.1/24 dev h0
ip address add 2001:db8:1::1/64 dev h0 nodad
ip address add 198.51.100.1/24 dev h1
ip address add 2001:db8:2::1/64 dev h1 nodad
ip link set h0 up
ip link set h1 up
ns client ip link set c0 arp off up
ns server ip link set s0 arp off up
for net in 192.0.2 2001:db8:1:; do
	ip neighbour replace "$net:2" lladdr 02:00:00:00:00:02 dev h0 nud permanent 2>/dev/null ||
		ip neighbour replace "$net.2" lladdr 02:00:00:00:00:02 dev h0 nud permanent
done
ip neighbour replace 198.51.100.2 lladdr 02:00:00:00:00:04 dev h1 nud permanent
ip neighbour replace 2001:db8:2::2 lladdr 02:00:00:00:00:04 dev h1 nud permanent
HOST_NETNS=/proc/$$/ns/net
export HOST_NETNS

frames() { /usr/bin/python3 "$here/malformed.py" "$@"; }

# empty NAME TEXT: nothing is wrong
empty()
{
	if [[ $2 ]]; then
		fail "$1" "$(wc -l <<<"$2") times: $(head -n 3 <<<"$2" | paste -sd ';')"
	else
		pass "$1"
	fi
}

declare -A drop=(
	[tcp]='ip from any to any tcp drop
ip6 from any to any tcp drop'
	[udp]='ip from any to any udp drop
ip6 from any to any udp drop'
	[icmp]='ip from any to any icmp drop'
	[icmp6]='ip6 from any to any icmp6 drop')

frames send "$work/base"

# --- rules that drop all of a protocol ------------------------------------------------------------

for proto in tcp udp icmp icmp6; do
	echo "${drop[$proto]}" >"$work/rules"
	ecbpf-fw load --fused -m native -f "$work/rules" h0
	frames send "$work/now"
	empty "all $proto is dropped: nothing of it, and nothing malformed, reaches anything" \
		"$(frames judge "$work/base" "$work/now" "$proto")"
	ecbpf-fw unload
done

# --- the settings -------------------------------------------------------------------------------

# reasons REASON...: how often each was counted on h0
reasons()
{
	local reason

	for reason; do
		ecbpf-loader status -j h0 | jq -j --arg reason "$reason" \
			'"\(.[0].members[0].stages[0].reasons[$reason].packets // 0) "'
	done
}

links='link-llc link-pppoe link-mpls link-802-1ah link-e-tag link-vn-tag link-nsh link-macsec
	link-qinq link-other'
ecbpf-fw load --fused -m native --malformed pass h0
frames send "$work/now"
if (($(jq length "$work/now") > $(jq length "$work/base") / 2)); then
	pass "malformed=pass: they reach something"
else
	fail "malformed=pass: they reach something" "$(jq length "$work/now") do"
fi
# shellcheck disable=SC2086 # words; each goes to a socket and to the other side
check "other link layers are counted by kind" "4 4 4 2 2 2 2 2 2 6 " "$(reasons $links)"
passed() { ecbpf-loader status -j h0 | jq '.[0].members[0].stages[0].actions.XDP_PASS.packets'; }
before=$(passed)
frames links
check "and pass" $((before + 30)) "$(passed)"
ecbpf-fw set not-inspected=drop
before=$(passed)
frames links
check "or are dropped" "$before" "$(passed)"
ecbpf-fw unload
ecbpf-filter load --fused -m native h0
frames links
# shellcheck disable=SC2086 # words
check "the filter alone counts them, too" "4 4 4 2 2 2 2 2 2 6 " "$(reasons $links)"
ecbpf-filter set not-inspected=drop
before=$(passed)
frames links
check "or drops them" "$before" "$(passed)"
ecbpf-filter unload

# --- the fast path ------------------------------------------------------------------------------

# forwarded: packets that the fast path itself has sent on
forwarded()
{
	ecbpf-loader status -j h0 | jq '[.[0].members[].stages[] |
		select(.stage == "fastpath") | .reasons["fastpath-lease"].packets // 0] | add'
}

ecbpf-fastpath load --in h0 --out h1 --fused -m skb --flows 1000 2>/dev/null
ecbpf-fastpath set routed=on # there is no IPVS here
frames flow 50 0 >/dev/null
before=$(forwarded)
# of both families, but for the first ones and samples
works "50 packets of each of two flows: $before forwarded" test "$before" -gt 50
check "malformed ones of these flows: the kernel forwards them" 24 "$(frames flow 0 2)"
check "and the fast path does not" "$before" "$(forwarded)"
echo 'ip from any to any tcp dport 443 pass
ip6 from any to any tcp dport 443 pass' >"$work/rules"
ecbpf-fw load --fused -m skb --malformed drop -f "$work/rules" h0
reached=$(frames flow 50 2)
works "with fw, too, packets of these flows are forwarded" test "$(forwarded)" -gt "$before"
check "and of the malformed ones nothing reaches the server" 0 "$reached"
ecbpf-fw unload
ecbpf-fastpath unload
summary
