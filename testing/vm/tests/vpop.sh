#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 900
#
# The virtual POP with IPVS: the VIPs answer, both real servers serve, IPVS counts.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../lib/lib.sh
. "$(dirname "$0")/../../lib/lib.sh"

fresh_bpffs "$@"
require_module ip_vs ip_vs_rr
vpop=$(dirname "$0")/../../vpop/vpop

defer "$vpop" down
"$vpop" up
while read -r verdict what; do
	if [[ $verdict == ok ]]; then
		pass "$what"
	else
		fail "$what" "does not work"
	fi
done < <("$vpop" check || echo "FAIL check: exit status $?")
counted=$("$vpop" status | grep -c 'TCP .*:80 ') || :
if ((counted == 2)); then
	pass "status shows both services"
else
	fail "status shows both services" "it shows $counted"
fi
summary
