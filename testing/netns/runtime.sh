#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Changes that verbs make at runtime: alive after stop and start, and after all maps are gone, as a
# reboot leaves them; what the configuration says wins.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
use_build ecbpf-loader ecbpf-filter ecbpf-fw ecbpf-fastpath ecbpf-sampler jq ip python3
tmp=$(mktemp -d)
defer rm -rf "$tmp"
log=$ECBPF_STATE_DIR/runtime/changes
conf=$tmp/ecbpf.conf

drops() { ecbpf-filter drop list | sed 's/ *#.*//; s/  */ /g'; }

# reboot: no program, no map
reboot()
{
	ecbpf-loader apply --stop "$conf" >/dev/null
	ecbpf-loader clean --all </dev/null >/dev/null
	equal "$1: nothing is left" "" "$(drops)"
}

# apply ARG...: what it says besides the number of changes
apply() { ecbpf-loader apply "$@" 2>&1 | grep -v 'changes\? made$\|^nothing to do$' || :; }

ip link add eth0 type veth peer name eth1
ip link set eth0 up
printf '192.0.2.0/24 scan\n198.51.100.7\n' >"$tmp/drop"
cat >"$conf" <<-END
	[interfaces]
	ingress = eth0
	[chain]
	stages = filter,sampler
	fused = yes
	[filter]
	frags = drop
	vip = 203.0.113.80
	drop = $tmp/drop
	[sampler]
	rate = 100
END

# where nothing was applied, nothing is written
ecbpf-filter drop add 203.0.113.1
equal "no configuration, no log" "" "$(find "$ECBPF_STATE_DIR" 2>/dev/null)"
ecbpf-filter drop flush
equal "apply" "" "$(apply "$conf")"
equal "the directory is root's alone" "700 700 600" "$(stat -c %a "$ECBPF_STATE_DIR" \
	"$ECBPF_STATE_DIR/runtime" "$log" | xargs)"
equal "the log is empty" 0 "$(grep -vc '^#' "$log" || :)"

# --- lists, VIPs, settings ----------------------------------------------------------------------
until=$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)
printf '2001:db8:bad::/48 import\n203.0.113.99\n' >"$tmp/import"
{
	ecbpf-filter drop add 203.0.113.5 -t f2b -e "$until"
	ecbpf-filter drop add 203.0.113.6 203.0.113.7
	ecbpf-filter drop delete 203.0.113.7
	ecbpf-filter drop import -f "$tmp/import"
	ecbpf-filter allow add 10.0.0.0/8 -t office
	ecbpf-filter vip add 2001:db8:80::/64
	ecbpf-filter set frags6=ptb ptb-max-pps=77
	ecbpf-sampler set rate-drops=3
} >/dev/null 2>&1
equal "a line for each change" 8 "$(grep -vc '^#\|^	' "$log")"
want="192.0.2.0/24 scan -
198.51.100.7 - -
203.0.113.5 f2b $until
203.0.113.6 - -
203.0.113.99 - -
2001:db8:bad::/48 import -"

alive()
{
	equal "$1: the drop list" "$want" "$(drops)"
	equal "$1: the allow list" "10.0.0.0/8 office -" \
		"$(ecbpf-filter allow list | sed 's/ *#.*//; s/  */ /g')"
	equal "$1: VIPs" "203.0.113.80 2001:db8:80::/64" "$(ecbpf-filter vip list | xargs)"
	equal "$1: settings" "frags6=ptb ptb-max-pps=77 rate-drops=3" \
		"$(ecbpf-loader export | tr -d ' ' |
			grep -x 'frags6=.*\|ptb-max-pps=.*\|rate-drops=.*' | xargs)"
}

equal "apply again" "nothing to do" "$(ecbpf-loader apply "$conf" 2>&1)"
alive "after apply"
equal "the log has no deleted entry any more" "0" "$(grep -c '203.0.113.7\b' "$log" || :)"
cp "$log" "$tmp/log"
equal "and once more" "nothing to do" "$(ecbpf-loader apply "$conf" 2>&1)"
equal "the log is not written for nothing" "$(stat -c %i "$log") $(<"$tmp/log")" \
	"$(stat -c %i "$log") $(<"$log")"
ecbpf-loader apply --stop "$conf" >/dev/null
apply "$conf"
alive "after stop and start"
reboot "reboot"
equal "it starts" "" "$(apply "$conf")"
alive "after a reboot"
equal "apply -c finds nothing" "nothing to do" "$(ecbpf-loader apply -c "$conf" 2>&1)"

# --- the file wins -------------------------------------------------------------------------------
{
	ecbpf-filter set frags=pass
	ecbpf-filter drop delete 198.51.100.7
	ecbpf-filter drop add 192.0.2.0/24 -t other
	ecbpf-filter vip delete 203.0.113.80
} >/dev/null 2>&1
again="changed at runtime, again as the configuration says"
equal "each is said" "filter drop: 192.0.2.0/24, 198.51.100.7: $again
filter vip: 203.0.113.80: $again
filter: frags was set to pass at runtime, again drop as the configuration says" \
	"$(apply "$conf" | sed 's/.*warning: //' | sort)"
alive "the file has won"
equal "and is said once" "nothing to do" "$(ecbpf-loader apply "$conf" 2>&1)"

# what the file does not say any more goes, what was added stays
printf '192.0.2.0/24 scan\n' >"$tmp/drop"
apply "$conf"
want=$(grep -v ^198 <<<"$want")
alive "an entry less in the file"
sed -i '/^drop = /d; /^vip = /d' "$conf"
apply "$conf"
equal "no list in the file: it stays as it is" "$want" "$(drops)"

# --- rules and sets -----------------------------------------------------------------------------
cat >"$tmp/rules" <<-'END'
	set peers { 10.0.0.0/8 }
	set bans live
	ip from any to any tcp dport 22 pass name "ssh"
	ip from @bans to any tcp drop name "bans"
	ip from any to any udp dport 53 drop name "dns"
END
printf '[fw]\nrules = %s\n' "$tmp/rules" >>"$conf"
sed -i 's/^stages = .*/stages = filter,fw,sampler/' "$conf"
apply "$conf"
rules() { ecbpf-fw rule list | sed '/^ip/!d; s/.*name //; s/.* dport/dport/' | paste -sd ' '; }
sets() { for set; do ecbpf-fw set list "$set" | paste -sd ' '; done; }
{
	ecbpf-fw rule add ip from any to any tcp dport 1 drop name '"last"'
	ecbpf-fw rule insert dns ip from any to any tcp dport 2 drop name '"middle"'
	ecbpf-fw rule insert 1 ip from any to any tcp dport 3 drop
	ecbpf-fw rule add ip from any to any tcp dport 4 drop name '"gone"'
	ecbpf-fw rule delete gone
	ecbpf-fw rule replace last ip from any to any tcp dport 5 drop
	ecbpf-fw set create scripts -4
	ecbpf-fw set add scripts 192.0.2.1 192.0.2.2 192.0.2.3
	ecbpf-fw set delete scripts 192.0.2.3
	ecbpf-fw rule insert last ip from @scripts to any tcp drop name '"scripts"'
	ecbpf-fw set add peers 172.16.0.0/12
	ecbpf-fw set add bans 203.0.113.0/24 2001:db8:bad::/48
	ecbpf-fw set malformed=pass
} >/dev/null 2>&1
list='dport 3 drop "ssh" "bans" "middle" "dns" "scripts" "last"'
fw_alive()
{
	equal "$1: rules" "$list" "$(rules)"
	equal "$1: the last one is as it was replaced" 1 \
		"$(ecbpf-fw rule list | grep -c 'dport 5.*"last"')"
	equal "$1: sets" "192.0.2.1 192.0.2.2
10.0.0.0/8 172.16.0.0/12
203.0.113.0/24 2001:db8:bad::/48" "$(sets scripts peers bans)"
	equal "$1: the setting" 1 "$(ecbpf-fw rule list | grep -c 'malformed=pass')"
}
fw_alive "before"
equal "apply again" "nothing to do" "$(ecbpf-loader apply "$conf" 2>&1)"
fw_alive "after apply"
ecbpf-loader export >"$tmp/export"
equal "export tells what was changed at runtime" \
	"#   filter set frags6=ptb
#   filter set ptb-max-pps=77
#   fw set malformed=pass
#   sampler set rate-drops=3
#   filter allow add 10.0.0.0/8 office -
#   filter drop add 203.0.113.5 f2b $until
#   filter drop add 203.0.113.6 - -
#   filter drop add 203.0.113.99 - -
#   filter drop add 2001:db8:bad::/48 import -
#   filter vip add 2001:db8:80::/64
#   fw set create scripts
#   fw set peers add 172.16.0.0/12" \
	"$(sed '1,/^# Changed at runtime/d; /fw rule/d
		/set scripts add/d; /set bans add/d' "$tmp/export")"
equal "and rules" 4 "$(grep -c '^#   fw rule add ip ' "$tmp/export")"
ecbpf-loader apply --stop "$conf" >/dev/null
ecbpf-loader clean --all </dev/null >/dev/null
equal "no rule is left" "" "$(ecbpf-fw rule list 2>/dev/null)"
equal "apply" "" "$(apply "$conf")"
fw_alive "after a reboot"
equal "and again" "nothing to do" "$(ecbpf-loader apply "$conf" 2>&1)"

{
	ecbpf-fw rule delete dns
	ecbpf-fw rule replace ssh ip from any to any tcp dport 2222 pass
	ecbpf-fw set delete peers 10.0.0.0/8
} >/dev/null
equal "the file wins" "fw: rule dns: changed at runtime, again as the configuration says
fw: rule ssh: changed at runtime, again as the configuration says
fw: rule ssh: changed at runtime, again as the configuration says
fw: set peers: 1 deleted at runtime, again as the configuration says" \
	"$(apply "$conf" | sed 's/.*warning: //' | sort)"
fw_alive "the file has won"

# what stood beside a rule is gone
printf 'set bans live\nip from any to any icmp drop name "ping"\n' >"$tmp/rules"
middle='ip from any to any tcp dport 2 drop name "middle"'
equal "rules beside it are gone, and its set" \
	"fw: the rules beside '$middle', which was added at runtime, are gone: it is the first now
fw: there is no set peers any more: 1 added at runtime are forgotten" \
	"$(apply "$conf" | sed -n 's/.*warning: \(fw: \)/\1/p' | sort)"
equal "rules stay in their order" 'dport 3 drop "middle" "scripts" "last"' \
	"$(rules | sed 's/"ping" //; s/ "ping"//')"

equal "fw apply states the whole: runtime rules are gone" "" \
	"$(ecbpf-fw apply -q -f "$tmp/rules" 2>&1 | grep -v 'set .scripts' || :)"
equal "apply" "nothing to do" "$(ecbpf-loader apply "$conf" 2>&1)"
equal "only those of the file" '"ping"' "$(rules)"
equal "the live set has its addresses" "203.0.113.0/24 2001:db8:bad::/48" "$(sets bans)"
reboot "reboot, a live set"
apply "$conf"
equal "the live set has them again" "203.0.113.0/24 2001:db8:bad::/48" "$(sets bans)"

# no rules in the configuration
sed -i '/^\[fw\]/d; /^rules = /d' "$conf"
printf 'set own { 10.1.0.0/16 }\nip from @own to any tcp drop name "own"\n' >"$tmp/own"
ecbpf-fw apply -f "$tmp/own" >/dev/null 2>&1
ecbpf-fw rule insert own ip from any to any tcp dport 7 drop name '"seven"'
ecbpf-fw set add own 10.2.0.0/16
apply "$conf"
for what in apply reboot; do
	[[ $what == apply ]] || reboot "reboot, no rules in the file"
	apply "$conf"
	equal "$what: rules that no file has" \
		'"seven" "own" 10.1.0.0/16 10.2.0.0/16' "$(rules) $(sets own)"
done
# --- forgotten, all of them ----------------------------------------------------------------------
apply "$conf"
equal "check says what would be forgotten, and forgets nothing" "9 $(md5sum <"$log")" \
	"$(apply -c --reset-runtime "$conf" | grep -c warning) $(md5sum <"$log")"
# what would come back at the next start is not forgotten
mkdir "$log.new"
status=0 want=$(drops; rules; md5sum <"$log")
out=$(ecbpf-loader apply --reset-runtime "$conf" 2>&1) || status=$?
rmdir "$log.new"
equal "--reset-runtime, which cannot be written: nothing is done" \
	"1 ecbpf-loader: $log.new: Is a directory $want" \
	"$status $(tail -n 1 <<<"$out") $(drops; rules; md5sum <"$log")"
equal "each is said" \
	"filter allow: 10.0.0.0/8: changed at runtime, forgotten
filter drop: 203.0.113.5, 203.0.113.6, 203.0.113.99, ...: changed at runtime, forgotten
filter vip: 2001:db8:80::/64: changed at runtime, forgotten
filter: frags6 was set to ptb at runtime, again pass
filter: ptb-max-pps was set to 77 at runtime, again 200
sampler: rate-drops was set to 3 at runtime, again 100" \
	"$(apply --reset-runtime "$conf" | sed 's/.*warning: //; /^fw: /d' | sort)"
equal "no ban" "" "$(drops)"
equal "no rule that was added, no prefix" '"own" 10.1.0.0/16' "$(rules) $(sets own)"
equal "VIPs, the allow list" "" "$(ecbpf-filter vip list; ecbpf-filter allow list)"
equal "the log is empty" 0 "$(grep -vc '^#' "$log" || :)"
equal "nothing to do after that" "nothing to do" "$(ecbpf-loader apply "$conf" 2>&1)"

# --- what is taken from rules that no file has ----------------------------------------------------
cat >"$tmp/own" <<-'END'
	set own { 10.1.0.0/16, 10.3.0.0/16 }
	set bare { 10.4.0.0/16 }
	set gone { 10.5.0.0/16 }
	set other { 10.6.0.0/16 }
	set bans live
	ip from @own to any tcp drop name "own"
	ip from @gone to any udp drop name "gone"
	ip from any to any tcp dport 23 drop
	ip from any to any tcp dport 24 drop name "last"
END
echo 10.9.0.0/16 >"$tmp/listed"
echo "set listed file \"$tmp/listed\"" >>"$tmp/own"
whole_state()
{
	ecbpf-fw rule list
	for set in $(ecbpf-fw set list | awk 'NR > 1 { print $1 }'); do
		echo "$set: $(sets "$set")"
	done
}
{
	ecbpf-fw apply -f "$tmp/own"
	rm "$tmp/listed"
	ecbpf-fw rule delete gone
	ecbpf-fw rule delete 2
	ecbpf-fw rule replace last ip from any to any tcp dport 25 drop name '"last"'
	ecbpf-fw rule insert own ip from any to any tcp dport 7 drop name '"seven"'
	ecbpf-fw set destroy gone
	ecbpf-fw set destroy other
	ecbpf-fw set create -6 other
	ecbpf-fw set add other 2001:db8::/32
	ecbpf-fw set delete own 10.3.0.0/16
	ecbpf-fw set flush bare
	ecbpf-fw set add bare 10.7.0.0/16
	ecbpf-fw set add bans 203.0.113.1 203.0.113.2
	ecbpf-fw set delete bans 203.0.113.1
	ecbpf-fw set add own 10.8.0.0/16
	ecbpf-fw set delete own 10.8.0.0/16
} >"$tmp/out" 2>&1
want=$(whole_state)
equal "changes of rules that no file has" '"seven" "own" "last"' "$(rules)"
for what in "reboot" "apply, reboot" "apply twice, reboot"; do
	reboot "$what: rules that no file has"
	equal "$what: nothing is said" "" "$(apply "$conf")"
	equal "$what: what was taken from them stays away" "$want" "$(whole_state)"
	[[ $what == reboot ]] || apply "$conf"
	[[ $what != *twice* ]] || apply "$conf"
done
equal "what was never there is not kept as deleted" 0 \
	"$(grep -c '10.8.0.0\|203.0.113.1$' "$log" || :)"
apply --reset-runtime "$conf" >"$tmp/out"
equal "forgotten" 0 "$(grep -vc '^#' "$log" || :)"
ecbpf-fw apply -q --allow-empty -f /dev/null 2>/dev/null

# --- the log is gone, and maps are not ------------------------------------------------------------
cp "$conf" "$tmp/conf.saved"
printf '192.0.2.0/24 scan\n198.51.100.7\n' >"$tmp/drop"
cat >"$tmp/rules" <<-'END'
	set peers { 10.0.0.0/8 }
	set bans live
	ip from any to any tcp dport 22 pass name "ssh"
	ip from @bans to any tcp drop name "bans"
END
sed -i "s|^\[filter\]|&\nvip = 203.0.113.80\ndrop = $tmp/drop|" "$conf"
printf '[fw]\nrules = %s\n' "$tmp/rules" >>"$conf"
apply "$conf"
{
	ecbpf-filter drop add 203.0.113.5 -t f2b -e "$until"
	ecbpf-filter allow add 10.0.0.0/8 -t office
	ecbpf-filter vip add 2001:db8:80::/64
	ecbpf-filter set ptb-max-pps=77
	ecbpf-sampler set rate-drops=3
	ecbpf-fw rule insert bans ip from any to any tcp dport 2 drop name '"middle"'
	ecbpf-fw rule add ip from any to any tcp dport 3 drop
	ecbpf-fw set add bans 203.0.113.0/24
	ecbpf-fw set add peers 100.64.0.0/10
	ecbpf-fw set create -4 scripts
	ecbpf-fw set add scripts 203.0.113.77
} >"$tmp/out" 2>&1
all_state()
{
	whole_state
	drops
	ecbpf-filter allow list | sed 's/ *#.*//'
	ecbpf-filter vip list
	ecbpf-loader export | grep -v '^#'
}
want=$(all_state)
rm -r "$ECBPF_STATE_DIR"
equal "the log is gone: it is said, and nothing is lost" \
	"ecbpf-loader: warning: $log is gone: 11 live settings, entries and rules that are not \
declared are kept as changes at runtime" "$(apply "$conf")"
equal "and all is live" "$want" "$(all_state)"
reboot "reboot after that"
equal "nothing is said" "" "$(apply "$conf")"
equal "and all is there" "$want" "$(all_state)"
# a watch knows what its file had
watch_begin "$tmp/out" "$conf"
printf '192.0.2.0/24 scan\n' >"$tmp/drop"
rm -r "$ECBPF_STATE_DIR"
ecbpf-loader watch --reload >/dev/null
equal "gone while watch runs: what the file does not have any more goes" \
	"$(grep -v '^198\.51\.100\.7' <<<"$want")" "$(all_state)"
kill -INT "$watcher"
wait "$watcher" || :
# apply knows what it had applied
want=$(all_state)
rm -r "$ECBPF_STATE_DIR"
cp "$tmp/rules" "$tmp/rules.saved"
cp "$conf" "$tmp/conf.more"
echo '100.64.0.0/16 scan' >"$tmp/drop"
sed -i '/"ssh"/d; s|10.0.0.0/8|10.1.0.0/16|' "$tmp/rules"
sed -i '/^vip = /d; /^frags = /d' "$conf"
equal "gone, and the file was edited" 1 "$(apply "$conf" | grep -c 'is gone: 11 live settings')"
equal "what the file does not have any more goes, all else stays" \
	"100.64.0.0/16 scan - 203.0.113.5 f2b $until 2001:db8:80::/64 \
\"middle\" \"bans\" dport 3 drop 10.1.0.0/16 100.64.0.0/10 203.0.113.77 203.0.113.0/24 pass" \
	"$(drops | xargs) $(ecbpf-filter vip list | xargs) $(rules) $(
		sets peers scripts bans | xargs) $(ecbpf-loader export | sed -n 's/^frags = //p')"
cp "$tmp/rules.saved" "$tmp/rules"
cp "$tmp/conf.more" "$conf"
printf '192.0.2.0/24 scan\n' >"$tmp/drop"
apply "$conf" >/dev/null
equal "and comes back with the file" "$want" "$(all_state)"

# a log that was overwritten is as good as gone; nothing is appended to it
for what in "" "garbage" $'\n\n'; do
	printf %s "$what" >"$log"
	equal "overwritten: what is added is live" \
		"ecbpf-filter: warning: this change will be lost at the next start: \
$log: Bad message" \
		"$(ecbpf-filter drop add -q 203.0.113.6 2>&1)"
	equal "overwritten: the doctor says so" "changes at runtime are not kept: $log is damaged" \
		"$({ ecbpf-loader doctor -j || :; } |
			jq -r '.[] | select(.code == "changes-lost").what')"
	equal "overwritten: apply says what it does" 1 \
		"$(apply "$conf" | grep -c 'is damaged: 12 live settings.* are kept')"
	equal "overwritten: nothing is lost" "$want" "$(all_state | grep -v '^203.0.113.6 ')"
	equal "overwritten: what was added is not, either" 1 "$(drops | grep -c '^203.0.113.6 ')"
	ecbpf-filter drop delete -q 203.0.113.6
done
want="$(whole_state) $(drops)"
rm "$log"
mkfifo "$log"
equal "a pipe is not waited for" "ecbpf-loader: $log: Invalid argument: changes at runtime \
cannot be read; move it away to go on without them" "$(timeout 20 ecbpf-loader apply "$conf" 2>&1)"
watch_begin "$tmp/out" "$conf"
equal "at start neither, and nothing that is live goes" "$want" "$(whole_state) $(drops)"
kill -INT "$watcher"
wait "$watcher" || :
rm -r "$ECBPF_STATE_DIR"
apply --reset-runtime "$conf" >/dev/null
equal "--reset-runtime takes nothing of it" "192.0.2.0/24 scan -" "$(drops)"
# no section: all of it is kept
cp "$tmp/conf.saved" "$conf"
apply "$conf"
want=$(whole_state)
rm -r "$ECBPF_STATE_DIR"
equal "no rules in the file: they are kept" "1" "$(apply "$conf" | grep -c 'is gone')"
reboot "reboot after that"
apply "$conf"
equal "and are there" "$want" "$(whole_state)"
ecbpf-fw apply -q --allow-empty -f /dev/null 2>/dev/null
apply --reset-runtime "$conf" >/dev/null
reboot "the filter alone"
printf '[interfaces]\ningress = eth0\n[chain]\nstages = filter\nfused = yes\n' >"$tmp/few"
apply "$tmp/few"
rm -r "$ECBPF_STATE_DIR"
equal "settings that nobody has made are no changes" "" "$(apply "$tmp/few")"
apply "$conf" >/dev/null

# --- a log that is not whole --------------------------------------------------------------------
ecbpf-filter drop flush
ecbpf-filter drop add 203.0.113.1
ecbpf-filter drop add 203.0.113.2
ecbpf-filter drop import -f "$tmp/import" >/dev/null
cp "$log" "$tmp/log"
whole=$(drops)

# replay NAME DROPS MESSAGE: of the log as it is
replay()
{
	local said

	cp "$log" "$tmp/broken"
	rm -f "$log"
	ecbpf-filter drop flush
	cp "$tmp/broken" "$log"
	said=$(apply "$conf")
	equal "$1" "$2" "$(drops)"
	equal "$1: it is said" "$3" "${said//$log/LOG}"
	cp "$tmp/log" "$log"
}

import=$(grep -n 'add, 2 lines' "$log" | tail -n 1 | cut -d: -f1)
replay "the whole log" "$whole" ""
head -c -3 "$tmp/log" >"$log"
replay "a torn line" "$(sed '/203.0.113.99/d; /2001/d' <<<"$whole")" \
	"ecbpf-loader: warning: LOG: the last change was not written whole: ignored"
sed '$d' "$tmp/log" >"$log"
replay "a torn import" "$(sed '/203.0.113.99/d; /2001/d' <<<"$whole")" \
	"ecbpf-loader: warning: LOG: the last change was not written whole: ignored"
line=$(grep -n 'add: 203.0.113.1 ' "$log" | cut -d: -f1)
sed -i 's/203.0.113.1 /203.0.113.3 /' "$log"
replay "an address that is another one" "$(sed '/203.0.113.1 /d' <<<"$whole")" \
	"ecbpf-loader: warning: LOG:$line: this is no change that was kept: skipped"
awk '/add: 203.0.113.1 / { $0 = "0123456789 no such thing" }
	/add: 203.0.113.2 / { sub("add", "adx") } 1' \
	"$tmp/log" >"$log"
replay "what nobody wrote" "$(sed '/203.0.113.[12] /d' <<<"$whole")" \
	"ecbpf-loader: warning: LOG:$line: this is no change that was kept, and so are others: \
skipped"
tr -d '\n' <"$tmp/log" >"$log"
replay "no line at all" "" \
	"ecbpf-loader: warning: LOG: the last change was not written whole: ignored"
printf '\t\n\0\n\t\t\n: \n\n12345678 a: b\n' >"$log"
replay "rubbish" "" \
	"ecbpf-loader: warning: LOG:1: this is no change that was kept, and so are others: skipped
ecbpf-loader: warning: LOG: the last change was not written whole: ignored"
head -c -3 "$tmp/log" >"$log"
ecbpf-filter drop add 203.0.113.4
replay "a change behind a torn line" "$(sed '/203.0.113.99/d; /2001/d
	s/^203.0.113.2 .*/&\n203.0.113.4 - -/' <<<"$whole")" \
	"ecbpf-loader: warning: LOG:$import: this is no change that was kept: skipped"
python3 - "$tmp/log" "$log" <<-'END'
	import sys
	line = b"filter drop ban: 203.0.113.8 - -\n"
	h = 0xcbf29ce484222325
	for byte in line:
	    h = ((h ^ byte) * 0x100000001b3) & (2**64 - 1)
	open(sys.argv[2], "wb").write(open(sys.argv[1], "rb").read() + b"%08x " % (
	    (h ^ h >> 32) & 0xffffffff) + line)
END
replay "a verb of another version" "$whole" \
	"ecbpf-loader: warning: LOG:$(($(wc -l <"$tmp/log") + 1)): 'filter drop ban' is no change \
that this version knows: skipped"

# --- expiry, as time goes by --------------------------------------------------------------------
ecbpf-filter drop add 203.0.113.66 -e 2s
equal "with its time" 1 "$(grep -c '203.0.113.66 - 20..-..-..T..:..:..Z$' "$log")"
sleep 3.1
apply "$conf"
equal "what has expired is kept no longer" 0 "$(grep -c 203.0.113.66 "$log" || :)"

# --- this host's own addresses ------------------------------------------------------------------
ecbpf-filter drop flush
ecbpf-filter drop add 172.16.0.0/16
ip addr add 172.16.0.1/24 dev eth0
rm -f "$tmp/log2"
cp "$log" "$tmp/log2"
rm "$log"
ecbpf-filter drop flush
cp "$tmp/log2" "$log"
equal "a ban that would block this host by now is left out" \
	"ecbpf-loader: warning: filter drop: 172.16.0.0/16: added at runtime, but \
would block this host now: left out" \
	"$(apply "$conf")"
equal "it is not there" "" "$(drops)"
ecbpf-filter drop add --force 172.16.0.0/16
apply "$conf"
equal "one that was forced stays" "172.16.0.0/16 - -" "$(drops)"
ip addr del 172.16.0.1/24 dev eth0
ecbpf-filter drop flush

# --- a full disk ----------------------------------------------------------------------------------
mkdir "$tmp/small"
mount -t tmpfs -o size=16k,mode=700 tmpfs "$tmp/small"
defer umount "$tmp/small"
cp -r "$ECBPF_STATE_DIR/runtime" "$tmp/small"
ECBPF_STATE_DIR=$tmp/small
log=$tmp/small/runtime/changes
dd if=/dev/zero of="$tmp/small/fill" bs=4k 2>/dev/null || :
before=$(<"$log")
seq -f 100.64.%g.1 0 255 >"$tmp/many"
ecbpf-filter drop import -f "$tmp/many" >"$tmp/out" 2>&1 && status=$? || status=$?
equal "a full disk: the change is made, and it is said" \
	"0 ecbpf-filter: warning: this change will be lost at the next start or 'ecbpf-loader apply': \
$log: No space left on device 256" \
	"$status $(grep warning "$tmp/out") $(drops | wc -l)"
equal "no half of it is written" "$before" "$(<"$log")"
rm "$tmp/small/fill"
ecbpf-filter drop add 203.0.113.77
equal "the next one is" 1 "$(grep -c 203.0.113.77 "$log")"
ECBPF_STATE_DIR=/run/ecbpf/state
log=$ECBPF_STATE_DIR/runtime/changes
ecbpf-filter drop flush

# --- killed at any time --------------------------------------------------------------------------
apply "$conf"
for i in {1..60}; do
	ecbpf-filter drop add "100.65.0.$i" 2>/dev/null &
	pid=$!
	sleep "0.0$((RANDOM % 3))$((RANDOM % 10))"
	kill -9 $pid 2>/dev/null || :
	status=0
	wait $pid 2>/dev/null || status=$?
	((status)) || echo "100.65.0.$i" >>"$tmp/ended"
done
sed -n 's/.*add: \(100.65[^ ]*\).*/\1/p' "$log" | sort >"$tmp/logged"
drops | cut -d' ' -f1 | sort >"$tmp/live"
touch "$tmp/ended"
equal "verbs that were killed: the kernel has nothing that the log has not" "" \
	"$(comm -13 "$tmp/logged" "$tmp/live")"
equal "and all of those that ended ($(wc -l <"$tmp/ended") of 60)" "" \
	"$(comm -23 <(sort "$tmp/ended") "$tmp/logged")"
equal "it is whole" "" "$(apply "$conf")"
ecbpf-filter drop flush

# --- a log that cannot be read, or is gone --------------------------------------------------------
ecbpf-filter drop add 203.0.113.40
mv "$log" "$tmp/saved"
mkdir "$log"
unreadable="LOG: Is a directory: changes at runtime cannot be read; move it away to go on \
without them"
equal "apply fails, and says what to do" "ecbpf-loader: $unreadable" \
	"$(apply "$conf" | sed "s|$log|LOG|")"
ecbpf-loader apply --stop "$conf" >/dev/null
watch_begin "$tmp/out" "$conf"
equal "watch starts all the same" "1 1" \
	"$(ecbpf-loader status -j eth0 | jq '.[].members | length') $(grep -c ready "$tmp/out")"
equal "with a warning" "ecbpf-loader: warning: $unreadable" \
	"$(sed "s|$log|LOG|" "$tmp/out" | grep 'cannot be read' | sort -u)"
equal "a change says that it is not kept" 1 \
	"$(ecbpf-filter drop add 203.0.113.41 2>&1 | grep -c 'will be lost')"
equal "what was there is left alone" directory "$(stat -c %F "$log")"
kill -INT "$watcher"
wait "$watcher" || :
rmdir "$log"
equal "no log where there was one: a change says that it is not kept" \
	"ecbpf-filter: warning: this change will be lost at the next start: $log: \
No such file or directory" \
	"$(ecbpf-filter drop add 203.0.113.42 2>&1 >/dev/null)"
mv "$tmp/saved" "$log"
apply "$conf" >/dev/null
equal "the log is there again" "" "$(ecbpf-filter drop add -q 203.0.113.43 2>&1)"
ecbpf-filter drop flush

# --- many ---------------------------------------------------------------------------------------
if [[ $(command -v strace) ]]; then
	python3 -c 'for i in range(200000):
		print(f"11.{i >> 16}.{i >> 8 & 255}.{i & 255}")' >"$tmp/many"
	# writes NAME MOST COMMAND...: to the log, and how many bytes were read of it
	calls()
	{
		strace -f -o "$tmp/strace" -P "$log" \
			-e trace=read,pread64,write,pwrite64,fdatasync \
			"${@:3}" >/dev/null 2>&1
		equal "$1: one write, to the disk" "$2" \
			"$(grep -c write "$tmp/strace") $(grep -c fdatasync "$tmp/strace")"
		equal "$1: the log is not read" "" "$(awk -F'= ' '/read/ { n += $NF }
			END { if (n > 8192) print n }' "$tmp/strace")"
	}
	calls "an import of many" "1 1" ecbpf-filter drop import -f "$tmp/many"
	calls "an add to many" "1 1" ecbpf-filter drop add 203.0.113.78
	ecbpf-loader apply --stop "$conf" >/dev/null
	ecbpf-loader clean --all </dev/null >/dev/null
	apply "$conf"
	equal "many are there after a reboot" 200001 "$(drops | wc -l)"
	ecbpf-filter drop flush
	# a load with rules that is killed as it opens the log
	ip link add eth9 type veth peer name peer9
	echo 'ip from any to any tcp dport 9 drop name "nine"' >"$tmp/nine"
	want=$(ecbpf-fw rule list)
	strace -f -o "$tmp/strace" -P "$log" \
		-e trace=openat -e inject=openat:signal=SIGKILL:when=1 \
		ecbpf-fw load --fused -f "$tmp/nine" eth9 >"$tmp/out" 2>&1 || :
	equal "a load is killed before it logs its rules: none of them is live" "$want 1" \
		"$(ecbpf-fw rule list) $(grep -c SIGKILL "$tmp/strace")"
	ip link del eth9
else
	skip "system calls of an import" "no strace"
fi

# --- random changes, and what Python says of them ------------------------------------------------
python3 - "$conf" <<-'END' >"$tmp/out" 2>&1 && status=0 || status=$?
	import random, subprocess, sys
	random.seed(18)
	live, declared = {}, {}

	def run(*args):
	    subprocess.run(args, check=True, capture_output=True)

	def listed():
	    out = subprocess.run(["ecbpf-filter", "drop", "list"], check=True,
	                         capture_output=True, text=True)
	    return {l.split()[0]: l.split()[1] for l in out.stdout.splitlines()}

	prefixes = [f"203.0.113.{i}" for i in range(12)] + [f"198.18.{i}.0/24" for i in range(6)]
	drop = sys.argv[1] + ".drop"
	conf = sys.argv[1] + ".random"
	open(conf, "w").write(f"[filter]\ndrop = {drop}\n")
	runtime = {}
	for turn in range(60):
	    what = random.choice("add add add delete delete import replace flush apply apply "
	                         "reboot".split())
	    some = random.sample(prefixes, random.randint(1, 4))
	    if what == "add":
	        tag = random.choice("abc")
	        run("ecbpf-filter", "drop", "add", "-t", tag, *some)
	        for p in some:
	            live[p] = runtime[p] = tag
	    elif what == "delete":
	        some = [p for p in some if p in live]
	        if not some:
	            continue
	        run("ecbpf-filter", "drop", "delete", *some)
	        for p in some:
	            live.pop(p)
	            runtime.pop(p, 0)
	    elif what in ("import", "replace"):
	        open(drop + ".import", "w").write("".join(f"{p} i\n" for p in some))
	        run("ecbpf-filter", "drop", "import", "-f", drop + ".import",
	            *(["--replace"] if what == "replace" else []))
	        if what == "replace":
	            live.clear()
	            runtime.clear()
	        for p in some:
	            live[p] = runtime[p] = "i"
	    elif what == "flush":
	        run("ecbpf-filter", "drop", "flush")
	        live.clear()
	        runtime.clear()
	    else:
	        if what == "reboot":
	            run("ecbpf-loader", "apply", "--stop", sys.argv[1])
	            run("ecbpf-loader", "clean", "--all")
	        declared = {p: "f" for p in some}
	        open(drop, "w").write("".join(f"{p} f\n" for p in declared))
	        run("ecbpf-loader", "apply", conf)
	        runtime = {p: t for p, t in runtime.items() if p not in declared}
	        live = {**runtime, **declared}
	    assert listed() == live, (turn, what, listed(), live)
	print("as Python says")
END
equal "random changes" "0 as Python says" "$status $(tail -n 1 "$tmp/out")"

# --- a script that bans and unbans, while watch runs ----------------------------------------------

watch_begin "$tmp/out" "$conf"
ecbpf-filter drop add -q 203.0.113.50
seq -f 100.64.%g.1 0 255 >"$tmp/some"
largest=0
for ((i = 0; i < 15; i++)); do
	ecbpf-filter drop import -q -f "$tmp/some"
	xargs ecbpf-filter drop delete -q <"$tmp/some"
	size=$(stat -c %s "$log")
	((largest = size > largest ? size : largest))
done
for ((i = 0; i < 200 && size > 65536; i++)); do
	sleep 0.1
	size=$(stat -c %s "$log")
done
equal "the log was larger, and is compacted" "1 1" "$((largest > 65536)) $((size <= 65536))"
kill -INT "$watcher"
wait "$watcher" || :
whole=$(drops)
reboot "reboot, after it was compacted"
apply "$conf" >/dev/null
equal "with what was there" "$whole" "$(drops)"
works "a ban among it" grep -q 203.0.113.50 <<<"$whole"

# --- the other stages -------------------------------------------------------------------------

ecbpf-loader apply --stop "$conf" >/dev/null
ecbpf-loader clean --all </dev/null >/dev/null
cat >"$conf" <<-END
	[interfaces]
	ingress = eth0
	[chain]
	stages = filter,fw,fastpath
	fused = yes
END
apply --reset-runtime --allow-empty "$conf" >/dev/null
ecbpf-fastpath exclude add -q 203.0.113.9 2001:db8::9
ecbpf-fastpath set -q lease=700 routed=on
ecbpf-fw set -q malformed=pass
ecbpf-filter set -q martian-source=drop
kept()
{
	ecbpf-fastpath exclude list
	ecbpf-fastpath status | grep -o 'lease [0-9]* ms, \|routed [a-z]*'
	ecbpf-fw rule list | grep -o 'malformed=[a-z]*'
	ecbpf-filter status | grep -o 'martian-source.*'
}
before=$(kept)
[[ $before == 203.0.113.9*"lease 700 ms"*"routed on"*malformed=pass*martian-source*drop* ]] ||
	fail "all stages: changed" "$before"
reboot "all stages"
apply "$conf" >/dev/null
equal "all stages: as before" "$before" "$(kept)"

# --- what runs is what is kept ------------------------------------------------------------------
cat >"$conf" <<-END
	[interfaces]
	ingress = eth0
	[chain]
	stages = filter,sampler
	fused = yes
END
equal "a sampler without a rate" 1 \
	"$(apply --reset-runtime "$conf" | grep -c "there is no \[sampler\]: its rate is 0")"
ecbpf-sampler set rate=7 >/dev/null
equal "with a rate" "" "$(apply "$conf")"
lines=$(grep -vc '^#' "$log")
ecbpf-filter drop delete --if-exists 203.0.113.200 >/dev/null
ecbpf-filter vip delete --if-exists 203.0.113.200 >/dev/null
equal "what was not there is not kept as deleted" "$lines" "$(grep -vc '^#' "$log")"
ecbpf-sampler unload eth0 >/dev/null
equal "sampler unload: no rate" 0 "$(ecbpf-sampler status -j | jq .rate)"
reboot "reboot, after sampler unload"
apply "$conf" >/dev/null
equal "nor after a reboot" 0 "$(ecbpf-sampler status -j | jq .rate)"
ecbpf-sampler set rate=7 >/dev/null
cp "$log" "$tmp/log"
ecbpf-sampler set rate=0 >/dev/null # an unload that was killed has done this, and kept nothing
cp "$tmp/log" "$log"
ecbpf-sampler unload eth0 >/dev/null
reboot "reboot, after an unload that was killed and one more"
apply "$conf" >/dev/null
equal "nor then" 0 "$(ecbpf-sampler status -j | jq .rate)"
ecbpf-loader unload -a eth0 >/dev/null
ecbpf-fw load --fused --malformed pass eth0 >/dev/null
ecbpf-fw unload eth0 >/dev/null
equal "fw load says which settings it has from before" \
	"eth0: fw loaded settings kept from before: malformed=pass" \
	"$(ecbpf-fw load --fused eth0 | xargs)"
ecbpf-fw unload eth0 >/dev/null
equal "but not those that are given" "eth0: fw loaded" \
	"$(ecbpf-fw load --fused --malformed pass eth0 | xargs)"
# --- a sampler that no section is for -------------------------------------------------------------

reboot "a sampler without settings"
rm -r "$ECBPF_STATE_DIR"
rates() { ecbpf-sampler status -j | jq -c '[.rate, .rate_drops, .snaplen]'; }
printf '[interfaces]\ningress = eth0\n[chain]\nstages = sampler\nfused = yes\n' >"$conf"
ecbpf-loader apply --reset-runtime "$conf" >/dev/null 2>&1
equal "never set: it is not exported" "" "$(ecbpf-loader export | grep -x '\[sampler\]' || :)"
ecbpf-sampler set rate=5 >/dev/null
ecbpf-loader apply --reset-runtime "$conf" >/dev/null 2>&1
equal "reset: it samples nothing, as before" "[0,0,128]" "$(rates)"
ecbpf-loader apply --stop "$conf" >/dev/null
ecbpf-loader clean --all </dev/null >/dev/null
equal "rate-drops follows rate, and is not 'kept from before'" "eth0: sampler loaded" \
	"$(ecbpf-sampler load --fused --rate 250 eth0 2>&1 | grep -v warning)"
equal "it has followed" "[250,250,128]" "$(rates)"
ecbpf-sampler set rate-drops=100 >/dev/null
equal "another rate alone" "rate: 500, was 250" "$(ecbpf-sampler set rate=500 2>&1 | grep -v warning)"
ecbpf-loader unload --all eth0
summary
