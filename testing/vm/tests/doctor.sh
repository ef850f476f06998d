#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 2400
#
# The doctor, fault by fault: each is planted for real, found under its code, and mended by the
# command that the doctor gives.
# shellcheck disable=SC2317 # the faults are called by name
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../lib/lib.sh
. "$(dirname "$0")/../../lib/lib.sh"
fresh_bpffs "$@"
require_cmd ip jq clang gcc bpftool xdp-loader nsenter setpriv
# shellcheck source-path=SCRIPTDIR source=../../lib/doctor.sh
. "$(dirname "$0")/../../lib/doctor.sh"

# kernel_is MAJOR.MINOR: this one, or a newer one
kernel_is() { [[ $(printf '%s\n' "$1" "$(uname -r)" | sort -V | head -n 1) == "$1" ]]; }

# apart COMMAND...: with a BPF file system of its own, in a mount namespace of its own
apart()
{
	unshare --mount --propagation private -- \
		bash -c 'mount -t bpf -o mode=0700 bpf /sys/fs/bpf && "$@"' apart "$@"
}

# chain_id: of the dispatcher on v0
chain_id() { ip -j link show v0 | jq -r '.[0].xdp.prog.id // .[0].xdp.attached[0].prog.id'; }

healthy()
{
	begin
	doctor
	expect "empty host" ok pins host
	run ecbpf-loader load v0 pass count
	doctor
	expect "healthy chain" ok members v0
	expect "healthy chain: native mode" ok mode v0
	expect "healthy chain: maps" ok maps host
	if [[ $(jq -c '[.[] | .severity] | unique' <<<"$findings") == '["ok"]' ]] ||
		! kernel_is 5.18 || [[ $(selected note resize-refused) ]]; then
		pass "healthy chain: nothing else to say"
	else
		fail "healthy chain: nothing else to say" "$(found)"
	fi
	doctor v1
	expect "nothing attached" note no-program v1
	status=0
	ecbpf-loader doctor nosuch0 >"$work/out" 2>&1 || status=$?
	if ((status == 1)) && grep -q 'nosuch0: no such interface' "$work/out"; then
		pass "no such interface"
	else
		fail "no such interface" "status $status, $(<"$work/out")"
	fi
	run ecbpf-loader unload --all v0
	doctor
	expect "maps that nobody uses" note maps-unused host
	run ecbpf-loader clean --all
	end healthy
}

host()
{
	local setting=/proc/sys/net/core/bpf_jit_enable

	begin
	umount /sys/fs/bpf # at the very bottom there is another one
	mount --bind "$work" /sys/fs/bpf
	doctor
	expect "no bpffs" error bpffs-missing host
	mend "no bpffs" bpffs-missing host
	umount /sys/fs/bpf && umount /sys/fs/bpf && mount -t bpf -o mode=0700 bpf /sys/fs/bpf
	LIBXDP_BPFFS=$work/new doctor
	LIBXDP_BPFFS=$work/new expect "no such directory" error bpffs-missing host
	LIBXDP_BPFFS=$work/new mend "no such directory" bpffs-missing host
	umount "$work/new"

	findings=$(as_nobody ecbpf-loader doctor -j) && status=0 ||
		status=$?
	expect "not root" error privilege host
	says "not root" privilege "CAP_SYS_ADMIN CAP_NET_ADMIN"
	if [[ $(jq length <<<"$findings") == 2 ]]; then
		pass "not root: said once"
	else
		fail "not root: said once" "$(found)"
	fi
	findings=$(setpriv --bounding-set=-net_admin ecbpf-loader doctor -j) && status=0 ||
		status=$?
	expect "no CAP_NET_ADMIN" error privilege host
	says "no CAP_NET_ADMIN" privilege "missing privilege: CAP_NET_ADMIN"

	findings=$(setarch "$(uname -m)" --uname-2.6 ecbpf-loader doctor -j) && status=0 ||
		status=$?
	expect "old kernel" error kernel-old host
	LIBXDP_OBJECT_PATH=$work doctor
	expect "no dispatcher" error libxdp-dispatcher host

	if echo 0 >"$setting"; then
		doctor
		expect "no JIT" warning jit-off host
		expect "no JIT: nor freplace" note freplace-missing host "warning jit-off"
		mend "no JIT" jit-off host
		echo 1 >"$setting"
	else
		skip "no JIT" "this kernel does not do without"
	fi
	if kernel_is 5.18; then
		doctor
		expect "fragments" ok frags host
	else
		doctor
		expect "no fragments" note frags-missing host
	fi
	end host
}

links()
{
	local id holder

	begin
	run ecbpf-loader load v0 pass count "$work/foreign_pass.bpf.o"
	id=$(chain_id)
	rm /sys/fs/bpf/xdp/dispatch-*-"$id"/prog1-link
	doctor
	expect "link removed" error fails-open v0
	says "link removed" fails-open "2 of 3 members run; not foreign_pass"
	mend "link removed" fails-open v0
	if [[ $(ecbpf-loader status -j v0 | jq '[.. | .name? // empty] |
		contains(["ecbpf_pass", "ecbpf_count", "foreign_pass"])') == true ]]; then
		pass "link removed, mended: all are there"
	else
		fail "link removed, mended: all are there" "$(ecbpf-loader status v0)"
	fi

	# held by a process: runs, as long as that does
	id=$(chain_id)
	/usr/bin/python3 - /sys/fs/bpf/xdp/dispatch-*-"$id"/prog1-link <<-'END' >"$work/held" &
	import ctypes, sys, time
	path = ctypes.create_string_buffer(sys.argv[1].encode())
	attr = (ctypes.c_uint64 * 16)(ctypes.addressof(path))
	assert ctypes.CDLL(None).syscall(321, 7, attr, 16) >= 0
	print("held", flush=True)
	time.sleep(1000)
	END
	holder=$!
	until [[ -s $work/held ]]; do
		kill -0 "$holder"
		sleep 0.1
	done
	rm /sys/fs/bpf/xdp/dispatch-*-"$id"/prog1-link
	doctor
	expect "link held by a process" warning link-unpinned v0
	kill "$holder"
	wait "$holder" || : # killed
	doctor
	expect "link held no longer" error fails-open v0
	mend "link held no longer" fails-open v0
	end links
}

lost_pins()
{
	begin
	run apart ecbpf-loader load v0 pass count
	doctor
	expect "mount namespace ended" error fails-open v0
	says "mount namespace ended" fails-open "0 of 2 members run"
	mend "mount namespace ended" fails-open v0

	# shellcheck disable=SC2016 # expanded inside
	apart bash -c 'ecbpf-loader load v0 pass && echo $$ >"$0" && exec sleep 1000' \
		"$work/sleeper" &
	until [[ -s $work/sleeper ]]; do
		kill -0 $!
		sleep 0.1
	done
	doctor
	expect "pins in another mount namespace" warning pins-missing v0
	kill "$(<"$work/sleeper")"
	wait $! || : # killed
	doctor
	expect "that one ended" error fails-open v0
	mend "that one ended" fails-open v0

	ns_add inside
	run ip link set v0 netns inside
	run ip netns exec inside bash -c \
		'mount -t bpf -o mode=0700 bpf /sys/fs/bpf && ecbpf-loader load v0 pass'
	findings=$(ns inside ecbpf-loader doctor -j) && status=0 || status=$?
	expect "ip netns exec" error fails-open v0
	findings=$(ip netns exec inside ecbpf-loader doctor -j) && status=0 || status=$?
	expect "ip netns exec: no bpffs there" error bpffs-missing host "error fails-open"
	end lost_pins
}

namespaces()
{
	local i holder

	begin
	ns_add other
	ns other ip link add w0 type veth peer name w1
	run ecbpf-loader load v0 pass count
	run ns other ecbpf-loader clean
	doctor
	expect "ecbpf-loader clean elsewhere" ok members v0
	run xdp-loader load v0 "$work/foreign_pass.bpf.o" # a new dispatcher, without a mark of ours
	run ns other ecbpf-loader clean
	printf '[interfaces]\ningress =\n' | ns other ecbpf-loader apply - >"$work/out" 2>&1
	doctor
	expect "a peer's rebuild, and clean elsewhere" ok members v0
	findings=$(ns other ecbpf-loader doctor -j) && status=0 || status=$?
	expect "seen from elsewhere" warning netns-shared host
	says "seen from elsewhere" netns-shared "dispatch-"
	run ns other xdp-loader clean
	doctor
	expect "xdp-loader clean elsewhere" error fails-open v0
	says "xdp-loader clean elsewhere" fails-open "0 of 3 members run"
	mend "xdp-loader clean elsewhere" fails-open v0

	# Of a namespace that is gone nobody can tell, but that no one is in it.
	ip netns add gone
	ip link set v1 netns gone
	run ns gone ecbpf-loader load v1 pass
	doctor
	expect "namespace in use" warning netns-shared host
	unshare --mount --propagation private sleep 300 &
	holder=$!
	for ((i = 0; i < 100; i++)); do
		[[ $(<"/proc/$holder/comm") != sleep ]] || break
		sleep 0.1
	done
	umount /run/netns/gone
	doctor
	expect "namespace that only a mount elsewhere holds" warning netns-shared host
	kill "$holder"
	wait "$holder" || :
	rm /run/netns/gone
	for ((i = 0; i < 50; i++)); do
		ip link show v0 >"$work/out" 2>&1 || break
		sleep 0.1
	done
	run ecbpf-loader clean
	doctor
	expect "namespace gone" warning netns-gone host
	mend "namespace gone" netns-gone host
	end namespaces
}

stale()
{
	begin
	run ecbpf-loader load v0 count
	LD_PRELOAD=$work/killer.so ecbpf-loader load v0 pass >"$work/out" 2>&1 && status=0 ||
		status=$?
	((status == 137)) || fail "stale pins: loader killed" "exit status $status"
	doctor
	expect "loader killed" warning stale-pins host
	expect "loader killed: the chain is whole" ok members v0 "warning stale-pins"
	mend "loader killed" stale-pins host
	expect "loader killed, mended: the chain is whole" ok members v0
	run ip link del v0
	doctor
	expect "interface gone" warning stale-pins host
	mend "interface gone" stale-pins host
	end stale
}

single()
{
	begin
	run ip link set v0 xdp obj "$work/foreign_pass.bpf.o" sec xdp
	rm -rf /sys/fs/bpf/xdp # ip makes a directory there
	doctor
	expect "single program" warning no-dispatcher v0
	says "single program" no-dispatcher foreign_pass
	mend "single program" no-dispatcher v0
	# as libxdp does where there is no freplace
	echo 0 >/proc/sys/net/core/bpf_jit_enable
	run ecbpf-loader load --fused pass,count v0
	doctor
	expect "fused, no freplace" ok direct v0 "warning jit-off"
	echo 1 >/proc/sys/net/core/bpf_jit_enable
	doctor
	expect "fused without dispatcher" note direct v0
	end single
}

modes()
{
	local want=note

	begin
	run ecbpf-loader load -m skb -S malformed_action=XDP_DROP v0 pass
	run ecbpf-loader load v0 count
	ecbpf-loader features v0 >"$work/out" 2>&1 && kernel_is 6.3 && want=warning
	doctor
	expect "skb mode" "$want" mode-skb v0
	equal "skb mode: the command has its constants" "ecbpf-loader unload --all v0 && \
ecbpf-loader load -S malformed_action=1 v0 pass && ecbpf-loader load v0 count" \
		"$(selected . mode-skb | jq -r .fix)"
	mend "skb mode" mode-skb v0
	expect "skb mode, mended: native" ok mode v0
	end modes

	begin
	ip link set v0 mtu 9000
	ip link set v1 mtu 9000
	run ecbpf-loader load -m skb v0 "$work/foreign_pass.bpf.o"
	doctor
	says "skb mode with a large MTU" mode-skb "with this MTU"
	run ecbpf-loader unload --all v0
	if ecbpf-loader load -m native v0 "$work/foreign_pass.bpf.o" >"$work/out" 2>&1; then
		fail "large MTU" "loaded without fragments"
	fi
	doctor v0
	expect "large MTU" note mtu-large v0
	mend "large MTU" mtu-large v0 v0
	ip link set v1 mtu 1500
	run ecbpf-loader load -m native v0 pass "$work/foreign_pass.bpf.o"
	doctor
	if kernel_is 5.18; then
		expect "member without fragments" note no-frags v0
		says "member without fragments" no-frags "because of foreign_pass"
	fi
	if ip link set v1 mtu 9000 2>"$work/out"; then
		fail "member without fragments: large MTU is refused" "it is not"
	else
		pass "member without fragments: large MTU is refused"
	fi
	end modes
}

protocols()
{
	local own other

	begin
	own=$(ecbpf-loader doctor -j | jq -r '.[] | select(.code == "libxdp") | .what')
	own=${own##* }
	other=$((5 - own))
	mkdir "$work/dispatcher"
	forged other_protocol "$other"
	cp "$work/other_protocol.bpf.o" "$work/dispatcher/xdp-dispatcher.o"
	run env LIBXDP_OBJECT_PATH="$work/dispatcher" ecbpf-loader load v0 pass count
	doctor
	expect "other protocol" warning protocol-mixed v0
	says "other protocol" protocol-mixed "protocol $other, the installed libxdp uses $own"
	mend "other protocol" protocol-mixed v0
	[[ $(selected ok members v0) ]] || fail "other protocol, mended: loaded again" "$(found)"
	run ecbpf-loader unload --all v0

	forged protocol1 1
	run bpftool prog load "$work/protocol1.bpf.o" /sys/fs/bpf/protocol1 type xdp
	run bpftool net attach xdpdrv pinned /sys/fs/bpf/protocol1 dev v0
	doctor
	expect "protocol 1" warning protocol-unknown v0
	mend "protocol 1" protocol-unknown v0
	rm -f /sys/fs/bpf/protocol1
	end protocols
}

schema()
{
	begin
	run ecbpf-loader load v0 pass
	run ecbpf-loader unload --all v0
	run ecbpf-loader clean --all
	# pins its maps in /sys/fs/bpf
	run xdp-loader load v0 "$work/other.bpf.o"
	doctor
	expect "member of another schema" warning schema-member v0
	mend "member of another schema" schema-member v0
	find /sys/fs/bpf -maxdepth 1 -type f -delete

	run xdp-loader load -p /sys/fs/bpf/ecbpf v0 "$work/other.bpf.o"
	doctor
	expect "maps of another schema" error schema-maps host "warning schema-member"
	equal "no advice that takes programs off" "" \
		"$(selected . . | jq -r 'select(.code | startswith("schema-")) | .fix // empty')"
	run ecbpf-loader unload --all v0
	run ecbpf-loader clean --all
	run xdp-loader load -p /sys/fs/bpf/ecbpf v0 "$work/other.bpf.o"
	run xdp-loader unload --all v0
	doctor
	expect "maps of another schema, unused" error schema-maps host
	mend "maps of another schema, unused" schema-maps host
	end schema
}

resize()
{
	begin
	# the truth: does libxdp chain it?
	if xdp-loader load v0 "$work/foreign_pass.bpf.o" "$work/foreign_resize.bpf.o" \
		>"$work/out" 2>&1; then
		run xdp-loader unload --all v0
		doctor
		expect "resizing program" ok resize host
		run ecbpf-loader load v0 "$work/foreign_pass.bpf.o" "$work/foreign_resize.bpf.o"
		doctor
		expect "resizing program: chained" ok members v0
		[[ ! $(selected . dispatcher-own) ]] ||
			fail "resizing program: libxdp's dispatcher" "$(found)"
	else
		doctor
		expect "resizing program is refused" note resize-refused host
		run ecbpf-loader load v0 "$work/foreign_pass.bpf.o" "$work/foreign_resize.bpf.o"
		doctor
		expect "resizing program: own dispatcher" note dispatcher-own v0
		expect "resizing program: all run" ok members v0
	fi
	end resize
}

card()
{
	local iface

	if ! modprobe -q netdevsim; then
		skip "program in the network card" "this kernel has no netdevsim"
		return
	fi
	begin
	echo "1 1" >/sys/bus/netdevsim/new_device
	iface=$(basename /sys/bus/netdevsim/devices/netdevsim1/net/*)
	run bpftool prog load "$work/foreign_pass.bpf.o" /sys/fs/bpf/card type xdp \
		offload_dev "$iface"
	run bpftool net attach xdpoffload pinned /sys/fs/bpf/card dev "$iface"
	doctor
	expect "program in the network card" note offload "$iface"
	run bpftool net detach xdpoffload dev "$iface"
	rm /sys/fs/bpf/card
	echo 1 >/sys/bus/netdevsim/del_device
	end card
}

fastpath()
{
	begin
	fastpath_faults "fast path"
	modprobe -q ip_vs || { skip "settings and IPVS" "no ip_vs"; end fastpath; return; }
	run ecbpf-fastpath load -i v0 --flows 1000
	run ipvsadm --set 20 30 40
	doctor
	expect "settings longer than IPVS's timeouts" warning fastpath-timeouts host
	says "settings longer than IPVS's timeouts" fastpath-timeouts "TCP timeout (20 s"
	mend "settings longer than IPVS's timeouts" fastpath-timeouts host
	run ipvsadm --set 900 120 300
	run ecbpf-fastpath unload
	end fastpath
}

# What was loaded, and was taken off by another tool; more of it is in netns/declared.sh
declared()
{
	local id

	begin
	run ecbpf-loader load v0 pass count
	id=$(ecbpf-loader status -j v0 | jq '.[].members[] | select(.name == "ecbpf_count") | .id')
	run xdp-loader unload -i "$id" v0
	doctor
	expect "taken out of the chain" error not-attached v0
	says "taken out of the chain" not-attached "took ecbpf's programs off v0: count"
	mend "taken out of the chain" not-attached v0
	expect "taken out of the chain, mended" ok members v0

	run ecbpf-loader unload --all v0
	run ecbpf-loader load v0 "$ECBPF_BUILD/progs/count.bpf.o" pass # a stage, from a file
	doctor
	expect "a stage from a file" ok members v0
	run ecbpf-loader status v0
	run ecbpf-loader load -P 20 -A XDP_PASS,XDP_TX v0 "$work/foreign_pass.bpf.o"
	run ip link set v0 xdp off
	doctor
	expect "xdp off" error not-attached v0 "warning stale-pins"
	expect "xdp off: pins" warning stale-pins host "error not-attached"
	bash -c "$(selected . stale-pins | jq -r .fix)" >"$work/out"
	doctor
	expect "xdp off: pins are mended" error not-attached v0
	mend "xdp off" not-attached v0
	if [[ $(ecbpf-loader status -j v0 | jq -c '.[].members | map([.name, .prio])') == \
		'[["foreign_pass",20],["ecbpf_pass",50],["ecbpf_count",80]]' ]]; then
		pass "xdp off, mended: all are there"
	else
		fail "xdp off, mended: all are there" "$(ecbpf-loader status v0)"
	fi
	end declared
}

foreign foreign_pass
foreign foreign_resize 'bpf_xdp_adjust_tail(ctx, 0);'
other_schema
killer
for faults in ${ECBPF_FAULTS:-healthy host links lost_pins namespaces stale single modes \
	protocols schema resize card fastpath declared}; do
	"$faults"
done
summary
