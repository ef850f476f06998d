#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 600
#
# The counts of the BPF programs on this kernel are those in testing/bpf/counts.txt: of
# ecbpf_fused with all its slots in use, and of what is not in it.
set -euo pipefail
top=$(cd "$(dirname "$0")/../../.." && pwd -P)
export ECBPF_BUILD=${ECBPF_BUILD:-$top/build/test}
export BUILD=$ECBPF_BUILD/testing/vm # see testing/vm/helpers
exec "$top/testing/bpf/test_counts.py" test_counts
