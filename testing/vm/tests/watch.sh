#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 600
#
# ecbpf-loader watch, with chains of several programs: who takes one off, rebuilds it or deletes its
# interface finds it attached again, with the programs that it had: nothing is loaded for that.
# shellcheck disable=SC2317 # functions are run by soon
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../chains.sh
. "$(dirname "$0")/../chains.sh"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns
pair_add veth0 veth1
export ECBPF_STATE_DIR=$tmp/state
conf=$tmp/ecbpf.conf
log=$tmp/log
cat >"$conf" <<-END
	[interfaces]
	ingress = veth0
	[chain]
	stages = filter,fw,count
	[program probe]
	file = $(foreign foreign_pass)
	prio = 60
	[filter]
	drop = $tmp/drop
	[fw]
	rules = $tmp/rules
END
echo '198.51.100.0/24' >"$tmp/drop"
echo 'ip from any to any tcp dport 23 drop name "telnet"' >"$tmp/rules"

# members IFACE: "NAME=ID" each
members() { rows "$1" | awk '{ print $2 "=" $3 }' | sort | xargs; }
has() { [[ $(members veth0) == "$1" ]]; }

# soon NAME COMMAND...: true within 60 s, as machines are emulated
soon()
{
	for ((i = 0; i < 300; i++)); do
		if "${@:2}" 2>/dev/null; then
			pass "$1"
			return
		fi
		sleep 0.2
	done
	fail "$1" "not within 60 s: $(members veth0); $(tail -n 2 "$log")"
}

ecbpf-loader watch "$conf" >"$log" 2>&1 &
watcher=$!
watch_end()
{
	[[ ! $watcher ]] || kill "$@" "$watcher" || :
	[[ ! $watcher ]] || wait "$watcher" || :
	watcher=
}
defer watch_end -KILL
soon "it starts" grep -q ready "$log"
before=$(members veth0)
equal "the declared ones" "ecbpf_count ecbpf_filter ecbpf_fw foreign_pass" \
	"$(names veth0 | tr ' ' '\n' | sort | xargs)"
send veth1 1000 >/dev/null
counted=$(counted veth0 "$(ids veth0 ecbpf_count)")

ip link set veth0 xdp off
soon "taken off: the same programs" has "$before"
equal "their counters are those they had" "$counted" \
	"$(counted veth0 "$(ids veth0 ecbpf_count)")"
send veth1 1000 >/dev/null
equal "and they run" "XDP_PASS=2000/128000" "$(counted veth0 "$(ids veth0 ecbpf_count)")"

xdp-loader unload -a veth0 >"$tmp/out" 2>&1
soon "xdp-loader unload -a: the same programs" has "$before"

works "xdp-loader takes one of them out" xdp-loader unload -i "$(ids veth0 ecbpf_fw)" veth0
soon "it is back" has "$before"

works "xdp-loader adds another one" xdp-loader load -P 5 veth0 "$(foreign foreign_drop)"
sleep 2
works "which is left alone" grep -q foreign_drop <<<"$(names veth0)"
works "and taken out again" xdp-loader unload -i "$(ids veth0 foreign_drop)" veth0
soon "the others are there" has "$before"

ip link del veth0
pair_add veth0 veth1
soon "deleted, created: the same programs" has "$before"
send veth1 1000 >/dev/null
equal "which run" "XDP_PASS=3000/192000" "$(counted veth0 "$(ids veth0 ecbpf_count)")"

# other code or constants: none of those that are held will do
sed -i 's/^stages = .*/stages = filter,fw,pass,count/' "$conf"
works "another stage" ecbpf-loader watch --reload
works "it is there" grep -q ecbpf_pass <<<"$(names veth0)"

watch_end -INT
works "unload" ecbpf-loader unload -a veth0
works "clean --all: nobody holds any" ecbpf-loader clean --all
equal "nothing is left" "" "$(snapshot)"
summary
