#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# fw.sh [COUNT]: the firewall on an interface: rules, sets, counters; COUNT (default: 20) swaps
# below traffic, as many killed changes; both CPUs at full rate. In virtual machines, where programs
# can be chained, see testing/vm/tests/fw.sh.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/fw.sh
. "$(dirname "$0")/../lib/fw.sh"
require_cmd bpftool taskset

count=${1-20}
fw_begin
fw_basics native --fused
fw_swaps native "$count" --fused
fw_kill native "$count"
fw_two native

# --- both CPUs at full rate: packets of one rule on each ------------------------------------------

repeat=${ECBPF_FW_REPEAT-1000000}
printf '%s\n' 'ip from 192.0.2.0/25 to any udp drop' 'ip from 192.0.2.128/25 to any udp drop' \
	'ip from any to any udp pass' >"$work/c"
fw apply -f "$work/c"
id=$(ecbpf-loader status -j fw0 | jq '.[0].members[0].id')
for cpu in 0 1; do
	/usr/bin/python3 - "$cpu" >"$work/frame$cpu" <<-'END'
		import sys
		sys.stdout.buffer.write(bytes.fromhex(
		    "02000000000102000000000208004500001c00014000401100"
		    "00c00002" + ("01" if sys.argv[1] == "0" else "81") +
		    "c633640104d2003500080000") + bytes(18))
	END
	taskset -c "$cpu" bpftool prog run id "$id" data_in "$work/frame$cpu" repeat "$repeat" \
		>"$work/run$cpu" &
done
wait
check "both CPUs at full rate: every verdict" "$repeat $repeat 0" "$(counted packets)"

# --- limits for each source, so many of them that each has a group of buckets only ----------------

# 20 sources with one packet each: 16 have a bucket, and the others one together
/usr/bin/python3 - >"$work/limits" <<-'END'
	print("ip from any to any udp dport 53 limit 1/s burst 1 per src")
	print("ip from any to any udp dport 53 dry limit 1/s burst 1 per src")
	for port in range(1000, 8000):
	    print(f"ip from any to any udp dport {port} limit 1/s per src")
END
good "limits: 7,002 for each source" fw apply -f "$work/limits"
cat >"$work/sources" <<-'END'
	import socket, struct
	sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
	sock.bind(("fw1", 0))
	for i in range(20):
	    sock.send(bytes.fromhex("0200000000010200000000020800450000200001400040110000") +
	              struct.pack("!IIHHHH", 0xc0000200 + i, 0xc6336401, 1234, 53, 12, 0) + bytes(18))
END
ns fwpeer /usr/bin/python3 "$work/sources"
check "limits: packets, above, shared" "20 3 4 0 0 1" \
	"$(fw stats -j | jq -r '[.[:2][] | .packets, .above, .shared] | join(" ")')"

# --- sets that nobody looks up any more -----------------------------------------------------------

# what sets take of their pool
chunks() { bpftool -j map dump pinned /sys/fs/bpf/ecbpf/fw_set_pool | jq length; }

printf '%s\n' 'set one { 192.0.2.1 }' 'set two ip6 { 2001:db8::/32 }' 'ip from @one to any udp' \
	'ip6 from any to @two udp' >"$work/sets"
# more source prefixes than fit: what fails is behind the sets
/usr/bin/python3 - >"$work/unfit" <<-'END'
	import random
	random.seed(1)
	print("set three { 192.0.2.1 }\nip from @three to any udp")
	for _ in range(10200):
	    prefixes = (random.choices(range(1, 224), k=4) + [random.choice((16, 20, 24, 28, 32))]
	                for _ in range(8))
	    print("ip from {", ", ".join("%d.%d.%d.%d/%d" % (*prefix,) for prefix in prefixes),
	          "} to any udp")
END
fw_apply_timed "$work/sets"
once=$(chunks)
for _ in 1 2 3; do
	fw apply -f "$work/sets"
done
check "sets: applied again and again take no more" "$once" "$(chunks)"
bad "sets: rules that do not fit" 1 "too many different source prefixes" fw apply -f "$work/unfit"
check "sets: and leave nothing" "$once" "$(chunks)"
good "sets: one more" fw set create more
good "sets: is destroyed" fw set destroy more
check "sets: and freed" "$once" "$(chunks)"
{ cat "$work/sets"; echo 'ip from any to any icmp'; } >"$work/sets2"
killed=0
for ((i = 0; killed < count && i < 9 * count; i++)); do
	! fw_apply_killed "$work/sets$( ((i % 2)) && echo 2)" || killed=$((killed + 1))
done
check "sets: $count are killed" "$count" "$killed"
# what a killed one left goes with the next change
good "sets: and one that is not" fw apply -f "$work/sets2"
good "sets: and another" fw apply -f "$work/sets"
check "sets: nothing is left of them" "$once" "$(chunks)"
good "sets: and what is in them" fw set list two
check "sets: is there" 2001:db8::/32 "$(fw set list two)"
for ((i = 0; i < 33; i++)); do
	echo "set s$i { 192.0.2.$i }"
	((i == 32)) || echo "ip from @s$i to @s$i udp"
done >"$work/uses"
good "sets: as many as rules may look up" fw apply -f "$work/uses"
bad "sets: one more" 1 "too many different sets in rules (64" fw rule add 'ip from @s32 to any udp'
fw apply -f "$work/a"
check "sets: none is left" 0 "$(chunks)"

# a change of a set reads the rules that use sets: few, which the text has twice; many; and those of
# a text that has them once, as older versions write it
# shellcheck disable=SC2317 # called by good
text_is_older()
{
	local id value

	for id in $(bpftool -j map dump pinned /sys/fs/bpf/ecbpf/fw_text |
		jq -r '.[].value | "\(.[3])\(.[2][2:])\(.[1][2:])\(.[0][2:])"'); do
		read -ra value < <(bpftool -j map lookup id "$((id))" key 0 0 0 0 |
			jq -r '.value | join(" ")')
		((value[15] & 0x80)) || return 1
		value[15]=$((value[15] & 0x7f))
		bpftool map update id "$((id))" key 0 0 0 0 value "${value[@]}"
	done
}
for uses in 1 62 63 older; do
	{
		echo 'set used {}'
		echo 'ip from any to any tcp dport 53 name "a@b"'
		for ((i = 1; i <= ${uses/older/3}; i++)); do
			echo "ip from any to any udp dport $i"
			echo "ip from @used to any tcp dport $i"
		done
		echo 'ip from any to @used tcp'
	} >"$work/uses"
	fw apply --allow-empty -f "$work/uses"
	if [[ $uses == older ]]; then
		fw rule add 'ip from any to any udp' # the other slot has the second text, too
		good "sets, older text: it is one" text_is_older
	fi
	bad "sets, $uses rules that use one: it would block this host" 1 "127.0.0.1 is in" \
		fw set add used 127.0.0.1
	check "sets, $uses rules that use one: an address that none matches" \
		"ecbpf-fw: warning: set 'used': no rule matches its 1 IPv6 prefix: only rules of ip \
use the set" "$(fw set add used 192.0.2.1 2001:db8::1 2>&1 >/dev/null)"
	check "sets, $uses rules that use one: what is in it" "192.0.2.1 2001:db8::1" \
		"$(fw set list used | xargs)"
done
fw apply -f "$work/a"

/usr/bin/python3 - >"$work/prefixes" <<-'END'
	for i in range(1 << 20):
	    print(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}")
END
fw set create full
fw set replace full -f "$work/prefixes"
full="set 'full' would have 1048577 prefixes, 1048576 is the most"
bad "sets: one more than a set has" 1 "$full" fw set add full 192.0.2.1
sed -i '1s/.*/192.0.2.1/; 300,$d' "$work/prefixes"
bad "sets: likewise of many" 1 "$full" fw set add full -f "$work/prefixes"
good "sets: those that are there are fine" fw set add full 10.0.0.0 10.15.255.255
check "sets: and it is as it was" 1048576 "$(fw set list full | wc -l)"
fw set destroy full

# --- a load that fails, and whoever is in between -------------------------------------------------

fw unload
fw apply -f "$work/b"
b=$(fw rule list) lost=''
fw apply -f "$work/sets"
for i in 1 2 3 4 5; do
	fw load --fused -m native -f "$work/a" fw0 lo 2>/dev/null &
	sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
	fw apply -f "$work/b"
	! wait $! || lost+="$i: loaded; "
	[[ $(fw rule list 2>&1) == "$b" ]] || lost+="$i: $(fw rule list 2>&1); "
	fw apply -f "$work/sets"
done
check "load fails: what was applied meanwhile stays" "" "$lost"
bad "load fails: this one" 1 "lo: cannot attach" fw load --fused -m native -f "$work/a" fw0 lo
check "load fails: the rules are those from before" 2 "$(fw status -j | jq .rules)"
check "load fails: so are the sets" "$once 2001:db8::/32" "$(chunks) $(fw set list two)"

# --- text that is lost ----------------------------------------------------------------------------

for place in 0 1; do
	bpftool map delete pinned /sys/fs/bpf/ecbpf/fw_text key "$place" 0 0 0 2>/dev/null || :
done
bad "text lost: it is told" 1 "'ecbpf-loader apply' repairs it, or 'ecbpf-fw apply', which empties" \
	fw rule list
good "text lost: apply repairs it" fw apply -f "$work/b"
check "text lost: with its rules" "$b" "$(fw rule list)"
check "text lost: and without old sets" 0 "$(chunks)"
good "text lost: and goes on" fw apply -f "$work/a"

# --- malformed packets ----------------------------------------------------------------------------

# by Scapy: what is well-formed, UDP behind eight destination options headers, and is not: behind
# nine; payload length 0 before a hop-by-hop header; a piece of a TCP header; three VLAN tags
/usr/bin/python3 - "$here/../oracle" "$work" <<-'END'
	import sys
	sys.path.insert(0, sys.argv[1])
	from packets import (DESTINATION, ETHER, HOP_BY_HOP, IP, IP6, UDP_QUERY, Dot1Q, IPv6, Raw)
	from functools import reduce
	def behind(count):
	    return reduce(lambda packet, _: DESTINATION / packet, range(count), UDP_QUERY)
	for name, packet in {
	        "fw-drop": IP6 / behind(8),
	        "ip6-ext-limit": IP6 / behind(9),
	        "ip6-jumbogram": IPv6(src="2001:db8::1", plen=0) / HOP_BY_HOP / UDP_QUERY,
	        "tcp-truncated": IP(src="192.0.2.1", proto=6, flags="MF") / Raw(bytes(8)),
	        "vlan-tags": Dot1Q() / Dot1Q() / Dot1Q() / IP6 / UDP_QUERY}.items():
	    with open(f"{sys.argv[2]}/{name}", "wb") as file:
	        file.write(bytes(ETHER / packet))
END
# fates: of each of these packets, and how often its reason was counted. 1 is drop, 2 is pass
fates()
{
	local id reason

	id=$(ecbpf-loader status -j fw0 | jq '.[0].members[0].id')
	for reason in fw-drop ip6-ext-limit ip6-jumbogram tcp-truncated vlan-tags; do
		bpftool -j prog run id "$id" data_in "$work/$reason" | jq -j .retval
		ecbpf-loader status -j fw0 |
			jq -j --arg reason "$reason" '.[0].members[0].stages[0].reasons[$reason].packets'
		echo -n ' '
	done
}
echo 'ip6 from any to any proto any drop' >"$work/rules"
echo 'ip from any to any proto any drop' >>"$work/rules"
fw apply -f "$work/rules"
fw load --fused fw0
check "malformed: is dropped, each with its reason" "11 11 11 11 11 " "$(fates)"
good "malformed: set to pass" fw set malformed=pass
check "malformed: passes" "12 22 22 22 22 " "$(fates)"
check "malformed: told by status" "pass pass" \
	"$(fw status -j | jq -r '"\(.malformed) \(.not_inspected)"')"
check "malformed: and at the head of the list" "# malformed=pass not-inspected=pass" \
	"$(fw rule list | head -n 1)"
fw set malformed=drop
good "malformed: a rule lets one reason pass" fw rule add \
	'malformed {tcp-truncated, vlan-tags} pass name "old"'
check "malformed: that one, and no other" "13 13 13 23 23 " "$(fates)"
check "malformed: the rule counts" 2 "$(fw stats -j | jq '.[] | select(.name == "old").packets')"
fw rule replace old 'malformed tcp-truncated ip from 192.0.2.2 to any pass name "old"'
check "malformed: of another source it does not" "14 14 14 14 14 " "$(fates)"
fw rule replace old 'malformed tcp-truncated ip from 192.0.2.1 to any pass name "old"'
check "malformed: of its source it does" "15 15 15 25 15 " "$(fates)"
fw rule replace old 'malformed ip6-ext-limit ip6 from 2001:db8::1 to any pass name "old"'
check "malformed: of IPv6" "16 26 16 16 16 " "$(fates)"
bad "malformed: a setting that is none" 2 "malformed: 'maybe' is not drop or pass" \
	fw set malformed=maybe
bad "malformed: a load that fails" 1 "lo: cannot attach" \
	fw load --fused -m native --malformed pass --not-inspected drop lo
check "malformed: leaves the settings" "# malformed=drop not-inspected=pass" \
	"$(fw rule list | head -n 1)"
fw unload
fw load --fused --malformed pass fw0
check "malformed: load with a setting" "11 21 21 21 21 " "$(fates)"
fw apply --allow-empty -f /dev/null
fw set malformed=drop
check "malformed: dropped, too, by a file without rules" "21 12 12 12 12 " "$(fates)"
/usr/bin/python3 - "$work" <<-'END'
	import sys
	from scapy.all import wrpcap
	names = "fw-drop", "ip6-ext-limit", "ip6-jumbogram", "tcp-truncated", "vlan-tags"
	wrpcap(sys.argv[1] + "/fates.pcap", [open(f"{sys.argv[1]}/{name}", "rb").read() for name in names],
	       linktype=1)
END
check "malformed: so it is in test" "XDP_PASS XDP_DROP XDP_DROP XDP_DROP XDP_DROP" \
	"$(fw test -j -f /dev/null -r "$work/fates.pcap" | jq -r '.packets[].action' | xargs)"
fw unload

# --- live sets, and files without rules -----------------------------------------------------------

printf 'set banned ip live\nset other { 192.0.2.9 }\nip from @banned to any tcp drop\n' \
	>"$work/live"
good "live: a set that is missing" fw apply -f "$work/live"
check "live: is made empty" "" "$(fw set list banned)"
fw set add banned 198.51.100.0/24 203.0.113.5
check "live: which sets are" "banned true other false set live/banned yes/other no" \
	"$(fw set list -j | jq -r '.[] | .name, .live' | xargs) $(fw set list |
		awk '{ print $1, $NF }' | paste -sd /)"
check "live: apply again" "nothing to do" "$(fw apply -f "$work/live" 2>&1)"
check "live: and leaves it alone" "198.51.100.0/24 203.0.113.5" "$(fw set list banned | xargs)"
printf '[fw]\nrules = %s\n' "$work/live" >"$work/conf"
check "live: ecbpf.conf has nothing to do" "nothing to do" "$(ecbpf-loader apply "$work/conf")"
check "live: printed so" "set banned ip live" \
	"$(mkdir -p "$work/out" && ecbpf-loader export -d "$work/out" >/dev/null &&
		grep banned "$work/out/fw.rules" | head -n 1)"
sed -i 's/^set other.*/set other { 192.0.2.8 }/' "$work/live"
check "live: another set changes" "fw: set other: 1 added, 1 removed" \
	"$(ecbpf-loader apply --diff "$work/conf")"
check "live: it does not" "198.51.100.0/24 203.0.113.5" "$(fw set list banned | xargs)"
fw rule add 'ip from 192.0.2.77 to any udp drop'
check "live: still so after a rule was added" "2" "$(fw set list banned | wc -l)"
check "live: apply again, after that" "" "$(fw apply -q -f "$work/live" 2>&1)"
check "live: leaves it alone" "2" "$(fw set list banned | wc -l)"
fw set create none
check "negated: a rule is added, whose set is empty" \
	"ecbpf-fw: warning: '!@none' matches all addresses of ip and ip6: set 'none' has none of them" \
	"$(fw rule add -q 'inet from !@none tcp count' 2>&1)"
fw set add none 192.0.2.1
check "negated: has one family only" \
	"ecbpf-fw: warning: '!@none' matches all addresses of ip6: set 'none' has none of them" \
	"$(fw rule insert -q 1 'inet to !@none udp count' 2>&1)"
check "negated: has what the rule needs" "" "$(fw rule add -q 'ip from !@none udp count' 2>&1)"
fw apply -q -f "$work/live" 2>/dev/null
sed -i 's/banned ip live/banned ip6 live/; /tcp drop/d' "$work/live"
bad "live: of another family" 1 "set 'banned' is of ip and has addresses" \
	fw apply --allow-empty -f "$work/live"
check "live: nothing is changed" "2" "$(fw set list banned | wc -l)"
check "live: emptied by a file" \
	"ecbpf-fw: warning: all 2 prefixes of set 'banned' are deleted: the new rules have none in it" \
	"$(printf 'set banned { }\nip from any to any tcp pass\n' | fw apply -q -f - 2>&1 |
		grep banned)"
fw set add banned 198.51.100.1
check "live: not in a file" "ecbpf-fw: warning: the 1 prefix of set 'banned' is deleted: the new \
rules do not have the set" "$(echo 'ip from any to any tcp pass' | fw apply -q -f - 2>&1 | grep banned)"
bad "empty: a file without rules" 1 "it has no rules, and 1 is live: refused without --allow-empty" \
	fw apply -f /dev/null
check "empty: the rules are there" 1 "$(fw rule list | grep -c tcp)"
bad "empty: sets alone" 1 "it has no rules, and 1 is live" \
	bash -c 'echo "set s live" | ecbpf-fw apply -f -'
: >"$work/none"
printf '[fw]\nrules = %s\n' "$work/none" >"$work/conf"
bad "empty: in ecbpf.conf" 1 "conf:2: rules: $work/none is empty: without a file there are no rules" \
	ecbpf-loader apply "$work/conf"
bad "empty: in ecbpf.conf, checked" 1 "is empty" ecbpf-loader apply -c "$work/conf"
printf '[fw]\nrules =\n' >"$work/conf"
good "empty: declared so" ecbpf-loader apply "$work/conf"
check "empty: no rules" 0 "$(fw rule list | grep -c tcp)"
good "empty: sets alone, where no rules are" bash -c 'echo "set s live" | ecbpf-fw apply -f -'
fw apply --allow-empty -f /dev/null
bad "empty: nothing at all" 1 "it has neither rules nor sets" fw apply -f /dev/null
good "empty: allowed" fw apply --allow-empty -f /dev/null

# --- vlan, where tags do not come ----------------------------------------------------------------

# warned COMMAND...: the interfaces that it warns of, because rules test tags that they take off
warned() { "$@" 2>&1 | sed -n "s/.*warning: \([a-z0-9]*\): rules with 'vlan' do not.*/\1/p"; }

echo 'ip from any to any vlan 5 udp drop' >"$work/vlan"
ip link add fw2 type veth peer name fw3
check "vlan: no interface has the firewall" "" "$(warned fw check -f "$work/vlan")"
check "vlan: load" fw0 "$(warned fw load --fused -f "$work/vlan" fw0)"
check "vlan: load, of live rules" fw2 "$(warned fw load --fused fw2)"
check "vlan: check" "fw0 fw2" "$(warned fw check -f "$work/vlan" | xargs)"
check "vlan: apply" "fw0 fw2" "$(warned fw apply -f "$work/vlan" | xargs)"
check "vlan: rules without" "" "$(warned fw check -f "$work/a")"
check "vlan: another rule" "" "$(warned fw rule add 'ip from any to any tcp count')"
check "vlan: one more such rule" "fw0 fw2" \
	"$(warned fw rule add 'ip from any to any vlan !7 tcp count' | xargs)"
check "vlan: doctor" "warning fw0 ethtool -K fw0 rxvlan off;warning fw2 ethtool -K fw3 txvlan off" \
	"$(ecbpf-loader doctor -j | jq -r '.[] | select(.code == "fw-vlan") |
		"\(.severity) \(.interface) \(.fix)"' | sort | paste -sd ';')"
ethtool -K fw0 rxvlan off
check "vlan: tags stay on one of them" fw2 "$(warned fw apply -f "$work/vlan")"
ethtool -K fw3 txvlan off
check "vlan: on both" "" "$(warned fw apply -f "$work/vlan")"
check "vlan: doctor has nothing to say" "" \
	"$(ecbpf-loader doctor -j | jq -r '.[] | select(.code == "fw-vlan").interface')"
fw unload
ethtool -K fw0 rxvlan on
printf '[interfaces]\ningress = fw0\n[chain]\nfused = yes\nstages = fw\n[fw]\nrules = %s\n' \
	"$work/vlan" >"$work/conf"
check "vlan: ecbpf.conf" fw0 "$(warned ecbpf-loader apply -c "$work/conf")"
check "vlan: ecbpf.conf, applied" fw0 "$(warned ecbpf-loader apply "$work/conf")"
fw unload
fw apply --allow-empty -f /dev/null

# Of a veth the peer decides, and it alone: warned of or not, the rule behaves so
cat >"$work/tag.bpf.c" <<-'END'
	#include <linux/bpf.h>
	#include <bpf/bpf_endian.h>
	#include <bpf/bpf_helpers.h>

	SEC("tc")
	int tag(struct __sk_buff *skb)
	{
		if (skb->protocol == bpf_htons(0x0800))
			bpf_skb_vlan_push(skb, bpf_htons(0x8100), 5);
		return -1; /* TC_ACT_UNSPEC */
	}
END
clang --target=bpf -O2 -I"/usr/include/$(gcc -print-multiarch)" -c "$work/tag.bpf.c" \
	-o "$work/tag.bpf.o"
ip link set fw2 up
ip link set fw3 up
ip link set lo up
tc qdisc add dev fw3 clsact
tc filter add dev fw3 egress pref 1 protocol all \
	bpf direct-action object-file "$work/tag.bpf.o" section tc
echo 'ip from any to any udp count' >>"$work/vlan"
for mode in native skb; do
	for peer in on off; do
		ethtool -K fw3 txvlan "$peer"
		ethtool -K fw2 rxvlan "$([[ $peer == off ]] && echo on || echo off)"
		check "vlan: $mode mode, the peer's txvlan $peer: warned" \
			"$([[ $peer == off ]] || echo fw2)" \
			"$(warned fw load --fused -m "$mode" -f "$work/vlan" fw2)"
		"$here/fw_send.py" fw3 5 >/dev/null
		for ((i = 0; i < 200; i++)); do
			counted=$(counted packets)
			[[ $counted != *10* ]] || break
			sleep 0.1
		done
		check "vlan: $mode mode, the peer's txvlan $peer: dropped and not" \
			"$([[ $peer == off ]] && echo "10 0" || echo "0 10")" "$counted"
		fw unload
		fw apply --allow-empty -f /dev/null
	done
done

# --- the examples of the manual -----------------------------------------------------------------

fw apply --allow-empty -f /dev/null
cp "$work/a" "$work/rules"
cd "$work"
printf '\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\x60\0\0\0\x01\0\0\0' >minute.pcap # of nothing
while read -r example; do
	example=${example/eth0/fw0}
	good "example: $example" bash -c "${example/load/load --fused}"
done < <(sed -n '/^\.EX/,/^\.EE/s/^ecbpf-fw /&/p' "$here/../../man/ecbpf-fw.8.in")
fw unload
summary
