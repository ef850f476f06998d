#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Many live flows while something happens to them: a real server goes, a flood comes.

    failover.py send IFACE DEST VIP FIRST FLOWS RATE
        begin FLOWS connections, of ports from FIRST on, and print "ready"; then send packets of
        them in turn, RATE a second, each with the time it is sent at, until SIGTERM; print how many
    failover.py storm IFACE DEST VIP RATE SECONDS syn|ack
        SYNs or ACKs of connections that nobody has begun, from 198.18.0.0/15; print how many
    failover.py capture IFACE FILE
        these packets, as they come in, until SIGTERM
    failover.py late NANOSECONDS FILE
        of the packets sent after this time (CLOCK_MONOTONIC), how many have arrived here, and how
        much later the last of them was sent, in ms: "3 97.1"; "0 0.0" if there are none
    failover.py flows NANOSECONDS FILE
        how many flows' packets that were sent after this time have arrived here
    failover.py clock
"""
import ipaddress
import random
import signal
import socket
import struct
import sys
import time

from flows import ACK, SYN, TCP, ip4, put

STAMP = struct.Struct("!4sQ")
MAGIC = b"ecfp"
AT = 14 + 40  # of the stamp: behind Ethernet, IPv4 and TCP headers


def until_term():
    done = []
    signal.signal(signal.SIGTERM, lambda *_: done.append(1))
    return done


class Pace:
    """So many a second, a few at a time: to sleep takes longer than to send"""

    def __init__(self, rate):
        self.gap, self.due = 1 / float(rate), time.monotonic()

    def wait(self):
        self.due += self.gap
        ahead = self.due - time.monotonic()
        if ahead > 0.001:
            time.sleep(ahead)


def send(iface, dest, vip, first, flows, rate):
    done = until_term()
    ports = range(int(first), int(first) + int(flows))
    pace = Pace(rate)
    source = ipaddress.ip_address("198.51.100.77").packed
    vip = ipaddress.ip_address(vip).packed
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((iface, 0))
    eth = bytes.fromhex(dest.replace(":", "")) + out.getsockname()[4] + b"\x08\0"

    # TCP checksums are not looked at on the way
    def packet(port, flags, size):
        head = struct.pack("!HHIIBBHHH", port, 80, 1000, 1, 0x50, flags, 500, 0, 0)
        return eth + ip4(source, vip, TCP, head + bytes(size), 64, 0, random.randrange(65536))

    frames = [bytearray(packet(port, ACK, STAMP.size)) for port in ports]
    for turn in ([packet(port, SYN, 0) for port in ports], [packet(port, ACK, 0) for port in ports],
                 frames):
        for frame in turn:
            put(out, frame)
            pace.wait()
    print("ready", flush=True)
    sent = 0
    while not done:
        for frame in frames:
            STAMP.pack_into(frame, AT, MAGIC, time.monotonic_ns())
            put(out, frame)
            pace.wait()
        sent += len(frames)
    print(sent)


def storm(iface, dest, vip, rate, seconds, kind):
    vip = ipaddress.ip_address(vip).packed
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((iface, 0))
    eth = bytes.fromhex(dest.replace(":", "")) + out.getsockname()[4] + b"\x08\0"
    burst, sent, end = max(1, int(rate) // 1000), 0, time.monotonic() + float(seconds)
    while time.monotonic() < end:
        for _ in range(burst):
            source = struct.pack("!I", 0xc6120000 | random.getrandbits(17))
            head = struct.pack("!HHIIBBHHH", random.getrandbits(16), 80, random.getrandbits(32), 1,
                               0x50, SYN if kind == "syn" else ACK, 500, 0, 0)
            put(out, eth + ip4(source, vip, TCP, head, 64, 0, 0))
        sent += burst
        time.sleep(0.001)  # never more at once: a veth's ring is short
    print(sent)


def capture(iface, path):
    done = until_term()
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    sock.bind((iface, 3))
    sock.settimeout(0.2)
    print("ready", flush=True)
    with open(path, "w", encoding="ascii") as file:
        while not done:
            try:
                frame, address = sock.recvfrom(256)
            except (TimeoutError, socket.timeout):
                continue
            if address[2] == socket.PACKET_OUTGOING or frame[AT:AT + 4] != MAGIC:
                continue
            _, stamp = STAMP.unpack_from(frame, AT)
            file.write(f"{struct.unpack_from('!H', frame, 34)[0]} {stamp}\n")


def read(path):
    """port, time sent"""
    with open(path, encoding="ascii") as file:
        return [tuple(map(int, line.split())) for line in file]


def late(since, path):
    stamps = [stamp - int(since) for _, stamp in read(path) if stamp > int(since)]
    print(len(stamps), round(max(stamps, default=0) / 1e6, 1))


def flows_seen(since, path):
    print(len({port for port, stamp in read(path) if stamp > int(since)}))


if __name__ == "__main__":
    sys.exit({"send": send, "storm": storm, "capture": capture, "late": late, "flows": flows_seen,
              "clock": lambda: print(time.monotonic_ns())}[sys.argv[1]](*sys.argv[2:]))
