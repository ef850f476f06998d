#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The fast path without IPVS, a routing director in its place: what arrives is byte for byte what
# the kernel sends; two-armed as well; commands; unloading under traffic loses nothing.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"

fresh_bpffs "$@"
here=$(cd "$(dirname "$0")" && pwd -P)
use_build ip ecbpf-fastpath ecbpf-loader curl gcc jq /usr/bin/python3
tmp=$(mktemp -d)
defer rm -rf "$tmp"
flows=$tmp/flows
gcc -O2 -o "$flows" "$here/../vm/flows.c"
name=fp$$
vpop=("$here/../vpop/vpop" --name "$name")
vip4=$("${vpop[@]}" vip4) vip6=$("${vpop[@]}" vip6)
director=02:ec:bf:00:00:02

on() { "${vpop[@]}" exec "$@"; }
fastpath() { on director ecbpf-fastpath "$@"; }

# load_routed ARG...: there is no IPVS here
load_routed() { fastpath load "$@" && fastpath set routed=on; }

# refused NAME STATUS REGEX COMMAND...
refused()
{
	local out status=0

	out=$("${@:4}" 2>&1) || status=$?
	if ((status == $2)) && grep -qE -- "$3" <<<"$out"; then
		pass "$1"
	else
		fail "$1" "status $status, not $2, or not '$3': $out"
	fi
}

# value JQ: out of `status -j`
value() { fastpath status -j | jq "$1"; }

# traffic NAME SEED SOURCE [TAG]: each packet must arrive as the kernel would send it, from SOURCE
traffic()
{
	local pid out

	start "$tmp/ready" "${vpop[@]}" exec real1 "$flows" capture eth0 "$tmp/real1"
	pid=$started
	on router "$flows" send director "$tmp/sent" "$director" "$2" 10 40 tcp "$vip4" "$vip6" \
		real1 ${4+"$4"}
	sleep 0.5
	kill "$pid"
	wait "$pid" || fail "$1" "the capture is not whole"
	if out=$("$flows" compare "$tmp/sent" "$3" - \
		"real1=02:ec:bf:00:00:03=192.0.2.11=2001:db8:2::11=$tmp/real1"); then
		pass "$1: $out"
	else
		fail "$1" "$(tr '\n' ';' <<<"$out")"
	fi
}

defer "${vpop[@]}" down
"${vpop[@]}" up --no-ipvs
# one server: which one is not the question here, and a hash may change its mind
on director ip route replace default table 80 via 192.0.2.11
on director ip -6 route replace default table 80 via 2001:db8:2::11
# XDP_TX to a veth arrives where the other end has an XDP program
on router ecbpf-loader load --fused pass director

# --- what arrives -------------------------------------------------------------------------------

refused "status, not loaded" 1 "not loaded" fastpath status
traffic "the kernel alone" 1 "$director"
works "load" load_routed --in eth0 --fused --flows 10000
refused "load, again" 1 "is loaded already" fastpath load --in eth0 --fused
traffic "with the fast path" 2 "$director"
tx=$(value .packets.XDP_TX) up=$(value .packets.XDP_PASS)
if ((tx > 2 * up)); then
	pass "two of three went by XDP ($tx, $up)"
else
	fail "two of three went by XDP" "$tx did, $up did not"
fi
equal "every flow had one lease" 20 "$(value .egress.granted)"

# --- what is odd --------------------------------------------------------------------------------

# cases NAME: what comes of odd packets in the middle of flows, into a directory of this name
cases()
{
	local node pids=()

	mkdir "$tmp/$1"
	for node in real1=eth0 router=director; do
		start "$tmp/ready" "${vpop[@]}" exec "${node%=*}" "$flows" capture "${node#*=}" \
			"$tmp/$1/${node%=*}"
		pids+=("$started")
	done
	on router /usr/bin/python3 "$here/../vm/cases.py" send director "$director" tcp \
		"$vip4" "$vip6"
	sleep 0.5
	kill "${pids[@]}"
	wait "${pids[@]}"
}

on director ip route replace default table 80 via 192.0.2.11 mtu 1400
on director ip -6 route replace default table 80 via 2001:db8:2::11 mtu 1400
on director sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
on router ip neigh replace 198.51.100.77 lladdr 02:ec:bf:00:00:77 dev client
on router ip -6 neigh replace 2001:db8:1::77 lladdr 02:ec:bf:00:00:77 dev client
before=$(value .packets.XDP_TX)
cases with
works "odd packets: the others went by XDP" test "$(value .packets.XDP_TX)" -gt $((before + 500))
fastpath unload
cases without
if out=$(/usr/bin/python3 "$here/../vm/cases.py" compare "$tmp/without" "$tmp/with"); then
	pass "odd packets: the same with the fast path and without: $out"
else
	fail "odd packets: the same with the fast path and without" "$(tr '\n' ';' <<<"$out")"
fi
on director ip route replace default table 80 via 192.0.2.11
on director ip -6 route replace default table 80 via 2001:db8:2::11
fastpath load --in eth0 --fused --flows 10000
traffic "what IPVS has not balanced" 8 "$director"
works "gets no lease ($(value .egress.routed))" test "$(value .egress.granted)" = 0 -a \
	"$(value .egress.routed)" -gt 100 -a "$(value .packets.XDP_TX)" = 0
works "routed=on" fastpath set routed=on

# --- commands -----------------------------------------------------------------------------------

refused "set, out of range" 2 "lease: '99' is not a number from 100" fastpath set lease=99
refused "set, sample above inactive" 1 "sample .* must be less than inactive" \
	fastpath set sample=5000 inactive=5000
refused "set, unknown" 2 "no setting 'x'" fastpath set x=1
refused "set, no number" 2 "is not a number" fastpath set lease=1s
works "set, the shortest, and something else after it" \
	on director sh -c 'ecbpf-fastpath set sample=10 inactive=100 && ecbpf-fastpath set max=95'
works "set" fastpath set lease=60000 sample=30000 inactive=60000
equal "status: no blanks behind" "" "$(fastpath status | grep '[[:blank:]]$')"
equal "settings" "60000 30000" "$(value '"\(.settings.lease) \(.settings.sample)"' | tr -d '"')"
on client curl -s -o /dev/null "http://$vip4/bulk"
client=$(fastpath flows -j --vip "$vip4" | jq -r 'max_by(.lease_ms) | "\(.client):\(.client_port)"')
equal "flows: no lease is longer than leases are" true \
	"$(fastpath flows -j | jq 'map(.lease_ms) | max > 0 and max <= 60000')"
works "explain says forwarded" grep -q "^next packet: fastpath-lease" \
	<(fastpath explain tcp "$client" "$vip4:80")
works "explain says unknown" grep -q "^next packet: fastpath-unknown" \
	<(fastpath explain tcp 192.0.2.99:1 "$vip4:80")
equal "explain -j" "$client false false fastpath-lease true" \
	"$(fastpath explain -j tcp "$client" "$vip4:80" | jq -r '"\(.client):\(.client_port) \(.ipvs)
		\(.excluded) \(.reason) \(.lease_ms > 0 and .sample_ms > 0)"' | xargs)"
equal "explain -j, unknown" "fastpath-unknown null null" \
	"$(fastpath explain -j tcp 192.0.2.99:1 "$vip4:80" |
		jq -r '"\(.reason) \(.state) \(.sample_ms)"')"
refused "explain, no port" 2 "is not ADDRESS:PORT" fastpath explain tcp 192.0.2.99 "$vip4:80"
works "flush one" grep -q "^1 lease ended" <(fastpath flush --flow tcp "$client" "$vip4:80")
works "explain says unknown after it" grep -q "^next packet: fastpath-unknown" \
	<(fastpath explain tcp "$client" "$vip4:80")
on client curl -s -o /dev/null "http://[$vip6]/bulk"
equal "exclude: nothing yet" "" "$(fastpath exclude list)"
works "exclude" fastpath exclude add 198.51.100.0/24 2001:db8:1::2
equal "exclude: listed" "198.51.100.0/24 2001:db8:1::2" \
	"$(fastpath exclude list | sort | tr '\n' ' ' | sed 's/ $//')"
refused "exclude, no prefix" 2 "has a prefix length that is not 0 to 32" \
	fastpath exclude add 203.0.113.1 198.51.100.1/33
equal "excluded: leases ended" 0 "$(value .flows)"
before=$(value .packets.XDP_TX)
on client curl -s -o /dev/null "http://$vip4/bulk" -o /dev/null "http://[$vip6]/bulk"
equal "excluded: goes by the kernel" "$before" "$(value .packets.XDP_TX)"
works "exclude, delete" fastpath exclude delete 198.51.100.0/24 2001:db8:1::2
refused "exclude, delete again" 1 "is not excluded" fastpath exclude delete 2001:db8:1::2
works "monitor" fastpath set monitor=on
on client curl -s -o /dev/null "http://$vip4/bulk"
equal "monitor: nothing goes by XDP" "$before" "$(value .packets.XDP_TX)"
works "monitor: but would" test "$(value '.reasons["fastpath-monitor"]')" -gt 5
works "monitor off" fastpath set monitor=off
works "flush all" fastpath flush --all
equal "flush all: none left" 0 "$(value .flows)"
works "check, without leases" fastpath check
equal "check -j" '{"faults":[],"leases":0,"differ":[]}' "$(fastpath check -j | jq -c)"
# IPVS's connections as they are when others come meanwhile: what disagrees in each reading
gcc -shared -fPIC -O2 -I"$ECBPF_BUILD/root/include" -o "$tmp/readings.so" \
	-xc - <<-'END'
	#include <stdlib.h>
	#include <string.h>
	#include <ecbpf/libecbpf-fastpath.h>

	/* $READINGS: "ab,bB": port of the client, 'a' is 97; a capital: to another server */
	int ecbpf_fastpath_flows(struct ecbpf *e, const struct ecbpf_fastpath_filter *filter,
				 ecbpf_fastpath_flow_fn fn, void *data)
	{
		static const char *at;
		const char *readings = getenv("READINGS");

		for (at = at ? at + 1 : readings; *at && *at != ','; at++) {
			struct ecbpf_fastpath_flow flow = {
				.client_port = *at | 32,
				.proto = 6,
				.lease_ms = 500,
				.hop = {.dest = {2, *at}, .ifindex = 1},
				.agreement = ECBPF_NO_ENTRY,
			};

			fn(data, &flow);
		}
		return 0;
	}
END
# readings NAME READINGS STATUS CLIENTS LEASES: clients' ports, a blank behind each
readings()
{
	local out status=0

	out=$(on director env LD_PRELOAD="$tmp/readings.so" READINGS="$2" ecbpf-fastpath check) ||
		status=$?
	equal "$1" "$3 $4$5" "$status $(
		sed -n 's/^tcp \[::\]:\([0-9]*\) .* no such connection$/\1/p' \
		<<<"$out" | tr '\n' ' ')$(sed -n 's/ leases, .*//p' <<<"$out")"
}
readings "check: wrong once is not wrong" ab, 0 "" 0
readings "check: nor something else each time" ab,cd 0 "" 2
readings "check: nor with another lease" abc,ABC 0 "" 3
readings "check: wrong twice is" dcab,xbyAd 1 "98 100 " 5

# --- filters of others ----------------------------------------------------------------------------

# live_start COUNT RATE: COUNT flows from 198.51.100.77, RATE packets a second in all
live_start()
{
	start "$tmp/sent" "${vpop[@]}" exec router "$flows" live director "$director" "$vip4" \
		10000 "$1" "$2"
}

# live: 50 flows, for a while
live()
{
	live_start 50 500
	sleep 1
	kill "$started"
	wait "$started"
}

on real1 ip route add blackhole 198.51.100.77 # what belongs to nothing is not answered
fastpath set lease=60000 sample=30000
before=$(value .egress.granted)
live
equal "the kernel sends: a lease for each flow" 50 $(($(value .egress.granted) - before))
fastpath flush --all >/dev/null
# Where tc puts it that is told no preference. As bytecode, for kernels without tc's actions: IPv4
# (half word 12) from 198.51.100.77 (word 26) is TC_ACT_SHOT, all the rest TC_ACT_UNSPEC
code="6,40 0 0 12,21 0 3 2048,32 0 0 26,21 0 1 $((0xc633644d)),6 0 0 2,6 0 0 $((0xffffffff))"
works "a filter that drops" on director \
	tc filter add dev eth0 egress protocol all bpf direct-action bytecode "$code"
before=$(value .egress.granted)
live
equal "what a filter of others drops gets no lease" 0 $(($(value .egress.granted) - before))
pref=$(on director tc -j filter show dev eth0 egress | jq '[.[] | select(.options.bytecode) |
	.pref] | first')
on director tc filter del dev eth0 egress pref "$pref"
live
equal "without it they have them again" 50 $(($(value .egress.granted) - before))
fastpath flush --all >/dev/null
on real1 ip route del blackhole 198.51.100.77

# --- load and unload under traffic --------------------------------------------------------------

on client curl -s -o "$tmp/big" --limit-rate 300k "http://$vip4/bulk" &
pid=$!
for _ in 1 2 3 4; do
	fastpath unload
	load_routed --in eth0 --fused --flows 10000
	sleep 0.1
	leases=$(value .flows)
	on director ecbpf-loader replace --fused fastpath eth0 fused
	(($(value .flows) >= leases)) || fail "leases survive a replacement" "there were $leases"
done
wait "$pid" || fail "download while it comes and goes" "curl: $?"
equal "download while it comes and goes" 1048576 "$(stat -c %s "$tmp/big")"
works "unload" fastpath unload
refused "unload, again" 1 "not loaded" fastpath unload
equal "no filter is left" "" "$(on director tc filter show dev eth0 egress)"
on client curl -s -o "$tmp/big" "http://$vip4/bulk"
equal "the kernel alone again" 1048576 "$(stat -c %s "$tmp/big")"

# --- VLAN tags that XDP does not see --------------------------------------------------------------

# warned NAME WANT ARG...: the interfaces that load speaks of
warned()
{
	equal "$1" "$2" "$(fastpath load --in eth0 --fused --flows 1000 "${@:3}" 2>&1 |
		sed -n "s/.* \(eth0\): VLAN tags are removed .* 'ethtool -K eth0 rxvlan off'/\1/p")"
	fastpath unload
}

warned "native mode, tags taken off: a warning" eth0 --mode native
warned "skb mode, tags taken off: a warning" eth0 --mode skb
on director ethtool -K eth0 rxvlan off
warned "skb mode, tags stay: no warning" "" --mode skb
warned "native mode, tags stay: no warning" "" --mode native
on director ethtool -K eth0 rxvlan on

# --- at once ------------------------------------------------------------------------------------

# whoever comes first or last: it is there, whole, or it is not there
wrong=''
for ((i = 0; i < ${ECBPF_TIMES:-10}; i++)); do
	pids=()
	for verb in "load -q --in eth0 --fused --flows 1000" "unload -q" \
		"load -q --in eth0 --fused --flows 1000"; do
		read -ra words <<<"$verb"
		fastpath "${words[@]}" >"$tmp/said-${#pids[@]}" 2>&1 &
		pids+=($!)
	done
	wait "${pids[@]}" || : # not all of them can
	! grep -qhEv 'is loaded already|is not loaded|: warning: ' "$tmp"/said-* ||
		wrong+="; $(cat "$tmp"/said-*)"
	case $(fastpath status -j 2>/dev/null | jq .on) in
	true)
		fastpath check >"$tmp/said" 2>&1 || wrong+="; $(<"$tmp/said")"
		(($(on director tc filter show dev eth0 egress | grep -c ecbpf_egress) == 1)) ||
			wrong+="; no TC program"
		;;
	'')
		[[ ! $(on director tc filter show dev eth0 egress) ]] ||
			wrong+="; TC program without the rest"
		! on director ip -d link show dev eth0 | grep -q prog/xdp ||
			wrong+="; XDP program without the rest"
		;;
	*) wrong+="; off, and there" ;;
	esac
done
fastpath unload 2>/dev/null || : # there may be nothing
equal "load, unload, load at once, $i times: whole, or not there" "" "$wrong"

# --- killed ---------------------------------------------------------------------------------------

# Kills its process in the place of system call number $KILL_AT, of those that change something;
# the number of the last one that was made is in the file $KILL_COUNT
gcc -shared -fPIC -O2 -o "$tmp/killer.so" -xc - -ldl <<-'END'
	#define _GNU_SOURCE
	#include <dlfcn.h>
	#include <fcntl.h>
	#include <signal.h>
	#include <stdarg.h>
	#include <stdio.h>
	#include <stdlib.h>
	#include <sys/socket.h>
	#include <unistd.h>

	static void step(void)
	{
		static int count;
		const char *at = getenv("KILL_AT");
		char text[16];
		int fd, len;

		if (at && ++count == atoi(at))
			kill(getpid(), SIGKILL);
		fd = open(getenv("KILL_COUNT"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
		len = snprintf(text, sizeof(text), "%d", count);
		if (write(fd, text, len) == len)
			close(fd);
	}

	long syscall(long number, ...) /* bpf() is called this way */
	{
		long (*next)(long, ...) = dlsym(RTLD_NEXT, "syscall");
		va_list args;
		long a[6];

		step();
		va_start(args, number);
		for (int i = 0; i < 6; i++)
			a[i] = va_arg(args, long);
		va_end(args);
		return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	}

	ssize_t send(int fd, const void *data, size_t size, int flags)
	{
		step();
		return sendto(fd, data, size, flags, NULL, 0);
	}

	int unlink(const char *path)
	{
		step();
		return unlinkat(AT_FDCWD, path, 0);
	}
END

# killed AT VERB...: of ecbpf-fastpath; in the place of system call AT, 0: none
killed()
{
	on director env LD_PRELOAD="$tmp/killer.so" KILL_AT="$1" KILL_COUNT="$tmp/calls" \
		ecbpf-fastpath "${@:2}" >/dev/null 2>&1
}

# told: the state there is, and what check and the doctor say of it
told()
{
	local state said found

	state=$(fastpath status -j 2>/dev/null | jq -r '.on') || :
	said=$(fastpath check 2>&1) || :
	found=$(on director ecbpf-loader doctor -j | jq -r '[.[] |
		select(.code | startswith("fastpath-")) | .code] | join(" ")') ||
		: # 1: it has found errors
	case $state/$found in
	true/)
		[[ $said != *"off:"* && $said != *"gone"* ]] || wrong+="; $1: on, $said" ;;
	false/fastpath-off | false/fastpath-no-program)
		halves=$((halves + 1))
		[[ $said == *"off:"* ]] || wrong+="; $1: off: $said" ;;
	/ | null/ | /fastpath-off | /fastpath-no-program)
		nothing=$((nothing + 1))
		[[ $said == *"not loaded"* ]] || wrong+="; $1: not there: $said" ;;
	*) wrong+="; $1: state '$state', doctor '$found', check: $said" ;;
	esac
}

# instants CALLS: which to kill at: all of them with $ECBPF_KILLS=all, else so many (4)
instants()
{
	if [[ ${ECBPF_KILLS-} == all ]]; then
		seq "$1"
	else
		seq "$1" | shuf -n "${ECBPF_KILLS:-4}"
	fi
}

load=(load --in eth0 --fused --flows 1000)
wrong='' halves=0 nothing=0 count=0
killed 0 "${load[@]}"
calls=$(<"$tmp/calls")
killed 0 unload
for at in $(instants "$calls"); do
	! killed "$at" "${load[@]}" || wrong+="; load: not killed at $at"
	told "load at $at"
	on client curl -s -m 10 -o /dev/null "http://$vip4/" ||
		wrong+="; load at $at: no connection"
	if ((count++ % 2)); then # either way out of it
		fastpath unload 2>/dev/null || : # there may be nothing
		[[ ! $(on director tc filter show dev eth0 egress) ]] || wrong+="; TC program left"
		! on director ip -d link show dev eth0 | grep -q prog/xdp ||
			wrong+="; XDP program left"
	else
		fastpath "${load[@]}" 2>/dev/null ||
			{ fastpath unload && fastpath "${load[@]}"; } ||
			wrong+="; load at $at: no load after it"
		fastpath unload
	fi
done
equal "load, killed $count times, of which $nothing left nothing, $halves a part" "" "$wrong"

wrong='' halves=0 nothing=0 count=0
fastpath "${load[@]}"
killed 0 unload
calls=$(<"$tmp/calls")
for at in $(instants "$calls"); do
	fastpath "${load[@]}"
	! killed "$at" unload || wrong+="; unload: not killed at $at"
	told "unload at $at"
	on client curl -s -m 10 -o /dev/null "http://$vip4/" ||
		wrong+="; unload at $at: no connection"
	fastpath unload 2>/dev/null || :
	[[ ! $(on director tc filter show dev eth0 egress) ]] || wrong+="; TC program left"
	! on director ip -d link show dev eth0 | grep -q prog/xdp || wrong+="; XDP program left"
	count=$((count + 1))
done
equal "unload, killed $count times, of which $nothing left nothing, $halves a part" "" "$wrong"

wrong='' count=0
fastpath "${load[@]}"
start=(lease=1000 sample=1000 inactive=60000 target-pps=1000000 spike=50 max=95 reset-pps=0)
change=(lease=2000 sample=2000 inactive=30000 target-pps=5000 spike=10 max=50 reset-pps=7)
for verb in "set ${change[*]}" "flush --all" "exclude add 203.0.113.0/24 2001:db8:9::/48"; do
	read -ra words <<<"$verb"
	fastpath set "${start[@]}"
	killed 0 "${words[@]}"
	calls=$(<"$tmp/calls")
	for at in $(instants "$calls"); do
		fastpath set "${start[@]}"
		fastpath exclude delete 203.0.113.0/24 2001:db8:9::/48 2>/dev/null || :
		! killed "$at" "${words[@]}" || wrong+="; $verb: not killed at $at"
		said=$(fastpath status -j | jq -r '.settings | [.lease, .sample, .inactive,
			."target-pps", .spike, .max, ."reset-pps"] | join(" ")')
		[[ $said == "1000 1000 60000 1000000 50 95 0" ||
			$said == "2000 2000 30000 5000 10 50 7" ]] ||
			wrong+="; $verb at $at: $said"
		told "$verb at $at"
		count=$((count + 1))
	done
done
on client curl -s -m 10 -o /dev/null "http://$vip4/" || wrong+="; no connection"
equal "set, flush, exclude, killed $count times: old or new" "" "$wrong"
fastpath unload
fastpath load --in eth0 --fused --flows 1000
on director tc qdisc del dev eth0 clsact
refused "check: no TC program" 1 "eth0: no TC program" fastpath check
equal "check -j: no TC program" "eth0: no TC program: packets that leave there get no lease" \
	"$({ fastpath check -j || :; } | jq -r '.faults[]')"
fastpath unload

# --- much, both ways ----------------------------------------------------------------------------

on director ip rule add pref 11 to "$vip4" ipproto tcp dport 81 lookup 80
on director ip -6 rule add pref 11 to "$vip6" ipproto tcp dport 81 lookup 80
"${vpop[@]}" exec real1 "$here/../vpop/bulk" serve 81 &
bulk=$!
defer kill "$bulk"
until on real1 ss -Hltn | grep -q ':81 '; do sleep 0.1; done
load_routed --in eth0 --fused --flows 1000
for gro in on off; do
	on director ethtool -K eth0 gro "$gro"
	for verb in get put; do
		for vip in "$vip4" "$vip6"; do
			before=$(value '.packets.XDP_TX,.packets.XDP_PASS')
			what="$verb ${ECBPF_MEGABYTES:-32} MB, GRO $gro, $vip"
			works "$what" on client "$here/../vpop/bulk" "$verb" "$vip" 81 \
				"${ECBPF_MEGABYTES:-32}"
			read -r tx up <<<"$(value '.packets.XDP_TX,.packets.XDP_PASS' |
				tr '\n' ' ')"
			read -r tx0 up0 <<<"${before//$'\n'/ }"
			tx=$((tx - tx0)) up=$((up - up0))
			if ((tx > 3 * up)); then
				what+=": $((100 * tx / (tx + up)))% of $((tx + up)) packets"
				pass "$what by XDP"
			else
				fail "$what" "$tx packets by XDP, $up were not"
			fi
		done
	done
done
fastpath unload

# --- the shield -----------------------------------------------------------------------------------

on real1 ip route add blackhole 198.18.0.0/15 # what belongs to nothing is not answered
on real1 ip route add blackhole 198.51.100.77
# A large table: packets of a flood that are let in get leases, and evict the flows that have not
# been renewed for longest, the known ones
load_routed --in eth0 --fused --flows 200000
fastpath set limit=on target-pps=1000 spike=50 max=95 lease=60000 sample=30000
for kind in syn ack; do
	start "$tmp/ready" "${vpop[@]}" exec real1 "$flows" stamps eth0 "$tmp/real1"
	capture=$started
	live_start 100 300
	sender=$started
	before=$(value '.reasons["fastpath-shield"]')
	"${vpop[@]}" exec router "$flows" storm director "$director" "$vip4" 80 20000 8 "$kind" \
		>"$tmp/storm" &
	storm=$!
	sleep 1
	new=0
	for ((i = 0; i < 20; i++)); do
		on client curl -s -m 6 -o "$tmp/new-$i" "http://$vip4/" &
		connections[i]=$!
	done
	for ((i = 0; i < 20; i++)); do
		! wait "${connections[i]}" || new=$((new + 1))
	done
	wait "$storm"
	kill "$sender"
	wait "$sender"
	sleep 0.5
	kill "$capture"
	wait "$capture"
	dropped=$(($(value '.reasons["fastpath-shield"]') - before)) sent=$(<"$tmp/storm")
	works "shield, $kind: $dropped of $sent dropped" test $((10 * dropped)) -gt $((7 * sent))
	equal "shield, $kind: no known flow loses a packet" "$(tail -n 1 "$tmp/sent")" \
		"$(wc -l <"$tmp/real1")"
	works "shield, $kind: $new of 20 new connections come to be" test "$new" -ge 18
done
fastpath unload

# --- another server -----------------------------------------------------------------------------

# Most packets go by XDP on one CPU, what is passed to the stack is handled on another
# shellcheck disable=SC2016 # expanded inside
on director unshare --mount sh -c 'mount -t sysfs sysfs /sys &&
	printf "%x" $((1 << ($(nproc) - 1))) >/sys/class/net/eth0/queues/rx-0/rps_cpus'
on real2 ip route add blackhole 198.51.100.77
load_routed --in eth0 --fused --flows 20000
pids=()
for node in real1 real2; do
	start "$tmp/ready" "${vpop[@]}" exec "$node" "$flows" stamps eth0 "$tmp/$node"
	pids+=("$started")
done
live_start "${ECBPF_FLOWS:-3000}" 20000
pids+=("$started")
sleep 1
granted=$(value .flows)
on director ip route replace default table 80 via 192.0.2.12
since=$("$flows" clock)
sleep 2
kill "${pids[@]}"
wait "${pids[@]}"
read -r late last < <("$flows" late "$since" "$tmp/real1")
echo "$granted flows with a lease of 1000 ms: $late packets to the old server, the last one" \
	"sent $last ms after the change"
works "leases, seen on other CPUs than those who use them" test "$granted" -gt \
	$((${ECBPF_FLOWS:-3000} / 2))
works "the old server gets nothing after a lease" test "${last%.*}" -le 1100
equal "the new one gets all flows" "${ECBPF_FLOWS:-3000}" \
	"$("$flows" seen $((since + 1100000000)) "$tmp/real2")"
works "unload" fastpath unload

# --- two-armed: out by another port -------------------------------------------------------------

ip -n "$name-router" link add back address 02:ec:bf:00:01:09 type veth peer name eth1 \
	address 02:ec:bf:00:00:09 netns "$name-director"
ip -n "$name-router" link set back master br0 up
# or it asks for no neighbour for a second or two
on director sysctl -qw net.ipv6.conf.eth1.dad_transmits=0
ip -n "$name-director" link set eth1 up
ip -n "$name-director" address add 192.0.2.110/24 dev eth1
ip -n "$name-director" -6 address add 2001:db8:2::110/64 dev eth1 nodad
on director ip route replace default table 80 via 192.0.2.11 dev eth1
on director ip -6 route replace default table 80 via 2001:db8:2::11 dev eth1
for address in 192.0.2.11 2001:db8:2::11; do
	works "two-armed: $address" on director ping -q -c 1 -w 10 -I eth1 "$address"
done
on router ecbpf-loader load --fused pass back
# a veth that has no XDP program of its own takes no redirected packets
on director ecbpf-loader load --fused pass eth1
works "two-armed: load" load_routed --in eth0 --out eth1 --fused --flows 10000
traffic "two-armed" 3 02:ec:bf:00:00:09
works "two-armed: by redirect" test "$(value .packets.XDP_REDIRECT)" -gt 200
equal "two-armed: none by TX" 0 "$(value .packets.XDP_TX)"
works "two-armed: unload" fastpath unload

# --- the ways in --------------------------------------------------------------------------------

# Packets of one flow that has a lease, as they come in by other ways: to another Ethernet address,
# in a VLAN, by another port, where the kernel's rp_filter drops them. What arrives with the fast
# path is what arrives without

# ways: print how many arrived by each
ways()
{
	local pid

	start "$tmp/ready" "${vpop[@]}" exec real1 "$here/../vm/ways.py" receive eth0 "$tmp/seen"
	pid=$started
	on router "$here/../vm/ways.py" send director "$director" "$vip4" 50 back 02:ec:bf:00:00:09
	sleep 0.5
	kill "$pid"
	wait "$pid" || :
	cat "$tmp/seen"
}

on director sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.eth1.rp_filter=1
on real1 ip route replace blackhole 198.51.100.77
equal "ways in: the kernel alone" "50 0 0 0" "$(ways)"
works "ways in: load" load_routed --in eth0 --in eth1 --fused --flows 10000
equal "ways in: with the fast path" "50 0 0 0" "$(ways)"
works "ways in: by XDP" test "$(value '.reasons["fastpath-lease"]')" -gt 40
works "ways in: the others were seen" test "$(value '.reasons["fastpath-ingress"]')" -gt 100
works "ways in: unload" fastpath unload
summary
