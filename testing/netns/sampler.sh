#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 600
#
# The sampler without a dispatcher: fused. All else: testing/vm/tests/sampler.sh.
# Arguments: see testing/lib/sampler.py; default: fused native,skb.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
ecbpf_user
top=$(cd "$(dirname "$0")/../.." && pwd -P)
require_cmd gcc ip protoc tshark capinfos tcpdump setpriv
export ECBPF_BUILD=${ECBPF_BUILD:-$top/build/test}
(($#)) || set -- fused native,skb
exec "$top/testing/lib/sampler.py" "$@"
