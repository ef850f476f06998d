#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# ecbpf-loader apply, export and metrics where nothing can be chained: fused. The chained half is
# testing/vm/tests/config.sh.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd -P)
# into the cache, as long as there is a network; what is wrong is said below
[[ ${ECBPF_FRESH-} ]] || "$top/testing/lib/prometheus" >/dev/null 2>&1 || :
fresh_net "$@"
PATH=${ECBPF_BUILD:-$top/build/test}/root/sbin:$PATH
require_cmd ecbpf-loader jq ip strace
tmp=$(mktemp -d)
defer rm -rf "$tmp"
conf=$tmp/ecbpf.conf

# says NAME WANT ARG...: what apply prints, lines in order
says() { equal "$1" "$2" "$(ecbpf-loader apply "${@:3}" 2>&1 | sort)"; }

# snapshot: what is attached and pinned, as the kernel says
snapshot()
{
	ip -o link | grep -o '^[0-9]*: [^:]*\|prog/xdp id [0-9]*'
	find /sys/fs/bpf | sort
}

# ids: of the programs, in order of interfaces' names
ids() { ecbpf-loader status -j | jq -r 'sort_by(.interface)[].members[] | .id' | paste -sd ' '; }

# names of any shape: a comma, a pattern's characters, a comment's, quotes
ifaces=(eth0 'a,b' 'x*y' '#c' ';d' '"e"')
for iface in "${ifaces[@]}"; do
	ip link add "$iface" type veth peer name "p-${#iface}-$((RANDOM % 10000))"
	ip link set "$iface" up
done
cat >"$conf" <<-'END'
	[interfaces]
	ingress = eth0 a,b x*y #c
	ingress =;d "e"
	[chain]
	stages = filter,count,sampler
	fused = yes
	[stage count]
	malformed_action = XDP_DROP
	[filter]
	frags = ptb
	vip = 203.0.113.80 2001:db8:80::/64
	[sampler]
	rate = 100
	rate-drops = 10
END

printf '[interfaces]\ningress = eth0\n[chain]\nstages = count\nfused = yes\n' >"$tmp/first.conf"
says "where nothing ever ran" "eth0: add ecbpf_fused, priority 50" -c "$tmp/first.conf"
before=$(snapshot | grep -vxE "/sys/fs/bpf/(ecbpf|xdp)")
equal "what there is to do" 13 "$(ecbpf-loader apply -c "$conf" | wc -l)"
equal "check attaches nothing, nor leaves a map" "$before" "$(snapshot | grep -vxE "/sys/fs/bpf/(ecbpf|xdp)")"
equal "apply" "13 changes made" "$(ecbpf-loader apply "$conf" 2>&1)"
first=$(ids)
equal "on each interface" 6 "$(wc -w <<<"$first")"
before=$(snapshot)
says "the second time" "nothing to do" "$conf"
equal "it changed nothing" "$before $first" "$(snapshot) $(ids)"
ecbpf-loader export >"$tmp/export"
says "what is exported is no change" "nothing to do" "$tmp/export"
says "from standard input" "nothing to do" - <"$tmp/export"
equal "nor does that change anything" "$before $first" "$(snapshot) $(ids)"
equal "the constant is exported" 1 "$(grep -c '^malformed_action=1$' "$tmp/export")"

# one line each
sed -i 's/^rate = .*/rate = 50/' "$conf"
says "a setting" "sampler: rate 50, was 100" --diff "$conf"
sed -i 's/^vip = .*/vip = 203.0.113.81/' "$conf"
says "addresses" "filter: add vip 203.0.113.81
filter: remove vip 2001:db8:80::/64
filter: remove vip 203.0.113.80" --diff "$conf"
equal "they touched no program" "$first" "$(ids)"
sed -i 's/^ingress =;d.*/ingress =;d/' "$conf"
says "an interface less" '"e": remove ecbpf_fused' --diff "$conf"
equal "nothing is attached there" "" "$(ip -o link show '"e"' | grep -o 'prog/xdp')"
equal "the others are untouched" 5 "$(comm -12 <(tr ' ' '\n' <<<"$first" | sort) \
	<(ids | tr ' ' '\n' | sort) | wc -l)"
sed -i 's/^malformed_action = .*/malformed_action = XDP_PASS/' "$conf"
equal "a constant" "5 replace" "$(ecbpf-loader apply --diff "$conf" | awk '{ print $2 }' |
	sort | uniq -c | xargs)"
sed -i 's/^stages = .*/stages = count,sampler/' "$conf"
equal "other stages" "5 replace" "$(ecbpf-loader apply --diff "$conf" | awk '{ print $2 }' |
	sort | uniq -c | xargs)"
equal "they run" '["count","sampler"]' \
	"$(ecbpf-loader status -j eth0 | jq -c '[.[].members[].stages[].stage]')"

# what nothing uses is told: an interface that is not there, a stage that does not run
printf '%s\n' '[interfaces]' 'ingress = eth0 none*' 'ingress = no[bc]ond #c' 'egress = gone? "e"' \
	'[chain]' 'stages = count' 'fused = yes' '[filter]' '[fw]' '[stage pass]' >"$tmp/unused.conf"
unused="ecbpf-loader: warning: $tmp/unused.conf"
equal "nothing uses it" "$unused:10: [stage pass] is not used: pass is not among the stages
$unused:2: none*: no such interface
$unused:3: no[bc]ond: no such interface
$unused:4: egress is not used: fastpath is not among the stages
$unused:4: gone?: no such interface
$unused:8: [filter] is not used: filter is not among the stages
$unused:9: [fw] is not used: fw is not among the stages" \
	"$(ecbpf-loader apply -c "$tmp/unused.conf" 2>&1 >"$tmp/out" | sort)"
{
	printf '[interfaces]\ningress ='
	printf ' none%s' {1..40}
	printf '\n'
} >"$tmp/long.conf"
equal "a line that is too long" "ecbpf-loader: $tmp/long.conf:2: ingress: longer than 197 characters; \
several lines of one key add up" "$(ecbpf-loader apply -c "$tmp/long.conf" 2>&1)"
printf '[interfaces]\ningress = eth0\0\n[chain]\n' >"$tmp/long.conf"
equal "a NUL byte" "ecbpf-loader: $tmp/long.conf:2: a NUL byte" \
	"$(ecbpf-loader apply -c "$tmp/long.conf" 2>&1)"
printf '[interfaces]\ningress = eth0, eth1\n[chain]\nstages = fw\n' >"$tmp/long.conf"
equal "interfaces with a comma" "ecbpf-loader: $tmp/long.conf:2: eth0,: no such interface; names are \
separated by blanks" "$(ecbpf-loader apply -c "$tmp/long.conf" 2>&1)"
printf '[interfaces]\ningress = eth0\n[chain]\nstages = fw,pass, fw\nfused = yes\n' >"$tmp/twice.conf"
equal "a stage that is given twice" "ecbpf-loader: warning: $tmp/twice.conf:4: stages: 'fw' is given \
twice, and runs once" "$(ecbpf-loader apply -c "$tmp/twice.conf" 2>&1 >"$tmp/out")"
sed -i 's/^ingress = .*/ingress = none*/; /^\[[fs].*\]$/d; /^egress/d' "$tmp/unused.conf"
equal "no interface at all" "$unused:2: none*: no such interface
$unused:2: ingress: none of these interfaces is there: no stage runs" \
	"$(ecbpf-loader apply -c "$tmp/unused.conf" 2>&1 >"$tmp/out" | grep -v ':3:')"

# lists, rules and the fast path
printf '192.0.2.0/24 scan\n2001:db8:1::/48 - 2090-01-01T00:00:00Z\n' >"$tmp/drop"
printf '192.0.2.1\n' >"$tmp/allow"
cat >"$tmp/rules" <<-'END'
	set peers { 10.0.0.0/8 }
	ip from any to any udp sport 53 drop name "dns"
	ip from !@peers to any tcp dport 22 drop
END
ip link add out0 type veth peer name out1
sed -i "s|^vip = .*|&\ndrop = $tmp/drop\nallow = $tmp/allow|
	s/^ingress =;d/&\negress = out0/
	s/^stages = .*/stages = filter,fw,fastpath,count,sampler/" "$conf"
cat >>"$conf" <<-END
	[fw]
	rules = $tmp/rules
	[fastpath]
	flows = 5000
	lease = 501
	exclude = 10.0.0.0/8 2001:db8::1
END
equal "what there is to do, again" "5 replace
6 add
fw: add rule: ip from !@peers to any tcp dport 22 drop
fw: add rule: ip from any to any udp sport 53 drop name \"dns\"
fw: add set peers" \
	"$(ecbpf-loader apply -c "$conf" | grep -v ^filter | sed '/^fw/!s/^[^ ]*: \([a-z]*\) .*/\1/' |
		sort | uniq -c | sed 's/^ *1 fw/fw/; s/^ *//' | LC_ALL=C sort)"
equal "apply" 16 "$(ecbpf-loader apply --diff "$conf" 2>&1 | wc -l)"
says "the second time, again" "nothing to do" "$conf"
equal "rules" "$(<"$tmp/rules")" "$(ecbpf-fw rule list | sed 1d | tr -d '\n' |
	sed 's/\t/ /g; s/}/ }\n/; s/"dns"/&\n/')"
sed -i 's/^rules = .*/&\nmalformed = pass\nnot-inspected = drop/' "$conf"
says "settings of the firewall" "fw: malformed pass, was drop
fw: not-inspected drop, was pass" --diff "$conf"
equal "they hold" "# malformed=pass not-inspected=drop" "$(ecbpf-fw rule list | head -n 1)"
equal "and are exported" "malformed = pass not-inspected = drop" \
	"$(ecbpf-loader export | sed -n '/^\[fw\]/,/^\[/{/ = /p}' | grep -v rules | paste -sd ' ')"
sed -i '/^malformed = \|^not-inspected = /d' "$conf"
says "without their lines they are the defaults" "fw: malformed drop, was pass
fw: not-inspected pass, was drop" --diff "$conf"
equal "a list" "192.0.2.0/24 scan - 2001:db8:1::/48 - 2090-01-01T00:00:00Z" \
	"$(ecbpf-filter drop list | sed 's/ *#.*//' | xargs)"
equal "the fast path" "5 1 5000" "$(ecbpf-fastpath status -j | jq -r '[
	([.interfaces[] | select(.in)] | length), ([.interfaces[] | select(.in | not)] | length),
	.capacity] | join(" ")')"
# 501 ms are no whole jiffies
lease=$(ecbpf-fastpath status -j | jq .settings.lease)
equal "its lease, not less than it is to be" 1 $((lease >= 501 && lease <= 510))
equal "addresses that it keeps out of" "10.0.0.0/8 2001:db8::1" "$(ecbpf-fastpath exclude list | xargs)"
before=$(snapshot) first=$(ids)
mkdir "$tmp/export.d"
ecbpf-loader export -d "$tmp/export.d" >"$tmp/export"
says "with files, what is exported is no change" "nothing to do" "$tmp/export"
ecbpf-loader export >"$tmp/export2"
says "nor without" "nothing to do" "$tmp/export2"
equal "and changes nothing" "$before $first" "$(snapshot) $(ids)"
sed 's/^rules = .*/rules =/; s/^drop = .*/drop =/' "$tmp/export" >"$tmp/empty.conf"
says "no file is no rule" "filter: drop: 0 added, 2 removed, 0 changed
fw: remove rule: ip from !@peers to any tcp dport 22 drop
fw: remove rule: ip from any to any udp sport 53 drop name \"dns\"
fw: remove set peers, which has 1 prefix" -c "$tmp/empty.conf"

# one line each, of what they name
sed -i 's/"dns"/"DNS"/' "$tmp/rules"
says "a rule" 'fw: add rule: ip from any to any udp sport 53 drop name "DNS"
fw: remove rule: ip from any to any udp sport 53 drop name "dns"' --diff "$conf"
sed -i '1{s/8 }/8, 172.16.0.0\/12 }/;n}; 2h; 2d; 3G' "$tmp/rules"
says "a set, and the order" "fw: another order of rules
fw: set peers: 1 added, 0 removed" --diff "$conf"
printf '198.51.100.0/24 scan\n192.0.2.0/24 spam\n' >"$tmp/drop"
says "a list changed" "filter: drop: 1 added, 1 removed, 1 changed" --diff "$conf"
sed -i 's/^lease = .*/lease = 400/; s/^exclude = .*/exclude = 10.0.0.0\/8/' "$conf"
says "the fast path's settings" "fastpath: exclude 2001:db8::1 no more
fastpath: lease 400, was $lease" --diff "$conf"
sed -i 's/^flows = .*/flows = 9000/' "$conf"
says "its size" "ecbpf-loader: $conf:$(grep -n '^.fastpath' "$conf" | cut -d: -f1): flows: 9000, \
and it is loaded for 5000: 'ecbpf-fastpath unload' first" "$conf"
sed -i 's/^flows = .*/flows = 5000/; s/^egress = .*/egress = out1/' "$conf"
says "where packets leave" "out0: remove the fast path's TC program
out1: add the fast path's TC program" --diff "$conf"
equal "they touched no program" "$first" "$(ids)"
equal "rules in metrics" 1 "$(ecbpf-loader metrics | grep -c '^ecbpf_rule_packets_total{rule="DNS"} 0$')"
equal "the fast path in metrics" 1 "$(ecbpf-loader metrics | grep -c '^ecbpf_fastpath_on 1$')"

# failures: nothing is as the file says
rm -r "$tmp/export.d"
mkdir "$tmp/export.d"
ecbpf-loader export -d "$tmp/export.d" >"$tmp/export"
sed 's/^fused = .*/fused = no/; s/^rate = .*/rate = 7/; s/^frags = .*/frags = pass/
	s/^drop = .*/drop =/; s/^rules = .*/rules =/; s/^lease = .*/lease = 700/
	s/^egress = .*/egress = out0 out1/' "$conf" >"$tmp/chained.conf"
first=$(ids)
if ecbpf-loader apply "$tmp/chained.conf" >"$tmp/out" 2>&1; then
	skip "rolled back" "programs can be chained here: testing/vm/tests/config.sh"
	ecbpf-loader apply "$conf" >"$tmp/out"
else
	mv "$tmp/export.d" "$tmp/before.d"
	mkdir "$tmp/export.d"
	ecbpf-loader export -d "$tmp/export.d" >"$tmp/export2"
	equal "rolled back" "" "$(diff "$tmp/export" "$tmp/export2")"
	equal "lists and rules, too" "" "$(diff -r "$tmp/before.d" "$tmp/export.d")"
	equal "no program was touched" "$first" "$(ids)"
	equal "one line says why" 1 "$(grep -c . "$tmp/out")"
fi

sed -i "s/^stages = .*/stages = filter,fw,count,sampler/; /^egress/d; /^.fastpath/,\$d" "$conf"
says "without the fast path" "$({
	printf '%s: remove the fast path\x27s TC program\n' "${ifaces[@]:0:5}" out1
	printf '%s: replace ecbpf_fused: other code or constants, priority 50\n' "${ifaces[@]:0:5}"
	echo "remove the fast path's table of flows"
} | sort)" --diff "$conf"
equal "nothing of it is left" "" "$(find /sys/fs/bpf -name 'fastpath*')"

# metrics
ecbpf-loader metrics >"$tmp/metrics"
equal "each sample once" "" "$(grep -v '^#' "$tmp/metrics" | sed 's/ [0-9]*$//' | sort | uniq -d)"
equal "each interface" 5 "$(grep -c '^ecbpf_packets_total{.*stage="count",action="XDP_DROP"' \
	"$tmp/metrics")"
equal "a name of any shape" 1 "$(grep -c 'total{interface=";d".*stage="count",action="XDP_TX"' \
	"$tmp/metrics" | awk '{ print $1 / 2 }')"
equal "of one interface: nothing of others" "" "$(ecbpf-loader metrics eth0 | grep 'interface=' |
	grep -v 'interface="eth0"')"
equal "-o -: standard output" "$(ecbpf-loader metrics eth0 | wc -l)" \
	"$(cd "$tmp" && ecbpf-loader metrics -o - eth0 | wc -l; ls "$tmp/-" 2>/dev/null)"
ecbpf-loader metrics -o "$tmp/ecbpf.prom" eth0
equal "in a file" "644 $(grep -c 'interface="eth0"' "$tmp/metrics")" \
	"$(stat -c %a "$tmp/ecbpf.prom") $(grep -c 'interface="eth0"' "$tmp/ecbpf.prom")"
equal "what status says" "$(ecbpf-loader status -j eth0 |
	jq '.[].members[].stages[] | select(.stage == "count") | .actions.XDP_PASS.packets')" \
	"$(ecbpf-loader metrics eth0 | sed -n \
		's/^ecbpf_packets_total{.*stage="count",action="XDP_PASS"} //p')"
# A second opinion: Prometheus. It reads them from a file behind an HTTP server, and is asked for
# the sum of all
if prometheus=$("$top/testing/lib/prometheus" 2>"$tmp/out"); then
	equal "promtool" "" "$("$prometheus/promtool" check metrics <"$tmp/metrics" 2>&1)"
	mkdir "$tmp/www"
	peer=$(ip -o link show eth0 | sed 's/.*eth0@\([^:]*\):.*/\1/')
	ip link set "$peer" up
	"$top/testing/lib/fw_send.py" "$peer" 50 >/dev/null
	sleep 1
	ip link set "$peer" down
	ecbpf-loader metrics -o "$tmp/www/metrics.txt"
	printf '%s\n' 'scrape_configs:' '- job_name: ecbpf' '  scrape_interval: 1s' \
		'  metrics_path: /metrics.txt' '  static_configs:' \
		'  - targets: ["127.0.0.1:9199"]' >"$tmp/prometheus.yml"
	/usr/bin/python3 -m http.server -b 127.0.0.1 -d "$tmp/www" 9199 >"$tmp/http.log" 2>&1 &
	defer kill $!
	"$prometheus/prometheus" --config.file="$tmp/prometheus.yml" \
		--storage.tsdb.path="$tmp/tsdb" --web.listen-address=127.0.0.1:9090 \
		>"$tmp/prometheus.log" 2>&1 &
	defer kill $!
	query='sum({__name__=~"ecbpf_.*"})'
	for ((i = 0; i < 60; i++)); do
		read_back=$(curl -sfG --data-urlencode "query=$query" \
			http://127.0.0.1:9090/api/v1/query | jq -r '.data.result[0].value[1] // ""' || :)
		[[ ! $read_back ]] || break
		sleep 0.5
	done
	equal "what Prometheus has read" "$(grep -v '^#' "$tmp/www/metrics.txt" |
		awk '{ sum += $NF } END { print sum }')" "$read_back"
	query='count({__name__=~"ecbpf_.*"})'
	equal "each of them" "$(grep -vc '^#' "$tmp/www/metrics.txt")" \
		"$(curl -sfG --data-urlencode "query=$query" http://127.0.0.1:9090/api/v1/query |
			jq -r '.data.result[0].value[1]')"
else
	skip "Prometheus" "$(tail -n 1 "$tmp/out")"
fi

# statsd: what is sent says what the text says, as one reads it who knows the rule of the manual
ecbpf-loader metrics >"$tmp/metrics"
/usr/bin/python3 - "$tmp/metrics" 2>"$tmp/out" <<-'END' || :
	import re, socket, subprocess, sys

	want = {}
	for line in open(sys.argv[1]):
	    match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\d+)\n", line)
	    if match:
	        words = [re.sub(r"\\(.)", r"\1", word)
	                 for word in re.findall(r'="((?:[^"\\]|\\.)*)"', match[2] or "")]
	        name = ".".join([match[1]] + [re.sub("[^A-Za-z0-9-]", "_", word) for word in words])
	        want[name[:250]] = match[3]
	have = {}
	with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
	    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
	    server.bind(("::1", 0))
	    server.settimeout(0.2)
	    subprocess.run(["ecbpf-loader", "metrics", "--statsd", f"[::1]:{server.getsockname()[1]}"],
	                   check=True)
	    try:
	        while True:
	            datagram = server.recv(65536)
	            assert len(datagram) <= 1432, len(datagram)
	            for line in datagram.decode().splitlines():
	                name, value = re.fullmatch(r"([\w.-]+):(\d+)\|g", line).groups()
	                assert name not in have, name
	                have[name] = value
	    except TimeoutError:
	        pass
	wrong = {name: (want.get(name), have.get(name)) for name in want.keys() | have.keys()
	         if want.get(name) != have.get(name)}
	assert len(want) > 100, want
	assert not wrong, wrong
	END
equal "gauges for statsd" "" "$(tail -n 1 "$tmp/out")"
equal "nobody listens" "1 ecbpf-loader: --statsd: '127.0.0.1:9': Connection refused" \
	"$(ecbpf-loader metrics --statsd 127.0.0.1:9 2>"$tmp/out" || echo "$? $(head -n 1 "$tmp/out")")"
equal "no port" "2 ecbpf-loader: --statsd: 'localhost' is not HOST:PORT" \
	"$(ecbpf-loader metrics --statsd localhost 2>"$tmp/out" || echo "$? $(head -n 1 "$tmp/out")")"

ip link add twice0 type veth peer name ytwice0
equal "a fused stage given twice" "1 ecbpf-loader: fused: 'count' is given twice" \
	"$(ecbpf-loader load --fused count,pass,count twice0 2>"$tmp/out" ||
		echo "$? $(head -n 1 "$tmp/out")")"
ip link del twice0

# the shipped file shows defaults, and on-stop is what --stop asks for
head='[interfaces]\ningress = eth0\n[chain]\nstages = filter,fw,fastpath,sampler\nfused = yes\n'
printf '%b' "$head" '[filter]\n[fastpath]\nflows = 5000\n[sampler]\n' >"$tmp/heads.conf"
ecbpf-loader apply "$tmp/heads.conf" >"$tmp/out"
{
	printf '%b' "$head"
	sed -n '/^#\[filter\]/,$p' "$top/packaging/ecbpf.conf" |
		sed -nE 's/^#?(\[|[a-z0-9-]+ = )/\1/p' |
		grep -vE '^(vip|drop|allow|rules|exclude) = ' | sed 's/^flows = .*/flows = 5000/'
} >"$tmp/shown.conf"
equal "there are values in it" 40 "$(grep -c ' = ' "$tmp/shown.conf")"
says "what is shown is the default" "nothing to do" "$tmp/shown.conf"
# each of them, changed, says itself alone
sed 's/^stages = .*/stages = filter,fw,fastpath,sampler/' "$tmp/shown.conf" >"$tmp/lines.conf"
ecbpf-loader apply "$tmp/lines.conf" >"$tmp/out"
first=$(ids) changes=0 wrong='' section=''
while IFS=: read -r number line; do
	[[ $line != \[* ]] || { section=$line; continue; }
	key=${line%% = *} value=${line#* = }
	case $section$key=$value in
	# what is not a setting, see above
	\[interfaces]* | \[chain]* | *]flows=*) continue ;;
	*]monitor=off | *]routed=off | *]limit=off) other=on ;;
	"[fw]malformed=drop") other=pass ;;
	*=off | *=pass) other=drop ;;
	*=drop) other=count ;;
	*=0) other=8 ;;
	*) other=$((value / 2)) ;;
	esac
	sed -i "${number}s/.*/$key = $other/" "$tmp/lines.conf"
	out=$(ecbpf-loader apply --diff "$tmp/lines.conf" 2>&1) || :
	[[ $out =~ ^[a-z]+": $key $other, was $value"$ ]] || wrong+="$section $key = $other: $out; "
	changes=$((changes + 1))
done < <(grep -n ' = \|^\[' "$tmp/lines.conf")
equal "settings, each changed, say themselves alone" "" "$wrong"
equal "all of them" 1 $((changes > 30))
equal "no program was touched" "$first" "$(ids)"
ecbpf-loader apply "$tmp/shown.conf" >"$tmp/out"
printf '[chain]\non-stop = leave\n' >"$tmp/leave.conf"
first=$(ids)
equal "stop, and leave" "nothing to do" "$(ecbpf-loader apply --stop "$tmp/leave.conf")"
equal "it is left" "$first" "$(ids)"
# the host's addresses and IPVS's services are no part of it, and known all the same
addresses()
{
	bpftool map dump pinned "/sys/fs/bpf/ecbpf/filter_addrs" -j | jq length
}
before=$(addresses)
ip address add 198.51.100.99/32 dev eth0
says "an address more is no change" "nothing to do" "$tmp/shown.conf"
equal "and is known" $((before + 1)) "$(addresses)"
ip address delete 198.51.100.99/32 dev eth0
equal "refresh" "" "$(ecbpf-loader refresh -q 2>&1)"
equal "and known no more" "$before" "$(addresses)"

# a TC program of another version: its note says another fingerprint
tc_id()
{
	tc -j filter show dev eth0 egress | jq '[.. | .prog? // empty | .id][0]'
}
id=$(tc_id)
map=$(bpftool prog show id "$id" -j | jq -r '.map_ids[]' | while read -r map; do
	[[ $(bpftool map show id "$map" -j | jq -r .name) != ecbpf_loaded ]] || echo "$map"
done)
bpftool map lookup id "$map" key 0 0 0 0 -j | jq -r '.value | .[0] = "0x00" | .[1] = "0x00" | .[]' |
	xargs bpftool map update id "$map" key 0 0 0 0 value
says "another version's TC program is seen" "eth0: replace the fast path's TC program: other code" \
	-c "$tmp/shown.conf"
equal "by the doctor, too" 1 "$(ecbpf-loader doctor -v 2>&1 | grep -c 'of another version')"
equal "and replaced" "1 change made" "$(ecbpf-loader apply "$tmp/shown.conf")"
equal "by another" 1 $(($(tc_id) != id))
says "once" "nothing to do" "$tmp/shown.conf"

# killed while it added a port: its TC program is there, and no entry in the devmap
bpftool map delete pinned "/sys/fs/bpf/ecbpf/fastpath_ports" key "$(cat /sys/class/net/eth0/ifindex)" 0 0 0
says "half a port is seen" "eth0: add the fast path's TC program" -c "$tmp/shown.conf"
equal "by the doctor, too" 1 "$(ecbpf-loader doctor -v 2>&1 | grep -c 'forwards nothing to it')"
equal "and mended" "1 change made" "$(ecbpf-loader apply "$tmp/shown.conf")"
says "once more" "nothing to do" "$tmp/shown.conf"

# export: where it is started from says nothing to who reads it later
mkdir "$tmp/here" "$tmp/not here"
printf '203.0.113.0/24\n' | ecbpf-filter drop import -f - >"$tmp/out" 2>&1
(cd "$tmp/here" && ecbpf-loader export -d . >here.conf)
says "what is exported to a relative path is no change" "nothing to do" "$tmp/here/here.conf"
# one of its files cannot be written: none is
ecbpf-filter drop add 203.0.113.128/25
rm "$tmp/here/fw.rules"
mkdir "$tmp/here/fw.rules"
equal "a directory is where the rules are to go" "1 203.0.113.0/24 fw.rules" "$(
	ecbpf-loader export -d "$tmp/here" >"$tmp/out" 2>&1 || echo -n "$? "
	echo -n "$(grep -o '^203[^ ]*' "$tmp/here/drop.list") "
	cd "$tmp/here" && find . -mindepth 1 ! -name '*.list' ! -name here.conf -printf '%P')"
rmdir "$tmp/here/fw.rules"
equal "without it, all are" "203.0.113.0/24 203.0.113.128/25 fw.rules" "$(
	ecbpf-loader export -d "$tmp/here" >"$tmp/out" 2>&1
	grep -o '^203[^ ]*' "$tmp/here/drop.list" | xargs echo -n
	cd "$tmp/here" && find . -mindepth 1 ! -name '*.list' ! -name here.conf -printf ' %P')"
# nor where the file system has no hard links, and the second of them cannot be written
sums() { (cd "$tmp/here" && find . -type f -printf '%p %m %u ' -exec sha256sum {} \; | sort); }
ecbpf-filter drop add 203.0.113.192/26
chmod 640 "$tmp/here/"*.list "$tmp/here/fw.rules"
before=$(sums)
for call in 1 2 3; do
	equal "no hard links, file $call fails: none is written" "1 $before" "$(
		strace -o /dev/null -e inject=link:error=EPERM \
			-e inject="rename:error=ENOSPC:when=$call" \
			ecbpf-loader export -d "$tmp/here" >"$tmp/out" 2>&1 || echo -n "$? "
		sums)"
done
works "no hard links: all are written" strace -o /dev/null -e inject=link:error=EPERM \
	ecbpf-loader export -d "$tmp/here"
equal "no hard links: the list" 1 "$(grep -c '^203.0.113.192/26' "$tmp/here/drop.list")"
ecbpf-filter drop delete 203.0.113.192/26
ecbpf-filter drop delete 203.0.113.128/25
equal "a directory with a blank" "1 ecbpf-loader: $tmp/not here: a configuration cannot name files \
there: no blanks, no ; or \", 150 characters at most" \
	"$(ecbpf-loader export -d "$tmp/not here" 2>"$tmp/out" || echo "$? $(head -n 1 "$tmp/out")")"

# what runs nowhere is left out: apply would warn of its section
ecbpf-loader export -d "$tmp/here" | sed '/^egress/d; /^\[fastpath/,/^$/d; s/^stages = .*/stages = count/; /^\[stage/,/^$/d' \
	>"$tmp/count.conf"
ecbpf-loader apply "$tmp/count.conf" >"$tmp/out" 2>&1
ecbpf-loader export -d "$tmp/here" >"$tmp/export"
says "sections of stages that do not run are not exported" "nothing to do" "$tmp/export"
equal "and are named" "# [filter] is not exported: filter runs on no interface" \
	"$(grep '^# .filter. is' "$tmp/export")"
# a program that somebody took off
ip link set eth0 xdp off
equal "what is declared and gone is an error" "ecbpf-loader: eth0: count is to run there, and is not \
attached, so the export would lack it: 'ecbpf-loader doctor eth0' says what to do 1" \
	"$(status=0; out=$(ecbpf-loader export 2>&1) || status=$?; echo "$out $status")"
ecbpf-loader apply "$tmp/here/here.conf" >"$tmp/out" 2>&1

# who wants out is not asked for rules that can be read
{
	cat "$tmp/heads.conf"
	printf '[fw]\nrules = %s/nosuch\n' "$tmp"
} >"$tmp/broken.conf"
equal "apply is refused" 1 "$(ecbpf-loader apply "$tmp/broken.conf" >"$tmp/out" 2>&1 || echo $?)"
equal "stop is not" "2 changes made" "$(ecbpf-loader apply --stop "$tmp/broken.conf" | sed 's/^3/2/')"
equal "it is gone" "" "$(ids)"

# in one program, the list alone is the order
printf '%b' '[interfaces]\ningress = eth0\n[chain]\nstages = count,fw\nfused = yes\n' >"$tmp/order.conf"
equal "another order than that of priorities" 0 \
	"$(ecbpf-loader apply "$tmp/order.conf" >"$tmp/out" 2>&1 && echo 0)"
ecbpf-loader export >"$tmp/order.export"
equal "and its export" "nothing to do" "$(ecbpf-loader apply "$tmp/order.export" 2>"$tmp/out")"
ecbpf-loader apply --stop "$tmp/order.conf" >"$tmp/out"

# a first apply that fails leaves nothing
ecbpf-loader clean --all >"$tmp/out" </dev/null
equal "nothing is pinned" "" "$(find /sys/fs/bpf -mindepth 2 ! -type d)"
sed 's/fused = yes/&\nmode = native/; s/= eth0/= eth0 lo/' "$tmp/heads.conf" >"$tmp/lo.conf"
if ecbpf-loader apply "$tmp/lo.conf" >"$tmp/out" 2>&1; then
	fail "native mode on lo" "it succeeded"
else
	equal "and it still is not" "" "$(find /sys/fs/bpf -mindepth 2 ! -type d)"
fi
ecbpf-loader apply "$conf" >"$tmp/out"

printf '[interfaces]\ningress =\n' >"$tmp/none.conf"
equal "none" "5 changes made" "$(ecbpf-loader apply "$tmp/none.conf" 2>"$tmp/out")"
equal "nothing is attached" "" "$(ip -o link | grep -o 'prog/xdp')"
equal "and that is said" 1 "$(ecbpf-loader apply "$conf" >"$tmp/out" 2>&1
	ecbpf-loader apply "$tmp/none.conf" 2>&1 | grep -c "none.conf: .* no interface")"

# --- the installed files --------------------------------------------------------------------------

# What is not said must not be taken for what could not be read: programs would be removed
etc=$(dirname "$(command -v ecbpf-loader)")/../etc/ecbpf
etc=$(realpath "$etc")
mkdir -p "$tmp/etc/conf.d"
mount --bind "$tmp/etc" "$etc"
printf '[interfaces]\ningress = eth0\n[chain]\nstages = count\nfused = yes\n' >"$etc/ecbpf.conf"
printf '[interfaces]\ningress = a,b\n' >"$etc/conf.d/10-if.conf"
printf '[interfaces]\ningress =\n' >"$etc/conf.d/.hidden.conf"
printf '[interfaces]\ningress =\n' >"$etc/conf.d/20-none.conf.dpkg-old"
mkdir "$tmp/whole"
cp -a "$etc/." "$tmp/whole"
equal "ecbpf.conf and conf.d" "2 changes made" "$(ecbpf-loader apply)"
first=$(ids)

# refused NAME TEXT COMMAND...: it changes nothing
refused()
{
	local status=0
	timeout 20 "${@:3}" >"$tmp/out" 2>&1 || status=$?
	equal "$1: refused" "1 1" "$status $(grep -c -- "$2" "$tmp/out")"
	equal "$1: nothing is changed" "$first" "$(ids 2>"$tmp/out")"
}

# broken NAME TEXT HOW
broken()
{
	(cd "$etc" && eval "$3")
	refused "$1" "$2" ecbpf-loader apply
	find "$etc" -mindepth 1 -delete
	cp -a "$tmp/whole/." "$etc"
}
where="ecbpf-loader: $etc/conf.d"
listed="cannot be listed"
allowed="a directory, or not to be there"
broken "a loop of links" "$where: $listed: Too many .*$allowed" 'rm -r conf.d; ln -s conf.d conf.d'
broken "a link to nothing" "$where: $listed: No such .*$allowed" 'rm -r conf.d; ln -s nosuch conf.d'
broken "a file" "$where: $listed: Not a directory.*$allowed" 'rm -r conf.d; touch conf.d'
broken "a FIFO" "$where: $listed: Not a directory.*$allowed" 'rm -r conf.d; mkfifo conf.d'
for call in openat=EACCES openat=EMFILE getdents64=EIO fstat,newfstatat=EIO; do
	refused "$call" "$where: $listed: " strace -f -o /dev/null -P "$etc/conf.d" \
		-e inject="${call%=*}:error=${call#*=}" ecbpf-loader apply
done
broken "a file of it that leads nowhere" "$where/10-if.conf: No such file" \
	'ln -sf nosuch conf.d/10-if.conf'
broken "a directory in it" "$where/10-if.conf: Is a directory" \
	'rm conf.d/10-if.conf; mkdir conf.d/10-if.conf'
broken "a FIFO in it" "$where/10-if.conf: not a regular file" \
	'rm conf.d/10-if.conf; mkfifo conf.d/10-if.conf'
broken "an empty file in it" "$where/10-if.conf: no section: .* remove it" ': >conf.d/10-if.conf'
broken "a FIFO as ecbpf.conf" "ecbpf-loader: $etc/ecbpf.conf: not a regular file" \
	'rm ecbpf.conf; mkfifo ecbpf.conf'
broken "an empty ecbpf.conf" "ecbpf-loader: $etc/ecbpf.conf: no section" ': >ecbpf.conf'
broken "a blank ecbpf.conf" "ecbpf-loader: $etc/ecbpf.conf: no section" 'echo >ecbpf.conf'
broken "one that is cut behind 'stages ='" "ecbpf.conf:2: ingress: .* neither stages" \
	'printf "[interfaces]\ningress = eth0\n[chain]\nstages =" >ecbpf.conf; rm -r conf.d'
equal "whole" "nothing to do" "$(ecbpf-loader apply)"
equal "from a process" "nothing to do" "$(ecbpf-loader apply <(cat "$etc"/ecbpf.conf "$etc"/conf.d/*.conf))"
equal "from /dev/stdin" "nothing to do" \
	"$({ sleep 0.2; cat "$etc"/ecbpf.conf "$etc"/conf.d/*.conf; } | ecbpf-loader apply /dev/stdin)"
rm "$etc/ecbpf.conf"
ln -s nosuch "$etc/ecbpf.conf"
equal "doctor: ecbpf.conf leads nowhere" 1 "$(ecbpf-loader doctor 2>&1 | grep -c 'ecbpf.conf: No such file')"
cp -a --remove-destination "$tmp/whole/ecbpf.conf" "$etc"
rm -r "$etc/conf.d"
equal "no conf.d" "1 change made" "$(ecbpf-loader apply)"
ecbpf-loader apply --stop >"$tmp/out"
cp "$top/packaging/ecbpf.conf" "$etc"
equal "as it is installed" 0 "$(ecbpf-loader apply >"$tmp/out" 2>&1 && echo 0)"
umount "$etc"
summary
