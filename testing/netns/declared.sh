#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 300
#
# What is declared, in ecbpf.conf or by loading it, against what is there: doctor, status and
# metrics say so, and each command that the doctor gives mends it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
require_cmd ip tc jq strace clang gcc xdp-loader
# shellcheck source-path=SCRIPTDIR source=../lib/doctor.sh
. "$(dirname "$0")/../lib/doctor.sh"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns
installed=$(sed -n 's/^#define ECBPF_CONFIG_DIR "\(.*\)"/\1/p' "$build/config.h")
mkdir "$work/etc"
mount --bind "$work/etc" "$installed"
defer umount "$installed"

metric() { ecbpf-loader metrics | sed -n "s/^$1 //p"; }

# state IFACE STAGE: declared, attached, this stage
state()
{
	echo "$(metric "ecbpf_declared{interface=\"$1\"}")" \
		"$(metric "ecbpf_attached{interface=\"$1\"}")" \
		"$(metric "ecbpf_stage_attached{interface=\"$1\",stage=\"$2\"}")"
}

# status_says NAME STATUS TEXT: exit status; standard error has the text, standard output is
# xdp-loader's
status_says()
{
	status=0
	ecbpf-loader status >"$work/out" 2>"$work/err" || status=$?
	if ((status != $2)) || ! grep -qF -e "$3" "$work/err"; then
		fail "$1: status says so" "status $status, $(<"$work/err")"
	elif ! diff "$work/out" <(xdp-loader status) >"$work/diff"; then
		fail "$1: status says so" "its table is not xdp-loader's: $(<"$work/diff")"
	else
		pass "$1: status says so"
	fi
}

# fix_of CODE IFACE: the command that is given
fix_of() { selected . "$1" "$2" | jq -r .fix | head -n 1; }

foreign foreign_pass
begin

# --- loaded by command -----------------------------------------------------------------------

equal "nothing declared" "" "$(metric 'ecbpf_declared{.*}')"
run ecbpf-loader load --fused filter,fw v0
doctor
equal "loaded: nothing bad" "" "$(bad)"
equal "loaded: metrics" "1 1 1" "$(state v0 fw)"

run ip link set v0 xdp off
doctor
expect "xdp off" error not-attached v0
says "xdp off" not-attached "somebody else took ecbpf's programs off v0: filter, fw"
status_says "xdp off" 1 "ecbpf-loader load --fused filter,fw v0"
equal "xdp off: metrics" "1 0 0" "$(state v0 fw)"
mend "xdp off" not-attached v0
equal "xdp off, mended: metrics" "1 1 1" "$(state v0 fw)"

run ip link set v0 xdp off
run xdp-loader load v0 "$work/foreign_pass.bpf.o"
doctor
expect "replaced by another program" error not-attached v0 "warning no-dispatcher"
says "replaced by another program" not-attached "foreign_pass"
mend "replaced by another program" not-attached v0

run ecbpf-loader replace v0 ecbpf_fused --fused count
run ip link del v0
doctor
equal "deleted: nothing bad" "" "$(bad)"
begin
doctor
expect "deleted and created again" error not-attached v0
says "deleted and created again" not-attached "created again, without ecbpf's programs: count"
mend "deleted and created again" not-attached v0

# constants, mode and priority
run ecbpf-loader unload --all v0
run ecbpf-loader load -m skb -P 7 -A XDP_PASS,XDP_TX -S malformed_action=XDP_DROP --fused count v0
before=$(ecbpf-loader export)
run ip link set v0 xdpgeneric off
doctor
expect "with options" error not-attached v0
equal "with options: the command" "ecbpf-loader load -m skb -P 7 -A XDP_PASS,XDP_TX \
-S malformed_action=1 --fused count v0" "$(fix_of not-attached v0)"
bash -c "$(fix_of not-attached v0)"
equal "with options: as before" "$before" "$(ecbpf-loader export)"

run ip link set v0 xdpgeneric off
run ecbpf-loader unload --all v0
doctor
equal "unload says that it was meant" "" "$(bad)"
equal "unload says that it was meant: metrics" "" "$(metric 'ecbpf_declared{.*}')"

# renamed: its programs go with it
run ecbpf-loader load --fused count v0
run ip link set v0 down
run ip link set v0 name w0
doctor
equal "renamed: nothing bad" "" "$(bad)"
run ip link set w0 name v0
run ip link set v0 up

# the fast path
run ecbpf-loader unload --all v0
run ecbpf-fastpath load --fused -i v0 -o v1 --flows 1000
run ip link set v0 xdp off
doctor
expect "fast path, xdp off" error not-attached v0 "warning fastpath-no-program"
mend "fast path, xdp off" not-attached v0
expect "fast path, mended" ok fastpath host
run ecbpf-fastpath unload
doctor
equal "fast path, unloaded" "" "$(bad)"
run ecbpf-loader clean --all

# --- the BPF file system -----------------------------------------------------------------------

for how in remount,ro remount,ro,bind; do
	run mount -o $how /sys/fs/bpf
	doctor
	expect "$how" error bpffs-readonly host
	mend "$how" bpffs-readonly host
	run ecbpf-loader load --fused count v0
	run ecbpf-loader unload --all v0
done
run chmod 777 /sys/fs/bpf/ecbpf
doctor
expect "others may write" error bpffs-untrusted host
mend "others may write" bpffs-untrusted host
mkdir -p /run/ecbpf "$work/state"
run chown nobody /run/ecbpf
doctor
expect "/run/ecbpf of somebody else" error directory-untrusted host
mend "/run/ecbpf of somebody else" directory-untrusted host
kept=${ECBPF_STATE_DIR-}
export ECBPF_STATE_DIR=$work/state
run chmod 777 "$work/state"
doctor
expect "a state directory for all" error directory-untrusted host
mend "a state directory for all" directory-untrusted host
ln -s "$work/state" "$work/link"
export ECBPF_STATE_DIR=$work/link
doctor
equal "a link to a state directory" "" "$(bad)"
run chmod 777 "$work/state"
doctor
expect "a link to one for all" error directory-untrusted host
mend "a link to one for all" directory-untrusted host
run chown -h nobody "$work/link"
doctor
expect "a link of somebody else" error directory-untrusted host
mend "a link of somebody else" directory-untrusted host
run rmdir "$work/state"
doctor
expect "a link to nothing" error directory-missing host
mend "a link to nothing" directory-missing host
touch "$work/file"
ECBPF_STATE_DIR=$work/file
doctor
expect "a file in its place" error directory-missing host
mend "a file in its place" directory-missing host
ECBPF_STATE_DIR=$kept
run umount /sys/fs/bpf
run mount -t tmpfs tmpfs /sys/fs/bpf
doctor
expect "no BPF file system" error bpffs-missing host
mend "no BPF file system" bpffs-missing host

# --- declared in ecbpf.conf --------------------------------------------------------------------

cat >"$work/etc/ecbpf.conf" <<-END
	[interfaces]
	ingress =
	[chain]
	stages = filter,fw
	[filter]
	[fw]
END
doctor
equal "no interface declared" "" "$(bad)"

sed -i 's/ingress =/ingress = v0/; s/\[chain\]/&\nfused = yes/' "$work/etc/ecbpf.conf"
doctor
expect "not applied" error not-attached v0
says "not applied" not-attached "declared in $installed/ecbpf.conf, and not attached: filter, fw"
status_says "not applied" 1 "ecbpf-loader apply"
equal "not applied: metrics" "1 0 0" "$(state v0 fw)"
equal "not applied: metric of apply" "0 0" \
	"$(metric ecbpf_last_apply_ok) $(metric ecbpf_last_apply_timestamp_seconds)"
mend "not applied" not-attached v0
equal "applied: metrics" "1 1 1" "$(state v0 fw)"
equal "applied: metric of apply" 1 "$(metric ecbpf_last_apply_ok)"
applied=$(metric ecbpf_last_apply_timestamp_seconds)
now=$(date +%s)
if ((applied <= now && applied + 600 > now)); then
	pass "applied: its time"
else
	fail "applied: its time" "$applied, at $now"
fi

run ip link set v0 xdp off
doctor
expect "declared, xdp off" error not-attached v0
says "declared, xdp off" not-attached "somebody else took"
equal "declared, xdp off: the command" "ecbpf-loader apply" "$(fix_of not-attached v0)"
run ip link add more type veth peer name more-peer
run ecbpf-loader load --fused fw more
doctor
expect "declared, xdp off, and another chain" error not-attached v0
equal "no advice takes the other one away" "" "$(fix_of not-attached v0)"
says "no advice takes the other one away" not-attached "removes fw from more"
run ecbpf-loader unload --all more
run ip link del more
doctor
mend "declared, xdp off" not-attached v0

# what cannot be noted is said, or nothing is loaded
run ecbpf-loader unload --all v0
calls=$(strace -f -e trace=bpf,symlink ecbpf-loader load --fused fw v0 2>&1 >/dev/null |
	awk '/symlink\(/ && !at { at = n } /bpf\(/ { n++ } END { print at }')
for ((call = calls - 12; call <= calls; call++)); do
	run ecbpf-loader unload --all v0
	strace -f -o "$work/trace" -e trace=bpf -e "inject=bpf:error=ENOMEM:when=$call" \
		ecbpf-loader load --fused fw v0 >"$work/out" 2>&1 && status=0 || status=$?
	noted=$(find /sys/fs/bpf/ecbpf -path '*/loaded/*' | wc -l)
	loaded=$(ip -j link show v0 | jq 'if .[0].xdp.prog then 1 else 0 end')
	said=$(grep -c 'cannot make this note' "$work/out" || :)
	case "$status $loaded $noted $said" in
	"0 1 1 0" | "0 1 0 1" | "1 0 0 0") pass "bpf call $call of $calls fails: noted, or said" ;;
	*) fail "bpf call $call of $calls fails: noted, or said" \
		"status $status, loaded $loaded, noted $noted, $(<"$work/out")" ;;
	esac
	[[ $loaded == 1 ]] || run ecbpf-loader load --fused fw v0
done

run ecbpf-loader unload --all v0
run ecbpf-loader load --fused filter v0
doctor
expect "a stage less" error not-attached v0
says "a stage less" not-attached "not attached: fw"
equal "a stage less: metrics" "1 1 0" "$(state v0 fw)"
mend "a stage less" not-attached v0

run find /sys/fs/bpf/ecbpf -type f -delete
doctor
equal "pins that are gone: doctor" 1 \
	"$(selected error other-maps v0 | grep -c 'their pins were removed')"
equal "pins that are gone: the advice opens no gap" "ecbpf-loader apply" \
	"$(fix_of other-maps v0)"
before=$(ip -j link show v0 | jq '.[0].xdp.prog.id')
equal "apply pins them again" "nothing to do" "$(ecbpf-loader apply 2>&1 | tail -n 1)"
equal "the program is the same" "$before" "$(ip -j link show v0 | jq '.[0].xdp.prog.id')"
doctor
equal "pins that are gone, applied: nothing bad" "" "$(bad)"

# a single one, whichever: rules and lists are as before, in the maps that the program uses
run ecbpf-filter drop add 192.0.2.9
run ecbpf-filter vip add 192.0.2.80
run ecbpf-fw rule add 'ip from any to any udp dport 9 drop'
held() { ecbpf-filter drop list && ecbpf-filter vip list && ecbpf-fw rule list; }
before=$(held | sed 's/ #.*//')
for map in $(find /sys/fs/bpf/ecbpf -maxdepth 1 -type f -printf '%f\n' | sort); do
	[[ $map != sampler_stats ]] || continue # of a stage that v0 has not
	rm "/sys/fs/bpf/ecbpf/$map"
	doctor
	equal "no pin $map: doctor" 1 "$(selected error other-maps v0 | grep -c "$map is gone")"
	equal "no pin $map: apply" "nothing to do" "$(ecbpf-loader apply 2>&1 | tail -n 1)"
	doctor
	equal "no pin $map: nothing bad after apply" "" "$(bad)"
	equal "no pin $map: rules and lists" "$before" "$(held | sed 's/ #.*//')"
done
run ecbpf-filter drop flush
run ecbpf-filter vip flush
run ecbpf-fw rule delete 1

sed -i 's/fused = yes/&\nmode = skb/' "$work/etc/ecbpf.conf"
run ecbpf-loader unload --all v0
run ecbpf-loader apply
doctor
says "skb mode, declared" mode-skb "mode = skb is declared in $installed/ecbpf.conf"
equal "skb mode, declared: apply would not change it" "" "$(fix_of mode-skb v0)"
sed -i '/^mode = skb/d' "$work/etc/ecbpf.conf"
doctor
equal "skb mode, no longer declared: the command" \
	"ecbpf-loader unload --all v0 && ecbpf-loader apply" "$(fix_of mode-skb v0)"
bash -c "$(fix_of mode-skb v0)" >"$work/out" 2>&1
doctor
expect "skb mode, mended" ok mode v0

run ecbpf-filter set tcp-null=drop
doctor
equal "a setting that the file does not name" "" "$(bad)"
sed -i 's/\[filter\]/&\nland = count/' "$work/etc/ecbpf.conf"
doctor
expect "another setting" error differs host
says "another setting" differs "land"
mend "another setting" differs host

run ecbpf-filter drop add 192.0.2.9
run ecbpf-fw rule add 'ip from 192.0.2.1 to any udp drop name "runtime"'
doctor
equal "a ban and a rule that the file does not name" "" "$(bad)"
run ecbpf-fw rule delete runtime
echo "ip from 192.0.2.7 to any udp drop" >"$work/rules"
sed -i "s|\[fw\]|&\nrules = $work/rules|" "$work/etc/ecbpf.conf"
doctor
expect "other rules" error differs host
mend "other rules" differs host
run ecbpf-fw rule add 'ip from 192.0.2.1 to any udp drop name "runtime"'
doctor
equal "a rule more than in the file" "" "$(bad)"
equal "no advice removes it" "" "$(jq -r '.[] | .fix' <<<"$findings" | grep apply || :)"
run ecbpf-fw rule delete runtime

# what no log has, apply would take away
{ cat "$work/rules"; echo 'set peers { 10.0.0.0/8 }'; } >"$work/rules2"
sed -i "s|^rules = .*|rules = $work/rules2|" "$work/etc/ecbpf.conf"
run ecbpf-loader apply
run env ECBPF_STATE_DIR="$work/nowhere" ecbpf-fw set add peers 192.0.2.0/24
doctor
equal "more in a set: nothing bad" "" "$(bad)"
equal "it is told" 1 "$(jq '[.[] | select(.code == "undeclared")] | length' <<<"$findings")"
equal "no advice takes it away" "" "$(jq -r '.[] | .fix' <<<"$findings" | grep apply || :)"
sed -i "s|^rules = .*|rules = $work/rules|" "$work/etc/ecbpf.conf"
run ecbpf-loader apply

run ecbpf-loader unload --all v0
run ecbpf-loader load --fused filter,fw -S malformed_action=XDP_DROP v0
doctor
expect "a constant" error differs v0
mend "a constant" differs v0

rm "$ECBPF_STATE_DIR/runtime/changes"
doctor
expect "no log of changes" error changes-lost host
mend "no log of changes" changes-lost host
mv "$ECBPF_STATE_DIR/runtime/changes" "$work/changes"
ln -s "$work/changes" "$ECBPF_STATE_DIR/runtime/changes"
doctor
expect "a log that is a link" error changes-lost host "error differs"
mv "$work/changes" "$ECBPF_STATE_DIR/runtime/changes"

sed -i 's/ingress = v0/ingress = v0 late0/' "$work/etc/ecbpf.conf"
doctor
expect "no such interface" error no-interface late0
equal "no such interface: metrics" "1 0 0" "$(state late0 fw)"
run ip link add late0 type veth peer name late1
doctor
expect "late interface" error not-attached late0
mend "late interface" not-attached late0
run ip link del late0
sed -i 's/ late0/ late*/' "$work/etc/ecbpf.conf"
doctor
expect "a pattern that matches nothing" warning no-interface 'late*'

kept=$(<"$work/etc/ecbpf.conf")
sed -i 's/ late\*//; s/^stages = .*/stages = filter/' "$work/etc/ecbpf.conf"
run ecbpf-loader apply
doctor
expect "a section of no stage" warning not-used host
says "a section of no stage" not-used "[fw] is not used: fw is not among the stages"
echo "$kept" >"$work/etc/ecbpf.conf"
run ecbpf-loader apply

cp "$work/etc/ecbpf.conf" "$work/good"
echo "stages = filter,firewall" >>"$work/etc/ecbpf.conf"
doctor
expect "a typo" error config-broken host
says "a typo" config-broken "ecbpf.conf"
ecbpf-loader apply >"$work/out" 2>&1 || :
equal "a typo: metric of apply" 0 "$(metric ecbpf_last_apply_ok)"
echo 198.51.100.1 >"$work/drop"
sed "s|\[filter\]|&\ndrop = $work/drop|" "$work/good" >"$work/etc/ecbpf.conf"
run ecbpf-loader apply
echo "ip from any to any udp dprt 53 drop" >"$work/wrong"
sed -i "/^rules = /d; s|\[fw\]|&\nrules = $work/wrong|" "$work/etc/ecbpf.conf"
doctor
expect "wrong rules, and a list" error config-broken host "warning no-interface"
cp "$work/good" "$work/etc/ecbpf.conf"

doctor v1
equal "another interface: nothing of v0" "" "$(selected error . v0)"
run ecbpf-loader apply --stop
printf '[interfaces]\ningress =\n' >"$work/etc/ecbpf.conf"
end declared
summary
