#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 300
#
# Every verb that changes something, killed at random instants: what it was to change is as it was,
# or as it is to be; a verb that makes several changes is whole when it has run again; what had
# ended before the kill outlives a restart. The same for ecbpf-loader watch.
#
# ECBPF_KILLS: how often each verb is killed (default: 1); ECBPF_SEED repeats a run's instants.
# shellcheck disable=SC2317 # functions that kill_alone calls
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
use_build ecbpf-loader ecbpf-filter ecbpf-fw ecbpf-fastpath ecbpf-sampler bpftool jq ip
kills=${ECBPF_KILLS:-1}
RANDOM=${ECBPF_SEED:=$RANDOM}
echo "ECBPF_SEED=$ECBPF_SEED"
tmp=$(mktemp -d)
defer rm -rf "$tmp"
cd "$tmp"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/ecbpf
export ECBPF_STATE_DIR=$tmp/state

sysctl -qw net.ipv6.conf.default.disable_ipv6=1
ip link add v0 type veth peer name v1
ip link set v0 up
ip link set v1 up
seq -f 100.64.%g.1 0 255 >many
printf '198.51.100.0/24 tag\n192.0.2.1\n' >list
printf 'set peers { 10.0.0.0/8 }\nip from @peers to any tcp dport 22 pass name "ssh"\n' >rules
printf 'ip from any to any tcp dport 23 drop name "telnet"\n' >rules2
for n in '' 2; do
	cat >"conf$n" <<-END
		[interfaces]
		ingress = v0
		[chain]
		stages = filter,fw,fastpath,sampler
		fused = yes
		[filter]
		frags = $([[ $n ]] && echo ptb || echo drop)
		[fw]
		rules = $tmp/rules$n
		[fastpath]
		flows = 1000
		lease = ${n}500
		[sampler]
		rate = 100$n
	END
done

# --- what the kernel has ------------------------------------------------------------------------

state()
{
	{
		ecbpf-loader status -j | jq -c '.[] | [.interface, [.members[].stages[].stage]]'
		ecbpf-loader export | sed '/^# Changed at runtime/,$d'
		ecbpf-filter drop list
		ecbpf-filter allow list
		ecbpf-fw rule list
		for set in $(ecbpf-fw set list | awk '{ print $1 }'); do
			echo "$set"
			ecbpf-fw set list "$set"
		done
		tc filter show dev v0 egress | grep -c ecbpf_egress
	} 2>&1 | sed '/^#/!s/ # .*//' || : # of the last of them
}
differ() { diff <(echo "$1") <(echo "$2") | xargs || :; }

# --- one call, killed ---------------------------------------------------------------------------

# kill_at COMMAND: at one of its system calls that change or open something, or at none; sets
# $ended if it had ended
calls=bpf,write,pwrite64,rename,renameat2,unlink,mkdir,rmdir,ftruncate,fdatasync,fsync,sendto
calls+=,sendmsg,openat,close,flock
declare -A counts
kill_at()
{
	local count=${counts[$1]-} status=0

	if [[ ! $count ]]; then # how many there are, of a call that runs to its end
		strace -f -o trace -e trace=$calls bash -c "exec $1" >out 2>&1 </dev/null || :
		counts[$1]=$(wc -l <trace)
		ended=1
		return
	fi
	at=$((1 + RANDOM % (count + 2)))
	(
		strace -f -o trace -e trace=$calls -e "inject=$calls:signal=SIGKILL:when=$at" \
			bash -c "exec $1" >out 2>&1 </dev/null
		exit $?
	) 2>/dev/null || status=$? # bash says that it was killed
	ended=''
	((status)) || ended=1
}

# whole COMMAND: it runs to its end
whole()
{
	bash -c "exec $1" >out 2>&1 </dev/null || wrong+="; '$1' fails: $(tail -n 2 out | xargs)"
}

# restart: no program, no map, then as the configuration and the log of changes say
restart()
{
	whole "ecbpf-loader apply --stop conf"
	whole "ecbpf-loader clean --all"
	whole "ecbpf-loader apply conf"
}

# kill_verb KIND DO UNDO: KIND is
#	kept	one change, of the kind that outlives a restart
#	atomic	one change
#	several	changes; whole when it has run again
kill_verb()
{
	local kind=$1 old new now i n before after
	local texts=("$2" "$3")

	wrong=''
	old=$(state)
	whole "$2"
	new=$(state)
	whole "$3"
	[[ $old != "$new" && $(state) == "$old" ]] ||
		wrong+="; is no pair: $(differ "$old" "$(state)")"
	for ((i = 0; i < 2 * (kills + 1) && ${#wrong} < 400; i++)); do
		n=$((i % 2))
		before=$old after=$new
		((!n)) || { before=$new; after=$old; }
		kill_at "${texts[n]}"
		now=$(state)
		if [[ $ended && $now != "$after" ]]; then
			wrong+="; ended at call $at, and: $(differ "$after" "$now")"
		elif [[ $kind != several && $now != "$before" && $now != "$after" ]]; then
			wrong+="; killed at call $at: $(tail -n 1 trace), \
				$(differ "$after" "$now")"
		fi
		if [[ $kind == kept ]] && ((i >= 2 && i % 25 < 2)); then
			restart
			[[ $(state) == "$after" || ($(state) == "$before" && ! $ended) ]] ||
				wrong+="; killed at call $at, restart: \
					$(differ "$after" "$(state)")"
			now=$(state)
		fi
		if [[ $now != "$after" ]]; then
			whole "${texts[n]}"
		elif [[ ! $ended ]]; then # it may say that there is nothing to do
			bash -c "exec ${texts[n]}" >out 2>&1 </dev/null || :
		fi
		[[ $(state) == "$after" ]] ||
			wrong+="; again after call $at: $(differ "$after" "$(state)")"
	done
	if [[ $wrong ]]; then
		fail "$2, $3: killed $kills times each" "${wrong:2:1500}"
	else
		pass "$2, $3: killed $kills times each, of ${counts[$2]} and ${counts[$3]} calls"
	fi
}

require_cmd strace
works "apply" ecbpf-loader apply conf
ecbpf-filter allow add -q 10.8.0.0/16
ecbpf-fw set create -q bans
ecbpf-fw rule add -q 'ip from @bans to any tcp drop name "bans"'
filter='ecbpf-filter' fw='ecbpf-fw' loader='ecbpf-loader'

kill_verb kept "$filter drop add 203.0.113.5 2001:db8::/64 -t f2b" \
	"$filter drop delete 203.0.113.5 2001:db8::/64"
kill_verb kept "$filter allow add 203.0.113.6" "$filter allow delete 203.0.113.6"
kill_verb several "$filter drop import -f many" "$filter drop flush"
kill_verb several "$filter drop import --replace -f list" "$filter drop flush"
kill_verb kept "$filter vip add 203.0.113.80" "$filter vip delete 203.0.113.80"
kill_verb several "$filter vip add 203.0.113.80 203.0.113.81" "$filter vip flush"
kill_verb kept "$filter set ptb-max-pps=77 martian-source=drop" \
	"$filter set ptb-max-pps=200 martian-source=off"
kill_verb kept "$fw rule add 'drop ip from any to any icmp name \"c\"'" "$fw rule delete c"
kill_verb kept "$fw rule insert 1 'drop ip from any to any udp name \"d\"'" "$fw rule delete d"
kill_verb kept "$fw rule replace bans 'ip from @bans to any udp drop name \"bans\"'" \
	"$fw rule replace bans 'ip from @bans to any tcp drop name \"bans\"'"
kill_verb kept "$fw set add bans 192.0.2.1 192.0.2.2" "$fw set delete bans 192.0.2.1 192.0.2.2"
kill_verb kept "$fw set replace bans -f many" "$fw set flush bans"
kill_verb kept "$fw set create other" "$fw set destroy other"
kill_verb kept "$fw set malformed=pass" "$fw set malformed=drop"
kill_verb kept "ecbpf-fastpath set spike=40 monitor=on" "ecbpf-fastpath set spike=50 monitor=off"
kill_verb kept "ecbpf-fastpath exclude add 203.0.113.80" "ecbpf-fastpath exclude delete 203.0.113.80"
kill_verb kept "ecbpf-sampler set rate-drops=3" "ecbpf-sampler set rate-drops=100"
ecbpf-fw apply -q -f rules 2>/dev/null
kill_verb atomic "$fw apply -f rules2" "$fw apply -f rules"
kill_verb several "$loader apply conf2" "$loader apply conf"
kill_verb several "$loader apply --stop conf" "$loader apply conf"
want=$(state)
wrong=''
restart
equal "after all of that, and a restart" "" "$wrong$(differ "$want" "$(state)")"
kill_verb atomic "$loader load --fused pass v1" "$loader unload -a v1"
whole "ecbpf-loader load --fused pass v1"
kill_verb atomic "$loader replace --fused pass,count v1 ecbpf_fused" \
	"$loader replace --fused pass v1 ecbpf_fused"
whole "ecbpf-loader unload -a v1"

# --- verbs that have no counterpart ---------------------------------------------------------------

# kill_alone COMMAND PREPARE CHECK: functions; CHECK NUMBER runs COMMAND again
kill_alone()
{
	local i

	wrong=''
	for ((i = 0; i <= kills && ${#wrong} < 400; i++)); do
		"$2"
		kill_at "$1"
		"$3" "$i"
	done
	if [[ $wrong ]]; then
		fail "$1: killed $kills times" "${wrong:2:1500}"
	else
		pass "$1: killed $kills times, of ${counts[$1]} calls"
	fi
}

# as WANT: it is so, after COMMAND was killed
as() { [[ $(state) == "$1" ]] || wrong+="; after call $at: $(differ "$1" "$(state)")"; }

at=0
whole "ecbpf-loader apply conf"
want=$(state)

# no program: either all maps go, or what is left of them is no hindrance
all_prepare()
{
	local id

	id=$(ip -j link show v0 | jq '.[0].xdp.prog.id')
	whole "ecbpf-loader apply --stop conf"
	for ((k = 0; k < 50; k++)); do # it is freed, or most of its calls ask for that
		bpftool prog show id "$id" >out 2>&1 || break
		sleep 0.1
	done
}
all_check()
{
	if (($1 % 2)); then
		whole "ecbpf-loader clean --all"
		[[ ! $(find /sys/fs/bpf/ecbpf -type f) ]] || wrong+="; after call $at: maps are left"
	fi
	whole "ecbpf-loader apply conf"
	as "$want"
}
kill_alone "$loader clean --all" all_prepare all_check

stale=/sys/fs/bpf/xdp/dispatch-77-99999999
clean_prepare()
{
	mkdir -p "$stale"
	bpftool prog pin id "$(ip -j link show v0 | jq '.[0].xdp.prog.id')" "$stale/prog0-prog"
}
clean_check()
{
	as "$want"
	whole "ecbpf-loader clean"
	[[ ! -e $stale ]] || wrong+="; after call $at: stale pins are left"
	as "$want"
}
kill_alone "$loader clean" clean_prepare clean_check

addrs() { bpftool -j map dump pinned /sys/fs/bpf/ecbpf/filter_addrs | jq length; }
few=$(addrs)
refresh_prepare()
{
	ip addr add 192.0.2.200/32 dev v0
	whole "ecbpf-loader refresh"
	[[ $(addrs) == $((few + 1)) ]] || wrong+="; $(addrs) addresses of the host"
	ip addr del 192.0.2.200/32 dev v0
}
refresh_check()
{
	local now

	now=$(addrs)
	((now == few || now == few + 1)) || wrong+="; after call $at: $now addresses"
	whole "ecbpf-loader refresh"
	[[ $(addrs) == "$few" ]] || wrong+="; again after call $at: $(addrs) addresses"
	as "$want"
}
kill_alone "$loader refresh" refresh_prepare refresh_check

keygen='ecbpf-sampler keygen keys/k'
keygen_prepare() { rm -rf keys && mkdir keys; }
keygen_check()
{
	[[ -e keys/k && -e keys/k.pub ]] || whole "$keygen"
	/usr/bin/python3 -c 'import zmq
secret, public = open("keys/k", "rb").read().strip(), open("keys/k.pub", "rb").read().strip()
assert zmq.curve_public(secret) == public' 2>out || wrong+="; after call $at: $(tail -n 1 out)"
	[[ $(stat -c %a keys/k keys/k.pub | xargs) == "600 644" ]] ||
		wrong+="; after call $at: modes $(stat -c %a keys/k keys/k.pub | xargs)"
	(($(find keys -type f | wc -l) == 2)) || wrong+="; after call $at: $(echo keys/*)"
}
kill_alone "$keygen" keygen_prepare keygen_check

# A load that was killed between its maps and their settings
whole "ecbpf-loader apply conf"
want=$(state)
zeros=$(bpftool -j map show pinned /sys/fs/bpf/ecbpf/fastpath | jq -r '"0 " * .bytes_value')
# shellcheck disable=SC2086 # bytes
bpftool map update pinned /sys/fs/bpf/ecbpf/fastpath key 0 0 0 0 value $zeros
works "settings of the fast path that were never written: apply" ecbpf-loader apply conf
equal "and they are as declared" "" "$(differ "$want" "$(state)")"

for map in exclude udp ports; do
	# shellcheck disable=SC2086 # bytes
	bpftool map update pinned /sys/fs/bpf/ecbpf/fastpath key 0 0 0 0 value $zeros
	ecbpf-loader unload -a v0 >out
	rm "/sys/fs/bpf/ecbpf/fastpath_$map"
	works "maps of the fast path that were never made, such as $map: apply" \
		ecbpf-loader apply conf
	equal "and all is as declared" "" "$(differ "$want" "$(state)")"
done

# --- the process that keeps all of it -------------------------------------------------------------

# keep COMMAND...: ecbpf-loader watch, by it, until it is ready or has ended
keep()
{
	rm -f log
	"$@" ecbpf-loader watch conf >log 2>&1 </dev/null &
	watcher=$!
	until grep -q ready log 2>/dev/null || ! kill -0 "$watcher" 2>/dev/null; do
		sleep 0.02
	done
}

# keep_end SIGNAL: to the process that has the lock, and so not to strace
keep_end()
{
	local pid

	pid=$(sed -n 's/^pid //p' /run/ecbpf/watch-*)
	[[ ! $pid ]] || kill "$1" "$pid" 2>/dev/null || :
	wait "$watcher" 2>/dev/null || :
}
defer keep_end -KILL

# round NUMBER: it starts after a change and a loss, is killed, and starts again
round()
{
	local at=$((1 + RANDOM % (count + count / 10)))

	ecbpf-filter drop add -q "198.18.$1.1"
	want=$(state)
	if (($1 % 2)); then
		ip link set v0 xdp off
	else # as a reboot
		whole "ecbpf-loader apply --stop conf"
		whole "ecbpf-loader clean --all"
	fi
	{ keep strace -f -o trace -e trace=$calls -e "inject=$calls:signal=SIGKILL:when=$at"; } 2>/dev/null
	keep_end -KILL
	keep
	kill -0 "$watcher" || wrong+="; round $1, call $at: it does not start: $(tail -n 2 log | xargs)"
	now=$(state)
	[[ $now == "$want" ]] || wrong+="; round $1, call $at: $(differ "$want" "$now")"
	keep_end -INT
}

ecbpf-filter drop add -q 203.0.113.5
whole "ecbpf-loader apply --stop conf"
whole "ecbpf-loader clean --all"
keep strace -f -o trace -e trace=$calls
count=$(wc -l <trace)
keep_end -INT
wrong=''
for ((r = 0; r < 2 * kills && ${#wrong} < 400; r++)); do
	round "$r"
done
if [[ $wrong ]]; then
	fail "watch: killed $r times" "${wrong:2:1500}"
else
	pass "watch: killed $r times, of $count calls"
fi

# --- while it compacts the log of changes ---------------------------------------------------------

# grow: the log, more than it may have
grow()
{
	local i

	for ((i = 0; i < 8; i++)); do
		ecbpf-filter drop import -q -f many
		xargs ecbpf-filter drop delete -q <many
	done
}

compacts() { (($(stat -c %s "$changes") <= 65536)); }

changes=$(echo state/runtime/changes*)
traced=(strace -f -o trace -P "$PWD/$changes" -P "$PWD/$changes.new" -e "trace=$calls")
wrong=''
want=$(state)
keep "${traced[@]}"
first=$(wc -l <trace)
grow
for ((i = 0; i < 200; i++)); do
	! compacts || break
	sleep 0.1
done
count=$(($(wc -l <trace) - first))
keep_end -INT
for ((r = 0; r < 2 * kills && ${#wrong} < 400; r++)); do
	at=$((first + 1 + RANDOM % count))
	{ keep "${traced[@]}" -e "inject=$calls:signal=SIGKILL:when=$at"; } 2>/dev/null
	grow
	for ((i = 0; i < 200; i++)); do
		if compacts || ! kill -0 "$watcher" 2>/dev/null; then break; fi
		sleep 0.1
	done
	keep_end -KILL
	as "$want"
	restart
	as "$want"
done
if [[ $wrong ]]; then
	fail "watch, compaction: killed $r times" "${wrong:2:1500}"
elif ((count < 4)); then
	fail "watch, compaction" "there was none: $count calls"
else
	pass "watch, compaction: killed $r times, of $count calls"
fi

# --- its reload -----------------------------------------------------------------------------------

whole "ecbpf-loader apply conf2"
wants=("$want" "$(state)")
whole "ecbpf-loader apply conf"
wants[0]=$(state)
cp conf conf1
files=(conf1 conf2)
turn=0

# one_of STATE...: within 20 s, as it is the daemon that changes it
one_of()
{
	local now

	for ((k = 0; k < 200; k++)); do
		now=$(state)
		for state; do
			[[ $now != "$state" ]] || return 0
		done
		sleep 0.1
	done
	wrong+="; after call $at: $(differ "$1" "$now")"
}

# who asks is killed
reload_prepare()
{
	turn=$((1 - turn))
	cp "${files[turn]}" conf
}
reload_check()
{
	one_of "${wants[@]}"
	whole "ecbpf-loader watch --reload"
	as "${wants[turn]}"
}
keep
kill_alone "$loader watch --reload" reload_prepare reload_check
keep_end -INT

# the process is killed
keep strace -f -o trace -e trace=$calls
first=$(wc -l <trace)
reload_prepare
whole "ecbpf-loader watch --reload"
count=$(($(wc -l <trace) - first))
keep_end -INT
wrong=''
for ((r = 0; r < 2 * kills && ${#wrong} < 400; r++)); do
	at=$((first + RANDOM % count))
	{ keep strace -f -o trace -e trace=$calls -e "inject=$calls:signal=SIGKILL:when=$at"; } 2>/dev/null
	reload_prepare
	ecbpf-loader watch --reload >out 2>&1 || : # it may have died of a look
	keep_end -KILL
	keep
	kill -0 "$watcher" || wrong+="; call $at: it does not start: $(tail -n 2 log | xargs)"
	as "${wants[turn]}"
	keep_end -INT
done
if [[ $wrong ]]; then
	fail "watch, reload: killed $r times" "${wrong:2:1500}"
else
	pass "watch, reload: killed $r times, of $count calls"
fi
summary
