#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# testing/lib/floors finds each violation that is planted here, and nothing else.
set -euo pipefail
dir=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=testing/lib/lib.sh
. "$dir/../lib/lib.sh"

work=$(mktemp -d)
defer rm -rf "$work"

# file NAME TEXT: a source with its object, beside a stale object without a source
file()
{
	mkdir -p "$work/$(dirname "$1")"
	printf '%s\n' '// SPDX' "$2" >"$work/$1.c"
	"${CC:-cc}" -c "$work/$1.c" -o "$work/$1.o"
}

# lines COUNT [COMMENT]: a function with a body of so many lines
lines()
{
	printf '%s\nint long_one(void)\n{\n' "${2-}"
	yes '	;' | head -n $(($1 - 1)) || :
	printf '	return 0;\n}\n'
}

# check NAME [EXPECTED]: what floors prints; nothing: it is green
check()
{
	local out status=0
	out=$("$dir/../lib/floors" "$work" "$work" 2>&1) || status=$?
	if [[ $out == "${2-}" && $status == $([[ ! ${2-} ]]; echo $?) ]]; then
		pass "$1"
	else
		fail "$1" "exit $status: $out"
	fi
	rm -rf "${work:?}/lib" "${work:?}/tools"
	plain
}

plain()
{
	file lib/core/low 'int low(void) { return 0; }'
	file lib/bpf/map 'int low(void); int map(void) { return low(); }'
	file lib/fw/rules 'int map(void); int rules(void) { return map(); }'
	file lib/filter/list 'int list(void) { return 0; }'
	file lib/doctor/host 'int rules(void); int host(void) { return rules(); }'
	file tools/fw/verb 'int puts(const char *); int rules(void); int verb(void) { return puts("") + rules(); }'
}

plain
check 'no violation'
file lib/bpf/map 'int rules(void); int map(void) { return rules(); }'
file lib/fw/rules 'int rules(void) { return 0; }'
check 'a higher floor' 'edge: lib/bpf/map.c uses rules of lib/fw/rules.c'
file lib/fw/rules 'int list(void); int rules(void) { return list(); }'
check 'beside' 'edge: lib/fw/rules.c uses list of lib/filter/list.c'
file lib/new/room 'int room(void) { return 0; }'
check 'a room without a floor' 'edge: no floor is known for lib/new'
file lib/core/low 'int third(void); int low(void) { return third(); }'
file lib/core/second 'int low(void); int second(void) { return low(); }'
file lib/core/third 'int second(void); int third(void) { return second(); }'
check 'a circle' \
	'circle: lib/core/low.c -> lib/core/third.c (third) -> lib/core/second.c (second) -> lib/core/low.c (low)'
file lib/core/gone 'int rules(void); int gone(void) { return rules(); }'
rm "$work/lib/core/gone.c"
check 'an object without source'
file lib/core/low 'int puts(const char *); int low(void) { return puts(""); }'
check 'lib prints' 'outside: lib/core/low.c prints: puts'
file tools/fw/verb 'int bpf_obj_get(const char *); int verb(void) { return bpf_obj_get(""); }'
check 'tools use libbpf' 'outside: tools/fw/verb.c uses libbpf or libxdp: bpf_obj_get'
file lib/core/long "$(lines 60)"
check '60 lines'
file lib/core/long "$(lines 61)"
check '61 lines' 'size: lib/core/long.c: long_one() has 61 lines'
file lib/core/long "$(lines 61 '/* Long because it is a test. */')"
check '61 lines, with a reason'
file lib/core/long "$(printf '/* One thing */\nint x;'; yes '' | head -n 798 || :; echo 'int y;')"
check '801 lines' 'size: lib/core/long.c has 801 lines'
file lib/core/long "$(printf '/* One thing.\n * Long because\n * of that */\nint x;'; yes '' | head -n 798 || :; echo 'int y;')"
check '803 lines, with a reason'
summary
