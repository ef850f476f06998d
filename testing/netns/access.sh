#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Who may touch what: directories that a user has made in a BPF file system for all are refused, by
# every verb that trusts pins; missing capabilities are named; a group may read status, counters and
# samples; locks name their holder.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
use_build flock getent ip jq setpriv ecbpf-fastpath ecbpf-filter ecbpf-fw ecbpf-loader ecbpf-sampler
PATH=$ECBPF_BUILD/root/bin:$PATH
tmp=$(mktemp -d)
defer rm -rf "$tmp"
fs=/sys/fs/bpf
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --)

# refused NAME REGEX COMMAND...: with exit status 1, in one line
refused()
{
	local out status=0

	out=$(timeout 20 "${@:3}" 2>&1 </dev/null) || status=$?
	if ((status == ${want:-1})) && [[ $out =~ $2 && $out != *$'\n'* ]]; then
		pass "$1"
	else
		fail "$1" "status $status: $out"
	fi
}

ip link add s0 type veth peer name s1
ip link set s0 up
ip link set s1 up
echo 'ip from any to any udp drop' >"$tmp/rules"
echo 192.0.2.0/24 >"$tmp/list"
printf '[interfaces]\ningress = s0\n[chain]\nstages = pass\nfused = yes\n' >"$tmp/conf"

# --- another user's directories ------------------------------------------------------------------

verbs=(
	"ecbpf-loader load --fused pass s0" "ecbpf-loader unload -a s0" "ecbpf-loader clean --all"
	"ecbpf-loader apply $tmp/conf" "ecbpf-loader apply -c $tmp/conf" "ecbpf-loader export"
	"ecbpf-loader status s0" "ecbpf-loader metrics s0"
	"ecbpf-loader replace --fused count s0 fused"
	"ecbpf-fw load --fused s0" "ecbpf-fw apply -f $tmp/rules" "ecbpf-fw rule list" "ecbpf-fw stats"
	"ecbpf-fw set create a" "ecbpf-fw unload s0"
	"ecbpf-filter load --fused s0" "ecbpf-filter drop add 192.0.2.1" "ecbpf-filter drop list"
	"ecbpf-filter drop import -f $tmp/list" "ecbpf-filter set tcp-syn-fin=drop" "ecbpf-filter status"
	"ecbpf-fastpath load --fused -i s0 --flows 1000" "ecbpf-fastpath status"
	"ecbpf-fastpath flows" "ecbpf-fastpath unload"
	"ecbpf-sampler load --fused s0" "ecbpf-sampler set rate=10" "ecbpf-sampler status"
	"ecbpf-sampler run" "ecbpf-sampler unload s0"
)

chmod 1777 $fs
as_nobody mkdir $fs/ecbpf
why="^ecbpf-[a-z]+: ($tmp/[a-z:0-9]+ )?$fs/ecbpf belongs to user 65534, .*: mend it by '(.*)'\$"
for verb in "${verbs[@]}"; do
	# shellcheck disable=SC2086 # words
	refused "another user's directory: $verb" "$why" $verb
done
equal "nothing is attached" null "$(ip -j link show s0 | jq '.[0].xdp')"
equal "nothing is made" "$fs/ecbpf" "$(find $fs -mindepth 1 -type d)"
out=$(ecbpf-loader doctor -j) || : # 1: it has found something
equal "doctor says so" "error ecbpf " \
	"$(jq -r '.[] | select(.code == "bpffs-untrusted") | "\(.severity) \(.what[12:18])"' <<<"$out")"
fix=$(jq -r '.[] | select(.code == "bpffs-untrusted") | .fix' <<<"$out")
equal "and how to mend it" "rm -r $fs/ecbpf && chmod 700 $fs" "$fix"
status=0
timeout 20 ecbpf-loader watch --no-lldp "$tmp/conf" 2>"$tmp/said" || status=$?
equal "watch does not start" "1 null" "$status $(ip -j link show s0 | jq '.[0].xdp')"
eval "$fix"
works "mended" ecbpf-loader load --fused pass s0
ecbpf-loader unload -a s0

rmdir $fs/xdp
chmod 1777 $fs
as_nobody ln -s /sys $fs/xdp
refused "a link" "$fs/xdp is not a directory, .*'rm $fs/xdp'\$" ecbpf-loader load --fused pass s0
rm $fs/xdp
mkdir -m 700 $fs/tc
ln -s $fs/tc $fs/xdp # as ip(8) without libbpf does
works "a link of root to a directory of root" ecbpf-loader load --fused pass s0
works "and a verb that locks it" ecbpf-loader clean
ecbpf-loader unload -a s0
chmod 777 $fs/tc
refused "a link to a directory that all can write to" "$fs/xdp has mode 0777, " \
	ecbpf-loader load --fused pass s0
rm $fs/xdp
rmdir $fs/tc
ecbpf-filter drop add 192.0.2.1
out=$(ecbpf-loader doctor -j) || : # 1: it has found something
equal "a file system for all is a warning" "warning chmod 700 $fs" \
	"$(jq -r '.[] | select(.code == "bpffs-mode") | "\(.severity) \(.fix)"' <<<"$out")"
refused "nobody else can move our directory" "Operation not permitted" \
	"${nobody[@]}" mv $fs/ecbpf $fs/other
chmod 755 $fs/ecbpf
refused "a directory that others could lock" "mode 0755, .*'chmod 700 $fs/ecbpf'\$" \
	ecbpf-filter drop list
chmod 700 $fs/ecbpf
equal "mended, the list is as it was" "192.0.2.1" "$(ecbpf-filter drop list | cut -d' ' -f1)"
want=2 refused "nobody else can open it, to lock it" "Permission denied" "${nobody[@]}" ls $fs/ecbpf
umount $fs
mkdir "$tmp/none"
refused "advice for a new one" "'mount -t bpf -o mode=0700 bpf $tmp/none' makes one\$" \
	env LIBXDP_BPFFS="$tmp/none" ecbpf-filter drop add 192.0.2.1
mount -t bpf -o mode=0700 bpf $fs

# --- capabilities ---------------------------------------------------------------------------------

# with CAPS COMMAND...: as root, with these capabilities alone
with()
{
	setpriv --bounding-set="-all${1:+,+${1//,/,+}}" --inh-caps=-all -- "${@:2}"
}

# state: of the interfaces and of all pins; maps in full
state()
{
	ip -j link show | jq -c '[.[] | [.ifname, .xdp.prog.id]]'
	find $fs -mindepth 1 -type d
	ecbpf-loader export
}

# needs SETUP CAPS COMMAND...: works with these; with one less, says which, and changes nothing
needs()
{
	local caps less before out status why left=$2 name="${*:3}"

	eval "$1" >/dev/null
	before=$(state)
	IFS=, read -ra caps <<<"$2"
	for less in "${caps[@]}"; do
		left=,$2,
		left=${left/,$less,/,}
		left=${left#,}
		status=0
		out=$(with "${left%,}" timeout 20 "${@:3}" 2>&1 </dev/null) || status=$?
		# without CAP_SYS_ADMIN, which implies CAP_BPF, that may be the first that is missed
		why="needs .*, (and CAP_(${less^^}|BPF)|which) is missing\$"
		if ((status != 1)) || [[ ! $out =~ $why ]]; then
			fail "$name without $less" "status $status: $out"
		else
			equal "$name without $less: nothing is changed" "$before" "$(state)"
		fi
	done
	works "$name with $2" with "$2" timeout 20 "${@:3}"
}

nothing()
{
	ecbpf-loader unload -a s0 && ecbpf-fastpath unload && ecbpf-loader clean --all </dev/null
}
pass_s0="ecbpf-loader load --fused pass s0"
fw_s0="ecbpf-fw load --fused -f $tmp/rules s0"
# shellcheck disable=SC2034 # by its name, as the others
filter_s0="ecbpf-filter load --fused s0 && ecbpf-filter drop add 192.0.2.1"
sampler_s0="ecbpf-sampler load --fused s0"
fastpath_s0="ecbpf-fastpath load --fused -i s0 --flows 1000"
ecbpf-loader clean --all </dev/null >/dev/null
while read -r setup caps command; do
	setup=${setup}_s0
	# shellcheck disable=SC2086 # words
	needs "${!setup-:}" $caps $command
	nothing >/dev/null 2>&1 || : # what is loaded or not is this verb's
done <<-END
	no net_admin,sys_admin $pass_s0
	pass net_admin,sys_admin ecbpf-loader unload -a s0
	pass net_admin,sys_admin ecbpf-loader replace --fused count s0 fused
	pass sys_admin ecbpf-loader status s0
	pass sys_admin ecbpf-loader metrics s0
	pass sys_admin ecbpf-loader export
	pass sys_admin ecbpf-loader clean
	no net_admin,sys_admin ecbpf-loader apply $tmp/conf
	no net_admin,sys_admin ecbpf-loader apply -c $tmp/conf
	no net_admin,sys_admin $fw_s0
	fw net_admin,sys_admin ecbpf-fw unload s0
	fw sys_admin ecbpf-fw apply -f $tmp/rules
	fw sys_admin ecbpf-fw rule list
	fw sys_admin ecbpf-fw stats
	no net_admin,sys_admin ecbpf-filter load --fused s0
	filter net_admin,sys_admin ecbpf-filter unload s0
	filter sys_admin ecbpf-filter drop add 192.0.2.3
	filter sys_admin ecbpf-filter drop list
	filter sys_admin ecbpf-filter set tcp-null=count
	no net_admin,sys_admin $fastpath_s0
	fastpath net_admin,sys_admin ecbpf-fastpath unload
	fastpath sys_admin ecbpf-fastpath status
	fastpath sys_admin ecbpf-fastpath flows
	no net_admin,sys_admin $sampler_s0
	sampler net_admin,sys_admin ecbpf-sampler unload s0
	sampler sys_admin ecbpf-sampler set rate=7
	sampler bpf ecbpf-sampler status
END
while read -r command; do
	# shellcheck disable=SC2086 # words
	refused "$command" "this needs .* (is|are) missing\$" setpriv --bounding-set=-all -- $command
done <<-END
	ecbpf-loader watch --no-lldp $tmp/conf
	ecbpf-sampler run
END

# --- status and counters for a group --------------------------------------------------------------

ecbpf_user
gid=$(getent group ecbpf | cut -d: -f3)
member=(setpriv --reuid=65534 --regid="$gid" --clear-groups --bounding-set=-all --)
ecbpf-loader watch --no-lldp "$tmp/conf" 2>"$tmp/said" &
watch=$!
for ((i = 0; i < 200; i++)); do
	[[ ! $(find /run/ecbpf -name 'metrics-*') ]] || break
	sleep 0.1
done
# as_member ARG...: of ecbpf-loader, into $out; what it says on stderr in $err
as_member()
{
	status=0
	out=$("${member[@]}" ecbpf-loader "$@" 2>"$tmp/err") || status=$?
	err=$(<"$tmp/err")
}
as_member status
equal "a member's status" "0 $(ecbpf-loader status)" "$status $out"
equal "and its age" "ecbpf-loader: as ecbpf-loader watch wrote it N s ago" "${err/it [0-9]* s/it N s}"
as_member status -j
equal "in JSON" "ecbpf_fused" "$(jq -r '.[] | select(.interface == "s0") | .members[0].name' <<<"$out")"
as_member metrics
equal "counters" "0 1" "$status $(grep -c '^ecbpf_watch_running 1$' <<<"$out")"
equal "of all that root sees" "$(ecbpf-loader metrics | grep -c ^ecbpf)" "$(grep -c ^ecbpf <<<"$out")"
want=1 refused "nobody else" "metrics-[0-9]+: Permission denied: root and group ecbpf can read it\$" \
	"${nobody[@]}" ecbpf-loader metrics
refused "no such interface, in JSON" "nope: " "${member[@]}" ecbpf-loader status -j nope
refused "no half of a table" "needs CAP_SYS_ADMIN" "${member[@]}" ecbpf-loader status lo s0 s1
refused "nor what is not written" "needs CAP_SYS_ADMIN" "${member[@]}" ecbpf-loader status s0
touch -d '1 minute ago' /run/ecbpf/status-[0-9]*
kill -STOP "$watch"
touch -d '1 minute ago' /run/ecbpf/status-[0-9]*
refused "an old one" "was written 6[0-9] s ago: does ecbpf-loader watch run\\?\$" \
	"${member[@]}" ecbpf-loader status
kill -CONT "$watch"
kill "$watch"
wait "$watch" || : # by our signal
equal "nothing is left" "" "$(find /run/ecbpf -name '*s-*')"

ecbpf-sampler run 2>"$tmp/said" &
sampler=$!
for ((i = 0; i < 200; i++)); do
	[[ ! -S /run/ecbpf/samples ]] || break
	sleep 0.1
done
equal "samples are for root and the group" "660 root ecbpf" \
	"$(stat -c '%a %U %G' /run/ecbpf/samples)"
refused "nobody else" "cannot connect to 'ipc:///run/ecbpf/samples': Permission denied: root and" \
	"${nobody[@]}" ecbpf-pcap --print --duration 1
works "a member can connect" "${member[@]}" ecbpf-pcap --print --duration 1
kill "$sampler"
wait "$sampler" || : # by our signal
equal "the socket goes with the daemon" "" "$(find /run/ecbpf -name samples)"

# --- locks ----------------------------------------------------------------------------------------

# lock NAME: hold it by "flock DIR sh" until $tmp/NAME goes away
lock()
{
	touch "$tmp/$1"
	flock "$fs/$1" sh -c "echo ready; while [ -e $tmp/$1 ]; do sleep 0.05; done" >"$tmp/said" &
	holder=$!
	until grep -qs ready "$tmp/said"; do sleep 0.05; done
}

works "a list" ecbpf-filter drop add 192.0.2.1
lock ecbpf
ecbpf-filter drop add 192.0.2.2 2>"$tmp/err" &
adder=$!
for ((i = 0; i < 400; i++)); do
	grep -q waiting "$tmp/err" && break
	sleep 0.05
done
equal "who is waited for" \
	"ecbpf-filter: warning: waiting for flock $fs/ecbpf (pid $holder), which has locked $fs/ecbpf" \
	"$(<"$tmp/err")"
rm "$tmp/ecbpf"
wait "$holder"
status=0
wait "$adder" || status=$?
equal "it goes on when the lock is free" 0 $status
equal "and has done it" 1 "$(ecbpf-filter drop list | grep -c '^192\.0\.2\.2\b')"
summary
