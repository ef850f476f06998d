#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# fuzz_chain.sh [--count N] [--seed S] [--jobs J] [--captures DIR]: N mutated frames (default: 10
# million) through filter, fw and fastpath, fused on one interface, against the model
# (fuzz_chain.c). Each job does them in four parts or more, each with another configuration:
# settings, lists, rules. S is the seed of the first one (default: 0, which is the same in every
# run; "random": one that never is). J jobs (default: one for each CPU) have a network namespace
# each. DIR: real captures, whose Ethernet frames are mutated too, and some of them get leases;
# testing/fuzz/captures fetches some. Before release: --count 1000000000 --seed random --captures
# "$(testing/fuzz/captures)", which takes half an hour on two idle cores.
#
# Prints how many frames met which fate, and fails if the two ever differ, or if a check, a defect
# or a fate was never met. $ECBPF_BUILD: build directory.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)

count=10000000 seed=0 jobs=$(nproc) worker='' captures=''
while (($#)); do
	case $1 in
	--count) count=$2 ;;
	--seed) seed=$2 ;;
	--jobs) jobs=$2 ;;
	--worker) worker=$2 ;;
	--captures) captures=$2 ;;
	*) echo "fuzz_chain.sh: $1?" >&2; exit 2 ;;
	esac
	shift 2
done
[[ $seed != random ]] || seed=$((SRANDOM & ~3))

rounds=$((count / 20000000))
((rounds >= 4)) || rounds=4

if [[ ! $worker ]]; then
	rounds=$((count / jobs / 20000000))
	((rounds >= 4)) || rounds=4
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	"${CC:-gcc}" -O3 -g -Wall -Wextra -Wshadow -Werror -I"$here/../../headers" \
		"$here/fuzz_chain.c" -o "$work/fuzz_chain" -lbpf
	: >"$work/captures"
	[[ ! $captures ]] ||
		/usr/bin/python3 "$here/chain_frames.py" captures "$captures" "$work/captures"
	echo "fuzz_chain: seed $seed, $jobs jobs"
	start=$(date +%s) pids=() status=0
	for ((i = 0; i < jobs; i++)); do
		"$0" --worker "$work" --count $((count / jobs)) --seed $((seed + i * rounds)) \
			--jobs "$i" >"$work/$i.log" 2>&1 &
		pids+=($!)
	done
	for ((i = 0; i < jobs; i++)); do
		wait "${pids[i]}" || status=1
		if ((status)); then
			sed '/^seed /d' "$work/$i.log"
		else
			sed -n '/^seed /s/:.*//p' "$work/$i.log"
		fi
	done
	# the sums; what has none was never met
	grep -h '^seed ' "$work"/[0-9]*.log | sed 's/^[^:]*: //; s/, /\n/g' | awk '
		{ number = $NF; sub(/ [0-9]+$/, ""); if (!($0 in sum)) names[++n] = $0
		  sum[$0] += number }
		END { for (i = 1; i <= n; i++) {
			printf "%-28s%14d\n", names[i], sum[names[i]]
			# shorter ones cannot be run
			if (!sum[names[i]] && names[i] != "defect-runt")
				never = never " " names[i] }
		      if (!n || never) {
			print "NEVER MET:" (n ? never : " anything")
			exit 1 } }' ||
		status=1
	echo "$count mutated frames in $(($(date +%s) - start)) s: $( ((status)) && echo FAILED ||
		echo "no disagreement")"
	exit "$status"
fi

# --- one job ----------------------------------------------------------------------------------

# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$here/../lib/lib.sh"
fresh_net --worker "$worker" --count "$count" --seed "$seed" --jobs "$jobs"
ECBPF_BUILD=$(cd "${ECBPF_BUILD:-$here/../../build/test}" && pwd -P)
PATH=$ECBPF_BUILD/root/sbin:$PATH
summary() { :; }
work=$worker/work-$jobs
mkdir "$work"
cpus=(/sys/devices/system/cpu/cpu[0-9]*)
taskset -p -c $((jobs % ${#cpus[@]})) $$ >/dev/null

ns_add client
ip link add live0 type veth peer name live1 netns client
ip address add 192.0.2.129/25 dev live0
ip address add 2001:db8:9::1/64 dev live0 nodad
ip link set live0 up
ns client ip address add 192.0.2.130/25 dev live1
ns client ip address add 2001:db8:9::2/64 dev live1 nodad
ns client ip link set live1 up
ns client ip link set lo up
/usr/bin/python3 "$here/chain_frames.py" make "$work/frames"
ip link delete live0
cat "$worker/captures" >>"$work/frames"

ip link add v0 type veth peer name v1
for iface in v0 v1; do
	ip link set "$iface" addrgenmode none
	ip link set "$iface" up
done
ip address flush dev lo # 127.255.255.255 is a broadcast
ip address add 198.51.100.1/32 dev v0
ip address add 2001:db8::2/128 dev v0 nodad
chain() { "$worker/fuzz_chain" "$@"; }

for ((round = 0; round < rounds; round++)); do
	id=$((seed + round))
	chain config "$id" "$work/frames" "$work"
	ecbpf-fastpath load -q -i v0 --fused --flows 1000
	ecbpf-fw load -q --fused -f "$work/rules" v0
	ecbpf-filter load -q --fused v0
	read -ra settings <"$work/fw"
	ecbpf-fw set -q "${settings[@]}"
	chain dump "$id" "$work/frames" 2000 | /usr/bin/python3 "$here/chain_frames.py" check \
		"$work/rules" "${settings[0]#*=}" "${settings[1]#*=}"
	read -ra settings <"$work/filter"
	ecbpf-filter set -q "${settings[@]}"
	ecbpf-filter drop import -f "$work/block" --replace --force >/dev/null
	ecbpf-filter allow import -f "$work/allow" --replace --force >/dev/null
	xdp=$(ip -j link show v0 | jq '.[0].xdp.prog.id')
	egress=$(tc -j filter show dev v0 egress | jq '[.[].options.prog.id // empty][0]')
	chain run "$id" "$work/frames" $((count / rounds)) "$xdp" "$egress"
	ecbpf-loader unload -q --all v0
	ecbpf-fastpath unload 2>/dev/null || :
	ecbpf-loader clean --all >/dev/null || :
done
