#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# ecbpf-loader's own part: help, usage errors, what reaches the library, tables, JSON, exit
# status. It is linked with fake_libecbpf.c, so nothing is loaded and nobody need be root.
#
# shellcheck disable=SC2015 # pass does not fail
#
# test_tool.sh [PROGRAM]	PROGRAM: so linked already; else it is built with $CC
set -euo pipefail
dir=$(cd "$(dirname "$0")" && pwd)
top=$dir/../..
# shellcheck source=testing/lib/lib.sh
. "$dir/../lib/lib.sh"

work=$(mktemp -d)
defer rm -rf "$work"
export TZ=UTC

build()
{
	mkdir -p "$work/include/ecbpf"
	cp "$top"/headers/ecbpf/*.h "$work/include/ecbpf/"
	# shellcheck disable=SC2086 # flags are words
	"${CC:-cc}" ${CFLAGS:--g -fsanitize=address,undefined} -D_GNU_SOURCE -I"$work/include" -I"$top" \
		"$top"/tools/loader/*.c \
		"$top"/tools/common/{audit,change,common,notify,safe,settings,statsd,watched,work}.c \
		"$dir/fake_libecbpf.c" -ljson-c -o "$work/ecbpf-loader"
}

if [[ ${1:-} ]]; then
	loader=$1
else
	build
	loader=$work/ecbpf-loader
fi

# run ARG...: into $status, $out, $err
run()
{
	status=0
	"$loader" "$@" >"$work/out" 2>"$work/err" || status=$?
	out=$(<"$work/out") err=$(<"$work/err")
}

# equal NAME WHAT ACTUAL EXPECTED
equal()
{
	[[ $3 == "$4" ]] && return
	fail "$1" "$2 is not as expected:
$(diff <(echo "$4") <(echo "$3") | sed 's/^/    /')"
	return 1
}

# calls EXPECTED ARG...: the one call of the library that is made
calls()
{
	local expected=$1
	shift
	run "$@" -q
	equal "$*" status "$status" 0 && equal "$*" call "$err" "call: $expected" &&
		equal "$*" stdout "$out" '' && pass "$*" || :
}

# usage VERB MESSAGE ARG...: refused, and no call made
usage()
{
	local verb=${1:+ $1} message=$2
	shift 2
	run "$@"
	equal "$*" stderr "$err" "ecbpf-loader: $message
Try 'ecbpf-loader$verb --help'" && equal "$*" status "$status" 2 && equal "$*" stdout "$out" '' &&
		pass "usage: $*" || :
}

# fails STDERR ARG...
fails()
{
	local expected=$1
	shift
	run "$@"
	equal "$*" status "$status" 1 && equal "$*" stderr "$err" "$expected" &&
		pass "fails: $*" || :
}

# prints NAME EXPECTED: stdout of the last run, which went well
prints()
{
	equal "$1" status "$status" 0 && equal "$1" stdout "$out" "$2" && pass "$1" || :
}

# --- help ---------------------------------------------------------------------------------------

verbs=(load unload status clean features replace doctor stages apply export refresh watch log
	metrics)
for verb in '' "${verbs[@]}"; do
	for args in "$verb --help" "$verb -h" "help $verb"; do
		# shellcheck disable=SC2086
		run $args
		if [[ $status == 0 && ! $err && $out == "Usage: ecbpf-loader "*Examples:* ]]; then
			pass "$args"
		else
			fail "$args" "status $status, stderr '$err', stdout '$out'"
		fi
		wide=$(awk 'length > 84' <<<"$out")
		[[ ! $wide ]] || fail "$args" "long lines: $wide"
	done
done
# What help lists, the man page has
page=$(sed 's,[\\],,g' "$top/man/ecbpf-loader.8.in")
for verb in "${verbs[@]}"; do
	run "$verb" --help
	missing=$(grep -o '^  .*--[a-z-]*' <<<"$out" | grep -o -e '--[a-z-]*' | while read -r option; do
		grep -q -e "$option\>" <<<"$page" || echo "$option"
	done)
	if [[ ! $missing ]] && grep -q "^.SS $verb\$" <<<"$page"; then
		pass "$verb is in the man page"
	else
		fail "$verb is in the man page" "not there: the verb, or $missing"
	fi
done
for args in 'help --help' 'help -h' 'help help'; do
	# shellcheck disable=SC2086
	run $args
	prints "$args" "$("$loader" --help)"
done
run load eth0 pass --help
[[ $status == 0 && $out == "Usage: ecbpf-loader load "* ]] && pass "--help at the end" ||
	fail "--help at the end" "status $status"
for args in --version 'load --version'; do
	# shellcheck disable=SC2086
	run $args
	prints "$args" 'ecbpf-loader 0.1'
done

# --- usage ------------------------------------------------------------------------------------

usage '' "which verb?"
usage '' "'nosuch' is not a verb" nosuch
usage '' "'' is not a verb" ''
usage '' "'nosuch' is not a verb" help nosuch
usage '' "-v: the verb comes first" -v load
usage load "-x: no such option" load -x eth0 pass
usage load "-x: no such option" load -vx eth0 pass
usage load "--nosuch: no such option, or short for several" load --nosuch eth0 pass
usage load "--p: no such option, or short for several" load --p 1 eth0 pass
usage load "--verbose=1: takes no argument" load --verbose=1 eth0 pass
usage load "-P: needs an argument" load eth0 pass -P
usage load "--prio: needs an argument" load eth0 pass --prio
usage load "--mode is given twice" load -m skb --mode native eth0 pass
usage load "--prio is given twice" load -P 1 eth0 pass -P 1
usage unload "--id is given twice" unload eth0 -i 1 -i 2
usage load "on which interface?" load
usage load "which program?" load eth0
usage load "'' is not an interface" load '' pass
usage load "'eth0,,eth1': an interface is missing in this list" load eth0,,eth1 pass
usage load "'eth0,': an interface is missing in this list" load eth0, pass
number="is not a number from 0 to 2147483647"
for text in 70000x '' -1 ' 1' '1 ' 2147483648 18446744073709551616 0x 1e3 +1; do
	usage load "--prio: '$text' $number" load --prio "$text" eth0 pass
done
actions="is not one of XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT"
usage load "--actions: 'PASS' $actions" load -A PASS eth0 pass
usage load "--actions: '' $actions" load -A '' eth0 pass
usage load "--actions: '' $actions" load -A XDP_PASS, eth0 pass
usage load "--actions: 'XDP_PAS' $actions" load -A XDP_DROP,XDP_PAS eth0 pass
usage load "--mode: 'driver' is not native, skb or unspecified" load -m driver eth0 pass
usage load "--set: 'x' is not NAME=VALUE" load -S x eth0 pass
usage load "--set: '=1' is not NAME=VALUE" load -S =1 eth0 pass
for value in '' y 1x -- -1 0x1g 18446744073709551616; do
	usage load "--set: 'x=$value': the value is neither a number nor an XDP action" \
		load -S "x=$value" eth0 pass
done
usage load "--section and --prog-name cannot be combined" \
	load -s xdp -n prog eth0 x.o
usage load "--section and --prog-name need an object file; --fused has none" \
	load -n prog --fused pass eth0
usage unload "expected one of --id, --name and --all" unload eth0
usage unload "expected one of --id, --name and --all" unload eth0 -a -i 5
usage unload "from which interface?" unload -a
usage unload "--id: '0' is not a number from 1 to 4294967295" unload -i 0 eth0
usage replace "on which interface?" replace
usage replace "replace which program?" replace eth0
usage replace "replace it by which program?" replace eth0 pass
usage replace "'z': replace takes one program" replace eth0 pass x.o z
usage replace "'x.o': replace takes one program, and --fused is one" replace --fused pass eth0 pass x.o
usage replace "'eth0,eth1': replace takes one interface" replace eth0,eth1 pass x.o
usage replace "-m: no such option" replace -m skb eth0 pass x.o
usage clean "'eth0': --all takes no interface" clean --all eth0
usage features "of which interface?" features
usage features "features takes one interface" features eth0 eth1
usage stages "'x': takes no operands" stages x
usage apply "'y': apply takes one file" apply x y
usage apply "--check and --stop cannot be combined" apply -c --stop
usage export "'x': takes no operands" export x
usage refresh "'x': takes no operands" refresh x
usage watch "'y': watch takes one file" watch x y
usage watch "'x': --reload takes no file" watch --reload x
usage watch "'-': watch reads its file again, it has to have a name" watch -
usage metrics "--output and --statsd cannot be combined" metrics -o x --statsd localhost:1
usage metrics "--statsd: 'localhost' is not HOST:PORT" metrics --statsd localhost lo
for port in 99999 0 65536 4294967297 +34463 ' 9' '9 ' -1 0x9 http 9.0 184467440737095516170; do
	usage metrics "--statsd: '127.0.0.1:$port': the port is not a number from 1 to 65535" \
		metrics --statsd "127.0.0.1:$port" lo
done
for port in 1 65535 00080; do
	run metrics --statsd "[::1]:$port" lo
	[[ $err != *"is not a number"* ]] && pass "port $port" || fail "port $port" "$err"
done
fails "ecbpf-loader: no ecbpf-loader watch runs in this network namespace" watch --reload
fails "ecbpf-loader: /nonexistent/x: No such file or directory" metrics -o /nonexistent/x
mkfifo "$work/fifo"
ln -sf fifo "$work/link"
fails "ecbpf-loader: $work/link: no regular file; without --output, metrics are printed" \
	metrics -o "$work/link"
echo old >"$work/file"
ln -sf file "$work/link"
run metrics -o "$work/link"
[[ $status == 0 && -L $work/link && $(<"$work/file") == *"# EOF" ]] &&
	pass "metrics into the file of a link" || fail "metrics into the file of a link" "$status $err"

# --- what reaches the library -----------------------------------------------------------------

# applies CALLS STDOUT ARG...
applies()
{
	local want=$1 stdout=$2
	shift 2
	run "$@"
	equal "$*" status "$status" 0 && equal "$*" calls "$err" "$want" &&
		equal "$*" stdout "$out" "$stdout" && pass "$*" || :
}
lines="eth0: add ecbpf_count, priority 80
filter: frags ptb, was pass"
applies "call: config_read
call: config_apply check=0" "2 changes made" apply
applies "call: config_read file=-
call: config_apply check=0" "$lines" apply --diff -
applies "call: config_read file=x
call: config_apply check=1" "$lines" apply -c x
FAKE_NOTHING=1 applies "call: config_read
call: config_apply check=1" "nothing to do" apply --check
applies "call: config_stop file=x" "nothing to do" apply --stop x
applies "call: config_stop" "nothing to do" apply --stop
applies "call: config_refresh" "addresses and services: nothing to change" refresh
applies "call: config_export" "[interfaces]
ingress =" export
applies "call: config_export dir=/x" "[interfaces]
ingress =" export -d /x

# lldpcli, as it is when there is one neighbour with one VLAN, and two with several
mkdir "$work/bin"
cat >"$work/bin/lldpcli" <<-'END'
	#!/bin/bash
	[[ $* == "-fjson show neighbors ports "* ]] || exit 1
	[[ $* == *" details" ]] || { echo '{"lldp": {}}'; exit; } # VLANs are details
	case ${*: -2:1} in
	a,b) echo '{"lldp": {"interface": [
		{"a,b": {"port": {"id": {"value": "1"}}, "vlan": [
			{"vlan-id": "10", "pvid": true, "value": "x"}, {"vlan-id": "20", "pvid": false}]}},
		{"a,b": {"vlan": {"vlan-id": "30", "pvid": true}}}]}}' ;;
	eth1) [[ ${VLAN-} != none ]] || { echo '{"lldp": {}}'; exit; }
		echo '{"lldp": {"interface": {"eth1": {"vlan": {"vlan-id": "'"${VLAN-10}"'"}}}}}' ;;
	esac
END
chmod 755 "$work/bin/lldpcli"
export FAKE_VLANS=1
PATH=$work/bin:$PATH applies "call: config_read file=x
call: config_apply check=1" "$lines" apply -c x
PATH=$work/bin:$PATH VLAN=11 fails "call: config_read file=x
ecbpf-loader: eth1: the switch announces VLAN 11, and it should be on VLAN 10; --no-lldp applies \
without asking" apply x
PATH=$work/bin:$PATH VLAN=none fails "call: config_read file=x
ecbpf-loader: eth1: the switch announces no VLAN, and it should be on VLAN 10; --no-lldp applies \
without asking" apply x
PATH=/nonexistent fails "call: config_read file=x
ecbpf-loader: a,b: lldpcli says nothing about its VLANs; does lldpd run?; --no-lldp applies \
without asking" apply x
applies "call: config_read file=x
call: config_apply check=1" "$lines" apply -c --no-lldp x
unset FAKE_VLANS

# --- log ----------------------------------------------------------------------------------------

# As journalctl does: with --since, --lines are the first ones; FAKE_ENTRIES: how many there are
cat >"$work/bin/journalctl" <<-'END'
	#!/bin/bash
	since='' lines=0
	for word; do
		case $word in
		--since=nonsense) echo "Failed to parse timestamp: nonsense"; exit 1 ;;
		--since=*) since=1 ;;
		--lines=*) lines=${word#*=} ;;
		esac
	done
	printf '%s\n' "$*" >"$FAKE_WORDS"
	for ((i = 1; i <= FAKE_ENTRIES; i++)); do
		echo '{"__REALTIME_TIMESTAMP": "'$((1700000000 + i))'000000", "ECBPF_TOOL": "ecbpf-fw",
			"ECBPF_VERB": "rule add", "ECBPF_WHAT": "'"$i"'", "ECBPF_RESULT": "changed",
			"ECBPF_TEXT": "x", "ECBPF_PID": "4711", "ECBPF_UID": "0", "ECBPF_IFACE": "eth0"}' |
			tr -d '\n\t'
		echo
	done | if ((!lines)); then cat; elif [[ $since ]]; then head -n "$lines"; else tail -n "$lines"; fi
END
chmod 755 "$work/bin/journalctl"
old_path=$PATH
export PATH=$work/bin:$PATH FAKE_ENTRIES=250 FAKE_WORDS=$work/words
more="ecbpf-loader: these are the last 100 changes, there are more: -n 0 prints all"
# logs NAME WANT STDERR ARG...: numbers of the entries
logs()
{
	run log "${@:4}"
	equal "$1" status "$status" 0 && equal "$1" stderr "$err" "$3" &&
		equal "$1" entries "$(awk '{ print $7 }' <<<"$out" | tr -d : | xargs)" "$2" && pass "$1" || :
}
logs "log" "$(seq -s ' ' 151 250)" "$more"
logs "log --since" "$(seq -s ' ' 151 250)" "$more" --since -1h
logs "log -n" "249 250" '' -n 2
logs "log -n --since" "250" '' -n 1 --since -1h
logs "log -n 0 --since" "$(seq -s ' ' 250)" '' -n 0 --since today
FAKE_ENTRIES=100 logs "log: no more" "$(seq -s ' ' 100)" '' --since today
usage log "--since: 'nonsense' is not a time, see systemd.time(7)" log --since nonsense
run log -i eth0 -n 3
[[ $(<"$work/words") == *" ECBPF_IFACE=eth0 --lines=4" ]] && pass "log -i" ||
	fail "log -i" "$(<"$work/words")"
if command -v jq >/dev/null; then
	run log -j -n 2
	equal "log -j" entries "$(jq -c '.[1]' <<<"$out")" \
		'{"time":"2023-11-14T22:17:30Z","tool":"ecbpf-fw","verb":"rule add","what":"250","result":"changed","text":"x","sudo_user":null,"pid":4711,"uid":0,"loginuid":null,"interfaces":["eth0"]}' &&
		pass "log -j" || :
fi
PATH=$old_path

# What is not of an interface: rules that are called alike add up
run metrics lo
equal "metrics: declared" stdout \
	"$(grep -E '^ecbpf_(declared|attached|stage|build|last)' <<<"$out" | grep -v build)" \
'ecbpf_last_apply_timestamp_seconds 1700000000
ecbpf_last_apply_ok 1
ecbpf_last_good_runs 0' && pass "metrics: declared" || :
[[ $out == *'ecbpf_build_info{version="'[0-9]* ]] && pass "metrics: version" ||
	fail "metrics: version" "$out"
equal metrics stdout "$(grep -E '^ecbpf_(rule|list|flows|egress|fastpath)' <<<"$out")" \
	'ecbpf_list_prefixes{list="allow",family="4"} 0
ecbpf_list_prefixes{list="allow",family="6"} 7
ecbpf_list_prefixes{list="drop",family="4"} 1
ecbpf_list_prefixes{list="drop",family="6"} 7
ecbpf_rule_packets_total{rule="a\\b"} 8
ecbpf_rule_packets_total{rule="dns"} 5
ecbpf_rule_packets_total{rule="ip from any to any drop"} 2
ecbpf_rule_bytes_total{rule="a\\b"} 800
ecbpf_rule_bytes_total{rule="dns"} 500
ecbpf_rule_bytes_total{rule="ip from any to any drop"} 200
ecbpf_rule_over_limit_packets_total{rule="a\\b"} 3
ecbpf_rule_over_limit_packets_total{rule="dns"} 2
ecbpf_rule_over_limit_packets_total{rule="ip from any to any drop"} 1
ecbpf_rule_shared_limit_packets_total{rule="a\\b"} 30
ecbpf_rule_shared_limit_packets_total{rule="dns"} 20
ecbpf_rule_shared_limit_packets_total{rule="ip from any to any drop"} 10
ecbpf_egress_packets_total{result="granted"} 5
ecbpf_flows{state="lease"} 1
ecbpf_flows{state="idle"} 2
ecbpf_flows{state="dead"} 3
ecbpf_flows_capacity 1000
ecbpf_fastpath_on 1' && pass metrics || :

cat >"$work/receive.py" <<-'END'
	import socket, subprocess, sys
	with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
	    server.bind(("127.0.0.1", 0))
	    server.settimeout(0.2)
	    subprocess.run([sys.argv[1], "metrics", "--statsd",
	                    f"127.0.0.1:{server.getsockname()[1]}", "lo"], check=True)
	    text = b""
	    try:
	        while True:
	            text += server.recv(65536)
	    except TimeoutError:
	        print(text.decode(), end="")
END
FAKE_ALIKE=1 /usr/bin/python3 "$work/receive.py" "$loader" >"$work/gauges" 2>"$work/err" ||
	fail "statsd: names that are alike" "$(<"$work/err")"
# FNV-1a of the samples
equal "statsd: names that are alike" gauges \
	"$(grep '^ecbpf_rule_packets_total' "$work/gauges" | sort)" \
'ecbpf_rule_packets_total.a_b:4|g
ecbpf_rule_packets_total.a_b_3f630d03:8|g
ecbpf_rule_packets_total.a_b_88a7c24f:2|g
ecbpf_rule_packets_total.a_b_8c91ce35:1|g' && pass "statsd: names that are alike" || :
equal "statsd: each name once" names "$(cut -d: -f1 "$work/gauges" | sort | uniq -d)" '' &&
	pass "statsd: each name once" || :

plain='prio=-1 actions=0'
calls "load [eth0] mode=0 { file=pass $plain }" load eth0 pass
calls "load [eth0] mode=0 { file=pass $plain }" lo eth0 pass
calls "load [eth0] [eth1] mode=0 { file=pass $plain }" load eth0,eth1,eth0 pass
calls "load [a,b] mode=0 { file=pass $plain }" load a,b pass
calls "load [eth0] mode=1 { file=a.o $plain } { file=b.o $plain }" load -m native eth0 a.o b.o
calls "load [eth0] mode=2 { file=pass $plain }" load eth0 pass --mode=skb
calls "load [eth0] mode=0 { file=pass $plain }" load -m unspecified eth0 pass
calls "load [eth0] mode=0 { file=a.o section=xdp/x prio=0 actions=0x4 }" \
	load -P 0 -A XDP_PASS -s xdp/x eth0 a.o
calls "load [eth0] mode=0 { file=a.o name=prog pin_path=/sys/fs/bpf/x prio=2147483647 actions=0x1f }" \
	load -n prog -p /sys/fs/bpf/x -P 0x7fffffff \
	-A XDP_ABORTED,XDP_DROP,XDP_PASS,XDP_TX,XDP_REDIRECT eth0 a.o
set_='set=malformed_action=1 set=a=255 set=b=10 set=c=18446744073709551615'
calls "load [eth0] mode=0 { file=pass $plain $set_ } { file=count $plain $set_ }" \
	load -S malformed_action=XDP_DROP --set a=0xff -S b=010 -S c=18446744073709551615 \
	eth0 pass count
calls "load [eth0] mode=0 { fused=pass,count prio=7 actions=0 }" \
	load --fused pass,count -P 7 eth0
calls "load [eth0] mode=0 { fused=pass $plain } { file=a.o name=prog $plain }" \
	load --fused pass -n prog eth0 a.o
calls "unload [eth0] all=1 id=0" unload eth0 -a
calls "unload [eth0] [eth1] [lo] all=0 id=57" unload --id 57 eth0,eth1 lo
calls "unload [eth0] all=0 id=0 name=count" unload -n count eth0
calls "replace [eth0] pass { file=a.o $plain }" replace eth0 pass a.o
calls "replace [eth0] ecbpf_fused { fused=pass,count prio=9 actions=0 }" \
	replace --fused pass,count -P 9 eth0 ecbpf_fused
calls "clear [eth0]" status --clear eth0
calls "clear [eth0]
call: clear [eth1]
call: clear [torn]" status --clear

run status --clear -j lo
equal "nothing to clear" answer "$status $(jq -c . <<<"$out")" '0 {"changed":false,"changes":[],"notes":["lo: no counters: none of ecbpf'"'"'s programs is attached"]}' &&
	pass "nothing to clear" || :

run load eth0,eth1 pass count
prints "what was changed" "eth0: pass loaded
eth0: count loaded
eth1: pass loaded
eth1: count loaded"
run load -j eth0 pass
prints "what was changed, as JSON" '{
  "changed":true,
  "changes":[
    "eth0: pass loaded"
  ],
  "notes":[
  ]
}'

# --- failures ---------------------------------------------------------------------------------

usage load "--mode: 'hw' is not supported: programs in hardware cannot be chained; use native or \
skb" load -m hw eth0 pass
fails "call: load [eth0] [eth9] mode=0 { file=pass $plain }
ecbpf-loader: eth9: no such interface" load eth0,eth9 pass
export FAKE_FAIL=load FAKE_LINES=0
call="call: load [eth0] mode=0 { file=a.o $plain }
ecbpf-loader: eth0: it did not work"
fails "$call" load eth0 a.o
FAKE_LINES=15
fails "$call
$(seq -f '  line %g' 15)" load eth0 a.o
FAKE_LINES=40
fails "$call
  (the last 15 of 40 lines; -v shows all)
$(seq -f '  line %g' 26 40)" load eth0 a.o
fails "call: load [eth0] mode=0 { file=a.o $plain }
ecbpf-loader: info line
ecbpf-loader: eth0: it did not work
$(seq -f '  line %g' 40)" load -v eth0 a.o
FAKE_LINES=0
for call in "unload unload -a" "replace replace eth0 pass" "clear status --clear" \
	"get status" "clean clean" "features features" "doctor doctor"; do
	FAKE_FAIL=${call%% *}
	# shellcheck disable=SC2086
	run ${call#* } eth0
	[[ $FAKE_FAIL == replace ]] && run replace eth0 pass a.o
	if [[ $status == 1 && $err == *"ecbpf-loader: eth0: it did not work" && ! $out ]]; then
		pass "fails: ${call#* }"
	else
		fail "fails: ${call#* }" "status $status, stdout '$out', stderr '$err'"
	fi
done
unset FAKE_FAIL
run load -vv eth0 pass
equal "load -vv" stderr "$err" "call: load [eth0] mode=0 { file=pass $plain }
ecbpf-loader: info line
ecbpf-loader: debug line" && pass "load -vv" || :
run status eth9 lo
[[ $status == 1 && $err == "ecbpf-loader: eth9: no such interface" && $out == *"lo   "* ]] &&
	pass "status of one that is not there" ||
	fail "status of one that is not there" "status $status, stdout '$out', stderr '$err'"

# What cannot be written is a failure
for args in status 'status -j' stages 'doctor lo' 'features eth0' --help 'load --help'; do
	status=0
	# shellcheck disable=SC2086
	"$loader" $args >/dev/full 2>"$work/err" || status=$?
	[[ $status == 1 && $(<"$work/err") == *"ecbpf-loader: standard output: "* ]] &&
		pass "full disk: $args" || fail "full disk: $args" "status $status, $(<"$work/err")"
done
status=0
"$loader" status >&- 2>"$work/err" || status=$?
[[ $status == 1 ]] && pass "closed stdout" || fail "closed stdout" "status $status"
status=0
"$loader" load -q eth0 pass >&- 2>"$work/err" || status=$?
[[ $status == 0 ]] && pass "closed stdout, nothing to say" ||
	fail "closed stdout, nothing to say" "status $status, $(<"$work/err")"
# A change that was made is none, however
status=0
"$loader" load eth0 pass >/dev/full 2>"$work/err" || status=$?
[[ $status == 0 && $(<"$work/err") == *"standard output: "*"what was to be changed is changed" ]] &&
	pass "full disk: load" || fail "full disk: load" "status $status, $(<"$work/err")"
status=0
"$loader" load eth0 pass 2>"$work/err" > >(exec true; sleep 0.2) || status=$?
[[ $status == 0 ]] && pass "nobody reads: load" || fail "nobody reads: load" "status $status"

# --- tables -------------------------------------------------------------------------------------

head='CURRENT XDP PROGRAM STATUS:

Interface        Prio  Program name      Mode     ID   Tag               Chain actions
--------------------------------------------------------------------------------------'

run status lo
prints "status: no program" "$head
lo                     <No XDP program loaded!>"

if ((EUID == 0)) && command -v xdp-loader >/dev/null; then
	cp "$work/out" "$work/ours"
	if xdp-loader status lo >"$work/theirs" 2>&1 && grep -q '^lo .*<No XDP' "$work/theirs"; then
		equal "status as xdp-loader's" stdout "$(<"$work/ours")" "$(<"$work/theirs")" &&
			pass "status as xdp-loader's" || :
	else
		skip "status as xdp-loader's" "$(tail -n 1 "$work/theirs")"
	fi
else
	skip "status as xdp-loader's" "wants root and xdp-loader"
fi

run status eth0
prints "status: for scripts of xdp-loader" "$head
eth0                   xdp_dispatcher    native   50   d51e469e988d81da 
 =>              50     ecbpf_pass                55   37475767778797a7  XDP_PASS
 =>              60     their_program_two          56   38485868788898a8  XDP_DROP,XDP_PASS
 =>              80     ecbpf_count               1157 8595a5b5c5d5e5f5  XDP_PASS"
equal "status: one line for a program" id "$(awk '/ecbpf_count/ { print $4 }' <<<"$out")" 1157 &&
	pass "status: one line for a program" || :

run status -v eth0
prints "status: chain" "$head
eth0                   xdp_dispatcher    native   50   d51e469e988d81da 
 =>              50     ecbpf_pass                55   37475767778797a7  XDP_PASS
 =>              60     their_program_two          56   38485868788898a8  XDP_DROP,XDP_PASS
 =>              80     ecbpf_count               1157 8595a5b5c5d5e5f5  XDP_PASS

eth0: ecbpf_pass, ID 55, loaded 2023-11-14 22:13:20
    no packets yet
eth0: their_program_two, ID 56, loaded 2023-11-14 22:13:20, counters: not known
eth0: ecbpf_count, ID 1157, loaded 2023-11-14 22:13:20
    verdict                      packets                bytes
    XDP_DROP                          28                 1680
    XDP_PASS            18446744073709551615 18446744073709551615
    reason                       packets
    reason-63                          7
    ip-ihl                             6  IPv4 header length below 20 bytes
    ip-version                         5  EtherType says IPv4, version field does not
    ip-truncated                       4  IPv4 header or options run past the end of the frame
    vlan-tags                          3  more than two VLAN tags
    others                             3  of 2 reasons, all with --json
    protocol                     packets                bytes
    arp                                3                  180
    ip-tcp                       1000000           1500000000"

run status -v eth1
prints "status: fused, and another schema" "$head
eth1                   xdp_dispatcher    skb      50   d51e469e988d81da 
 =>              50     ecbpf_fused               60   3c4c5c6c7c8c9cac  XDP_PASS
 =>              51     ecbpf_old                 61   3d4d5d6d7d8d9dad  XDP_PASS

eth1: ecbpf_fused, ID 60, loaded 2023-11-14 22:13:20
  stage 1: pass
    verdict                      packets                bytes
    XDP_PASS                          20                 2000
  stage 2: count
    verdict                      packets                bytes
    XDP_PASS                          20                 2000
    protocol                     packets                bytes
    ip6-icmp                          20                 2000
eth1: ecbpf_old, ID 61, loaded 2023-11-14 22:13:20, counters: not known
    built for schema 99, and this is ecbpf-loader for schema 4"

run status -v a,b torn
prints "status: single, and broken" "$head
a,b                    xdp_drop          native   80   5060708090a0b0c0 
torn                   xdp_dispatcher    native   50   d51e469e988d81da 
 =>              50     ecbpf_pass                70   465666768696a6b6  XDP_PASS

a,b: one program without a dispatcher: nothing can be chained to it
a,b: xdp_drop, ID 80, loaded 2023-11-14 22:13:20, counters: not known

torn: the chain is broken, its programs may not be running: try 'ecbpf-loader doctor torn'
torn: ecbpf_pass, ID 70, loaded 2023-11-14 22:13:20
    its link is not pinned, so it may not be running: try 'ecbpf-loader doctor torn'
    verdict                      packets                bytes
    XDP_PASS                           5                  500"

run status
[[ $status == 0 && $(grep -c '^[a-z,]*[01]* .*\(native\|skb\|<No\)' <<<"$out") == 5 ]] &&
	pass "status: all interfaces" || fail "status: all interfaces" "$out"

export ECBPF_FAKE_DECLARED=1
run status lo
equal "status: not as declared" status "$status" 1 &&
	equal "status: not as declared" stdout "$out" "$head
lo                     <No XDP program loaded!>" &&
	equal "status: not as declared" stderr "$err" \
		"ecbpf-loader: eth0: not attached: fw -- fix: ecbpf-loader apply" &&
	pass "status: not as declared" || :
run doctor -j
[[ $status == 1 && $(jq -c '[.[] | .code]' <<<"$out") == \
	'["link-missing","not-attached","pins-stale","mode","bpffs"]' ]] &&
	pass "doctor: not as declared" || fail "doctor: not as declared" "status $status, $out"
unset ECBPF_FAKE_DECLARED

run features eth0
prints features "NETDEV_XDP_ACT_BASIC:		yes
NETDEV_XDP_ACT_REDIRECT:	yes
NETDEV_XDP_ACT_NDO_XMIT:	yes
NETDEV_XDP_ACT_XSK_ZEROCOPY:	no
NETDEV_XDP_ACT_HW_OFFLOAD:	no
NETDEV_XDP_ACT_RX_SG:		yes
NETDEV_XDP_ACT_NDO_XMIT_SG:	no"

run stages
prints stages "Stage     Prio  What it does
pass        50  count verdicts, pass everything on
count       80  count packets and bytes per protocol
printk      85  print the record of every Nth packet to the trace pipe
filter      10  drop what a director must not see: ecbpf-filter
fw          20  drop what the rules of the firewall say
fastpath    50  forward packets of flows that IPVS has balanced
sampler     90  draw samples of the packets that pass; runs last"

run clean eth0
prints clean "removed the pins of 1 dispatcher"
run clean --all </dev/null
prints "clean --all" "removed the pins of 1 dispatcher, rules, lists, sets and settings"

run doctor
equal doctor status "$status" 1 && equal doctor stdout "$out" \
	"error    eth0  their_prog (ID 56) has no link -- it does not run, packets pass it by \
-- fix: ecbpf-loader unload -i 56 eth0
warning  host  pins of a dispatcher that is gone -- they keep its maps in memory \
-- fix: ecbpf-loader clean
note     eth0  native mode -- as it should be" && pass doctor || :
run doctor lo
prints "doctor: all well" "no problem found in 1 check; -v lists them"
run doctor -v lo
prints "doctor -v" "ok  host  /sys/fs/bpf is a BPF file system"

# --- JSON ---------------------------------------------------------------------------------------

# query NAME ARGS FILTER EXPECTED
query()
{
	local value
	# shellcheck disable=SC2086
	run $2
	value=$(jq -c "$3" <<<"$out" 2>&1) || true
	equal "$1" "$3" "$value" "$4" && pass "$1" || :
}

if command -v jq >/dev/null; then
	query "json: no program" "status -j lo" '.' \
		'[{"interface":"lo","ifindex":1,"kind":"none","mode":null,"dispatcher":null,"members":[]}]'
	query "json: dispatcher" "status --json eth1" '.[0]|del(.members)' \
		'{"interface":"eth1","ifindex":3,"kind":"dispatcher","mode":"skb","dispatcher":{"name":"xdp_dispatcher","id":50,"tag":"d51e469e988d81da","protocol":2,"is_ours":true,"has_frags":false}}'
	query "json: foreign member" "status -j eth0" '.[0].members[1]' \
		'{"name":"their_program_two","id":56,"tag":"38485868788898a8","prio":60,"chain_actions":["XDP_DROP","XDP_PASS"],"load_time_s":1700000000,"is_ours":false,"has_link":true,"schema":null,"stages":null}'
	query "json: another schema" "status -j eth1" '.[0].members[1]|[.schema,.stages]' \
		'[99,null]'
	query "json: actions" "status -j eth1" '.[0].members[0].stages[1].actions|keys' \
		'["XDP_ABORTED","XDP_DROP","XDP_PASS","XDP_REDIRECT","XDP_TX","invalid"]'
	query "json: stages" "status -j eth1" '[.[0].members[0].stages[]|[.stage,.actions.XDP_PASS.packets]]' \
		'[["pass",20],["count",20]]'
	query "json: reasons" "status -j eth0" '.[0].members[2].stages[0].reasons|[length,."ip-ihl",."reason-63"]' \
		'[7,{"packets":6,"text":"IPv4 header length below 20 bytes"},{"packets":7,"text":null}]'
	query "json: count" "status -j eth0" '.[0].members[2].stages[0].count|[length,."ip-tcp"]' \
		'[14,{"packets":1000000,"bytes":1500000000}]'
	grep -q '"packets": \?18446744073709551615' <<<"$out" && pass "json: 64 bits" ||
		fail "json: 64 bits" "$(grep -m 3 packets <<<"$out")"
	query "json: all interfaces" "status -j" '[.[]|[.interface,.kind]]' \
		'[["lo","none"],["eth0","dispatcher"],["eth1","dispatcher"],["a,b","single"],["torn","broken"]]'
	query "json: single" "status -j a,b" '.[0]|[.dispatcher,.members[0].prio,.members[0].id]' \
		'[null,null,80]'
	query "json: doctor" "doctor -j" '[length,.[1]]' \
		'[4,{"severity":"warning","interface":null,"code":"pins-stale","what":"pins of a dispatcher that is gone","why":"they keep its maps in memory","fix":"ecbpf-loader clean"}]'
	query "json: features" "features -j eth0" '.NETDEV_XDP_ACT_RX_SG' true
	query "json: stages verb" "stages -j" '.[1]' \
		'{"stage":"count","prio":80,"text":"count packets and bytes per protocol"}'
else
	skip json "wants jq"
fi

summary
