#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 900
#
# The loader is killed at random instants of load, replace and unload: the chain is the old one
# or the new one, whole; the doctor tells the truth; clean removes what is left. ECBPF_SEED
# repeats a run's instants.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../chains.sh
. "$(dirname "$0")/../chains.sh"
pair_add veth0 veth1
kills=50 burst=20 sent=0
drop=$(foreign foreign_drop)
RANDOM=${ECBPF_SEED:=$RANDOM}
echo "ECBPF_SEED=$ECBPF_SEED"

declare -A took
declare -A operation=(
	[load]="ecbpf-loader load -P 10 veth0 $(foreign foreign_pass)"
	[replace]="ecbpf-loader replace veth0 foreign_drop $drop"
	[unload]="ecbpf-loader unload -n foreign_pass veth0"
)
without=" ecbpf_pass foreign_drop" with=" foreign_pass ecbpf_pass foreign_drop"

# chain_read: set members and drop_id, as xdp-loader says. Each process takes a tenth of a second
# in the virtual machine, so this and what follows starts few.
chain_read()
{
	local table arrow name id

	table=$(xdp-loader status veth0)
	members='' drop_id=''
	while read -r arrow _ name id _; do
		[[ $arrow == "=>" ]] || continue
		members+=" $name"
		[[ $name != foreign_drop ]] || drop_id=$id
	done <<<"$table"
}

# pins_read: set pins, to the directories that dispatchers have in the BPF file system
pins_read() { pins=(/sys/fs/bpf/xdp/dispatch-*); }

# run_whole OPERATION: run it to its end, note how many microseconds it takes
run_whole()
{
	local start=${EPOCHREALTIME/./}

	${operation[$1]} || fail "$1" "exit status $?"
	took[$1]=$((${EPOCHREALTIME/./} - start))
}

# run_killed OPERATION: kill it at a random instant, at most a tenth after its usual end
run_killed()
{
	local delay=$((took[$1] * RANDOM / 29789))

	at="$1, killed after $((delay / 1000)) of $((took[$1] / 1000)) ms"
	printf -v delay '%d.%06d' $((delay / 1000000)) $((delay % 1000000))
	# shellcheck disable=SC2086 # words of a command
	{ timeout -s KILL "$delay" ${operation[$1]} || :; } >"$tmp/out" 2>&1
}

# check_whole: set wrong to what is wrong with the chain, and with what the doctor and clean say
# and do about it
check_whole()
{
	local id links out status=0 stale='' found=''

	wrong=''
	id=$(prog_id veth0)
	[[ $members == "$without" || $members == "$with" ]] || wrong+="; chain:$members"
	links=(/sys/fs/bpf/xdp/dispatch-*-"$id"/*-link)
	[[ ${#links[@]} == $(wc -w <<<"$members") ]] || wrong+="; ${#links[@]} links"

	pins_read
	((${#pins[@]} == 1)) || stale=1
	out=$(ecbpf-loader doctor -j 2>&1) || status=$?
	((status == 0)) || wrong+="; doctor: exit status $status: $out"
	[[ $out != *'"stale-pins"'* ]] || found=1
	[[ $stale == "$found" ]] || wrong+="; pins: ${pins[*]}, doctor: $out"
	if [[ $stale ]]; then
		left=$((left + 1))
		out=$(ecbpf-loader clean 2>&1) || wrong+="; clean: $out"
		pins_read
		[[ ${pins[*]} == *"-$id" && ${#pins[@]} == 1 ]] ||
			wrong+="; after clean: ${pins[*]}: $out"
	fi
}

works "load" loader load veth0 pass
works "load the dropping program" loader load -P 90 veth0 "$drop"
for name in load replace unload; do
	run_whole "$name"
done
chain_read
equal "operations work" "$without" "$members"
receiver_start veth0

names=(load replace unload)
old=0 new=0 left=0 failures=0
for ((i = 0; i < kills; i++)); do
	name=${names[i % 3]}
	before=$members$drop_id
	run_killed "$name"
	chain_read
	after=$members$drop_id
	check_whole
	send veth1 "$burst" >/dev/null
	sent=$((sent + burst))
	if [[ $after == "$before" ]]; then
		old=$((old + 1))
		run_whole "$name" # it works, after that
		chain_read
	else
		new=$((new + 1))
	fi
	case $name in
	load | replace) want=$with ;;
	unload) want=$without ;;
	esac
	[[ $members == "$want" ]] || wrong+="; afterwards:$members"
	[[ $members$drop_id != "$before" ]] || wrong+="; afterwards: nothing new"
	if [[ $wrong ]]; then
		fail "$at" "$wrong"
		failures=$((failures + 1))
	fi
done
equal "$kills kills: $old left the old chain, $new the new one, $left pins; all whole" 0 "$failures"
equal "no packet escaped" "0 0 0 0" "$(receiver_stop)"
equal "foreign_drop saw every packet" "$sent $((sent * 64)) 0" "$(seen "$drop_id")"
equal "pass counted every packet" "XDP_PASS=$sent/$((sent * 64))" \
	"$(counted veth0 "$(ids veth0 ecbpf_pass)")"
works "unload" loader unload -a veth0
works "clean" loader clean --all
equal "nothing is left" "" "$(snapshot)"
summary
