#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A change of rules writes over what was live before, and waits for no packets: in both slots the
# maps stay. Beside few rules, the maps of very many do not.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
use_build ip ecbpf-fw ecbpf-loader
require_cmd bpftool jq

# rules N
rules()
{
	local i

	for ((i = 1; i <= $1; i++)); do
		echo "ip from 10.$((i >> 8)).$((i & 255)).0/24 to any udp dport $i drop name \"r$i\""
	done
}
# slots MAP...: what both slots have of them
slots()
{
	local map slot

	for map; do
		for slot in 0 1; do
			bpftool -j map lookup pinned "/sys/fs/bpf/ecbpf/fw_$map" key "$slot" 0 0 0 || :
		done
	done | jq -c '.value // empty' | xargs
}
more()
{
	ecbpf-fw rule add -q 'ip from any to any udp dport 9999 drop name "more"'
	ecbpf-fw rule delete -q more
}

ip link add fw0 type veth peer name fw1
rules 1 | ecbpf-fw load --fused -f - fw0 >/dev/null
# 64: each change goes to another size and back
for count in 1 64 65 4097; do
	rules "$count" | ecbpf-fw apply -q -f -
	more
	slots=$(slots small medium large text) list=$(ecbpf-fw rule list)
	for _ in 1 2 3; do more; done
	equal "$count: the maps are those that there were" "$slots" "$(slots small medium large text)"
	equal "$count: so are the rules" "$list" "$(ecbpf-fw rule list)"
done
equal "4097: two large maps" 2 "$(slots large | wc -w)"
rules 1 | ecbpf-fw apply -q -f -
more
equal "1: no large map" 0 "$(slots large | wc -w)"
equal "1: the rules" "$(rules 1)" "$(ecbpf-fw rule list | grep -v '^#')"

# somebody takes the live tables away: every packet passes, which is told, and mended
pins=/sys/fs/bpf/ecbpf
live() { bpftool -j map lookup pinned $pins/fw_active key 0 0 0 0 | jq '.formatted.value.word'; }
damaged()
{
	equal "$1: rules are not listed" "ecbpf-fw: the tables of the live rules were removed from \
ecbpf's maps, and every packet passes; 'ecbpf-fw apply' repairs it" "$(ecbpf-fw rule list 2>&1 || :)"
	equal "$1: the doctor" 1 "$({ ecbpf-loader doctor || :; } | grep -c 'every packet passes')"
	rules 1 | ecbpf-fw apply -q -f -
	equal "$1: mended" "$(rules 1)" "$(ecbpf-fw rule list | grep -v '^#')"
}
bpftool map delete pinned $pins/fw_small key "$(($(live) & 1))" 0 0 0
damaged "tables that are removed"
bpftool map update pinned $pins/fw_active key 0 0 0 0 value 6 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
damaged "a generation that there is not"
summary
