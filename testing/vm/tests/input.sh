#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 900
#
# Bad input: each is one clear line and exit status 1 (2 for usage), and changes nothing, whether
# there is a chain already or not.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../chains.sh
. "$(dirname "$0")/../chains.sh"
require_cmd setpriv
pair_add veth0 veth1
pair_add jumbo0 jumbo1 9000

# without CAPABILITY COMMAND...: as root, but for CAP_SYS_ADMIN, which stands for all, and this one
# shellcheck disable=SC2317 # called by refused
without()
{
	setpriv --inh-caps="-sys_admin,-$1" --bounding-set="-sys_admin,-$1" -- "${@:2}"
}

# no_bpffs COMMAND...: in a mount namespace without any
# shellcheck disable=SC2317
no_bpffs()
{
	# shellcheck disable=SC2016 # expanded inside
	unshare --mount --propagation private -- "$BASH" -c \
		'umount /sys/fs/bpf && exec "$@"' - "$@"
}

echo "text, and not a program" >"$tmp/text"
: >"$tmp/empty"
head -c 3000 "$(foreign foreign_pass)" >"$tmp/cut"
printf '\177ELF' >"$tmp/magic"

# bad_input WHERE: all of it; WHERE is for the names of the tests
bad_input()
{
	local program

	program=$(foreign foreign_pass)
	refused "$1: no such interface" 1 "nosuch.*no such" loader load nosuch pass
	refused "$1: no such file or stage" 1 "nosuch" loader load veth0 nosuch
	refused "$1: no such file" 1 "/nosuch.o: No such file" loader load veth0 /nosuch.o
	refused "$1: a directory" 1 "$tmp: not an ELF" loader load veth0 "$tmp"
	refused "$1: not an ELF" 1 "text: not an ELF" loader load veth0 "$tmp/text"
	refused "$1: an empty file" 1 "empty: not an ELF" loader load veth0 "$tmp/empty"
	refused "$1: a cut file" 1 "cut: not a BPF object" loader load veth0 "$tmp/cut"
	refused "$1: nothing but the magic" 1 "magic: not a BPF object" \
		loader load veth0 "$tmp/magic"
	refused "$1: an ELF, but not of BPF" 1 "bash: not a BPF object" \
		loader load veth0 /bin/bash
	refused "$1: no XDP program" 1 "bad_type.bpf.o: no XDP program" \
		loader load veth0 "$(foreign bad_type)"
	refused "$1: no BTF" 1 "bad_btf.bpf.o: has no BTF.*-g" \
		loader load veth0 "$(foreign bad_btf)"
	refused "$1: a section of no known type" 1 "'mine': --section" \
		loader load veth0 "$(foreign bad_section)"
	refused "$1: unknown section" 1 "no section 'nosuch'" loader load -s nosuch veth0 "$program"
	refused "$1: unknown program" 1 "no program 'nosuch'" loader load -n nosuch veth0 "$program"
	refused "$1: another schema" 1 "bad_schema.*schema 9999" \
		loader load veth0 "$(foreign bad_schema)"
	refused "$1: verifier" 1 "bad_verifier: the verifier refuses it: R[0-9] .*outside of" \
		loader load veth0 "$(foreign bad_verifier)"
	refused "$1: one bad of two" 1 "verifier refuses" \
		loader load veth0 pass "$(foreign bad_verifier)"
	refused "$1: eleven" 1 "ten|10" \
		loader load veth0 pass pass pass pass pass pass pass pass pass pass pass
	refused "$1: jumbo MTU" 1 "jumbo0.*MTU" loader load jumbo0 "$program"
	refused "$1: one bad interface of two" 1 "jumbo0.*MTU" loader load veth0,jumbo0 "$program"
	refused "$1: a setting it has not" 1 "no setting 'nosuch'" loader load -S nosuch=1 veth0 pass
	refused "$1: a setting out of range" 1 "malformed_action" \
		loader load -S malformed_action=7 veth0 pass
	refused "$1: unknown stage to fuse" 1 "nosuch" loader load --fused pass,nosuch veth0
	refused "$1: replace what is not there" 1 "nosuch|no XDP program" \
		loader replace veth0 nosuch "$program"
	refused "$1: unload what is not there" 1 "nosuch|no XDP program" loader unload -n nosuch veth0
	refused "$1: no bpffs" 1 "bpffs.*mount|mount.*bpf" no_bpffs ecbpf-loader load veth0 pass
	refused "$1: all but CAP_BPF" 1 "CAP_SYS_ADMIN|root" \
		without bpf ecbpf-loader load veth0 pass
	refused "$1: all but CAP_NET_ADMIN" 1 "CAP_NET_ADMIN|root" \
		without net_admin ecbpf-loader load veth0 pass
	refused "$1: not root" 1 "root" \
		as_nobody ecbpf-loader load veth0 pass

	refused "$1: usage: priority" 2 "-P|--prio|priority" loader load -P 1x veth0 pass
	refused "$1: usage: mode" 2 "mode" loader load -m fast veth0 pass
	refused "$1: usage: action" 2 "XDP_|action" loader load -A XDP_MAYBE veth0 pass
	refused "$1: usage: no program" 2 "program|stage" loader load veth0
	refused "$1: usage: no such verb" 2 "verb|command" loader attach veth0 pass
	refused "$1: usage: no such option" 2 "nosuch" loader load --nosuch veth0 pass
}

bad_input "no chain"
works "load" loader load veth0 count "$(foreign foreign_pass)" pass
id=$(ids veth0 ecbpf_count)
bad_input "a chain"
refused "a chain: eleventh" 1 "ten|10" loader load veth0 pass pass pass pass pass pass pass pass
refused "a chain: another mode" 1 "native mode" loader load -m skb veth0 pass
refused "a chain: replace by a bad one" 1 "verifier refuses" \
	loader replace veth0 foreign_pass "$(foreign bad_verifier)"
read -r packets bytes _ < <(send veth1 1000)
equal "a chain: it went on" "XDP_PASS=$packets/$bytes" "$(counted veth0 "$id")"

# The log of the verifier: it tells of each instruction, the last ones say why.
loader load veth0 "$(foreign bad_verifier)" >"$tmp/tail" 2>&1 || :
loader load -v veth0 "$(foreign bad_verifier)" >"$tmp/all" 2>&1 || :
works "end of the verifier's log" grep -q 'outside of' "$tmp/tail"
equal "no more than its end" "" "$(sed -n '26,$p' "$tmp/tail")"
works "all of it with -v: its first instruction" grep -qE '^ *0: \(' "$tmp/all"
summary
