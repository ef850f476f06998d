# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# For the tests of `ecbpf-fw test`, after lib.sh: nothing is attached.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export PATH=${ECBPF_BUILD:-$top/build/test}/root/sbin:$PATH
require_cmd ecbpf-fw python3
work=$(mktemp -d)
defer rm -rf "$work"

# run ARG...: into $status, $out, $err
# shellcheck disable=SC2034 # for the caller
run()
{
	status=0
	ecbpf-fw test "$@" >"$work/out" 2>"$work/err" || status=$?
	out=$(<"$work/out") err=$(<"$work/err")
}

# equal NAME ACTUAL EXPECTED
equal()
{
	if [[ $2 == "$3" ]]; then
		pass "$1"
	else
		fail "$1" "'$2' is not '$3'"
	fi
}
