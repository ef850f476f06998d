#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 900
#
# Loaders at the same time: all of them succeed, and every program is there once.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../chains.sh
. "$(dirname "$0")/../chains.sh"
pair_add veth0 veth1

# ours_start: six loads of ours at once
ours_start()
{
	local i

	pids=()
	for i in 1 2 3 4 5 6; do
		ecbpf-loader load -P "${i}0" veth0 pass >"$tmp/load$i" 2>&1 &
		pids+=($!)
	done
}

# ours_wait: how they ended, to $tmp/ended
ours_wait()
{
	local i

	for i in 1 2 3 4 5 6; do
		wait "${pids[i - 1]}" || echo "load $i: exit status $?: $(<"$tmp/load$i")"
	done >"$tmp/ended"
}

# ours_counted: what each of ours counted
ours_counted()
{
	local id

	for id in $(ids veth0 ecbpf_pass); do
		counted veth0 "$id"
	done | sort | uniq -c | sed 's/^ *//'
}

for round in 1 2 3; do
	ours_start
	ours_wait
	equal "round $round: six loaders succeed" "" "$(<"$tmp/ended")"
	equal "round $round: each program is there once" "10 20 30 40 50 60" \
		"$(rows veth0 | awk '{ printf "%s%s", sep, $1; sep = " " }')"
	send veth1 100 >/dev/null
	equal "round $round: each program runs" "6 XDP_PASS=100/6400" "$(ours_counted)"
	works "round $round: unload" loader unload -a veth0
done

# xdp-loader may be refused (busy), and a program of its that is loaded is there.
for round in 1 2; do
	ours_start
	others=() loaded=0
	for i in 1 2 3; do
		xdp-loader load veth0 "$(foreign foreign_pass)" >"$tmp/other$i" 2>&1 &
		others+=($!)
	done
	ours_wait
	equal "mixed, round $round: six loaders succeed" "" "$(<"$tmp/ended")"
	for pid in "${others[@]}"; do
		! wait "$pid" || loaded=$((loaded + 1))
	done
	equal "mixed, round $round: ours are there once, xdp-loader's $loaded as well" \
		"$loaded 6" "$(rows veth0 | awk '{ n[$2]++ }
			END { print n["foreign_pass"] + 0, n["ecbpf_pass"] + 0 }')"
	send veth1 100 >/dev/null
	equal "mixed, round $round: each program runs" "6 XDP_PASS=100/6400" "$(ours_counted)"
	works "mixed, round $round: unload" loader unload -a veth0
	works "mixed, round $round: clean" loader clean --all # what xdp-loader may have left
	equal "mixed, round $round: nothing is left" "" "$(snapshot)"
done

# The same, so that it is sure to happen: xdp-loader changes the chain when ours is attached and
# the loader has not ended yet. The preloaded library runs a command at that instant.
works "load the first" loader load veth0 count
expect "load, and another adds to the chain at once" env LD_PRELOAD="$helpers/after_attach.so" \
	AFTER_ATTACH="xdp-loader load veth0 '$(foreign foreign_pass)'" ecbpf-loader load -q veth0 pass
equal "all are there once" "ecbpf_pass foreign_pass ecbpf_count" "$(names veth0)"
send veth1 100 >/dev/null
equal "foreign_pass runs" "100 6400 0" "$(seen "$(ids veth0 foreign_pass)")"
equal "count runs" "XDP_PASS=100/6400" "$(counted veth0 "$(ids veth0 ecbpf_count)")"
expect "unload, and another empties the chain at once" \
	env LD_PRELOAD="$helpers/after_attach.so" AFTER_ATTACH="xdp-loader unload -a veth0" \
	ecbpf-loader unload -q -n pass veth0
equal "nothing is attached" "" "$(attached)"
summary
