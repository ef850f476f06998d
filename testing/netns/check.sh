#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `ecbpf-loader apply -c` finds what apply would refuse: the same line, status 1, and nothing is
# changed or left.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
use_build ip jq setpriv ecbpf-loader
tmp=$(mktemp -d)
defer rm -rf "$tmp"
conf=$tmp/conf

ip link add s0 type veth peer name s1
ip link set s0 up

# What is attached and pinned, and the maps that there are
snapshot()
{
	ip -j link show | jq -c '[.[] | [.ifname, .xdp.prog.id]]'
	find /sys/fs/bpf /run/ecbpf | sort
}

# config SECTION LINE...: for s0
config()
{
	printf '[interfaces]\ningress = s0\n' >"$conf"
	printf '%s\n' "$@" >>"$conf"
}

# apply_as PREFIX... -- OPTION...: into $said, $status
apply_as()
{
	local prefix=()

	while [[ $1 != -- ]]; do
		prefix+=("$1")
		shift
	done
	status=0
	said=$("${prefix[@]}" ecbpf-loader apply --no-lldp "${@:2}" "$conf" 2>&1) || status=$?
}

# refused NAME REGEX [PREFIX...]: by check and apply alike
refused()
{
	local before checked

	before=$(snapshot)
	apply_as "${@:3}" -- -c
	checked="$status $said"
	equal "$1: the check changes nothing" "$before" "$(snapshot)"
	apply_as "${@:3}" --
	if [[ ! $checked =~ ^1\ [^$'\n']*$2 ]]; then
		fail "$1: check" "$checked"
	else
		equal "$1: check as apply" "$status $said" "$checked"
	fi
}

config '[chain]' 'stages = filter,pass'
before=$(snapshot)
apply_as -- -c
after=$(snapshot)
if ecbpf-loader load s0 pass 2>/dev/null; then
	equal "a chain" "0 2" "$status $(wc -l <<<"$said")"
	ecbpf-loader unload -a s0 >/dev/null
else
	equal "no freplace: the check changes nothing" "$before" "$after"
	refused "no freplace" "cannot replace BPF functions"
fi

config '[chain]' 'stages = fw,filter' 'fused = yes'
before=$(snapshot)
apply_as -- -c
equal "fused: check" "0 s0: add ecbpf_fused, priority 50" "$status $said"
equal "fused: nothing is left" "$before" "$(snapshot)"

echo nothing >"$tmp/text.o"
config "[program text]" "file = $tmp/text.o"
refused "no object file" "text.o: not an ELF object file"
cp /bin/true "$tmp/other.o"
config "[program other]" "file = $tmp/other.o"
refused "a file of another machine" "other.o: "
config "$(for ((i = 0; i < 11; i++)); do
	printf '[program p%s]\nfile = %s\n' "$i" "$ECBPF_BUILD/progs/pass.bpf.o"
done)"
refused "a full chain" "11 programs: a chain has 10 at most"
config '[chain]' 'stages = pass' 'fused = yes'
refused "no CAP_NET_ADMIN" "needs .*, and CAP_NET_ADMIN is missing\$" \
	setpriv --bounding-set=-net_admin --inh-caps=-all
refused "no capability" "needs .* missing" setpriv --bounding-set=-all --inh-caps=-all

summary
