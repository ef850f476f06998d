#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 1500
#
# The sampler in a chain: contents in native and skb mode, and what may go wrong around it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../lib/lib.sh
. "$(dirname "$0")/../../lib/lib.sh"
fresh_net "$@"
ecbpf_user
require_kernel 6.1 # the parser's records are those of a frame in one piece before 5.18
top=$(cd "$(dirname "$0")/../../.." && pwd -P)
require_cmd gcc ip protoc tshark capinfos tcpdump setpriv
export ECBPF_BUILD=${ECBPF_BUILD:-$top/build/test} ECBPF_COUNT=3000
(($#)) || set -- chained native,skb test_contents test_verdicts test_faults
exec "$top/testing/lib/sampler.py" "$@"
