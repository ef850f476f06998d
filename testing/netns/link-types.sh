#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Interfaces whose frames have no Ethernet header, or which packets reach behind XDP: no verb loads
# a program there, what is attached there already can be unloaded, and the doctor finds it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/fw.sh
. "$(dirname "$0")/../lib/fw.sh"

loader() { ecbpf-loader "$@"; }
attached() { ip -j link show "$1" | jq -r '.[0].xdp.prog.id // "none"'; }

ip tuntap add tun0 mode tun
ip link set tun0 up
ip tuntap add tap0 mode tap
ip link set tap0 up
ip link add under0 type veth peer name under1
ip link set under0 up
ip address add 192.0.2.1/24 dev under0
kinds='tun0'
for kind in ipip gre sit; do
	local_=(local 192.0.2.1 remote 192.0.2.2 dev under0)
	if ip link add "${kind}9" type "$kind" "${local_[@]}" 2>/dev/null; then
		ip link set "${kind}9" up
		kinds+=" ${kind}9"
	else
		skip "$kind" "this kernel does not have it"
	fi
done
echo 'ip from any to any udp drop' >"$work/rules"

# --- refused ------------------------------------------------------------------------------------

says='have no Ethernet header'
for iface in $kinds; do
	bad "$iface: loader load" 1 "$says" loader load -m skb --fused pass "$iface"
	bad "$iface: fw load" 1 "$says" fw load -m skb --fused -f "$work/rules" "$iface"
	bad "$iface: filter load" 1 "$says" ecbpf-filter load -m skb --fused "$iface"
	bad "$iface: sampler load" 1 "$says" ecbpf-sampler load -m skb --fused "$iface"
	bad "$iface: fastpath load" 1 "$says" ecbpf-fastpath load -m skb --fused --in "$iface"
	printf '[interfaces]\ningress = %s\n[chain]\nstages = pass\nfused = yes\nmode = skb\n' "$iface" \
		>"$work/conf"
	bad "$iface: apply" 1 "$says" loader apply "$work/conf"
	bad "$iface: apply --check" 1 "$says" loader apply -c "$work/conf"
	[[ $iface == tun0 ]] ||
		bad "$iface: the interface below is named" 1 "(under0)" loader load -m skb --fused pass "$iface"
	check "$iface: nothing is attached" none "$(attached "$iface")"
done
bad "with another that has one: neither" 1 "$says" loader load -m skb --fused pass tap0,tun0
check "with another that has one: it has nothing" none "$(attached tap0)"
for iface in tap0 lo; do
	good "$iface has an Ethernet header" loader load -m skb --fused pass "$iface"
	good "$iface: and is unloaded" loader unload --all "$iface"
done

# --- packets reach them behind XDP ----------------------------------------------------------------

# unseen IFACE KIND
unseen()
{
	local says="XDP programs of a $2 do not see its packets"

	bad "$2: fw load" 1 "$says" fw load -m skb --fused -f "$work/rules" "$1"
	sed "s/^ingress = .*/ingress = $1/" -i "$work/conf"
	bad "$2: apply" 1 "$says" loader apply "$work/conf"
	check "$2: nothing is attached" none "$(attached "$1")"
	good "$2: another has a program" loader load -m skb --fused pass tap0
	bpftool net attach xdpgeneric id "$(attached tap0)" dev "$1"
	check "$2: the doctor finds it" "error" "$(loader doctor -j "$1" 2>/dev/null |
		jq -r '.[] | select(.code == "link-type") | .severity')"
	good "$2: it is unloaded" loader unload --all "$1,tap0"
}

if ip link add vrf9 type vrf table 9 2>/dev/null; then
	unseen vrf9 vrf
else
	skip vrf "this kernel does not have it"
fi
if ip link add link under0 ipvlan9 type ipvlan mode l3s 2>/dev/null; then
	unseen ipvlan9 "ipvlan of mode l3s"
	ip link set ipvlan9 type ipvlan mode l2
	good "ipvlan of mode l2: load" loader load -m skb --fused pass ipvlan9
	loader unload --all ipvlan9
else
	skip ipvlan "this kernel does not have it"
fi

# --- attached already: as an older version did ----------------------------------------------------

good "attached by hand" loader load -m skb --fused pass,count tap0
id=$(attached tap0)
bpftool net attach xdpgeneric id "$id" dev tun0
check "the doctor finds it" "error" \
	"$(loader doctor -j tun0 2>/dev/null | jq -r '.[] | select(.code == "link-type") | .severity')"
bad "it is not replaced" 1 "$says" loader replace --fused pass tun0 ecbpf_fused
good "it is unloaded" loader unload --all tun0
check "and is gone" none "$(attached tun0)"
summary
