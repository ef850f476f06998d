#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An independent model of the parser, to test the C one against.

Written from the description of the record (headers/ecbpf/record.h) and the RFCs, not from the C
source. Like there, the first defect in wire order ends the walk: what was found before it stands
in the record, everything else is 0.

    reference.py HEX...     print the record of a frame
"""
import struct
import sys

REASONS = ("none runt vlan-truncated vlan-tags ip-truncated ip-version ip-ihl ip-length-short "
           "ip-length-long ip6-truncated ip6-version ip6-length-long ip6-jumbogram "
           "ip6-ext-truncated ip6-ext-limit tcp-truncated tcp-doff udp-truncated "
           "icmp-truncated").split()
# EtherTypes of other link layers that can carry IP: tags before 802.1ad; those without a reason of
# their own: AX.25, TRILL, batman-adv, transparent Ethernet bridging, LLC in jumbo frames, Realtek's
# tags, OUI extended, HSR version 0, FabricPath, Cisco metadata, HSR, 6LoWPAN, EDSA, 802.1Q in DSA,
# A5PSW, inter-FE LFB
QINQ_LINKS = (0x9100, 0x9200, 0x9300)
OTHER_LINKS = (0x08ff, 0x22f3, 0x4305, 0x6558, 0x8870, 0x8899, 0x88b7, 0x88fb, 0x8903, 0x8909,
               0x892f, 0xa0ed, 0xdada, 0xdadb, 0xe001, 0xed3e)
FRAG_NONE, FRAG_FIRST, FRAG_LATER, FRAG_ATOMIC = range(4)
IP_OPTIONS, IP_DF, IP_MF, IP_RESERVED, PADDED, IP6_ROUTING0 = 1, 2, 4, 8, 16, 32
RECORD_SIZE = 40

TCP, UDP, ICMP, ICMP6, NO_NEXT_HEADER = 6, 17, 1, 58, 59
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION = 0, 43, 44, 51
EXTENSIONS = frozenset((HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, 60))
EXTENSIONS_MAX = 8
HEADER_MAX = 2048

_u16 = struct.Struct("!H").unpack_from
_ip4 = struct.Struct("!B1xH2xH1xB").unpack_from
_ip6 = struct.Struct("!HB").unpack_from
_ext = struct.Struct("!BBH").unpack_from
_tcp = struct.Struct("!HH8xBB").unpack_from
_udp = struct.Struct("!HH").unpack_from
_native = struct.Struct("=LL6H").pack
_network = struct.Struct("!HBBHH8BL").pack


class Malformed(Exception):
    """The first defect; its argument is the name of the reason"""


class Record:
    """struct ecbpf_record; all fields are numbers in host order. What is not set is 0."""
    frame_len = l3_len = l3_off = l4_off = hdr_len = frag_off = vlan_tci0 = vlan_tci1 = 0
    ethertype = vlan_count = ext_count = sport = dport = 0
    version = proto = frag = reason = flags = tcp_flags = icmp_type = icmp_code = reserved = 0
    NAMES = ("frame_len l3_len l3_off l4_off hdr_len frag_off vlan_tci0 vlan_tci1 ethertype "
             "vlan_count ext_count sport dport version proto frag reason flags tcp_flags "
             "icmp_type icmp_code reserved").split()

    def pack(self):
        """The 40 bytes that the C structure has"""
        return _native(self.frame_len, self.l3_len, self.l3_off, self.l4_off, self.hdr_len,
                       self.frag_off, self.vlan_tci0, self.vlan_tci1) + \
            _network(self.ethertype, self.vlan_count, self.ext_count, self.sport, self.dport,
                     self.version, self.proto, self.frag, self.reason, self.flags, self.tcp_flags,
                     self.icmp_type, self.icmp_code, self.reserved)

    @classmethod
    def unpack(cls, packed):
        """The other way"""
        rec = cls()
        rec.__dict__.update(zip(cls.NAMES, struct.unpack("=LL6H", packed[:20]) +
                                struct.unpack("!HBBHH8BL", packed[20:])))
        return rec

    def __str__(self):
        facts = {name: getattr(self, name) for name in self.NAMES if getattr(self, name)}
        if self.reason < len(REASONS):
            facts["reason"] = REASONS[self.reason]
        return " ".join(f"{name}={value}" for name, value in facts.items())


def parse(frame, linear_len=None):
    """The record of a frame. linear_len: where its linear part ends, if it has XDP fragments"""
    rec = Record()
    rec.frame_len = len(frame)
    try:
        _layer2(rec, frame, rec.frame_len if linear_len is None else linear_len)
    except Malformed as defect:
        rec.reason = REASONS.index(defect.args[0])
    return rec


def _layer2(rec, frame, linear):
    """Ethernet, IEEE 802.1Q"""
    if linear < 14:
        raise Malformed("runt")
    pos = rec.hdr_len = 14
    rec.ethertype, = _u16(frame, 12)
    while rec.ethertype in (0x8100, 0x88a8):
        if rec.vlan_count == 2:
            raise Malformed("vlan-tags")
        if linear < pos + 4:
            raise Malformed("vlan-truncated")
        if rec.vlan_count:
            rec.vlan_tci1, = _u16(frame, pos)
        else:
            rec.vlan_tci0, = _u16(frame, pos)
        rec.vlan_count += 1
        rec.ethertype, = _u16(frame, pos + 2)
        pos += 4
        rec.hdr_len = pos
    if rec.ethertype == 0x0800:
        _internet4(rec, frame, linear, pos)
    elif rec.ethertype == 0x86dd:
        _internet6(rec, frame, linear, pos)


def _internet4(rec, frame, linear, pos):
    """RFC 791 section 3.1"""
    rec.l3_off = pos
    if linear < pos + 20:
        raise Malformed("ip-truncated")
    rec.hdr_len = pos + 10
    first, length, fragment, proto = _ip4(frame, pos)
    if first >> 4 != 4:
        raise Malformed("ip-version")
    rec.version = 4
    header = first % 16 * 4
    if header < 20:
        raise Malformed("ip-ihl")
    if length == 0 and proto == TCP and len(frame) - pos > 65535:
        length = len(frame) - pos  # BIG TCP
    rec.l3_len = length
    rec.proto = proto
    rec.frag_off = fragment % 8192 * 8
    if rec.frag_off:
        rec.frag = FRAG_LATER
    elif fragment & 0x2000:
        rec.frag = FRAG_FIRST
    rec.flags = (IP_OPTIONS if header > 20 else 0) | (IP_RESERVED if fragment & 0x8000 else 0) | \
        (IP_DF if fragment & 0x4000 else 0) | (IP_MF if fragment & 0x2000 else 0)
    if linear < pos + header:
        raise Malformed("ip-truncated")
    if length < header:
        raise Malformed("ip-length-short")
    if length > len(frame) - pos:
        raise Malformed("ip-length-long")
    if length < len(frame) - pos:
        rec.flags |= PADDED
    if not rec.frag_off:
        _layer4(rec, frame, linear, pos + header, pos + length, ICMP)


def _jumbo(proto, frame, linear, pos):
    """Payload length of a packet that says 0, and how far it was read: RFC 2675 section 2; BIG TCP
    since Linux 7.0, which has no option"""
    room = len(frame) - pos - 40
    if proto == TCP:
        return (room if room > 65535 else 0), 0
    if proto != HOP_BY_HOP or linear < pos + 48:
        return 0, 0
    kind, size, length = struct.unpack_from("!BBL", frame, pos + 42)
    return (length if (kind, size) == (0xc2, 4) and 65535 < length <= room else 0), pos + 48


def _internet6(rec, frame, linear, pos):
    """RFC 8200 sections 3 and 4, RFC 4302 section 2.2"""
    rec.l3_off = pos
    if linear < pos + 40:
        raise Malformed("ip6-truncated")
    rec.hdr_len = pos + 8
    if frame[pos] >> 4 != 6:
        raise Malformed("ip6-version")
    rec.version = 6
    payload, rec.proto = _ip6(frame, pos + 4)
    deepest = 0
    if payload == 0:
        payload, deepest = _jumbo(rec.proto, frame, linear, pos)
        rec.hdr_len = max(rec.hdr_len, deepest)
    rec.l3_len = 40 + payload
    if payload == 0 and rec.proto == HOP_BY_HOP:
        raise Malformed("ip6-jumbogram")
    end = pos + 40 + payload
    if end > len(frame):
        raise Malformed("ip6-length-long")
    if end < len(frame):
        rec.flags = PADDED
    pos += 40
    while rec.proto in EXTENSIONS:
        if rec.ext_count == EXTENSIONS_MAX or pos > HEADER_MAX:
            raise Malformed("ip6-ext-limit")
        if pos + 8 > min(end, linear):
            raise Malformed("ip6-ext-truncated")
        rec.hdr_len = max(pos + 4, deepest)
        rec.ext_count += 1
        kind = rec.proto
        rec.proto, length, fragment = _ext(frame, pos)
        if kind == ROUTING and frame[pos + 2] == 0:
            rec.flags |= IP6_ROUTING0
        if kind == FRAGMENT:
            pos += 8
            rec.frag_off = fragment & 0xfff8
            if fragment & 1:
                rec.flags |= IP_MF
            if rec.frag_off:
                rec.frag = FRAG_LATER
                return
            rec.frag = FRAG_FIRST if rec.flags & IP_MF else FRAG_ATOMIC
        else:
            pos += (length + 2) * 4 if kind == AUTHENTICATION else (length + 1) * 8
            if pos > end:
                raise Malformed("ip6-ext-truncated")
    if pos > HEADER_MAX:
        raise Malformed("ip6-ext-limit")
    if rec.proto != NO_NEXT_HEADER:
        _layer4(rec, frame, linear, pos, end, ICMP6)


def _layer4(rec, frame, linear, pos, end, icmp):
    """TCP (RFC 9293 section 3.1), UDP (RFC 768), ICMP (RFC 792), ICMPv6 (RFC 4443)"""
    rec.l4_off = pos
    reach = min(end, linear) - pos
    if rec.proto == TCP:
        if reach < 20:
            raise Malformed("tcp-truncated")
        rec.hdr_len = pos + 14
        rec.sport, rec.dport, offset, rec.tcp_flags = _tcp(frame, pos)
        if offset >> 4 < 5:
            raise Malformed("tcp-doff")
        if pos + (offset >> 4) * 4 > end:
            raise Malformed("tcp-truncated")
    elif rec.proto == UDP:
        if reach < 8:
            raise Malformed("udp-truncated")
        rec.hdr_len = pos + 4
        rec.sport, rec.dport = _udp(frame, pos)
    elif rec.proto == icmp:
        if reach < 8:
            raise Malformed("icmp-truncated")
        rec.hdr_len = pos + 2
        rec.icmp_type, rec.icmp_code = frame[pos], frame[pos + 1]


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(parse(bytes.fromhex(argument)))
