#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The tests that hold man pages, --help, completion, the example of ecbpf.conf, headers and README
# to each other fail when one side alone changes: each change here is made in a copy, and the test
# has to name it. TOOLS: where the tools are (default: tools of the build that this runs in).
# shellcheck disable=SC2317 # in_background calls functions
set -euo pipefail
dir=$(cd "$(dirname "$0")" && pwd)
top=$dir/../..
# shellcheck source=testing/lib/lib.sh
. "$dir/../lib/lib.sh"
[[ ! ${SANITIZE_CFLAGS-} ]] || skip_all "the tools are no others for sanitizers"
TOOLS=$(cd "${TOOLS:-$PWD/tools}" && pwd -P)
export SETTINGS=${TOOLS%/*}/man/settings
work=$(mktemp -d)
chmod 755 "$work" # the tests run commands as somebody else
defer rm -rf "$work"

# what libtool runs, without its script, which takes ten times as long as the tool
if [[ -d $TOOLS/.libs ]]; then
	export LD_LIBRARY_PATH=${TOOLS%/*}/lib/.libs
	TOOLS=$TOOLS/.libs
fi

# copy DIR: what the tests read, and tools that may say something else: see $DIR/tools/sed
copy()
{
	local tool

	mkdir -p "$1/lib" "$1/testing/lib" "$1/testing/unit" "$1/tools"
	cp -r "$top/man" "$top/packaging" "$top/headers" "$top/README.md" "$1/"
	cp "$top/lib/libecbpf.map" "$1/lib/"
	cp "$top/testing/lib/lib.sh" "$top/testing/lib/tools.py" "$1/testing/lib/"
	cp "$dir"/test_parity.py "$dir"/test_man.sh "$dir"/test_completion.sh "$1/testing/unit/"
	for tool in fastpath filter fw loader pcap sampler; do
		cat >"$1/tools/ecbpf-$tool" <<-END
			#!/bin/bash
			[[ ! -e $1/tools/sed ]] || [[ \$* != *"\$(<$1/tools/args)"* ]] ||
				{ $TOOLS/ecbpf-$tool "\$@" 2>&1 | sed -E "\$(<$1/tools/sed)" |
				tee >(cat >&2); exit; }
			exec $TOOLS/ecbpf-$tool "\$@"
		END
		chmod 755 "$1/tools/ecbpf-$tool"
	done
}

# notices NAME TEST WANT: the test fails in $copy and says WANT
notices()
{
	local out status=0

	# shellcheck disable=SC2086 # with arguments
	out=$(cd "$copy" && TOOLS=$copy/tools timeout 300 testing/unit/$2 2>&1) || status=$?
	if ((!status)); then
		fail "$1" "$2 does not notice"
	elif ! grep -qE "^FAIL.*$3" <<<"$out"; then
		fail "$1" "$2 does not say $3: $(grep ^FAIL <<<"$out")"
	else
		pass "$1"
	fi
}

# in_background COMMAND...: in a copy of its own, $copy; as many at once as there are CPUs
number=0
in_background()
{
	while (($(jobs -pr | wc -l) >= $(nproc))); do
		wait -n
	done
	copy=$work/$((++number))
	{ copy "$copy"; "$@"; rm -rf "$copy"; } >"$copy.log" 2>&1 &
}

changed_file()
{
	sed -E "$2" "$top/$1" >"$copy/$1"
	if cmp -s "$top/$1" "$copy/$1"; then
		fail "$1: $2" "changes nothing"
	else
		notices "$1: $2" "$3" "$4"
	fi
}

changed_output()
{
	echo "$1" >"$copy/tools/args"
	echo "$2" >"$copy/tools/sed"
	notices "$1: $2" "$3" "$4"
}

# file FILE SED TEST WANT: with FILE changed
file() { in_background changed_file "$@"; }

# says ARGS SED TEST WANT: with other output of tools that get ARGS
says() { in_background changed_output "$@"; }

# verbs and options
file man/ecbpf-fw.8.in 's/\\-\\-clear/\\-\\-cleer/' 'test_parity.py tools' 'the man page has --cleer'
file man/ecbpf-pcap.1.in 's/\\-\\-lines/\\-\\-line/' 'test_parity.py tools' '--lines is not in the man'
file man/ecbpf-filter.8.in '/^\\fBecbpf\\-filter refresh/d' 'test_parity.py tools' 'verb refresh'
file man/ecbpf-loader.8.in 's/^\.BR \\-P ", "/.BR \\-Q ", "/' \
	'test_parity.py tools' 'has -Q for --prio'
says 'export --help' 's/--directory/--dir/' 'test_parity.py tools' 'the man page has --directory'
says '--help' 's/^  metrics /  metric  /' 'test_parity.py tools' 'has a verb metrics'
# completion
file packaging/completion.bash 's/ecbpf-pcap //' test_completion.sh 'ecbpf-pcap'
file packaging/completion.bash 's/~ \/\^--\//~ \/^--[a-o]\//' test_completion.sh 'loader load: options'
file packaging/completion.bash 's/Verbs/Verb/' test_completion.sh 'loader: verbs'
# the configuration
file packaging/ecbpf.conf 's/^#frags6 =/#frag6 =/' 'test_parity.py conf' 'frag6'
file packaging/ecbpf.conf '/^#lease/d' 'test_parity.py conf' 'lease is not in the example'
file packaging/ecbpf.conf 's/^#sample = .*/#sample = often/' 'test_parity.py conf' 'often'
file man/ecbpf.conf.5.in 's/^@SETTINGS sampler conf@//' 'test_parity.py conf' \
	'snaplen is not in the man'
file man/ecbpf.conf.5.in 's/^\.SS \[sampler\]/.SS [sampling]/' 'test_parity.py conf' 'sampling'
says 'apply -c -' 's/, rate-drops//' 'test_parity.py conf' 'rate-drops'
# the library
file man/libecbpf.3.in 's/const char \*" iface/char *" iface/' 'test_parity.py library' 'char'
file lib/libecbpf.map '/ecbpf_config_stop/d' 'test_parity.py library' 'ecbpf_config_stop'
file headers/ecbpf/libecbpf-config.h 's/ecbpf_config_export\(struct/ecbpf_config_exprt(struct/' \
	'test_parity.py library' 'export'
file man/libecbpf.3.in 's/ecbpf_chain_get\(e, argv/ecbpf_chain_fetch(e, argv/' test_man.sh 'libecbpf'
file headers/ecbpf/stage.bpf.h 's/ECBPF_STAGE_PROGRAM/ECBPF_STAGE_PROG/' test_man.sh 'ecbpf-progs'
# examples
file README.md 's/status -v eth0 /status -y eth0 /' 'test_parity.py examples' 'README.*status -y'
file man/ecbpf-filter.8.in 's/\\-\\-replace \\-f/\\-\\-replaces \\-f/' 'test_parity.py examples' \
	'filter.8.in.*replaces'
says 'load --help' 's/load -P 20 /load -P top /' 'test_parity.py examples' 'loader --help.*-P top'
wait
for ((i = 1; i <= number; i++)); do
	cat "$work/$i.log"
	# one that died says neither
	case $(cat "$work/$i.log") in
	PASS*) passed=$((passed + 1)) ;;
	*) failed=$((failed + 1)) ;;
	esac
done
summary
