#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Odd packets in the middle of live flows, and whether the same becomes of them in two runs.

    cases.py send IFACE DEST PROTOS VIP4 VIP6
        a flow for each case, version and protocol (tcp,udp), side by side: some data, then what the
        case is about, then data again; each run sends the same
    cases.py compare DIR1 DIR2
        in both (with a capture of flows.c for each node) the same packets have arrived, as often,
        at the same nodes, whatever they are: what was sent, and what the director says to it
"""
import collections
import ipaddress
import os
import random
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import raw_socket  # pylint: disable=wrong-import-position

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
FIN, SYN, RST, ACK = 1, 2, 4, 16
GAP_S = 0.04  # between two packets of a flow: a lease has time to come
STORM = 10    # flows
BURST = 16    # packets, between which nobody waits


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    # the sum of all words, with end-around carry, is the remainder by 0xffff, which stands for 0
    total = int.from_bytes(data, "big")
    return 0xffff - (total % 0xffff or (total and 0xffff))


def ip4(source, dest, proto, payload, ttl, tos, ident):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, tos, 20 + len(payload), ident, 0x4000, ttl, proto, 0,
                       source, dest)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ip6(source, dest, proto, payload, ttl, tos, ident):
    return struct.pack("!IHBB16s16s", 6 << 28 | tos << 20 | ident, len(payload), proto, ttl, source,
                       dest) + payload


def transport(proto, source, dest, header, payload):
    data = header + payload
    pseudo = source + dest + struct.pack("!II", len(data), proto)
    value = checksum(pseudo + data)
    at = 16 if proto == TCP else 6
    return data[:at] + struct.pack("!H", value or (0xffff if proto == UDP else 0)) + data[at + 2:]


class Flow:
    """One flow: its packets are made one after another"""

    def __init__(self, version, port, vip, proto=TCP):
        self.version, self.port, self.proto, self.vip = version, port, proto, vip
        self.source = ipaddress.ip_address("198.51.100.77" if version == 4 else
                                           "2001:db8:1::77").packed
        self.rng = random.Random(port)
        self.seq = self.rng.randrange(1 << 32)

    def segment(self, flags, size, checked=True):
        data = self.rng.randbytes(size)
        if self.proto == UDP:
            head = struct.pack("!HHHH", self.port, 80, 8 + size, 0)
        else:
            head = struct.pack("!HHIIBBHHH", self.port, 80, self.seq, 1, 0x50, flags, 500, 0, 0)
            self.seq = (self.seq + size + bool(flags & SYN) + bool(flags & FIN)) & 0xffffffff
        return transport(self.proto, self.source, self.vip, head, data) if checked else head + data

    def ip(self, payload, ttl=64, proto=None):
        make = ip4 if self.version == 4 else ip6
        return make(self.source, self.vip, self.proto if proto is None else proto, payload, ttl, 0,
                    self.rng.randrange(65536))

    def data(self, size=20, flags=ACK, ttl=64, checked=True):
        return self.ip(self.segment(flags, size, checked), ttl)


def with_header(packet, change):
    """IPv4: @change on the header, its checksum anew"""
    head = bytearray(packet[:20])
    change(head)
    head[10:12] = b"\0\0"
    head[10:12] = struct.pack("!H", checksum(bytes(head)))
    return bytes(head) + packet[20:]


def without_df(packet):
    def change(head):
        head[6] &= 0xbf
    return with_header(packet, change)


def with_options(flow, packet):
    """A router alert for IPv4; a hop-by-hop header of padding for IPv6"""
    if flow.version == 6:
        return (packet[:4] + struct.pack("!HB", len(packet) - 32, 0) + packet[7:40] +
                bytes([packet[6], 0, 1, 4, 0, 0, 0, 0]) + packet[40:])
    head = bytearray(packet[:20] + b"\x94\x04\0\0")
    head[0] = 0x46
    head[2:4] = struct.pack("!H", len(packet) + 4)
    head[10:12] = b"\0\0"
    head[10:12] = struct.pack("!H", checksum(bytes(head)))
    return bytes(head) + packet[20:]


def fragments(flow, packet):
    """Two of them, the first of 24 bytes behind the IP header"""
    if flow.version == 6:
        body = packet[40:]
        return [packet[:4] + struct.pack("!HB", len(part) + 8, 44) + packet[7:40] +
                struct.pack("!BBHI", packet[6], 0, at | more, flow.port) + part
                for part, at, more in ((body[:24], 0, 1), (body[24:], 24, 0))]
    parts = []
    for part, at, more in ((packet[20:44], 0, 0x2000), (packet[44:], 24, 0)):
        def change(head, part=part, word=more | at // 8):
            head[2:4] = struct.pack("!H", 20 + len(part))
            head[6:8] = struct.pack("!H", word)
        parts.append(with_header(packet[:20] + part, change))
    return parts


def icmp_error(flow):
    """What a router on the way back to the client would say: too big"""
    back = struct.pack("!HHIIBBHHH", 80, flow.port, 1, flow.seq, 0x50, ACK, 500, 0, 0)
    if flow.version == 4:
        inner = ip4(flow.vip, flow.source, TCP, back, 60, 0, 1)
        body = struct.pack("!BBHHH", 3, 4, 0, 0, 1300) + inner
        body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
        return flow.ip(body, proto=ICMP)
    body = struct.pack("!BBHI", 2, 0, 0, 1300) + ip6(flow.vip, flow.source, TCP, back, 60, 0, 1)
    value = checksum(flow.source + flow.vip + struct.pack("!II", len(body), ICMP6) + body)
    return flow.ip(body[:2] + struct.pack("!H", value) + body[4:], proto=ICMP6)


def bad_checksum(flow):
    packet = bytearray(flow.data())
    if flow.version == 4:
        packet[10] ^= 1
    return bytes(packet)


# name: what comes in the middle. A list of packets, each of bytes
CASES = {
    "nothing": lambda f: [],
    "TTL 1": lambda f: [f.data(ttl=1)],
    "longer than the path MTU": lambda f: [f.data(1400)],
    "likewise, may be fragmented": lambda f: [without_df(f.data(1400)) if f.version == 4 else
                                              f.data(1401)],
    "options": lambda f: [with_options(f, f.data())],
    "fragments": lambda f: fragments(f, f.data(100)),
    "ICMP error": lambda f: [icmp_error(f)],
    "header checksum": lambda f: [bad_checksum(f)],
    "TCP checksum": lambda f: [f.data(checked=False)],
    "padding": lambda f: [f.data(0) + bytes(6), f.data(100) + bytes(30)],
    "FIN": lambda f: [f.data(flags=FIN | ACK, size=0)],
    "FIN, RST": lambda f: [f.data(flags=FIN | ACK, size=0), f.data(flags=RST, size=0)],
    "RST": lambda f: [f.data(flags=RST | ACK, size=0)],
    "SYN": lambda f: [f.data(flags=SYN, size=0)],
    "SYN and FIN": lambda f: [f.data(flags=SYN | FIN, size=0)],
    "port again, after FIN": lambda f: [f.data(flags=FIN | ACK, size=0), f.data(0),
                                        f.data(flags=SYN, size=0), f.data(0)],
    "port again, after RST": lambda f: [f.data(flags=RST, size=0), f.data(flags=SYN, size=0),
                                        f.data(0)],
    "no flags": lambda f: [f.data(flags=0)],
    "all flags but SYN and RST": lambda f: [f.data(flags=0xf9)],
    "congestion": lambda f: [f.data(flags=ACK | 0x40), f.data(flags=ACK | 0x80)],
}


def stream(flow, case, first=SYN):
    """All packets of one flow"""
    if flow.proto == TCP and first:
        yield flow.data(0, first)
    for _ in range(6):
        yield flow.data()
    yield from case(flow)
    for _ in range(4):
        yield flow.data()


def streams(protos, vips):
    for version, vip in vips:
        port = 20000
        for case in CASES.values():
            yield stream(Flow(version, port, vip), case)
            port += 1
        if "udp" in protos:
            for name in ("nothing", "TTL 1", "longer than the path MTU", "options", "fragments"):
                yield stream(Flow(version, port, vip, UDP), CASES[name])
                port += 1
        # never begun: nobody's
        yield stream(Flow(version, port, vip), CASES["nothing"], first=0)
        for name in ("RST", "FIN"):
            for _ in range(STORM):
                port += 1
                yield stream(Flow(version, port, vip), CASES[name])


def send(iface, dest, protos, vip4, vip6):
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((iface, 0))
    eth = bytes.fromhex(dest.replace(":", "")) + out.getsockname()[4]
    left = list(streams(protos.split(","), [(4, ipaddress.ip_address(vip4).packed),
                                            (6, ipaddress.ip_address(vip6).packed)]))
    while left:
        started, going = time.monotonic(), []
        for number, flow in enumerate(left):
            packet = next(flow, None)
            if packet is None:
                continue
            going.append(flow)
            raw_socket.put(out, eth + (b"\x08\0" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet)
            if number % BURST == 0:
                time.sleep(0.001)
        left = going
        time.sleep(max(0, started + GAP_S - time.monotonic()))


def plain(packet):
    """Without what differs from run to run: identifications that the director chooses itself"""
    if packet[0] >> 4 == 6 and packet[6] == 44:  # it has put them together, and fragments anew
        return packet[:44] + bytes(4) + packet[48:]
    if packet[0] >> 4 == 4:
        packet = packet[:struct.unpack("!H", packet[2:4])[0]]
        if packet[12:16] != ipaddress.ip_address("198.51.100.77").packed:
            packet = packet[:4] + b"\0\0" + packet[6:10] + b"\0\0" + packet[12:]
    return packet


def is_ours(packet):
    """From or to the client, and not the neighbours' talk"""
    if packet[0] >> 4 == 4:
        return ipaddress.ip_address("198.51.100.77").packed in (packet[12:16], packet[16:20])
    return ipaddress.ip_address("2001:db8:1::77").packed in (packet[8:24], packet[24:40])


def read(path):
    with open(path, encoding="ascii") as file:
        frames = [bytes.fromhex(line) for line in file]
    return collections.Counter((frame[:12], plain(frame[14:])) for frame in frames
                               if is_ours(frame[14:]))


def compare(one, two):
    wrong, total = 0, 0
    for node in sorted(os.listdir(one)):
        a, b = read(os.path.join(one, node)), read(os.path.join(two, node))
        total += sum(a.values())
        if not a:
            print(f"nothing has come to {node}")
            wrong += 1
        for what, some in (("only in the first run", a - b), ("only in the second run", b - a)):
            wrong += sum(some.values())
            for frame, packet in list(some)[:4]:
                print(f"{node}, {what}: {frame.hex()} {packet[:64].hex()}")
    print(f"{total} packets, {wrong} differences")
    return wrong != 0


if __name__ == "__main__":
    sys.exit({"send": send, "compare": compare}[sys.argv[1]](*sys.argv[2:]))
