#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 240
#
# Changes of rules that wait for a confirmation: without one, packets find the rules before again
# when the time is over, though no process is left that could have seen to it. And panic.
#
# ECBPF_KILLS: how often such a change is killed (default: 10)
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/fw.sh
. "$(dirname "$0")/../lib/fw.sh"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/ecbpf
export ECBPF_STATE_DIR=$work/state
fw_pair
sysctl -qw net.ipv6.conf.all.disable_ipv6=1

rule() { echo "ip from any to any udp dport $1 drop name \"p$1\""; }
# falls: which of the probes to ports 1001 to 1003 are dropped; nothing but the packets' program is
# asked
falls()
{
	local port before now out=''

	for port in 1001 1002 1003; do
		before=$(verdicts XDP_DROP)
		ns peer bash -c "echo >/dev/udp/192.0.2.1/$port" 2>/dev/null || :
		for _ in 1 2 3 4 5; do
			now=$(verdicts XDP_DROP)
			((now == before)) || break
			sleep 0.02
		done
		((now == before)) || out+=" $port"
	done
	echo "${out# }"
}
names() { fw rule list | sed -n 's/.* name "\(.*\)"/\1/p' | xargs; }
left() { fw status -j | jq .confirm_seconds; }
# logged TEXT: lines of the log of changes at runtime that have it
logged() { cat "$ECBPF_STATE_DIR"/*/* "$ECBPF_STATE_DIR"/* 2>/dev/null | grep -c -- "$1" || :; }
# over: wait until nothing waits any more
over() { while (($(left))); do sleep 0.1; done; }

rule 1001 >"$work/one"
rule 1002 >"$work/two"
{ echo 'set common live'; echo 'ip from @common to any udp drop name "common"'; rule 1002; } \
	>"$work/sets"

# --- nobody confirms ------------------------------------------------------------------------------

cat >"$work/conf" <<-END
	[interfaces]
	ingress = fw0
	[chain]
	stages = fw
	fused = yes
	[fw]
	rules = $work/one
END
ecbpf-loader apply "$work/conf" >/dev/null # changes are kept from now on
check "before" 1001 "$(falls)"
good "a change on probation" fw apply -f "$work/two" --confirm 15s
check "it is live" 1002 "$(falls)"
check "status counts down" true \
	"$(fw status -j | jq '.confirm_seconds > 0 and .confirm_seconds <= 15')"
check "in words" 1 "$(fw status | grep -c "^waiting for 'ecbpf-fw confirm': in [0-9]* s")"
bad "no other change meanwhile" 1 "waits for 'ecbpf-fw confirm'" fw rule add "$(rule 1003)"
bad "nor by a file" 1 "waits for 'ecbpf-fw confirm'" fw apply -f "$work/one"
check "it is not kept yet" 0 "$(logged p1002)"
check "the doctor knows" 1 "$(ecbpf-loader doctor -j | jq '[.. | .code? // empty] |
	map(select(. == "unconfirmed")) | length')"
over
check "when the time is over, packets find the rules before" 1001 "$(falls)"
check "so do verbs" "p1001 0" "$(names) $(left)"
bad "too late" 1 "too late" fw confirm
bad "too late, too" 1 "too late" fw undo
good "and rules can be changed" fw rule add -q "$(rule 1003)"
check "beside the rules before" "1001 1003" "$(falls)"
bad "nothing waits" 1 "no change of the rules waits" fw confirm
fw rule delete -q p1003

# --- somebody does --------------------------------------------------------------------------------

fw rule add -q "$(rule 1002)" --confirm 10s
check "a rule on probation" "1001 1002" "$(falls)"
check "is not kept yet" 0 "$(logged 'add name p1002')"
good "confirmed" fw confirm
begun=$SECONDS
check "is kept now" 1 "$(logged 'add name p1002')"
while ((SECONDS < begun + 11)); do sleep 0.5; done
check "it stays" "1001 1002" "$(falls)"
fw apply -q -f "$work/two" --confirm 5m
good "taken back" fw undo
check "at once" "1001 1002" "$(falls)"
count=$(logged 'fw apply')
fw apply -q -f "$work/two" --confirm 5m
fw confirm -q
check "a file on probation is kept when it is confirmed" "p1002 $((count + 1))" \
	"$(names) $(logged 'fw apply')"
check "what is so already does not wait" 0 "$(fw apply -q -f "$work/two" --confirm 1m; left)"
fw apply -q -f "$work/one"
fw unload -q
ecbpf-loader clean -q -a
fw load -q --fused -f "$work/two" --confirm 15s fw0
check "without rules before" 1002 "$(falls)"
over
check "there are none again" '' "$(names)"
check "and packets pass" '' "$(falls)"
for text in 0 0s 25h 60x 1.5m '' -5 9999999999 60s7; do
	bad "--confirm '$text'" 2 "is not a time" fw apply -f "$work/one" --confirm "$text"
done
bad "--check changes nothing" 2 "--confirm is for changes" fw apply -c -f "$work/one" --confirm 9s
bad "nor does list" 2 "--confirm is for changes" fw rule list --confirm 9s
bad "load: --confirm without rules" 2 "--confirm is for the rules of -f" fw load --confirm 5s fw0

# --- sets -----------------------------------------------------------------------------------------

fw apply -q -f "$work/sets"
fw apply -q -f <(cat "$work/sets"; echo 'set fresh live'; rule 1003) --confirm 1m
good "a set of both generations changes" fw set add common 192.0.2.2
check "for packets" "1001 1002 1003" "$(falls)"
bad "one that only one has does not" 1 "waits for" fw set add fresh 192.0.2.9
bad "nor is one made" 1 "waits for" fw set create more
fw undo -q
check "and its addresses stay" 192.0.2.2 "$(fw set list common)"
check "as in the log" 1 "$(logged 'fw set common add')"
fw set flush -q common --allow-empty

# --- a configuration ------------------------------------------------------------------------------

fw apply -q -f "$work/two" --confirm 1m
bad "a configuration with other rules waits, too" 1 "waits for 'ecbpf-fw confirm'" \
	ecbpf-loader apply "$work/conf"
check "nothing was touched" 1002 "$(falls)"
ecbpf-loader unload -q --all fw0
watch_begin "$work/log" "$work/conf"
check "the watch keeps the interface all the same" 1002 "$(falls)"
# shellcheck disable=SC2154 # of watch_begin
kill "$watcher"
wait "$watcher" || :
fw load -q --fused fw0 # it has taken it off
fw undo -q

# --- as it goes wrong -----------------------------------------------------------------------------

# fdatasync() kills the process behind it, and XDP is attached after SLOW seconds
gcc -shared -fPIC -D_GNU_SOURCE -o "$work/wrong.so" -xc - <<-'END'
	#include <dlfcn.h>
	#include <signal.h>
	#include <stdlib.h>
	#include <unistd.h>

	int fdatasync(int fd)
	{
		int (*next)(int) = dlsym(RTLD_NEXT, __func__);
		int err = next(fd);

		if (getenv("DIES"))
			raise(SIGKILL);
		return err;
	}

	int bpf_xdp_attach(int ifindex, int fd, unsigned int flags, const void *opts)
	{
		int (*next)(int, int, unsigned int, const void *) = dlsym(RTLD_NEXT, __func__);

		if (getenv("SLOW"))
			sleep(atoi(getenv("SLOW")));
		return next(ifindex, fd, flags, opts);
	}
END
sed -i "s|^rules = .*|rules = $work/one|" "$work/conf"
ecbpf-loader apply -q --reset-runtime "$work/conf"
# killed TIME: a change that waits so long; confirm is killed when the log has it
killed()
{
	fw rule add -q "$(rule 1002)" --confirm "$1"
	(DIES=1 LD_PRELOAD=$work/wrong.so ecbpf-fw confirm) >/dev/null 2>&1 || :
	check "confirm is killed: it waits, and is in the log" "true true" \
		"$(fw status -j | jq '.confirm_seconds > 0') $( (($(logged p1002))) && echo true)"
}
killed 60s
good "it is taken back" fw undo
ecbpf-loader apply -q "$work/conf"
check "and does not come back from the log" "p1001 1001" "$(names) $(falls)"
killed 2s
over
ecbpf-loader apply -q "$work/conf"
check "nor if the time was over" "p1001 1001" "$(names) $(falls)"
killed 60s
good "it is confirmed after all" fw confirm
ecbpf-loader unload -q --all fw0
ecbpf-loader clean -q --all
ecbpf-loader apply -q "$work/conf"
check "and is kept" "p1001 p1002" "$(names)"
ecbpf-loader apply -q --reset-runtime "$work/conf"

fw apply -q -f "$work/two" --confirm 60s
bad "the same rules, which wait" 1 "'ecbpf-fw confirm' keeps them" fw apply -f "$work/two"
bad "the same, to wait anew" 1 "'ecbpf-fw confirm' keeps them" \
	fw apply -f "$work/two" --confirm 90s
sed -i "s|^rules = .*|rules = $work/two|" "$work/conf"
bad "the same, of a configuration" 1 "waits for 'ecbpf-fw confirm'" \
	ecbpf-loader apply "$work/conf"
check "metrics: until when" true \
	"$(ecbpf-loader metrics | awk '/^ecbpf_fw_confirm_seconds/ { print ($2 > 0 ? "true" : $2) }')"
bad "export warns" 0 "wait for 'ecbpf-fw confirm'" ecbpf-loader export
fw undo -q
ecbpf-loader apply -q "$work/conf"
watch_begin "$work/log" "$work/conf"
fw apply -q -f "$work/one" --confirm 60s
sed -i "s|^rules = .*|rules = $work/sets|" "$work/conf"
bad "watch --reload while a change waits" 1 "waits for 'ecbpf-fw confirm'" \
	ecbpf-loader watch --reload
fw undo -q
good "and after it" ecbpf-loader watch --reload
check "has its rules" "common p1002" "$(names)"
kill "$watcher"
wait "$watcher" || :
ecbpf-loader clean -q --all
rule 1001 | fw load -q --fused -f - fw0

# the slot that is not live; its map, and that of the live one
slot() { bpftool -j map dump pinned "$bpffs/ecbpf/fw_active" | jq -r ".[0].formatted.value.$1 % 2"; }
bpffs=/sys/fs/bpf
fw apply -q -f "$work/two" --confirm 60s
bpftool map delete pinned $bpffs/ecbpf/fw_small key "$(slot before)" 0 0 0
check "the rules before are lost: the doctor says so" "rules-lost unconfirmed" \
	"$({ ecbpf-loader doctor -j || :; } | jq -r '.[] | select(.severity != "ok") | .code' |
		grep -E 'rules-lost|unconfirmed' | sort | xargs)"
bad "undo would open everything" 1 "the tables of the rules before were removed" fw undo
check "it has not" 1002 "$(falls)"
good "confirm keeps them" fw confirm
fw apply -q -f "$work/one" --confirm 60s
bpftool map delete pinned $bpffs/ecbpf/fw_small key "$(slot word)" 0 0 0
bad "the rules that wait are lost: they cannot be confirmed" 1 "'ecbpf-fw undo' makes" fw confirm
good "undo makes those before live" fw undo
check "they are in force" 1002 "$(falls)"
fw apply -q -f "$work/one" --confirm 60s
for slot in 0 1; do bpftool map delete pinned $bpffs/ecbpf/fw_small key $slot 0 0 0; done
good "both are lost: undo" fw undo
good "then others can be applied" fw apply -f "$work/two"
check "others are in force" 1002 "$(falls)"

ecbpf-loader unload -q --all fw0
rule 1001 >"$work/slow"
SLOW=3 LD_PRELOAD=$work/wrong.so ecbpf-fw load -q --fused -f "$work/slow" --confirm 3s fw0
check "load: the time begins when packets meet the rules" "true 1001" \
	"$(fw status -j | jq '.confirm_seconds > 1') $(falls)"
fw confirm -q

# --- panic ----------------------------------------------------------------------------------------

fw apply -q -f "$work/one"
good "panic drop" fw panic drop
check "everything is dropped" "1001 1002 1003" "$(falls)"
check "with its reason" true "$(ecbpf-loader status -j fw0 |
	jq '[.. | objects | select(has("fw-panic")) | .["fw-panic"]] | add > 0')"
check "status says so" "drop 1" "$(fw status -j | jq -r .panic) $(fw status | grep -c '^panic: ')"
check "so does the doctor" 1 "$({ ecbpf-loader doctor || :; } | grep -c 'ecbpf-fw panic off')"
check "and metrics" 1 "$(ecbpf-loader metrics | grep -c '^ecbpf_fw_panic{verdict="drop"} 1')"
check "and ecbpf-loader status" 1 "$({ ecbpf-loader status 2>&1 || :; } | grep -c 'ecbpf-fw panic off')"
good "rules change under it" fw apply -f "$work/two"
check "it goes on" "1001 1002 1003" "$(falls)"
good "panic pass" fw panic pass
check "everything passes" '' "$(falls)"
fw apply -q -f "$work/one" --confirm 1s
over
check "also when a change was not confirmed" '' "$(falls)"
good "panic off" fw panic off
check "then the rules before are in force" 1002 "$(falls)"
good "again" fw panic off
rm -r /sys/fs/bpf/ecbpf
good "the pins were removed: panic drop pins them again" fw panic drop
check "everything is dropped, then, too" "1001 1002 1003" "$(falls)"
rm /sys/fs/bpf/ecbpf/fw_active
good "panic off, likewise" fw panic off
check "and the rules are in force" 1002 "$(falls)"
bad "panic what?" 2 "expected drop, pass or off" fw panic stop

# --- killed, and under traffic --------------------------------------------------------------------

fw apply -q -f "$work/one"
kills=${ECBPF_KILLS:-10} wrong=''
for ((i = 0; i < kills; i++)); do
	{ timeout -s KILL "0.0$((RANDOM % 40 + 10))" ecbpf-fw apply -q -f "$work/two" --confirm 1s ||
		:; } >/dev/null 2>&1
	sleep 1.1
	[[ $(falls) == 1001 ]] || wrong+="$(names) "
done
check "killed $kills times: a second later, the rules before" '' "$wrong"
ip link del fw0

fw_begin
fw load -q --fused -f "$work/a" fw0
send 0 "$work/stop" >"$work/sent" &
sender=$!
for i in 1 2 3 4 5; do
	fw apply -q -f "$work/b" --confirm 1s
	[[ $i == [24] ]] && fw undo -q
	over
done
touch "$work/stop"
wait "$sender"
check "no packet found neither" "0 $((2 * $(<"$work/sent")))" \
	"$(verdicts XDP_PASS) $(verdicts XDP_DROP)"
summary
