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

# a program goes on with a map whose pin is gone: what was written to another one would be lost, so
# the map is pinned again
run ecbpf-loader load --fused filter,fw v0
run ecbpf-filter drop add 192.0.2.1
# ids of what is pinned; inodes are others
maps() { for map in /sys/fs/bpf/ecbpf/*_*; do bpftool -j map show pinned "$map"; done | jq .id; }
# keeps NAME PINS COMMAND...: without these pins it is done as with them, and they are there again
keeps()
{
	local before got

	before=$(maps)
	xargs -d '\n' rm <<<"$2"
	got=$("${@:3}" 2>&1 >/dev/null) && got="done: $got"
	equal "$1" "done: ${3}: warning: $(wc -l <<<"$2") pin$([[ $2 == *$'\n'* ]] && echo s) in \
/sys/fs/bpf/ecbpf had been removed: pinned again, from the programs that use these maps" "$got"
	equal "$1: the same maps" "$before" "$(maps)"
}
echo 203.0.113.7 >"$work/a.list"
for map in /sys/fs/bpf/ecbpf/{filter,fw}_*; do
	name=${map##*/}
	rm "$map"
	doctor
	expect "no pin $name" error other-maps v0
	says "no pin $name" other-maps "$name is gone"
	mend "no pin $name" other-maps v0
	case $name in
	filter_tries | filter_sources)
		keeps "$name: drop add" "$map" ecbpf-filter drop add 203.0.113.7
		run ecbpf-filter drop delete 203.0.113.7
		;;
	filter_lists)
		keeps "$name: drop add" "$map" ecbpf-filter drop add 203.0.113.7
		keeps "$name: drop delete" "$map" ecbpf-filter drop delete 203.0.113.7
		keeps "$name: drop list" "$map" ecbpf-filter drop list
		keeps "$name: drop import" "$map" ecbpf-filter drop import -f "$work/a.list"
		keeps "$name: export" "$map" ecbpf-loader export
		;;
	filter_addrs)
		keeps "$name: vip add" "$map" ecbpf-filter vip add 203.0.113.7
		keeps "$name: vip list" "$map" ecbpf-filter vip list
		keeps "$name: refresh" "$map" ecbpf-loader refresh
		;;
	filter_settings) keeps "$name: set" "$map" ecbpf-filter set land=drop ;;
	fw_active)
		keeps "$name: rule list" "$map" ecbpf-fw rule list
		keeps "$name: rule add" "$map" ecbpf-fw rule add 'ip from any to any udp drop'
		;;
	fw_*) keeps "$name: rule add" "$map" ecbpf-fw rule add 'ip from any to any udp drop' ;;
	esac
done
all=$(find /sys/fs/bpf/ecbpf -type f ! -name 'sampler_*') # of no program here
keeps "no pin at all: rule add" "$all" ecbpf-fw rule add 'ip from any to any udp drop name "last"'
keeps "no pin at all: another interface" "$all" ecbpf-loader load --fused fw v1
run find /sys/fs/bpf/ecbpf -type f -delete
run ecbpf-filter unload v0
equal "no pin at all: rules stay when a stage goes" last \
	"$(ecbpf-fw rule list | sed -n 's/.*name "\(.*\)"/\1/p')"
run ecbpf-loader unload --all v0
run ecbpf-loader unload --all v1
run ecbpf-loader load --fused filter,fw v0
doctor
equal "all pins are back: nothing bad" "" "$(bad)"
# what is pinned there belongs to others: no map is pinned beside it, and the advice says what ends
rm /sys/fs/bpf/ecbpf/fw_small
bpftool map pin id "$(bpftool -j map show pinned /sys/fs/bpf/ecbpf/fw_medium | jq .id)" \
	/sys/fs/bpf/ecbpf/fw_small
run ecbpf-filter drop add 203.0.113.7
rm /sys/fs/bpf/ecbpf/filter_tries
doctor
says "another map in its place" other-maps "filter_tries is gone"
says "another map in its place: what ends" other-maps "only those in files come back"
equal "another map in its place: a list is refused" "1 line" \
	"$(ecbpf-filter drop list 2>&1 | grep -c "'ecbpf-loader doctor v0' says how") line"
rm /sys/fs/bpf/ecbpf/fw_small
doctor
mend "it is gone" other-maps v0
equal "rules are there" last "$(ecbpf-fw rule list | sed -n 's/.*name "\(.*\)"/\1/p')"
equal "lists are there" "192.0.2.1 203.0.113.7" "$(ecbpf-filter drop list | grep -o '^[^ ]*' | xargs)"
works "the firewall can be changed" ecbpf-fw rule add 'ip from any to any udp drop'
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
