#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# fw.sh [COUNT]: the firewall on an interface: rules, sets, counters; COUNT (default: 20) swaps
# below traffic, as many killed changes; both CPUs at full rate. In virtual machines, where programs
# can be chained, see testing/vm/tests/fw.sh.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../fw.sh
. "$(dirname "$0")/../fw.sh"
require_cmd bpftool taskset

count=${1-20}
fw_begin
fw_basics native --fused
fw_swaps native "$count" --fused
fw_kill native "$count"
fw_two native

# --- both CPUs at full rate: packets of one rule on each ------------------------------------------

repeat=${ECBPF_FW_REPEAT-1000000}
printf '%s\n' 'ip from 192.0.2.0/25 to any udp drop' 'ip from 192.0.2.128/25 to any udp drop' \
	'ip from any to any udp pass' >"$work/c"
fw apply -f "$work/c"
id=$(ecbpf-loader status -j fw0 | jq '.[0].members[0].id')
for cpu in 0 1; do
	python3 - "$cpu" >"$work/frame$cpu" <<-'END'
		import sys
		sys.stdout.buffer.write(bytes.fromhex(
		    "02000000000102000000000208004500001c00014000401100"
		    "00c00002" + ("01" if sys.argv[1] == "0" else "81") +
		    "c633640104d2003500080000") + bytes(18))
	END
	taskset -c "$cpu" bpftool prog run id "$id" data_in "$work/frame$cpu" repeat "$repeat" \
		>"$work/run$cpu" &
done
wait
check "both CPUs at full rate: every verdict" "$repeat $repeat 0" "$(counted packets)"

# --- the examples of the manual -----------------------------------------------------------------

fw unload
fw apply -f /dev/null
cp "$work/a" "$work/rules"
cd "$work"
while read -r example; do
	example=${example/eth0/fw0}
	good "example: $example" bash -c "${example/load/load --fused}"
done < <(sed -n '/^\.EX/,/^\.EE/s/^ecbpf-fw /&/p' "$here/../man/ecbpf-fw.8.in")
fw unload
summary
