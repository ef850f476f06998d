#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The virtual POP without IPVS: works, twice at once, comes up again after a crash,
# removes what it made and nothing else.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"

fresh_bpffs "$@"
require_cmd ip nsenter ethtool curl ping ss
vpop=$(dirname "$0")/../vpop/vpop
one=t${$}a two=t${$}b

vpop() { "$vpop" --name "$@"; }

# check_pop WHICH NAME: each line of its check is a result
check_pop()
{
	local verdict what

	while read -r verdict what; do
		if [[ $verdict == ok ]]; then
			pass "$1: $what"
		else
			fail "$1: $what" "does not work"
		fi
	done < <(vpop "$2" check || echo "FAIL check: exit status $?")
}

# shellcheck disable=SC2317 # called by works
is_gone() { [[ ! -e /run/ecbpf-vpop/$1 && ! -e /run/netns/$1-client ]]; }

defer vpop "$one" down
defer vpop "$two" down
ip netns add other
works "up" vpop "$one" up --no-ipvs
works "up, a second one" vpop "$two" up --no-ipvs
check_pop "first" "$one"
# shellcheck disable=SC2016 # expanded inside
works "own bpffs" vpop "$one" exec director bash -c \
	'[[ $(stat -f -c %T "$LIBXDP_BPFFS") == bpf_fs ]]'
works "exit status of exec" vpop "$one" exec client bash -c 'exit 0'
works "malformed frames" vpop "$one" malformed 2

server=$(<"/run/ecbpf-vpop/$one/real1.pid")
kill -KILL "$server"
ip netns del "$one-real2"
works "up, after a crash" vpop "$one" up --no-ipvs
check_pop "after a crash" "$one"

works "down" vpop "$one" down
works "down removed all" is_gone "$one"
check_pop "second" "$two"
works "down, of what is down" vpop "$one" down
ip netns add "$one-router"
if vpop "$one" up --no-ipvs 2>/dev/null; then
	fail "up leaves a foreign namespace alone" "it did not fail"
else
	works "up leaves a foreign namespace alone" test -e "/run/netns/$one-router"
fi
works "down, the second one" vpop "$two" down
works "down removed all of the second one" is_gone "$two"
works "down removed nothing else" test -e /run/netns/other
summary
