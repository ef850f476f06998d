#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The parser against tshark, on all Ethernet frames of real captures.

    BUILD=DIR captures_tshark.py CAPTURES

BUILD holds parse_many.so, CAPTURES the captures (testing/fuzz/captures). testing/fuzz/run builds
the one and fetches the others. Of each frame that was captured as a whole: link layer, tags,
version, protocol, fragment, ports, flags, type and code; and whether it is malformed, by the
numbers that tshark shows.
"""
import collections
import ctypes
import itertools
import os
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "oracle"), os.path.join(HERE, "..", "lib")]
# pylint: disable=wrong-import-position
import captures
from reference import (FRAG_ATOMIC, FRAG_FIRST, FRAG_LATER, FRAG_NONE, REASONS, RECORD_SIZE, Record)

FIELDS = ("frame.number frame.len frame.protocols eth.type vlan.id ieee8021ad.id ip.version "
          "ip.hdr_len ip.len ip.proto ip.frag_offset ip.flags.mf ipv6.version ipv6.plen "
          "ipv6.nxt ipv6.fraghdr.offset ipv6.fraghdr.more tcp.srcport tcp.dstport tcp.hdr_len "
          "tcp.flags udp.srcport udp.dstport icmp.type icmp.code icmpv6.type icmpv6.code").split()
# as a packet is read that is alone: no reassembly, and 0x9100 is no tag
OPTIONS = ("ip.defragment:FALSE", "ipv6.defragment:FALSE", "ip.tso_support:FALSE",
           "tcp.desegment_tcp_streams:FALSE", "vlan.qinq_ethertype:0x8100")
TAGS = {"vlan": "vlan.id", "ieee8021ad": "ieee8021ad.id"}
EXTENSIONS = {"ipv6.hopopts", "ipv6.dstopts", "ipv6.routing", "ipv6.fraghdr", "ah"}
VERSION = {"ip-version": "version", "ip6-version": "version"}
UPPER = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmpv6"}


def all_frames(directory):
    """[(file, number in it, frame)]"""
    return [(path, number, frame) for path in captures.files(directory)
            for number, frame in captures.frames(path)]


def parse_natively(frames):
    """What the parser says"""
    library = ctypes.CDLL(os.path.join(os.environ["BUILD"], "parse_many.so"))
    library.parse_many.restype = ctypes.c_char_p
    lens = (ctypes.c_uint32 * len(frames))(*map(len, frames))
    records = ctypes.create_string_buffer(len(frames) * RECORD_SIZE)
    done = ctypes.c_size_t()
    wrong = library.parse_many(b"".join(frames), lens, lens, ctypes.c_size_t(len(frames)), records,
                               ctypes.byref(done))
    if wrong:
        sys.exit(f"{wrong.decode()}: {frames[done.value - 1].hex()}")
    packed = records.raw
    return [Record.unpack(packed[at:at + RECORD_SIZE])
            for at in range(0, len(frames) * RECORD_SIZE, RECORD_SIZE)]


def read_with_tshark(frames):
    """{field: [values]} of each frame, but for those that it has not"""
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(struct.pack("=LHHLLLL", 0xa1b2c3d4, 2, 4, 0, 0, 1 << 18, 1))
        for frame in frames:
            file.write(struct.pack("=LLLL", 0, 0, len(frame), len(frame)) + frame)
        file.flush()
        argv = ["tshark", "-n", "-r", file.name, "-T", "fields", "-E", "occurrence=a"]
        for option in OPTIONS:
            argv += ["-o", option]
        for field in FIELDS:
            argv += ["-e", field]
        out = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
                             text=True, errors="replace").stdout
    lines = out.rstrip("\n").split("\n")
    if len(lines) != len(frames):
        sys.exit(f"tshark read {len(lines)} of {len(frames)} frames")
    return [{name: value.split(",") for name, value in zip(FIELDS, line.split("\t")) if value}
            for line in lines]


class Reading:
    """What tshark says of one frame: of the outer headers, which it shows first"""

    def __init__(self, row):
        self.row = row
        self.len = self.number("frame.len")
        path = row["frame.protocols"][0].split(":")[1:]
        self.tags, at, seen = [], 0, collections.Counter()
        while path[at:at + 1] == ["ethertype"] and path[at + 1:] and path[at + 1] in TAGS:
            name = TAGS[path[at + 1]]
            # a tag that is cut has no identifier
            ids = row.get(name, [])
            self.tags.append(int(ids[seen[name]]) if seen[name] < len(ids) else None)
            seen[name] += 1
            at += 2
        inner = path[at + 1:] if path[at:at + 1] == ["ethertype"] else []
        self.is_ip = inner[:1] in (["ip"], ["ipv6"])
        self.version = {"ip": 4, "ipv6": 6}[inner[0]] if self.is_ip else 0
        extensions = list(itertools.takewhile(EXTENSIONS.__contains__, inner[1:]))
        self.upper = (inner[1 + len(extensions):] or [None])[0]
        self.has_extensions = self.version == 6 and bool(extensions)
        self.is_fragment = self.version == 4 or "ipv6.fraghdr" in extensions
        # of another version than the EtherType says it shows nothing
        self.is_wrong_version = path == ["ethertype", "data"] and self.number("eth.type") == 0x86dd
        self.l3 = 14 + 4 * len(self.tags)

    def number(self, name):
        """Of a field, the first one; None: it is not there"""
        value = self.row.get(name, [None])[0]
        return None if value is None else int(value, 0)

    def fragment(self):
        """Kind and offset"""
        prefix = ("ip.frag_offset", "ip.flags.mf") if self.version == 4 else \
            ("ipv6.fraghdr.offset", "ipv6.fraghdr.more")
        offset, more = map(self.number, prefix)
        if offset is None or not self.is_fragment:
            return FRAG_NONE, 0
        if offset:
            return FRAG_LATER, offset * 8
        return (FRAG_FIRST if more else FRAG_ATOMIC if self.version == 6 else FRAG_NONE), 0

    def facts(self):
        """Of a well-formed frame, as record_facts()"""
        found = {"tags": self.tags, "version": self.version}
        if not self.is_ip:
            return found
        kind, offset = self.fragment()
        found.update(frag=kind, frag_off=offset)
        proto = self.number("ip.proto" if self.version == 4 else "ipv6.nxt")
        if not self.has_extensions:
            found["proto"] = proto
        if kind == FRAG_LATER:
            return found
        if self.upper in ("tcp", "udp"):
            found["upper"] = (self.upper, self.number(f"{self.upper}.srcport"),
                              self.number(f"{self.upper}.dstport"))
        elif self.upper in ("icmp", "icmpv6"):
            found["upper"] = (self.upper, self.number(f"{self.upper}.type"),
                              self.number(f"{self.upper}.code"))
        if self.upper == "tcp":
            found["flags"] = self.number("tcp.flags") & 0xff
        return found

    def defect(self):
        """By the numbers: why the frame is malformed; None: it is not"""
        if len(self.tags) > 2:
            return "vlan-tags"
        if None in self.tags:
            return "vlan-truncated"
        if self.is_wrong_version:
            return "version"
        if not self.is_ip:
            return None
        room = self.len - self.l3
        version = self.number("ip.version" if self.version == 4 else "ipv6.version")
        if version != self.version:
            return "version"
        if self.version == 4:
            header, size = self.number("ip.hdr_len"), self.number("ip.len")
            if header is None or header < 20:
                return "ip-ihl"
            if size is None or room < header:
                return "ip-truncated"
            if size < header:
                return "ip-length-short"
            if size > room:
                return "ip-length-long"
        else:
            header, size = 40, self.number("ipv6.plen")
            if size is None:
                return "ip6-truncated"
            if not size and not self.number("ipv6.nxt"):
                return "ip6-jumbogram"
            size += 40
            if size > room:
                return "ip6-length-long"
        return None if self.has_extensions else self.upper_defect(size - header)

    def upper_defect(self, room):
        """Of what is behind the IP header, if no extension headers are"""
        if self.fragment()[0] == FRAG_LATER:
            return None
        name = UPPER.get(self.number("ip.proto" if self.version == 4 else "ipv6.nxt"))
        if name == "tcp":
            header = self.number("tcp.hdr_len")
            if room < 20:
                return "tcp-truncated"
            if header is None or header < 20:
                return "tcp-doff"
            return "tcp-truncated" if header > room else None
        if name in ("udp", "icmp", "icmpv6") and room < 8 and (name == "icmp") == (
                self.version == 4 and name != "udp"):
            return f"{name.removesuffix('v6')}-truncated"
        return None


def record_facts(rec):
    """Of a well-formed frame, as Reading.facts()"""
    found = {"tags": [tci & 0xfff for tci in (rec.vlan_tci0, rec.vlan_tci1)[:rec.vlan_count]],
             "version": rec.version}
    if not rec.version:
        return found
    found.update(frag=rec.frag, frag_off=rec.frag_off)
    if not rec.ext_count:
        found["proto"] = rec.proto
    if rec.frag == FRAG_LATER:
        return found
    name = UPPER.get(rec.proto)
    if name in ("tcp", "udp"):
        found["upper"] = name, rec.sport, rec.dport
    elif name == ("icmp" if rec.version == 4 else "icmpv6"):
        found["upper"] = name, rec.icmp_type, rec.icmp_code
    if name == "tcp":
        found["flags"] = rec.tcp_flags
    return found


def difference(rec, row, frame):
    """Return: how the two differ, or None"""
    reading, reason = Reading(row), REASONS[rec.reason]
    if reason == "runt":
        return None if len(frame) < 14 else "runt"
    defect = reading.defect()
    if (defect or "none") != VERSION.get(reason, reason):
        return f"{reason}; tshark: {defect or 'none'}"
    if defect:
        return None
    ours, theirs = record_facts(rec), reading.facts()
    if ours != theirs:
        return "; ".join(f"{key} {ours.get(key)}, tshark: {theirs.get(key)}"
                         for key in sorted({**ours, **theirs}) if ours.get(key) != theirs.get(key))
    return None


def main():
    """Return: exit status"""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = all_frames(sys.argv[1])
    frames = [frame for _, _, frame in found]
    if not frames:
        sys.exit(f"{sys.argv[1]}: no Ethernet frames")
    wrong, kinds = 0, collections.Counter()
    records = parse_natively(frames)
    for (name, number, frame), rec, row in zip(found, records, read_with_tshark(frames)):
        differs = difference(rec, row, frame)
        kinds[REASONS[rec.reason] if rec.reason else f"well-formed, IPv{rec.version}"
              if rec.version else "not IP"] += 1
        if differs:
            wrong += 1
            if wrong <= 20:
                print(f"DISAGREEMENT {name} {number}: {differs}\n  {row['frame.protocols'][0]} "
                      f"{frame[:120].hex()}")
    for name, count in kinds.most_common():
        print(f"{name:<28}{count:>10}")
    print(f"{len(frames)} frames of {len({name for name, _, _ in found})} captures: "
          f"{wrong or 'no'} disagreement{'s' * (wrong != 1 and wrong != 0)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
