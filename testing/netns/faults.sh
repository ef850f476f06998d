#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 400
#
# Verbs that fail leave the host as it was: 300 of all failing calls and shortages, in a minute
# on an idle machine. All of them: testing/faults/run; see its --help.
set -euo pipefail
exec "$(dirname "$0")/../faults/run" --seed "${ECBPF_SEED:-19}" --sample 300 --seconds 300
