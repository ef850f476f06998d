#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Captures for netns/fw-captures.sh.

    fw_captures.py DIRECTORY            make the files
    fw_captures.py DIRECTORY SEED...    random rules and packets: for each seed print what
                                        `ecbpf-fw test --by-rule` counts, and what the model does
"""
import json
import os
import random
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
# pylint: disable=wrong-import-position
import fw_model
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Ether
from scapy.packet import Raw
from scapy.utils import wrpcap

ETHER, RAW, LOOP, SLL, SLL2, IP4, IP6 = 1, 101, 108, 113, 276, 228, 229
IEEE802_11, NETLINK = 105, 824


def packets():
    """IP packets; frames of 60 bytes, but for the last two"""
    return [IP(src="192.0.2.1") / UDP(sport=53) / Raw(bytes(18)),
            IP(src="192.0.2.2") / UDP(sport=53) / Raw(bytes(18)),
            IP() / TCP(flags="S") / Raw(bytes(6)),
            IP() / TCP(flags="SA") / Raw(bytes(6)),
            IPv6() / UDP(dport=443) / Raw(bytes(20)),
            IP() / ICMP() / Raw(bytes(4))]


def ethertype(packet):
    """Of an IP packet"""
    return 0x0800 if packet.version == 4 else 0x86dd


def pcap(path, link, items, order="="):
    """Byte by byte. items: bytes, or bytes and the length on the wire"""
    with open(path, "wb") as file:
        file.write(struct.pack(order + "IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, link))
        for item in items:
            data, size = item if isinstance(item, tuple) else (item, len(item))
            file.write(struct.pack(order + "IIII", 1, 2, len(data), size) + data)


class Pcapng:
    """Byte by byte"""
    def __init__(self, order="<"):
        self.order, self.data = order, b""
        self.block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1))

    def block(self, kind, body):
        """Any one"""
        body += bytes(-len(body) % 4)
        size = struct.pack(self.order + "I", len(body) + 12)
        self.data += struct.pack(self.order + "I", kind) + size + body + size

    def option(self, code, value):
        """To go behind a body"""
        return struct.pack(self.order + "HH", code, len(value)) + value + bytes(-len(value) % 4)

    def interface(self, link, options=b"", snap=0):
        """Its description"""
        self.block(1, struct.pack(self.order + "HHI", link, 0, snap) + options)

    def packet(self, interface, data, size=None, options=b""):
        """An enhanced packet block"""
        self.block(6, struct.pack(self.order + "IIIII", interface, 1, 2, len(data),
                                  len(data) if size is None else size) +
                   data + bytes(-len(data) % 4) + options)

    def old_packet(self, interface, data):
        """An obsolete packet block"""
        self.block(2, struct.pack(self.order + "HHIIII", interface, 0, 1, 2, len(data), len(data)) +
                   data)

    def simple_packet(self, data, snap):
        """A simple packet block"""
        self.block(3, struct.pack(self.order + "I", len(data)) + data[:snap])

    def sent(self):
        """The option of a packet that went out"""
        return self.option(2, struct.pack(self.order + "I", 2)) + self.option(0, b"")


def make_links(directory):
    """The same packets, of several link types"""
    items = packets()
    wrpcap(f"{directory}/whole.pcap", [Ether(type=ethertype(item)) / item for item in items])
    wrpcap(f"{directory}/sll.pcap", [CookedLinux(proto=ethertype(item)) / item for item in items],
           linktype=SLL)
    wrpcap(f"{directory}/sll2.pcap", [CookedLinuxV2(proto=ethertype(item)) / item
                                      for item in items], linktype=SLL2)
    raw = [bytes(item) for item in items]
    pcap(f"{directory}/raw.pcap", RAW, raw)
    pcap(f"{directory}/ipv4.pcap", IP4, [item for item in raw if item[0] >> 4 == 4])
    pcap(f"{directory}/ipv6.pcap", IP6, [item for item in raw if item[0] >> 4 == 6])
    for name, link, order, inet6 in (("null", 0, "=", 30), ("null-swapped", 0, ">", 24),
                                     ("loop", LOOP, "!", 10)):
        pcap(f"{directory}/{name}.pcap", link, [
            struct.pack(order + "I", 2 if item[0] >> 4 == 4 else inet6) + item for item in raw])
    return raw


def make_several(directory, raw):
    """pcapng: interfaces of several link types; as ecbpf-pcap writes them; all kinds of blocks"""
    frames = [bytes(12) + struct.pack("!H", 0x0800 if item[0] >> 4 == 4 else 0x86dd) + item
              for item in raw]
    file = Pcapng()
    sample = file.option(2, struct.pack("<I", 1)) + file.option(5, bytes(8)) + \
        file.option(7, b"\2" + struct.pack("<Q", 2)) + file.option(1, b"PASS") + file.option(0, b"")
    file.interface(ETHER, file.option(2, b"eth0") + file.option(9, b"\x09") + file.option(0, b""))
    file.interface(RAW)
    for i, frame in enumerate(frames):
        if i % 3 == 0:
            file.packet(1, raw[i])
        elif i % 3 == 1:
            file.packet(0, frame[:64], len(frame), sample)
        else:
            file.interface(ETHER)
            file.packet(2 + i // 3, frame, None, sample)
    with open(f"{directory}/several.pcapng", "wb") as out:
        out.write(file.data)
    file = Pcapng(">")
    file.interface(ETHER, snap=96)
    file.block(0x0bad, b"something else")
    for frame in frames:
        file.simple_packet(frame, 96)
    other = Pcapng("<")  # in the second section numbers of interfaces begin anew
    other.interface(RAW)
    # a checksum of four bytes at the end of each frame
    other.interface(ETHER, other.option(13, b"\4") + other.option(0, b""))
    for item in raw:
        other.old_packet(0, item)
    for frame in frames:
        other.packet(1, frame + b"\1\2\3\4")
    with open(f"{directory}/blocks.pcapng", "wb") as out:
        out.write(file.data + other.data)
    with open(f"{directory}/damaged.pcapng", "wb") as out:
        out.write(file.data + struct.pack(">III", 6, 13, 0))
    return frames


def make_odd(directory, frames):
    """What cannot be tried"""
    file = Pcapng()
    for link in ETHER, IEEE802_11, SLL, RAW, IP4:
        file.interface(link)
    file.packet(0, frames[0])
    file.packet(0, frames[0][:13])
    file.packet(0, b"")
    file.packet(0, frames[0], None, file.sent())
    file.packet(1, frames[0])
    file.packet(2, bytes(CookedLinux(lladdrtype=NETLINK) / Raw(bytes(20))))
    file.packet(3, bytes(ARP()))
    file.packet(3, b"")
    file.packet(4, b"")
    with open(f"{directory}/odd.pcapng", "wb") as out:
        out.write(file.data)
    # IPv4 to its full length behind an Ethernet header; BIG TCP, of which the length is 0
    gro = bytes(Ether() / IP(len=65535) / TCP(flags="S"))
    big = bytearray(bytes(Ether() / IP() / TCP(flags="A")))
    big[16:18] = b"\0\0"
    pcap(f"{directory}/gro.pcap", ETHER, [(gro + bytes(42), 65549), gro + bytes(65549 - len(gro)),
                                          (bytes(big), 70000)])
    pcap(f"{directory}/long.pcap", ETHER, [(bytes(big), 200000), frames[0]])


def make_limit(directory):
    """Unknown packets before those of a limit, and of one for each source"""
    def dns(source, port=53):
        return bytes(Ether() / IP(src=source) / UDP(dport=port))

    items = [(dns("192.0.2.9")[:34], 42)] * 3 + [dns("192.0.2.1")] * 10
    # of 192.0.2.8 one may be gone; 192.0.2.7 has its own
    items += [dns("192.0.2.8", 124), (dns("192.0.2.8", 123)[:36], 42)]
    items += [dns("192.0.2.7", 123)] * 4
    pcap(f"{directory}/limit.pcap", ETHER, items)


def compare(directory, seed):
    """Random rules by rule. Prints packets, bytes and dropped packets of each, twice"""
    text = fw_model.generate(seed, 40)
    model = fw_model.parse(text)
    frames = [frame for frame in fw_model.packets(seed, model, 1000) if len(frame) >= 14]
    with open(f"{directory}/random", "w", encoding="ascii") as file:
        file.write(text)
    pcap(f"{directory}/random.pcap", ETHER, frames)
    rules = [[0, 0, 0] for _ in range(len(model.rules) + 1)]
    for frame, verdict in zip(frames, fw_model.expect(model, frames)):
        for index in verdict.counted + [-1] * (verdict.rule is None):
            rules[index][0] += 1
            rules[index][1] += len(frame)
        rules[-1 if verdict.rule is None else verdict.rule][2] += verdict.action == "drop"
    done = subprocess.run(["ecbpf-fw", "test", "-j", "--by-rule", "-f", f"{directory}/random", "-r",
                           f"{directory}/random.pcap"], capture_output=True, check=True)
    got = json.loads(done.stdout)
    print(seed, *(json.dumps(value, separators=(",", ":")) for value in (
        [[rule[key] for key in ("packets", "bytes", "dropped")]
         for rule in got["rules"] + [got["none"]]], rules)))


def main(directory, *seeds):
    """See above"""
    for seed in seeds:
        compare(directory, int(seed))
    if seeds:
        return
    random.seed(1)
    frames = make_several(directory, make_links(directory))
    make_odd(directory, frames)
    make_limit(directory)


if __name__ == "__main__":
    main(*sys.argv[1:])
