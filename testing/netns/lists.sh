#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 900
#
# Lists of addresses: each form of a line, alone and mixed, through every verb that reads lists;
# each wrong line; and what a list must not do unless it is forced. See testing/lib/lists.py.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
top=$(cd "$(dirname "$0")/../.." && pwd -P)
PATH=${ECBPF_BUILD:-$top/build/test}/root/sbin:$PATH
require_cmd ecbpf-filter ecbpf-fw ecbpf-fastpath ecbpf-loader ip
ip link add eth0 type veth peer name eth1
ip link set eth0 up
ip link set eth1 up
ip address add 10.11.12.1/24 dev eth0
ip address add 2001:db8:ffff::1/64 dev eth0 nodad
ip route add default via 10.11.12.254
ip route add default via 10.11.12.130 table 100
ip -6 route add default via 2001:db8:fffe::9 dev eth0 onlink table 100
exec "$top/testing/lib/lists.py" "$@"
