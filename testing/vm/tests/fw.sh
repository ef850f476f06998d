#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 900
#
# The firewall chained, alone and behind another program, fused, in native and in skb mode.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../lib/lib.sh
. "$(dirname "$0")/../../lib/lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../../lib/fw.sh
. "$(dirname "$0")/../../lib/fw.sh"

fw_begin
fw_basics "alone, native"
fw_basics "alone, skb" -m skb
fw_basics "fused" --fused
ecbpf-loader load fw0 count
fw_swaps "chained" 10
fw_kill "chained" 10
fw_two "chained"
fw unload
ecbpf-loader unload --all fw0
summary
