# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# For the tests of chains, which get a network namespace of their own: interfaces, traffic, and
# what others than ecbpf say about a chain: the kernel (ip), xdp-loader and bpftool. Comes first in
# the script, with its arguments.

# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/lib.sh"
fresh_net "$@"
vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
use_build ip xdp-loader bpftool ecbpf-loader
helpers=$ECBPF_BUILD/testing/vm
traffic=$helpers/traffic
tmp=$(mktemp -d)
defer rm -rf "$tmp"
[[ -e $helpers/complete ]] || "$vm_dir/helpers"

loader() { ecbpf-loader "$@"; }

# foreign NAME: path of a program that is not ours
foreign() { echo "$helpers/$1.bpf.o"; }

# pair_add NAME PEER [MTU]: a veth pair with one end here and one in the namespace "peer", which it
# adds if there is none.
# Without IPv6, the kernel has nothing to send there by itself.
pair_add()
{
	[[ -e /run/netns/peer ]] || ns_add peer
	ip link add "$1" mtu "${3-1500}" type veth peer name "$2" mtu "${3-1500}" netns peer
	pair_up "$1"
	ns peer bash -c "$(declare -f pair_up); pair_up $2"
}

pair_up()
{
	echo 1 >"/proc/sys/net/ipv6/conf/$1/disable_ipv6"
	ip link set "$1" arp off up
}

# expect NAME COMMAND...: must succeed and say nothing
expect()
{
	local out status=0

	out=$("${@:2}" 2>&1) || status=$?
	equal "$1" 0 "$status${out:+, $out}"
}

# refused NAME STATUS REGEX COMMAND...: must fail with STATUS and one line that matches; what is
# attached and pinned must be as before
refused()
{
	local before status=0 lines

	before=$(snapshot)
	"${@:4}" >"$tmp/out" 2>"$tmp/err" || status=$?
	lines=$(grep -cv '^  ' "$tmp/err") || : # further lines are indented: a verifier log
	if ((status != $2)); then
		fail "$1" "exit status $status, not $2: $(<"$tmp/err")"
	elif [[ -s $tmp/out ]]; then
		fail "$1" "wrote to standard output: $(<"$tmp/out")"
	elif ((status == 1 && lines != 1)); then
		fail "$1" "$lines lines, not one: $(<"$tmp/err")"
	elif ! head -n 1 "$tmp/err" | grep -qE -- "$3"; then
		fail "$1" "does not say '$3': $(<"$tmp/err")"
	elif [[ $(snapshot) != "$before" ]]; then
		fail "$1" "changed something: $(diff <(echo "$before") <(snapshot))"
	else
		pass "$1"
	fi
}

# What is attached and what is pinned, as the kernel says
snapshot()
{
	attached
	find /sys/fs/bpf -mindepth 2 | sort
}

# attached [IFACE]: "IFACE MODE ID" of each XDP program, as the kernel says; MODE is xdp or
# xdpgeneric. No jq here and below: it takes a second to start in the virtual machine.
attached()
{
	ip -o link show ${1+dev "$1"} |
		sed -nE 's/^[0-9]+: ([^:@]+)[:@].* (xdp[a-z]*) .*prog\/xdp id ([0-9]+).*/\1 \2 \3/p'
}

# prog_id IFACE: of the attached program
prog_id() { attached "$1" | cut -d ' ' -f 3; }

# rows IFACE: the chain as xdp-loader says: "PRIO NAME ID TAG ACTIONS" each, in order
rows() { xdp-loader status "$1" | awk '$1 == "=>" { print $2, $3, $4, $5, $6 }'; }

# names IFACE: of the members, in order, in one line
names() { rows "$1" | awk '{ printf "%s%s", sep, $2; sep = " " }'; }

# ids IFACE NAME: of the members of this name
ids() { rows "$1" | awk -v name="$2" '$2 == name { print $3 }'; }

# seen ID: "PACKETS BYTES FAILED" of a foreign program, as bpftool says
seen()
{
	local map

	map=$(bpftool prog show id "$1" | sed -nE 's/.*map_ids ([0-9]+).*/\1/p')
	bpftool map dump id "$map" | tr -d '",' |
		awk '/packets:/ { p = $2 } /bytes:/ { b = $2 } /failed:/ { f = $2 }
			END { print p, b, f }'
}

# counted IFACE ID [STAGE]: "ACTION=PACKETS/BYTES ..." of a program of ours, or of the STAGEth
# stage of its
counted()
{
	loader status -v "$1" | awk -v id="$2" -v stage="${3-}" '
		/^[^ ].*, ID / { split($0, part, /, (ID )?/); mine = part[2] == id; at = "" }
		/^  stage / { at = $2 + 0 }
		mine && (stage == "" || stage == at) && /^    XDP_/ {
			printf "%s%s=%s/%s", sep, $1, $2, $3; sep = " "
		}
		END { print "" }'
}

# send PEER COUNT [MIN [MAX [BAD]]]: see traffic.c
send() { ns peer "$traffic" send "$1" "$2" "${3-64}" "${4-${3-64}}" "${5-0}" 192; }

# sender_start PEER WAY, sender_stop: traffic meanwhile, never more than WAY packets on the way.
# sender_stop prints what was sent.
sender_start()
{
	# exec: the process to end is the sender itself
	(exec nsenter --net=/run/netns/peer -- "$traffic" send "$1" 0 64 64 0 "$2" >"$tmp/sent") &
	sender=$!
}

sender_stop()
{
	kill -TERM "$sender"
	wait "$sender"
	cat "$tmp/sent"
}

# receiver_start IFACE, receiver_stop: prints "DISTINCT AGAIN OTHER LOST" packets of senders that
# came through to the stack
receiver_start()
{
	start "$tmp/received" "$traffic" receive "$1"
	# shellcheck disable=SC2154 # of start()
	receiver=$started
}

receiver_stop()
{
	kill -TERM "$receiver"
	wait "$receiver"
	tail -n 1 "$tmp/received"
}

# XDP takes packets in fragments (jumbo frames) since Linux 5.18
has_frags() { [[ $(printf '%s\n' 5.18 "$(uname -r)" | sort -V | head -n 1) == 5.18 ]]; }
