#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A change of a few rules writes over what was live before, and waits for no packets: in both slots
# the maps stay.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
use_build ip ecbpf-fw
require_cmd bpftool jq

rule='ip from any to any udp dport 53 drop name "dns"'
ip link add fw0 type veth peer name fw1
echo "$rule" | ecbpf-fw load --fused -f - fw0 >/dev/null

slots()
{
	local map slot

	for map in /sys/fs/bpf/ecbpf/fw_{small,text}; do
		for slot in 0 1; do
			bpftool -j map lookup pinned "$map" key "$slot" 0 0 0 || :
		done
	done | jq -c .value | xargs
}
more()
{
	ecbpf-fw rule add -q 'ip from any to any udp dport 99 drop name "more"'
	ecbpf-fw rule delete -q more
}
more
slots=$(slots) list=$(ecbpf-fw rule list)
for _ in 1 2 3; do more; done
equal "the maps are those that there were" "$slots" "$(slots)"
equal "so are the rules" "$list" "$(ecbpf-fw rule list)"
summary
