#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 900
#
# Lists of sources: what is on them does not come through, whatever the packet is, and all else
# does; chained, alone and fused, native and skb mode. Who is on both lists comes through.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../chains.sh
. "$(dirname "$0")/../chains.sh"
require_cmd ecbpf-filter

filter() { ecbpf-filter "$@"; }

# count NAME: print a counter of status
count() { filter status d0 | awk -v name="$1:" '$1 == name { print $2 }'; }

# hits PREFIX: print how many packets a prefix of the drop list has counted
hits() { filter drop list | awk -v prefix="$1" '$1 == prefix { print $5 }'; }

pair_add d0 d1
"$vm_dir/sources" frames 192.0.2.7 192.0.2.8 192.0.3.7 2001:db8:1::7 2001:db8:1::8 2001:db8:2::7 \
	>"$tmp/frames"
sent4=$(grep -c '^192.0.2.7 ' "$tmp/frames")
sent6=$(grep -c '^2001:db8:1::7 ' "$tmp/frames")

# through BLOCKED ALLOWED: what sources prints when these shares of the first two sources of each
# family come through, and all of the last one
through()
{
	echo "192.0.2.7 $(($1 * sent4)) of $sent4"
	echo "192.0.2.8 $(($2 * sent4)) of $sent4"
	echo "192.0.3.7 $sent4 of $sent4"
	echo "2001:db8:1::7 $(($1 * sent6)) of $sent6"
	echo "2001:db8:1::8 $(($2 * sent6)) of $sent6"
	echo "2001:db8:2::7 $sent6 of $sent6"
}

send_all() { "$vm_dir/sources" send d1 peer d0 <"$tmp/frames" 2>&1; }

# scenario NAME
scenario()
{
	equal "$1: nothing listed" "$(through 1 1)" "$(send_all)"
	filter drop add 192.0.2.0/24 2001:db8:1::/48
	equal "$1: blocked" "$(through 0 0)" "$(send_all)"
	filter allow add 192.0.2.8 2001:db8:1::8
	filter status --clear d0
	equal "$1: one of them allowed" "$(through 0 1)" "$(send_all)"
	equal "$1: counters" "$sent4 $sent6" "$(count ip_drop_count) $(count ip6_drop_count)"
	equal "$1: counters of the prefixes" "$((3 * sent4)) $((3 * sent6))" \
		"$(hits 192.0.2.0/24) $(hits 2001:db8:1::/48)"
	filter drop flush
	filter allow flush
}

works "set" filter set checks=off
for mode in native skb; do
	works "load alone, $mode" filter load -m "$mode" d0
	scenario "alone, $mode"
	works "unload, $mode" filter unload

	works "load others, $mode" loader load -m "$mode" d0 count
	works "load chained, $mode" filter load d0
	equal "chained, $mode: the members" "ecbpf_filter ecbpf_count" "$(names d0)"
	scenario "chained, $mode"
	works "unload from the chain, $mode" filter unload
	works "unload the rest, $mode" loader unload -a d0

	works "load fused, $mode" filter load --fused -m "$mode" d0
	scenario "fused, $mode"
	works "unload fused, $mode" filter unload
done
summary
