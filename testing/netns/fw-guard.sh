#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 300
#
# Rules and lists that would cut a session of the operator are refused. Whether they would, real TCP
# connections say: each rule that is refused is forced, and one of them has to be cut by it; with
# each one that is taken, all of them have to work.
# shellcheck disable=SC2317 # called by says
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/fw.sh
. "$(dirname "$0")/../lib/fw.sh"
require_cmd script setsid strace
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/ecbpf
fw_pair

# --- connections: 0 and 1 to port 22, by IPv4 and IPv6, 2 to port 80 ------------------------------

talker=("$here/tcp_talk.py")
start "$work/served" "${talker[@]}" serve 192.0.2.1 22 2001:db8::1 22 192.0.2.1 80
server=$started
defer kill "$server"
mkfifo "$work/ask"
ns peer "${talker[@]}" talk 192.0.2.1 22 2001:db8::1 22 192.0.2.1 80 <"$work/ask" >"$work/told" &
defer kill $!
exec 3>"$work/ask"
until grep -qs ready "$work/told"; do sleep 0.1; done
mapfile -t sessions < <(head -n 3 "$work/told")
asked=4

# reach NUMBER SECONDS: works or cut
reach()
{
	local answer=''

	echo "$1 $2" >&3
	asked=$((asked + 1))
	until [[ $answer ]]; do
		answer=$(sed -n "${asked}p" "$work/told")
		[[ $answer ]] || sleep 0.02
	done
	echo "$answer"
}
# which SECONDS: connections that are cut
which_cut()
{
	local i out=''

	for i in 0 1 2; do
				reach "$i" "$1" >"$work/answer"
		[[ $(<"$work/answer") == works ]] || out+=" $i"
	done
	echo "${out# }" >"$work/cut"
}
# as SESSION COMMAND...: as it is in this SSH session
session=${sessions[0]}
as() { env SSH_CONNECTION="$1" setsid -w "${@:2}"; }
# alone COMMAND...: nobody's
alone() { env SSH_CONNECTION= setsid -w "$@"; }
end() { fw apply -q -f "$work/base" --force 2>/dev/null; which_cut 15; }

echo 'ip from 198.51.100.0/24 to any udp drop' >"$work/base"
good "the firewall is loaded" fw load -q --fused -f "$work/base" fw0
which_cut 15
check "all connections work" '' "$(<"$work/cut")"

# tried NAME WANT COMMAND...: is it refused, which connections are cut? Both have to agree. A
# command that is refused is given again with --force
tried()
{
	local status=0 got

	as "$session" "${@:3}" >"$work/out" 2>&1 || status=$?
	if ((status)); then
		grep -q 'refused without' "$work/out" || fail "$1" "$(<"$work/out")"
		as "$session" "${@:3}" --force >"$work/forced" 2>&1 ||
			fail "$1: forced" "$(<"$work/forced")"
		grep -q ' drops ' "$work/forced" || fail "$1: warned" "$(<"$work/forced")"
	fi
	which_cut 0.5
	got="$( ((status)) && echo refused || echo taken), cut:$(sed 's/./ &/' "$work/cut")"
	check "$1" "$2" "$got"
	end
}

while IFS='|' read -r want rule; do
	tried "rule: $rule" "$want" ecbpf-fw rule add "$rule"
done <<-'END'
	refused, cut: 0 1|inet from any to any tcp dport 22 drop
	refused, cut: 0|ip from any to any tcp dport 22 drop
	refused, cut: 1|ip6 from any to any tcp dport 22 drop
	refused, cut: 0 2|ip from 192.0.2.2 to any drop
	refused, cut: 0 2|ip from !198.51.100.0/24 to any drop
	refused, cut: 2|ip from any to any tcp dport 80 drop
	refused, cut: 0 1 2|inet from any to any tcp flags {ack} mask {ack} drop
	refused, cut: 0 1 2|inet from any to any proto any drop
	refused, cut: 1|ip6 from 2001:db8::/64 to 2001:db8::1 drop
	taken, cut:|ip from any to any udp drop
	taken, cut:|ip from any to any tcp dport 443 drop
	taken, cut:|ip from 198.51.100.0/24 to any drop
	taken, cut:|ip from any to any tcp dport 22 dry drop
	taken, cut:|ip from any to any tcp dport 22 limit 1000000/s burst 1000000
	taken, cut:|ip from any to any tcp flags {syn} mask {syn, ack} drop
	taken, cut:|ip from any to 192.0.2.2 drop
	taken, cut:|ip6 from any to any icmp6 type 128 drop
END

# --- rules behind and before others, sets, files --------------------------------------------------

# over NAME WANT COMMAND...: over the rules of standard input
over()
{
	as "${sessions[0]}" ecbpf-fw apply -q --force -f - 2>/dev/null
	tried "$@"
}
pass='ip from 192.0.2.2 to any pass name "me"'
drop='ip from any to any tcp drop name "all"'
over "behind a rule that passes it" "taken, cut:" ecbpf-fw rule add "$drop" <<<"$pass"
over "before it" "refused, cut: 0 2" ecbpf-fw rule insert 1 "$drop" <<<"$pass"
over "the rule that passes it is deleted" "refused, cut: 0 2" ecbpf-fw rule delete me \
	<<<"$pass"$'\n'"$drop"
over "and replaced" "refused, cut: 0 2" ecbpf-fw rule replace me \
	'ip from 192.0.2.3 to any pass' <<<"$pass"$'\n'"$drop"
over "what is dropped already" "taken, cut: 0 2" ecbpf-fw rule insert 1 \
	'ip from any to any tcp dport 22 drop' <<<"$drop"
over "behind a limit that is used up at once" "refused, cut: 0" ecbpf-fw rule add \
	'ip from any to any tcp dport 22 drop' <<<'ip from any to any tcp limit 1000/s burst 1000'
over "1,000 rules that are of no matter" "refused, cut: 0 2" ecbpf-fw rule add "$drop" < <(
	for ((i = 0; i < 1000; i++)); do echo "ip from 203.0.113.0/24 to any udp dport $i drop"; done
)
sets='set bad live
set good live
ip from @good to any pass
ip from @bad to any drop
ip from any to any udp drop'
fill() { as "${sessions[0]}" ecbpf-fw set add -q --force "$@" 2>/dev/null; }
over "a set gets an address of a session" "refused, cut: 0 2" \
	ecbpf-fw set add bad 203.0.113.0/24 192.0.2.2 <<<"$sets"
session=${sessions[1]}
over "a set gets a prefix with one" "refused, cut: 1" \
	ecbpf-fw set add bad 2001:db8::2/127 <<<"${sets//ip from/inet from}"
session=${sessions[0]}
over "a set gets others" "taken, cut:" ecbpf-fw set add bad 203.0.113.0/24 <<<"$sets"
over "a set is replaced by others" "taken, cut:" ecbpf-fw set replace bad 203.0.113.0/24 <<<"$sets"
over "a set is replaced" "refused, cut: 0 2" ecbpf-fw set replace bad 192.0.2.2 <<<"$sets"
over "a set of which nothing is dropped" "taken, cut:" ecbpf-fw set add good 192.0.2.2 <<<"$sets"
anew() { fw apply -q --force -f - <<<"$sets" 2>/dev/null; }
anew
fill good 192.0.2.2
tried "it is passed by another set" "taken, cut:" ecbpf-fw set add bad 192.0.2.0/30 --force
anew
fill good 192.0.2.0/28 192.0.2.2
fill bad 192.0.2.2
tried "a set loses an address, but has it by another prefix" "taken, cut:" \
	ecbpf-fw set delete good 192.0.2.2
as "${sessions[0]}" ecbpf-fw apply -q --force -f - <<<"$sets"
fill good 192.0.2.0/28
fill bad 192.0.2.2
tried "a set that passes loses it" "refused, cut: 0 2" ecbpf-fw set delete good 192.0.2.0/28
as "${sessions[0]}" ecbpf-fw apply -q --force -f - <<<"$sets"
fill good 192.0.2.0/28
fill bad 192.0.2.2
tried "a set that passes is emptied" "refused, cut: 0 2" ecbpf-fw set flush good

printf '%s\n' 'set many file "list"' 'ip from @many to any tcp dport 22 drop' >"$work/file"
seq -f '203.0.113.%g' 0 255 >"$work/list"
tried "a file with a set" "taken, cut:" ecbpf-fw apply -f "$work/file"
echo 192.0.2.2 >>"$work/list"
tried "with an address of a session" "refused, cut: 0" ecbpf-fw apply -f "$work/file"
fw unload -q fw0
tried "load" "refused, cut: 0" ecbpf-fw load --fused -f "$work/file" fw0

# --- what it says, to whom ------------------------------------------------------------------------

says() # NAME STATUS TEXT COMMAND...
{
	local status=0

	"${@:4}" >"$work/out" 2>&1 || status=$?
	check "$1" "$2 $3" "$status $(sed 's/\r$//; s/^ecbpf-[a-z]*: //' "$work/out")"
	fw undo -q 2>/dev/null || :
	end
}
read -r _ port _ <<<"${sessions[0]}"
read -r _ port6 _ <<<"${sessions[1]}"
read -r _ port80 _ <<<"${sessions[2]}"
line='rule 2 (ip from any to any tcp dport 22 drop name "off")'
off='ip from any to any tcp dport 22 drop name "off"'
says "one line" 1 "$line would drop your SSH session from 192.0.2.2:$port to 192.0.2.1:22: refused \
without --confirm 60s or --force" as "${sessions[0]}" ecbpf-fw rule add "$off"
check "nothing was changed" 1 "$(fw status -j | jq .rules)"
says "--confirm: a warning" 0 "warning: $line drops your SSH session from 192.0.2.2:$port to 192.0.2.1:22" \
	as "${sessions[0]}" ecbpf-fw rule add -q "$off" --confirm 1m
says "IPv6; several" 1 "rule 2 (inet from any to any proto any drop) would drop your SSH session from \
[2001:db8::2]:$port6 to [2001:db8::1]:22 and 2 more: refused without --confirm 60s or --force" \
	as "${sessions[1]}" ecbpf-fw rule add 'inet from any to any proto any drop'
says "not the own one" 1 "rule 2 (ip from any to any tcp dport 80 drop) would drop the connection \
from 192.0.2.2:$port80 to 192.0.2.1:80: refused without --confirm 60s or --force" \
	as "${sessions[0]}" ecbpf-fw rule add 'ip from any to any tcp dport 80 drop'
says "a session that sock_diag does not show" 1 "rule 2 (ip from 198.51.100.9 to any proto any drop) \
would drop your SSH session from 198.51.100.9:1 to 192.0.2.1:22: refused without --confirm 60s or \
--force" as "198.51.100.9 1 192.0.2.1 22" ecbpf-fw rule add 'ip from 198.51.100.9 to any drop'
# shellcheck disable=SC2016 # for the inner shell
says "the variable is with the process that started it only, as under sudo" 1 \
	"rule 2 (ip from 198.51.100.9 to any proto any drop) would drop your SSH session from \
198.51.100.9:1 to 192.0.2.1:22: refused without --confirm 60s or --force" \
	as "198.51.100.9 1 192.0.2.1 22" \
	bash -c 'env -i PATH="$PATH" ecbpf-fw rule add "ip from 198.51.100.9 to any drop"; exit $?'
says "a variable that is none" 0 "warning: SSH_CONNECTION is not 'CLIENT PORT SERVER PORT', so it was \
not tried whether this drops your own session" as "any 1 192.0.2.1 22" \
	ecbpf-fw rule add -q 'ip from 198.51.100.9 to any drop'
anew
says "a set, for which there is no --confirm" 1 "rule 2 (ip from @bad to any proto any drop) would \
drop your SSH session from 192.0.2.2:$port to 192.0.2.1:22: refused without --force" \
	as "${sessions[0]}" ecbpf-fw set add bad 192.0.2.2

# --- nobody is there ------------------------------------------------------------------------------

drops='ip from any to any tcp dport 22 drop'
says "without an SSH session: connections" 1 "rule 2 ($drops) would drop the connection from \
192.0.2.2:$port to 192.0.2.1:22: refused without --confirm 60s or --force" \
	alone ecbpf-fw rule add "$drops"
fw unload -q fw0
ecbpf-loader clean -q --all
says "as at boot, where no rules are live: a warning" 0 "warning: rule 1 ($drops) drops the connection from \
192.0.2.2:$port to 192.0.2.1:22" alone ecbpf-fw load -q --fused -f - fw0 <<<"$drops"
printf '[interfaces]\ningress = fw0\n[chain]\nstages = fw\nfused = yes\n[fw]\nrules = %s\n' \
	"$work/file" >"$work/conf"
good "a configuration is applied, whatever it says" as "${sessions[0]}" \
	ecbpf-loader apply "$work/conf"
which_cut 0.5
check "it is in force" 0 "$(<"$work/cut")"
end

# --- the filter's list ----------------------------------------------------------------------------

drop() { as "${sessions[0]}" ecbpf-filter drop "$@"; }
says "drop add" 1 "192.0.2.2 is the client of your SSH session (port 22): refused without --force" \
	drop add 192.0.2.2
says "a prefix" 1 "2001:db8::2/127 holds 2001:db8::2, the client of your SSH session (port 22): \
refused without --force" as "${sessions[1]}" ecbpf-filter drop add 2001:db8::2/127
says "--force: a warning" 0 "warning: 192.0.2.2 is the client of your SSH session (port 22): blocked" \
	drop add -q --force 192.0.2.2
ecbpf-filter drop flush -q
printf '%s\n' 203.0.113.0/24 192.0.2.2 >"$work/import"
says "import" 1 "192.0.2.2 is the client of your SSH session (port 22): refused without --force" \
	drop import -f "$work/import"
check "nothing was changed there" '' "$(ecbpf-filter drop list)"
ecbpf-filter allow add -q 192.0.2.0/28
good "what is allowed is not cut" drop add 192.0.2.2
ecbpf-filter allow add -q 192.0.2.2/31 192.0.2.64/28
printf '%s\n' 192.0.2.3 192.0.2.64/28 >"$work/import"
allow() { as "${sessions[0]}" ecbpf-filter allow "$@"; }
cut="192.0.2.2 is the client of your SSH session (port 22), and in the drop list: refused without --force"
good "another prefix that allows it is left" allow delete -q 192.0.2.0/28
says "allow delete" 1 "$cut" allow delete 192.0.2.2/31
says "allow flush" 1 "$cut" allow flush
says "allow import --replace" 1 "$cut" allow import --replace -f "$work/import"
check "nothing was changed there" "192.0.2.2/31 192.0.2.64/28" \
	"$(ecbpf-filter allow list -j | jq -r '[.[].prefix] | join(" ")')"
good "who was not cut" allow delete -q 192.0.2.64/28
says "allow delete --force: a warning" 0 "warning: ${cut%refused*}blocked" allow delete -q --force 192.0.2.2/31
good "who is cut already keeps nobody from anything" allow add -q 192.0.2.64/28
good "who is cut already, likewise" allow flush -q
ecbpf-filter drop flush -q
good "others" drop add 192.0.2.3
good "a program blocks a client of this host" alone ecbpf-filter drop add 192.0.2.2
ecbpf-filter drop flush -q
anew
good "also by a set" alone ecbpf-fw set add bad 192.0.2.2
end
says "who has a terminal does not" 1 \
	"192.0.2.2 is a client of this host (port 22): refused without --force" \
	env SSH_CONNECTION= script -qec "ecbpf-filter drop add 192.0.2.2" /dev/null

# --- it cannot be tried ---------------------------------------------------------------------------

# broken CALL WHAT ERROR MORE COMMAND...: in the session; the first such call that strace shows as
# WHAT fails, and MORE behind it
broken()
{
	local nth

	as "$session" strace -qq -o "$work/trace" -e "trace=$1" "${@:5}" >/dev/null 2>&1 || :
	nth=$(grep -n -m 1 -- "$2" "$work/trace" | cut -d : -f 1)
	as "$session" strace -qq -o "$work/trace" -e "trace=$1" \
		-e "inject=$1:error=$3:when=$nth..$((nth + $4))" "${@:5}"
}
says "no program can be loaded: the rule is taken" 0 "warning: it was not tried whether this drops \
your own sessions: cannot load the firewall's program: Cannot allocate memory" \
	broken bpf 'prog_name="ecbpf_fw"' ENOMEM 1 ecbpf-fw rule add -q "$off"
session=''
says "no connections can be read" 0 "warning: it was not tried whether this drops connections to this \
host: cannot read the connections of this host: Protocol mismatch" \
	broken socket NETLINK_SOCK_DIAG EPROTONOSUPPORT 1 ecbpf-fw rule add -q "$off"
session=${sessions[0]}
says "but the own one is known" 1 "warning: it was not tried whether this drops connections to this \
host: cannot read the connections of this host: Protocol mismatch
$line would drop your SSH session from 192.0.2.2:$port to 192.0.2.1:22: refused without --confirm \
60s or --force" broken socket NETLINK_SOCK_DIAG EPROTONOSUPPORT 1 ecbpf-fw rule add "$off"
kill -0 "$server"
# --- while a change waits, the rules that come back count, too ------------------------------------

printf 'set later live\nip from @later to any drop name "later"\n' >"$work/later"
sed 's/any drop/any count/' "$work/later" >"$work/harmless"
alone ecbpf-fw apply -q -f "$work/later"
alone ecbpf-fw apply -q -f "$work/harmless" --confirm 60s
bad "a set that the rules before drop by" 1 "would drop your SSH session" \
	as "$session" ecbpf-fw set add later 192.0.2.2
as "$session" ecbpf-fw set add later 192.0.2.99 >"$work/out" 2>&1 || fail "another address" "$(<"$work/out")"
alone ecbpf-fw undo -q
bad "a variable that cannot be read is told" 0 "SSH_CONNECTION is not" \
	as "192.0.2.2 40022 192.0.2.1" ecbpf-fw set add later 192.0.2.98
end
summary
