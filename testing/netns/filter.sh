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
require_cmd ecbpf-filter jq ip strace

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
tmp=$(mktemp)
defer rm -f "$tmp"
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

# --- standard input that is closed, as by a daemon that starts a script, is no empty list --------

ecbpf-filter drop add -q 198.51.100.66
ecbpf-filter vip add -q 203.0.113.66
for command in 'drop import --replace --allow-empty' 'vip add' 'allow import --allow-empty'; do
	for file in - /dev/stdin; do
		# shellcheck disable=SC2086
		ecbpf-filter $command -f $file <&- >"$tmp" 2>&1 && status=0 || status=$?
		equal "$command -f $file <&-" "1 1" "$status $(wc -l <"$tmp")"
	done
done
says "nothing was removed" 1 grep -c '^198.51.100.66' <(ecbpf-filter drop list)
ecbpf-filter drop delete -q 198.51.100.66
ecbpf-filter vip delete -q 203.0.113.66

# --- the action for fail2ban ----------------------------------------------------------------------

# bans NAME BANTIME IP: as fail2ban runs the lines of the manual, by sh
# shellcheck disable=SC2317 # called by eval
bans()
{
	local action

	action=$(sed -n '/^actionban = /,/^actionunban/p' "$top/man/ecbpf-filter.8.in" |
		sed '/^actionunban/d; s/^actionban = //; s/\\-/-/g; s/\\e/\\/g' |
		sed "s/\\\\(aq/'/g; s/<name>/$1/g; s/<bantime>/$2/g; s/<ip>/$3/g")
	sh -ec "$action" && ecbpf-filter drop list | grep "^$3 "
}
says "fail2ban: a ban that ends" 1 eval "bans sshd 600 198.51.100.71 | grep -c 'f2b-sshd  *20..-.*Z'"
says "fail2ban: a ban for good" "198.51.100.72 f2b-sshd -" \
	eval "bans sshd -1 198.51.100.72 | awk '{ print \$1, \$2, \$3 ~ /^20/ ? \"ends\" : \"-\" }'"
says "fail2ban: a long name" 1 \
	eval "bans nginx-http-auth-of-all-customers-together 600 198.51.100.73 | grep -c f2b-nginx-http"
says "fail2ban: a number" 1 eval "bans 22 600 198.51.100.74 | grep -c f2b-22"
ecbpf-filter drop flush -q

ip link add none0 type veth peer name none1
says "status --clear where the filter is not" 'false ["none0: no counters: the filter is not attached"]' \
	eval "ecbpf-filter status --clear -j none0 | jq -cr '\"\(.changed) \(.notes)\"'"

# --- fragments are answered if they are for an Ethernet address of this host --------------------

# send MAC [VLAN]: a first fragment for it, to eth0; $source and $dest are its addresses
send()
{
	/usr/bin/python3 - "${source-192.0.2.7}" "${dest-198.51.100.1}" "$@" <<-END
		import sys
		from scapy.all import IP, Dot1Q, Ether, Raw, sendp
		link = Ether(dst=sys.argv[3], src="02:00:00:00:00:99")
		for vlan in sys.argv[4:]:
		    link /= Dot1Q(vlan=int(vlan))
		sendp(link / IP(src=sys.argv[1], dst=sys.argv[2], flags="MF", proto=17) /
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
		answers "a macvlan that is down" "0 1" 00:00:5e:00:01:04
		ip link set vrrp4 up
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
		ip link set vlan5 up
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
		ip link set br0 up
		ecbpf-filter refresh -q
		answers "its bridge" "1 0" 02:00:00:00:00:06
	else
		skip "fragment for a bridge" "no bridge in this kernel"
	fi
	ip link set eth0 address 02:00:00:00:00:03
	ecbpf-filter refresh -q
	answers "the interface's old address" "0 1" 02:00:00:00:00:01
	answers "its new one" "1 0" 02:00:00:00:00:03

	ip address add 203.0.113.1/24 broadcast 203.0.113.255 dev eth0
	ecbpf-filter vip add -q 203.0.113.0/24
	dest=203.0.113.7 answers "an address of a network of VIPs" "1 0" 02:00:00:00:00:03
	dest=203.0.113.255 answers "its broadcast address" "0 1" 02:00:00:00:00:03
	source=203.0.113.255 answers "this host, from there" "0 1" 02:00:00:00:00:03
	ecbpf-filter vip flush -q

	ip link set eth0 nomaster
	ecbpf-filter refresh -q
	# a socket of a multicast group gets what comes in fragments, as OSPF may
	ecbpf-filter set -q frags=drop frags6=drop
	ip address add 2001:db8:1::1/64 dev eth0 nodad
	says "fragments to multicast groups" "1000 1000" /usr/bin/python3 - <<-'END'
		import socket, struct
		from scapy.all import IP, IPv6, IPv6ExtHdrFragment, Ether, Raw, sendp
		from scapy.layers.inet import UDP
		from scapy.layers.inet6 import fragment6
		index = socket.if_nametoindex("eth0")
		group4, group6 = "239.1.2.3", "ff0e::1:2"
		sock4 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		sock4.bind(("", 4000))
		sock4.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
		                 socket.inet_aton(group4) + struct.pack("=4si", bytes(4), index))
		sock6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
		sock6.bind(("", 4001))
		joined = socket.inet_pton(socket.AF_INET6, group6) + struct.pack("=I", index)
		sock6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, joined)
		source = "02:00:00:00:00:99"
		packet = Ether(dst="01:00:5e:01:02:03", src=source) / \
		    IP(src="203.0.113.9", dst=group4) / UDP(sport=1, dport=4000) / Raw(bytes(1000))
		sendp(packet.fragment(504), "eth1", verbose=False)
		packet = IPv6(src="2001:db8:1::9", dst=group6) / IPv6ExtHdrFragment(id=1) / \
		    UDP(sport=1, dport=4001) / Raw(bytes(1000))
		for part in fragment6(packet, 600):
		    sendp(Ether(dst="33:33:00:01:00:02", src=source) / part, "eth1", verbose=False)
		lengths = []
		for sock in sock4, sock6:
		    sock.settimeout(5)
		    try:
		        lengths.append(len(sock.recv(2000)))
		    except TimeoutError:
		        lengths.append("none")
		print(*lengths)
	END
	ecbpf-filter set -q frags=ptb frags6=pass

	# more addresses than filter_addrs holds: those of eth0 remain, and each change is possible
	for i in {1..100}; do
		echo "link add p$i type veth peer name q$i"
	done | ip -batch -
	/usr/bin/python3 - >"$tmp" <<-'END'
		for i in range(65436):
		    print(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}")
	END
	works "as many VIPs as leave room for some Ethernet addresses" \
		ecbpf-filter vip add -f "$tmp"
	works "one more" ecbpf-filter vip add 192.0.2.80
	works "refresh" ecbpf-filter refresh
	answers "the first interface, of too many" "1 0" 02:00:00:00:00:03
	works "one less" ecbpf-filter vip delete 192.0.2.80
	works "none" ecbpf-filter vip flush
else
	skip "fragments for Ethernet addresses" "no Scapy (Debian: python3-scapy)"
fi

# fail2ban COMMAND: of the manual's snippet, as the jail sshd bans and unbans 192.0.2.7
fail2ban()
{
	sh -c "$(awk -v key="$1" '/^action/ || /^\.EE/ { inside = $1 == key }
		inside { sub("^action[a-z]* = ", ""); print }' "$top/man/ecbpf-filter.8.in" |
		sed "s/\\\\-/-/g; s/\\\\e/\\\\/g; s/\\\\(aq/'/g" |
		sed 's/<name>/sshd/g; s/<bantime>/600/g; s/<ip>/192.0.2.7/g')" 2>&1
}

# listed: the tag of 192.0.2.7, and whether it expires
listed()
{
	ecbpf-filter drop list -j | jq -r '.[] | select(.prefix == "192.0.2.7") |
		"\(.tag) \(.expires != null)"'
}

# a permanent ban ends only where somebody is told
ends="ecbpf-filter: warning: the drop list: '192.0.2.7' had no expiry, and expires from now on"
ecbpf-filter drop add -q 192.0.2.7 -t blocklist
equal "fail2ban leaves a permanent ban alone" "" "$(fail2ban actionban)"
equal "it is as it was" "blocklist false" "$(listed)"
equal "and its unban does" "" "$(fail2ban actionunban)"
equal "it is listed" "blocklist false" "$(listed)"
equal "another add tells" "$ends" "$(ecbpf-filter drop add -q -t sshd -e 10m 192.0.2.7 2>&1)"
equal "it ends" "sshd true" "$(listed)"
equal "and once more there is nothing to tell" "" \
	"$(ecbpf-filter drop add -q -t sshd -e 9m 192.0.2.7 2>&1)"
equal "fail2ban takes over a ban that ends" "" "$(fail2ban actionban)"
equal "what fail2ban bans" "f2b-sshd true" "$(listed)"
fail2ban actionunban
equal "is what it unbans" "" "$(listed)"
equal "a file with both tells" "$ends" "$(printf '%s\n' 192.0.2.7 '192.0.2.7 - 2h' |
	ecbpf-filter drop import -q -f - 2>&1)"
ecbpf-filter drop flush -q

# an internal failure is no usage error, whatever the kernel or libbpf calls it
ecbpf-filter vip add 192.0.2.81 >/dev/null
calls=$(strace -e trace=bpf ecbpf-filter vip delete 192.0.2.81 2>&1 >/dev/null |
	grep -c 'BPF_OBJ_GET_INFO_BY_FD')
wrong=
for ((call = 1; call <= calls; call++)); do
	# of other commands of bpf(), too: what counts is the status
	strace -o /dev/null -e trace=bpf -e "inject=bpf:error=ENOMEM:when=$call" \
		ecbpf-filter vip add 192.0.2.81 >"$tmp" 2>&1 && status=0 || status=$?
	((status < 2)) || wrong+=" $call: $(head -n 1 "$tmp")"
done
equal "vip: bpf() fails, and that is no usage error" "" "$wrong"
ecbpf-filter vip flush >/dev/null
equal "no file descriptors: it is said" 1 "$( (ulimit -n 7 && ecbpf-loader unload -a eth0) 2>&1 |
	grep -c 'Too many open files')"
wrong=
ecbpf-filter unload >/dev/null 2>&1 || :
for ((files = 8; files < 20; files++)); do
	(ulimit -n $files && ecbpf-loader unload -a eth1) >"$tmp" 2>&1 || :
	! grep -q 'note of its programs' "$tmp" || wrong+=" $files"
done
equal "few file descriptors: no warning of a note that is not there" "" "$wrong"
summary
