# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# For the tests of the live firewall, natively and in virtual machines, after lib.sh: what must hold
# whichever way it is loaded.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
use_build ip jq python3 ethtool ecbpf-fw ecbpf-loader
work=$(mktemp -d)
defer rm -rf "$work"

fw() { ecbpf-fw "$@"; }

# fw_pair: a veth pair fw0, fw1 with addresses, one end in the new namespace "peer"
fw_pair()
{
	ns_add peer
	ip link add fw0 type veth peer name fw1 netns peer
	ip address add 192.0.2.1/24 dev fw0
	ip address add 2001:db8::1/64 dev fw0 nodad
	ns peer ip address add 192.0.2.2/24 dev fw1
	ns peer ip address add 2001:db8::2/64 dev fw1 nodad
	ip link set fw0 up
	ns peer ip link set fw1 up
}

check() { equal "$@"; }

# good NAME COMMAND...; bad NAME STATUS TEXT COMMAND...: fails so, and says so
good()
{
	local out status=0

	out=$("${@:2}" 2>&1) || status=$?
	if ((status)); then
		fail "$1" "status $status, $out"
	else
		pass "$1"
	fi
}

bad()
{
	local out status=0

	out=$("${@:4}" 2>&1) || status=$?
	if [[ $status == "$2" && $out == *"$3"* ]]; then
		pass "$1"
	else
		fail "$1" "wanted status $2 and '$3', got $status and '$out'"
	fi
}

# counted FIELD: of all rules, in order
counted() { fw stats -j | jq -r "[.[].$1 | tostring] | join(\" \")"; }

# verdicts ACTION: what the firewall's program on fw0 gave so often
verdicts()
{
	ecbpf-loader status -j fw0 |
		jq "[.[0].members[].stages[] | select(.stage == \"fw\") | .actions.$1.packets // 0] | add"
}

send() { ns fwpeer "$here/fw_send.py" fw1 "$@"; }

rules_a='ip from any to any udp dport 53 drop name "dns"
ip from any to any udp drop name "rest"
ip from 203.0.113.0/24 to any tcp drop'
rules_b='ip from any to any tcp pass
ip from any to any udp dport {1-1000} drop name "dns"
ip6 from any to any udp drop'

fw_begin()
{
	ns_add fwpeer
	ip link add fw0 type veth peer name fw1 netns fwpeer
	echo 1 >/proc/sys/net/ipv6/conf/fw0/disable_ipv6
	ns fwpeer bash -c 'echo 1 >/proc/sys/net/ipv6/conf/fw1/disable_ipv6'
	ip link set fw0 arp off up
	ns fwpeer ip link set fw1 arp off up
	printf '%s\n' "$rules_a" >"$work/a"
	printf '%s\n' "$rules_b" >"$work/b"
}

# fw_basics HOW LOAD-OPTION...: loading, rules, sets, counters
fw_basics()
{
	local how=$1 before

	shift
	bad "$how: not loaded yet" 1 "never loaded" fw apply -f "$work/a"
	bad "$how: no such interface leaves nothing" 1 "no such interface" \
		fw load "$@" -f "$work/a" nosuch0
	good "$how: load" fw load "$@" -f "$work/a" fw0
	bad "$how: not twice" 1 "loaded there already" fw load "$@" fw0
	check "$how: status" '["fw0"] 3' "$(fw status -j | jq -c '.interfaces, .rules' | paste -sd ' ')"
	send 1000 >/dev/null
	check "$how: counted by rule" "1000 1000 0" "$(counted packets)"
	check "$how: dropped" 2000 "$(verdicts XDP_DROP)"
	good "$how: add a rule" fw rule add 'ip from any to any udp count'
	bad "$how: a rule with a set that is not there" 1 "there is no set 'good'" \
		fw rule insert 1 'ip from @good to any udp pass'
	good "$how: make a set" fw set create good
	good "$how: insert a rule with a set" fw rule insert 1 \
		'ip from @good to any udp dport 80 pass name "good"'
	send 500 >/dev/null
	check "$how: counters went on" "0 1500 1500 0 0" "$(counted packets)"
	good "$how: add to the set" fw set add good 192.0.2.1 198.51.100.0/24
	check "$how: list the set" "192.0.2.1 198.51.100.0/24" \
		"$(fw set list good | paste -sd ' ')"
	check "$how: list all sets" "set family prefixes rules live/good ip, ip6 2 1 no" \
		"$(fw set list | tr -s ' ' | paste -sd /)"
	send 500 >/dev/null
	check "$how: the set counts" "500 2000 1500 0 0" "$(counted packets)"
	good "$how: delete from the set" fw set delete good 192.0.2.1
	bad "$how: a set in use stays" 1 "rule 1 uses set 'good'" fw set destroy good
	fw rule list >"$work/list"
	good "$how: what list prints is applied" fw apply -f "$work/list"
	check "$how: and changes nothing" "$(cat "$work/list")" "$(fw rule list)"
	check "$how: with its counters" "500 2000 1500 0 0" "$(counted packets)"
	bad "$how: a bad rule" 1 "rule:1:30: sport: '70000'" \
		fw rule add 'ip from any to any udp sport 70000'
	before=$(counted packets)
	good "$how: delete a rule by name" fw rule delete good
	check "$how: the others' counters stay" "${before#* }" "$(counted packets)"
	good "$how: clear the counters" fw stats --clear
	check "$how: they are clear" "0 0 0 0" "$(counted packets)"
	good "$how: a limit" fw rule insert 1 'ip from any to any udp dport 80 limit 1pps burst 10'
	send 100 >/dev/null
	check "$how: the limit counts all" 100 "$(fw stats -j | jq '.[0].packets')"
	# the burst, and what a second or two bring
	check "$how: and drops above" true \
		"$(fw stats -j | jq '.[0].above >= 85 and .[0].above <= 90')"
	good "$how: unload" fw unload fw0
	bad "$how: only once" 1 "not loaded" fw unload fw0
	check "$how: the rules stay" 5 "$(fw status -j | jq .rules)"
	good "$how: forget them" ecbpf-loader clean --all
}

# fw_swaps HOW COUNT LOAD-OPTION...: rules change below traffic that both drop
fw_swaps()
{
	local how=$1 count=$2 fell='' last=0 now sender i

	shift 2
	good "$how: load" fw load "$@" -f "$work/a" fw0
	send 0 "$work/stop" >"$work/sent" &
	sender=$!
	for ((i = 0; i < count; i++)); do
		fw apply -f "$work/$( ((i % 2)) && echo a || echo b)"
		now=$(fw stats -j | jq '.[] | select(.name == "dns") | .packets')
		((now >= last)) || fell+="$last to $now; "
		last=$now
	done
	touch "$work/stop"
	wait "$sender"
	rm "$work/stop"
	check "$how: $count swaps: the counter of a rule never fell" "" "$fell"
	check "$how: $count swaps: all were dropped" "$((2 * $(<"$work/sent")))" \
		"$(verdicts XDP_DROP)"
	check "$how: $count swaps: none escaped" 0 "$(verdicts XDP_PASS)"
}

# fw_apply_timed FILE: set took to the microseconds that it takes
fw_apply_timed()
{
	local start=${EPOCHREALTIME/./}

	fw apply -f "$1"
	took=$((${EPOCHREALTIME/./} - start))
}

# fw_apply_killed FILE: at any instant of the time that it takes. Return: it was not faster
fw_apply_killed()
{
	local delay=$((took * RANDOM / 32768)) status=0

	printf -v delay '%d.%06d' $((delay / 1000000)) $((delay % 1000000))
	{ timeout -s KILL "$delay" ecbpf-fw apply -f "$1" || status=$?; } >/dev/null 2>&1
	((status == 137))
}

# fw_kill HOW COUNT: of the loaded firewall, `apply` is killed
fw_kill()
{
	local how=$1 count=$2 a b now i killed=0 lost=''

	fw apply -f "$work/a" && a=$(fw rule list)
	fw_apply_timed "$work/b" && b=$(fw rule list)
	for ((i = 1; killed < count && i <= 3 * count; i++)); do
		! fw_apply_killed "$work/$( ((i % 2)) && echo a || echo b)" || killed=$((killed + 1))
		now=$(fw rule list)
		[[ $now == "$a" || $now == "$b" ]] || lost+="$i: $now; "
	done
	check "$how: killed $count times: the old rules or the new ones" "$count" "$killed$lost"
	good "$how: and can be changed" fw apply -f "$work/a"
}

# fw_two HOW: two at once
fw_two()
{
	local one two status=0 i

	for i in 1 2 3 4 5; do
		fw rule add "ip from 10.1.0.$i to any tcp name \"one $i\"" &
		one=$!
		fw rule add "ip from 10.2.0.$i to any tcp name \"two $i\"" &
		two=$!
		wait "$one" || status=1
		wait "$two" || status=1
	done
	check "$1: two at once" "0 10" "$status $(fw rule list | grep -cE 'name "(one|two) ')"
}
