#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# ecbpf-loader apply, export and metrics where nothing can be chained: fused. The chained half is
# testing/vm/tests/config.sh.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
fresh_net "$@"
top=$(cd "$(dirname "$0")/../.." && pwd -P)
PATH=${ECBPF_BUILD:-$top/build/test}/root/sbin:$PATH
require_cmd ecbpf-loader jq ip
tmp=$(mktemp -d)
defer rm -rf "$tmp"
conf=$tmp/ecbpf.conf

# is NAME WANT GOT
is()
{
	if [[ $2 == "$3" ]]; then
		pass "$1"
	else
		fail "$1" "wanted '$2', got '$3'"
	fi
}

# says NAME WANT ARG...: what apply prints, lines in order
says() { is "$1" "$2" "$(ecbpf-loader apply "${@:3}" 2>&1 | sort)"; }

# snapshot: what is attached and pinned, as the kernel says
snapshot()
{
	ip -o link | grep -o '^[0-9]*: [^:]*\|prog/xdp id [0-9]*'
	find /sys/fs/bpf | sort
}

# ids: of the programs, in order of interfaces' names
ids() { ecbpf-loader status -j | jq -r 'sort_by(.interface)[].members[] | .id' | paste -sd ' '; }

# names of any shape: a comma, a pattern's characters, a comment's, quotes
ifaces=(eth0 'a,b' 'x*y' '#c' ';d' '"e"')
for iface in "${ifaces[@]}"; do
	ip link add "$iface" type veth peer name "p-${#iface}-$((RANDOM % 10000))"
	ip link set "$iface" up
done
cat >"$conf" <<-'END'
	[interfaces]
	ingress = eth0 a,b x*y #c
	ingress =;d "e"
	[chain]
	stages = filter,count,sampler
	fused = yes
	[stage count]
	malformed_action = XDP_DROP
	[filter]
	frags = ptb
	vip = 203.0.113.80 2001:db8:80::/64
	[sampler]
	rate = 100
	rate-drops = 10
END

before=$(snapshot)
is "what there is to do" 13 "$(ecbpf-loader apply -c "$conf" | wc -l)"
is "check attaches nothing" "$(grep -v '^/' <<<"$before")" "$(snapshot | grep -v '^/')"
is "apply" "13 changes made" "$(ecbpf-loader apply "$conf" 2>&1)"
first=$(ids)
is "on each interface" 6 "$(wc -w <<<"$first")"
before=$(snapshot)
says "the second time" "nothing to do" "$conf"
is "it changed nothing" "$before $first" "$(snapshot) $(ids)"
ecbpf-loader export >"$tmp/export"
says "what is exported is no change" "nothing to do" "$tmp/export"
says "from standard input" "nothing to do" - <"$tmp/export"
is "nor does that change anything" "$before $first" "$(snapshot) $(ids)"
is "the constant is exported" 1 "$(grep -c '^malformed_action=1$' "$tmp/export")"

# one line each
sed -i 's/^rate = .*/rate = 50/' "$conf"
says "a setting" "sampler: rate 50, was 100" --diff "$conf"
sed -i 's/^vip = .*/vip = 203.0.113.81/' "$conf"
says "addresses" "filter: add vip 203.0.113.81
filter: remove vip 2001:db8:80::/64
filter: remove vip 203.0.113.80" --diff "$conf"
is "they touched no program" "$first" "$(ids)"
sed -i 's/^ingress =;d.*/ingress =;d/' "$conf"
says "an interface less" '"e": remove ecbpf_fused' --diff "$conf"
is "nothing is attached there" "" "$(ip -o link show '"e"' | grep -o 'prog/xdp')"
is "the others are untouched" 5 "$(comm -12 <(tr ' ' '\n' <<<"$first" | sort) \
	<(ids | tr ' ' '\n' | sort) | wc -l)"
sed -i 's/^malformed_action = .*/malformed_action = XDP_PASS/' "$conf"
is "a constant" "5 replace" "$(ecbpf-loader apply --diff "$conf" | awk '{ print $2 }' |
	sort | uniq -c | xargs)"
sed -i 's/^stages = .*/stages = count,sampler/' "$conf"
is "other stages" "5 replace" "$(ecbpf-loader apply --diff "$conf" | awk '{ print $2 }' |
	sort | uniq -c | xargs)"
is "they run" '["count","sampler"]' \
	"$(ecbpf-loader status -j eth0 | jq -c '[.[].members[].stages[].stage]')"

# failures: nothing is as the file says
ecbpf-loader export >"$tmp/export"
sed 's/^fused = .*/fused = no/; s/^rate = .*/rate = 7/; s/^frags = .*/frags = pass/' "$conf" \
	>"$tmp/chained.conf"
first=$(ids)
if ecbpf-loader apply "$tmp/chained.conf" >"$tmp/out" 2>&1; then
	skip "rolled back" "programs can be chained here: testing/vm/tests/config.sh"
	ecbpf-loader apply "$conf" >"$tmp/out"
else
	ecbpf-loader export >"$tmp/export2"
	is "rolled back" "" "$(diff "$tmp/export" "$tmp/export2")"
	is "no program was touched" "$first" "$(ids)"
	is "one line says why" 1 "$(grep -c . "$tmp/out")"
fi

# metrics
ecbpf-loader metrics >"$tmp/metrics"
is "each sample once" "" "$(grep -v '^#' "$tmp/metrics" | sed 's/ [0-9]*$//' | sort | uniq -d)"
is "each interface" 5 "$(grep -c '^ecbpf_packets_total{.*stage="count",action="XDP_DROP"' \
	"$tmp/metrics")"
is "a name of any shape" 1 "$(grep -c 'total{interface=";d".*stage="count",action="XDP_TX"' \
	"$tmp/metrics" | awk '{ print $1 / 2 }')"
ecbpf-loader metrics -o "$tmp/ecbpf.prom" eth0
is "in a file" "644 $(grep -c 'interface="eth0"' "$tmp/metrics")" \
	"$(stat -c %a "$tmp/ecbpf.prom") $(grep -c 'interface="eth0"' "$tmp/ecbpf.prom")"
is "what status says" "$(ecbpf-loader status -j eth0 |
	jq '.[].members[].stages[] | select(.stage == "count") | .actions.XDP_PASS.packets')" \
	"$(ecbpf-loader metrics eth0 | sed -n \
		's/^ecbpf_packets_total{.*stage="count",action="XDP_PASS"} //p')"
if [[ $(command -v promtool) ]]; then
	is "promtool" "" "$(promtool check metrics <"$tmp/metrics" 2>&1)"
else
	skip "promtool" "it is not installed (Debian: prometheus)"
fi

printf '[interfaces]\ningress =\n' >"$tmp/none.conf"
is "none" "5 changes made" "$(ecbpf-loader apply "$tmp/none.conf")"
is "nothing is attached" "" "$(ip -o link | grep -o 'prog/xdp')"
summary
