# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# For the tests of `ecbpf-loader doctor`: a fault is planted, expect() says which finding there
# must be, mend() runs the command that this finding gives and says what may be left then.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
build=${ECBPF_BUILD:-$top/build/test}
PATH=$build/root/sbin:$PATH
[[ $(command -v ecbpf-loader) ]] || { fail "ecbpf-loader" "not built in $build"; summary; }
work=$(mktemp -d)
defer rm -rf "$work"

# bpf_compile NAME [OPTION]...: $work/NAME.bpf.c to $work/NAME.bpf.o. Of two directories for the
# same header clang takes the first
bpf_compile()
{
	clang --target=bpf -mcpu=v3 -O2 -g "${@:2}" -I"$top/headers" \
		-I"/usr/include/$(gcc -print-multiarch)" -c "$work/$1.bpf.c" -o "$work/$1.bpf.o"
}

# foreign NAME [LINE]: a program that knows nothing of ecbpf; does LINE, and passes
foreign()
{
	cat >"$work/$1.bpf.c" <<-END
	#include <linux/bpf.h>
	#include <bpf/bpf_helpers.h>
	SEC("xdp")
	int $1(struct xdp_md *ctx)
	{
		${2-}
		return XDP_PASS;
	}
	char _license[] SEC("license") = "Dual BSD/GPL";
	END
	bpf_compile "$1"
}

# forged NAME PROTOCOL: libxdp's dispatcher, as another libxdp would have it
forged()
{
	sed "s/(dispatcher_version, 2)/(dispatcher_version, $2)/; /(ecbpf_dispatcher, 1)/d" \
		"$top/progs/dispatcher.bpf.c" >"$work/$1.bpf.c"
	bpf_compile "$1"
}

# other_schema: stage pass of an ecbpf whose maps are of schema 99
other_schema()
{
	cp -r "$top/headers" "$work/headers"
	sed -i 's/^\(#define ECBPF_SCHEMA\) .*/\1 99/' "$work/headers/ecbpf/stage.h"
	cp "$top/progs/pass.bpf.c" "$work/other.bpf.c"
	bpf_compile other "-I$work/headers"
}

# killer: a library that kills the loader when all is pinned, before it is attached
killer()
{
	gcc -shared -fPIC -o "$work/killer.so" -xc - <<-END
	#include <signal.h>
	#include <unistd.h>
	int bpf_xdp_attach(void) { return kill(getpid(), SIGKILL); }
	END
}

# doctor [ARGUMENT]...: run it; findings to $findings, exit status to $status
doctor()
{
	status=0
	findings=$(ecbpf-loader doctor -j "$@" 2>"$work/stderr") || status=$?
	findings=${findings:-[]}
}

# selected SEVERITY CODE [IFACE]: of $findings, those; "." stands for any
selected()
{
	jq -c --arg severity "$1" --arg code "$2" --arg iface "${3-.}" '.[] |
		select(($severity == "." or .severity == $severity) and
			($code == "." or .code == $code) and
			($iface == "." or (.interface // "host") == $iface))' <<<"$findings"
}

# found: all findings, in short
found()
{
	echo "status $status, $(jq -r '[.[] | select(.severity != "ok") | "\(.severity) \(.code) of " +
		"\(.interface // "host"): \(.what)"] | join("; ")' <<<"$findings")" \
		"$(<"$work/stderr")"
}

# bad: "SEVERITY CODE" of each warning and error, sorted
bad()
{
	jq -r '[.[] | select(.severity == "error" or .severity == "warning") |
		.severity + " " + .code] | unique | join(", ")' <<<"$findings"
}

# expect NAME SEVERITY CODE IFACE [BAD]: the finding is there once, and says what, and why; there
# are no other warnings or errors than it, and BAD; the exit status is 1 if there is an error
expect()
{
	local want=${5-} result count bad silent

	if [[ $2 == error || $2 == warning ]]; then
		want=$(printf '%s\n' "$2 $3" ${5:+"$5"} | LC_ALL=C sort | paste -sd, | sed 's/,/, /')
	fi
	result=$(jq -r --arg severity "$2" --arg code "$3" --arg iface "$4" '
		[.[] | select(.severity == $severity and .code == $code and
			(.interface // "host") == $iface)] as $these |
		($these | length),
		($these | any(.what == "" or (.why == "" and .severity != "ok"))),
		([.[] | select(.severity == "error" or .severity == "warning") |
			.severity + " " + .code] | unique | join(", "))' <<<"$findings" |
			paste -sd'|')
	IFS='|' read -r count silent bad <<<"$result"
	if [[ $count != 1 ]]; then
		fail "$1" "$count findings '$2 $3' of $4: $(found)"
	elif [[ $bad != "$want" ]]; then
		fail "$1" "'$bad', not '$want': $(found)"
	elif [[ $silent != false ]]; then
		fail "$1" "says not what or why: $(found)"
	elif ((status != $([[ $bad == *error* ]] && echo 1 || echo 0))); then
		fail "$1" "exit status $status with '$bad'"
	else
		pass "$1: $2 $3"
	fi
}

# says NAME CODE TEXT: what it is, or why it matters, has the text
says()
{
	if selected . "$2" | jq -r '.what + "\n" + .why' | grep -qF -e "$3"; then
		pass "$1: says '$3'"
	else
		fail "$1: says '$3'" "$(found)"
	fi
}

# mend NAME CODE IFACE DOCTOR-ARGUMENT...: its command works, and nothing bad is left
mend()
{
	local name=$1 command out

	command=$(selected . "$2" "$3" | jq -r .fix | head -n 1)
	if [[ ! $command ]]; then
		fail "$name, mended" "no command is given: $(found)"
		return
	fi
	if ! out=$(bash -c "$command" 2>&1); then
		fail "$name, mended" "'$command' failed: $out"
		return
	fi
	doctor "${@:4}"
	if [[ $(selected . "$2" "$3") || $(bad) || $status != 0 ]]; then
		fail "$name, mended" "after '$command': $(found)"
	else
		pass "$name, mended: $command"
	fi
}

# run WHAT COMMAND...: part of the setup; it must work
run()
{
	"$@" >"$work/out" 2>&1 || {
		fail "setup: $*" "$(tail -n 3 "$work/out")"
		return 0
	}
}

# fastpath_faults NAME [OPTION]...: of the fast path on v0 and v1, loaded with these
fastpath_faults()
{
	run ecbpf-fastpath load -i v0 -o v1 --flows 1000 "${@:2}"
	doctor
	expect "$1: healthy" ok fastpath host
	for iface in v0 v1; do
		run tc qdisc del dev "$iface" clsact
		doctor
		expect "$1: no TC program on $iface" error fastpath-egress "$iface"
		mend "$1: no TC program on $iface" fastpath-egress "$iface"
		expect "$1: no TC program on $iface, mended" ok fastpath host
	done
	run ecbpf-loader unload --all v0
	doctor
	expect "$1: no XDP program" warning fastpath-no-program host
	mend "$1: no XDP program" fastpath-no-program host
	# shellcheck disable=SC2046 # an option and its value, or a stage
	run ecbpf-loader load $([[ $# == 1 ]] && echo v0 fastpath || echo --fused fastpath v0)
	doctor
	expect "$1: the stage without the rest" error fastpath-off host
	mend "$1: the stage without the rest" fastpath-off host
}

# begin: a pair v0, v1; nothing attached, nothing pinned
begin()
{
	run ip link add v0 type veth peer name v1
	run ip link set v0 up
	run ip link set v1 up
}

# end: take all of it down. What is left then is a failure
end()
{
	local name=$1 left

	ip link del v0 2>/dev/null || ip link del v1 2>/dev/null || : # the test did
	run ecbpf-loader clean --all
	left=$(find /sys/fs/bpf/ecbpf /sys/fs/bpf/xdp -mindepth 1 2>/dev/null) || :
	if [[ $left ]]; then
		fail "$name: nothing left" "$left"
		rm -rf /sys/fs/bpf/ecbpf /sys/fs/bpf/xdp
	fi
}
