# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Packets of every stack of headers that the parser knows, built by Scapy.

Each header comes with its size and with what its absence is called, so that a test can cut a
packet anywhere and know what is to be found, without asking a parser.
"""
import logging
import struct
from collections import namedtuple

logging.getLogger("scapy").setLevel(logging.ERROR)
# pylint: disable=wrong-import-position
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import (ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, Jumbo, PadN)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

ETHER = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
IP4 = dict(src="192.0.2.1", dst="198.51.100.1", id=7)
IP6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
PAYLOAD = Raw(b"payload of a packet")
TCP_SYN = TCP(sport=40000, dport=443, flags="S", seq=1)
UDP_QUERY = UDP(sport=53000, dport=53)
HOP_BY_HOP = IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(12))])
ROUTING = IPv6ExtHdrRouting(addresses=["2001:db8::3"])
DESTINATION = IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))])


def fragment(offset, more):
    """IPv6 fragment header; offset in units of 8 bytes"""
    return IPv6ExtHdrFragment(offset=offset, m=more, id=9)


def authentication(next_header):
    """Authentication header of 24 bytes"""
    return AH(nh=next_header, payloadlen=4, spi=1, seq=1, icv=bytes(12))


def from_source(source):
    """Packets that have nothing but their source in common: name, packet"""
    if ":" in source:
        ip6 = IPv6(src=source, dst="2001:db8:ffff::2")
        return {
            "tcp6": ip6 / TCP(),
            "udp6": ip6 / UDP_QUERY,
            "icmp6": ip6 / ICMPv6EchoRequest(),
            "gre6": ip6 / GRE() / IP(),
            "esp6": IPv6(src=source, dst="2001:db8:ffff::2", nh=50) / Raw(bytes(20)),
            "extensions6": ip6 / HOP_BY_HOP / DESTINATION / TCP(),
            "routing6": ip6 / ROUTING / UDP_QUERY,
            "fragment6": ip6 / fragment(185, 0) / TCP(),
            "first fragment6": ip6 / fragment(0, 1) / TCP(),
            "nine extensions6": ip6 / DESTINATION / DESTINATION / DESTINATION / DESTINATION /
                                DESTINATION / DESTINATION / DESTINATION / DESTINATION / DESTINATION,
            "tcp6 truncated": IPv6(src=source, dst="2001:db8:ffff::2", nh=6) / Raw(bytes(3)),
        }
    four = dict(src=source, dst="198.51.100.1")
    return {
        "tcp": IP(**four) / TCP(),
        "udp": IP(**four) / UDP_QUERY,
        "icmp": IP(**four) / ICMP(),
        "gre": IP(**four) / GRE() / IP(),
        "esp": IP(**four, proto=50) / Raw(bytes(20)),
        "sctp": IP(**four, proto=132) / Raw(bytes(12)),
        "options": IP(**four, options=[IPOption_Router_Alert()]) / TCP(),
        "fragment": IP(**four, frag=185) / Raw(bytes(20)),
        "first fragment": IP(**four, flags="MF") / TCP(),
        "udp truncated": IP(**four, proto=17) / Raw(bytes(3)),
    }


# size: in bytes; cut: the reason if the packet ends within, None: nobody looks
Header = namedtuple("Header", "name layer size cut", defaults=(None,))
# l3: offset of the IP header or 0; ends: (end of a header in the frame, its cut) in wire order
Stack = namedtuple("Stack", "name frame l3 ends")

LINKS = (
    (Header("ether", ETHER, 14, "runt"),),
    (Header("vlan", ETHER / Dot1Q(vlan=5, prio=3), 18, "vlan-truncated"),),
    (Header("qinq-outer", ETHER / Dot1AD(vlan=7), 18, "vlan-truncated"),
     Header("qinq", Dot1Q(vlan=4095), 4, "vlan-truncated")),
)
IP4_NETS = (
    Header("ip", IP(**IP4), 20, "ip-truncated"),
    Header("ip-df", IP(**IP4, flags="DF"), 20, "ip-truncated"),
    Header("ip-reserved", IP(**IP4, flags="evil"), 20, "ip-truncated"),
    Header("ip-options", IP(**IP4, options=[IPOption_Router_Alert()]), 24, "ip-truncated"),
    Header("ip-first", IP(**IP4, flags="MF"), 20, "ip-truncated"),
    Header("ip-later", IP(**IP4, flags="MF", frag=185), 20, "ip-truncated"),
    Header("ip-last", IP(**IP4, frag=8191), 20, "ip-truncated"),
)
IP6_NET = Header("ip6", IP6, 40, "ip6-truncated")
IP6_EXTENSIONS = {
    "plain": (),
    "hop": (Header("hop", HOP_BY_HOP, 16, "ip6-ext-truncated"),),
    "routing": (Header("routing", ROUTING, 24, "ip6-ext-truncated"),),
    "destination": (Header("destination", DESTINATION, 8, "ip6-ext-truncated"),),
    "first": (Header("first", fragment(0, 1), 8, "ip6-ext-truncated"),),
    "later": (Header("later", fragment(185, 1), 8, "ip6-ext-truncated"),),
    "last": (Header("last", fragment(8191, 0), 8, "ip6-ext-truncated"),),
    "atomic": (Header("atomic", fragment(0, 0), 8, "ip6-ext-truncated"),),
    "ah": (Header("ah", None, 24, "ip6-ext-truncated"),),
}
IP6_EXTENSIONS["all"] = (IP6_EXTENSIONS["hop"] + IP6_EXTENSIONS["destination"] +
                         IP6_EXTENSIONS["routing"] + IP6_EXTENSIONS["first"] +
                         IP6_EXTENSIONS["ah"])
IP6_EXTENSIONS["eight"] = IP6_EXTENSIONS["destination"] * 8
UPPERS = (
    Header("tcp", TCP_SYN / PAYLOAD, 20, "tcp-truncated"),
    Header("tcp-options", TCP(sport=1, dport=2, options=[("MSS", 1460), ("Timestamp", (1, 2))]),
           36, "tcp-truncated"),
    Header("udp", UDP_QUERY / PAYLOAD, 8, "udp-truncated"),
    Header("icmp", ICMP() / PAYLOAD, 8, "icmp-truncated"),
    Header("icmp6", ICMPv6EchoRequest() / PAYLOAD, 8, "icmp-truncated"),
    Header("gre", GRE() / IP(), 4, None),
)
PROTOS = {"tcp": 6, "tcp-options": 6, "udp": 17, "icmp": 1, "icmp6": 58, "gre": 47}


def _build(name, headers, l3=0):
    frame, end, ends = None, 0, []
    for i, header in enumerate(headers):
        layer = header.layer
        if header.name == "ah":
            layer = authentication(PROTOS[headers[i + 1].name])
        frame = layer if frame is None else frame / layer
        end += header.size
        ends.append((end, header.cut))
    return Stack(name, bytes(frame), l3, ends)


def build(packet):
    """Bytes of a Scapy packet behind an Ethernet header"""
    return bytes(ETHER / packet)


def stacks():
    """All combinations of tags, network header, extension headers and upper-layer header"""
    for link in LINKS:
        tags = link[-1].name
        l3 = sum(header.size for header in link)
        for net in IP4_NETS:
            is_later = net.name in ("ip-later", "ip-last")
            for upper in UPPERS:
                if upper.name != "icmp6":
                    yield _build(f"{tags}/{net.name}/{upper.name}",
                                 link + (net, upper._replace(cut=None) if is_later else upper), l3)
        for name, extensions in IP6_EXTENSIONS.items():
            is_later = name in ("later", "last")
            for upper in UPPERS:
                # over IPv6, protocol 1 is one that nobody looks into
                cut = None if is_later or upper.name == "icmp" else upper.cut
                yield _build(f"{tags}/ip6-{name}/{upper.name}",
                             link + (IP6_NET,) + extensions + (upper._replace(cut=cut),), l3)
        yield _build(f"{tags}/arp", link + (Header("arp", ARP(pdst="192.0.2.9"), 28),))
        yield _build(f"{tags}/other", link + (Header("other", Raw(bytes(46)), 46),))


def fix_length(frame, l3):
    """The frame with the length in its IP header such that the packet ends with the frame"""
    frame, size = bytearray(frame), len(frame) - l3
    if not l3 or size < 20:
        return bytes(frame)
    if frame[l3] >> 4 == 4:
        struct.pack_into("!H", frame, l3 + 2, size)
    elif size >= 40:
        struct.pack_into("!H", frame, l3 + 4, size - 40)
    return bytes(frame)
