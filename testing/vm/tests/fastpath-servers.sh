#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 600
#
# Real servers are removed, drained and replaced under live flows: nothing goes where IPVS would
# not send it for longer than a lease. $ECBPF_FLOWS, $ECBPF_RATE, $ECBPF_LEASE: how many, packets a
# second, and ms. So many of the flows as can send five packets in each lease take turns, for two
# leases each; the others rest meanwhile, and their leases end. For 10000 flows in an emulated
# machine: 10000, 2000 and 1000; then give it more time.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../director.sh
. "$(dirname "$0")/../director.sh"

count=${ECBPF_FLOWS:-40} rate=${ECBPF_RATE:-200} lease=${ECBPF_LEASE:-2000}
# an emulated machine's CPUs take turns, 100 ms each: its jiffies are late by as much
slack=$((10 + 100))
turn=$((rate * lease / 5000))
turn=$((turn < count ? turn : count))
all=$((12 * count / rate + 2)) # seconds in which each has its turn
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
	start "$tmp/sent-$1" "${vpop[@]}" exec router "$flows" live director "$director" "$vip4" \
		"$1" "$count" "$rate" "$turn"
	senders+=("$started")
}

flows_stop()
{
	kill "${senders[@]}"
	wait "${senders[@]}"
	senders=()
}

# watch_end: until each flow has sent something that no lease may misdirect
watch_end()
{
	sleep $(((lease + slack) / 1000 + 1 + all))
	stamps_stop
}

# watch COMMAND...: what arrives, before and after it; since: when it was done
watch()
{
	stamps_start
	"$@"
	clock_read
	watch_end
}

# watch_told LINE COMMAND...: likewise, when COMMAND, on the director, reads LINE; it says nothing.
# since: just before it gets it
watch_told()
{
	local call pid

	stamps_start
	coproc told { exec "${vpop[@]}" exec director "${@:2}"; }
	pid=$!
	until read -r call </proc/$pid/syscall && [[ $call == "0 0x0 "* &&
		$(</proc/$pid/comm) == "$2" ]]; do # it reads
		kill -0 "$pid"
		sleep 0.1
	done
	# no process is to begin or end meanwhile: it would take the senders' time
	read -rt 2 -u "${told[0]}" || :
	clock_read
	echo "$1" >&"${told[1]}"
	read -rt $(((lease + slack) / 1000 + 1)) -u "${told[0]}" || :
	eval "exec ${told[1]}>&-"
	wait "$pid"
	watch_end
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
sleep $((lease / 1000 + 1))
read -r leases known < <(fastpath status -j | jq -r '"\(.flows) \(.flows + .idle)"')
works "$known of $count flows have had a lease" test $((10 * known)) -ge $((9 * count))
works "$leases have one, of $turn at a time" test $((10 * leases)) -ge $((9 * turn))

watch_told "-d -t $vip4:80 -r ${real4[0]}:80" ipvsadm -R
gone "a server removed" real1 $((lease + slack))
equal "its flows go to the other one" "$count" "$(seen real2 $((lease + slack)))"
works "IPVS agrees" fastpath check

on director ipvsadm -a -t "$vip4:80" -r "${real4[0]}" -g
watch_told "-e -t $vip4:80 -r ${real4[1]}:80 -g -w 0" ipvsadm -R
equal "a server drained: its flows stay" "$count" "$(seen real2 $((lease + slack)))"
watch flows_start 30000
equal "new ones go to the other one" "$count $count" "$(seen real1 0) $(seen real2 0)"
works "IPVS agrees" fastpath check
flows_stop

flows_start 50000
watch_told "neigh replace ${real4[0]} lladdr 02:ec:bf:00:00:04 dev eth0" ip -batch -
gone "another server takes the address over" real1 $((lease + slack))
equal "its flows go there" "$count" "$(seen real2 $((lease + slack)))"

on director ip neigh replace "${real4[0]}" lladdr 02:ec:bf:00:00:03 dev eth0
fastpath set lease=60000 sample=30000 inactive=60000
fastpath flush --all
sleep "$all" # for new ones
# shellcheck disable=SC2016 # expanded inside
watch bash -ec "$(declare -p vpop vip4 real4)"'
	director=("${vpop[@]}" exec director)
	"${director[@]}" ipvsadm -e -t "$vip4:80" -r "${real4[1]}" -g -w 1
	"${director[@]}" ipvsadm -d -t "$vip4:80" -r "${real4[0]}"
	"${director[@]}" ecbpf-fastpath flush --real 02:ec:bf:00:00:03'
gone "a server replaced, and its leases ended" real1 0
equal "its flows go to the other one" "$count" "$(seen real2 0)"
flows_stop
works "unload" fastpath unload
summary
