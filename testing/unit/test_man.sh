#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The examples of the man pages compile; the tests that SECURITY.md names exist.
set -euo pipefail
dir=$(cd "$(dirname "$0")" && pwd)
top=$dir/../..
# shellcheck source=testing/lib/lib.sh
. "$dir/../lib/lib.sh"

work=$(mktemp -d)
defer rm -rf "$work"

# check NAME COMMAND...: it succeeds and says nothing
check()
{
	local name=$1 said
	shift
	if said=$("$@" 2>&1) && [[ ! $said ]]; then
		pass "$name"
	else
		fail "$name" "$said"
	fi
}

# optional COMMAND NAME ...: check NAME ..., if there is such a command
optional()
{
	if command -v "$1" >/dev/null; then
		check "${@:2}"
	else
		skip "$2" "no $1 here"
	fi
}

# example PAGE KIND: the text of the example that the page marks with this kind
example()
{
	awk -v mark=".\\\\\" example: $2" '
		$0 == mark { marked = 1 }
		marked && $0 == ".EE" { exit }
		inside { print }
		marked && $0 == ".EX" { inside = 1 }' "$1" |
		sed "s/\\\\(aq/'/g; s/\\\\-/-/g; s/\\\\e/\\\\/g"
}

mkdir -p "$work/include/ecbpf"
cp "$top"/headers/ecbpf/*.h "$work/include/ecbpf/"

example "$top/man/libecbpf.3.in" c >"$work/example.c"
check "example of libecbpf(3)" "${CC:-cc}" -Wall -Wextra -Werror -I"$work/include" \
	-c "$work/example.c" -o "$work/example.o"

example "$top/man/ecbpf-progs.7.in" bpf >"$work/example.bpf.c"
[[ -s $work/example.bpf.c ]] || fail "example of ecbpf-progs(7)" "there is none"
optional "${CLANG:-clang}" "example of ecbpf-progs(7)" "${CLANG:-clang}" --target=bpf -mcpu=v2 \
	-O2 -g -Wall -Werror -I"$work/include" -I"/usr/include/$(uname -m)-linux-gnu" \
	-c "$work/example.bpf.c" -o "$work/example.bpf.o"

# shellcheck disable=SC2016 # these are no commands
gone=$(grep -o '`testing/[^`]*/[^`]*\.[^`]*`' "$top/SECURITY.md" | tr -d '`' |
	while read -r file; do
		[[ -e $top/$file ]] || echo "$file"
	done)
entries=$(sed -n '/^vulnerabilities:/,/^These are not/p' "$top/SECURITY.md" | grep -c '^- ')
named=$(sed -n '/^vulnerabilities:/,/^These are not/p' "$top/SECURITY.md" | grep -c 'Tests:')
if ((entries > 3 && entries == named)) && [[ ! $gone ]]; then
	pass "each vulnerability in SECURITY.md names its tests"
else
	fail "each vulnerability in SECURITY.md names its tests" \
		"$named of $entries; missing: $gone"
fi

summary
