#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 300
#
# Other tools on the same interfaces: whatever they put in ecbpf's place, or take off, is named, and
# the command that is given makes room.
# shellcheck disable=SC2317 # functions are run by within
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
require_cmd ip tc jq bpftool clang gcc /usr/bin/python3
# shellcheck source-path=SCRIPTDIR source=../lib/doctor.sh
. "$(dirname "$0")/../lib/doctor.sh"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns

# fails NAME STATUS TEXT COMMAND...: in one line, which has the text
fails()
{
	local out status=0

	out=$("${@:4}" 2>&1) || status=$?
	if ((status == $2)) && grep -qF -e "$3" <<<"$out" && [[ $(wc -l <<<"$out") == 1 ]]; then
		pass "$1"
	else
		fail "$1" "status $status: $out"
	fi
}

# advised NAME COMMAND...: what its one line says in quotes, and runs; then the command works
advised()
{
	local out command

	out=$("${@:2}" 2>&1) && { fail "$1" "it works already"; return 0; }
	command=$(grep -oE "'(tc|bpftool|ecbpf)[^']*'" <<<"$out" | tail -n 1 | tr -d "'")
	if [[ ! $command ]] || ! bash -c "$command" >"$work/out" 2>&1; then
		fail "$1" "'$command' of: $out: $(<"$work/out")"
	else
		works "$1: $command" "${@:2}"
	fi
}

# within COMMAND...: true within 20 s
within()
{
	for ((i = 0; i < 400; i++)); do
		! "$@" 2>/dev/null || return 0
		sleep 0.05
	done
	return 1
}

# tc_program NAME RETURN: an object with a program for TC
tc_program()
{
	cat >"$work/$1.bpf.c" <<-END
	#include <linux/bpf.h>
	#include <bpf/bpf_helpers.h>
	SEC("tc")
	int $1(struct __sk_buff *skb)
	{
		return $2;
	}
	char _license[] SEC("license") = "Dual BSD/GPL";
	END
	bpf_compile "$1"
}

# by_link NAME TYPE IFACE: attach $work/NAME.bpf.o by a BPF link of this type, held by a process
by_link()
{
	rm -f "$work/linked"
	bpftool prog load "$work/$1.bpf.o" "/sys/fs/bpf/$1"
	/usr/bin/python3 - "/sys/fs/bpf/$1" "$2" "$3" "$work/linked" >"$work/out" 2>&1 <<-'END' &
	import ctypes, socket, struct, sys, time

	def bpf(command, attr):
	    attr = ctypes.create_string_buffer(attr.ljust(64, b"\0"), 64)
	    fd = ctypes.CDLL(None, use_errno=True).syscall(321, command, attr, 64)
	    if fd < 0:
	        sys.exit(f"bpf: {ctypes.get_errno()}")
	    return fd

	path = ctypes.create_string_buffer(sys.argv[1].encode())
	prog = bpf(7, struct.pack("=QII", ctypes.addressof(path), 0, 0))
	index = socket.if_nametoindex(sys.argv[3])
	bpf(28, struct.pack("=IIII", prog, index, int(sys.argv[2]), 0))
	open(sys.argv[4], "w").close()
	time.sleep(600)
	END
	holder=$!
	for ((i = 0; i < 200; i++)); do
		[[ ! -e $work/linked ]] || return 0
		kill -0 "$holder" 2>/dev/null || break
		sleep 0.05
	done
	return 1
}
holder=
watcher=
unwatched()
{
	[[ ! $watcher ]] || kill "$watcher" 2>/dev/null || :
	[[ ! $watcher ]] || wait "$watcher" 2>/dev/null || :
	watcher=
}
defer unwatched
unlinked()
{
	[[ ! $holder ]] || kill "$holder" 2>/dev/null || :
	[[ ! $holder ]] || wait "$holder" 2>/dev/null || :
	holder=
}
defer unlinked

begin
has_egress() { tc filter show dev v0 egress | grep -q ecbpf_egress; }
lacks_ingress() { ! tc filter show dev v0 ingress | grep -q ecbpf; }

# --- the queueing discipline 'ingress' ------------------------------------------------------------

run tc qdisc add dev v0 ingress
fails "ingress: refused" 1 "v0: its queueing discipline ingress has no place at egress" \
	ecbpf-fastpath load --fused -i v0 -o v1 --flows 1000
works "ingress: nothing is at ingress" lacks_ingress
advised "ingress: what to do" ecbpf-fastpath load --fused -i v0 -o v1 --flows 1000
works "ingress: it is at egress" has_egress
run tc qdisc del dev v0 clsact
run tc qdisc add dev v0 ingress
doctor
expect "ingress, later" error fastpath-egress v0
says "ingress, later" fastpath-egress "ingress has no place at egress"
mend "ingress, later" fastpath-egress v0

# --- another filter in its place, or in front of it -----------------------------------------------

tc_program foreign_tc 0 # TC_ACT_OK
run tc filter replace dev v0 egress prio 65535 handle 1 bpf da obj "$work/foreign_tc.bpf.o" sec tc
doctor
expect "another filter" error fastpath-egress v0
says "another filter" fastpath-egress "foreign_tc"
id=$(tc -j filter show dev v0 egress | jq '[.. | .prog? // empty | .id][0]')
fails "another filter: refresh names it" 1 "foreign_tc.bpf.o:[tc] (id $id)" ecbpf-fastpath refresh
mend "another filter" fastpath-egress v0
run tc filter del dev v0 egress prio 65535
run tc filter add dev v0 egress prio 65535 protocol ip bpf da obj "$work/foreign_tc.bpf.o" sec tc
doctor
expect "one of another protocol" error fastpath-egress v0
mend "one of another protocol" fastpath-egress v0
run tc filter add dev v0 egress prio 1 handle 1 bpf da obj "$work/foreign_tc.bpf.o" sec tc
doctor
expect "a filter in front" warning fastpath-earlier v0
says "a filter in front" fastpath-earlier "TC filter foreign_tc.bpf.o:[tc] (id "
run tc filter del dev v0 egress prio 1
doctor
equal "no filter in front" "" "$(bad)"
if by_link foreign_tc 47 v0; then
	doctor
	expect "a TCX link" warning fastpath-earlier v0
	says "a TCX link" fastpath-earlier "TCX program foreign_tc (id "
else
	skip "a TCX link" "this kernel has none: $(<"$work/out")"
fi
unlinked
run ecbpf-fastpath unload
run ecbpf-loader clean

# --- a program that a BPF link holds --------------------------------------------------------------

foreign foreign_pass
if by_link foreign_pass 37 v0; then
	link=$(bpftool link show -j | jq '.[] | select(.type == "xdp") | .id')
	fails "an XDP link: load names it" 1 "'bpftool link detach id $link' removes it" \
		ecbpf-loader load --fused count v0
	fails "an XDP link: unload, too" 1 "'bpftool link detach id $link' removes it" \
		ecbpf-loader unload --all v0
	advised "an XDP link: what to do" ecbpf-loader load --fused count v0
else
	skip "an XDP link" "$(<"$work/out")"
fi
unlinked

# --- taken off, and that was meant ----------------------------------------------------------------

run ip link set v0 xdp off
run ip link set v0 xdp obj "$work/foreign_pass.bpf.o" sec xdp
id=$(ip -j link show v0 | jq '.[0].xdp.prog.id')
doctor
expect "taken off" error not-attached v0 "warning no-dispatcher"
command=$(selected . not-attached v0 | jq -r .why | sed -n 's/.*if that was meant: //p')
equal "taken off: the command for that" "ecbpf-loader clean v0" "$command"
works "taken off: $command" bash -c "$command"
doctor
equal "taken off: it was meant" "" "$(selected error .)"
equal "taken off: the peer's program stays" "$id" "$(ip -j link show v0 | jq '.[0].xdp.prog.id')"
run ip link set v0 xdp off
run ecbpf-loader load --fused count v0
works "clean: what is attached" ecbpf-loader clean v0
run ip link set v0 xdp off
doctor
expect "clean: is still known" error not-attached v0
equal "clean --all: no word of '.'" "" "$(ecbpf-loader clean --all 2>&1 </dev/null | grep warning || :)"

# --- the directory of what ends with the boot -----------------------------------------------------

printf '[interfaces]\ningress = v0\n[chain]\nstages = count\nfused = yes\n' >"$work/watch.conf"
export ECBPF_STATE_DIR=$work/state
watch_begin "$work/log" "$work/watch.conf"
works "a watch" grep -q ready "$work/log"
rm -rf /run/ecbpf
fails "/run/ecbpf is gone: no second watch" 1 "process $watcher (ecbpf-loader) keeps this" \
	timeout 20 ecbpf-loader watch "$work/watch.conf"
works "it is made again" within test -s "/run/ecbpf/watch-$(stat -Lc %i /proc/self/ns/net)"
fails "no second watch then, too" 1 "process $watcher (ecbpf-loader) keeps this" \
	timeout 20 ecbpf-loader watch "$work/watch.conf"
fails "nor in a mount namespace with its own /run" 1 "process $watcher (ecbpf-loader) keeps this" \
	unshare --mount sh -c "mount -t tmpfs tmpfs /run && exec timeout 20 ecbpf-loader watch \
	$work/watch.conf"
# anybody may take the name of a socket
unwatched
"${nobody[@]}" /usr/bin/python3 -c 'import socket, time
s = socket.socket(socket.AF_UNIX)
s.bind("\0ecbpf-watch")
s.listen()
print("bound", flush=True)
time.sleep(600)' >"$work/squat" 2>&1 &
squatter=$!
defer kill "$squatter"
works "another user takes the name of the socket" within grep -q bound "$work/squat"
watch_begin "$work/log" "$work/watch.conf"
works "that keeps no watch from running" grep -q ready "$work/log"
unwatched

rm -rf /sys/fs/bpf/xdp/globals /sys/fs/bpf/foreign_* # of ip and tc, and this test's own
end peers
summary
