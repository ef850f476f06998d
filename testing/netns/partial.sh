#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Checksums that a sender behind a veth leaves to the card: the fast path recognises each of them,
# whatever the kernel sends, and takes no complete one for such; in a flow that it forwards, too.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/fw.sh
. "$(dirname "$0")/../lib/fw.sh"
require_cmd ethtool

fw_pair

# traffic: TCP and UDP of many sizes, both families, from the peer
traffic()
{
	ns peer /usr/bin/python3 - <<-'END'
		import socket, time
		for family, address in (socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"):
		    udp = socket.socket(family, socket.SOCK_DGRAM)
		    for size in range(1, 1400, 7):
		        udp.sendto(bytes(size), (address, 9))
		    tcp = socket.create_connection((address, 5001))
		    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
		    for size in range(1, 1400, 7):
		        tcp.send(bytes(size))
		        time.sleep(0.0005)
		    tcp.close()
	END
}

# reason NAME: how often it was counted
reason()
{
	ecbpf-loader status -j fw0 | jq --arg name "$1" '[.[0].members[].stages[] |
		select(.stage == "fastpath") | .reasons[$name].packets // 0] | add'
}

/usr/bin/python3 - >"$work/sink" <<-'END' &
	import socket, threading
	def serve(server):
	    while True:
	        conn, _ = server.accept()
	        while conn.recv(1 << 16):
	            pass
	for family, address in (socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"):
	    server = socket.create_server((address, 5001), family=family)
	    threading.Thread(target=serve, args=[server]).start()
	print("ready", flush=True)
END
sink=$!
defer kill "$sink"
until grep -qs ready "$work/sink"; do sleep 0.1; done

says='a veth passes packets on before their checksum is complete'
for mode in native skb; do
	# the warning is on standard error, the command is fine
	out=$(ecbpf-fastpath load --in fw0 --fused -m "$mode" --flows 1000 2>&1)
	if [[ $out == *"$says"* ]]; then
		pass "$mode: load warns"
	else
		fail "$mode: load warns" "it says '$out'"
	fi
	ns peer ethtool -K fw1 tx on >/dev/null
	traffic
	partial=$(reason fastpath-partial)
	# 400 datagrams, and of TCP the segments with data, of which the kernel may merge some
	if ((partial >= 500)); then
		pass "$mode: recognised"
	else
		fail "$mode: recognised" "$partial"
	fi
	# but for acknowledgements out of TIME-WAIT, which the kernel makes complete
	if (($(reason fastpath-unknown) <= 6)); then
		pass "$mode: all of them"
	else
		fail "$mode: all of them" "$(reason fastpath-unknown) were not"
	fi
	ecbpf-loader status --clear fw0 >/dev/null
	ns peer ethtool -K fw1 tx off >/dev/null
	traffic
	# one of 65,535 complete ones looks like it
	partial=$(reason fastpath-partial)
	if ((partial <= 2 && $(reason fastpath-unknown) >= 500)); then
		pass "$mode: complete ones are not taken for it"
	else
		fail "$mode: complete ones are not taken for it" \
			"$partial, and $(reason fastpath-unknown) complete"
	fi
	ecbpf-fastpath unload
done

# --- in flows with a lease ------------------------------------------------------------------------

ns_add server
ip link add srv0 type veth peer name srv1 netns server
ip address add 198.51.100.1/24 dev srv0
ip address add 2001:db8:2::1/64 dev srv0 nodad
ip link set srv0 up
ns server ip address add 198.51.100.2/24 dev srv1
ns server ip address add 2001:db8:2::2/64 dev srv1 nodad
ns server ip link set srv1 up
for family in -4 -6; do
	gateway=192.0.2. net=198.51.100.
	[[ $family == -4 ]] || gateway=2001:db8:: net=2001:db8:2::
	ns peer ip "$family" route add default via "${gateway}1"
	ns server ip "$family" route add default via "${net}1"
done
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
# a veth takes redirected packets where the other end has an XDP program
ns server ecbpf-loader load --fused pass srv1
ecbpf-fastpath load --in fw0 --out srv0 --fused --flows 1000 2>/dev/null
# there is no IPVS here; the lease must hold while ethtool works
ecbpf-fastpath set routed=on lease=60000 sample=30000 inactive=60000

# It tells its client how much has come. By nsenter: the process to end is python3 itself
nsenter --net=/run/netns/server -- /usr/bin/python3 - >"$work/server" <<-'END' &
	import socket
	server = socket.create_server(("::", 5002), family=socket.AF_INET6, dualstack_ipv6=True)
	print("ready", flush=True)
	while True:
	    conn, _ = server.accept()
	    got = 0
	    while data := conn.recv(1 << 16):
	        got += len(data)
	        conn.send(b"%d\n" % got)
END
server=$!
defer kill "$server"
until grep -qs ready "$work/server"; do sleep 0.1; done

for address in 198.51.100.2 2001:db8:2::2; do
	ecbpf-loader status --clear fw0 >/dev/null
	came=$(ns peer /usr/bin/python3 - "$address" <<-'END'
		import socket, subprocess, sys
		conn = socket.create_connection((sys.argv[1], 5002))
		conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
		conn.settimeout(20)
		answers, sent = conn.makefile(), 0
		for tx in "off", "on":
		    subprocess.run(["ethtool", "-K", "fw1", "tx", tx], check=True, capture_output=True)
		    for _ in range(100):
		        sent += conn.send(bytes(400))
		        while int(answers.readline()) < sent:
		            pass
		print(sent)
	END
	) || :
	check "$address: all of it comes" 80000 "$came"
	forwarded=$(reason fastpath-lease) partial=$(reason fastpath-partial)
	if ((forwarded >= 80 && partial >= 80)); then
		pass "$address: complete ones are forwarded, the others are not"
	else
		fail "$address: complete ones are forwarded, the others are not" \
			"$forwarded forwarded, $partial partial"
	fi
done
ecbpf-fastpath unload
summary
