#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Frames for fuzz_chain, and its model against the models in Python.

    chain_frames.py make FILE       write them: stacks of headers, 40 packets that get leases, and
                                    what this kernel sends between this network namespace, by its
                                    interface live0, and namespace "client"
    chain_frames.py captures DIR FILE
                                    write those of the captures below DIR: up to 100 of each
    chain_frames.py check RULES MALFORMED NOT_INSPECTED <DUMP
                                    DUMP: of `fuzz_chain dump`; MALFORMED, NOT_INSPECTED: drop or
                                    pass, as fw is set
"""
import contextlib
import itertools
import os
import socket
import struct
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "oracle"), os.path.join(HERE, "..", "lib")]
# pylint: disable=wrong-import-position
import captures
import fw_model
import reference
from packets import (DESTINATION, ETHER, HOP_BY_HOP, ICMP, IP, TCP, UDP, Dot1AD, Dot1Q, IPv6,
                     IPOption_Router_Alert, Raw, authentication, fragment, stacks)

SIZE_MAX = 3400
OF_ONE_CAPTURE = 100
CAPTURED = 2
PASS_THROUGH = {0x8863, 0x8864, 0x8847, 0x8848, 0x88e7, 0x893f, 0x8926, 0x894f, 0x88e5,
                *reference.QINQ_LINKS, *reference.OTHER_LINKS}


def flows():
    """40 packets in the middle of connections, each of its own; a mutation may make any other"""
    number = 0
    links = (), (Dot1Q(vlan=5, prio=3),), (Dot1AD(vlan=7),), (Dot1Q(vlan=0),)
    options = [("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]
    for link in links:
        for version in 4, 6:
            for size in 0, 100, 1000:
                number += 1
                upper = TCP(sport=40000 + number, dport=(80, 443)[number % 2],
                            flags="PA" if size else "A", seq=number, ack=7,
                            options=options if size else [])
                yield from _flow(number, link, version, upper, size)
            for size in 64, 600:
                number += 1
                yield from _flow(number, link, version,
                                 UDP(sport=50000 + number, dport=53), size)


def _flow(number, link, version, upper, size):
    ip = IP(src=f"192.0.2.{3 * number}", dst="203.0.113.80", id=7, flags="DF") if version == 4 \
        else IPv6(src=f"2001:db8:1:{number}::2", dst="2001:db8:80::80", fl=0x12345)
    packet = ETHER
    for layer in link:
        packet = packet / layer
    yield bytes(packet / ip / upper / Raw(bytes(i & 0xff for i in range(size))))


def odd():
    """What stacks() has not: kinds of packets that a check or a setting is for"""
    ip4, ip6 = IP(src="192.0.2.1", dst="203.0.113.80"), IPv6(src="2001:db8::1", dst="2001:db8::2")
    yield bytes(ETHER / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67))
    yield bytes(ETHER / IP(src="192.0.2.1", dst="224.0.0.22", proto=2,
                           options=[IPOption_Router_Alert()]) / Raw(bytes(16)))
    yield bytes(ETHER / ip4 / TCP(sport=1, dport=80, flags="FPU"))
    yield bytes(ETHER / ip4 / TCP(sport=1, dport=80, flags=0))
    yield bytes(ETHER / IPv6(src="::", dst="ff02::1", hlim=255) / ICMP())
    yield bytes(ETHER / ip6 / HOP_BY_HOP / fragment(0, 1) / authentication(6) / TCP() /
                Raw(bytes(1200)))
    for count in 7, 8, 9:
        packet = ip6
        for _ in range(count):
            packet = packet / DESTINATION
        yield bytes(ETHER / packet / TCP(flags="A"))
    for size in 8, 16, 24:
        yield bytes(ETHER / IP(src="192.0.2.1", dst="203.0.113.80", flags="MF", proto=6) /
                    Raw(bytes(TCP(dport=80) / Raw(bytes(40)))[:size]))
        yield bytes(ETHER / IP(src="192.0.2.1", dst="203.0.113.80", frag=size // 8, proto=6) /
                    Raw(bytes(60)))
    for ethertype in sorted(PASS_THROUGH):
        yield bytes(ETHER)[:12] + struct.pack("!H", ethertype) + bytes(ip4 / UDP() / Raw(bytes(30)))
    yield bytes(ETHER)[:12] + struct.pack("!HBBB", 40, 0x42, 0x42, 3) + bytes(37)


CLIENT = """
import socket, sys
for host, family in ("192.0.2.129", socket.AF_INET), ("2001:db8:9::1", socket.AF_INET6):
    s = socket.create_connection((host, 4242), 5)
    s.sendall(bytes(4000))
    while s.recv(4096): pass
    s.close()
    u = socket.socket(family, socket.SOCK_DGRAM)
    for size in 0, 20, 1200, 3000:
        u.sendto(bytes(size), (host, 4243))
    try: socket.create_connection((host, 4244), 5)
    except OSError: pass
"""


def serve(server):
    """Two connections: read, answer, close"""
    for _ in range(2):
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(bytes(3000))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


def live():
    """What comes in by live0 from namespace client: a TCP connection, UDP, fragments, ping, ND"""
    capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    capture.bind(("live0", 0))
    server = socket.create_server(("::", 4242), family=socket.AF_INET6, dualstack_ipv6=True)
    thread = threading.Thread(target=serve, args=(server,), daemon=True)
    thread.start()
    inside = ["ip", "netns", "exec", "client"]
    subprocess.run(inside + [sys.executable, "-c", CLIENT], check=True, timeout=60)
    with contextlib.suppress(FileNotFoundError):
        for host in "192.0.2.129", "2001:db8:9::1":
            for size in "56", "3000":
                subprocess.run(inside + ["ping", "-c", "2", "-i", "0.2", "-s", size, host],
                               check=False, timeout=60, stdout=subprocess.DEVNULL)
    capture.settimeout(0.2)
    with contextlib.suppress(socket.timeout):
        while True:
            yield capture.recv(65536)[:SIZE_MAX]


def make(path):
    """All of them"""
    found = {frame: 0 for frame in live()}
    captured = len(found)
    if captured < 40:
        sys.exit(f"only {captured} frames came in by live0")
    found.update((stack.frame, 0) for stack in stacks())
    found.update((frame, 0) for frame in odd())
    found.update((frame, 1) for frame in flows())
    write(path, found)
    print(f"{len(found)} frames, {captured} of them captured")


def write(path, found):
    """Of each frame its length, what it is for (CAPTURED: see fuzz_chain.c), and its bytes"""
    with open(path, "wb") as file:
        for frame, use in found.items():
            if 14 <= len(frame) <= SIZE_MAX:
                file.write(struct.pack("=HB", len(frame), use) + frame)


def make_of_captures(directory, path):
    """Frames of all captures, each once"""
    found, files = {}, 0
    for name in captures.files(directory):
        new = (frame for _, frame in captures.frames(name, SIZE_MAX)
               if len(frame) >= 14 and frame not in found)
        before = len(found)
        found.update((frame, CAPTURED) for frame in itertools.islice(new, OF_ONE_CAPTURE))
        files += len(found) > before
    if not found:
        sys.exit(f"{directory}: no Ethernet frames")
    write(path, found)
    print(f"{len(found)} frames of {files} captures")


def check(path, malformed, not_inspected):
    """Return: exit status"""
    with open(path, encoding="ascii") as file:
        rules = fw_model.parse(file.read())
    wrong = count = 0
    for line in sys.stdin:
        defect, action, rule, data = line.split()
        frame = bytes.fromhex(data)
        record = reference.parse(frame)
        verdict = rules.verdict(frame)
        expected = verdict.action
        if verdict.malformed and verdict.rule is None:
            expected = malformed
        if not record.reason and not record.version:
            ethertype = record.ethertype
            expected = not_inspected if ethertype in PASS_THROUGH or ethertype < 1536 else "pass"
        want = (reference.REASONS[record.reason], expected,
                -1 if verdict.rule is None else verdict.rule)
        count += 1
        if want != (defect, action, int(rule)):
            wrong += 1
            if wrong <= 5:
                print(f"the models differ: {(defect, action, int(rule))} in C, {want} in Python, "
                      f"of {data}")
    print(f"{count} frames: the models differ on {wrong}")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "make":
        make(sys.argv[2])
    elif len(sys.argv) == 4 and sys.argv[1] == "captures":
        make_of_captures(*sys.argv[2:])
    elif len(sys.argv) == 5 and sys.argv[1] == "check":
        sys.exit(check(*sys.argv[2:]))
    else:
        sys.exit(2)
