#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# ecbpf-loader clean leaves maps, and pins of what is attached in any network namespace.
# Where nothing can be chained, a program that is attached alone stands for a dispatcher.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd -P)
fresh_net "$@"
PATH=${ECBPF_BUILD:-$top/build/test}/root/sbin:$PATH
require_cmd ecbpf-loader jq ip bpftool
tmp=$(mktemp -d)
defer rm -rf "$tmp"
[[ $(stat -Lc %i /proc/self/ns/pid) == $((0xEFFFFFFC)) ]] ||
	skip_all "in a PID namespace, where clean cannot see all processes"

# pin ID: as libxdp would, of a dispatcher on an interface that is not there
pin()
{
	mkdir -p "/sys/fs/bpf/xdp/dispatch-77-$1"
	bpftool prog pin id "$1" "/sys/fs/bpf/xdp/dispatch-77-$1/prog0-prog" 2>/dev/null || :
}

# pinned ID: yes or no
pinned() { if [[ -e /sys/fs/bpf/xdp/dispatch-77-$1 ]]; then echo yes; else echo no; fi; }

ns_add other
ns other ip link add w0 type veth peer name w1
ns other ecbpf-loader load --fused pass w0
id=$(ns other ip -j link show w0 | jq -r '.[0].xdp.prog.id')
find /sys/fs/bpf -name "dispatch-*-$id" -prune -exec rm -r {} + # where it is a dispatcher
pin "$id"
pin 99999999
ip link add v0 type veth peer name v1
printf '[interfaces]\ningress = v0\n[chain]\nstages = count\nfused = yes\n' >"$tmp/conf"

out=$(ecbpf-loader clean 2>&1)
equal "what is attached in another namespace is left" yes "$(pinned "$id")"
equal "what is gone is removed" no "$(pinned 99999999)"
equal "the number" "removed the pins of 1 dispatcher" "$out"
works "apply" ecbpf-loader apply "$tmp/conf"
ip link set v0 xdp off
works "apply again" ecbpf-loader apply "$tmp/conf"
equal "it leaves it, too" yes "$(pinned "$id")"

# a namespace that only a file descriptor keeps, and one that only a mount elsewhere keeps
mkdir "$tmp/point"
touch "$tmp/point/net"
bash -c 'exec sleep 1000' <"/run/netns/other" &
holder=$!
defer eval "kill $holder 2>/dev/null || :"
until [[ $(</proc/$holder/comm) == sleep ]]; do sleep 0.1; done # it has opened the file
umount --lazy /run/netns/other
ecbpf-loader clean >"$tmp/out" 2>&1
equal "a namespace that a descriptor keeps" yes "$(pinned "$id")"
# shellcheck disable=SC2016 # expanded inside
unshare --mount --propagation private bash -c 'mount -c --bind "/proc/$0/fd/0" "$1" &&
	echo ready; exec sleep 1000' "$holder" "$tmp/point/net" >"$tmp/mount" &
sleeper=$!
defer kill "$sleeper"
until grep -q ready "$tmp/mount"; do sleep 0.1; done
kill "$holder"
wait "$holder" || :
ecbpf-loader clean >"$tmp/out" 2>&1
equal "one that a mount elsewhere keeps" yes "$(pinned "$id")"

# where not all can be seen
unshare --pid --fork --mount-proc ecbpf-loader clean >"$tmp/out" 2>&1
equal "in a container" yes "$(pinned "$id")"
equal "it says so" 1 "$(grep -c 'warning: left the pins of 1 dispatcher, ' "$tmp/out")"

nsenter --net="/proc/$sleeper/root$tmp/point/net" ip link set w0 xdp off
out=$(ecbpf-loader clean 2>&1)
if stat -L /proc/1/ns/net >"$tmp/out" 2>&1; then
	equal "attached nowhere" no "$(pinned "$id")"
	equal "the number, again" "removed the pins of 1 dispatcher" "$out"
else
	skip "attached nowhere" "the namespaces of process 1 are hidden from root"
	rm -r "/sys/fs/bpf/xdp/dispatch-77-$id"
fi

# maps have rules, lists and settings
ecbpf-filter load --fused v1
ecbpf-filter drop add 192.0.2.1
ecbpf-loader unload --all v0,v1
works "clean" ecbpf-loader clean
equal "keeps a list" 192.0.2.1 "$(ecbpf-filter drop list | awk '{ print $1 }')"
equal "and no advice of doctor loses it" "" "$(ecbpf-loader doctor | grep 'clean' || :)"
works "clean --all" ecbpf-loader clean --all
equal "removes all" "" "$(find /sys/fs/bpf -mindepth 2 ! -type d)"
summary
