#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Completion in bash offers what the tools' help shows, for each tool that is built; every verb and
# every option is tried. TOOLS: where they are (default: tools of the build that this runs in).
set -euo pipefail
dir=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=testing/lib/lib.sh
. "$dir/../lib/lib.sh"
tools=${TOOLS:-$PWD/tools}
# shellcheck source=packaging/completion.bash
. "$dir/../../packaging/completion.bash"
compopt() { :; } # works only while bash completes

# offers WORD...: what the last of them may become, on one line
offers()
{
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=() COMP_LINE="$*"
	COMP_POINT=${#COMP_LINE}
	_ecbpf "$1" "${!#}" "${*: -2:1}"
	echo "${COMPREPLY[*]}"
}

# is NAME ACTUAL EXPECTED
is()
{
	if [[ $2 == "$3" ]]; then
		pass "$1"
	else
		fail "$1" "offers '$2', not '$3'"
	fi
}

seen=0
for tool in "$tools"/ecbpf-*; do
	[[ -x $tool && ! -d $tool && ${tool##*/} != *.* ]] || continue
	name=${tool##*/} seen=$((seen + 1))
	complete -p "$name" >/dev/null 2>&1 || fail "$name" "has no completion"
	verbs=('')
	if "$tool" --help | grep -q '^Verbs:'; then
		mapfile -t verbs < <("$tool" --help |
			sed -n '/^Verbs:/,/^$/s/^  \([a-z-]*\) .*/\1/p')
		is "$name: verbs" "$(offers "$tool" '')" "${verbs[*]}"
	fi
	for verb in "${verbs[@]}"; do
		[[ $verb != help ]] || continue
		options=$("$tool" ${verb:+"$verb"} --help |
			sed -nE '/^Options:/,/^$/s/^  (-.,|   ) (--[a-z0-9-]+).*/\2/p' | tr '\n' ' ')
		is "$name $verb: options" "$(offers "$tool" ${verb:+"$verb"} --)" "${options% }"
	done
done
((seen >= 4)) || fail "tools" "only $seen in $tools"
is "a verb that is begun" "$(offers "$tools/ecbpf-loader" repl)" replace
if [[ -d /sys/class/net/lo ]]; then
	is "an interface" "$(offers "$tools/ecbpf-loader" status l)" lo
else
	skip "an interface" "no /sys here"
fi
is "a verb's own verbs" "$(offers "$tools/ecbpf-filter" vip '')" "add delete list flush"
is "keys" "$(offers "$tools/ecbpf-sampler" set ra)" "rate= rate-drops="
is "keys beside verbs" "$(offers "$tools/ecbpf-fw" set mal)" "malformed="
is "verbs beside keys" "$(offers "$tools/ecbpf-fw" set de)" "destroy delete"
is "such on two lines" "$(offers "$tools/ecbpf-filter" drop '')" \
	"add delete list flush import top"
is "a mode" "$(offers "$tools/ecbpf-loader" load -m n)" native
is "no such verb" "$(offers "$tools/ecbpf-loader" nonsense --)" ""
summary
