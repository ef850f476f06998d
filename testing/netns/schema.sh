#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# After an upgrade: maps of an older schema are pinned. The tools say so, and change nothing; after
# what they say, all is well.
# shellcheck disable=SC2154 # variables of fw.sh
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/fw.sh
. "$(dirname "$0")/../lib/fw.sh"
require_cmd bpftool clang

ip link add fw0 type veth peer name fw1
top=$here/../..
schema=$(sed -n 's/^#define ECBPF_SCHEMA //p' "$top/headers/ecbpf/stage.h")
cp -r "$top/headers" "$work/headers"
sed -i 's/^\(#define ECBPF_SCHEMA\) .*/\1 1/' "$work/headers/ecbpf/stage.h"
mkdir -m 700 /sys/fs/bpf/ecbpf
for stage in fw filter fastpath; do
	clang --target=bpf -O2 -g -I"$work/headers" -I"/usr/include/$(uname -m)-linux-gnu" \
		-c "$top/progs/$stage.bpf.c" -o "$work/$stage.bpf.o"
	mkdir "/sys/fs/bpf/old-$stage"
	bpftool prog loadall "$work/$stage.bpf.o" "/sys/fs/bpf/old-$stage" 2>"$work/log"
	rm -r "/sys/fs/bpf/old-$stage"
	find /sys/fs/bpf -maxdepth 1 -type f ! -name "*.debug" -exec mv {} /sys/fs/bpf/ecbpf/ \;
	case $stage in
	fastpath) load=(ecbpf-fastpath load -i fw0 --fused) ;;
	*) load=("ecbpf-$stage" load --fused fw0) ;;
	esac
	before=$(find /sys/fs/bpf/ecbpf | sort)
	bad "$stage: maps of schema 1" 1 "of schema 1, this ecbpf has $schema" "${load[@]}"
	check "$stage: nothing was changed" "$before" "$(find /sys/fs/bpf/ecbpf | sort)"
	check "$stage: doctor says what its command removes" 1 "$({ ecbpf-loader doctor -j || :; } |
		jq -r '.[] | select(.code == "schema-maps") | .fix + ": " + .why' |
		grep -c "clean --all: .* removes its rules, .*export")"
	rm /sys/fs/bpf/ecbpf/*
	good "$stage: without them" "${load[@]}"
	ecbpf-loader unload --all fw0
	"ecbpf-$stage" unload 2>/dev/null || :
	find /sys/fs/bpf/ecbpf -type f -delete
done

# --- the service, as after an upgrade -----------------------------------------------------------

export ECBPF_STATE_DIR=$work/state
printf '[interfaces]\ningress = fw0\n[chain]\nstages = filter\nfused = yes\n' >"$work/conf"
good "apply" ecbpf-loader apply "$work/conf"
good "a ban" ecbpf-filter drop add 192.0.2.1
ip link set fw0 xdp off
find /sys/fs/bpf/ecbpf -type f -delete
mkdir /sys/fs/bpf/old
bpftool prog loadall "$work/filter.bpf.o" /sys/fs/bpf/old 2>"$work/log"
find /sys/fs/bpf -maxdepth 1 -type f ! -name "*.debug" -exec mv {} /sys/fs/bpf/ecbpf/ \;
ip link set fw0 xdp pinned "$(find /sys/fs/bpf/old -name '*filter*')"
rm -r /sys/fs/bpf/old
old=$(ip -j link show fw0 | jq '.[0].xdp.prog.id')
bad "apply says what to do" 1 "of schema 1, this ecbpf has $schema" ecbpf-loader apply "$work/conf"
check "so does the doctor, and takes nothing off" "schema-maps: systemctl restart ecbpf
schema-member: " "$({ ecbpf-loader doctor -j fw0 || :; } |
	jq -r '.[] | select(.code | startswith("schema")) | "\(.code): \(.fix)"')"
watch_begin "$work/log" "$work/conf" # which that command starts
check "watch starts, and says what it has done" "1 1" \
	"$(grep -c 'ready' "$work/log") $(grep -c 'of schema 1, are replaced' "$work/log")"
new=$(ip -j link show fw0 | jq '.[0].xdp.prog.id')
check "by its own program" 1 $((old != new))
check "with the ban that was kept" 1 "$(ecbpf-filter drop list | grep -c '^192.0.2.1 ')"
good "doctor has nothing against it" ecbpf-loader doctor fw0
kill -INT "$watcher"
wait "$watcher" || sed 's/^/# /' "$work/log"
summary
