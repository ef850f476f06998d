#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# An interface whose name has control characters and bytes that are not UTF-8: no tool sends them to
# a terminal, JSON is UTF-8, and names come back out of it. Texts in arguments and files are for
# testing/unit/test_safe.py.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
top=$(cd "$(dirname "$0")/../.." && pwd -P)
PATH=${ECBPF_BUILD:-$top/build/test}/root/sbin:${ECBPF_BUILD:-$top/build/test}/root/bin:$PATH
require_cmd ip jq /usr/bin/python3
tmp=$(mktemp -d)
defer rm -rf "$tmp"

# red, CSI in UTF-8 and as a byte
name=$'n\e[31m\xc2\x9b\x9b"' shown='n\x1b[31m\xc2\x9b\x9b"'
ip link add "$name" type veth peer name peer0
ip link set "$name" up
ip link set peer0 up

# clean NAME WANT COMMAND...: it prints WANT and nothing that a terminal obeys; WANT '': it succeeds
clean()
{
	local status=0

	timeout 20 "${@:3}" >"$tmp/out" 2>&1 </dev/null || status=$?
	if LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\x9b' "$tmp/out"; then
		fail "$1" "control characters: $(LC_ALL=C cat -v "$tmp/out" | head -n 3)"
	elif [[ ! $2 ]] && ((status)); then
		fail "$1" "exit status $status: $(head -n 3 "$tmp/out")"
	elif [[ $2 ]] && ! grep -qF -- "$2" "$tmp/out"; then
		fail "$1" "no '$2' (status $status): $(head -n 3 "$tmp/out")"
	else
		pass "$1"
	fi
}

clean "load of no stage" 'x1b[31m' ecbpf-loader load --fused "$name" "$name"
for tool in filter fw sampler; do
	clean "$tool: load" '' "ecbpf-$tool" load --fused "$name"
done
clean "fastpath: load" '' ecbpf-fastpath load --fused -i "$name"
clean "load of what is there" "$shown" ecbpf-filter load --fused "$name"
clean "loader: status" "$shown" ecbpf-loader status
clean "loader: status of one" "$shown" ecbpf-loader status -v "$name"
clean "loader: doctor" "$shown" ecbpf-loader doctor -v
clean "loader: metrics" 'interface="n\\x1b[31m\\xc2\\x9b\\x9b\""' ecbpf-loader metrics
printf '[interfaces]\ningress = %s\n[chain]\nstages = pass\n' "$name" >"$tmp/conf"
clean "loader: export" "$shown: export cannot name it: give it a name of printable ASCII" \
	ecbpf-loader export
clean "loader: apply" "not UTF-8" ecbpf-loader apply -c "$tmp/conf"
clean "loader: unload of one that is not there" "$shown" ecbpf-loader unload -n nothing "$name"
clean "filter: status" "$shown" ecbpf-filter status
clean "fw: status" "$shown" ecbpf-fw status
clean "fastpath: status" "$shown" ecbpf-fastpath status
clean "fastpath: check" '' ecbpf-fastpath check
printf 'drop "n\033[31m" ip from any to any\n' >"$tmp/rules"
clean "fw: a rule's text" '[31m' ecbpf-fw apply -f "$tmp/rules"

# a name like what is shown for another one, and what is shown of that
for other in '\xff' $'\xff' '\x5cxff'; do
	ip link add "$other" type veth peer name "p${#other}"
	ecbpf-loader load -q --fused pass "$other"
done
for tool in loader fw filter fastpath sampler; do
	ecbpf-$tool status -j
done >"$tmp/json"
want=$(for path in /sys/class/net/*; do printf '%s\n' "${path##*/}"; done | LC_ALL=C sort |
	od -An -tx1 | tr -d ' \n')
got=$(ecbpf-loader status -j | /usr/bin/python3 -c 'import json, re, sys
names = [re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes.fromhex(m[1].decode()),
                chain["interface"].encode())
         for chain in json.loads(sys.stdin.buffer.read().decode("utf-8"))]
print("".join((name + b"\n").hex() for name in sorted(names)))' 2>&1)
equal "JSON has names from which they come back" "$want" "$got"
if /usr/bin/python3 -c 'import sys; open(sys.argv[1], encoding="utf-8").read()' "$tmp/json"; then
	pass "JSON is UTF-8"
else
	fail "JSON is UTF-8" "$(LC_ALL=C cat -v "$tmp/json" | grep -m 3 'M-')"
fi
ecbpf-loader metrics >"$tmp/metrics"
equal "metrics: each set of labels once" "" \
	"$(grep -v '^#' "$tmp/metrics" | sed 's/ [^ ]*$//' | sort | uniq -d)"
clean "fw: a name that is not UTF-8" 'is not allowed in quotes' \
	ecbpf-fw rule add $'drop ip from any to any name "\xff"'
clean "fw: a set's name" "xff" ecbpf-fw set create $'\xff'
clean "filter: a tag" "xff" ecbpf-filter drop add -t $'\xff' 192.0.2.1

# the daemon puts the name on the bus
clean "sampler: set" '' ecbpf-sampler set --rate 1
ecbpf-sampler run --bind "ipc://$tmp/bus" 2>"$tmp/daemon" &
daemon=$!
defer eval "kill $daemon 2>/dev/null || :" # it may have ended
for ((i = 0; i < 100; i++)); do
	[[ ! -S $tmp/bus ]] || break
	sleep 0.1
done
ping -6 -q -i 0.05 -c 200 -I peer0 ff02::1 >/dev/null 2>&1 &
defer eval "kill $! 2>/dev/null || :"
clean "pcap: print" "$shown" ecbpf-pcap -e "ipc://$tmp/bus" --print -c 3 --duration 15
clean "pcap: top" 'source' ecbpf-pcap -e "ipc://$tmp/bus" --top src -c 3 --duration 15
for tool in filter fw sampler; do
	clean "$tool: unload" '' "ecbpf-$tool" unload "$name"
done
clean "fastpath: unload" '' ecbpf-fastpath unload
summary
