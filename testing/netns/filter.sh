#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# ecbpf-filter where nothing can be chained: the examples of its man page, one by one.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
top=$(cd "$(dirname "$0")/../.." && pwd -P)
PATH=${ECBPF_BUILD:-$top/build/test}/root/sbin:$PATH
require_cmd ecbpf-filter jq ip

# examples: the commands of all marked examples of the page, one a line
examples()
{
	awk '$0 == ".\\\" example: shell" { marked = 1 }
		$0 == ".EE" { marked = inside = 0 }
		inside && /^# / { print substr($0, 3) }
		marked && $0 == ".EX" { inside = 1 }' "$top/man/ecbpf-filter.8.in" |
		sed "s/\\\\(aq/'/g; s/\\\\-/-/g"
}

# says NAME WANT COMMAND...
says()
{
	local got

	got=$("${@:3}" 2>&1) || got+=" (status $?)"
	if [[ $got == "$2" ]]; then
		pass "$1"
	else
		fail "$1" "wanted '$2', got '$got'"
	fi
}

# shellcheck disable=SC2317 # called by says
ecbpf_status() { ecbpf-filter status -j | jq -r "$1"; }

ip link add eth0 type veth peer name eth1
ip link set eth0 up
ip link set eth1 up
number=0
while read -r command; do
	number=$((number + 1))
	if out=$(bash -o pipefail -ec "$command" 2>&1 </dev/null); then
		pass "example: $command"
	else
		fail "example: $command" "$out"
	fi
	case $command in
	*"vip list") says "what it prints" "203.0.113.80
2001:db8:80::80" echo "$out" ;;
	*jq*) says "what jq prints" 0 echo "$out" ;;
	esac
done < <(examples)
((number >= 10)) || fail "examples" "$number found"

# shellcheck disable=SC2016 # for jq
says "status of an interface that is not there prints nothing else" \
	"ecbpf-filter: nosuch: no such interface (status 1)" ecbpf-filter status nosuch
says "settings are those of the last example" "drop count 100" ecbpf_status \
	'"\(.config.checks.land) \(.config.checks["udp-length"]) \(.config.ptb_max_pps)"'
summary
