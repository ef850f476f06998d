#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The tools put their stages into one ecbpf_fused and take them out again: order, counters and
# settings stay, and no packet passes without the stages that are there all the time.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
use_build ip ping jq ecbpf-loader ecbpf-filter ecbpf-fw ecbpf-fastpath ecbpf-sampler
tmp=$(mktemp -d)
defer rm -rf "$tmp"

# refused NAME REGEX COMMAND...: and changes nothing
refused()
{
	local out status=0 before

	before=$(attached s0)
	out=$("${@:3}" 2>&1) || status=$?
	if ((status == 1)) && grep -qE -- "$2" <<<"$out"; then
		equal "$1" "$before" "$(attached s0)"
	else
		fail "$1" "status $status, or not '$2': $out"
	fi
}

# attached IFACE: id of the program
attached() { ip -j link show "$1" | jq '.[0].xdp.prog.id'; }

# stages: on s0, in the order they run
stages()
{
	ecbpf-loader status -j s0 |
		jq -r '.[0].members |
			map("\(.name): " + (.stages | map(.stage) | join(" "))) | join("; ")'
}

# counted STAGE ACTION: packets of it
counted()
{
	ecbpf-loader status -j s0 | jq --arg stage "$1" --arg action "$2" \
		'[.[0].members[].stages[] | select(.stage == $stage) |
			.actions[$action].packets] | add'
}

# pings COUNT: that many packets to s0's address
pings() { ns peer ping -q -i 0.002 -c "$1" -W 1 192.0.2.1 >/dev/null; }

ns_add peer
ip link add s0 type veth peer name p0 netns peer
ip link add s1 type veth peer name p1 netns peer
for iface in s0 s1; do
	ip link set "$iface" up addrgenmode none
	ns peer ip link set "p${iface#s}" up addrgenmode none
done
ip address add 192.0.2.1/24 dev s0
ns peer ip address add 192.0.2.2/24 dev p0
ip neigh replace 192.0.2.2 dev s0 lladdr "$(ns peer ip -j link show p0 | jq -r '.[0].address')"
ns peer ip neigh replace 192.0.2.1 dev p0 lladdr "$(ip -j link show s0 | jq -r '.[0].address')"

# --- one after another --------------------------------------------------------------------------

echo 'ip from any to any udp drop' >"$tmp/rules"
works "sampler" ecbpf-sampler load --fused s0
works "fw joins" ecbpf-fw load -f "$tmp/rules" --fused s0
pings 50
equal "counted" "50 50" "$(counted fw XDP_PASS) $(counted sampler XDP_PASS)"
works "fastpath joins" ecbpf-fastpath load --fused -i s0 --flows 1000
refused "none in another mode" "native mode, not skb" ecbpf-filter load --fused -m skb s0
works "filter joins" ecbpf-filter load --fused s0
equal "in their order" "ecbpf_fused: filter fw fastpath sampler" "$(stages)"
pings 50
equal "counters are those of their stages" "50 100 50 100" "$(counted filter XDP_PASS) \
$(counted fw XDP_PASS) $(counted fastpath XDP_PASS) $(counted sampler XDP_PASS)"
refused "not twice" "loaded already" ecbpf-filter load --fused s0
refused "not chained beside it" "without a dispatcher" ecbpf-loader load s0 pass
refused "a typo is told before that" "no stage 'filtr'" ecbpf-loader load --fused filtr s0
refused "of a stage alone, too" "filtr: no such stage" ecbpf-loader load s0 pass filtr
refused "and of an object file" "/filtr.o: No such file" ecbpf-loader load s0 "$tmp/filtr.o"
refused "of a replacement, too" "no stage 'filtr'" ecbpf-loader replace --fused filtr s0 nothing
works "fw goes" ecbpf-fw unload s0
equal "the others stay" "ecbpf_fused: filter fastpath sampler" "$(stages)"
pings 50
equal "with their counters" "100 100 150" "$(counted filter XDP_PASS) \
$(counted fastpath XDP_PASS) $(counted sampler XDP_PASS)"
works "count joins" ecbpf-loader replace --fused filter,fastpath,count,sampler s0 fused
works "fw comes again" ecbpf-fw load --fused s0
equal "in its place" "ecbpf_fused: filter fw fastpath count sampler" "$(stages)"
pings 50
equal "and counts from zero" "150 50 150 50 200" "$(counted filter XDP_PASS) \
$(counted fw XDP_PASS) $(counted fastpath XDP_PASS) $(counted count XDP_PASS) \
$(counted sampler XDP_PASS)"
works "counters of one stage are cleared" ecbpf-filter status --clear s0
equal "of no other one" "0 50 150" "$(counted filter XDP_PASS) $(counted fw XDP_PASS) \
$(counted fastpath XDP_PASS)"

# --- several interfaces, all or nothing ----------------------------------------------------------

works "fw alone" ecbpf-fw load --fused s1
refused "one of two has it" "loaded there" ecbpf-fw load --fused s0 s1
works "fw leaves two" ecbpf-fw unload s0 s1
equal "nothing on one" null "$(attached s1)"
equal "others on the other" "ecbpf_fused: filter fastpath count sampler" "$(stages)"
for tool in filter sampler; do
	works "$tool goes" "ecbpf-$tool" unload s0
done
works "fastpath goes" ecbpf-fastpath unload
equal "left" "ecbpf_fused: count" "$(stages)"
ecbpf-loader unload --all s0

# --- as many as there can be ----------------------------------------------------------------------

ecbpf-loader load --fused pass,pass,pass,pass,pass,pass,pass,pass s0
refused "no ninth" "8 stages" ecbpf-filter load --fused s0
pings 50
ecbpf-loader replace --fused count,sampler s0 fused
pings 50
equal "others in their place: counters of their own" "50 50" \
	"$(counted count XDP_PASS) $(counted sampler XDP_PASS)"
ecbpf-loader unload --all s0

# --- settings stay --------------------------------------------------------------------------------

ecbpf-loader load --fused pass -S malformed_action=1 s0
ecbpf-filter load --fused s0
ecbpf-filter unload s0
ns peer python3 - <<-'END'
	import socket
	s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
	s.bind(("p0", 0))
	for _ in range(10):
	    s.send(b"\2" * 12 + b"\x08\0" + b"\x44" + bytes(59))
END
equal "malformed packets are still dropped" 10 "$(counted pass XDP_DROP)"
ecbpf-loader unload --all s0

# --- under traffic --------------------------------------------------------------------------------

# What fw drops all the time never comes through, what it passes always does
ecbpf-fw load -f "$tmp/rules" --fused s0
ns peer python3 - >"$tmp/sent" <<-'END' &
	import socket, time
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	end, n = time.monotonic() + 6, 0
	while time.monotonic() < end:
	    s.sendto(b"x", ("192.0.2.1", 9))
	    n += 1
	    time.sleep(0.0005)
	print(n)
END
storm=$!
before=$(awk '/^Udp:/ && $2 ~ /^[0-9]/ { print $2 + $3 }' /proc/net/snmp)
ns peer ping -q -i 0.002 -c 2000 -W 1 192.0.2.1 >"$tmp/ping" &
ping=$!
rounds=0
while kill -0 "$ping" 2>/dev/null; do
	ecbpf-filter load --fused s0
	ecbpf-fastpath load --fused -i s0 --flows 1000
	ecbpf-filter unload s0
	ecbpf-fastpath unload
	rounds=$((rounds + 1))
done
wait "$ping" || :
wait "$storm"
equal "$rounds times: not a ping is lost" "2000 packets transmitted, 2000 received" \
	"$(grep -o '.* received' "$tmp/ping")"
equal "nothing escapes the firewall" "$before" \
	"$(awk '/^Udp:/ && $2 ~ /^[0-9]/ { print $2 + $3 }' /proc/net/snmp)"
equal "all of it is counted" "$(<"$tmp/sent")" "$(counted fw XDP_DROP)"
summary
