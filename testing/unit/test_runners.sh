#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A runner that is given the name of no test says so, with exit status 2: else a misspelt name is a
# test that passes.
set -euo pipefail
dir=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=testing/lib/lib.sh
. "$dir/../lib/lib.sh"

# refuses WANT COMMAND...: exit status 2, and an error with WANT
refuses()
{
	local out status=0

	out=$("$dir/../$2" "${@:3}" 2>&1) || status=$?
	if ((status == 2)) && [[ $out == *"$1"* ]]; then
		pass "${*:2}"
	else
		fail "${*:2}" "exit status $status: $out"
	fi
}

refuses "no test 'test_frward'; there are " bpf/run test_frward
refuses "test_forward" bpf/run test_fastpath.py test_frward
refuses "no file 'test_nothing.py'; there are test_bucket.py" bpf/run test_nothing.py
refuses "no target 'fuzz_rule'; there are fuzz_parse" fuzz/run --quick fuzz_rule
refuses "no row has 'nonsense'" mutate/run nonsense
refuses "K is 1 to 2" mutate/run --part 3/2
refuses "no group 'netn'" run netn
refuses "testing/netns/fw-tests.sh: no such file" run testing/netns/fw-tests.sh
summary
