#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# An interface whose frames have no Ethernet header: no verb loads a program there, what is
# attached there already can be unloaded, and the doctor finds it. Other types:
# testing/vm/tests/link-types.sh.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/fw.sh
. "$(dirname "$0")/../lib/fw.sh"
require_cmd bpftool

loader() { ecbpf-loader "$@"; }
attached() { ip -j link show "$1" | jq -r '.[0].xdp.prog.id // "none"'; }

ip tuntap add tun0 mode tun
ip link set tun0 up
ip tuntap add tap0 mode tap
ip link set tap0 up
echo 'ip from any to any udp drop' >"$work/rules"

# --- refused ------------------------------------------------------------------------------------

says='have no Ethernet header'
printf '%s\n' '[interfaces]' 'ingress = tun0' '[chain]' 'stages = pass' 'fused = yes' 'mode = skb' \
	>"$work/conf"
bad "loader load" 1 "$says" loader load -m skb --fused pass tun0
bad "fw load" 1 "$says" fw load -m skb --fused -f "$work/rules" tun0
bad "filter load" 1 "$says" ecbpf-filter load -m skb --fused tun0
bad "sampler load" 1 "$says" ecbpf-sampler load -m skb --fused tun0
bad "fastpath load" 1 "$says" ecbpf-fastpath load -m skb --fused --in tun0
bad "apply" 1 "$says" loader apply "$work/conf"
bad "apply --check" 1 "$says" loader apply -c "$work/conf"
check "nothing is attached" none "$(attached tun0)"
bad "with another that has one: neither" 1 "$says" loader load -m skb --fused pass tap0,tun0
check "with another that has one: it has nothing" none "$(attached tap0)"
for iface in tap0 lo; do
	good "$iface has an Ethernet header" loader load -m skb --fused pass "$iface"
	good "$iface: and is unloaded" loader unload --all "$iface"
done

# --- attached already: as an older version did ----------------------------------------------------

bpftool prog load "$ECBPF_BUILD/root/lib/ecbpf/pass.bpf.o" /sys/fs/bpf/pass type xdp
bpftool net attach xdpgeneric pinned /sys/fs/bpf/pass dev tun0
check "the doctor finds it" error "$(loader doctor -j tun0 2>/dev/null |
	jq -r '.[] | select(.code == "link-type") | .severity')"
bad "it is not replaced" 1 "$says" loader replace --fused pass tun0 ecbpf_pass
good "it is unloaded" loader unload --all tun0
check "and is gone" none "$(attached tun0)"
summary
