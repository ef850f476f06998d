#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 2400
#
# ecbpf-loader apply: nothing to do the second time; each change, under traffic,
# touches only what it names; a failure leaves all as it was; killed at random instants and run
# again it converges. ECBPF_KILLS: how often it is killed (default: 2; 50 is the long version);
# ECBPF_SEED repeats a run's choice.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../chains.sh
. "$(dirname "$0")/../chains.sh"
pair_add veth0 veth1
pair_add veth2 veth3
pair_add jumbo0 jumbo1 9000
ip link add out0 type veth peer name out1
drop=$(foreign foreign_drop)
conf=$tmp/ecbpf.conf
RANDOM=${ECBPF_SEED:=$RANDOM}
echo "ECBPF_SEED=$ECBPF_SEED"

printf '198.51.100.0/24 scan\n2001:db8:1::/48\n' >"$tmp/drop"
printf '198.51.100.7\n' >"$tmp/allow"
printf 'set peers { 10.9.0.0/16 }\nip from @peers to any tcp dport 22 drop name "ssh"\n' >"$tmp/rules"
cat >"$conf" <<-END
	[interfaces]
	ingress = veth0 veth2
	egress = out0
	[chain]
	stages = filter,fw,fastpath,count,sampler
	[stage count]
	malformed_action = XDP_PASS
	[program probe]
	file = $(foreign foreign_pass)
	prio = 60
	[filter]
	frags = pass
	vip = 203.0.113.80
	drop = $tmp/drop
	allow = $tmp/allow
	[fw]
	rules = $tmp/rules
	[fastpath]
	flows = 2000
	lease = 501
	exclude = 10.0.0.0/8
	[sampler]
	rate = 1000
END

# says NAME WANT ARG...: what apply prints, lines in order
says()
{
	equal "$1" "$2" "$(loader apply "${@:3}" 2>&1 | sort)"
}

# members IFACE: "NAME=ID" each
members() { rows "$1" | awk '{ print $2 "=" $3 }' | sort; }

# maps: IDs of those that are pinned
maps()
{
	local map

	for map in /sys/fs/bpf/ecbpf/*; do
		[[ ! -f $map ]] || bpftool map show pinned "$map" | sed -n "1s|:.*| ${map##*/}|p"
	done
}

# state: all of it as a configuration, with lists and rules
state()
{
	mkdir -p "$tmp/state"
	rm -f "$tmp"/state/*
	loader export -d "$tmp/state"
	cat "$tmp"/state/*
}

# changed BEFORE AFTER: names of members that are not in both, each once
changed()
{
	comm -3 <(echo "$1") <(echo "$2") | sed 's/=.*//; s/\t//' | sort -u | paste -sd ' '
}

# change NAME SED WANT-CHANGED WANT-LINES: lines of the file, under traffic
change()
{
	local before after status=0 out packets escaped maps_before

	sed -i "$2" "$conf"
	before=$(members veth0)
	maps_before=$(maps)
	receiver_start veth0
	sender_start veth1 192
	out=$(loader apply --diff "$conf" 2>&1) || status=$?
	sender_stop >"$tmp/packets"
	read -r packets _ <"$tmp/packets"
	escaped=$(receiver_stop)
	after=$(members veth0)
	equal "$1: succeeds, and says" "0 $4" "$status $(sort <<<"$out")"
	equal "$1: touches" "$3" "$(changed "$before" "$after")"
	equal "$1: and no map" "$maps_before" "$(maps)"
	equal "$1: none of $packets packets escapes" "0 0 0 0" "$escaped"
	total=$((total + packets))
}

# --- what there is to do, done, and not done again ----------------------------------------------

sed 's/^ingress = .*/& jumbo0/' "$conf" >"$tmp/jumbo.conf"
refused "the first of all, and an interface that takes no such chain" 1 jumbo0 \
	loader apply "$tmp/jumbo.conf"
works "a program of somebody else" loader load -P 95 veth0 "$drop"
first=$(members veth0)
before=$(snapshot)
works "check" loader apply -c "$conf"
equal "check changes nothing" "$before" "$(snapshot)"
works "apply" loader apply "$conf"
stages="ecbpf_filter ecbpf_fw ecbpf_fastpath foreign_pass ecbpf_count ecbpf_sampler"
equal "the chain" "$stages foreign_drop" "$(names veth0)"
equal "the other chain" "$stages" "$(names veth2)"
equal "the program of somebody else is the same" "$first" "$(members veth0 | grep foreign_drop)"
before=$(snapshot)
says "the second time" "nothing to do" "$conf"
equal "it changed nothing" "$before" "$(snapshot)"
loader export >"$tmp/export"
says "what is exported is no change" "nothing to do" "$tmp/export"
equal "nor does it change anything" "$before" "$(snapshot)"
loader export >"$tmp/export2"
works "it is exported again, to the letter" cmp "$tmp/export" "$tmp/export2"
mkdir "$tmp/export.d"
loader export -d "$tmp/export.d" >"$tmp/export2"
says "nor with its lists and rules" "nothing to do" "$tmp/export2"

# --- one line at a time, under traffic ----------------------------------------------------------

total=0
lease=$(ecbpf-fastpath status -j | jq .settings.lease) # 501 ms in whole jiffies
sed -i 's/scan/spam/; 1a 203.0.113.0/24' "$tmp/drop"
sed -i 's/dport 22/dport 23/; s/16 }/16, 10.8.0.0\/16 }/' "$tmp/rules"
# one at a time: netns/config.sh
change "all that is in maps" 's/^frags = .*/frags = drop/; s/^vip = .*/& 2001:db8::1/
	s/^lease = .*/lease = 400/; s/^exclude = .*/exclude =/; s/^egress = .*/egress = out1/
	s/^rate = .*/rate = 500/' "" "\
fastpath: exclude 10.0.0.0/8 no more
fastpath: lease 400, was $lease
filter: add vip 2001:db8::1
filter: drop: 1 added, 0 removed, 1 changed
filter: frags drop, was pass
fw: add rule: ip from @peers to any tcp dport 23 drop name \"ssh\"
fw: remove rule: ip from @peers to any tcp dport 22 drop name \"ssh\"
fw: set peers: 1 added, 0 removed
out0: remove the fast path's TC program
out1: add the fast path's TC program
sampler: rate 500, was 1000
sampler: rate-drops 500, was 1000"
change "a constant, a priority" 's/^malformed_action = .*/malformed_action = XDP_DROP/
	s/^prio = 60/prio = 70/' ecbpf_count "\
veth0: move foreign_pass: priority 70, actions XDP_PASS
veth0: replace ecbpf_count: other code or constants, priority 80
veth2: move foreign_pass: priority 70, actions XDP_PASS
veth2: replace ecbpf_count: other code or constants, priority 80"
change "a priority that is another place" 's/^prio = 70/prio = 85/' "" \
	"veth0: move foreign_pass: priority 85, actions XDP_PASS
veth2: move foreign_pass: priority 85, actions XDP_PASS"
equal "it is there now" "ecbpf_filter ecbpf_fw ecbpf_fastpath ecbpf_count foreign_pass \
ecbpf_sampler foreign_drop" "$(names veth0)"
change "a stage less" 's/^stages = .*/stages = filter,fw,fastpath,count/' ecbpf_sampler \
	"veth0: remove ecbpf_sampler
veth2: remove ecbpf_sampler"
change "a stage more" 's/^stages = .*/stages = filter,fw,fastpath,count,sampler/' ecbpf_sampler \
	"veth0: add ecbpf_sampler, priority 90
veth2: add ecbpf_sampler, priority 90"
change "an interface less" 's/^ingress = .*/ingress = veth0/' "" \
	"veth2: remove ecbpf_count
veth2: remove ecbpf_fastpath
veth2: remove ecbpf_filter
veth2: remove ecbpf_fw
veth2: remove ecbpf_sampler
veth2: remove foreign_pass
veth2: remove the fast path's TC program"
equal "nothing is attached there" "" "$(attached veth2)"
change "interfaces by a pattern" 's/^ingress = .*/ingress = veth*/' "" \
	"veth2: add ecbpf_count, priority 80
veth2: add ecbpf_fastpath, priority 50
veth2: add ecbpf_filter, priority 10
veth2: add ecbpf_fw, priority 20
veth2: add ecbpf_sampler, priority 90
veth2: add foreign_pass, priority 85
veth2: add the fast path's TC program"
equal "count saw all since it was replaced, and before" "XDP_PASS=$total/$((total * 64))" \
	"$(counted veth0 "$(ids veth0 ecbpf_count)")"
equal "foreign_drop saw all" "$total $((total * 64)) 0" "$(seen "$(ids veth0 foreign_drop)")"
says "at last" "nothing to do" "$conf"

# --- failures -----------------------------------------------------------------------------------

# The kernel refuses jumbo0: neither the settings nor the chains of others are touched
loader export >"$tmp/export"
sed 's/^ingress = .*/ingress = veth* jumbo0/; s/^frags = .*/frags = ptb/; s/^rate = .*/rate = 7/
	s/^malformed_action = .*/malformed_action = XDP_PASS/; s/^vip = .*/vip = ::1/' \
	"$conf" >"$tmp/jumbo.conf"
refused "an interface that takes no such chain" 1 jumbo0 loader apply "$tmp/jumbo.conf"
loader export >"$tmp/export2"
works "settings are those before" diff "$tmp/export" "$tmp/export2"
sed 's/^ingress = .*/ingress = nosuch0/' "$conf" >"$tmp/nosuch.conf"
refused "no such interface" 1 "nosuch.conf:2: nosuch0: no such interface" \
	loader apply "$tmp/nosuch.conf"
sed 's/^frags = .*/frag = pass/' "$conf" >"$tmp/key.conf"
refused "no such key" 1 "key.conf:12: no key 'frag'; did you mean 'frags'" \
	loader apply "$tmp/key.conf"

# --- killed -------------------------------------------------------------------------------------

# The other file differs in all: settings, lists, rules, a constant, the stages, where packets
# leave, the place of a program
printf '203.0.113.99\n' >"$tmp/drop2"
printf 'ip from 10.1.0.0/16 to any udp drop name "udp"\n' >"$tmp/rules2"
sed "s/^frags = .*/frags = ptb/; s/^rate = .*/rate = 7/
	s/^stages = .*/stages = filter,fw,fastpath,count/; s|^drop = .*|drop = $tmp/drop2|
	s|^rules = .*|rules = $tmp/rules2|; s|^allow = .*|allow =|; s/^lease = .*/lease = 700/
	s/^exclude = .*/exclude = 192.0.2.1/; s/^egress = .*/egress = out0/
	s/^malformed_action = .*/malformed_action = XDP_PASS/; s/^prio = .*/prio = 30/" \
	"$conf" >"$tmp/other.conf"
start=${EPOCHREALTIME/./}
works "the other file" loader apply "$tmp/other.conf"
took=$((${EPOCHREALTIME/./} - start))
state >"$tmp/want-1"
works "and back" loader apply "$conf"
state >"$tmp/want-0"
files=("$conf" "$tmp/other.conf")
kills=${ECBPF_KILLS:-2} killed=0 failures=0 # what was done before its time does not count
id=$(ids veth0 foreign_drop)
receiver_start veth0
for ((i = 1; killed < kills && i <= 3 * kills; i++)); do
	which=$((i % 2)) wrong='' status=0
	delay=$((took * RANDOM / 32768))
	printf -v delay '%d.%06d' $((delay / 1000000)) $((delay % 1000000))
	{ timeout -s KILL "$delay" ecbpf-loader apply "${files[which]}" || status=$?; } \
		>"$tmp/out" 2>&1
	((status != 137)) || killed=$((killed + 1))
	send veth1 20 >/dev/null
	loader apply "${files[which]}" >"$tmp/out" 2>&1 || wrong+="; $(<"$tmp/out")"
	state >"$tmp/got" 2>&1 || :
	cmp -s "$tmp/got" "$tmp/want-$which" || wrong+="; $(diff "$tmp/got" "$tmp/want-$which")"
	pins=(/sys/fs/bpf/xdp/dispatch-*)
	((${#pins[@]} == 2)) || wrong+="; pins: ${pins[*]}"
	[[ ! $wrong ]] || { fail "killed after $delay s" "$wrong"; failures=$((failures + 1)); }
done
equal "killed $kills times, in $((i - 1)) runs: it converges" "$kills 0" "$killed $failures"
equal "no packet escaped" "0 0 0 0" "$(receiver_stop)"
equal "the program of somebody else is the same" "$id" "$(ids veth0 foreign_drop)"
says "at the end" "nothing to do" "${files[which]}"

printf '[interfaces]\ningress =\n' >"$tmp/none.conf"
works "none" loader apply "$tmp/none.conf"
equal "the program of somebody else stays" "foreign_drop" "$(names veth0)"
works "unload" loader unload -a veth0
works "clean" loader clean --all
equal "nothing is left" "" "$(snapshot | grep -v sampler_reader)"

# --- one program for all, and back ---------------------------------------------------------------

sed "s/^ingress = .*/ingress = veth2/; /^.program/,/^prio/d
	s/^stages = .*/&\nfused = no\nmode = native/" "$conf" >"$tmp/one.conf"
works "one interface" loader apply "$tmp/one.conf"

# line NAME SED WANT: of its change, under traffic
line()
{
	sed -i "$2" "$tmp/one.conf"
	receiver_start veth2
	sender_start veth3 192
	equal "$1" "$3" "$(loader apply --diff "$tmp/one.conf" 2>&1 | sort)"
	sent=$(sender_stop)
	equal "$1: no packet is lost" "${sent%% *} 0 0 0" "$(receiver_stop)"
}
line "fused" 's/^fused = .*/fused = yes/; /^malformed_action/d' "\
veth2: add ecbpf_fused, priority 50
veth2: remove ecbpf_count
veth2: remove ecbpf_fastpath
veth2: remove ecbpf_filter
veth2: remove ecbpf_fw
veth2: remove ecbpf_sampler"
line "and not fused" 's/^fused = .*/fused = no/' "\
veth2: add ecbpf_count, priority 80
veth2: add ecbpf_fastpath, priority 50
veth2: add ecbpf_filter, priority 10
veth2: add ecbpf_fw, priority 20
veth2: add ecbpf_sampler, priority 90
veth2: remove ecbpf_fused"
before=$(snapshot)
sed 's/^mode = .*/mode = skb/' "$tmp/one.conf" >"$tmp/skb.conf"
refused "another mode" 1 "veth2" loader apply "$tmp/skb.conf"
equal "and nothing is touched" "$before" "$(snapshot)"
works "stop" loader apply --stop "$tmp/one.conf"
works "clean" loader clean --all
equal "nothing is left" "" "$(snapshot | grep -v sampler_reader)"
summary
