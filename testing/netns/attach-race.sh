#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Another process attaches its program just before ours is attached: ours does not replace it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
here=$(cd "$(dirname "$0")" && pwd -P)
use_build ip clang gcc jq ecbpf-loader ecbpf-filter ecbpf-sampler
tmp=$(mktemp -d)
defer rm -rf "$tmp"

${CC:-gcc} -O2 -shared -fPIC -o "$tmp/attach.so" "$here/../vm/after_attach.c" -ldl
clang --target=bpf -O2 -x c -c -o "$tmp/other.o" \
	-I"/usr/include/$(gcc -print-multiarch)" - <<-'END'
	#include <linux/bpf.h>

	__attribute__((section("xdp"))) int other(struct xdp_md *ctx)
	{
		return XDP_PASS;
	}
END
ip link add r0 type veth peer name r1
ip link set r0 up

# raced NAME COMMAND...: a command of ours; before it attaches, the other program takes the place of
# what it has found
raced()
{
	local out status=0

	out=$(LD_PRELOAD=$tmp/attach.so \
		BEFORE_ATTACH="ip -force link set r0 xdp obj $tmp/other.o sec xdp" "${@:2}" 2>&1) ||
		status=$?
	if ((status == 1)) && grep -q "'other' .* is attached without a dispatcher" <<<"$out"; then
		pass "$1: refused"
	else
		fail "$1: refused" "status $status: $out"
	fi
	equal "$1: the other program stays" other \
		"$(ip -d -j link show r0 | jq -r '.[0].xdp.prog.name')"
	ip link set r0 xdp off
}

raced "where nothing was attached" ecbpf-loader load --fused pass r0
ecbpf-filter load --fused r0
raced "where ours was attached" ecbpf-sampler load --fused r0
summary
