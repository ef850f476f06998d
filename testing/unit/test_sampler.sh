#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The command lines of ecbpf-sampler and ecbpf-pcap: help, usage errors, keys, the settings file, as
# they are built in the current directory. What they do is for testing/lib/sampler.py.
#
# shellcheck disable=SC2015 # pass does not fail
set -euo pipefail
dir=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=testing/lib/lib.sh
. "$dir/../lib/lib.sh"
tools=$PWD/tools
[[ -x $tools/ecbpf-pcap ]] || skip_all "not built in $PWD"
work=$(mktemp -d)
defer rm -rf "$work"
man=$dir/../../man

# run TOOL ARG...: into $status, $out, $err
run()
{
	status=0
	timeout 20 "$tools/$1" "${@:2}" >"$work/out" 2>"$work/err" </dev/null || status=$?
	out=$(<"$work/out") err=$(<"$work/err")
}

# gives STATUS MESSAGE TOOL ARG...: one line that begins so, and for usage where help is
gives()
{
	local want=$1 message=$2 lines
	shift 2
	run "$@"
	lines=$(wc -l <"$work/err")
	if ((status != want)); then
		fail "$*" "status $status, not $want: $err"
	elif [[ $err != "$1: $message"* ]]; then
		fail "$*" "$err"
	elif ((lines != (want == 2 ? 2 : 1))) || [[ $out ]]; then
		fail "$*" "$lines lines, and on stdout: $out"
	else
		pass "$*"
	fi
}

for tool in ecbpf-sampler ecbpf-pcap; do
	run "$tool" --help
	[[ $status == 0 && $out == "Usage: $tool"* && ! $err ]] && pass "$tool --help" ||
		fail "$tool --help" "status $status: $out$err"
	run "$tool" --version
	[[ $status == 0 && $out == "$tool "[0-9]* ]] && pass "$tool --version" ||
		fail "$tool --version" "$out"
done

# options_in_man PAGE TOOL [VERB]: every long option of the help is in the man page
options_in_man()
{
	local page=$1 option missing=''

	run "${@:2}" --help
	while read -r option; do
		grep -qF -- "\-\-${option//-/\\-}" "$man/$page" || missing+=" --$option"
	done < <(sed -n 's/^  .*--\([a-z-]*\).*/\1/p' <<<"$out" | grep -vxE 'help|version|verbose')
	[[ $out && ! $missing ]] && pass "${*:2}: options are in the man page" ||
		fail "${*:2}: options are in the man page" "missing:$missing"
}
for verb in load set unload status run keygen; do
	options_in_man ecbpf-sampler.8.in ecbpf-sampler "$verb"
done
options_in_man ecbpf-pcap.1.in ecbpf-pcap

gives 2 "which verb?" ecbpf-sampler
gives 2 "on which interface?" ecbpf-sampler load
gives 2 "--rate: 'x' is not a number from 0 to 4294967295" ecbpf-sampler load --rate x eth0
gives 2 "--rate: '4294967296' is not a number from 0 to" ecbpf-sampler set --rate 4294967296
gives 2 "--snaplen: '16385' is not a number from 0 to 16384" ecbpf-sampler set --snaplen 16385
gives 2 "--mode: 'hw' is not native, skb or unspecified" ecbpf-sampler load -m hw eth0
gives 2 "no setting: give KEY=VALUE" ecbpf-sampler set
gives 2 "'eth0' is not KEY=VALUE" ecbpf-sampler set --rate 1 eth0
gives 2 "rate: 'x' is not a number from 0 to 4294967295" ecbpf-sampler set rate=x
gives 2 "no setting 'snaplan'; did you mean 'snaplen'?" ecbpf-sampler set snaplan=1
gives 1 "the sampler is loaded on no interface" ecbpf-sampler unload
gives 2 "--ring: '5' is not a power of two" ecbpf-sampler run --ring 5
gives 2 "--statsd: 'localhost' is not HOST:PORT" ecbpf-sampler run --statsd localhost
gives 2 "tcp://0.0.0.0:1 leaves this host: needs --key, or --insecure" \
	ecbpf-sampler run --bind tcp://0.0.0.0:1
gives 2 "tcp://192.0.2.1:1 leaves this host: needs --server-key" \
	ecbpf-sampler run --connect tcp://192.0.2.1:1
for endpoint in nonsense tcp:// tcp://127.0.0.1 tcp://127.0.0.1: tcp://:1 tcp://127.0.0.1:0 \
	tcp://127.0.0.1:65536 tcp://127.0.0.1:1x ipc:// udp://127.0.0.1:1 \
	'tcp://127.0.0.1:0;192.0.2.1:1'; do
	gives 2 "'$endpoint' is not tcp://ADDRESS:PORT or ipc://PATH" \
		ecbpf-sampler run --insecure --bind "$endpoint"
	gives 2 "'$endpoint' is not tcp://ADDRESS:PORT or ipc://PATH" ecbpf-pcap -e "$endpoint"
done
gives 2 "tcp://127.0.0.1.example.net:1 leaves this host: needs --server-key" \
	ecbpf-sampler run --connect tcp://127.0.0.1.example.net:1
gives 1 "$work/none: No such file" ecbpf-sampler run -f "$work/none"

printf 'bind\n' >"$work/settings"
gives 2 "$work/settings:1: bind needs an argument" ecbpf-sampler run -f "$work/settings"
printf '# so\n\ncolour red\n' >"$work/settings"
gives 2 "$work/settings:3: 'colour' is not an option" ecbpf-sampler run -f "$work/settings"
printf 'insecure yes\n' >"$work/settings"
gives 2 "$work/settings:1: insecure takes no argument" ecbpf-sampler run -f "$work/settings"
printf '# so\nhwm 50 # x\n' >"$work/settings"
gives 2 "$work/settings:2: --hwm: '50 # x' is not a number" ecbpf-sampler run -f "$work/settings"
printf 'hwm 0\n' >"$work/settings"
gives 2 "$work/settings:1: --hwm: '0' is not a number" ecbpf-sampler run -f "$work/settings"

gives 2 "into which file?" ecbpf-sampler keygen
run ecbpf-sampler keygen "$work/key"
modes=$(stat -c %a "$work/key" "$work/key.pub" | xargs)
[[ $status == 0 && $modes == "600 644" && $(wc -c <"$work/key") == 41 ]] && pass "keygen" ||
	fail "keygen" "status $status, modes $modes: $err"
gives 1 "$work/key: File exists" ecbpf-sampler keygen "$work/key"
public=$(<"$work/key.pub")
rm "$work/key.pub"
run ecbpf-sampler keygen "$work/key" # as after a kill
equal "keygen makes a public key that is missing" "0 $public" "$status $(cat "$work/key.pub")"
rm "$work/key.pub"
equal "keygen says which one it made" "$work/key.pub made, of $work/key" \
	"$("$tools/ecbpf-sampler" keygen "$work/key")"
status=0
err=$( (trap '' XFSZ && ulimit -f 0 && "$tools/ecbpf-sampler" keygen "$work/full") 2>&1) || status=$?
[[ $status == 1 && $err == *"$work/full: File too large" && ! $(find "$work" -name 'full*') ]] &&
	pass "keygen leaves nothing that it cannot write" ||
	fail "keygen leaves nothing that it cannot write" "status $status: $err"
touch "$work/half.pub"
gives 1 "$work/half.pub: File exists" ecbpf-sampler keygen "$work/half"
[[ ! $(find "$work" -name 'half*' ! -name half.pub) ]] && pass "keygen writes both or none" ||
	fail "keygen writes both or none" "$(find "$work" -name 'half*')"
for options in "" --pcap; do
	run ecbpf-pcap $options -w /dev/full --duration 5
	[[ $status == 1 && $err == *"/dev/full: No space left on device"* && $err != *Invalid* ]] &&
		pass "-w $options, on a full disk" || fail "-w $options, on a full disk" "$status: $err"
done
for options in "" --pcap; do
	status=0
	# shellcheck disable=SC2086 # none, perhaps
	err=$( (trap '' XFSZ && ulimit -f 0 && timeout 20 "$tools/ecbpf-pcap" $options \
		-w "$work/no-room" -e "ipc://$work/none" --duration 1) 2>&1) || status=$?
	[[ $status == 1 && $err == *"$work/no-room: File too large"* && ! -e $work/no-room ]] &&
		pass "-w $options leaves nothing if it cannot begin" ||
		fail "-w $options leaves nothing if it cannot begin" "status $status: $err"
done
status=0
err=$(timeout 20 "$tools/ecbpf-pcap" --top src --interval 1 2>&1 >/dev/full) || status=$?
[[ $status == 1 && $err == *"standard output: No space left on device"* ]] &&
	pass "--top, on a full disk" || fail "--top, on a full disk" "$status: $err"
chmod 640 "$work/key"
gives 1 "$work/key: mode 0640, but a secret key is for its owner alone" \
	ecbpf-sampler run --key "$work/key"
echo nonsense >"$work/bad"
gives 1 "$work/bad:1: not a CURVE key" ecbpf-pcap -p --server-key "$work/bad"

gives 2 "--top: 'x' is not src, dst" ecbpf-pcap --top x
gives 2 "--action: 'DROP' is not one of" ecbpf-pcap -p --action DROP
gives 2 "--program: 'a,,b': a name is missing" ecbpf-pcap -p --program a,,b
gives 2 "--count: '0' is not a number from 1" ecbpf-pcap -p --count 0
gives 2 "--pcap, -C, -G and -W need --write" ecbpf-pcap -p -C 1
for file in g.pcapng g-%Y.pcapng; do
	gives 2 "-G: 1 s later '$work/$file' is the same file" ecbpf-pcap -w "$work/$file" -G 1
done
gives 1 "$work/none/g: No such file" ecbpf-pcap -w "$work/none/g" -G 1 -C 1
gives 1 "$work/none/g: No such file" ecbpf-pcap -w "$work/none/g" -G 1 -W 1
run ecbpf-pcap -p --duration 1 --reason ip-ihl,none,rulez,7 --program fw,fww -i nosuch0
equal "names that are not known, and no daemon" "0 5
ecbpf-pcap: warning: --program: 'fww' is not known to this version: see 'ecbpf-loader stages'
ecbpf-pcap: warning: --reason: 'rulez' is not known to this version: see ecbpf(7)
ecbpf-pcap: warning: --iface: 'nosuch0' is not known on this host" "$status $(grep -c . <<<"$err")
$(grep warning <<<"$err")"
equal "nothing was received" 1 "$(grep -c "nothing was received: does 'ecbpf-sampler run' publish" \
	<<<"$err")"
gives 2 "-W needs -C or -G" ecbpf-pcap -w "$work/file" -W 1
gives 2 "--write -: -C, -G and -W need a file" ecbpf-pcap -C 1
gives 2 "--write -: --print and --top use standard output" ecbpf-pcap -w - -p
gives 2 "'tcp port': " ecbpf-pcap -p tcp port
gives 1 "$work/none/file: No such file" ecbpf-pcap -w "$work/none/file"

# libzmq would abort
for number in 6 7; do
	few_descriptors()
	{
		timeout 20 prlimit --nofile="$number" "$tools/ecbpf-pcap" --print --duration 1 \
			-e "ipc://$work/nosuch" 2>&1 || echo "status $?"
	}
	equal "ecbpf-pcap with $number descriptors" "ecbpf-pcap: cannot make a socket: Too many open \
files
status 1" "$(few_descriptors)"
done
summary
