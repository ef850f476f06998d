#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The fast path where packets leave with a VLAN tag: XDP writes the kernel's tag, if it is one of
# 802.1Q; flows with another one get no lease, and the kernel sends them.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"

fresh_bpffs "$@"
here=$(cd "$(dirname "$0")" && pwd -P)
use_build ip tc ecbpf-fastpath ecbpf-loader clang gcc jq /usr/bin/python3
tmp=$(mktemp -d)
defer rm -rf "$tmp"
flows=$tmp/flows
gcc -O2 -o "$flows" "$here/../vm/flows.c"
name=et$$
vpop=("$here/../vpop/vpop" --name "$name")
vip4=$("${vpop[@]}" vip4)
director=02:ec:bf:00:00:02

on() { "${vpop[@]}" exec "$@"; }
fastpath() { on director ecbpf-fastpath "$@"; }
value() { fastpath status -j | jq -r "$1"; }

defer "${vpop[@]}" down
"${vpop[@]}" up --no-ipvs
on director ip route replace default table 80 via 192.0.2.11
# XDP_TX to a veth arrives where the other end has an XDP program
on router ecbpf-loader load --fused pass director
on real1 ip route add blackhole 198.51.100.77 # what belongs to nothing is not answered

# In the place of a VLAN interface, which not every kernel has: all that goes to the server gets
# a tag
cat >"$tmp/tag.bpf.c" <<-'END'
	#include <linux/bpf.h>
	#include <bpf/bpf_endian.h>
	#include <bpf/bpf_helpers.h>

	SEC("tc")
	int tag(struct __sk_buff *skb)
	{
		if (skb->protocol == bpf_htons(0x0800) || skb->protocol == bpf_htons(0x86dd))
			bpf_skb_vlan_push(skb, bpf_htons(PROTO), 7);
		return -1; /* TC_ACT_UNSPEC */
	}
END
for proto in 0x8100 0x88a8; do
	clang --target=bpf -O2 -DPROTO="$proto" -I"/usr/include/$(gcc -print-multiarch)" \
		-c "$tmp/tag.bpf.c" -o "$tmp/tag.bpf.o"
	fastpath load --in eth0 --fused --flows 1000
	fastpath set routed=on # there is no IPVS here
	works "tag $proto: a program that tags" on director \
		tc filter add dev eth0 egress pref 1 protocol all \
		bpf direct-action object-file "$tmp/tag.bpf.o" section tc
	start "$tmp/ready" "${vpop[@]}" exec real1 "$here/../vm/ways.py" tags eth0 "$tmp/tags"
	capture=$started
	start "$tmp/sent" "${vpop[@]}" exec router "$flows" live director "$director" "$vip4" \
		10000 50 500
	sleep 1
	kill "$started"
	wait "$started"
	sleep 0.5
	kill "$capture"
	wait "$capture" || :
	sent=$((3 * 50 + $(tail -n 1 "$tmp/sent")))
	equal "tag $proto: all arrive, with this tag" "$sent $proto 7" "$(<"$tmp/tags")"
	said=$(value '"\(.egress.granted) \(.egress.tags > 50) \(.packets.XDP_TX > 50)"')
	if ((proto == 0x8100)); then
		equal "tag $proto: leases" '50 false true' "$said"
	else
		equal "tag $proto: no leases, counted" '0 true false' "$said"
	fi
	fastpath unload
	on director tc qdisc del dev eth0 clsact 2>/dev/null || :
done
summary
