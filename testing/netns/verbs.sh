#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 300
#
# Every verb of every tool: what it says that it changed is what the kernel has; what is asked for a
# second time is no change; -q and -j; and one entry of the journal for each change, none else.
#
# A row: SECOND TOOL ARGUMENT...: what becomes of the same call made again.
#	same		it changes nothing, exit status 0
#	refused		it changes nothing, exit status 1
#	again		it changes something each time
#	none		it changes nothing, from the first time on
#	reads		it is a verb that changes nothing, and is not in the journal
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd -P)
fresh_net "$@"
PATH=${ECBPF_BUILD:-$top/build/test}/root/sbin:${ECBPF_BUILD:-$top/build/test}/root/bin:$PATH
require_cmd ecbpf-loader jq ip tc bpftool
tmp=$(mktemp -d)
defer rm -rf "$tmp"
cd "$tmp"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal /run/netns /run/ecbpf

# --- a journal ----------------------------------------------------------------------------------

mkdir -p /var/log
mount -t tmpfs tmpfs /var/log
if command -v journalctl >/dev/null; then
	out=$(ecbpf-loader log -j 2>&1) && status=0 || status=$?
	equal "log without a journal" "1 ecbpf-loader: no systemd journal here: it is not known who \
changed what" "$status $out"
fi
journald=$(PATH=$PATH:/usr/lib/systemd:/lib/systemd command -v systemd-journald) || journald=
mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null || : # without it, journald ends
if [[ $journald ]] && command -v journalctl >/dev/null; then
	SYSTEMD_LOG_TARGET=console "$journald" >/dev/null 2>&1 &
	journal=$!
	defer kill "$journal"
	for ((i = 0; i < 200; i++)); do
		[[ ! -S /run/systemd/journal/socket ]] || break
		sleep 0.05
	done
fi
has_journal=''
[[ ! -S /run/systemd/journal/socket ]] || has_journal=1
: >wanted_entries

# entry RESULT TOOL ARGUMENT...: one that there is to be
entry()
{
	local result=$1 tool=$2 verb=$3
	shift 3
	case $tool-$verb-${1-} in
	fw-set-*=* | filter-set-* | fastpath-set-* | sampler-set-*) ;;
	fw-set-* | fw-rule-* | filter-drop-* | filter-allow-* | filter-vip-* | \
		fastpath-exclude-* | loader-apply---stop | loader-watch---reload) verb+=" $1"; shift ;;
	esac
	echo "ecbpf-$tool $verb: $*: $result" >>wanted_entries
}

# --- what the kernel has ------------------------------------------------------------------------

# state TOOL: programs on interfaces, small maps as bpftool reads them, and of lists and sets, which
# are large, what the tools list; neither counters nor times
state()
{
	local map

	ip -o link show | grep -o '^[0-9]*: [^:@]*\|prog/xdp id [0-9]*'
	echo keys* /sys/fs/bpf/ecbpf/*
	for map in filter_addrs fw_settings fw_active fastpath_exclude fastpath_udp sampling; do
		[[ ! -e /sys/fs/bpf/ecbpf/$map ]] || echo "map dump pinned /sys/fs/bpf/ecbpf/$map"
	done >commands
	bpftool batch file commands
	case $1 in
	filter)
		ecbpf-filter status | sed '/packets/d'
		ecbpf-filter drop list
		ecbpf-filter allow list ;;
	fw) ecbpf-fw rule list 2>&1 || : ;;
	fastpath)
		ecbpf-fastpath status -j 2>/dev/null | jq .settings
		tc filter show dev v0 egress ;;
	esac | sed 's/ # .*//'
}

# --- rows ---------------------------------------------------------------------------------------

: >seen

# call ARGUMENT...: into $status, $out, $err
call()
{
	status=0
	"ecbpf-$1" "${@:2}" >out 2>err || status=$?
	out=$(<out) err=$(<err)
}

# first WANT TOOL ARGUMENT...: true or false: it says that something changed, and something did
first()
{
	local before want=$1
	shift
	before=$(state "$1")
	call "$@" -j
	after=$(state "$1")
	entry "$([[ $want == true ]] && echo changed || echo unchanged)" "$@" -j
	if [[ $status != 0 || $(jq -r .changed <<<"$out") != "$want" ]]; then
		fail "$*" "status $status, $out $err"
	elif [[ $(jq -r '.changes | length > 0' <<<"$out") != "$want" ]]; then
		fail "$*" "says not what: $out"
	elif [[ $second != again && $([[ $before != "$after" ]] && echo true || echo false) != "$want" ]]; then
		fail "$*" "says '$want', but $(diff <(echo "$before") <(echo "$after") || :)"
	else
		pass "$*"
	fi
	seen "$@"
}

seen() { echo "$1 $2 ${3-}" >>seen; }

# again_is RESULT TOOL ARGUMENT...: with -j, with -q, and without
again_is()
{
	local result=$1 lines=''
	shift
	call "$@" -j
	entry "$result" "$@" -j
	if [[ $result == failed ]]; then
		[[ $status == 1 && ! $out && $(wc -l <err) == 1 ]] || lines+="-j: $status $out $err "
	else
		[[ $status == 0 && ! $err && $(jq -r .changed <<<"$out") == \
			$([[ $result == changed ]] && echo true || echo false) ]] || lines+="-j: $status $out $err "
	fi
	call "$@" -q
	entry "$result" "$@" -q
	[[ ! $out && ($result == failed || ! $err) ]] || lines+="-q: $out $err "
	call "$@"
	entry "$result" "$@"
	[[ $result == failed || ($out && ! $err) ]] || lines+="without: $out $err "
	[[ $second == again || $after == "$(state "$1")" ]] ||
		lines+="changed: $(diff <(echo "$after") <(state "$1") || :)"
	if [[ $lines ]]; then
		fail "$*, again" "$lines"
	else
		pass "$*, again"
	fi
}

row()
{
	second=$1
	shift
	case $second in
	same) first true "$@"; again_is unchanged "$@" ;;
	refused) first true "$@"; again_is failed "$@" ;;
	again) first true "$@"; again_is changed "$@" ;;
	none) first false "$@"; again_is unchanged "$@" ;;
	reads) call "$@"; seen "$@" ;;
	esac
}

# refused TEXT TOOL ARGUMENT...: it fails and says so, and nothing is changed
refused()
{
	local before text=$1
	shift
	before=$(state "$1")
	call "$@"
	entry failed "$@"
	if [[ $status == 1 && $err == *"$text"* && $before == "$(state "$1")" ]]; then
		pass "$*: refused"
	else
		fail "$*: refused" "status $status, $out $err"
	fi
}

# exits STATUS TOOL ARGUMENT...: --check
exits()
{
	local before want=$1
	shift
	before=$(state "$1")
	call "$@"
	equal "$*: exit status" "$want" "$status$([[ $before == "$(state "$1")" ]] || echo ", changed")"
}

# --- the table ----------------------------------------------------------------------------------

sysctl -qw net.ipv6.conf.default.disable_ipv6=1
ip link add v0 type veth peer name v1
ip link set v0 up
ip link set v1 up
rule='drop ip from 192.0.2.0/24 to any tcp name "a"'
echo "$rule" >rules
printf '192.0.2.1\n198.51.100.0/24 tag\n' >list
printf '[interfaces]\ningress = v0\n[chain]\nstages = filter,count\nfused = yes\n[filter]\nfrags = ptb\n' \
	>conf

row reads loader status
row reads loader doctor
row reads loader stages
row reads loader features v0
row reads loader metrics
row reads loader export
row reads loader log
row refused loader load --fused pass v0,v1
row again loader status --clear v0
row again loader replace --fused pass,count v0 ecbpf_fused
row refused loader unload -a v0,v1
exits 0 loader apply -c conf
exits 3 loader apply -c --exit-code conf
row same loader apply conf
exits 0 loader apply -c --exit-code conf
row none loader refresh
ip address add 192.0.2.99/24 dev v0
row same loader refresh
ecbpf-loader watch conf 2>watched &
watcher=$!
for ((i = 0; i < 400; i++)); do
	! grep -q ready watched || break
	sleep 0.05
done
row none loader watch --reload
sed -i 's/filter,count/filter/' conf
row same loader watch --reload
kill -INT "$watcher"
wait "$watcher" || :
row same loader apply --stop conf
row none loader clean
row same loader clean --all

row reads fw check -f rules
row reads fw test -f rules -r rules
row refused fw load --fused -f rules v0
row reads fw status
row reads fw stats
row reads fw rule list
row again fw stats --clear
row same fw set malformed=pass
row same fw rule insert 1 'dry drop ip from any to any udp name "b"'
row same fw rule add 'drop ip from any to any icmp name "c"'
refused "'rule replace'" fw rule add 'drop ip from any to any udp name "c"'
refused "'rule replace'" fw rule insert 1 'drop ip from any to any udp name "c"'
row again fw rule add 'drop ip from 192.0.2.0/24 to any udp'
row same fw rule replace c 'drop ip from any to any udp name "c"'
row refused fw rule delete b
row none fw rule delete --if-exists b
row same fw rule delete --if-exists c
row refused fw set create -4 bad
row reads fw set list
row reads fw set list bad
equal "names of rules" a "$(ecbpf-fw rule list --names | xargs)"
equal "names of sets" bad "$(ecbpf-fw set list --names | xargs)"
row same fw set add bad 192.0.2.1 192.0.2.2
row same fw set add bad 192.0.2.2 192.0.2.3
refused "not in set 'bad'" fw set delete bad 192.0.2.1 192.0.2.77
row same fw set delete --if-exists bad 192.0.2.1 192.0.2.77
row none fw set delete --if-exists bad 192.0.2.1
row same fw set replace bad 192.0.2.2
row same fw set flush bad
row refused fw set destroy bad
row none fw set destroy --if-exists bad
refused "no set 'bad'" fw set add bad 192.0.2.1
exits 0 fw apply -c -f rules
exits 3 fw apply -c --exit-code -f rules
status=0
said=$(ecbpf-fw apply -c --exit-code -f rules 2>&1 >/dev/full) || status=$?
equal "what is to be changed, where nobody reads it" \
	"1 ecbpf-fw: standard output: No space left on device" "$status $said"
row same fw apply -f rules
exits 0 fw apply -c --exit-code -f rules
row refused fw rule add 'ip from any to any udp drop name "w"' --confirm 1h
row refused fw confirm
row refused fw rule delete w
row refused fw rule add 'ip from any to any udp drop name "w"' --confirm 1h
row refused fw undo
row same fw panic drop
row same fw panic pass
row same fw panic off
row refused fw unload

row refused filter load --fused v0
row reads filter status
row again filter status --clear
row same filter set frags=ptb ptb-max-pps=100
for list in drop allow; do
	row same filter $list add 192.0.2.1 2001:db8::/64
	row same filter $list add 192.0.2.1 -t tag
	first true filter $list add 192.0.2.1 -e 2h
	row same filter $list add 192.0.2.1
	row reads filter $list list
	row reads filter $list top
	row same filter $list import -f list
	equal "tags of $list" tag "$(ecbpf-filter $list list --tags | xargs)"
	row same filter $list import -f list --replace
	row refused filter $list delete 192.0.2.1
	row none filter $list delete --if-exists 192.0.2.1
	row same filter $list delete --if-exists 192.0.2.1 198.51.100.0/24
	ecbpf-filter -q $list add 192.0.2.1 2>/dev/null || ecbpf-filter $list add -q 192.0.2.1
	entry changed filter $list add -q 192.0.2.1
	row same filter $list flush
done
row same filter vip add 203.0.113.80 203.0.113.81
row reads filter vip list
row refused filter vip delete 203.0.113.81
row none filter vip delete --if-exists 203.0.113.81
row same filter vip delete --if-exists 203.0.113.80 203.0.113.81
ecbpf-filter vip add -q 203.0.113.82
entry changed filter vip add -q 203.0.113.82
row same filter vip flush
row none filter refresh
ip address del 192.0.2.99/24 dev v0
row same filter refresh
row refused filter unload

row refused fastpath load --fused --flows 1000 -i v0
row reads fastpath status
row reads fastpath stats
equal "fastpath stats: JSON has the words of the table" "forwarded punted" \
	"$(ecbpf-fastpath stats -j | jq -r 'keys[] | select(. == "forwarded" or . == "punted" or . == "up")' |
		xargs)"
row reads fastpath flows
row reads fastpath explain tcp 192.0.2.1:1 192.0.2.2:80
row reads fastpath check
row same fastpath set lease=500
row same fastpath exclude add 203.0.113.80
row reads fastpath exclude list
row refused fastpath exclude delete 203.0.113.80
row none fastpath exclude delete --if-exists 203.0.113.80
row none fastpath flush --all
row none fastpath refresh
tc qdisc del dev v0 clsact
row same fastpath refresh
row refused fastpath unload

row refused sampler load --fused v0
row reads sampler status
row same sampler set rate=10
row refused sampler keygen keys
seen sampler run
row refused sampler unload

# --- all verbs, and the journal -----------------------------------------------------------------

# every verb, and every verb of a verb, that help names
for tool in loader fw filter fastpath sampler; do
	while read -r verb; do
		[[ $verb != help ]] || continue
		subs=$("ecbpf-$tool" "$verb" --help | sed '/^$/q' | tr '\n' ' ' |
			sed 's/^.*\[OPTION\]\.\.\. *//' | tr '|' '\n' | awk '$1 ~ /^[a-z]+$/ { print $1 }')
		[[ $subs == *$'\n'* ]] || subs=''
		for sub in ${subs:-''}; do
			grep -q "^$tool $verb $sub" seen || fail "every verb is tried" "$tool $verb $sub is not"
		done
	done < <("ecbpf-$tool" --help | awk '/^[^ ]/ { on = $0 == "Verbs:" } on && /^  [a-z]/ { print $1 }')
done
pass "verbs: $(sort -u seen | wc -l)"

if [[ ! $has_journal ]]; then
	skip "the journal" "no systemd-journald, or no journalctl, here"
	summary
fi
journalctl --sync 2>/dev/null || sleep 1
ecbpf-loader log -n 0 -j >journal
equal "log --since: the last ones" "$(jq -c '.[-3:]' journal)" \
	"$(ecbpf-loader log -n 3 --since today -j | jq -c .)"
jq -r '.[] | select(.verb != "watch") | "\(.tool) \(.verb): \(.what): \(.result)"' journal >entries
if diff wanted_entries entries >difference; then
	pass "one entry of the journal for each of $(wc -l <entries) changes"
else
	fail "one entry of the journal for each change" "$(head -n 20 difference)"
fi
summary
