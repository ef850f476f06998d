# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# What the steps in testing/package's machine share; after testing/lib/lib.sh.
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2034 # used by the steps
conf=/etc/ecbpf/ecbpf.conf
tmp=$(mktemp -d)
defer rm -rf "$tmp"
traffic=$2/traffic # STEP HELPERS are the arguments of each

# works NAME COMMAND...: it must succeed
works()
{
	if "${@:2}" >"$tmp/out" 2>&1 </dev/null; then
		pass "$1"
	else
		fail "$1" "exit status not 0: $(cat "$tmp/out")"
		journalctl -b --no-pager -u 'ecbpf*' | tail -n 30 || : # there is none
	fi
}

# What the kernel has attached, and what is loaded and pinned
attached() { ip -o link show lan0 | grep -o 'prog/xdp id [0-9]*' || :; }
members()
{
	ecbpf-loader status -v lan0 |
		sed -nE 's/^(.*: )?([^ ,]+), ID ([0-9]+).*/\2=\3/p' | xargs
}
# programs: those of XDP and TC
programs()
{
	bpftool prog >"$tmp/programs" || echo "bpftool failed"
	grep -E '^[0-9]+: (xdp|ext|sched_cls) ' "$tmp/programs" || :
}

files() { find / -xdev \( -path /var/lib -o -path /var/cache -o -path /var/log -o -path /root \
	-o -path /tmp -o -path /lib/modules -o -path /usr/lib/modules -o -path /run \) -prune \
	-o -print | sort; }

# The other end of the cable, where nothing but the test speaks
peer_up()
{
	local name

	mkdir -p /run/netns
	ns_add peer
	ip link set lan1 netns peer
	for name in all default; do
		ns peer bash -c "echo 1 >/proc/sys/net/ipv6/conf/$name/disable_ipv6"
	done
	ns peer ip link set lan1 up
	ns peer ip address add 10.9.0.2/24 dev lan1
	ns peer ip neigh add 10.9.0.1 dev lan1 lladdr "$(</sys/class/net/lan0/address)" # no ARP
	ip neigh add 10.9.0.2 dev lan0 lladdr \
		"$(ns peer ip -o link show lan1 | sed 's/.*ether \([^ ]*\).*/\1/')"
	for ((i = 0; i < 300; i++)); do # networkd takes its time
		[[ ! $(ip -o -4 address show lan0) ]] || return 0
		sleep 0.1
	done
}

# peer_make: the other end, with an address that is banned, too
peer_make()
{
	peer_up
	ns peer ip address add 10.9.0.66/24 dev lan1
	ip neigh add 10.9.0.66 dev lan0 lladdr \
		"$(ns peer ip -o link show lan1 | sed 's/.*ether \([^ ]*\).*/\1/')"
}

# banned NAME: 10.9.0.66 is, and another is not
banned()
{
	equal "$1: a ban holds, others pass" "0 1" "$(pings 10.9.0.66) $(pings 10.9.0.2)"
}
pings()
{
	ns peer ping -I "$1" -c 1 -W 2 10.9.0.1 | sed -n 's/.* \([0-9]*\) received.*/\1/p'
}

now() { local up; read -r up _ </proc/uptime; echo "${up/./}0"; } # ms

# within NAME COMMAND...: it succeeds within 90 s: the machine is an emulated one, and loads a
# chain in 1 to 25 s, as busy as this host is. How long it took is printed
within()
{
	local start end

	start=$(now)
	end=$((SECONDS + 90))
	until "${@:2}" >"$tmp/out" 2>&1 </dev/null; do
		if ((SECONDS > end)); then
			fail "$1" "not within 90 s: $(tail -n 3 "$tmp/out" | xargs)"
			journalctl -b --no-pager -u 'ecbpf*' | tail -n 15 || : # there is none
			return 0
		fi
	done
	pass "$1"
	echo "# $1: $(($(now) - start)) ms"
}

# eventually COMMAND...: it succeeds within a minute
eventually()
{
	for ((i = 0; i < 120; i++)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.5
	done
	return 1
}

# passed_stack IFACE: IPv6 packets that the stack has got from it
passed_stack() { sed -n 's/^Ip6InReceives[\t ]*//p' "/proc/net/dev_snmp6/$1"; }

# At boot, networkd makes lan0 after the service has started, which then attaches the chain
has_chain()
{
	[[ $(ecbpf-loader status -j "${1:-lan0}" | jq '[.[].members[].stages[]] | length') == 3 ]]
}

has_xdp() { ip -o link show "$1" | grep -q prog/xdp; }

# protected NAME IFACE: it has its chain, all of it
protected()
{
	within "$1" has_xdp "$2"
	works "$1: the whole chain" has_chain "$2"
}

# What was changed at runtime, as the kernel has it
state()
{
	ecbpf-filter drop list
	ecbpf-filter allow list
	ecbpf-filter vip list
	ecbpf-fw set list bans
	ecbpf-fw rule list | grep ^ip
	ecbpf-loader export | sed '/^# Changed at runtime/,$d; /gress = /d'
	ecbpf-sampler status -j | jq .rate
}
state_read() { state 2>&1 | sed 's/ *#.*//'; }

# alive NAME: nothing of it is missing that was in $want
# shellcheck disable=SC2154
alive() { equal "$1: what was changed at runtime" "$want" "$(state_read)"; }

# stream_start, stream_stop: numbered packets meanwhile, prints those that were sent, and of those
# that arrived: "DISTINCT AGAIN OTHER LOST"
stream_start()
{
	# nice: the CPU is an emulated one, and has something else to do
	nice "$traffic" receive lan0 >"$tmp/received" &
	receiver=$!
	until grep -q ready "$tmp/received"; do sleep 0.1; done
	nice -n 19 nsenter --net=/run/netns/peer -- "$traffic" send lan1 0 64 64 0 192 \
		>"$tmp/sent" &
	sender=$!
	sleep 1
}

# shellcheck disable=SC2034 # used by the steps
stream_stop()
{
	sleep 1
	kill -TERM "$sender"
	wait "$sender"
	sleep 0.5
	kill -TERM "$receiver"
	wait "$receiver"
	read -r sent _ <"$tmp/sent"
	received=$(tail -n 1 "$tmp/received")
}

# passed_by STAGE, dropped_by STAGE IFACE: packets that it has passed, or dropped
passed_by()
{
	ecbpf-loader metrics lan0 |
		sed -n 's/^ecbpf_packets_total{.*stage="'"$1"'",action="XDP_PASS"} //p'
}
dropped_by()
{
	ecbpf-loader metrics "$2" |
		sed -n 's/^ecbpf_packets_total{.*stage="'"$1"'",action="XDP_DROP"} //p'
}
