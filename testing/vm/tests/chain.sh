#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 900
#
# Chains: order, counters, what xdp-loader sees of them; all or nothing.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../chains.sh
. "$(dirname "$0")/../chains.sh"
pair_add veth0 veth1

# rows_same IFACE: both tools show the same table
# shellcheck disable=SC2317 # called by expect
rows_same()
{
	# 1.5 has a blank more at the end of some lines
	diff <(loader status "$1" | sed 's/ *$//') <(xdp-loader status "$1" | sed 's/ *$//')
}

# --- six programs, in the order asked -----------------------------------------------------------

works "load a foreign program" loader load -P 10 veth0 "$(foreign foreign_pass)"
works "load two of ours at once" loader load veth0 count printk
works "load one of ours between" loader load -P 20 veth0 pass
works "load a resizing program" loader load -P 30 veth0 "$(foreign foreign_resize)"
works "load the fused program" loader load -P 40 --fused pass,count \
	-S malformed_action=2 veth0
works "load the dropping one" loader load -P 60 -S malformed_action=1 veth0 pass
equal "order" \
	"foreign_pass ecbpf_pass foreign_resize ecbpf_fused ecbpf_pass ecbpf_count ecbpf_printk" \
	"$(names veth0)"
equal "priorities" "10 20 30 40 60 80 85" "$(rows veth0 | awk '{ printf s $1; s = " " }')"
expect "xdp-loader shows the same" rows_same veth0
equal "the dispatcher of the table is what the kernel has attached" "$(prog_id veth0)" \
	"$(loader status veth0 | awk '/xdp_dispatcher/ { print $4 }')"

receiver_start veth0
read -r packets bytes bad bad_bytes < <(send veth1 20000 64 1514 4)
good=$((packets - bad)) good_bytes=$((bytes - bad_bytes))
equal "packets sent" 20000 "$packets"
equal "packets that reached the stack" "$good 0 0 0" "$(receiver_stop)"
mapfile -t id < <(rows veth0 | awk '{ print $3 }')
equal "foreign_pass saw all" "$packets $bytes 0" "$(seen "${id[0]}")"
equal "pass counted all" "XDP_PASS=$packets/$bytes" "$(counted veth0 "${id[1]}")"
equal "foreign_resize saw and resized all" "$packets $bytes 0" "$(seen "${id[2]}")"
equal "fused, first slot, counted all" "XDP_PASS=$packets/$bytes" "$(counted veth0 "${id[3]}" 1)"
equal "fused, second slot, counted all" "XDP_PASS=$packets/$bytes" "$(counted veth0 "${id[3]}" 2)"
equal "pass counted drops and passes" "XDP_DROP=$bad/$bad_bytes XDP_PASS=$good/$good_bytes" \
	"$(counted veth0 "${id[4]}")"
equal "count counted the rest" "XDP_PASS=$good/$good_bytes" "$(counted veth0 "${id[5]}")"
equal "printk counted the rest" "XDP_PASS=$good/$good_bytes" "$(counted veth0 "${id[6]}")"
equal "count has them as UDP" "{\"packets\":$good,\"bytes\":$good_bytes}" \
	"$(loader status -j veth0 |
		jq -c '.[0].members[5].stages[0].count["ip-udp"]')"
works "clear the counters" loader status --clear veth0
equal "counters are clear" "" "$(counted veth0 "${id[4]}")"

# --- unload, ten programs -----------------------------------------------------------------------

works "unload by id" loader unload -i "${id[2]}" veth0
works "unload by name, both of them" loader unload -n pass veth0
equal "they are gone" "foreign_pass ecbpf_fused ecbpf_count ecbpf_printk" "$(names veth0)"
refused "unload what is not there" 1 "no program 'pass'" loader unload -n pass veth0
works "load ten" loader load -P 90 veth0 pass pass pass pass pass "$(foreign foreign_pass)"
equal "ten" 10 "$(rows veth0 | wc -l)"
refused "no eleventh" 1 "ten|10" loader load veth0 pass
works "unload all" loader unload -a veth0
works "clean" loader clean --all
equal "nothing is left" "" "$(snapshot)"

# --- one program --------------------------------------------------------------------------------

works "load one program alone" loader load veth0 count
expect "xdp-loader shows the same of one" rows_same veth0
read -r packets bytes _ < <(send veth1 1000 64 1514)
equal "it counted" "XDP_PASS=$packets/$bytes" "$(counted veth0 "$(ids veth0 ecbpf_count)")"
works "xdp-loader adds to our chain" xdp-loader load veth0 "$(foreign foreign_pass)"
works "we add to what it made" loader load veth0 pass
equal "order of both" "ecbpf_pass foreign_pass ecbpf_count" "$(names veth0)"
works "xdp-loader removes one of ours" xdp-loader unload -i "$(ids veth0 ecbpf_pass)" veth0
equal "the others stay" "foreign_pass ecbpf_count" "$(names veth0)"
read -r _ _ _ < <(send veth1 1000)
equal "count went on" "XDP_PASS=$((packets + 1000))/$((bytes + 64000))" \
	"$(counted veth0 "$(ids veth0 ecbpf_count)")"
works "xdp-loader unloads all" xdp-loader unload -a veth0

# --- several interfaces -------------------------------------------------------------------------

pair_add veth2 veth3
works "two interfaces in one call" loader load veth0,veth2 pass count
equal "first has them" "ecbpf_pass ecbpf_count" "$(names veth0)"
equal "second has them" "ecbpf_pass ecbpf_count" "$(names veth2)"
send veth1 100 >/dev/null
send veth3 200 >/dev/null
equal "first has its counters" "XDP_PASS=100/6400" "$(counted veth0 "$(ids veth0 ecbpf_pass)")"
equal "second has its counters" "XDP_PASS=200/12800" "$(counted veth2 "$(ids veth2 ecbpf_pass)")"
refused "two, the second does not exist" 1 nosuch loader load veth0,nosuch pass
works "fill the second" loader load veth2 pass pass pass pass pass pass pass
refused "two, the second would have eleven" 1 "veth2.*10" loader load veth0,veth2 pass pass
refused "unload from two, one has no such" 1 "veth0.*foreign_drop" \
	loader unload -n foreign_drop veth0,veth2
pair_add jumbo0 jumbo1 9000
refused "two, the kernel refuses the second" 1 "jumbo0.*MTU" \
	loader load veth0,jumbo0 "$(foreign foreign_pass)"
works "unload from two" loader unload -a veth0,veth2
works "clean after two" loader clean --all
equal "nothing is left on either" "" "$(snapshot)"

# --- skb mode, jumbo frames ---------------------------------------------------------------------

works "skb mode" loader load -m skb veth0 count
equal "the kernel says skb mode" "veth0 xdpgeneric" "$(attached veth0 | cut -d ' ' -f -2)"
works "add to a chain in skb mode" loader load veth0 "$(foreign foreign_pass)"
refused "no native program beside" 1 "skb mode" loader load -m native veth0 pass
read -r packets bytes _ < <(send veth1 5000 64 1514)
equal "count counted in skb mode" "XDP_PASS=$packets/$bytes" \
	"$(counted veth0 "$(ids veth0 ecbpf_count)")"
equal "foreign_pass counted in skb mode" "$packets $bytes 0" \
	"$(seen "$(ids veth0 foreign_pass)")"
expect "xdp-loader shows the same in skb mode" rows_same veth0
works "unload in skb mode" loader unload -a veth0

if has_frags; then
	works "jumbo frames: ours" loader load jumbo0 pass count
	receiver_start jumbo0
	read -r packets bytes _ < <(send jumbo1 3000 3000 9014)
	equal "jumbo frames reach the stack" "$packets 0 0 0" "$(receiver_stop)"
	equal "jumbo frames: pass counted" "XDP_PASS=$packets/$bytes" \
		"$(counted jumbo0 "$(ids jumbo0 ecbpf_pass)")"
	equal "jumbo frames: count counted" "XDP_PASS=$packets/$bytes" \
		"$(counted jumbo0 "$(ids jumbo0 ecbpf_count)")"
	refused "jumbo frames: no program without frags" 1 "jumbo0.*(MTU|frag)" \
		loader load jumbo0 "$(foreign foreign_pass)"
else
	refused "jumbo frames: none on this kernel" 1 "jumbo0.*MTU" loader load jumbo0 pass
fi
summary
