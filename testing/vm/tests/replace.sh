#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 900
#
# Changes of a chain under traffic: no packet escapes the dropping program at its end, none is
# counted twice or not at all.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../chains.sh
. "$(dirname "$0")/../chains.sh"
pair_add veth0 veth1
pair_add jumbo0 jumbo1 9000
drop=$(foreign foreign_drop)
total=0

way=192

# under_traffic NAME COMMAND...: run COMMAND, a shell function, while packets are sent. It must
# succeed, and no packet may reach the stack. Adds what was sent to $total.
under_traffic()
{
	local packets escaped status=0

	receiver_start veth0
	sender_start veth1 "$way"
	"${@:2}" >"$tmp/out" 2>&1 || status=$?
	sender_stop >"$tmp/packets"
	read -r packets _ <"$tmp/packets"
	escaped=$(receiver_stop)
	total=$((total + packets))
	equal "$1: succeeds" 0 "$status$(<"$tmp/out")"
	equal "$1: none of $packets packets escapes" "0 0 0 0" "$escaped"
}

# times N COMMAND...
# shellcheck disable=SC2317 # called by under_traffic
times()
{
	local i

	for ((i = 0; i < $1; i++)); do
		"${@:2}" || return
	done
}

# shellcheck disable=SC2317 # called by under_traffic
load_unload() { loader load -q -P 70 veth0 pass && loader unload -q -n pass veth0; }
# shellcheck disable=SC2317
load_unload_foreign()
{
	loader load -q -P 70 veth0 "$(foreign foreign_pass)" && loader unload -q -n foreign_pass veth0
}
# shellcheck disable=SC2317 # the kernel refuses jumbo0, so that veth0 goes back
roll_back()
{
	! loader load veth0,jumbo0 "$(foreign foreign_pass)" 2>"$tmp/roll_back" ||
		! echo "should have failed" || return
	grep -q jumbo0 "$tmp/roll_back" || ! cat "$tmp/roll_back"
}

works "load" loader load veth0 count printk
works "load the dropping program" loader load -P 90 veth0 "$drop"
id=$(ids veth0 foreign_drop)

under_traffic "replace the dropping program" times 20 \
	loader replace -q veth0 foreign_drop "$drop"
new=$(ids veth0 foreign_drop)
equal "it is another program" different "$([[ $new != "$id" ]] && echo different)"
equal "the chain is the same" "80 ecbpf_count 85 ecbpf_printk 90 foreign_drop" \
	"$(rows veth0 | awk '{ printf "%s%s %s", sep, $1, $2; sep = " " }')"
equal "its map was kept: it saw all" "$total $((total * 64)) 0" "$(seen "$new")"
equal "count saw all" "XDP_PASS=$total/$((total * 64))" \
	"$(counted veth0 "$(ids veth0 ecbpf_count)")"

under_traffic "replace a program of ours" times 5 loader replace -q veth0 count count
equal "its maps were kept: it saw all" "XDP_PASS=$total/$((total * 64))" \
	"$(counted veth0 "$(ids veth0 ecbpf_count)")"
equal "foreign_drop saw all" "$total $((total * 64)) 0" "$(seen "$new")"

under_traffic "load and unload another" times 3 load_unload
under_traffic "load and unload a foreign one" times 3 load_unload_foreign
under_traffic "two interfaces, rolled back" times 5 roll_back
equal "count saw all of all" "XDP_PASS=$total/$((total * 64))" \
	"$(counted veth0 "$(ids veth0 ecbpf_count)")"
equal "printk saw all of all" "XDP_PASS=$total/$((total * 64))" \
	"$(counted veth0 "$(ids veth0 ecbpf_printk)")"
equal "foreign_drop saw all of all" "$total $((total * 64)) 0" \
	"$(seen "$(ids veth0 foreign_drop)")"

# A packet that is on its way through the old chain when the interface goes over to the new one
# must meet all members of the old one.
way=1
works "load a slow program" loader load -P 10 veth0 "$(foreign foreign_slow)"
under_traffic "replace, packets on their way" times 5 loader replace -q veth0 foreign_drop "$drop"
under_traffic "load and unload, packets on their way" times 5 load_unload
under_traffic "rolled back, packets on their way" times 5 roll_back
equal "slow packets: foreign_drop saw all" "$total $((total * 64)) 0" \
	"$(seen "$(ids veth0 foreign_drop)")"

under_traffic "another priority" loader replace -q -P 83 veth0 foreign_drop "$drop"
equal "another priority is another place" \
	"10 foreign_slow 80 ecbpf_count 83 foreign_drop 85 ecbpf_printk" \
	"$(rows veth0 | awk '{ printf "%s%s %s", sep, $1, $2; sep = " " }')"
under_traffic "back again" loader replace -q -P 90 veth0 foreign_drop "$drop"
equal "back at its place" "10 foreign_slow 80 ecbpf_count 85 ecbpf_printk 90 foreign_drop" \
	"$(rows veth0 | awk '{ printf "%s%s %s", sep, $1, $2; sep = " " }')"

if ((total >= 100000)); then
	pass "enough packets: $total"
else
	fail "enough packets" "$total only"
fi
summary
