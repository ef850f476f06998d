#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 600
#
# Tables of the filter's lists and of the firewall's sets that another tool removes from the pinned
# maps: packets of listed sources pass, which each verb and the doctor tell, and can be mended.
# shellcheck disable=SC2317 # called by name
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
use_build ip ecbpf-fastpath ecbpf-filter ecbpf-fw ecbpf-loader
require_cmd bpftool jq ping tc

maps=/sys/fs/bpf/ecbpf
work=$(mktemp -d)
defer rm -rf "$work"
ns_add client
ip link add v0 type veth peer name v1 netns client
ip address add 10.9.9.1/24 dev v0
ip link set v0 up
for address in 2 3 4; do ns client ip address add "10.9.9.$address/24" dev v1; done
ns client ip link set v1 up

run() { "$@" >"$work/run" 2>&1 || fail "$*" "$(<"$work/run")"; }
# key NUMBER: as bpftool wants it
key() { echo "$(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24))"; }
# inner MAP NAME: "INDEX ID" of each inner map of this name, of an array of maps
inner()
{
	local bytes index value id

	for index in {0..15}; do
		read -ra bytes < <(key "$index")
		value=$(bpftool -j map lookup pinned "$maps/$1" key "${bytes[@]}" 2>/dev/null) || continue
		id=$(jq -r '.value | map(ltrimstr("0x")) | reverse | "0x" + join("")' <<<"$value")
		[[ $(bpftool -j map show id "$((id))" | jq -r .name) != "$2" ]] || echo "$index $((id))"
	done
}
# take MAP NAME: remove them
take()
{
	local bytes index

	while read -r index _; do
		read -ra bytes < <(key "$index")
		run bpftool map delete pinned "$maps/$1" key "${bytes[@]}"
	done < <(inner "$1" "$2")
}
# zero MAP ENTRY: fill an entry of an array map with zeros
zero()
{
	local bytes zeros

	read -ra bytes < <(key "$2")
	mapfile -t zeros < <(yes 0 | head -n "$(bpftool -j map show pinned "$maps/$1" | jq .bytes_value)")
	run bpftool map update pinned "$maps/$1" key "${bytes[@]}" value "${zeros[@]}"
}
ping_from()
{
	if ns client ping -c 1 -W 1 -I "$1" 10.9.9.1 >"$work/ping" 2>&1; then
		echo passed
	else
		echo blocked
	fi
}
bad()
{
	{ ecbpf-loader doctor -j || :; } | jq -r '.[] | select(.severity == "error") | .code' | xargs
}
lost="removed from ecbpf's maps"
# refuses NAME WHAT COMMAND...
refuses()
{
	local got

	got=$("${@:3}" 2>&1) && got+=" (status 0)"
	if [[ $got == *"$2"*"$lost"*repairs* ]]; then pass "$1"; else fail "$1" "$got"; fi
}

run ecbpf-loader load --fused filter,fw v0
printf '10.9.9.2 bot\n10.9.9.3 scan 2099-01-31T00:00:00Z\n' >"$work/drop"
printf '10.9.9.3 friend\n' >"$work/allow"
cat >"$work/ecbpf.conf" <<-END
	[interfaces]
	ingress = v0
	[chain]
	stages = filter,fw
	fused = yes
	[filter]
	drop = $work/drop
	allow = $work/allow
END

# fresh: both lists as they are declared
fresh()
{
	run ecbpf-filter drop import --replace -f "$work/drop"
	run ecbpf-filter allow import --replace -f "$work/allow"
	equal "$1: before" "blocked passed passed" \
		"$(ping_from 10.9.9.2) $(ping_from 10.9.9.3) $(ping_from 10.9.9.4)"
}
list() { ecbpf-filter "$1" list | awk '{ printf "%s %s %s;", $1, $2, $3 == "-" ? "" : "Z" }'; }
drops="10.9.9.2 bot ;10.9.9.3 scan Z;"
# whole NAME: nothing is missing
whole()
{
	equal "$1: drop list" "$drops" "$(list drop)"
	equal "$1: allow list" "10.9.9.3 friend ;" "$(list allow)"
	equal "$1: packets" "blocked passed passed" \
		"$(ping_from 10.9.9.2) $(ping_from 10.9.9.3) $(ping_from 10.9.9.4)"
	equal "$1: doctor" "" "$(bad)"
}

damage_drop() { take filter_tries trie_1; }
damage_allow() { take filter_tries trie_0; }
damage_sources() { take filter_sources trie_2; }
damage_heads() { zero filter_lists 0; }
for damage in drop heads sources; do
	found="lists-lost lists-lost" # of both
	[[ $damage != drop ]] || found=lists-lost
	fresh $damage
	damage_$damage
	equal "$damage: packets pass" passed "$(ping_from 10.9.9.2)"
	equal "$damage: doctor" "$found" "$(bad)"
	for verb in list "add 10.9.9.4" "delete 10.9.9.2" "import -f $work/drop"; do
		# shellcheck disable=SC2086 # words
		refuses "$damage: drop $verb" "drop list" ecbpf-filter drop $verb
	done
	refuses "$damage: status" list ecbpf-filter status
	refuses "$damage: export" list ecbpf-loader export
	# whichever is mended first, the other one does not count as whole
	run ecbpf-filter drop import --replace -f "$work/drop"
	equal "$damage: replaced" "$drops" "$(list drop)"
	equal "$damage: replaced, packets" blocked "$(ping_from 10.9.9.2)"
	if [[ $damage == drop ]]; then
		equal "$damage: the other list" "10.9.9.3 friend ;" "$(list allow)"
	else
		equal "$damage: the other list, doctor" 1 "$(bad | grep -c lists-lost)"
		refuses "$damage: the other list" "allow list" ecbpf-filter allow list
	fi
	run ecbpf-filter allow import --replace -f "$work/allow"
	whole "$damage, replaced"
	damage_$damage
	run ecbpf-loader apply "$work/ecbpf.conf"
	whole "$damage, applied"
	run ecbpf-filter drop add -t more 10.9.9.4
	run ecbpf-filter drop delete 10.9.9.4
	whole "$damage, changed"
done
fresh allow
damage_allow
refuses "allow: allow list" "allow list" ecbpf-filter allow list
equal "allow: drop list" "$drops" "$(list drop)"
run ecbpf-loader apply "$work/ecbpf.conf"
whole "allow, applied"

# nothing declares the list, nor does a change at runtime: apply has nothing to put there
damage_drop
sed '/drop =/d; /allow =/d' "$work/ecbpf.conf" >"$work/other.conf"
equal "not declared: apply warns" 1 \
	"$(ecbpf-loader apply "$work/other.conf" 2>&1 | grep -c "warning.*drop list.*$lost")"
run ecbpf-filter drop flush
run ecbpf-filter drop import --replace -f "$work/drop"
whole "flushed"

# sets of the firewall
run ecbpf-fw apply -f - <<-END
	set bad { 10.9.9.4 }
	ip from @bad to any proto any drop
END
damage_set() { take fw_set_pool trie_0; }
damage_set_heads() { zero fw_sets 0; }
for damage in set set_heads; do
	equal "$damage: before" blocked "$(ping_from 10.9.9.4)"
	damage_$damage
	equal "$damage: packets pass" passed "$(ping_from 10.9.9.4)"
	equal "$damage: doctor" sets-lost "$(bad)"
	for verb in "set list bad" "set add bad 10.9.9.2"; do
		# shellcheck disable=SC2086 # words
		refuses "$damage: $verb" "set 'bad'" ecbpf-fw $verb
	done
	if [[ $damage == set ]]; then
		run ecbpf-fw set replace bad 10.9.9.4
	else
		run ecbpf-fw apply -f - <<-END
			set bad { 10.9.9.4 }
			ip from @bad to any proto any drop
		END
	fi
	equal "$damage: doctor, mended" "" "$(bad)"
	equal "$damage: mended" "10.9.9.4" "$(ecbpf-fw set list bad)"
done
equal "sets: mended" blocked "$(ping_from 10.9.9.4)"

# tables of the rules: a configuration brings them back, with rules and addresses of the runtime
echo 'set bad live
ip from @bad to any proto any drop' >"$work/rules"
printf '[fw]\nrules = %s/rules\n' "$work" >>"$work/ecbpf.conf"
run ecbpf-loader apply "$work/ecbpf.conf"
run ecbpf-fw set add bad 10.9.9.4
run ecbpf-fw rule add 'ip from 10.9.9.3 to any proto any drop name "added"'
take fw_small fw_generation
equal "rules: packets pass" passed "$(ping_from 10.9.9.4)"
equal "rules: doctor" rules-lost "$(bad)"
run ecbpf-loader apply "$work/ecbpf.conf"
equal "rules: doctor, applied" "" "$(bad)"
equal "rules: applied" "blocked blocked" "$(ping_from 10.9.9.3) $(ping_from 10.9.9.4)"
equal "rules: what was added" "1 10.9.9.4" \
	"$(ecbpf-fw rule list | grep -c 'name "added"') $(ecbpf-fw set list bad)"
for table in trie_0 trie_1 trie_2; do take fw_set_pool $table; done
equal "live set: apply warns" 1 \
	"$(ecbpf-fw apply -f "$work/rules" 2>&1 | grep -c "warning.*set 'bad'.*$lost")"
run ecbpf-loader apply "$work/ecbpf.conf"

# maps that another tool has frozen: changes fail, and say why and what helps
freeze()
{
	local id

	if [[ $2 == - ]]; then
		run bpftool map freeze pinned "$maps/$1"
	else
		while read -r _ id; do run bpftool map freeze id "$id"; done < <(inner "$1" "$2")
	fi
}
while read -r map table verb; do
	freeze "$map" "$table"
	got=$(bash -c "$verb" 2>&1) && got+=" (status 0)"
	equal "frozen $map: $verb" "Operation not permitted: the map $maps/$map is frozen, so that \
nothing can change it: 'ecbpf-loader doctor' says how to replace it" "Operation${got##*Operation}"
	equal "frozen $map: doctor" map-frozen "$(bad)"
	fix=$({ ecbpf-loader doctor -j || :; } | jq -r '.[] | select(.code == "map-frozen") | .fix')
	run bash -c "${fix% && ecbpf-loader apply}"
	run ecbpf-loader apply "$work/ecbpf.conf"
	equal "frozen $map: mended" "" "$(bad)"
	equal "frozen $map: list" "$drops" "$(list drop)"
	works "frozen $map: changes" bash -c "$verb"
	run ecbpf-loader apply --reset-runtime "$work/ecbpf.conf"
	run ecbpf-fw set add bad 10.9.9.4
done <<-END
	filter_lists - ecbpf-filter drop add 10.9.9.4
	filter_tries trie_1 ecbpf-filter drop add 10.9.9.4
	filter_addrs - ecbpf-filter vip add 10.9.9.9
	filter_settings - ecbpf-filter set land=off
	fw_active - ecbpf-fw rule add 'ip from any to any tcp pass'
	fw_sets - ecbpf-fw set add bad 10.9.9.9
	fw_text - ecbpf-fw rule add 'ip from any to any tcp pass'
	fw_settings - ecbpf-fw set malformed=pass
END

# maps that somebody has cleared, by their number: they are there, but match nothing
gcc -o "$work/clear" -xc - <<-'END'
	#include <linux/bpf.h>
	#include <stdlib.h>
	#include <string.h>
	#include <sys/mman.h>
	#include <sys/syscall.h>
	#include <unistd.h>

	int main(int argc, char **argv)
	{
		union bpf_attr attr = {.map_id = atoi(argv[1])};
		size_t size = atoi(argv[2]);
		int fd = syscall(SYS_bpf, BPF_MAP_GET_FD_BY_ID, &attr, sizeof(attr));
		void *memory = mmap(NULL, size, PROT_WRITE, MAP_SHARED, fd, 0);

		if (memory == MAP_FAILED)
			return 1;
		memset(memory, 0, size);
		return 0;
	}
END
# clear MAP NAME: its inner maps of this name
clear()
{
	local id

	while read -r _ id; do
		run "$work/clear" "$id" \
			"$(bpftool -j map show id "$id" | jq '.bytes_value * .max_entries')"
	done < <(inner "$1" "$2")
}
run ecbpf-loader apply "$work/ecbpf.conf"
clear filter_tries trie_1
equal "a list that was cleared: doctor" "passed lists-lost" "$(ping_from 10.9.9.2) $(bad)"
run ecbpf-loader apply "$work/ecbpf.conf"
equal "a list that was cleared: mended" "blocked " "$(ping_from 10.9.9.2) $(bad)"
printf '%s\n' 'ip from 10.9.9.4 to any drop' >"$work/four"
run ecbpf-fw apply -f "$work/four"
clear fw_small fw_generation
equal "rules that were cleared: doctor" "passed rules-lost" "$(ping_from 10.9.9.4) $(bad)"
run ecbpf-fw apply -f "$work/four"
equal "rules that were cleared: mended" "blocked " "$(ping_from 10.9.9.4) $(bad)"

# pins of the fast path that are gone: what is taken off is named
run ecbpf-fastpath load --in v0 --fused --flows 1000
run find "$maps" -name 'fastpath_*' -delete
equal "fastpath: unload" "v0: fastpath unloaded" "$(ecbpf-fastpath unload 2>"$work/err")"
equal "fastpath: it is gone" "" "$(tc filter show dev v0 egress)"

# status says it in short, and the exit status is 1
status() { { ecbpf-loader status >"$work/out"; } 2>&1 && echo "status 0"; }
equal "status: nothing is lost" "status 0" "$(status)"
rm $maps/filter_lists
equal "status: a pin that is gone" "ecbpf-loader: v0: the pin $maps/filter_lists of a map that it \
uses was removed -- fix: ecbpf-loader refresh" "$(status)"
run ecbpf-loader refresh
equal "status: refreshed" "status 0" "$(status)"
damage_drop
equal "status: a list" "ecbpf-loader: parts of the drop list were removed from ecbpf's maps -- fix: \
ecbpf-loader doctor # says how" "$(status)"
run ecbpf-loader apply "$work/ecbpf.conf"
take fw_small fw_generation
equal "status: rules" "ecbpf-loader: the tables of the firewall's rules were removed from ecbpf's maps \
-- fix: ecbpf-loader doctor # says how" "$(status)"
run ecbpf-loader apply "$work/ecbpf.conf"
equal "status: mended" "status 0" "$(status)"

# a BPF file system that is read-only: one finding, and not one for each map that cannot be opened
mount -o remount,ro /sys/fs/bpf
equal "read-only: doctor" bpffs-readonly "$(bad)"
mount -o remount,rw /sys/fs/bpf

# too few descriptors to read the live rules: they are not taken for rules that were lost
printf '%s\n' 'set bad { 10.9.9.4 }' 'ip from @bad to any drop' 'ip from 10.9.9.99 to any drop' \
	>"$work/more"
run ecbpf-fw apply -f "$work/more"
cp "$work/ecbpf.conf" "$work/frags.conf"
sed -i 's/^\[filter\]/&\nfrags = drop/' "$work/frags.conf"
before=$(ecbpf-fw rule list)
wrong='' refused=0
for ((files = 20; files <= 100; files++)); do
	(ulimit -n $files && ecbpf-loader apply "$work/frags.conf") >"$work/few" 2>&1 && break
	refused=$((refused + 1))
	[[ $(ecbpf-fw rule list) == "$before" ]] || wrong+=" $files: $(ecbpf-fw rule list | wc -l)"
done
equal "too few descriptors: the rules stay" "" "$wrong"
equal "too few descriptors: there were some" 1 "$((refused > 10))"

# too little memory for libbpf, which then says that something is not permitted
run ecbpf-loader unload --all v0
for ((size = 28000; size <= 36000; size += 500)); do
	(ulimit -v $size && ecbpf-loader apply "$work/ecbpf.conf") >"$work/memory" 2>&1 && break
	! grep -q "not permitted" "$work/memory" || break
done
equal "too little memory: that is what is said" 0 "$(grep -c "not permitted" "$work/memory")"
summary
