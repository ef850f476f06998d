#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
#
# Interfaces that not every kernel has, whose frames have no Ethernet header or which packets reach
# behind XDP: load refuses them, and the doctor finds what is attached there already. Other verbs
# and types: testing/netns/link-types.sh.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../chains.sh
. "$(dirname "$0")/../chains.sh"
modprobe -a ipip ip_gre sit vrf ipvlan
pair_add under0 under1
ip address add 192.0.2.1/24 dev under0
# as a version attached it that did not refuse to
bpftool prog load "$ECBPF_BUILD/root/lib/ecbpf/pass.bpf.o" /sys/fs/bpf/pass type xdp

# unfit IFACE LOAD DOCTOR: what both say
unfit()
{
	ip link set "$1" up
	refused "$1: load" 1 "$2" loader load -m skb "$1" pass
	bpftool net attach xdpgeneric pinned /sys/fs/bpf/pass dev "$1"
	loader doctor "$1" >"$tmp/doctor" || :
	works "$1: the doctor finds it" grep -qE "^error +$1 +$3" "$tmp/doctor"
	works "$1: unload" loader unload --all "$1"
	equal "$1: nothing is attached" "" "$(attached "$1")"
}

for kind in ipip gre sit; do
	ip link add "${kind}9" type "$kind" local 192.0.2.1 remote 192.0.2.2 dev under0
	unfit "${kind}9" "have no Ethernet header .*\(under0\)" \
		"its packets have no Ethernet header"
done
ip link add vrf9 type vrf table 9
ip link add link under0 ipvlan9 type ipvlan mode l3s
unfit vrf9 "XDP programs of a vrf do not" "XDP programs of a vrf do not see its packets"
unfit ipvlan9 "XDP programs of a ipvlan of mode l3s do not" \
	"XDP programs of a ipvlan of mode l3s do not see its packets"
ip link set ipvlan9 type ipvlan mode l2
works "ipvlan of mode l2: load" loader load -m skb ipvlan9 pass
summary
