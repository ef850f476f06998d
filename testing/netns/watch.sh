#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 600
#
# ecbpf-loader watch: interfaces that come, go, or lose their programs are as declared again.
# shellcheck disable=SC2016,SC2317 # functions and texts are run by soon
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd -P)
fresh_net "$@"
PATH=${ECBPF_BUILD:-$top/build/test}/root/sbin:$PATH
require_cmd ecbpf-loader ecbpf-fastpath jq ip tc bpftool prlimit strace gcc
tmp=$(mktemp -d)
defer rm -rf "$tmp"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns
export ECBPF_STATE_DIR=$tmp/state
conf=$tmp/ecbpf.conf
log=$tmp/log
watcher=
links=0

# within COMMAND...: true within 20 s
within()
{
	for ((i = 0; i < ${WITHIN:-400}; i++)); do
		! "$@" 2>/dev/null || return 0
		sleep 0.05
	done
	return 1
}

# soon NAME COMMAND...
soon()
{
	if within "${@:2}"; then
		pass "$1"
	else
		fail "$1" "not within 20 s: $(tail -n 3 "$log")"
	fi
}

# xdp IFACE: the id of its program; nothing if there is none
xdp() { ip -j link show "$1" 2>/dev/null | jq -r '.[0].xdp.prog.id // empty'; }
has_xdp() { [[ $(xdp "$1") ]]; }
has_stages()
{
	[[ $(ecbpf-loader status -j "$1" | jq -c '[.[].members[].stages[].stage]') == "$2" ]]
}
has_metric() { ecbpf-loader metrics | grep -x "$1" >"$tmp/metric"; }
has_tc() { tc filter show dev "$1" egress 2>/dev/null | grep -q ecbpf_egress; }
lacks_tc() { ! has_tc "$1"; }

# logged COUNT TEXT: so many lines of it
logged() { [[ $(grep -cF -- "$2" "$log") == "$1" ]]; }

# starts NAME
starts()
{
	rm -f "$log" # what an older one has said
	ecbpf-loader watch "$conf" >"$log" 2>&1 &
	watcher=$!
	soon "$1" grep -q "ready" "$log"
}

watch_end()
{
	[[ ! $watcher ]] || kill "$@" "$watcher" 2>/dev/null || :
	[[ ! $watcher ]] || wait "$watcher" 2>/dev/null || :
	watcher=
}
defer watch_end -KILL

# waits NAME...: what it says that it waits for
waits()
{
	ecbpf-loader metrics | sed -n 's/^ecbpf_waiting{name="\(.*\)"} 1$/\1/p' | sort | xargs
}
waits_for() { [[ $(waits) == "$1" ]]; }

link() { ip link add "$1" type veth peer name "p$((links++))" && ip link set "$1" up; }

cat >"$conf" <<-'END'
	[interfaces]
	ingress = eth0 late bond7/ br-*
	egress = out0
	[chain]
	stages = count,sampler
	fused = yes
	[sampler]
	rate = 100
END
link eth0
link out0
starts "it starts"
soon "the interface that is there" has_xdp eth0
soon "it says what it waits for" waits_for "bond7/ br-* late"
soon "a line for each" logged 1 "late: no such interface: waiting for it"

# --- one of them ----------------------------------------------------------------------------------

out=$(timeout 20 ecbpf-loader watch "$conf" 2>&1) || status=$?
equal "a second one ends" 1 "${status-0}"
equal "and names the first" "ecbpf-loader: process $watcher (ecbpf-loader) keeps this network \
namespace already (/run/ecbpf/watch-$(stat -Lc %i /proc/self/ns/net))" "$out"

# --- interfaces lose their program, or come -------------------------------------------------------

before=$(xdp eth0)
mended=$(grep -c 'eth0: add ecbpf_fused' "$log")
ip link set eth0 xdp off
soon "taken off" has_xdp eth0
soon "one line" logged $((mended + 1)) "eth0: add ecbpf_fused"
equal "it is the program that was held: nothing was loaded" "$before" "$(xdp eth0)"

# an interface that goes while its program is attached is no reason to load it anew
for ((i = 0; i < 30; i++)); do
	ip link del eth0
	link eth0
	sleep "0.0$((RANDOM % 10))"
done
soon "deleted and created again and again" has_xdp eth0
equal "it is still that program" "$before" "$(xdp eth0)"

# pins that somebody removes: no verb would find the maps of programs that go on
find /sys/fs/bpf/ecbpf -type f -delete
is_pinned() { ! { ecbpf-loader doctor -j || :; } | grep -q other-maps; }
soon "maps without pins: pinned again" is_pinned
equal "with all that was set" 100 "$(ecbpf-sampler status -j | jq .rate)"
equal "its program is the same" "$before" "$(xdp eth0)"
soon "one line" grep -q 'pinned again' "$log"
kill -STOP "$watcher"
find /sys/fs/bpf/ecbpf -type f -delete
equal "the advice while it stands still opens no gap" "ecbpf-loader watch --reload" \
	"$({ ecbpf-loader doctor -j || :; } | jq -r '.[] | select(.code == "other-maps").fix')"
kill -CONT "$watcher"
soon "it goes on, and mends it" is_pinned
equal "its program is still the same" "$before" "$(xdp eth0)"

out=$(ecbpf-loader unload eth0 --all 2>&1 >/dev/null)
returns="ecbpf-loader: warning: process $watcher (ecbpf-loader watch) keeps what $conf declares, \
and brings it back; to end that: systemctl stop ecbpf, or kill -INT $watcher"
equal "unload says that it comes back" "$returns" "$out"
soon "unloaded" has_xdp eth0
equal "so does apply --stop" "$returns" "$(ecbpf-loader apply --stop "$conf" 2>&1 >/dev/null)"
soon "stopped" has_xdp eth0
echo '[sampler]' >"$tmp/other.conf"
equal "and apply of another file" "$returns" \
	"$(ecbpf-loader apply "$tmp/other.conf" 2>&1 >/dev/null)"
equal "but not of the same one" "" "$(ecbpf-loader apply "$conf" 2>&1 >/dev/null | grep keeps || :)"
before=$(xdp eth0) # the one before had maps of other stages, whose pins are gone

ip link del eth0
soon "waits for one that is deleted" waits_for "bond7/ br-* eth0 late"
link eth0
soon "created again" has_xdp eth0
equal "with the same program" "$before" "$(xdp eth0)"

ip link set eth0 name other0
soon "waits for one that was renamed" waits_for "bond7/ br-* eth0 late"
link eth0
soon "another one of that name" has_xdp eth0
equal "the renamed one has not lost its own" yes "$([[ $(xdp other0) ]] && echo yes)"
ip link del other0
ip link set eth0 name eth9
ip link set eth9 name eth0
soon "renamed and back" waits_for "bond7/ br-* late"
soon "it has its program" has_xdp eth0

ns_add away
ip link set eth0 netns away
soon "waits for one that moved away" waits_for "bond7/ br-* eth0 late"
ns away ip link set eth0 xdp off
ns away ip link set eth0 netns "$$"
soon "moved back" has_xdp eth0

link late
soon "one that comes late" has_xdp late
ip link add br-0 type veth peer name p-br-0
soon "one of a pattern" has_xdp br-0
soon "nothing is left but the bond" waits_for "bond7/"
if ip link add bond7 type bond 2>/dev/null || ip link add bond7 type bridge 2>/dev/null; then
	link m0
	ip link set m0 down
	ip link set m0 master bond7
fi
if [[ -e /sys/class/net/bond7 ]]; then
	soon "a bond's new member" has_xdp m0
	soon "nothing is waited for" waits_for ""
	ip link set m0 nomaster
	ip link del bond7
	ip link del m0
else
	skip "a bond's new member" "this kernel has neither bonds nor bridges"
fi

# --- what tools of a peer do ----------------------------------------------------------------------

# where nothing can be chained, they load nothing beside a program of ours, and unload it
ecbpf-loader doctor >"$tmp/out" 2>&1 || :
if [[ $(command -v xdp-loader) && $(command -v xdp-filter) ]] &&
	grep -q "kernel cannot replace BPF functions" "$tmp/out"; then
	pass_o=$tmp/pass.bpf.o
	echo '__attribute__((section("xdp"))) int peer(void *ctx) { return 2; }' |
		clang --target=bpf -O2 -g -x c -c - -o "$pass_o"
	before=$(xdp eth0)
	waited=$(waits)
	rate=$(ecbpf-sampler status -j | jq .rate)
	xdp-filter load eth0 >"$tmp/out" 2>&1 || :
	xdp-filter unload eth0 >"$tmp/out" 2>&1 || :
	xdp-loader load -m native eth0 "$pass_o" >"$tmp/out" 2>&1 || :
	equal "a peer loads beside it: it stays" "$before" "$(xdp eth0)"
	mended=$(grep -c 'eth0: add ecbpf_fused' "$log")
	xdp-loader unload -a eth0 >"$tmp/out" 2>&1
	soon "a peer unloads all: mended" has_xdp eth0
	soon "in one line" logged $((mended + 1)) "eth0: add ecbpf_fused"
	equal "with its setting" "$rate" "$(ecbpf-sampler status -j | jq .rate)"
	kill -STOP "$watcher"
	xdp-loader unload -a eth0 >"$tmp/out" 2>&1
	xdp-loader load -m native eth0 "$pass_o" >"$tmp/out" 2>&1 ||
		ip link set eth0 xdp object "$pass_o" section xdp
	kill -CONT "$watcher"
	soon "a peer's program is not taken off" waits_for "${waited:+$waited }eth0"
	equal "it is told once" 1 "$(grep -c "eth0: program 'peer' .*: waiting for it" "$log")"
	ip link set eth0 xdp off
	soon "when it goes, mended" has_stages eth0 '["count","sampler"]'
	soon "and not waited for" waits_for "$waited"
	before=$(xdp eth0)
	ns_add peer
	ns peer ip link add eth0 index "$(</sys/class/net/eth0/ifindex)" type veth peer name eth1
	ns peer xdp-loader load -m native eth0 "$pass_o" >"$tmp/out" 2>&1 || :
	ns peer xdp-loader unload -a eth0 >"$tmp/out" 2>&1 || :
	ns peer xdp-loader clean >"$tmp/out" 2>&1 || :
	equal "in another namespace, with the same index: it stays" "$before" "$(xdp eth0)"
	equal "with its maps" "" "$({ ecbpf-loader doctor -j eth0 || :; } |
		jq -r '.[] | select(.severity == "error" and .code != "differs") | .what')"
else
	skip "a peer's tools" "not here: programs can be chained, or there is no xdp-tools"
fi

# --- many names that are not there ----------------------------------------------------------------

# sockets that it opens until it has looked twice; there is one or two for each question to netlink
sockets()
{
	watch_end -INT
	within has_metric "ecbpf_watch_running 0"
	rm -f "$log"
	strace -f -e trace=socket,socketpair -o "$tmp/trace" ecbpf-loader watch "$1" >"$log" 2>&1 &
	watcher=$!
	within grep -q ready "$log"
	sleep 1.5
	kill -INT "$(pgrep -P "$watcher")" || sed 's/^/# /' "$log" >&2
	wait "$watcher" || :
	watcher=
	wc -l <"$tmp/trace"
}
if type -P strace >/dev/null; then
	for ((i = 0; i < 40; i++)); do
		echo "link add many$i type veth peer name ymany$i"
	done | ip -batch -
	sed "s/^ingress = .*/&$(printf '\\ningress = absent-%s' {1..10})/" "$conf" >"$tmp/few"
	sed "s/^ingress = .*/&$(printf '\\ningress = absent-%s' {1..60})/" "$conf" >"$tmp/many"
	few=$(sockets "$tmp/few")
	many=$(sockets "$tmp/many")
	# 50 more names, each asked for a few times; not for each of 80 interfaces
	if ((many - few < 50 * 20)); then
		pass "a missing name is not asked for again for each interface"
	else
		fail "a missing name is not asked for again for each interface" \
			"$few, $many sockets"
	fi
	for ((i = 0; i < 40; i++)); do
		echo "link del many$i"
	done | ip -batch -
	starts "it starts"
else
	skip "a missing name is not asked for again for each interface" "no strace"
fi

# --- altnames -------------------------------------------------------------------------------------

link phys0
sed -i 's/^ingress = .*/& a-name-longer-than-fifteen/' "$conf"
kill -HUP "$watcher"
soon "a long name is waited for" grep -q "a-name-longer-than-fifteen: no such" "$log"
ip link property add dev phys0 altname a-name-longer-than-fifteen
soon "an alternative name" has_xdp phys0
works "tools take it" ecbpf-loader status a-name-longer-than-fifteen
ip link property del dev phys0 altname a-name-longer-than-fifteen
ip link del phys0
sed -i 's/ a-name-longer-than-fifteen//' "$conf"
kill -HUP "$watcher"
soon "reloaded" grep -q "SIGHUP: the file is applied" "$log"

# --- an interface that cannot be changed does not keep others from it -----------------------------

link bad0
printf 'ip from any to any drop\n' >"$tmp/rules"
sed -i 's/^ingress = .*/ingress = eth0 late tun7/' "$conf"
ip tuntap add tun7 mode tun
watch_end -INT
equal "SIGINT leaves the chains" yes "$([[ $(xdp eth0) ]] && echo yes)"
ip link set eth0 xdp off
starts "it starts with one that has no Ethernet header"
soon "the others are kept" has_xdp eth0
soon "it waits for that one" waits_for "tun7"
ip link set eth0 xdp off
soon "and mends the others" has_xdp eth0
ip link del tun7
link tun7
soon "one that can be changed at last" has_xdp tun7
soon "it waits for none" waits_for ""

# --- what was added at runtime stays --------------------------------------------------------------

ecbpf-loader load --fused pass bad0
ecbpf-sampler set --rate 300
ip link set eth0 xdp off
soon "mended" has_xdp eth0
equal "a setting of runtime stays" 300 "$(ecbpf-sampler status -j | jq .rate)"
ecbpf-filter load --fused eth0
before=$(xdp eth0)
sleep 2 # more than a look takes
equal "a stage of runtime stays" "$before" "$(xdp eth0)"
works "it is there" has_stages eth0 '["filter","count","sampler"]'
equal "a chain that is not declared stays" yes "$([[ $(xdp bad0) ]] && echo yes)"

# --- the file -------------------------------------------------------------------------------------

before=$(xdp eth0)
cp "$conf" "$tmp/good"
echo "stagse = count" >>"$conf"
kill -HUP "$watcher"
soon "a typo is told" grep -q "ecbpf.conf:.*stagse" "$log"
soon "and what runs is kept" grep -q "what was declared before is kept" "$log"
equal "it runs" "$before" "$(xdp eth0)"
soon "the metric says so" has_metric "ecbpf_last_apply_ok 0"
ip link set eth0 xdp off
soon "and is mended" has_xdp eth0
status=0
ecbpf-loader watch --reload 2>"$tmp/out" || status=$?
equal "--reload says why" "1 1" "$status $(grep -c "^ecbpf-loader: $conf:.*stagse" "$tmp/out")"
cp "$tmp/good" "$conf"
sed -i 's/^stages = .*/stages = count/; s/late/late absent0/' "$conf"
works "--reload" ecbpf-loader watch --reload
works "other stages at once" has_stages eth0 '["count"]'
soon "the metric says that it is well" has_metric "ecbpf_last_apply_ok 1"

kill -STOP "$watcher"
ecbpf-loader watch --reload 2>"$tmp/out" &
asker=$!
soon "--reload says for whom it waits" \
	grep -q "waiting for process $watcher (ecbpf-loader watch)" "$tmp/out"
kill -CONT "$watcher"
status=0
wait "$asker" || status=$?
equal "and goes on" 0 "$status"
if [[ ${ECBPF_LONG-} ]]; then
	kill -STOP "$watcher"
	status=0
	ecbpf-loader watch --reload 2>"$tmp/out" || status=$?
	kill -CONT "$watcher"
	equal "for a minute" "1 1" "$status $(grep -c "process $watcher .* for 60 s" "$tmp/out")"
fi

# one that is asked for while another is under way, whose file was another
cp "$conf" "$tmp/good"
: >"$tmp/slow"
printf '[filter]\ndrop = %s\n' "$tmp/slow" >>"$conf"
strace -o "$tmp/trace" -p "$watcher" -P "$tmp/slow" -e trace=openat,read \
	-e inject=read:delay_enter=6000000:when=1 2>"$tmp/strace" &
tracer=$!
soon "it is slowed down" grep -q attached "$tmp/strace"
ecbpf-loader watch --reload 2>"$tmp/first" &
asker=$!
soon "the first one has read all but the list" grep -q openat "$tmp/trace"
{ cat "$tmp/good" && echo "stagse = count"; } >"$conf"
ecbpf-loader watch --reload 2>"$tmp/out" &
second=$!
soon "another one waits" grep -q "waiting for process $watcher" "$tmp/out"
status=0
wait "$asker" || status=$?
equal "the first one ends" 0 "$status"
status=0
wait "$second" || status=$?
equal "the second one says what is wrong with its own" "1 1" \
	"$status $(grep -c "^ecbpf-loader: $conf:.*stagse" "$tmp/out")"
kill "$tracer"
wait "$tracer" || :
cp "$tmp/good" "$conf"
works "--reload" ecbpf-loader watch --reload

# --- its enemies ----------------------------------------------------------------------------------

# 100 with WATCH_KILLS=100
for ((i = 0; i < ${WATCH_KILLS:-3}; i++)); do
	watch_end -KILL
	ip link set eth0 xdp off
	ecbpf-loader watch "$conf" >"$log" 2>&1 &
	watcher=$!
	sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
done
watch_end -KILL
starts "killed at any instant, it starts again"
soon "and the state is whole" has_stages eth0 '["count"]'
works "doctor says so, too" ecbpf-loader doctor eth0

# more events than its socket holds, while it stands still
kill -STOP "$watcher"
ip link add flap type veth peer name yflap
for ((i = 0; i < 800; i++)); do
	echo "link set flap mtu $((1000 + i % 400))"
done | ip -batch -
ip link set eth0 xdp off
kill -CONT "$watcher"
soon "events that were lost do not matter" has_xdp eth0

# many changes while it looks
for ((i = 0; i < 10; i++)); do
	for ((k = 0; k < 400; k++)); do
		echo "link set flap mtu $((1000 + k))"
	done
done | ip -batch - &
flapper=$!
ip link set eth0 xdp off
soon "mended while links change all the time" has_xdp eth0
watch_end -INT
starts "it starts while links change all the time"
kill "$flapper" 2>/dev/null || :
wait "$flapper" || :
ip link del flap

# what fails at each look is told once
mount -o remount,ro /sys/fs/bpf
ip link set eth0 xdp off
soon "a read-only BPF file system is told" grep -q "Read-only" "$log"
sleep 3
lines=$(grep -c "Read-only" "$log")
equal "not again and again" 1 $((lines <= 2))
mount -o remount,rw /sys/fs/bpf
soon "and mended when it can be written to" has_xdp eth0
mv "$conf" "$tmp/away"
ip link set eth0 xdp off
soon "mended without a file, too" has_xdp eth0
mv "$tmp/away" "$conf"

# --- an address that comes later, as keepalived adds it -------------------------------------------

cp "$conf" "$tmp/before"
ns_add client
link vip0
ip link set "p$((links - 1))" netns client name client0
ip addr add 192.0.2.1/24 dev vip0
ns client ip link set client0 up
ns client ip addr add 192.0.2.2/24 dev client0
printf '[interfaces]\ningress = eth0 vip0\n[chain]\nstages = filter\nfused = yes\n' >"$conf"
printf '[filter]\nfrags = drop\n' >>"$conf"
works "--reload" ecbpf-loader watch --reload
answers() { ns client ping -q -c 1 -W 1 -s 3000 "$1" >/dev/null; }
soon "large pings to an address of this host" answers 192.0.2.1
ip addr add 192.0.2.80/32 dev vip0
soon "to a VIP that has just come" answers 192.0.2.80
kill -STOP "$watcher"
ip addr add 192.0.2.81/32 dev vip0
equal "not while the process stands still" lost \
	"$(answers 192.0.2.81 && echo answered || echo lost)"
kill -CONT "$watcher"
soon "until the process goes on" answers 192.0.2.81
ip link del vip0
cp "$tmp/before" "$conf"
works "--reload" ecbpf-loader watch --reload

# --- LLDP -----------------------------------------------------------------------------------------

mkdir "$tmp/bin"
cat >"$tmp/bin/lldpcli" <<-END
	#!/bin/sh
	cat "$tmp/vlan-\$5"
END
chmod +x "$tmp/bin/lldpcli"
watch_end -INT
ecbpf-loader unload --all eth0
ecbpf-loader unload --all late
cat >"$tmp/lldp" <<-'END'
	[interfaces]
	ingress = eth0 late
	ingress-vlan = 100
	[chain]
	stages = count
	fused = yes
	[sampler]
	rate = 77
END
cp "$conf" "$tmp/before"
cp "$tmp/lldp" "$conf"
echo '{"vlan":{"vlan-id":"100"}}' >"$tmp/vlan-eth0"
echo '{"vlan":{"vlan-id":"7"}}' >"$tmp/vlan-late"
PATH=$tmp/bin:$PATH starts "it starts, one interface is on another VLAN"
soon "the one that is right has its chain" has_xdp eth0
equal "the settings are applied" 77 "$(ecbpf-sampler status -j | jq .rate)"
soon "the other waits" waits_for late
soon "with its reason" logged 1 "ecbpf-loader: late: the switch announces VLAN 7, and it should"
equal "it has no chain" "" "$(xdp late)"
soon "what waits for LLDP alone is copied" grep -qs "rate = 77" "$tmp"/state/last-good-*/ecbpf.conf
echo '{"vlan":{"vlan-id":"100"}}' >"$tmp/vlan-late"
soon "until it is right" has_xdp late
soon "and nothing is waited for" waits_for ""
echo '{"vlan":{"vlan-id":"7"}}' >"$tmp/vlan-late"
sed -i 's/rate = 77/rate = 78/; s/count/pass/' "$conf"
before=$(xdp late)
works "--reload" ecbpf-loader watch --reload
soon "the one that is right changes" has_stages eth0 '["pass"]'
equal "the other one is left as it is" "$before" "$(xdp late)"
ip link del late
link late
echo '{"vlan":{"vlan-id":"100"}}' >"$tmp/vlan-late"
soon "right when it is there again" has_stages late '["pass"]'
watch_end -INT
cp "$tmp/before" "$conf"
starts "it starts"

# --- the last good one ----------------------------------------------------------------------------

mkdir "$tmp/etc"
printf 'set bad file "bad.txt"\nip from @bad to any tcp drop name "one"\n' >"$tmp/etc/rules"
echo 192.0.2.0/24 >"$tmp/etc/bad.txt"
printf '198.51.100.1 a 2099-01-01T00:00:00Z\n203.0.113.0/24\n' >"$tmp/etc/drop"
ecbpf-filter drop flush >/dev/null 2>&1 || :
cat >"$conf" <<-END
	[interfaces]
	ingress = eth0
	[chain]
	stages = filter,fw
	fused = yes
	[filter]
	drop = $tmp/etc/drop
	[fw]
	rules = $tmp/etc/rules
END
works "--reload" ecbpf-loader watch --reload
works "the rules and the list" has_stages eth0 '["filter","fw"]'
soon "a copy" grep -qsF "rules = $tmp/state" "$tmp"/state/last-good-*/ecbpf.conf
copy=$(dirname "$(grep -lF "rules = $tmp/state" "$tmp"/state/last-good-*/ecbpf.conf)")
equal "of mode 0700" 700 "$(stat -c %a "$copy")"
equal "the configuration, rules, a list" 3 "$(find "$copy" -type f | wc -l)"
before=$(stat -c %Y.%i "$copy"/*)
works "--reload" ecbpf-loader watch --reload
sleep 1
equal "the same is not written again" "$before" "$(stat -c %Y.%i "$copy"/*)"

# a copy that is not what its name says is written again
sums() { (cd "$copy" && stat -c "%F %n %s" ./* && find . -type f -print0 | sort -z | xargs -0 cat); }
has_sums() { [[ $(sums) == "$before" ]]; }
before=$(sums)
for how in ': >"$copy"/fw.rules-*' 'sed -i 1d "$copy"/drop-*' 'sed -i s/203/213/ "$copy"/drop-*' \
	'sed -i "\$d" "$copy/ecbpf.conf"' ': >"$copy/ecbpf.conf"' 'rm "$copy"/drop-*' \
	'rm "$copy"/drop-*; mkfifo "$copy/$(sed -n "s|^drop = .*/||p" "$copy/ecbpf.conf")"'; do
	eval "$how"
	works "$how: it is another one" eval "! has_sums"
	works "$how: --reload" ecbpf-loader watch --reload
	soon "$how: it is what it was" has_sums
done

# breaks NAME HOW ERROR: at boot
breaks()
{
	watch_end -INT
	ecbpf-loader unload --all eth0
	ecbpf-loader clean --all >/dev/null
	cp -a "$tmp/etc" "$tmp/etc.good"
	cp "$conf" "$tmp/good"
	eval "$2"
	starts "$1: it starts"
	works "$1: it says why" grep -q "$3" "$log"
	equal "$1: and what runs" 1 "$(grep -c 'instead runs the last good configuration' "$log")"
	soon "$1: it runs" has_stages eth0 '["filter","fw"]'
	equal "$1: its rules" 'ip from @bad to any tcp drop name "one"' \
		"$(ecbpf-fw rule list | grep name)"
	equal "$1: its list" "198.51.100.1 203.0.113.0/24" \
		"$(ecbpf-filter drop list | grep -o '^[0-9.][0-9./]*' | sort | xargs)"
	status=0
	ecbpf-loader doctor >"$tmp/out" 2>&1 || status=$?
	equal "$1: doctor" "1 1" "$status $(grep -c "^error .*does not run: .*$3" "$tmp/out")"
	works "$1: the metric" has_metric "ecbpf_last_good_runs 1"
	works "$1: it is not well" has_metric "ecbpf_last_apply_ok 0"
	if [[ $1 == "a typo" ]]; then
		watch_end -KILL
		works "$1: killed, the metric" has_metric "ecbpf_last_good_runs 1"
		works "$1: killed, it is not well" has_metric "ecbpf_last_apply_ok 0"
		equal "$1: killed, doctor" "those of the last good configuration go on, as the file could \
not be applied" "$({ ecbpf-loader doctor -j || :; } |
			jq -r '.[] | select(.code == "watch-killed") | .why')"
		starts "$1: it starts"
	fi
	rm -r "${tmp:?}/etc"
	mv "$tmp/etc.good" "$tmp/etc"
	cp --remove-destination "$tmp/good" "$conf"
	works "$1: mended and reloaded" ecbpf-loader watch --reload
	works "$1: the metric" has_metric "ecbpf_last_good_runs 0"
	works "$1: it is well" has_metric "ecbpf_last_apply_ok 1"
	soon "$1: the copy is there" test -s "$copy/ecbpf.conf"
}
# shellcheck disable=SC2016 # for eval
{
	breaks "a typo" 'sed -i s/stages/stagse/ "$conf"' "stagse"
	breaks "no rules" 'rm "$tmp/etc/rules"' "etc/rules: No such file"
	breaks "no list" 'rm "$tmp/etc/drop"' "etc/drop: No such file"
	breaks "no set" 'rm "$tmp/etc/bad.txt"' "bad.txt: No such file"
	breaks "unreadable rules" 'rm "$tmp/etc/rules"; mkdir "$tmp/etc/rules"' \
		"etc/rules: Is a dir"
	breaks "no configuration" 'rm "$conf"' "ecbpf.conf: No such file"
	breaks "a dropped own address" 'ip addr add 192.0.2.9/32 dev eth0
		echo 192.0.2.0/24 >"$tmp/etc/drop"
		' "192.0.2"
}
ip addr del 192.0.2.9/32 dev eth0
breaks "an empty file" ': >"$conf"' "$conf: no section"
breaks "a blank file" 'echo >"$conf"' "$conf: no section"
breaks "a FIFO" 'rm "$conf"; mkfifo "$conf"' "$conf: not a regular file"
breaks "a list that is a FIFO" 'rm "$tmp/etc/drop"; mkfifo "$tmp/etc/drop"' \
	"etc/drop: not a regular file"
rm "$conf"
mkfifo "$conf"
status=0
ecbpf-loader watch --reload >"$tmp/out" 2>&1 || status=$?
equal "reload of a FIFO" "1 1" "$status $(grep -c "$conf: not a regular file" "$tmp/out")"
rm "$conf"
: >"$conf"
status=0
ecbpf-loader watch --reload >"$tmp/out" 2>&1 || status=$?
equal "reload of an empty file" "1 1" "$status $(grep -c "$conf: no section" "$tmp/out")"
works "what runs is kept" has_stages eth0 '["filter","fw"]'
works "and its copy" grep -q "stages = filter,fw" "$copy/ecbpf.conf"
cp "$tmp/good" "$conf"
works "--reload" ecbpf-loader watch --reload

# of copies that are not whole none runs: a list without a prefix would say nothing
cp -a "$copy" "$tmp/copy"
for how in ': >"$copy"/fw.rules-*' 'sed -i 1d "$copy"/drop-*' 'sed -i s/203/213/ "$copy"/drop-*' \
	'rm "$copy"/drop-*' 'sed -i "\$d" "$copy/ecbpf.conf"' ': >"$copy/ecbpf.conf"' \
	'sed -i s/eth0/eth9/ "$copy/ecbpf.conf"' 'rm "$copy/ecbpf.conf"; mkdir "$copy/ecbpf.conf"' \
	'rm "$copy/ecbpf.conf"; ln -s nosuch "$copy/ecbpf.conf"'; do
	watch_end -INT
	ecbpf-loader unload --all eth0 >/dev/null 2>&1 || : # the one before ran nothing
	ecbpf-loader clean --all >/dev/null
	: >"$conf"
	eval "$how"
	status=0
	timeout 20 ecbpf-loader watch "$conf" >"$log" 2>&1 || status=$?
	equal "$how: it is said" "1 1 1" "$status $(grep -c "^ecbpf-loader: $copy/" "$log") $(
		grep -c "nothing runs instead" "$log")"
	equal "$how: nothing runs" "" "$(xdp eth0)"
	rm -r "$copy"
	cp -a "$tmp/copy" "$copy"
	cp "$tmp/good" "$conf"
done
starts "it starts"
watch_end -INT
sed 's/stages/stagse/; s/\[chain\]/&\non-error = open/' "$tmp/good" >"$conf"
status=0
timeout 20 ecbpf-loader watch "$conf" 2>"$log" || status=$?
equal "on-error = open" "1 1" "$status $(grep -c 'on-error = open' "$log")"
sed 's/\[chain\]/&\non-error = open/' "$tmp/good" >"$conf"
starts "on-error = open, and no error"
soon "its copy" grep -q "on-error = open" "$copy/ecbpf.conf"
watch_end -INT
rm "$conf"
status=0
timeout 20 ecbpf-loader watch "$conf" 2>"$log" || status=$?
equal "the last good one had it, too" "1 1" "$status $(grep -c 'on-error = open' "$log")"
cp "$tmp/good" "$conf"
starts "it starts"
soon "a copy again" eval '! grep -q on-error "$copy/ecbpf.conf"'
echo "of one that was killed" >"$copy/.ecbpf-aaaaaa"
chmod 777 "$copy"
kill -HUP "$watcher"
sed -i 's/filter,fw/filter,fw,count/' "$conf"
kill -HUP "$watcher"
soon "a copy that others may write is told" grep -q "others may write" "$log"
chmod 700 "$copy"
soon "it is tried again: the copy, and what one that was killed has left" \
	eval '[[ ! -e $copy/.ecbpf-aaaaaa ]] && grep -q count "$copy/ecbpf.conf"'

# all is taken away while it cannot look: the programs come back with rules and bans, not empty
ecbpf-filter drop add 192.0.2.77 >/dev/null
kill -STOP "$watcher"
ecbpf-loader apply --stop "$conf" >/dev/null 2>&1
out=$(ecbpf-loader clean --all 2>&1 </dev/null) || :
works "clean --all: says who holds programs" grep -q "kill -INT $watcher" <<<"$out"
find /sys/fs/bpf/ecbpf -type f -delete
equal "nothing is there" "" "$(ls /sys/fs/bpf/ecbpf)"
kill -CONT "$watcher"
soon "it is back" has_stages eth0 '["filter","fw","count"]'
equal "with its rules" 'ip from @bad to any tcp drop name "one"' \
	"$(ecbpf-fw rule list | grep name)"
equal "with its list and a ban" "192.0.2.77 198.51.100.1 203.0.113.0/24" \
	"$(ecbpf-filter drop list | grep -o '^[0-9.][0-9./]*' | sort | xargs)"
# the pin of one map: it is pinned again, and all is there
for map in filter_lists filter_tries filter_addrs fw_small fw_text fw_sets sampling_gap shared; do
	before=$(xdp eth0)
	rm /sys/fs/bpf/ecbpf/$map
	soon "$map without a pin: it is there again" eval "is_pinned && [[ -e /sys/fs/bpf/ecbpf/$map ]]"
	equal "$map without a pin: the same program" "$before" "$(xdp eth0)"
	equal "$map without a pin: rules, list and a ban" \
		'192.0.2.77 198.51.100.1 203.0.113.0/24 ip from @bad to any tcp drop name "one"' \
		"$({ ecbpf-filter drop list | grep -o '^[0-9.][0-9./]*' | sort &&
			ecbpf-fw rule list | grep name; } | xargs -d '\n')"
done
before=$(xdp eth0)
kill -STOP "$watcher"
rm /sys/fs/bpf/ecbpf/filter_lists
ip link set eth0 xdp off
kill -CONT "$watcher"
soon "without its program, too: it is back" eval '[[ $(xdp eth0) ]] && is_pinned'
equal "with its list and a ban" "192.0.2.77 198.51.100.1 203.0.113.0/24" \
	"$(ecbpf-filter drop list 2>&1 | sed 's/ .*#.*//' | sort | xargs)"
for tool in ecbpf-fw ecbpf-filter; do
	$tool unload eth0 >/dev/null 2>"$tmp/out"
	equal "$tool unload says that it comes back" 1 \
		"$(grep -c "process $watcher .* keeps what $conf declares" "$tmp/out")"
	soon "and it does" has_stages eth0 '["filter","fw","count"]'
done
cat >"$conf" <<-'END'
	[interfaces]
	ingress = eth0 late
	egress = out0
	[chain]
	stages = count
	fused = yes
END
works "--reload" ecbpf-loader watch --reload

# --- the fast path's TC program -------------------------------------------------------------------

sed -i 's/^stages = .*/stages = fastpath,count/; s/ absent0//' "$conf"
kill -HUP "$watcher"
soon "a TC program" has_tc out0
tc qdisc del dev out0 clsact
soon "deleted, it comes again" has_tc out0
ip link del out0
link out0
soon "an interface of egress, created again" has_tc out0

# --- an interface that comes after five minutes ---------------------------------------------------

if [[ ${ECBPF_LONG-} ]]; then
	sed -i 's/^ingress = .*/& later0/' "$conf"
	works "--reload" ecbpf-loader watch --reload
	soon "it waits" waits_for later0
	sleep 300
	link later0
	soon "five minutes later" has_stages later0 '["fastpath","count"]'
	equal "it was said once" 1 "$(grep -c 'later0: no such interface' "$log")"
	soon "nothing is waited for" waits_for ""
	sed -i 's/ later0//' "$conf"
	works "--reload" ecbpf-loader watch --reload
	ip link del later0
fi

# --- its end --------------------------------------------------------------------------------------

before="$(xdp eth0) $(xdp late)"
watch_end -KILL
sleep 1
equal "killed, nothing has changed" "$before" "$(xdp eth0) $(xdp late)"
soon "the metric says that nobody is there" has_metric "ecbpf_watch_running 0"
status=0
out=$(ecbpf-loader doctor -j) || status=$?
equal "the doctor says that it was killed" "1 ecbpf-loader watch $conf" \
	"$status $(jq -r '.[] | select(.code == "watch-killed") | .fix' <<<"$out")"
ip link set late xdp off
starts "it starts anew"
soon "and mends what has happened meanwhile" has_xdp late
equal "the doctor's advice was to do so, and it says so no longer" "" \
	"$({ ecbpf-loader doctor -j || :; } |
		jq -r '.[] | select(.code == "watch-killed") | .what')"
equal "what was right was not touched" "${before% *}" "$(xdp eth0)"
kill "$watcher"
status=0
wait "$watcher" || status=$?
watcher=
equal "SIGTERM ends it" 0 "$status"
equal "and the doctor does not miss it" "" \
	"$({ ecbpf-loader doctor -j || :; } |
		jq -r '.[] | select(.code == "watch-killed") | .what')"
equal "and takes the chains away" "" "$(xdp eth0)$(xdp late)"
works "and the TC program" lacks_tc out0
cp "$conf" "$tmp/good"
starts "it starts"
soon "a chain" has_xdp eth0
echo "stagse = count" >>"$conf"
kill "$watcher"
status=0
wait "$watcher" || status=$?
watcher=
equal "SIGTERM with a typo in the file: as it said before" "0 1 " \
	"$status $(grep -c "stagse.*on-stop is as it was" "$log") $(xdp eth0)$(xdp late)"
cp "$tmp/good" "$conf"
printf '[chain]\non-stop = leave\n' >>"$conf"
starts "it starts"
echo "stagse = count" >>"$conf"
kill "$watcher"
wait "$watcher" || :
watcher=
equal "on-stop = leave leaves them" yes "$([[ $(xdp eth0) ]] && echo yes)"

# --- no memory for the fast path's table ----------------------------------------------------------

works "the chain is taken away" ecbpf-loader unload --all eth0,late
ecbpf-fastpath unload >/dev/null 2>&1 || :
equal "and the table" "" "$(compgen -G "/sys/fs/bpf/ecbpf/fastpath*")"
printf '[interfaces]\ningress = eth0\n[chain]\nstages = fastpath\nfused = yes\n' >"$conf"
rm -f "$log"
prlimit --as=83886080: ecbpf-loader watch "$conf" >"$log" 2>&1 &
watcher=$!
soon "with little memory it starts" grep -q "ready" "$log"
soon "and says that it is missing" grep -q "Cannot allocate memory: waiting for it" "$log"
works "the interface has its chain" has_xdp eth0
prlimit --pid "$watcher" --as=unlimited:
soon "with more memory the fast path is loaded" has_tc eth0
equal "with all its flows" 1000000 "$(ecbpf-fastpath status -j | jq .capacity)"
uses_table()
{
	bpftool prog show id "$(ecbpf-loader status -j eth0 | jq '.[0].members[0].id')" -j |
		jq -e --argjson id "$(bpftool map show pinned /sys/fs/bpf/ecbpf/fastpath_flows -j |
			jq .id)" '.map_ids | index($id)' >/dev/null
}
soon "which its program uses" uses_table

# --- an error that libbpf takes for a kernel without constants ------------------------------------

# while the file is there, a process cannot find out
gcc -shared -fPIC -o "$tmp/misled.so" -xc - -ldl <<-'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
int access(const char *path, int mode); // its header has another syscall()
long syscall(long number, long cmd, union bpf_attr *attr, long size, long e, long f, long g)
{
	long (*next)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	if (number == __NR_bpf && cmd == BPF_MAP_CREATE &&
	    !strncmp(attr->map_name, "libbpf_global", 13) && !access(getenv("MISLED"), 0)) {
		errno = ENOMEM;
		return -1;
	}
	return next(number, cmd, attr, size, e, f, g);
}
END
misled=(env "LD_PRELOAD=$tmp/misled.so" "MISLED=$tmp/misled")
watch_end -KILL
ecbpf-loader unload -q --all eth0
touch "$tmp/misled"
status=0
said=$("${misled[@]}" ecbpf-loader load --fused count eth0 2>&1) || status=$?
said=${said/object * libbpf/object NAME: libbpf}
equal "a tool says so in one line" "1 ecbpf-loader: object NAME: libbpf leaves out its constants: \
memory or a privilege was missing when it asked what this kernel has" "$status $said"
equal "and changes nothing" "" "$(xdp eth0)"
printf '[interfaces]\ningress = eth0\n[chain]\nstages = count\nfused = yes\n' >"$conf"
rm -f "$log"
"${misled[@]}" ecbpf-loader watch "$conf" >"$log" 2>&1 &
watcher=$!
soon "watch waits" grep -q "eth0: .*: waiting for it" "$log"
rm "$tmp/misled"
soon "it starts anew" grep -q "starting anew" "$log"
soon "and the interface has its chain" has_xdp eth0
equal "by the same process" "$watcher" "$(sed -n 's/^pid //p' /run/ecbpf/watch-*)"
sleep 6
equal "it does so once" 1 "$(grep -c "starting anew" "$log")"
watch_end -KILL
summary
