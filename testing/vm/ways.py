#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Packets of one flow that come in by several ways, only the first of which is the flow's own.

    ways.py receive IFACE FILE: until SIGTERM; into FILE how many came of each way
    ways.py send IFACE DEST VIP COUNT [IFACE2 DEST2]: a SYN; then to this Ethernet address; to
        another one; in a VLAN; by another interface, if there is one
    ways.py reset IFACE DEST VIP COUNT: a RST to the client, as if from VIP, with a wrong sequence
        number; then packets to this Ethernet address
    ways.py tags IFACE FILE: until SIGTERM, IPv4 packets of the client; into FILE, for each tag, how
        many came with it: "count protocol VLAN"

Sequence numbers say which way. The client is 198.51.100.77 or 2001:db8:1::77, port 4077.
"""
import collections
import signal
import socket
import struct
import sys
import time

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

SOURCE, OTHER, PORT = "02:ec:bf:00:01:02", "02:ec:bf:00:00:55", 4077


def open_socket(name, proto=0):
    """Of an interface"""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(proto))
    sock.bind((name, 0))
    return sock


def frame(ether, vip, flags, seq):
    """A packet from the client, or with flag R to it"""
    client = "2001:db8:1::77" if ":" in vip else "198.51.100.77"
    source, dest = (vip, client) if flags == "R" else (client, vip)
    sport, dport = (80, PORT) if flags == "R" else (PORT, 80)
    net = IPv6(src=source, dst=dest, hlim=64) if ":" in vip else \
        IP(src=source, dst=dest, ttl=64, id=seq & 0xffff, flags="DF")
    return bytes(ether / net / TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=1))


def receive(iface, path):
    """See above"""
    sock, seen = open_socket(iface, 3), [0] * 5
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        print("ready", flush=True)
        while True:
            packet = Ether(sock.recv(2000))
            if TCP in packet and packet[TCP].sport == PORT and packet[TCP].flags == "A":
                seen[packet[TCP].seq >> 16] += 1
    finally:
        with open(path, "w", encoding="ascii") as file:
            print(*seen[1:], file=file)


def tags(iface, path):
    """See above"""
    sock, seen = open_socket(iface, 3), collections.Counter()
    sock.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the kernel has taken the tag off
    sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        print("ready", flush=True)
        while True:
            packet, more, *_ = sock.recvmsg(2000, 100)
            if packet[12:14] != b"\x08\0" or packet[26:30] != socket.inet_aton("198.51.100.77"):
                continue
            tci, proto = struct.unpack("=HH", more[0][2][16:20])
            seen[f"{proto:#06x} {tci & 0xfff}"] += 1
    finally:
        with open(path, "w", encoding="ascii") as file:
            for tag, count in seen.items():
                print(count, tag, file=file)


def send(iface, dest, vip, count, iface2=None, dest2=None):
    """See above"""
    sock, plain = open_socket(iface), Ether(dst=dest, src=SOURCE)
    ways = [(sock, plain), (sock, Ether(dst=OTHER, src=SOURCE)), (sock, plain / Dot1Q(vlan=7))]
    if iface2:
        ways.append((open_socket(iface2), Ether(dst=dest2, src=SOURCE)))
    sock.send(frame(plain, vip, "S", 1))
    time.sleep(0.2)
    for number in range(int(count)):
        for way, (out, ether) in enumerate(ways, 1):
            out.send(frame(ether, vip, "A", way << 16 | number))
            time.sleep(0.002)


def reset(iface, dest, vip, count):
    """See above"""
    sock, plain = open_socket(iface), Ether(dst=dest, src=SOURCE)
    sock.send(frame(plain, vip, "R", 99))
    time.sleep(0.5)
    for number in range(int(count)):
        sock.send(frame(plain, vip, "A", 1 << 16 | number))
        time.sleep(0.01)


def main():
    """See above"""
    {"receive": receive, "send": send, "reset": reset, "tags": tags}[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
