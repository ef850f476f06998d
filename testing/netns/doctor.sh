#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The doctor where the kernel cannot replace BPF functions (freplace). All else is tested in
# testing/vm/tests/doctor.sh.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
require_cmd ip tc jq bpftool clang gcc xdp-loader
# shellcheck source-path=SCRIPTDIR source=../lib/doctor.sh
. "$(dirname "$0")/../lib/doctor.sh"

foreign foreign_pass
begin
doctor
[[ ! $(selected ok freplace) ]] || skip_all "this kernel has freplace"
expect "no freplace" note freplace-missing host
says "no freplace" freplace-missing "--fused"

run ecbpf-loader load --fused pass,count v0
doctor
expect "fused, as this kernel wants it" ok direct v0
expect "fused: native mode" ok mode v0
if ecbpf-loader load v0 pass >"$work/out" 2>&1; then
	fail "a chain is refused" "it is not"
else
	pass "a chain is refused"
fi
run ecbpf-loader unload --all v0
run ecbpf-loader load -m skb -S malformed_action=XDP_DROP --fused pass,count v0
doctor
mode=$(selected . mode-skb v0 | jq -r .severity) # Linux before 6.3 does not know its drivers
expect "skb mode" "$mode" mode-skb v0
equal "skb mode: the command has its constants" "ecbpf-loader unload --all v0 && \
ecbpf-loader load -S malformed_action=1 --fused pass,count v0" \
	"$(selected . mode-skb v0 | jq -r .fix)"
mend "skb mode" mode-skb v0
expect "skb mode, mended: native" ok mode v0
equal "skb mode, mended: constants" "malformed_action=1" \
	"$(ecbpf-loader export | grep ^malformed_action)"
run ecbpf-loader unload --all v0
doctor
expect "maps that nobody uses" note maps-unused host
run ecbpf-loader clean --all

# libxdp says that it chained this one
run xdp-loader load v0 "$work/foreign_pass.bpf.o"
doctor
expect "libxdp's fallback" warning no-dispatcher v0
says "libxdp's fallback" no-dispatcher "foreign_pass"
mend "libxdp's fallback" no-dispatcher v0

# names longer than the kernel keeps
long=foreign_with_a_long_name
foreign $long
for name in $long ${long:0:15}; do
	run xdp-loader load v0 "$work/$long.bpf.o"
	if diff <(ecbpf-loader status v0) <(xdp-loader status v0) >"$work/out"; then
		pass "$name: the table of xdp-loader"
	else
		fail "$name: the table of xdp-loader" "$(<"$work/out")"
	fi
	run ecbpf-loader unload --name "$name" v0
	equal "unload --name $name" "none" "$(ecbpf-loader status -j v0 | jq -r '.[0].kind')"
done
run ecbpf-loader clean

fastpath_faults "fast path" --fused

# a program goes on with a map whose pin is gone: whatever is written to another one is lost
run ecbpf-loader load --fused filter,fw v0
run ecbpf-filter drop add 192.0.2.1
# keeps NAME COMMAND...: refused in one line, which says what helps, and nothing is made
keeps()
{
	local before got

	before=$(ls /sys/fs/bpf/ecbpf)
	got=$("${@:2}" 2>&1) && got="done: $got"
	equal "$1" "1 line, nothing made" "$(if [[ $got != *$'\n'* && \
		$got == *"'ecbpf-loader doctor v0' says how"* ]]; then
		echo "1 line, $([[ $before == "$(ls /sys/fs/bpf/ecbpf)" ]] && echo nothing) made"
	else
		echo "$got"
	fi)"
}
echo 203.0.113.7 >"$work/a.list"
for map in /sys/fs/bpf/ecbpf/{filter,fw}_*; do
	name=${map##*/}
	bpftool map pin pinned "$map" /sys/fs/bpf/kept
	rm "$map"
	doctor
	expect "no pin $name" error other-maps v0
	says "no pin $name" other-maps "$name is gone"
	case $name in
	filter_lists | filter_tries | filter_sources)
		keeps "$name: drop add" ecbpf-filter drop add 203.0.113.7
		keeps "$name: drop delete" ecbpf-filter drop delete 192.0.2.1
		keeps "$name: drop list" ecbpf-filter drop list
		keeps "$name: drop replace" ecbpf-filter drop import --replace -f "$work/a.list"
		keeps "$name: export" ecbpf-loader export
		;;
	filter_addrs)
		keeps "$name: vip add" ecbpf-filter vip add 203.0.113.7
		keeps "$name: vip list" ecbpf-filter vip list
		keeps "$name: refresh" ecbpf-loader refresh
		;;
	filter_settings) keeps "$name: set" ecbpf-filter set land=drop ;;
	fw_*)
		keeps "$name: rule list" ecbpf-fw rule list
		keeps "$name: rule add" ecbpf-fw rule add 'ip from any to any udp drop'
		;;
	esac
	bpftool map pin pinned /sys/fs/bpf/kept "$map"
	rm /sys/fs/bpf/kept
done
doctor
equal "all pins are back: nothing bad" "" "$(bad)"
rm /sys/fs/bpf/ecbpf/fw_small
bpftool map pin id "$(bpftool -j map show pinned /sys/fs/bpf/ecbpf/fw_medium | jq .id)" \
	/sys/fs/bpf/ecbpf/fw_small
doctor
says "another map in its place" other-maps "fw_small is another one"
rm /sys/fs/bpf/ecbpf/fw_small
doctor
mend "a map of the firewall is gone" other-maps v0
equal "all of its maps are new" "" "$(ecbpf-fw rule list | grep -v ^#)"
works "the firewall can be changed" ecbpf-fw rule add 'ip from any to any udp drop'
rm /sys/fs/bpf/ecbpf/filter_tries
doctor
mend "a map of the lists is gone" other-maps v0
equal "lists are empty" "" "$(ecbpf-filter drop list)"
run ecbpf-loader unload --all v0
rm /sys/fs/bpf/ecbpf/fw_text
equal "no program uses them: what is missing, and what helps" "ecbpf-fw: no map \
/sys/fs/bpf/ecbpf/fw_text, though others of the firewall are there: it was removed; 'ecbpf-fw \
load' makes it anew, without rules unless they are given" "$(ecbpf-fw rule list 2>&1)"
run ecbpf-loader clean --all

findings=$(as_nobody ecbpf-loader doctor -j) && status=0 || status=$?
expect "not root" error privilege host
end native
summary
