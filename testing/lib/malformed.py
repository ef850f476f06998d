#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Hostile frames sent to a host that has sockets and forwards: which of them reach anything.

    malformed.py list                       print what is sent
    malformed.py send FILE                  send all; FILE: those that reached something
    malformed.py links                      send those that are another link layer
    malformed.py flow GOOD BAD              send GOOD packets of a flow that is forwarded, then BAD
                                            malformed ones of each kind with its addresses and
                                            ports; print how many of the latter reach the server
    malformed.py judge BASE NOW PROTO       BASE: reached without a firewall, NOW: with rules that
                                            drop all of PROTO; print what is wrong, one a line

The host's namespace is where this runs; the sender is network namespace "client" with interface c0,
the other side is "server" with s0. Each frame has its number in the IPv4 identification or in the
IPv6 flow label, by which raw sockets and packet sockets know it again.
"""
import ctypes
import json
import os
import socket
import struct
import sys
import time
from collections import namedtuple

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
# pylint: disable=wrong-import-position
import raw_socket
import reference
from packets import (DESTINATION, HOP_BY_HOP, ICMP, IP, TCP, UDP, Dot1AD, Dot1Q,
                     ICMPv6EchoRequest, IPOption_Router_Alert, IPv6, IPv6ExtHdrDestOpt,
                     IPv6ExtHdrFragment, PadN, Raw)
from scapy.layers.l2 import Ether

HOST, SENDER = "02:00:00:00:00:01", "02:00:00:00:00:02"
# where: destinations of both families
WHERE = {"socket": ("192.0.2.1", "2001:db8:1::1"), "forward": ("198.51.100.2", "2001:db8:2::2")}
SOURCES = ("192.0.2.2", "2001:db8:1::2")
PROTOS = {"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58}
IPV6_FLOWINFO, SO_RCVBUFFORCE = 11, 33

# proto: whose rules are to drop it, "link": no rule's business; frames: sent one after the other,
# and only together something of that protocol
Case = namedtuple("Case", "name proto where frames")

LINKS = {"": [], "vlan0/": [Dot1Q(vlan=0)], "vlan0-twice/": [Dot1AD(vlan=0), Dot1Q(vlan=0)],
         "vlan0-thrice/": [Dot1Q(vlan=0)] * 3}
DATA = Raw(b"0123456789abcdef")
UPPERS = {
    "tcp": TCP(sport=40000, dport=443, flags="S", seq=1) / DATA,
    "tcp-options": TCP(sport=40000, dport=443, flags="S",
                       options=[("MSS", 1460), ("Timestamp", (1, 2)), ("NOP", 0), ("NOP", 0)]),
    "udp": UDP(sport=40000, dport=53) / DATA,
    "icmp": ICMP() / DATA,
    "icmp6": ICMPv6EchoRequest(data=b"0123456789abcdef"),
}
NETS4 = {"plain": {}, "options": {"options": [IPOption_Router_Alert()]}}
EXTENSIONS6 = {"plain": [], "hop": [HOP_BY_HOP], "destination": [DESTINATION],
               "atomic": [IPv6ExtHdrFragment(id=9)], "eight": [DESTINATION] * 8}


def checksum(data):
    """RFC 1071"""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def fix_ip(frame, l3):
    """The IPv4 header's checksum, if all of the header is there"""
    if frame[l3] >> 4 != 4 or len(frame) < l3 + (frame[l3] & 15) * 4 or frame[l3] & 15 < 5:
        return frame
    header = bytearray(frame[l3:l3 + (frame[l3] & 15) * 4])
    header[10:12] = b"\0\0"
    struct.pack_into("!H", header, 10, checksum(bytes(header)))
    return frame[:l3] + bytes(header) + frame[l3 + len(header):]


def fix_icmp6(frame, l3, l4):
    """Raw sockets of ICMPv6 want its checksum"""
    if len(frame) < l4 + 4 or l4 > len(frame):
        return frame
    upper = frame[l4:l4 + 2] + b"\0\0" + frame[l4 + 4:]
    pseudo = frame[l3 + 8:l3 + 40] + struct.pack("!II", len(upper), 58)
    return frame[:l4 + 2] + struct.pack("!H", checksum(pseudo + upper)) + frame[l4 + 4:]


def set_number(frame, number):
    """Of the frame, where it has an IP header; behind any tags"""
    l3 = 14
    while frame[l3 - 2:l3] in (b"\x81\x00", b"\x88\xa8"):
        l3 += 4
    if frame[l3 - 2:l3] == b"\x08\x00" and len(frame) >= l3 + 20:
        return fix_ip(frame[:l3 + 4] + struct.pack("!H", number) + frame[l3 + 6:], l3)
    if frame[l3 - 2:l3] == b"\x86\xdd" and len(frame) >= l3 + 40:
        first, = struct.unpack_from("!L", frame, l3)
        frame = frame[:l3] + struct.pack("!L", first & 0xfff00000 | number) + frame[l3 + 4:]
        if frame[l3 + 6] == 44 and len(frame) >= l3 + 48:
            frame = frame[:l3 + 44] + struct.pack("!L", number) + frame[l3 + 48:]
        return frame
    return frame


def stack(*layers):
    """Bytes of the layers behind an Ethernet header"""
    packet = Ether(dst=HOST, src=SENDER)
    for layer in layers:
        packet /= layer
    return bytes(packet)


def cuts(name, proto, where, frame, l3, l4):
    """The frame cut at every byte: with the length that it had, and with one that fits"""
    for size in range(14, len(frame) + 1):
        yield Case(f"{name} cut at {size}", proto, where, [frame[:size]])
        if size < l3 + (20 if frame[l3] >> 4 == 4 else 40) or size == len(frame):
            continue
        short = bytearray(frame[:size])
        if frame[l3] >> 4 == 4:
            struct.pack_into("!H", short, l3 + 2, size - l3)
        else:
            struct.pack_into("!H", short, l3 + 4, size - l3 - 40)
        short = bytes(short)
        if proto == "icmp6":
            short = fix_icmp6(short, l3, l4)
        yield Case(f"{name} short {size}", proto, where, [short])


def base_cases(where):
    """36 frames of all kinds, and first fragments with what comes behind them"""
    dst4, dst6 = WHERE[where]
    for tags in "", "vlan0/", "vlan0-twice/":
        for net, fields in NETS4.items():
            for upper in ("tcp", "tcp-options", "udp", "icmp") if not tags or net == "plain" else ():
                ip = IP(src=SOURCES[0], dst=dst4, **fields)
                frame = stack(*LINKS[tags], ip, UPPERS[upper])
                l3 = 14 + 4 * len(LINKS[tags])
                yield from cuts(f"{tags}ip-{net}/{upper}", upper.split("-", maxsplit=1)[0], where,
                                frame, l3, l3 + len(ip))
        for net, extensions in EXTENSIONS6.items():
            for upper in ("tcp", "tcp-options", "udp", "icmp6") if not tags or net == "plain" else ():
                frame = stack(*LINKS[tags], IPv6(src=SOURCES[1], dst=dst6), *extensions,
                              UPPERS[upper])
                l3 = 14 + 4 * len(LINKS[tags])
                yield from cuts(f"{tags}ip6-{net}/{upper}", upper.split("-", maxsplit=1)[0], where,
                                frame, l3, l3 + 40 + sum(map(len, extensions)))


def upper_bytes(upper, where):
    """With the right checksum"""
    dst4, dst6 = WHERE[where]
    ip = IPv6(src=SOURCES[1], dst=dst6) if upper == "icmp6" else IP(src=SOURCES[0], dst=dst4)
    return bytes(ip / UPPERS[upper])[len(ip):]


def fragment_cases(where):
    """In two pieces, the first of every size; it may end within a header"""
    dst4, dst6 = WHERE[where]
    for upper in UPPERS:
        proto = upper.split("-", maxsplit=1)[0]
        data = upper_bytes(upper, where)
        for size in range(8, len(data), 8):
            if upper != "icmp6":
                ip = dict(src=SOURCES[0], dst=dst4, proto=PROTOS[proto])
                yield Case(f"ip first {size}/{upper}", proto, where,
                           [stack(IP(**ip, flags="MF"), Raw(data[:size])),
                            stack(IP(**ip, frag=size // 8), Raw(data[size:]))])
            if upper == "icmp":
                continue
            ip = IPv6(src=SOURCES[1], dst=dst6)
            number = PROTOS[proto]
            if upper != "icmp6":
                data = bytes(ip / UPPERS[upper])[40:]
            yield Case(f"ip6 first {size}/{upper}", proto, where,
                       [stack(ip, IPv6ExtHdrFragment(m=1, id=size, nh=number), Raw(data[:size])),
                        stack(ip, IPv6ExtHdrFragment(offset=size // 8, id=size, nh=number),
                              Raw(data[size:]))])
            # the first piece ends within, or right behind, destination options
            inner = bytes(IPv6ExtHdrDestOpt(nh=number, options=[PadN(optdata=bytes(12))])) + data
            if size <= 16:
                yield Case(f"ip6 first {size}/options/{upper}", proto, where,
                           [stack(ip, IPv6ExtHdrFragment(m=1, id=99, nh=60), Raw(inner[:size])),
                            stack(ip, IPv6ExtHdrFragment(offset=size // 8, id=99, nh=60),
                                  Raw(inner[size:]))])


def special_cases(where):
    """What Linux accepts besides"""
    dst4, dst6 = WHERE[where]
    ip4, ip6 = IP(src=SOURCES[0], dst=dst4), IPv6(src=SOURCES[1], dst=dst6)
    for upper in UPPERS:
        proto = upper.split("-", maxsplit=1)[0]
        if upper != "icmp6":
            yield Case(f"three VID 0/{upper}", proto, where,
                       [stack(*LINKS["vlan0-thrice/"], ip4, UPPERS[upper])])
        if upper != "icmp":
            for count in 9, 12:
                yield Case(f"{count} destination options/{upper}", proto, where,
                           [stack(ip6, *[DESTINATION] * count, UPPERS[upper])])
            frame = stack(ip6, HOP_BY_HOP, UPPERS[upper])
            yield Case(f"payload length 0/{upper}", proto, where,
                       [frame[:18] + b"\0\0" + frame[20:]])
    for offset in 0, 4, 15:
        yield Case(f"data offset {offset}", "tcp", where,
                   [stack(ip4, TCP(sport=40000, dport=443, flags="A", dataofs=offset) / DATA)])
        yield Case(f"ip6 data offset {offset}", "tcp", where,
                   [stack(ip6, TCP(sport=40000, dport=443, flags="A", dataofs=offset) / DATA)])


def link_cases(where):
    """Other link layers, with an IP packet inside that could be for the host"""
    dst4, _ = WHERE[where]
    inner = bytes(IP(src=SOURCES[0], dst=dst4) / UPPERS["udp"])
    tail = b"\x08\x00" + inner
    for name, payload in {
            "llc": struct.pack("!HBBB", len(inner) + 3, 0x06, 0x06, 3) + inner,
            "snap": struct.pack("!HBBBBH", len(inner) + 8, 0xaa, 0xaa, 3, 0, 0) + tail,
            "pppoe": b"\x88\x64\x11\x00\x00\x01" + struct.pack("!HH", len(inner) + 2, 0x21) + inner,
            "pppoe-discovery": b"\x88\x63\x11\x09\x00\x00\x00\x00",
            "mpls": b"\x88\x47\x00\x01\x01\x40" + inner,
            "mpls-multicast": b"\x88\x48\x00\x01\x01\x40" + inner,
            "802.1ah": b"\x88\xe7\x00\x00\x00\x01" + bytes(12) + tail,
            "e-tag": b"\x89\x3f" + bytes(6) + tail,
            "vn-tag": b"\x89\x26" + bytes(4) + tail,
            "nsh": b"\x89\x4f\x0f\xc2\x01\x01\x00\x00\x00\xff" + inner,
            "macsec": b"\x88\xe5\x2c\x00" + bytes(12) + tail,
            "tag 0x9100": b"\x91\x00\x00\x05" + tail,
            "hsr": b"\x89\x2f" + struct.pack("!HH", len(inner) + 6, 1) + tail,
            "batman-adv": b"\x43\x05\x40\x0f\x32\x01" + stack()[:12] + stack()[:12] + tail,
            "trill": b"\x22\xf3\x00\x3f\x00\x01\x00\x02" + stack()[:12] + tail,
            "three tags": b"\x81\x00\x00\x05\x81\x00\x00\x06\x81\x00\x00\x07" + tail}.items():
        yield Case(f"link {name}", "link", where, [stack()[:12] + payload])


def flow_cases():
    """Frames of one flow of each family: one that is well-formed, and those that are not"""
    good, bad = [], []
    for source, dest, net in (*zip(SOURCES, WHERE["forward"], (IP, IPv6)),):
        ip, upper = net(src=source, dst=dest), TCP(sport=40000, dport=443, flags="A", seq=1, ack=1)
        good.append(stack(ip, upper / DATA))
        bad += [stack(ip, TCP(sport=40000, dport=443, flags="A", dataofs=offset) / DATA)
                for offset in (0, 4, 15)]
        # 8 bytes of TCP, 4 of UDP and ICMP
        bad.append(stack(net(src=source, dst=dest, **proto(net, 6)), Raw(bytes(upper)[:8])))
        bad.append(stack(net(src=source, dst=dest, **proto(net, 17)), Raw(bytes(upper)[:4])))
        bad.append(stack(net(src=source, dst=dest, **proto(net, 1 if net is IP else 58)),
                         Raw(bytes(upper)[:4])))
    return good, bad


def proto(net, number):
    """The field that says what is behind the header"""
    return {"proto": number} if net is IP else {"nh": number}


def flow(good_count, bad_count):
    """See above"""
    host, (good, bad) = Host(), flow_cases()
    for frames, count in (good, int(good_count)), (bad, int(bad_count)):
        while True: # what came before
            try:
                host.server.recv(2048)
            except BlockingIOError:
                break
        for _ in range(count):
            for frame in frames:
                host.send(frame)
                time.sleep(0.002)
        time.sleep(0.2)
    reached = 0
    while True:
        try:
            reached += host.server.recv(2048)[:6] == bytes.fromhex("020000000004")
        except BlockingIOError:
            break
    print(reached)


def cases():
    """All of them; the number of one is its place"""
    found = [Case("", "", "", [])]
    for where in WHERE:
        for make in base_cases, fragment_cases, special_cases, link_cases:
            found += make(where)
    for number, case in enumerate(found):
        case.frames[:] = [set_number(frame, number) for frame in case.frames]
    return found


# --- the host ---------------------------------------------------------------------------------

def enter(namespace):
    """The network namespace, of this thread"""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(namespace, "rb") as file:
        if libc.setns(file.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), namespace)


def packet_socket(namespace, interface, proto):
    """In another namespace"""
    enter(f"/run/netns/{namespace}")
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(proto))
    sock.bind((interface, proto))
    enter("/proc/1/ns/net" if not os.environ.get("HOST_NETNS") else os.environ["HOST_NETNS"])
    return sock


class Host:
    """All that a frame may reach"""
    def __init__(self):
        self.sender = packet_socket("client", "c0", 0)
        self.server = packet_socket("server", "s0", 3)
        self.raw4 = [socket.socket(socket.AF_INET, socket.SOCK_RAW, proto) for proto in (1, 6, 17)]
        self.raw6 = [socket.socket(socket.AF_INET6, socket.SOCK_RAW, proto)
                     for proto in (58, 6, 17)]
        for sock in self.raw6:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FLOWINFO, 1)
        for sock in [self.server] + self.raw4 + self.raw6:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
        self.reached = set()

    def drain(self):
        """Numbers of what has come"""
        for sock in [self.server] + self.raw4 + self.raw6:
            while True:
                try:
                    data, extra, *_ = sock.recvmsg(2048, 64)
                except BlockingIOError:
                    break
                self.reached.add(self.number(sock, data, extra))

    def number(self, sock, data, extra):
        """Of a frame, 0 if it is none of ours"""
        if sock in self.raw4:
            return struct.unpack_from("!H", data, 4)[0]
        if sock in self.raw6:
            return struct.unpack("!L", extra[0][2])[0] & 0xfffff if extra else 0
        if data[:6] != bytes.fromhex("020000000004"):
            return 0
        # a later fragment whose first one has not come is nothing of any protocol
        if data[12:14] == b"\x08\x00":
            number, fragment = struct.unpack_from("!HH", data, 18)
            return 0 if fragment & 0x1fff else number
        if data[12:14] != b"\x86\xdd" or (data[20] == 44 and data[56:58] > b"\x00\x07"):
            return 0
        return struct.unpack_from("!L", data, 14)[0] & 0xfffff

    def send(self, frame):
        """Until there is room"""
        return raw_socket.put(self.sender, frame)


def send(path):
    """All cases"""
    host = Host()
    for number, case in enumerate(cases()):
        for frame in case.frames:
            host.send(frame)
        if number % 32 == 0:
            host.drain()
    for _ in range(5):
        time.sleep(0.1)
        host.drain()
    with open(path, "w", encoding="ascii") as file:
        json.dump(sorted(host.reached - {0}), file)


# --- the verdict ------------------------------------------------------------------------------

def judge(base, now, proto):
    """What is wrong, and how much there was to see"""
    with open(base, encoding="ascii") as first, open(now, encoding="ascii") as second:
        base, now = set(json.load(first)), set(json.load(second))
    malformed = wellformed = hostile = 0
    for number, case in enumerate(cases()):
        if case.proto not in PROTOS and case.proto != "link":
            continue
        reasons = [reference.parse(frame).reason for frame in case.frames]
        if number in base and any(reasons):
            malformed += 1
            hostile += case.proto == proto
        if case.proto in (proto, "link") and number in now:
            print(f"{case.name} ({case.proto}) reached a {case.where}")
        elif any(reasons) and number in now:
            print(f"{case.name}: malformed, and reached a {case.where}")
        elif number in base and not any(reasons) and case.proto not in (proto, "link"):
            wellformed += 1
            if number not in now:
                print(f"{case.name} ({case.proto}): nothing is wrong with it, and it was dropped")
    print(f"# without a firewall {len(base)} reach something, {malformed} of them malformed, "
          f"{hostile} of {proto}; {wellformed} well-formed ones of others", file=sys.stderr)
    if not hostile or not wellformed:
        print("nothing was there to be dropped, or nothing to pass")


def main(arguments):
    """See above"""
    if arguments == ["list"]:
        for number, case in enumerate(cases()):
            for frame in case.frames:
                print(number, case.proto, case.where, case.name, frame.hex(), sep="\t")
    elif arguments == ["links"]:
        host = Host()
        for case in cases():
            if case.proto == "link" and not reference.parse(case.frames[0]).reason:
                host.send(case.frames[0])
        time.sleep(0.2)
    elif len(arguments) == 3 and arguments[0] == "flow":
        flow(*arguments[1:])
    elif len(arguments) == 2 and arguments[0] == "send":
        send(arguments[1])
    elif len(arguments) == 4 and arguments[0] == "judge":
        judge(*arguments[1:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
