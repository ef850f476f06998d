#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every program through BPF_PROG_TEST_RUN: records, verdicts, counters, bytes, samples.

    BUILD=DIR test_programs.py [TEST...]

Expected values are written by hand below; records are compared with reference.py as well.
"""
import collections
import math
import os
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
# pylint: disable=wrong-import-position
from packets import (ARP, DESTINATION, ETHER, HOP_BY_HOP, ICMP, IP, IP4, IP6, PAYLOAD, ROUTING, TCP,
                     TCP_SYN, UDP, UDP_QUERY, Dot1AD, Dot1Q, Ether, GRE, ICMPv6EchoRequest,
                     IPOption_Router_Alert, IPv6, IPv6ExtHdrHopByHop, Jumbo, Raw, authentication,
                     build, fix_length, fragment, stacks)
from reference import Record, REASONS, parse
from testrun import ACTION_MAX, DROP, NO_FRAGS, PASS, STAGES, TX, TestRun, has_frags, main

IPV4, IPV6, ARP_TYPE, VLAN, QINQ = 0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8
OPTIONS, DF, MF, RESERVED, PADDED, ROUTING0 = 1, 2, 4, 8, 16, 32
_, FIRST, LATER, ATOMIC = range(4)
CLASSES = ("other arp ip-tcp ip-udp ip-icmp ip-fragment ip-other ip6-tcp ip6-udp ip6-icmp "
           "ip6-fragment ip6-other malformed vlan").split()

# name; frame; class of stage count; all fields of the record that are not 0, except frame_len
Case = collections.namedtuple("Case", "name frame count record")
CASES = []


def case(name, frame, count, reason="none", **record):
    """Add one case; a Scapy packet gets an Ethernet header, bytes are taken as they are"""
    if not isinstance(frame, bytes):
        frame = bytes(frame) if isinstance(frame, Ether) else build(frame)
    CASES.append(Case(name, frame, count, dict(record, reason=REASONS.index(reason))))


def l2(ethertype=IPV4, hdr_len=14, **more):
    return dict(ethertype=ethertype, hdr_len=hdr_len, **more)


def ip4(l3_len, hdr_len=24, l3_off=14, version=4, **more):
    return dict(ethertype=IPV4, l3_off=l3_off, l3_len=l3_len, hdr_len=hdr_len, version=version,
                **more)


def ip6(l3_len, hdr_len=22, l3_off=14, version=6, **more):
    return dict(ethertype=IPV6, l3_off=l3_off, l3_len=l3_len, hdr_len=hdr_len, version=version,
                **more)


SYN = dict(proto=6, sport=40000, dport=443, tcp_flags=2)
QUERY = dict(proto=17, sport=53000, dport=53)
ECHO = dict(proto=1, icmp_type=8)
ECHO6 = dict(proto=58, icmp_type=128)
TAG1, TAG2 = dict(vlan_count=1, vlan_tci0=0x6005), dict(vlan_count=2, vlan_tci0=7, vlan_tci1=4095)
V1, V2 = Dot1Q(vlan=5, prio=3), Dot1AD(vlan=7) / Dot1Q(vlan=4095)
MACS = bytes(ETHER)[:12]


def ether(*words, pad=0):
    """Raw frame: addresses, 16-bit words, zeroes"""
    return MACS + struct.pack(f"!{len(words)}H", *words) + bytes(pad)


def ip_header(first=0x45, tot_len=40, frag=0, proto=6):
    return struct.pack("!BBHHHBBHII", first, 0, tot_len, 0, frag, 64, proto, 0, 1, 2)


def ip6_header(payload, nexthdr, first=0x60):
    return struct.pack("!BBHHBB", first, 0, 0, payload, nexthdr, 64) + bytes(32)


def tcp_header(byte12=0x50, flags=0x12):
    return struct.pack("!HHIIBBHHH", 40000, 443, 1, 2, byte12, flags, 0, 0, 0)


def ext(nexthdr, size=8):
    """Extension header other than fragment and AH"""
    return bytes([nexthdr, size // 8 - 1]) + bytes(size - 2)


def frag6(nexthdr, word):
    return struct.pack("!BBHI", nexthdr, 0, word, 1)


# --- layer 2
case("arp", ARP(pdst="192.0.2.9"), "arp", **l2(ARP_TYPE))
case("arp, vlan", ETHER / V1 / ARP(), "arp", **l2(ARP_TYPE, 18), **TAG1)
case("802.3 length", ether(46, pad=46), "other", **l2(46))
case("lldp", ether(0x88cc, pad=46), "other", **l2(0x88cc))
case("only an Ethernet header, of IPv4", ether(IPV4), "malformed", "ip-truncated",
     **l2(IPV4, 14), l3_off=14)
case("only an Ethernet header, of a tag", ether(VLAN), "malformed", "vlan-truncated", **l2(VLAN))
case("half a tag", ether(QINQ, 7), "malformed", "vlan-truncated", **l2(QINQ))
case("second tag missing", ether(QINQ, 7, VLAN), "malformed", "vlan-truncated", **l2(VLAN, 18),
     vlan_count=1, vlan_tci0=7)
case("second tag, three bytes", ether(QINQ, 7, VLAN, 1) + b"\x08", "malformed", "vlan-truncated",
     **l2(VLAN, 18), vlan_count=1, vlan_tci0=7)
case("three tags", ETHER / V2 / Dot1Q(vlan=1) / IP(**IP4) / TCP_SYN, "malformed", "vlan-tags",
     **l2(VLAN, 22), **TAG2)
case("three tags, 802.1ad inside", ether(VLAN, 7, QINQ, 4095, QINQ, 1, IPV4, pad=40), "malformed",
     "vlan-tags", **l2(QINQ, 22), **TAG2)
case("tag without a protocol", ether(VLAN, 0, 0, pad=42), "other", hdr_len=18, vlan_count=1)

# --- IPv4
case("ip tcp", IP(**IP4) / TCP_SYN / PAYLOAD, "ip-tcp", **ip4(59, 48, l4_off=34), **SYN)
case("ip tcp, one tag", ETHER / V1 / IP(**IP4) / TCP_SYN, "ip-tcp",
     **ip4(40, 52, 18, l4_off=38), **SYN, **TAG1)
case("ip tcp, two tags", ETHER / V2 / IP(**IP4) / TCP_SYN, "ip-tcp",
     **ip4(40, 56, 22, l4_off=42), **SYN, **TAG2)
case("ip tcp, options, all flags",
     IP(**IP4) / TCP(sport=40000, dport=443, flags=255, options=[("MSS", 1460)]), "ip-tcp",
     **ip4(44, 48, l4_off=34), **dict(SYN, tcp_flags=255))
case("ip udp", IP(**IP4) / UDP_QUERY / PAYLOAD, "ip-udp", **ip4(47, 38, l4_off=34), **QUERY)
case("ip udp, df", IP(**IP4, flags="DF") / UDP_QUERY, "ip-udp", **ip4(28, 38, l4_off=34, flags=DF),
     **QUERY)
case("ip icmp", IP(**IP4) / ICMP() / PAYLOAD, "ip-icmp", **ip4(47, 36, l4_off=34), **ECHO)
case("ip icmp unreachable", IP(**IP4) / ICMP(type=3, code=4) / IP(**IP4), "ip-icmp",
     **ip4(48, 36, l4_off=34), proto=1, icmp_type=3, icmp_code=4)
case("ip icmp6", IP(**IP4, proto=58) / Raw(bytes(8)), "ip-other", **ip4(28, l4_off=34), proto=58)
case("ip gre", IP(**IP4) / GRE() / IP(), "ip-other", **ip4(44, l4_off=34), proto=47)
case("ip without payload", IP(**IP4, proto=47), "ip-other", **ip4(20, l4_off=34), proto=47)
case("ip padded to 60 bytes", build(IP(**IP4) / UDP_QUERY) + bytes(18), "ip-udp",
     **ip4(28, 38, l4_off=34, flags=PADDED), **QUERY)
case("ip options", IP(**IP4, options=[IPOption_Router_Alert()]) / TCP_SYN, "ip-tcp",
     **ip4(44, 52, l4_off=38, flags=OPTIONS), **SYN)
case("ip options, 40 bytes", ether(IPV4) + ip_header(0x4f, 80) + bytes(40) + tcp_header(),
     "ip-tcp", **ip4(80, 88, l4_off=74, flags=OPTIONS), **dict(SYN, tcp_flags=0x12))
case("ip options, tags", ETHER / V2 / IP(**IP4, options=[IPOption_Router_Alert()]) / UDP_QUERY,
     "ip-udp", **ip4(32, 50, 22, l4_off=46, flags=OPTIONS), **QUERY, **TAG2)
case("ip options beyond the frame", ether(IPV4) + ip_header(0x46, 40), "malformed",
     "ip-truncated", **ip4(40, flags=OPTIONS), proto=6)
case("ip first fragment", IP(**IP4, flags="MF") / UDP_QUERY / PAYLOAD, "ip-fragment",
     **ip4(47, 38, l4_off=34, flags=MF, frag=FIRST), **QUERY)
case("ip first fragment, too short for TCP", IP(**IP4, flags="MF", proto=6) / Raw(bytes(16)),
     "malformed", "tcp-truncated", **ip4(36, l4_off=34, flags=MF, frag=FIRST), proto=6)
case("ip later fragment", IP(**IP4, flags="MF", frag=185, proto=17) / PAYLOAD, "ip-fragment",
     **ip4(39, flags=MF, frag=LATER, frag_off=1480), proto=17)
case("ip last fragment, empty", IP(**IP4, frag=8191, proto=6), "ip-fragment",
     **ip4(20, frag=LATER, frag_off=65528), proto=6)
case("ip fragment with df and reserved bit", IP(**IP4, flags=7, proto=6, frag=1) / PAYLOAD,
     "ip-fragment", **ip4(39, flags=MF | DF | RESERVED, frag=LATER, frag_off=8), proto=6)
case("ip reserved bit", IP(**IP4, flags="evil") / TCP_SYN, "ip-tcp",
     **ip4(40, 48, l4_off=34, flags=RESERVED), **SYN)
case("ip header, one byte missing", ether(IPV4) + ip_header()[:19], "malformed", "ip-truncated",
     **l2(IPV4), l3_off=14)
case("ip version 6", ether(IPV4) + ip_header(0x65) + tcp_header(), "malformed", "ip-version",
     **l2(IPV4, 24), l3_off=14)
case("ip ihl 4", ether(IPV4) + ip_header(0x44) + tcp_header(), "malformed", "ip-ihl",
     **l2(IPV4, 24), l3_off=14, version=4)
case("ip length 19", ether(IPV4) + ip_header(tot_len=19) + tcp_header(), "malformed",
     "ip-length-short", **ip4(19), proto=6)
case("ip length 0", ether(IPV4) + ip_header(tot_len=0) + tcp_header(), "malformed",
     "ip-length-short", **ip4(0), proto=6)
case("ip length 19, udp", ether(IPV4) + ip_header(tot_len=19, proto=17) + bytes(20), "malformed",
     "ip-length-short", **ip4(19), proto=17)
case("ip length 0, udp, tag", ether(VLAN, 0x6005, IPV4) + ip_header(tot_len=0, proto=17) +
     bytes(20), "malformed", "ip-length-short", **ip4(0, 28, 18), proto=17, **TAG1)
case("ip length below options", ether(IPV4) + ip_header(0x46, 23) + bytes(4), "malformed",
     "ip-length-short", **ip4(23, flags=OPTIONS), proto=6)
case("ip length one too long", ether(IPV4) + ip_header(tot_len=41) + tcp_header(), "malformed",
     "ip-length-long", **ip4(41), proto=6)
case("ip length 65535", ether(IPV4) + ip_header(tot_len=65535) + tcp_header(), "malformed",
     "ip-length-long", **ip4(65535), proto=6)
case("ip length too long, later fragment", ether(IPV4) + ip_header(tot_len=41, frag=1) +
     tcp_header(), "malformed", "ip-length-long", **ip4(41, frag=LATER, frag_off=8), proto=6)
case("tcp header ends in padding", ether(IPV4) + ip_header(tot_len=39) + tcp_header(),
     "malformed", "tcp-truncated", **ip4(39, l4_off=34, flags=PADDED), proto=6)
case("tcp doff 4", ether(IPV4) + ip_header() + tcp_header(0x4f), "malformed", "tcp-doff",
     **ip4(40, 48, l4_off=34), **dict(SYN, tcp_flags=0x12))
case("tcp options beyond the packet", ether(IPV4) + ip_header() + tcp_header(0x60), "malformed",
     "tcp-truncated", **ip4(40, 48, l4_off=34), **dict(SYN, tcp_flags=0x12))
case("tcp options in padding", ether(IPV4) + ip_header() + tcp_header(0x60) + bytes(4),
     "malformed", "tcp-truncated", **ip4(40, 48, l4_off=34, flags=PADDED),
     **dict(SYN, tcp_flags=0x12))
case("udp, seven bytes", ether(IPV4) + ip_header(tot_len=27, proto=17) + bytes(7), "malformed",
     "udp-truncated", **ip4(27, l4_off=34), proto=17)
case("udp, seven bytes and padding", ether(IPV4) + ip_header(tot_len=27, proto=17) + bytes(20),
     "malformed", "udp-truncated", **ip4(27, l4_off=34, flags=PADDED), proto=17)
case("icmp, seven bytes", ether(IPV4) + ip_header(tot_len=27, proto=1) + bytes(7), "malformed",
     "icmp-truncated", **ip4(27, l4_off=34), proto=1)

# --- IPv6
case("ip6 tcp", IP6 / TCP_SYN, "ip6-tcp", **ip6(60, 68, l4_off=54), **SYN)
case("ip6 tcp, one tag", ETHER / V1 / IP6 / TCP_SYN, "ip6-tcp", **ip6(60, 72, 18, l4_off=58), **SYN,
     **TAG1)
case("ip6 udp, two tags", ETHER / V2 / IP6 / UDP_QUERY, "ip6-udp", **ip6(48, 66, 22, l4_off=62),
     **QUERY, **TAG2)
case("ip6 udp, padded", build(IP6 / UDP_QUERY) + bytes(3), "ip6-udp",
     **ip6(48, 58, l4_off=54, flags=PADDED), **QUERY)
case("ip6 icmp6", IP6 / ICMPv6EchoRequest(), "ip6-icmp", **ip6(48, 56, l4_off=54), **ECHO6)
case("ip6 icmp", IPv6(nh=1) / Raw(bytes(8)), "ip6-other", **ip6(48, l4_off=54), proto=1)
case("ip6 no next header", IPv6(nh=59) / PAYLOAD, "ip6-other", **ip6(59), proto=59)
case("ip6 without payload", IPv6(nh=59), "ip6-other", **ip6(40), proto=59)
case("ip6 ip6", IP6 / IP6 / TCP_SYN, "ip6-other", **ip6(100, l4_off=54), proto=41)
case("ip6 esp", IPv6(nh=50) / PAYLOAD, "ip6-other", **ip6(59, l4_off=54), proto=50)
case("ip6 hop-by-hop", IP6 / HOP_BY_HOP / TCP_SYN, "ip6-tcp",
     **ip6(76, 84, l4_off=70, ext_count=1), **SYN)
case("ip6 routing", IP6 / ROUTING / UDP_QUERY, "ip6-udp",
     **ip6(72, 82, l4_off=78, ext_count=1, flags=ROUTING0), **QUERY)
case("ip6 routing, type 2", ether(IPV6) + ip6_header(16, 43) + bytes([17, 0, 2, 0, 0, 0, 0, 0]) +
     struct.pack("!HHHH", 53000, 53, 8, 0), "ip6-udp", **ip6(56, 66, l4_off=62, ext_count=1),
     **QUERY)
case("ip6 destination options that begin with 0", ether(IPV6) + ip6_header(16, 60) +
     bytes([17, 0, 0, 0, 0, 0, 0, 0]) + struct.pack("!HHHH", 53000, 53, 8, 0), "ip6-udp",
     **ip6(56, 66, l4_off=62, ext_count=1), **QUERY)
case("ip6 destination options", IP6 / DESTINATION / ICMPv6EchoRequest(), "ip6-icmp",
     **ip6(56, 64, l4_off=62, ext_count=1), **ECHO6)
case("ip6 authentication", IPv6(nh=51) / authentication(6) / TCP_SYN, "ip6-tcp",
     **ip6(84, 92, l4_off=78, ext_count=1), **SYN)
case("ip6 authentication of 12 bytes", ether(IPV6) + ip6_header(20, 51) +
     bytes([17, 1]) + bytes(10) + struct.pack("!HHHH", 53000, 53, 8, 0), "ip6-udp",
     **ip6(60, 70, l4_off=66, ext_count=1), **QUERY)
case("ip6 extension and no next header", ether(IPV6) + ip6_header(8, 60) + ext(59), "ip6-other",
     **ip6(48, 58, ext_count=1), proto=59)
case("ip6 extension of 2048 bytes, gre", ether(IPV6) + ip6_header(1984, 60) + ext(47, 1984),
     "ip6-other", **ip6(2024, 58, l4_off=2038, ext_count=1), proto=47)
case("ip6 header at 2046", ether(IPV6) + ip6_header(2000, 60) + ext(60, 1984) + ext(17) +
     struct.pack("!HHHH", 53000, 53, 8, 0), "ip6-udp",
     **ip6(2040, 2050, l4_off=2046, ext_count=2), **QUERY)
case("ip6 header at 2054", ether(IPV6) + ip6_header(2008, 60) + ext(60, 1984) + ext(17, 16) +
     bytes(8), "malformed", "ip6-ext-limit", **ip6(2048, 2042, ext_count=2), proto=17)
case("ip6 extension at 2054", ether(IPV6) + ip6_header(2016, 60) + ext(60, 1984) + ext(0, 16) +
     bytes(16), "malformed", "ip6-ext-limit", **ip6(2056, 2042, ext_count=2), proto=0)
case("ip6 first fragment", IP6 / fragment(0, 1) / TCP_SYN, "ip6-fragment",
     **ip6(68, 76, l4_off=62, ext_count=1, flags=MF, frag=FIRST), **SYN)
case("ip6 later fragment", IP6 / fragment(185, 1) / UDP_QUERY, "ip6-fragment",
     **ip6(56, 58, ext_count=1, flags=MF, frag=LATER, frag_off=1480), proto=17)
case("ip6 last fragment", IP6 / fragment(8191, 0) / TCP_SYN, "ip6-fragment",
     **ip6(68, 58, ext_count=1, frag=LATER, frag_off=65528), proto=6)
case("ip6 atomic fragment", IP6 / fragment(0, 0) / TCP_SYN, "ip6-tcp",
     **ip6(68, 76, l4_off=62, ext_count=1, frag=ATOMIC), **SYN)
case("ip6 fragment, reserved bits", ether(IPV6) + ip6_header(16, 44) + frag6(17, 6) +
     struct.pack("!HHHH", 53000, 53, 8, 0), "ip6-udp",
     **ip6(56, 66, l4_off=62, ext_count=1, frag=ATOMIC), **QUERY)
case("ip6 first fragment in an atomic one", IP6 / fragment(0, 1) / fragment(0, 0) / UDP_QUERY,
     "ip6-fragment", **ip6(64, 74, l4_off=70, ext_count=2, flags=MF, frag=FIRST), **QUERY)
case("ip6 extensions before a later fragment", IP6 / HOP_BY_HOP / ROUTING / fragment(1, 0) / UDP(),
     "ip6-fragment", **ip6(96, 98, ext_count=3, frag=LATER, frag_off=8, flags=ROUTING0), proto=17)
case("ip6 later fragment of extensions", ether(IPV6) + ip6_header(16, 44) + frag6(60, 8) +
     ext(6, 256)[:8], "ip6-fragment", **ip6(56, 58, ext_count=1, frag=LATER, frag_off=8), proto=60)
case("ip6 all extensions", ETHER / V2 / IP6 / HOP_BY_HOP / DESTINATION / ROUTING / fragment(0, 0) /
     authentication(6) / TCP_SYN, "ip6-tcp",
     **ip6(140, 156, 22, l4_off=142, ext_count=5, frag=ATOMIC, flags=ROUTING0), **SYN, **TAG2)
case("ip6 eight extensions", ether(IPV6) + ip6_header(72, 60) + ext(60) * 7 + ext(47) + bytes(8),
     "ip6-other", **ip6(112, 114, l4_off=118, ext_count=8), proto=47)
case("ip6 nine extensions", ether(IPV6) + ip6_header(80, 60) + ext(60) * 8 + ext(6) + bytes(8),
     "malformed", "ip6-ext-limit", **ip6(120, 114, ext_count=8), proto=60)
case("ip6 header, one byte missing", ether(IPV6) + ip6_header(0, 59)[:39], "malformed",
     "ip6-truncated", **l2(IPV6), l3_off=14)
case("ip6 version 4", ether(IPV6) + ip6_header(20, 6, 0x45) + tcp_header(), "malformed",
     "ip6-version", **l2(IPV6, 22), l3_off=14)
case("ip6 length one too long", ether(IPV6) + ip6_header(21, 6) + tcp_header(), "malformed",
     "ip6-length-long", **ip6(61), proto=6)
case("ip6 length 65535", ether(IPV6) + ip6_header(65535, 0) + bytes(8), "malformed",
     "ip6-length-long", **ip6(65575), proto=0)
case("ip6 jumbogram", ether(IPV6) + ip6_header(0, 0) + ext(6) + tcp_header(), "malformed",
     "ip6-jumbogram", **ip6(40, 62), proto=0)
case("ip6 jumbogram, option too long", ether(IPV6) + ip6_header(0, 0) +
     bytes((6, 0, 0xc2, 4, 0, 1, 0, 0)) + tcp_header(), "malformed", "ip6-jumbogram",
     **ip6(40, 62), proto=0)
case("ip6 jumbogram, cut", ether(IPV6) + ip6_header(0, 0) + ext(6)[:7], "malformed",
     "ip6-jumbogram", **ip6(40), proto=0)
case("ip6 length 0, tcp", ether(IPV6) + ip6_header(0, 6) + tcp_header(), "malformed",
     "tcp-truncated", **ip6(40, l4_off=54, flags=PADDED), proto=6)
case("ip6 length 7, udp", ether(IPV6) + ip6_header(7, 17) + bytes(20), "malformed",
     "udp-truncated", **ip6(47, l4_off=54, flags=PADDED), proto=17)
case("ip6 extension, seven bytes", ether(IPV6) + ip6_header(7, 60) + ext(6)[:7], "malformed",
     "ip6-ext-truncated", **ip6(47), proto=60)
case("ip6 extension in padding", ether(IPV6) + ip6_header(7, 60) + ext(6), "malformed",
     "ip6-ext-truncated", **ip6(47, flags=PADDED), proto=60)
case("ip6 extension past the packet", ether(IPV6) + ip6_header(8, 43) + ext(6, 16)[:8] + bytes(8),
     "malformed", "ip6-ext-truncated", **ip6(48, 58, flags=PADDED | ROUTING0, ext_count=1), proto=6)
case("ip6 second extension missing", ether(IPV6) + ip6_header(8, 0) + ext(60), "malformed",
     "ip6-ext-truncated", **ip6(48, 58, ext_count=1), proto=60)
case("ip6 fragment header missing", ether(IPV6) + ip6_header(4, 44) + bytes(4), "malformed",
     "ip6-ext-truncated", **ip6(44), proto=44)
case("ip6 icmp6, seven bytes", ether(IPV6) + ip6_header(7, 58) + bytes(7), "malformed",
     "icmp-truncated", **ip6(47, l4_off=54), proto=58)
case("ip6 udp truncated after extension", ether(IPV6) + ip6_header(12, 60) + ext(17) + bytes(4),
     "malformed", "udp-truncated", **ip6(52, 58, l4_off=62, ext_count=1), proto=17)


def expected_record(one):
    rec = Record()
    rec.frame_len = len(one.frame)
    for field, value in one.record.items():
        setattr(rec, field, value)
    return rec


def test_records(report):
    """ecbpf_parse() and ecbpf_run() give what is expected, and so does the reference"""
    with TestRun("record:record_parse", "record:record_get") as programs:
        for one in CASES:
            want, why = expected_record(one), []
            found = {"reference": parse(one.frame).pack(), "parsed": programs.record(one.frame),
                     "got": programs.record(one.frame, 1),
                     "got again": programs.record(one.frame, 1)}
            for name, packed in found.items():
                if packed != want.pack():
                    why.append(f"{name}: {Record.unpack(packed)}, not {want}")
            report.check(f"record: {one.name}", why)


def cut_reason(stack, size):
    """What must be found in a packet of which so many bytes are left, its lengths being right"""
    if size == stack.l3 + 40 and stack.frame[12:14] != b"\x08\0" and "/ip6-" in stack.name and \
            stack.frame[stack.l3 + 6] == 0:
        return "ip6-jumbogram"  # that is what payload length 0 before a hop-by-hop header means
    return next((cut for end, cut in stack.ends if size < end and cut), "none")


def test_truncation(report):
    """Every stack, cut at every byte, with lengths as they were and corrected"""
    with TestRun("record:record_parse", "record:record_get") as programs:
        for stack in stacks():
            sizes = range(14, len(stack.frame) + 1)
            corrected = [fix_length(stack.frame[:size], stack.l3) for size in sizes]
            frames = [stack.frame[:size] for size in sizes] + corrected
            want = b"".join(parse(frame).pack() for frame in frames)
            why = []
            for name, found in (("parsed", programs.records(frames)),
                                ("got", programs.records(frames, 1))):
                for i, frame in enumerate(frames):
                    if found[i * 40:][:40] != want[i * 40:][:40]:
                        why.append(f"{name} {frame.hex()}: {Record.unpack(found[i * 40:][:40])}, "
                                   f"not {Record.unpack(want[i * 40:][:40])}")
            for frame in corrected:
                reason, cut = REASONS[parse(frame).reason], cut_reason(stack, len(frame))
                if reason != cut:
                    why.append(f"{len(frame)} bytes: {reason}, not {cut}")
            report.check(f"truncation: {stack.name}", why)


# program, constants, the stages in its slots
PROGRAMS = [("pass:ecbpf_pass", {}, ["pass"]), ("count:ecbpf_count", {}, ["count"]),
            ("printk:ecbpf_printk", {"printk_every": 1 << 31}, ["printk"])]
for _stages in ([], ["pass"], ["count"], ["printk"], ["count", "pass", "printk"],
                ["printk", "count", "pass"], ["pass"] * 7 + ["count"]):
    PROGRAMS.append(("fused:ecbpf_fused", {"fused_stages": [STAGES[name] for name in _stages],
                                           "printk_every": 1 << 31} if _stages else {}, _stages))


def run_program(programs, stages_run, malformed):
    """Run all cases. Yields what is wrong"""
    wanted = [collections.Counter() for _ in stages_run]
    classes = collections.Counter()
    for one in CASES:
        reason, size = one.record["reason"], len(one.frame)
        verdict = malformed if reason and stages_run else PASS
        ran = 1 if verdict != PASS else len(stages_run)
        got, out = programs.run(one.frame)
        if got != verdict:
            yield f"{one.name}: verdict {got}, not {verdict}"
        if out != one.frame:
            yield f"{one.name}: bytes changed: {out.hex()}, not {one.frame.hex()}"
        for slot in wanted[:ran]:
            slot[verdict] += 1
            slot[ACTION_MAX + verdict] += size
            if reason:
                slot[2 * ACTION_MAX + reason] += 1
        names = [one.count] + (["vlan"] if one.record.get("vlan_count") else [])
        for name in names * stages_run[:ran].count("count"):
            classes[2 * CLASSES.index(name)] += 1
            classes[2 * CLASSES.index(name) + 1] += size
        for slot, want in enumerate(wanted):
            found = programs.read_sums("counters", slot)
            found = collections.Counter({i: value for i, value in enumerate(found) if value})
            if found != want:
                yield f"{one.name}: counters of slot {slot}: {found - want} too much, " \
                    f"{want - found} too little"
        if "count" in stages_run:
            found = collections.Counter()
            for i in range(32):
                packets, size = programs.read_sums("count_protocols", i)
                found.update({2 * i: packets, 2 * i + 1: size})
            if +found != classes:
                yield f"{one.name}: count: {found - classes} too much, {classes - found} too little"


def test_programs(report):
    """Verdicts, counters of actions, bytes and reasons, classes of stage count, bytes untouched"""
    for program, constants, stages_run in PROGRAMS:
        for malformed in (PASS, DROP):
            name = program.split(":", maxsplit=1)[0]
            if name == "fused":
                name += f" [{' '.join(stages_run)}]"
            name += ", malformed " + ("passed" if malformed == PASS else "dropped")
            constants = dict(constants, malformed_action=malformed)
            with TestRun((program, constants)) as programs:
                report.check(f"program: {name}", list(run_program(programs, stages_run, malformed)))


def trace_lines(trace, marker, pid):
    """Lines that the process printed since the marker"""
    lines = trace.split(marker)[-1].splitlines()
    return [line.split("bpf_trace_printk: ")[1] for line in lines
            if f"-{pid} " in line and "bpf_trace_printk: ecbpf:" in line]


def test_printk(report):
    """What stage printk prints. Reads the trace, not the pipe: there may be other readers"""
    tracing = "/sys/kernel/tracing"
    if not os.path.exists(f"{tracing}/trace_marker"):
        tracing = "/sys/kernel/debug/tracing"
    if not os.path.exists(f"{tracing}/trace_marker"):
        report.skip("printk", "no tracefs mounted")
        return
    expected = {
        "arp": ["ecbpf: ifindex 1 len 42 reason 0", "ecbpf:  ethertype 0806 vlan 0,0"],
        "ip tcp, two tags": [
            "ecbpf: ifindex 1 len 62 reason 0", "ecbpf:  ethertype 0800 vlan 7,4095",
            "ecbpf:  ip4 len 40 proto 6", "ecbpf:  flags 00 frag 0 at 0",
            "ecbpf:  port 40000 to 443 tcp flags 02"],
        "ip6 later fragment": [
            "ecbpf: ifindex 1 len 70 reason 0", "ecbpf:  ethertype 86dd vlan 0,0",
            "ecbpf:  ip6 len 56 proto 17", "ecbpf:  flags 04 frag 2 at 1480"],
        "udp, seven bytes": [
            "ecbpf: ifindex 1 len 41 reason 17", "ecbpf:  ethertype 0800 vlan 0,0",
            "ecbpf:  ip4 len 27 proto 17", "ecbpf:  flags 00 frag 0 at 0"],
    }
    frames = {one.name: one.frame for one in CASES}

    def traced(programs, names):
        marker = f"ecbpf test {time.monotonic_ns()}"
        with open(f"{tracing}/trace_marker", "w", encoding="ascii") as file:
            file.write(marker)
        for name in names:
            programs.run(frames[name])
        with open(f"{tracing}/trace", encoding="ascii", errors="replace") as file:
            return trace_lines(file.read(), marker, programs.pid)

    for program in (("printk:ecbpf_printk", {"printk_every": 1}),
                    ("fused:ecbpf_fused", {"printk_every": 1, "fused_stages": [3]})):
        with TestRun(program) as programs:
            for name, want in expected.items():
                found = traced(programs, [name])
                report.check(f"printk: {program[0]}: {name}",
                             found != want and f"{found}, not {want}")
    with TestRun(("printk:ecbpf_printk", {"printk_every": 3})) as programs:
        found = len(traced(programs, ["arp"] * 10))
        report.check("printk: every third of ten", found != 8 and f"{found} lines, not 8")


Sample = collections.namedtuple(
    "Sample", "time_ns seq lost ifindex queue rate cap_len rule stage action reason record data")


def samples(programs):
    for event in programs.samples():
        head = struct.unpack_from("=QQQIIIIIHBB40s", event)
        sample = Sample(*head, event[88:])
        yield sample._replace(data=sample.data[:sample.cap_len])


MALFORMED = [one for one in CASES if one.record["reason"]]
GOOD = [one for one in CASES if not one.record["reason"]]


def sampling(rate, snap_len=100, max_pps=0, passed=0):
    """Settings: of terminal verdicts one in `rate`; of passed packets likewise `passed`"""
    return struct.pack("=4I", passed, rate, snap_len, max_pps)


def sampled(programs, cases):
    """Samples of these cases"""
    for one in cases:
        programs.run(one.frame)
    return list(samples(programs))


def draw_anew(programs):
    """What user space does when it changes settings"""
    programs.write("sampling_gap", bytes(len(programs.read("sampling_gap"))))


def settings(programs, *args, **more):
    programs.write("sampling", sampling(*args, **more))
    draw_anew(programs)


def wrong_samples(found, cases, stage, action, size, rule=0):
    """What differs from one sample of each case, in order"""
    why = []
    if len(found) != len(cases):
        why.append(f"{len(found)} samples, not {len(cases)}")
    for one, sample in zip(cases, found):
        cap = min(size, len(one.frame))
        want = Sample(sample.time_ns, sample.seq, 0, 1, 0, 1, cap, rule, stage, action,
                      one.record["reason"], expected_record(one).pack(), one.frame[:cap])
        if sample != want:
            why.append(f"{one.name}: {sample}, not {want}")
        if abs(time.monotonic_ns() - sample.time_ns) > 60e9:
            why.append(f"{one.name}: time {sample.time_ns}")
    if found and [sample.seq for sample in found] != list(range(found[0].seq,
                                                                 found[0].seq + len(found))):
        why.append("seq has gaps")
    return why


def test_sampling(report):
    """The sampling hook: each packet is drawn from once, where it ends; contents"""
    fused = {"fused_stages": [2, 1, 3], "printk_every": 1 << 31}
    with_sampler = {"fused_stages": [2, 1, 7]}
    for program, more, stage in (("pass:ecbpf_pass", {}, 1), ("count:ecbpf_count", {}, 2),
                                 ("printk:ecbpf_printk", {"printk_every": 1 << 31}, 3),
                                 ("sampler:ecbpf_sampler", {}, 7),
                                 ("fused:ecbpf_fused", fused, 2),
                                 ("fused:ecbpf_fused", with_sampler, 2)):
        is_last = stage == 7 or more is with_sampler
        name = f"sampling: {program.split(':', maxsplit=1)[0]}{' to sampler' * is_last}: "
        constants = dict(more, malformed_action=DROP)
        with TestRun((program, constants)) as programs:
            programs.samples()
            settings(programs, 1, 100, passed=1)
            # all of those that are dropped, and of those that pass what the sampler sees
            report.check(name + "rate 1, every dropped packet",
                         wrong_samples(sampled(programs, MALFORMED), MALFORMED, stage, DROP, 100))
            want = GOOD if is_last else []
            report.check(name + "passed packets: each once at the sampler, else never",
                         wrong_samples(sampled(programs, GOOD), want, 7, PASS, 100))
            for size in (16384, 0):
                settings(programs, 1, size, passed=1)
                report.check(f"{name}snap_len {size}",
                             wrong_samples(sampled(programs, MALFORMED), MALFORMED, stage, DROP,
                                           size))
            settings(programs, 1, passed=0)
            report.check(name + "passed packets off",
                         wrong_samples(sampled(programs, GOOD + MALFORMED), MALFORMED, stage, DROP,
                                       100))
            settings(programs, 0, passed=0)
            report.check(name + "off", sampled(programs, MALFORMED * 3) and "sampled")
            check_change(report, name, programs)
        with TestRun((program, dict(constants, sampling_on=0))) as programs:
            programs.samples()
            settings(programs, 1, passed=1)
            report.check(name + "none with sampling_on 0",
                         sampled(programs, (GOOD + MALFORMED) * 2) and "sampled")
    test_rule(report)


def check_change(report, name, programs):
    """A rate that is changed without a new draw is in force 128 packets later, whatever it was"""
    settings(programs, 0xffffffff)
    sampled(programs, MALFORMED)
    programs.write("sampling", sampling(1))
    found = sampled(programs, (MALFORMED * (129 // len(MALFORMED) + 1))[:129])
    why = []
    if len(found) < 1 or found[-1].rate != 1:
        why.append(f"{len(found)} of 129 packets sampled after a change from 1/4294967295 to 1")
    programs.write("sampling", sampling(0xffffffff))
    found = sampled(programs, MALFORMED * 2)
    if found:
        why.append(f"{len(found)} sampled after a change from 1 to 1/4294967295")
    report.check(name + "change of the rate", why)


def test_rule(report):
    """What a stage can say and the suite's simple ones do not: a rule, a draw before a rewrite"""
    one = next(one for one in GOOD if len(one.frame) > 60)
    with TestRun("sample:sample_rewrite") as programs:
        programs.samples()
        settings(programs, 1, passed=1)
        verdict, out = programs.run(one.frame)
        found = list(samples(programs))
        why = wrong_samples([sample._replace(reason=one.record["reason"]) for sample in found],
                            [one], 200, TX, 100, rule=65535)
        if not why and found[0].reason != 112:
            why.append(f"reason {found[0].reason}")
        if verdict != TX or out[:6] != b"\xff" * 6:
            why.append(f"verdict {verdict}, {out[:6]}")
        report.check("sampling: drawn once, before the rewrite, with its rule", why)


def test_losses(report):
    """Each sample drawn ends in one counter: put, capped, lost, unread"""
    one = MALFORMED[0].frame
    with TestRun(("pass:ecbpf_pass", {"malformed_action": DROP})) as programs:
        settings(programs, 1)
        programs.repeat(one, 6)
        found = programs.read_sums("sampling_state")
        report.check("losses: without a reader", found != [0, 0, 0, 6] and f"{found}")
        programs.samples()
        found = [(sample.seq, sample.lost) for sample in sampled(programs, MALFORMED[:2])]
        report.check("losses: a sample says what was lost before it",
                     found != [(6, 6), (7, 6)] and f"seq and lost {found}")
        settings(programs, 1, 1000)
        count = 100000
        programs.repeat(one, count)
        found = list(samples(programs))
        put, capped, lost, unread = programs.read_sums("sampling_state")
        why = []
        if put + lost != count + 2 or (capped, unread) != (0, 6) or not lost:
            why.append(f"put {put}, capped {capped}, lost {lost}, unread {unread}")
        if put != len(found) + 2:
            why.append(f"put {put}, read {len(found) + 2}")
        report.check("losses: a ring that is full", why)
        # 1,000 a second: a tenth of a second's at once, and what time adds
        settings(programs, 1, 0, 1000)
        start = time.monotonic()
        programs.repeat(one, count)
        seconds = time.monotonic() - start
        now = programs.read_sums("sampling_state")
        let, more = now[0] + now[2] - put - lost, now[1]
        why = []
        if let + more != count:
            why.append(f"{let} put or lost and {more} capped of {count}")
        if not 100 <= let <= 102 + 1000 * seconds:
            why.append(f"{let} in {seconds:.3f} s")
        report.check("losses: capped at 1,000 a second", why)


def is_binomial(count, trials, probability, sigmas):
    sigma = (trials * probability * (1 - probability)) ** .5
    return abs(count - trials * probability) <= sigmas * sigma


def twice(attempt):
    """What one time in thousands goes wrong by chance goes wrong once; a fault does twice"""
    return attempt() and attempt()


def draw_many(rate, action, period):
    """Ten million packets, whose flow is another one each time, of `period` in turn"""
    with TestRun(("sample:sample_many",
                  {"sample_period": period, "sample_action": action})) as programs:
        settings(programs, rate if action == DROP else 0, passed=rate if action == PASS else 0)
        programs.repeat(bytes(60), 10000)
        sums = programs.read_sums("sample_hits")
    packets, drawn = sums[:64], sums[64:]
    why = []
    if sum(packets) != 10000000 or min(packets[:period]) < 10000000 // period:
        why.append(f"{packets} packets")
    if not is_binomial(sum(drawn), sum(packets), 1 / rate, 4):
        why.append(f"{sum(drawn)} samples of {sum(packets)} packets")
    for i in range(period):
        # 5 sigma of any of them are rarer than 4 of one
        if packets[i] / rate >= 100 and not is_binomial(drawn[i], packets[i], 1 / rate, 5):
            why.append(f"flow {i}: {drawn[i]} samples of {packets[i]} packets")
    return why


def draw_gaps(rate):
    """A million gaps, how many are below each decile of the geometric distribution"""
    limits = [max(1, round(math.log1p(-i / 10) / math.log1p(-1 / rate))) for i in range(1, 10)]
    with TestRun(("sample:sample_gaps_many",
                  {"sample_rate": rate, "sample_limits": limits})) as programs:
        programs.repeat(bytes(60), 1000)
        gaps, *below = programs.read_sums("sample_gaps")
    why = [] if gaps == 1000000 else [f"{gaps} gaps"]
    for limit, count in zip(limits, below):
        expected = -math.expm1(limit * math.log1p(-1 / rate))
        if not is_binomial(count, gaps, expected, 5):
            why.append(f"{count} of {gaps} gaps are below {limit}, not {expected:.5f} of them")
    return why


def test_unbiased(report):
    """Counts are binomial: of ten million packets, and of each flow in periodic traffic"""
    for rate in (1, 2, 3, 10, 64, 1000, 65536):
        for action, period in ((PASS, 10), (DROP, 64)):
            report.check(f"unbiased: 1/{rate}, {'passed' if action == PASS else 'dropped'}, "
                         f"{period} flows in turn", twice(lambda: draw_many(rate, action, period)))
    for rate in (2, 3, 1000, 1000003, 0xffffffff):
        report.check(f"unbiased: gaps of 1/{rate}", twice(lambda: draw_gaps(rate)))


def test_frags(report):
    """Frames with XDP fragments: lengths are of the whole frame, headers of the linear part"""
    if not has_frags():
        report.skip("frags", NO_FRAGS)
        return
    tcp, payload = bytes(IP6 / TCP_SYN / Raw(bytes(3000))), bytes(3000)
    big, ip6_big = Raw(bytes(66000)), IPv6(src=IP6.src, dst=IP6.dst, plen=0)
    frames = {
        "ip tcp": (build(IP(**IP4) / TCP_SYN / Raw(payload)), (54, 100, 3000)),
        "ip6 tcp": (MACS + b"\x86\xdd" + tcp, (74, 100, 3000)),
        "ip udp, padding": (build(IP(**IP4) / UDP_QUERY) + bytes(3000), (42, 43, 100)),
        "ip icmp, padding": (build(IP(**IP4) / ICMP()) + bytes(3000), (42, 43, 100)),
        "ip6 icmp6, padding": (build(IP6 / ICMPv6EchoRequest()) + bytes(3000), (62, 63, 100)),
        "ip length long": (fix_length(build(IP(**IP4) / UDP_QUERY / Raw(payload)), 14)[:-1],
                           (42, 100)),
        "arp": (build(ARP()) + bytes(3000), (42, 100)),
        "ip header cut": (build(IP(**IP4) / TCP_SYN / Raw(payload)), (14, 33)),
        "tcp header cut": (build(IP(**IP4) / TCP_SYN / Raw(payload)), (34, 53)),
        "ip6 extension cut": (build(IP6 / ROUTING / TCP_SYN / Raw(payload)), (54, 61)),
        "ip6 extension half": (build(IP6 / ROUTING / TCP_SYN / Raw(payload)), (62, 77)),
        # merged by the stack to more than a length field can say (BIG TCP)
        "big ip tcp": (build(IP(**IP4, len=0) / TCP_SYN / big), (54, 100)),
        "big ip6 tcp": (build(ip6_big / TCP_SYN / big), (74, 100)),
        "big ip6 tcp, jumbo payload": (build(ip6_big / IPv6ExtHdrHopByHop(
            options=[Jumbo(jumboplen=66028)]) / TCP_SYN / big), (82, 100)),
        "ip options cut": (build(IP(**IP4, options=[IPOption_Router_Alert()]) / TCP_SYN /
                                 Raw(payload)), (34, 37)),
    }
    with TestRun(("record:record_parse", {"xdp_frags": 1}),
                 ("record:record_get", {"xdp_frags": 1}),
                 ("pass:ecbpf_pass", {"xdp_frags": 1})) as programs:
        want_bytes = 0
        for name, (frame, linear_lens) in frames.items():
            why = []
            for linear_len in linear_lens:
                want = parse(frame, linear_len)
                for prog, how in ((0, "parsed"), (1, "got"), (1, "got again")):
                    verdict, out = programs.run(frame, prog, linear_len)
                    found = programs.read("records", 0, prog)
                    if found != want.pack():
                        why.append(f"{how}, linear {linear_len}: {Record.unpack(found)}, "
                                   f"not {want}")
                    if (verdict, out) != (PASS, frame):
                        why.append(f"verdict {verdict}, {len(out)} bytes")
                programs.run(frame, 2, linear_len)
                want_bytes += len(frame)
            report.check(f"frags: {name}", why)
        found = programs.read_sums("counters", 0, 2)[ACTION_MAX + PASS]
        report.check("frags: bytes counted", found != want_bytes and f"{found}, not {want_bytes}")


if __name__ == "__main__":
    main([test_records, test_truncation, test_programs, test_printk, test_sampling, test_losses,
          test_unbiased, test_frags])
