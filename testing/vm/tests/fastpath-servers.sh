#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 600
#
# Real servers are removed, drained and replaced under live flows: nothing goes where IPVS would
# not send it for longer than a lease. $ECBPF_FLOWS, $ECBPF_RATE, $ECBPF_LEASE: how many, packets a
# second, and ms: each flow must have some packets in a lease, or it has none (for 10000 flows in an
# emulated machine: 10000, 2000 and 20000; then give it more time).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../lib.sh
. "$(dirname "$0")/../../lib.sh"
fresh_bpffs "$@"
# shellcheck source-path=SCRIPTDIR source=../director.sh
. "$(dirname "$0")/../director.sh"

count=${ECBPF_FLOWS:-40} rate=${ECBPF_RATE:-200} lease=${ECBPF_LEASE:-2000}
# an emulated machine's CPUs take turns, 100 ms each: its jiffies are late by as much
slack=$((10 + 100))
senders=()

# clock_read: set since to now, to 10 ms, in nanoseconds; at once: to start a process takes its time
clock_read()
{
	read -r since _ </proc/uptime # a virtual machine is never suspended
	since=${since/./}0000000
}

# flows_start FIRST-PORT: and wait until they are on their way
flows_start()
{
	"${vpop[@]}" exec router "$flows" live director "$director" "$vip4" "$1" "$count" "$rate" \
		>"$tmp/ready-$1" &
	senders+=($!)
	until grep -qs ready "$tmp/ready-$1"; do sleep 0.1; done
}

flows_stop()
{
	kill "${senders[@]}"
	wait "${senders[@]}"
	senders=()
}

# watch COMMAND...: what arrives for some seconds, before and after it; since: when it was done
watch()
{
	stamps_start
	"$@"
	clock_read
	sleep $((2 * lease / 1000 + 2))
	stamps_stop
}

# gone NAME NODE LIMIT: no packet to it that was sent more than LIMIT ms after the change
gone()
{
	local late last

	read -r late last < <("$flows" late "$since" "$tmp/$2")
	if ((${last%.*} <= $3)); then
		pass "$1: $late packets of $count flows, the last one sent $last ms later"
	else
		fail "$1" "$late packets, the last one sent $last ms later, not $3"
	fi
}

# seen NODE AFTER-MS: how many flows have come there, of packets sent so long after the change
seen() { "$flows" seen $((since + $2 * 1000000)) "$tmp/$1"; }

on director sysctl -qw net.ipv4.vs.sloppy_tcp=1 # or IPVS takes no flow without its SYN
services rr
fastpath load -i eth0 --flows 100000
fastpath set lease="$lease" sample=$((lease / 2))
flows_start 10000
sleep $((2 * count / rate + 1)) # each of them has sent some
leases=$(fastpath status -j | jq .flows)
expect "$leases of $count flows have a lease" test $((10 * leases)) -ge $((9 * count))

watch on director ipvsadm -d -t "$vip4:80" -r "${real4[0]}"
gone "a server removed" real1 $((lease + slack))
equal "its flows go to the other one" "$count" "$(seen real2 $((lease + slack)))"
expect "IPVS agrees" fastpath check

on director ipvsadm -a -t "$vip4:80" -r "${real4[0]}" -g
watch on director ipvsadm -e -t "$vip4:80" -r "${real4[1]}" -g -w 0
equal "a server drained: its flows stay" "$count" "$(seen real2 $((lease + slack)))"
watch flows_start 30000
equal "new ones go to the other one" "$count $count" "$(seen real1 0) $(seen real2 0)"
expect "IPVS agrees" fastpath check
flows_stop

flows_start 50000
watch on director ip neigh replace "${real4[0]}" lladdr 02:ec:bf:00:00:04 dev eth0
gone "another server takes the address over" real1 $((lease + slack))
equal "its flows go there" "$count" "$(seen real2 $((lease + slack)))"

on director ip neigh replace "${real4[0]}" lladdr 02:ec:bf:00:00:03 dev eth0
fastpath set lease=60000 sample=30000 inactive=60000
fastpath flush --all
sleep $((2 * count / rate + 3)) # for new ones
# shellcheck disable=SC2016 # expanded inside
watch bash -ec "$(declare -p vpop vip4 real4)"'
	director=("${vpop[@]}" exec director)
	"${director[@]}" ipvsadm -e -t "$vip4:80" -r "${real4[1]}" -g -w 1
	"${director[@]}" ipvsadm -d -t "$vip4:80" -r "${real4[0]}"
	"${director[@]}" ecbpf-fastpath flush --real 02:ec:bf:00:00:03'
gone "a server replaced, and its leases ended" real1 0
equal "its flows go to the other one" "$count" "$(seen real2 0)"
flows_stop
expect "unload" fastpath unload
summary
