#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 900
#
# The benchmarks run and write what they say they write. What they find is not tested.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
require_root
use_build ecbpf-loader jq clang bpftool ethtool
bench=$(cd "$(dirname "$0")/../bench" && pwd -P)
work=$(mktemp -d)
defer rm -rf "$work"

works "all, of few runs" "$bench/all" --quick --json "$work/all.json" --svg "$work/svg"
equal "groups with figures" "$(/usr/bin/python3 -B -c 'import sys; sys.path.insert(0, sys.argv[1])
import bench
print(*sorted(bench.GROUPS))' "$bench")" \
	"$(jq -r '[.rows[] | select(.low).group] | unique | join(" ")' "$work/all.json")"
equal "each row has figures or a reason" 0 \
	"$(jq '[.rows[] | select((.low | type) != "number" and (.missing // "") == "")] | length' \
		"$work/all.json")"
equal "the machine" "$(uname -r) $(nproc) true true" "$(jq -r '.machine |
	"\(.kernel) \(.cpus) \(.mitigations | type == "object") \(.compiler | test("clang"))"' \
	"$work/all.json")"
for plot in stages peers flows rules prefixes; do
	works "plot: $plot" /usr/bin/python3 -c 'import sys, xml.dom.minidom
xml.dom.minidom.parse(sys.argv[1])' "$work/svg/$plot.svg"
done
works "the table again, of the same results" "$bench/all" --from "$work/all.json"
if out=$("$bench/all" --from "$work/all.json" --publish 2>&1); then
	fail "few runs are not published" "exit status 0"
else
	equal "few runs are not published" "all: not published: of few runs, or not complete" \
		"$(tail -n 1 <<<"$out")"
fi

# compare: two trees, or one
compare=("$bench/compare" --rounds 2 --repeat 100 --only 'parser: ACK' --json "$work/compare.json")
works "compare" "${compare[@]}" "$ECBPF_BUILD" "$ECBPF_BUILD"
equal "compare: keys" "a b case middle_half ratio 4" "$(jq -r \
	'"\(.cases[0] | keys | join(" ")) \(.cases | length)"' "$work/compare.json")"
works "compare: one tree" "${compare[@]}" "$ECBPF_BUILD"
equal "compare: keys of one tree" "a case low median" "$(jq -r \
	'.cases[0] | [keys[], (.a | keys[])] | join(" ")' "$work/compare.json")"
summary
