#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 900
#
# Downloads and uploads by HTTP through IPVS with the fast path, GRO on and off: each byte is right,
# nobody resets, most packets go by XDP, IPVS keeps the connection as established, and after a pause
# longer than a lease the flow finds its way anew. $ECBPF_MEGABYTES: each way (4).
# $ECBPF_LONG=traffic: and connections live through the fast path coming, being replaced, and going;
# 1: that, and 1024 MB each way, for which this script's timeout is too short.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../director.sh
. "$(dirname "$0")/../director.sh"

megabytes=${ECBPF_MEGABYTES:-4}
[[ ${ECBPF_LONG-} != 1 ]] || megabytes=${ECBPF_MEGABYTES:-1024}
lease=2000

# resets: how many have been sent, or have ended a connection, anywhere
resets()
{
	local node

	for node in client director real1 real2; do
		on "$node" cat /proc/net/snmp
	done | awk '/^Tcp: [0-9]/ { sum += $9 + $15 } END { print sum }'
}

# counted: packets that went by XDP, and that did not
counted() { value packets XDP_TX packets XDP_PASS; }

# transfer NAME get|put MEGABYTES: set tx and up, packets that went by XDP and that did not
transfer()
{
	local before answer start=$SECONDS

	read -ra before < <(counted)
	echo "$2 $3" >&"${client[1]}"
	read -r answer <&"${client[0]}" || answer=ended
	read -r tx up < <(counted)
	tx=$((tx - before[0])) up=$((up - before[1]))
	if [[ $answer == right ]]; then
		pass "$1, $2 $3 MB in $((SECONDS - start)) s"
	else
		fail "$1, $2 $3 MB" "$answer"
	fi
}

# said CLIENT SERVICE: what is to become of a packet now
said() { fastpath explain tcp "$1" "$2" | sed -n 's/^next packet: \([a-z-]*\).*/\1/p'; }

# entry CLIENT: IPVS's state of a connection, and its service
entry()
{
	on director ipvsadm -Lnc | awk -v client="$1" '$4 == client { print $3, $5 }'
}

# connection NAME CLIENT VIP: the addresses as before a :PORT
connection()
{
	local verb pid port

	coproc client { exec "${vpop[@]}" exec client "$vm/../vpop/bulk" client "${3//[][]/}" 81; }
	pid=$!
	read -r _ port <&"${client[0]}"
	for verb in get put; do
		transfer "$1" "$verb" "$megabytes"
		if ((tx > 9 * up)); then
			pass "$1, $verb: $tx packets by XDP, $up were not"
		else
			fail "$1, $verb: more than 90% by XDP" "$tx packets did, $up did not"
		fi
	done
	equal "$1: IPVS's entry lives" "ESTABLISHED $3:81" "$(entry "$2:$port")"
	sleep $((2 * lease / 1000 + 1)) # longer than the lease, and than sample
	equal "$1: no lease after a pause" fastpath-expired "$(said "$2:$port" "$3:81")"
	transfer "$1, after the pause" put 1
	works "$1: first to the kernel ($up), then by XDP ($tx)" test "$((up > 0 && tx > up))" -eq 1
	equal "$1: IPVS's entry still lives" "ESTABLISHED $3:81" "$(entry "$2:$port")"
	works "$1: IPVS agrees" fastpath check
	eval "exec ${client[1]}>&-"
	wait "$pid" || fail "$1" "the client ends with $?"
}

# round GRO [LOAD-ARGUMENT]
round()
{
	on director ethtool -K eth0 gro "$1"
	works "load ${2-}" fastpath load -i eth0 --flows 10000 "${@:2}"
	fastpath set lease=$lease sample=$((lease / 2))
	connection "GRO $1, IPv4" 198.51.100.2 "$vip4"
	connection "GRO $1, IPv6" "[2001:db8:1::2]" "[$vip6]"
	works "unload" fastpath unload
}

# goes_on get|put VIP: one megabyte after the other in one connection, until there is the file
# "over"; print how many
goes_on()
{
	local answer count=0

	coproc client { exec "${vpop[@]}" exec client "$vm/../vpop/bulk" client "$2" 81; }
	read -r answer <&"${client[0]}"
	until [[ -e $tmp/over ]]; do
		echo "$1 1" >&"${client[1]}"
		read -r answer <&"${client[0]}"
		[[ $answer == right ]] || exit 1
		count=$((count + 1))
		sleep 0.3 # an emulated machine has something else to do, too
	done
	echo "$count"
}

printf '%s\n' "-A -t $vip4:81 -s rr" "-a -t $vip4:81 -r "{"${real4[0]}","${real4[1]}"}":81 -g" \
	"-A -t [$vip6]:81 -s rr" "-a -t [$vip6]:81 -r "{"[${real6[0]}]","[${real6[1]}]"}":81 -g" |
	on director ipvsadm -R
# frames as on a wire, and a client that acknowledges every other one of them
on client ethtool -K eth0 gro off
for node in real1 real2; do
	on "$node" ethtool -K eth0 tso off gso off
done
serve 81 "$vm/../vpop/bulk" serve 81
reset=$(resets)
round on
round off --fused

if [[ ${ECBPF_LONG-} =~ ^(1|traffic)$ ]]; then
	pids=()
	goes_on get "$vip4" >"$tmp/went-0" &
	pids+=($!)
	goes_on put "$vip6" >"$tmp/went-1" &
	pids+=($!)
	for mode in "" --fused; do
		works "under traffic: load $mode" fastpath load -i eth0 --flows 10000 ${mode:+"$mode"}
		sleep 1
		if [[ $mode ]]; then
			works "under traffic: replace $mode" \
				on director ecbpf-loader replace --fused fastpath eth0 fused
		else
			works "under traffic: replace" on director ecbpf-loader replace eth0 fastpath fastpath
		fi
		sleep 1
		works "under traffic: packets by XDP $mode" test "$(value packets XDP_TX)" -gt 0
		works "under traffic: unload $mode" fastpath unload
		sleep 1
	done
	touch "$tmp/over"
	for i in "${!pids[@]}"; do
		if wait "${pids[i]}"; then
			pass "under traffic: a connection goes on, $(<"$tmp/went-$i") MB"
		else
			fail "under traffic: a connection goes on" "status $?"
		fi
	done
fi
equal "nobody resets a connection" "$reset" "$(resets)"
summary
