# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The library of the test scripts: results, requirements, teardown, namespaces.
# A test script sets -euo pipefail, sources this, and ends with "summary":
#
#	. "$(dirname "$0")/../lib/lib.sh"
#	fresh_net "$@"			# own network namespace and bpffs
#	require_cmd xdp-loader
#	ns_add client
#	if ns client ping -c 1 ::1; then pass "ping"; else fail "ping" "no answer"; fi
#	summary
#
# A script that ends without a summary, by an error or a signal, has failed, and
# says so; a skipped test is counted as skipped, with its reason.

# Whoever runs a test may sit in an SSH session, which rules of tests must be able to drop
export SSH_CONNECTION=''

passed=0 failed=0 skipped=0 summed=''
deferred=()

# pass NAME, fail NAME REASON, skip NAME REASON: one test's result
pass()
{
	passed=$((passed + 1))
	echo "PASS $1"
}

fail()
{
	failed=$((failed + 1))
	echo "FAIL $1: ${2:?fail wants a reason}"
}

skip()
{
	skipped=$((skipped + 1))
	echo "SKIP $1: ${2:?skip wants a reason}"
}

# equal NAME WANT GOT: passed if both are the same
equal()
{
	if [[ $2 == "$3" ]]; then
		pass "$1"
	else
		fail "$1" "wanted '$2', got '$3'"
	fi
}

# works NAME COMMAND...: passed if it succeeds
works()
{
	local out

	if out=$("${@:2}" 2>&1); then
		pass "$1"
	else
		fail "$1" "${out:-exit status not 0}"
	fi
}

# summary: end the script. Status 0, 1 if a test failed or none was run, 77 if
# all were skipped. Teardown comes first: the counters are the last line.
summary()
{
	_teardown
	summed=1
	echo "$passed passed, $failed failed, $skipped skipped"
	((!failed && passed + skipped)) || exit 1
	((passed)) || exit 77
	exit 0
}

# skip_all REASON: nothing (more) can be tested here
skip_all() { skip "${0##*/}" "$1"; summary; }

# as_nobody COMMAND...: run it as a user without rights, but to reach where all of this is: in the
# home of root, perhaps
as_nobody() { "${nobody[@]}" "$@"; }
# shellcheck disable=SC2034,SC2054 # for what is to run in the background, and to be ended by its id
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all,+dac_read_search
	--ambient-caps=+dac_read_search --bounding-set=-all,+dac_read_search --)

# defer COMMAND...: run it at the end, however the script ends; last in, first out
defer() { deferred+=("$(printf '%q ' "$@")"); }

_teardown()
{
	local i
	for ((i = ${#deferred[@]} - 1; i >= 0; i--)); do
		eval "${deferred[i]}" || echo "teardown: failed: ${deferred[i]}" >&2
	done
	deferred=()
}

# Whatever ended the script passes here; and its child, if a signal finds it before the child has
# forgotten the traps: what is there is the script's.
_at_exit()
{
	local status=$?

	((BASHPID == $$)) || exit "$status"
	trap '' INT TERM HUP
	[[ ! $summed ]] || exit "$status"
	fail "${0##*/}" "ended early, status $status"
	summary
}
trap _at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# require_root, require_cmd COMMAND..., require_kernel MAJOR.MINOR,
# require_module NAME...: else skip all, and say why
require_root() { ((EUID == 0)) || skip_all "not root"; }

require_cmd()
{
	local cmd
	for cmd in "$@"; do
		[[ $(command -v "$cmd") ]] || skip_all "no $cmd here; see testing/deps"
	done
}

# use_build COMMAND...: commands come from $ECBPF_BUILD (default: build/test) first; these are
# required
use_build()
{
	local top

	top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
	ECBPF_BUILD=$(cd "${ECBPF_BUILD:-$top/build/test}" && pwd -P)
	export ECBPF_BUILD
	PATH=$ECBPF_BUILD/root/sbin:$PATH
	require_cmd "$@"
}

require_kernel()
{
	local release
	release=$(uname -r)
	[[ $(printf '%s\n' "$1" "$release" | sort -V | head -n 1) == "$1" ]] ||
		skip_all "kernel $release is older than $1"
}

require_module()
{
	local module
	for module in "$@"; do
		modprobe -q "$module" || skip_all "kernel $(uname -r) has no module $module"
	done
}

# fresh_bpffs "$@": run the script anew in a mount namespace of its own, with an
# empty bpffs, empty /run/netns and /run/ecbpf: pins and network namespaces end with it, and
# their names are free. fresh_net "$@": in a network namespace of its own, too.
# Either comes first in the script.
fresh_bpffs() { _fresh --mount -- "$@"; }
fresh_net() { _fresh --mount --net -- "$@"; }

_fresh()
{
	local flags=()

	while [[ $1 != -- ]]; do
		flags+=("$1")
		shift
	done
	shift
	require_root
	# unshare keeps the process: inside, the variable has its number.
	[[ ${ECBPF_FRESH-} == "$$" ]] ||
		ECBPF_FRESH=$$ exec unshare --propagation private "${flags[@]}" -- \
			"$BASH" "$0" "$@"
	if [[ " ${flags[*]} " == *" --net "* ]]; then
		mount -t sysfs sysfs /sys # shows the interfaces of this namespace
		mount -t tracefs tracefs /sys/kernel/tracing
		ip link set lo up
	fi
	mount -t bpf -o mode=700 bpf /sys/fs/bpf
	mkdir -p /run/netns /run/ecbpf
	mount -t tmpfs -o mode=755 tmpfs /run/netns
	mount -t tmpfs -o mode=755 tmpfs /run/ecbpf
	export ECBPF_STATE_DIR=/run/ecbpf/state # what this host keeps is not the test's
}

# ecbpf_user: there are a user and a group ecbpf, as the packages make them; after fresh_bpffs or
# fresh_net
ecbpf_user()
{
	local name file

	for name in passwd group; do
		grep -q ^ecbpf: /etc/$name && continue
		file=$(mktemp)
		cp /etc/$name "$file"
		chmod 644 "$file"
		[[ $name == group ]] && echo ecbpf:x:64999: >>"$file"
		[[ $name == passwd ]] && echo ecbpf:x:64999:64999::/:/usr/sbin/nologin >>"$file"
		mount --bind "$file" /etc/$name
		rm "$file"
	done
}

# watch_begin LOG CONF: ecbpf-loader watch in the background, as $watcher; it keeps CONF by now, or
# has said that nothing runs
watch_begin()
{
	local i

	rm -f "$1" # what an older one has said
	ecbpf-loader watch "$2" >"$1" 2>&1 &
	# shellcheck disable=SC2034 # for the caller
	watcher=$!
	for ((i = 0; i < 400; i++)); do
		! grep -qs 'ready\|nothing runs' "$1" || break
		sleep 0.05
	done
}

# ns_add NAME: add a network namespace, deleted at the end. ns NAME COMMAND...:
# run in it. By nsenter: "ip netns exec" would hide the bpffs behind a new /sys.
ns_add()
{
	ip netns add "$1"
	defer ip netns del "$1"
	ns "$1" ip link set lo up
}

ns() { nsenter --net="/run/netns/$1" -- "${@:2}"; }

# start FILE COMMAND...: in the background, with its output in FILE, and wait until it has said
# "ready" there; its id is in $started
start()
{
	rm -f "$1" # what an older one has said
	"${@:2}" >"$1" &
	started=$!
	until grep -qs ready "$1"; do
		kill -0 "$started" || return 1
		sleep 0.1
	done
}
