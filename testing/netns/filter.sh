#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# ecbpf-filter where nothing can be chained: the examples of its man page, one by one.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
top=$(cd "$(dirname "$0")/../.." && pwd -P)
PATH=${ECBPF_BUILD:-$top/build/test}/root/sbin:$PATH
require_cmd ecbpf-filter jq ip

# examples: the commands of all marked examples of the page, one a line
examples()
{
	awk '$0 == ".\\\" example: shell" { marked = 1 }
		$0 == ".EE" { marked = inside = 0 }
		inside && /^# / { print substr($0, 3) }
		marked && $0 == ".EX" { inside = 1 }' "$top/man/ecbpf-filter.8.in" |
		sed "s/\\\\(aq/'/g; s/\\\\-/-/g"
}

# says NAME WANT COMMAND...
says()
{
	local got

	got=$("${@:3}" 2>&1) || got+=" (status $?)"
	if [[ $got == "$2" ]]; then
		pass "$1"
	else
		fail "$1" "wanted '$2', got '$got'"
	fi
}

# shellcheck disable=SC2317 # called by says
ecbpf_status() { ecbpf-filter status -j | jq -r "$1"; }

ip link add eth0 type veth peer name eth1
ip link set eth0 up
ip link set eth1 up
number=0
while read -r command; do
	number=$((number + 1))
	if out=$(bash -o pipefail -ec "$command" 2>&1 </dev/null); then
		pass "example: $command"
	else
		fail "example: $command" "$out"
	fi
	case $command in
	*"vip list") says "what it prints" "203.0.113.80
2001:db8:80::80" echo "$out" ;;
	*jq*) says "what jq prints" 0 echo "$out" ;;
	esac
done < <(examples)
((number >= 10)) || fail "examples" "$number found"

# shellcheck disable=SC2016 # for jq
says "status of an interface that is not there prints nothing else" \
	"ecbpf-filter: nosuch: no such interface (status 1)" ecbpf-filter status nosuch
says "settings are those of the last example" "drop count 100" ecbpf_status \
	'"\(.config.checks.land) \(.config.checks["udp-length"]) \(.config.ptb_max_pps)"'

# --- fragments are answered if they are for an Ethernet address of this host --------------------

# send MAC [VLAN]: a first fragment for it, to eth0
send()
{
	/usr/bin/python3 - "$@" <<-END
		import sys
		from scapy.all import IP, Dot1Q, Ether, Raw, sendp
		link = Ether(dst=sys.argv[1], src="02:00:00:00:00:99")
		for vlan in sys.argv[2:]:
		    link /= Dot1Q(vlan=int(vlan))
		sendp(link / IP(src="192.0.2.7", dst="198.51.100.1", flags="MF", proto=17) /
		      Raw(bytes(800)), "eth1", verbose=False)
	END
}

# answers NAME WANT MAC [VLAN]: answered and unanswered ones
answers()
{
	local name=$1 want=$2 got

	shift 2
	ecbpf-filter status --clear eth0 >/dev/null
	send "$@"
	# shellcheck disable=SC2016 # for jq
	got=$(ecbpf-filter status -j eth0 |
		jq -r '.interfaces[0] | "\(.ptb_sent_count) \(.ptb_err_count)"')
	says "fragment for $name" "$want" echo "$got"
}

if /usr/bin/python3 -c 'import scapy' 2>/dev/null; then
	ip link set eth0 promisc on
	ip link set eth0 address 02:00:00:00:00:01
	ecbpf-filter load -q --fused -m native eth0
	ecbpf-filter set -q frags=ptb checks=off ptb-max-pps=1000000 ptb-per-source-pps=1000000
	answers "the interface" "1 0" 02:00:00:00:00:01
	answers "another host" "0 1" 02:00:00:00:00:02
	answers "another interface of this host" "0 1" "$(cat /sys/class/net/eth1/address)"
	# not all kernels have all kinds
	if ip link add link eth0 name vrrp4 address 00:00:5e:00:01:04 type macvlan 2>/dev/null
	then
		answers "a macvlan, not known yet" "0 1" 00:00:5e:00:01:04
		ecbpf-filter refresh -q
		answers "a macvlan" "1 0" 00:00:5e:00:01:04
		ip link delete vrrp4
		ecbpf-filter refresh -q
		answers "a macvlan that is gone" "0 1" 00:00:5e:00:01:04
	else
		skip "fragment for a macvlan" "no macvlan in this kernel"
	fi
	if ip link add link eth0 name vlan5 address 02:00:00:00:00:05 type vlan id 5 2>/dev/null
	then
		ecbpf-filter refresh -q
		answers "a VLAN" "1 0" 02:00:00:00:00:05 5
		ip link delete vlan5
	else
		skip "fragment for a VLAN" "no VLANs in this kernel"
	fi
	if ip link add br0 address 02:00:00:00:00:06 type bridge 2>/dev/null
	then
		ecbpf-filter refresh -q
		answers "a bridge that it is no port of" "0 1" 02:00:00:00:00:06
		ip link set eth0 master br0
		ecbpf-filter refresh -q
		answers "its bridge" "1 0" 02:00:00:00:00:06
	else
		skip "fragment for a bridge" "no bridge in this kernel"
	fi
	ip link set eth0 address 02:00:00:00:00:03
	ecbpf-filter refresh -q
	answers "the interface's old address" "0 1" 02:00:00:00:00:01
	answers "its new one" "1 0" 02:00:00:00:00:03
else
	skip "fragments for Ethernet addresses" "no Scapy (Debian: python3-scapy)"
fi
summary
