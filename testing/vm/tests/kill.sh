#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The loader is killed at random instants of load, replace and unload: the chain is the old one
# or the new one, whole; the doctor tells the truth; clean removes what is left. ECBPF_SEED
# repeats a run's instants.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../lib.sh
. "$(dirname "$0")/../../lib.sh"
only_on vm-6.1
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../chains.sh
. "$(dirname "$0")/../chains.sh"
ns_add peer
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
without="ecbpf_pass foreign_drop" with="foreign_pass ecbpf_pass foreign_drop"

# run_whole OPERATION: run it to its end, note how many microseconds it takes
run_whole()
{
	local start=${EPOCHREALTIME/./}

	${operation[$1]} || fail "$1" "exit status $?"
	took[$1]=$((${EPOCHREALTIME/./} - start))
}

# run_killed OPERATION: kill it at a random instant
run_killed()
{
	local delay=$((took[$1] * RANDOM / 29789)) pid # up to 1.1 times that

	${operation[$1]} >"$tmp/out" 2>&1 &
	pid=$!
	sleep "$((delay / 1000000)).$(printf %06d $((delay % 1000000)))"
	kill -KILL "$pid" 2>/dev/null || : # ended meanwhile
	# the shell's message of a killed job is not of interest
	wait "$pid" 2>/dev/null || :
	at="$1, killed after $((delay / 1000)) of $((took[$1] / 1000)) ms"
}

# broken: what is wrong with the chain now, and with what the doctor and clean say and do about it
broken()
{
	local chain id pins links members stale=0 found=0 out status=0

	chain=$(rows veth0)
	id=$(prog_id veth0)
	members=$(wc -l <<<"$chain")
	[[ $(names veth0) == "$without" || $(names veth0) == "$with" ]] || echo "chain: $chain"
	links=$(find /sys/fs/bpf/xdp/dispatch-*-"$id" -name '*-link' | wc -l)
	((links == members)) || echo "$links links, $members members"

	pins=$(find /sys/fs/bpf/xdp -mindepth 1 -maxdepth 1 | wc -l)
	((pins == 1)) || stale=1
	out=$(loader doctor -j 2>&1) || status=$?
	((status == 0)) || echo "doctor: exit status $status: $out"
	! grep -q '"stale-pins"' <<<"$out" || found=1
	((stale == found)) || echo "doctor: $pins dispatchers are pinned, but: $out"
	loader clean >"$tmp/clean" 2>&1 || echo "clean: $(<"$tmp/clean")"
	pins=$(find /sys/fs/bpf/xdp -mindepth 1 -maxdepth 1 | wc -l)
	((pins == 1)) || echo "$pins dispatchers are pinned after clean: $(<"$tmp/clean")"
	[[ $(prog_id veth0) == "$id" ]] || echo "clean detached the chain"
	echo "$stale" >"$tmp/stale"
}

# dropped: what foreign_drop saw must be what was sent: nothing escaped the chain
dropped()
{
	local seen

	send veth1 "$burst" >/dev/null
	sent=$((sent + burst))
	seen=$(seen "$(ids veth0 foreign_drop)")
	[[ $seen == "$sent $((sent * 64)) 0" ]] || wrong+="; dropped $seen of $sent"
}

works "load" loader load veth0 pass
works "load the dropping program" loader load -P 90 veth0 "$drop"
for name in load replace unload; do
	run_whole "$name"
done
equal "operations work" "$without" "$(names veth0)"
works "nothing is left before" loader clean

names=(load replace unload)
old=0 new=0 left=0 failures=0
for ((i = 0; i < kills; i++)); do
	name=${names[i % 3]}
	before="$(names veth0) $(ids veth0 foreign_drop)"
	run_killed "$name"
	if [[ "$(names veth0) $(ids veth0 foreign_drop)" == "$before" ]]; then
		old=$((old + 1)) is_old=1
	else
		new=$((new + 1)) is_old=''
	fi
	broken >"$tmp/broken"
	wrong=$(<"$tmp/broken")
	dropped
	left=$((left + $(<"$tmp/stale")))
	# The next one works.
	[[ ! $is_old ]] || run_whole "$name"
	case $name in
	load | replace) want=$with ;;
	unload) want=$without ;;
	esac
	[[ $(names veth0) == "$want" ]] || wrong+="; afterwards: $(names veth0)"
	if [[ $wrong ]]; then
		fail "$at" "$wrong"
		failures=$((failures + 1))
	fi
done
equal "$kills kills: $old left the old chain, $new the new one, $left pins; all whole" 0 "$failures"
dropped
equal "pass counted every packet" "XDP_PASS=$sent/$((sent * 64))" \
	"$(counted veth0 "$(ids veth0 ecbpf_pass)")"
works "unload" loader unload -a veth0
works "clean" loader clean
equal "nothing is left" "" "$(snapshot)"
summary
