#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Packets that the stack has merged to more than 65,535 bytes (BIG TCP), as XDP sees them in skb
# mode: length fields are 0. They are not malformed, rules match them, and limits count all of
# their bytes.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/fw.sh
. "$(dirname "$0")/../lib/fw.sh"

fw_pair
ns peer /usr/bin/python3 "$here/big_tcp.py" fw1 196608 || skip_all "this kernel has no BIG TCP"

# transfer ADDRESS BYTES SECONDS: from the peer to here. Prints how many bytes came
transfer()
{
	/usr/bin/python3 - "$@" <<-'END'
		import socket, subprocess, sys, threading, time
		address, size, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
		family = socket.AF_INET6 if ":" in address else socket.AF_INET
		server = socket.create_server((address, 5001), family=family)
		client = subprocess.Popen(["nsenter", "--net=/run/netns/peer", sys.executable, "-c", f"""
		import socket
		s = socket.create_connection(({address!r}, 5001))
		left = {size}
		while left:
		    left -= s.send(bytes(min(left, 1 << 20)))
		""".replace("\n\t\t", "\n")], stderr=subprocess.DEVNULL)
		conn, _ = server.accept()
		conn.settimeout(1)
		got, end = 0, time.monotonic() + seconds
		while got < size and time.monotonic() < end:
		    try:
		        data = conn.recv(1 << 20)
		    except TimeoutError:
		        continue
		    if not data:
		        break
		    got += len(data)
		client.kill()
		client.wait()
		print(got)
	END
}

size=50000000
counted_bytes() { fw stats -j | jq "[.[] | select(.name == \"$1\").bytes] | add"; }
printf '%s\n' 'packet length 0-65535 ip from any to any tcp count name "small"' \
	'ip from any to any tcp dport 5001 count name "all4"' \
	'ip6 from any to any tcp dport 5001 count name "all6"' >"$work/rules"
fw load --fused -m skb -f "$work/rules" fw0
for family in 4 6; do
	address=192.0.2.1
	[[ $family == 4 ]] || address=2001:db8::1
	fw stats --clear
	check "IPv$family: all of it comes" "$size" "$(transfer "$address" "$size" 20)"
	got=$(counted_bytes "all$family")
	if ((got >= size)); then
		pass "IPv$family: rules match all of it"
	else
		fail "IPv$family: rules match all of it" "$got of $size bytes"
	fi
done
check "there are longer ones than 65535" true "$(fw stats -j |
	jq '.[] | select(.name == "all6") | .bytes / .packets > 20000')"
check "nothing is malformed" 0 "$(ecbpf-loader status -j fw0 |
	jq '[.[0].members[0].stages[0].reasons[].packets] | add // 0')"

for rule in 'ip from any to any' 'ip6 from any to any'; do
	echo "$rule tcp dport 5001 limit 8Mbit/s burst 400000" >"$work/rules"
	fw apply -f "$work/rules"
	address=192.0.2.1
	[[ $rule == 'ip '* ]] || address=2001:db8::1
	got=$(transfer "$address" 400000000 3)
	# a million bytes a second, and the burst
	if ((got < 5000000)); then
		pass "$rule: the limit counts it"
	else
		fail "$rule: the limit counts it" "$got bytes in 3 s"
	fi
done
fw unload
summary
