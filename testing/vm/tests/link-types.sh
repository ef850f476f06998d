#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 300
#
# testing/netns/link-types.sh with a kernel that has all of the interfaces: ipip, gre, sit, a vrf,
# an ipvlan.
exec "$(dirname "$0")/../../netns/link-types.sh" "$@"
