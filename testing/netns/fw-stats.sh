#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 300
#
# Counters of rules: what they dropped, in which order they are shown, and --watch: in place on
# terminals of all sizes, which are as before when it ends; else line by line.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/fw.sh
. "$(dirname "$0")/../lib/fw.sh"

fw_begin
cat >"$work/rules" <<-'END'
	ip from any to any udp dport 80 limit 1pps burst 10 name "limit"
	ip from any to any udp dport 80 dry limit 1pps burst 10
	ip from any to any udp dport 80 dry drop
	ip from any to any udp count
	ip from any to any udp dport 53 drop name "dns"
	ip from any to any udp dport 80 pass
	ip from any to any tcp drop
END
good "load" fw load --fused -f "$work/rules" fw0

# --- what was dropped -----------------------------------------------------------------------------

send 100 >/dev/null
fw stats -j >"$work/json"
# a second or more: the limit passed some packets, and each other rule counts what came to it
above=$(jq '.[0].above' "$work/json")
check "dropped: those above the limit" "true true" \
	"$(jq -r "[.[0].dropped == $above, $above >= 80 and $above <= 90] | join(\" \")" "$work/json")"
check "dropped: of dry rules, of count and of pass none" "0 0 0 0" \
	"$(jq -r '[.[1, 2, 3, 5].dropped] | join(" ")' "$work/json")"
check "dropped: by a rule that drops all that it matches" "100 100 0" \
	"$(jq -r '[.[4].packets, .[4].dropped, .[6].dropped] | join(" ")' "$work/json")"
check "dropped: by all rules, as many as the program counts" "$(verdicts XDP_DROP)" \
	"$(jq '[.[].dropped] | add' "$work/json")"
check "JSON: what is new comes last" "number name packets bytes above shared pps text dropped" \
	"$(jq -r '.[0] | keys_unsorted | join(" ")' "$work/json")"
check "table: dropped beside what matched" "rule packets bytes dropped above shared pps text" \
	"$(fw stats | head -1 | xargs)"
check "table: a rule that drops" "5 100 6000 100 0 0 0" \
	"$(fw stats | sed -n 6p | awk '{ print $1, $2, $3, $4, $5, $6, $7 }')"

# --- order ----------------------------------------------------------------------------------------

# order KEY: numbers of the rules
order() { fw stats -j --sort "$1" | jq -r '[.[].number] | join(" ")'; }

check "sort: by number, as without" "1 2 3 4 5 6 7 1 2 3 4 5 6 7" \
	"$(order number) $(fw stats -j | jq -r '[.[].number] | join(" ")')"
check "sort: by dropped" "5 1 2 3 4 6 7" "$(order dropped)"
check "sort: by packets, then by number" "4 1 5" "$(order packets | cut -d ' ' -f 1-3)"
check "sort: by bytes" "4 1 5" "$(order bytes | cut -d ' ' -f 1-3)"
check "sort: by rate, of which there is none" "1 2 3 4 5 6 7" "$(order rate)"
check "sort: a table" "5 1 2" "$(fw stats --sort dropped | awk 'NR > 1 && NR < 5 { print $1 }' | xargs)"
bad "sort: by something else" 2 "--sort: 'pps' is not packets, bytes, rate, dropped or number" \
	fw stats --sort pps
bad "sort: not of what is set to zero" 2 "--clear and --sort cannot be combined" \
	fw stats --clear --sort rate

# --- every second ---------------------------------------------------------------------------------

ecbpf-fw stats --watch >"$work/lines" &
watch=$!
ecbpf-fw stats --watch -j >"$work/documents" &
watch_json=$!
for ((i = 0; i < 400; i++)); do
	(($(grep -c '^rule' "$work/lines") < 1 || $(wc -l <"$work/documents") < 1)) || break
	sleep 0.05
done
send 500 >/dev/null
for ((i = 0; i < 400; i++)); do
	(($(grep -c '^rule' "$work/lines") < 4 || $(wc -l <"$work/documents") < 4)) || break
	sleep 0.05
done
kill "$watch" "$watch_json"
wait "$watch" "$watch_json" || :
check "watch: to a file, tables and nothing else" "4 0" \
	"$(grep -c '^rule' "$work/lines" | sed 's/^[5-9]$/4/') $(grep -c "$(printf '\033')" "$work/lines" || :)"
# a rate is of a second or more, in which the packets came
rate=$(jq -s '[.[][4].pps] | add' "$work/documents")
check "watch: rates are of what came" true "$( ((rate > 0 && rate <= 500)) && echo true || echo "$rate")"

# --- on a terminal --------------------------------------------------------------------------------

{
	cat "$work/rules"
	echo 'ip from any to any udp dport 7 name "日本語のとても長い名前 ünïcödé with blanks and '"'quotes'"'"'
	for ((i = 0; i < 40; i++)); do
		echo "ip from 203.0.113.$i to {192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24} tcp dport {80, 443} " \
			"name \"rule with a long name, number $i\""
	done
} >"$work/many"
good "many rules" fw apply -f "$work/many"
send 0 "$work/stop" >/dev/null &
sender=$!
# rules 1, 4 and 5 have as much; of the others, none has more
while read -r result name; do
	case $result in
	PASS) pass "$name" ;;
	FAIL) fail "${name%%: *}" "${name#*: }" ;;
	esac
done < <(/usr/bin/python3 "$here/fw_watch.py" sh -c "touch $work/stop; ecbpf-loader unload -a fw0 &&
	ecbpf-loader clean --all" 2>&1)
touch "$work/stop"
wait "$sender"
summary
