#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The doctor where the kernel cannot replace BPF functions (freplace). All else is tested in
# testing/vm/tests/doctor.sh.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
require_cmd ip tc jq clang gcc xdp-loader
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

findings=$(as_nobody ecbpf-loader doctor -j) && status=0 || status=$?
expect "not root" error privilege host
end native
summary
