#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 900
#
# The commands of man pages and README, one after the other, as somebody types them who reads: each
# of them works. Those of --help are held to what their tools understand by unit/test_parity.py.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../chains.sh
. "$(dirname "$0")/../chains.sh"
require_cmd clang jq tcpdump
require_kernel 6.1 # which chains all of them
require_module ip_vs
pair_add eth0 peer0
pair_add eth1 peer1
top=$(cd "$vm_dir/../.." && pwd -P)
conf=$ECBPF_BUILD/root/etc/ecbpf
PATH=$ECBPF_BUILD/root/bin:$PATH

# --- what the examples speak of -------------------------------------------------------------------

compile()
{
	clang --target=bpf -mcpu=v2 -O2 -g -I"$ECBPF_BUILD/root/include" \
		-I"/usr/include/$(uname -m)-linux-gnu" -c -xc - -o "$1"
}

mkdir -p /etc/ecbpf
cd "$tmp"
printf '%s\n' 'ip from 192.0.2.0/24 to any udp sport {53, 123} drop name "noise"' |
	tee rules >/etc/ecbpf/rules
printf '%s\n' 198.51.100.0/24 2001:db8:bad::/48 >blocklist.txt
printf '\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\x60\0\0\0\x01\0\0\0' >minute.pcap # a capture of nothing
{ # and one of an ARP packet
	cat minute.pcap
	printf '\0\0\0\0\0\0\0\0\x2a\0\0\0\x2a\0\0\0'
	printf '\0\0\0\0\0\0\0\0\0\0\0\0\x08\x06'
	head -c 28 /dev/zero
} >good.pcap
cp "$ECBPF_BUILD/root/lib/ecbpf/count.bpf.o" new-count.bpf.o
compile other.bpf.o <<-'END'
	#include <linux/bpf.h>
	__attribute__((section("xdp"), used)) int other_prog(struct xdp_md *ctx)
	{
		return XDP_PASS;
	}
END
sed -n '/^\.\\" example: bpf$/,/^\.EE$/p' "$top/man/ecbpf-progs.7.in" |
	sed "1,2d;\$d; s/\\\\(aq/'/g; s/\\\\-/-/g; s/\\\\e/\\\\/g" | compile udpdrop.bpf.o
ecbpf-sampler keygen subscriber.key
cp subscriber.key.pub /etc/ecbpf/subscribers

# --- running them ---------------------------------------------------------------------------------

daemon=''
daemon_stop()
{
	[[ ! $daemon ]] || { kill "$daemon"; wait "$daemon" || :; } 2>/dev/null
	daemon=''
}

# Nothing is loaded
reset()
{
	local iface

	daemon_stop
	ecbpf-fastpath unload >"$tmp/reset" 2>&1 || :
	for iface in eth0 eth1; do
		ecbpf-loader unload --all "$iface" >>"$tmp/reset" 2>&1 || :
	done
	ecbpf-loader clean --all >>"$tmp/reset" 2>&1
}

# example COMMAND: its output into $tmp/out
example()
{
	case $1 in
	"ecbpf-sampler run"*)
		daemon_stop
		bash -c "exec ${1%%&*}" >"$tmp/out" 2>&1 &
		daemon=$!
		sleep 3
		kill -0 "$daemon" 2>/dev/null && return
		wait "$daemon" || echo "exit status $?" >>"$tmp/out"
		return 1
		;;
	ecbpf-pcap* | *--watch* | *" stats "[0-9]*) # somebody ends them by ^C
		local status=0

		timeout --preserve-status -s INT 5 bash -o pipefail -c "trap : INT; $1" \
			>"$tmp/out" 2>&1 || status=$?
		((status == 0 || status == 130))
		;;
	*) bash -o pipefail -c "$1" >"$tmp/out" 2>&1 ;;
	esac
}

cp -r "$conf" "$tmp/shipped"
page='' count=0
while IFS=$'\t' read -r where command <&3; do
	command=${command//@ecbpfconfdir@/$conf}
	# a page's examples build upon each other; these begin anew
	if [[ $where != "$page" || $command == "ecbpf-fastpath load -i"* ]]; then
		reset
	fi
	if [[ $where != "$page" ]]; then # what another page made ecbpf.conf say is gone
		cp -r "$tmp/shipped/." "$conf"
	fi
	if [[ $where != "$page" && $where == ecbpf-pcap* ]]; then
		ecbpf-sampler load eth0 >/dev/null
		example "ecbpf-sampler run"
	fi
	page=$where count=$((count + 1))
	if example "$command"; then
		pass "$where: $command"
	else
		fail "$where: $command" "$(tail -c 400 "$tmp/out")"
	fi
done 3< <(/usr/bin/python3 "$top/testing/unit/test_parity.py" --list)
reset
((count > 50)) || fail "examples" "$count of them"
summary
