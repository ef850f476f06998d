#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 1800
#
# Every stage, alone and fused in all the ways that make different programs, passes this kernel's
# verifier: chained, with the sampling hook, and with fragments; and the fast path's program at TC.
# On 5.10 fused ones pass it alone on the interface, and of the others some; those which do not are
# refused with the reason.
# $ECBPF_LONG: hook and fragments apart too, not only both or none, and each stage fused alone with
# both.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../lib/lib.sh
. "$(dirname "$0")/../../lib/lib.sh"
fresh_net "$@"
top=$(cd "$(dirname "$0")/../../.." && pwd -P)
loader=${ECBPF_BUILD:-$top/build}/tools/ecbpf-loader
require_cmd clang jq
[[ -x $loader ]] || skip_all "$loader is not built"

ip link add veth0 type veth peer name veth1
ip link set veth0 up

# try NAME LOAD-ARGUMENT...
try()
{
	local out

	if out=$("$loader" load "${@:2}" 2>&1 && "$loader" unload --all veth0 2>&1); then
		pass "$1"
	elif [[ $(uname -r) == 5.10.* && $* != *--fused* && $out == *"too old to chain"* ]]; then
		pass "$1: refused, with the way out"
	else
		fail "$1" "$out"
	fi
}

# The fast path with its program at TC, which XDP's loader does not know
fastpath=${loader%loader}fastpath
for mode in "" --fused; do
	if out=$("$fastpath" load --in veth0 --flows 1000 ${mode:+"$mode"} 2>&1 &&
		tc filter show dev veth0 egress && "$fastpath" unload 2>&1) &&
		[[ $out == *"ecbpf_egress"* ]]; then
		pass "fast path, with TC $mode"
	elif [[ $(uname -r) == 5.10.* && ! $mode && $out == *"too old to chain"* ]]; then
		pass "fast path, with TC: refused, with the way out"
	else
		fail "fast path, with TC $mode" "$out"
	fi
done

# as somebody who writes a stage compiles it, without our flags
object=$(mktemp)
defer rm -f "$object"
if clang --target=bpf -mcpu=v1 -g -O2 -I"$top/headers" "-I/usr/include/$(uname -m)-linux-gnu" \
	-c "$top/progs/pass.bpf.c" -o "$object"; then
	try "pass, compiled with -mcpu=v1" veth0 "$object"
else
	fail "pass, compiled with -mcpu=v1" "clang: $?"
fi

mapfile -t stages < <("$loader" stages --json | jq -r '.[].stage')
# the sampler has to be last
mapfile -t others < <(printf '%s\n' "${stages[@]}" | grep -v '^sampler$')
all=$(IFS=, && echo "${others[*]}")
more=("${others[@]}" pass pass pass pass) # which is the only one that can be there again
full=$(IFS=, && echo "${more[*]:0:8}") # as many as there can be
for mtu in 1500 9000; do
	if ((mtu > 1500)) && ! ip link set veth0 mtu "$mtu"; then
		fail "MTU $mtu" "cannot be set"
		break
	fi
	mode=()
	((mtu <= 1500)) || mode=(--mode skb) # native above 3498 needs Linux 5.18
	for hook in 0 1; do
		[[ ${ECBPF_LONG-} ]] || ((hook == (mtu > 1500))) || continue
		options=("${mode[@]}" -S "sampling_on=$hook" veth0)
		for stage in "${stages[@]}"; do
			try "$stage, MTU $mtu, sampling_on=$hook" "${options[@]}" "$stage"
		done
		alone=("${stages[@]}")
		[[ ${ECBPF_LONG-} ]] || ((!hook)) || alone=()
		for list in "${alone[@]}" "$full" "$all,sampler" "pass,pass,pass,pass,pass,pass,pass,pass"; do
			try "fused $list, MTU $mtu, sampling_on=$hook" --fused "$list" "${options[@]}"
		done
	done
done
summary
