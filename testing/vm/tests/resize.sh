#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 300
#
# Programs that resize packets chain on every kernel: under libxdp's dispatcher where it takes them,
# else under ecbpf's own. The chain goes over to it and back without a packet getting by, and what
# the distribution's xdp-loader does with it leaves it whole.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../chains.sh
. "$(dirname "$0")/../chains.sh"
pair_add veth0 veth1
pair_add veth2 veth3
resize=$(foreign foreign_resize)
total=0

# own IFACE: 1 if its dispatcher is ecbpf's own, by its BTF, else 0
own() { bpftool btf dump prog id "$(prog_id "$1")" | grep -c "'ecbpf_dispatcher' type" || :; }

# told IFACE: the same, by the doctor
told() { loader doctor -j "$1" | grep -c '"dispatcher-own"' || :; }

# whole NAME COMMAND...: no packet gets by while COMMAND runs, whatever becomes of it, nor after.
# The doctor finds nothing wrong, save that somebody else took $taken off, if it is set
taken=''
whole()
{
	local packets escaped

	receiver_start veth0
	sender_start veth1 192
	"${@:2}" >"$tmp/out" 2>&1 && status=0 || status=$?
	sleep 0.2
	sender_stop >"$tmp/packets"
	read -r packets _ <"$tmp/packets"
	escaped=$(receiver_stop)
	total=$((total + packets))
	equal "$1: none of $packets packets escapes" "0 0 0 0" "$escaped"
	equal "$1: the last program saw all" "$total" "$(seen "$(ids veth0 foreign_drop)" |
		cut -d ' ' -f 1)"
	if [[ $taken ]] && ((!status)); then
		loader doctor veth0 >"$tmp/out" 2>&1 || :
		equal "$1: the doctor finds what is gone" "error $taken" \
			"$(sed -n 's/^\(error\) .*took.* off veth0: \([^ ]*\) --.*/\1 \2/p' "$tmp/out")"
	else
		works "$1: the doctor finds nothing wrong" loader doctor veth0
	fi
}

# --- what libxdp itself says of such a program --------------------------------------------------

if xdp-loader load veth2 "$(foreign foreign_pass)" "$resize" >"$tmp/out" 2>&1; then
	wants_own=0
	works "xdp-loader chains it, and unloads it" xdp-loader unload -a veth2
else
	wants_own=1
	equal "xdp-loader does not chain it, and leaves nothing" "" "$(attached veth2)"
fi

# --- over to the own dispatcher and back --------------------------------------------------------

works "load" loader load veth0 count
works "load the dropping program" loader load -P 90 veth0 "$(foreign foreign_drop)"
equal "without it: libxdp's dispatcher" "0 0" "$(own veth0) $(told veth0)"
whole "load it" loader load -P 30 veth0 "$resize"
equal "load it: succeeds" 0 "$status"
equal "load it: its dispatcher" "$wants_own $wants_own" "$(own veth0) $(told veth0)"
equal "load it: in its place" "foreign_resize ecbpf_count foreign_drop" "$(names veth0)"
whole "unload it" loader unload -n foreign_resize veth0
equal "unload it: succeeds" 0 "$status"
equal "unload it: libxdp's dispatcher again" "0 0" "$(own veth0) $(told veth0)"
whole "load it again" loader load -P 30 veth0 "$resize"
read -r before _ < <(seen "$(ids veth0 foreign_resize)")
packets=$total
whole "packets alone" true
read -r after _ failed_to < <(seen "$(ids veth0 foreign_resize)")
equal "it resized all, and none failed" "$((total - packets)) 0" "$((after - before)) $failed_to"

# --- the distribution's xdp-loader --------------------------------------------------------------

equal "xdp-loader shows the chain" "foreign_resize ecbpf_count foreign_drop" "$(names veth0)"
whole "xdp-loader adds" xdp-loader load -P 20 veth0 "$(foreign foreign_pass)"
if ((!status)); then
	equal "xdp-loader adds: in its place" \
		"foreign_pass foreign_resize ecbpf_count foreign_drop" "$(names veth0)"
else
	equal "xdp-loader is refused: as it was" "foreign_resize ecbpf_count foreign_drop" \
		"$(names veth0)"
fi
taken=count
whole "xdp-loader removes" xdp-loader unload -i "$(ids veth0 ecbpf_count)" veth0
if ((!status)); then
	equal "xdp-loader removes: the others stay" "foreign_resize foreign_drop" \
		"$(names veth0 | sed 's/^foreign_pass //')"
else
	equal "xdp-loader may not remove: as it was" "foreign_resize ecbpf_count foreign_drop" \
		"$(names veth0)"
fi
works "unload all" loader unload --all veth0
works "clean" loader clean --all
equal "nothing is left" "" "$(snapshot)"
summary
