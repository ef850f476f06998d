#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Stage filter: every check, fragments, and the answers to them, as Scapy sees them.

    BUILD=DIR test_filter.py [TEST...]

$ECBPF_FLOOD: seconds that the flood lasts (default: 4). A million fragments take some 20.
"""
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
# pylint: disable=wrong-import-position
from packets import (ARP, DESTINATION, ETHER, GRE, HOP_BY_HOP, ICMP, IP, IP6, ROUTING, TCP, UDP,
                     Dot1AD, Dot1Q, Ether, ICMPv6EchoRequest, IPOption_Router_Alert, IPv6, Raw,
                     authentication, fragment)
from reference import OTHER_LINKS, QINQ_LINKS, REASONS
from testrun import ACTION_MAX, DROP, NO_FRAGS, PASS, TX, TestRun, has_frags, main
from scapy.layers.inet import IPOption
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6PacketTooBig
from scapy.utils import PcapWriter

# headers/ecbpf/reason.h, headers/ecbpf/filter.h
NAMES = dict(enumerate(REASONS), **{})
NAMES.update(enumerate(
    "ip-blocked ip6-blocked fragment-tiny fragment-overlap ip-options ip-reserved-bit "
    "martian-source land tcp-null tcp-xmas tcp-syn-fin tcp-syn-rst udp-length port-zero "
    "ip6-routing0 ip-fragment ip6-fragment ip-ptb-sent ip6-ptb-sent ip-ptb-limit ip6-ptb-limit "
    "ip-ptb-unfit ip6-ptb-unfit ip-ptb-room ip6-ptb-room router-alert".split(), 32))
CHECKS = ("frag-tiny frag-overlap ip-options ip-reserved-bit martian-source land tcp-null tcp-xmas "
          "tcp-syn-fin tcp-syn-rst udp-length port-zero ip6-routing0 ip6-ext-limit "
           "malformed").split()
DEFAULT = {"frag-tiny", "frag-overlap", "ip-options", "ip-reserved-bit", "ip6-ext-limit",
           "malformed"}
FRAGS_PASS, FRAGS_DROP, FRAGS_PTB = range(3)
LOCAL, VIP, BROADCAST, MAC = 1, 2, 3, 4

# program, constants; each is tested
PROGRAMS = {"alone": ("filter:ecbpf_filter", {}),
            "fused": ("fused:ecbpf_fused", {"fused_stages": [4]}),
            "fused, third": ("fused:ecbpf_fused", {"fused_stages": [1, 2, 4]})}
SLOTS = {"alone": 0, "fused": 0, "fused, third": 2}

SRC4, DST4, SRC6, DST6 = "192.0.2.1", "198.51.100.1", "2001:db8::1", "2001:db8:1::2"
TAGS = {"untagged": ETHER, "tagged": ETHER / Dot1Q(vlan=5, prio=3),
        "qinq": ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=4095)}


def rate(cap, hz=250):
    """struct ecbpf_rate of ecbpf_rate_cap()"""
    burst = -(-cap // 10)
    units = (1, hz + 1, hz + 1) if cap == 1 else (cap - burst, hz, burst * hz)
    return struct.pack("=QQQQ", *units, -(-units[2] // units[0]))


def settings(drop=DEFAULT, count=(), frags=0, frags6=0, pps=10 ** 9, source_pps=10 ** 9, hz=250,
             links=0):
    """struct ecbpf_filter, with what packets must not see in the other generation"""
    bits = [sum(1 << CHECKS.index(name) for name in names) for names in (drop, count, DEFAULT)]
    active = struct.pack("=IIBBBBIII", bits[0] ^ bits[2], bits[1], frags, frags6, links, 0,
                         pps, source_pps, 0) + rate(pps, hz) + rate(source_pps, hz) + bytes(8)
    return struct.pack("=II", 1, 0) + bytes([0xff] * len(active)) + active


def addr_key(addr, length):
    """struct ecbpf_filter_addr"""
    packed = bytes(IPv6(src=addr))[8:24] if ":" in addr else \
        bytes(10) + b"\xff\xff" + bytes(IP(src=addr, dst=addr))[12:16]
    return struct.pack("=I", length + (0 if ":" in addr else 96)) + packed


def mac_key(mac, ifindex=1):
    """struct ecbpf_filter_mac; test runs are received by lo, which is 1"""
    return struct.pack("=IB3xI2x6s", 128, 0xff, ifindex, mac)


def tcp(flags, **ports):
    return TCP(**dict(dict(sport=40000, dport=443), **ports), flags=flags)


UDP_QUERY = UDP(sport=53000, dport=53) / Raw(b"query")
OK4, OK6 = IP(src=SRC4, dst=DST4), IPv6(src=SRC6, dst=DST6)

# Packets that fail no check: name, packet behind the tags
CLEAN = {
    "arp": ARP(), "tcp syn": OK4 / tcp("S"), "tcp ack": OK4 / tcp("A"), "tcp fin": OK4 / tcp("FA"),
    "tcp rst": OK4 / tcp("R"), "tcp push urgent": OK4 / tcp("PUA"), "tcp rst ack": OK4 / tcp("RA"),
    "tcp xmas with ack": OK4 / tcp("FPUA"), "tcp syn, ecn": OK4 / tcp("SEC"),
    "tcp6": OK6 / tcp("SA"), "udp": OK4 / UDP_QUERY, "udp6": OK6 / UDP_QUERY,
    "udp without checksum": OK4 / UDP(sport=1, dport=2, chksum=0),
    "udp in padding": (OK4 / UDP_QUERY, 20), "udp6 in padding": (OK6 / UDP_QUERY, 3),
    "icmp": OK4 / ICMP(), "icmp6": OK6 / ICMPv6EchoRequest(), "gre": OK4 / GRE() / IP(),
    "df": IP(src=SRC4, dst=DST4, flags="DF") / UDP_QUERY,
    "dhcp": IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67),
    "igmp without address": IP(src="0.0.0.0", dst="224.0.0.22", proto=2) / Raw(bytes(8)),
    "neighbour solicitation": IPv6(src="::", dst="ff02::1:ff00:1") / ICMPv6ND_NS(),
    "sources 1, 126, 128, 223": [IP(src=f"{a}.0.0.1", dst=DST4) / tcp("A")
                                 for a in (1, 126, 128, 223)],
    "source fe80": IPv6(src="fe80::1", dst=DST6) / tcp("S"),
    "source 0:0:0:1::": IPv6(src="0:0:0:1::", dst=DST6) / tcp("S"),
    "addresses alike in half": IPv6(src="2001:db8::1", dst="2001:db8::2") / tcp("S"),
    "addresses alike in the other half": IPv6(src="2001:db8::1", dst="2001:db9::1") / tcp("S"),
    "ip6 extensions": OK6 / HOP_BY_HOP / DESTINATION / tcp("S"),
    "ip6 routing, type 4": OK6 / Raw(bytes([6, 0, 4, 0, 0, 0, 0, 0])) / tcp("S"),
    "ports 1 and 65535": OK4 / tcp("S", sport=1, dport=65535),
    "port 256": OK4 / tcp("S", sport=256, dport=256),
    "first fragment": IP(src=SRC4, dst=DST4, flags="MF", proto=17) / Raw(
        struct.pack("!HHHH", 1, 2, 4000, 0) + bytes(1472)),
    "later fragment": IP(src=SRC4, dst=DST4, flags="MF", frag=3, proto=6) / Raw(bytes(64)),
    "later fragment of UDP": IP(src=SRC4, dst=DST4, flags="MF", frag=1, proto=17) / Raw(bytes(64)),
    "later fragment6": OK6 / fragment(3, 1) / tcp("S"),
}
CLEAN["ip6 routing, type 4"][IPv6].nh = 43

# check: packets that fail it, and no other one; or (reason, packet) where the parser gives it
FAIL = {
    "ip-options": [OK4.__class__(src=SRC4, dst=DST4, options=[IPOption_Router_Alert()]) / tcp("A"),
                   IP(src=SRC4, dst=DST4, options=[IPOption_Router_Alert()]) / ICMP(),
                   IP(src=SRC4, dst=DST4, proto=2, options=[IPOption_Router_Alert()] * 2) /
                   Raw(bytes(8)),
                   IP(src=SRC4, dst=DST4, proto=2, options=[IPOption(b"\x94\4\0\1")]) /
                   Raw(bytes(8)),
                   IP(src=SRC4, dst=DST4, proto=2, options=[IPOption(b"\x83\3\4\0")]) /
                   Raw(bytes(8))],
    "ip-reserved-bit": [IP(src=SRC4, dst=DST4, flags="evil") / tcp("A"),
                        IP(src=SRC4, dst=DST4, flags="evil", proto=47) / Raw(bytes(4)),
                        IP(src=SRC4, dst=DST4, flags="evil", frag=185, proto=17) / Raw(bytes(8))],
    "martian-source": [IP(src=src, dst=DST4) / tcp("A") for src in (
        "0.0.0.0", "0.255.0.1", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.1.1.1",
        "240.0.0.1", "255.255.255.255")] + [IPv6(src=src, dst=DST6) / tcp("A") for src in (
            "::", "::1", "::ffff:192.0.2.1", "ff02::1", "ff0e::1")] + [
        IP(src="0.0.0.0", dst="255.255.255.254") / UDP_QUERY,
        IP(src="0.0.0.0", dst="255.255.255.254") / UDP(sport=68, dport=67),
        IP(src="0.0.0.0", dst="255.255.255.255") / UDP_QUERY,
        IP(src="0.0.0.0", dst="255.255.255.255") / tcp("S", sport=68, dport=67),
        IP(src="0.0.0.0", dst="255.255.255.255") / ICMP(),
        IP(src="0.0.0.0", dst="255.255.255.255", frag=185, proto=17) / Raw(bytes(8)),
        IPv6(src="::1", dst=DST6) / ICMPv6EchoRequest(),
        IP(src="127.0.0.1", dst=DST4, frag=185, proto=47) / Raw(bytes(8))],
    "land": [IP(src=DST4, dst=DST4) / tcp("S", sport=80, dport=80),
             IP(src=DST4, dst=DST4) / ICMP(), IPv6(src=DST6, dst=DST6) / tcp("S"),
             IPv6(src=DST6, dst=DST6) / HOP_BY_HOP / UDP_QUERY],
    "tcp-null": [OK4 / tcp(0), OK6 / tcp(0), OK4 / tcp("EC"), OK6 / DESTINATION / tcp(0)],
    "tcp-xmas": [OK4 / tcp("FPU"), OK6 / tcp("FPU"), OK4 / tcp("FPUEC"), OK4 / tcp("FPUR")],
    "tcp-syn-fin": [OK4 / tcp("SF"), OK6 / tcp("SFA")],
    "tcp-syn-rst": [OK4 / tcp("SR"), OK6 / tcp("SRA")],
    "udp-length": [OK4 / UDP(sport=1, dport=2, len=n) / Raw(b"query") for n in (0, 7, 8, 12, 14)] +
                  [OK6 / UDP(sport=1, dport=2, len=n) / Raw(b"query") for n in (0, 8, 12, 14)] +
                  [(OK4 / UDP(sport=1, dport=2, len=16) / Raw(b"query"), 3)],
    "port-zero": [OK4 / tcp("S", sport=0), OK4 / tcp("S", dport=0), OK6 / tcp("A", dport=0),
                  OK4 / UDP(sport=0, dport=53), OK6 / UDP(sport=53, dport=0),
                  OK6 / DESTINATION / UDP(sport=0, dport=0)],
    "frag-tiny": [IP(src=SRC4, dst=DST4, flags="MF", proto=6) / Raw(bytes(n)) for n in (8, 16)] +
                 [IP(src=SRC4, dst=DST4, flags="MF", proto=17) / Raw(bytes(0)),
                  IPv6(src=SRC6, dst=DST6) / fragment(0, 1) / Raw(bytes(16))],
    "frag-overlap": [IP(src=SRC4, dst=DST4, flags="MF", frag=n, proto=6) / Raw(bytes(64))
                     for n in (1, 2)] + [IP(src=SRC4, dst=DST4, frag=1, proto=6) / Raw(bytes(3)),
                                         OK6 / fragment(1, 1) / tcp("S")],
    "ip6-routing0": [OK6 / ROUTING / tcp("S"), OK6 / DESTINATION / ROUTING / UDP_QUERY,
                     OK6 / ROUTING / ICMPv6EchoRequest()],
    "ip6-ext-limit": [OK6 / DESTINATION / DESTINATION / DESTINATION / DESTINATION / DESTINATION /
                      DESTINATION / DESTINATION / DESTINATION / DESTINATION / tcp("S")],
}
FAIL["frag-tiny"][-1][IPv6].payload.nh = 6
REASON_OF = {"frag-tiny": "fragment-tiny", "frag-overlap": "fragment-overlap"}


def frames(packet, link):
    """Bytes: of one packet or several, or (packet, bytes of padding)"""
    for one in packet if isinstance(packet, list) else [packet]:
        one, padding = one if isinstance(one, tuple) else (one, 0)
        yield bytes(link / one) + bytes(padding)


class Filter(TestRun):
    """One program of the filter"""

    def __init__(self, how, **constants):
        program, own = PROGRAMS[how]
        super().__init__((program, dict(own, **constants)))
        self.slot = SLOTS[how]
        self.write_key("filter_addrs", mac_key(bytes(ETHER)[:6]), struct.pack("=I", MAC))

    def set(self, **values):
        self.write("filter_settings", settings(**values))

    def counters(self):
        """Of stage filter: {reason's name: packets}, and {action: packets}"""
        sums = self.read_sums("counters", self.slot)
        return ({NAMES.get(i, i): n for i, n in enumerate(sums[2 * ACTION_MAX:]) if n},
                {i: n for i, n in enumerate(sums[:ACTION_MAX]) if n})

    def judge(self, frame):
        """Return: verdict, the one reason counted or None, frame"""
        before, _ = self.counters()
        verdict, out = self.run(frame)
        after, _ = self.counters()
        found = [name for name in after if after[name] != before.get(name, 0)]
        return verdict, found[0] if len(found) == 1 else found or None, out


def test_hygiene(report):
    """Each check: off, count, drop; the packet untouched; clean packets pass all of them"""
    for how in PROGRAMS:
        with Filter(how) as programs:
            for link_name, link in TAGS.items():
                programs.set(drop=CHECKS)
                for name, packet in CLEAN.items():
                    why = [f"{found[:2]}" for frame in frames(packet, link)
                           for found in [programs.judge(frame)]
                           if found != (PASS, None, frame)]
                    report.check(f"filter {how}, {link_name}: clean: {name}", why)
                for check, packets in FAIL.items():
                    why = []
                    for frame in frames(packets, link):
                        for mode in (dict(drop=(), count=()), dict(drop=(), count=[check]),
                                     dict(drop=[check]), dict(drop=[check], count=CHECKS),
                                     dict(drop=(), count=CHECKS), dict(drop=CHECKS)):
                            programs.set(**mode)
                            want_reason = REASON_OF.get(check, check)
                            dropped = check in mode["drop"]
                            counted = check in mode.get("count", ())
                            want = (DROP if dropped else PASS,
                                    want_reason if dropped or counted else None, frame)
                            found = programs.judge(frame)
                            if found != want:
                                why.append(f"{frame.hex()}: {mode}: {found[:2]}, not {want[:2]}")
                    report.check(f"filter {how}, {link_name}: {check}", why)


def test_router_alert(report):
    """IGMP and RSVP pass with it, and are counted; with another option, or of others, not"""
    for how in PROGRAMS:
        with Filter(how) as programs:
            programs.write("filter_settings", bytes(200))
            why = []
            for proto, value, want in ((2, 0, PASS), (46, 0, PASS), (2, 1, DROP), (47, 0, DROP),
                                       (89, 0, DROP), (255, 0, DROP)):
                alert = IPOption_Router_Alert(alert=value)
                frame = bytes(ETHER / IP(src=SRC4, dst="224.0.0.22", proto=proto,
                                         options=[alert]) / Raw(bytes(8)))
                found = programs.judge(frame)[:2]
                if found != (want, "router-alert" if want == PASS else "ip-options"):
                    why.append(f"protocol {proto}, value {value}: {found}")
            report.check(f"filter {how}: router alert", why)


def test_links(report):
    """Other link layers that can carry IP: counted by kind, pass or dropped; others just pass"""
    llc, pppoe, mpls, pbb, etag, vntag, nsh, macsec, qinq, other = range(96, 106)
    kinds = {0x2e: llc, 0x5ff: llc, 0x600: None, 0x806: None, 0x88cc: None, 0x8863: pppoe,
             0x8864: pppoe, 0x8847: mpls, 0x8848: mpls, 0x88e7: pbb, 0x893f: etag,
             0x8926: vntag, 0x894f: nsh, 0x88e5: macsec, 0x9000: None, 0x8035: None,
             **dict.fromkeys(QINQ_LINKS, qinq), **dict.fromkeys(OTHER_LINKS, other)}
    for how in PROGRAMS:
        with Filter(how) as programs:
            for link_name, link in TAGS.items():
                why = []
                for kind, reason in kinds.items():
                    frame = bytearray(bytes(link / Raw(bytes(46))))
                    frame[-48:-46] = kind.to_bytes(2, "big")
                    for links in (0, 1):
                        programs.set(drop=CHECKS, links=links)
                        want = (DROP if links and reason else PASS, reason, bytes(frame))
                        found = programs.judge(bytes(frame))
                        if found != want:
                            why.append(f"{kind:#x}, links {links}: {found[:2]}")
                report.check(f"filter {how}, {link_name}: other link layers", why)


def test_malformed(report):
    """What the parser calls malformed: dropped by default, with the parser's reason"""
    short = bytes(ETHER / OK4 / tcp("S"))
    cases = {"ip-truncated": short[:30], "ip-length-long": short[:-1],
             "ip-version": short[:14] + b"\x65" + short[15:],
             "ip-ihl": short[:14] + b"\x44" + short[15:],
             "ip-length-short": short[:16] + b"\0\x13" + short[18:],
             "vlan-truncated": bytes(ETHER)[:12] + b"\x81\0\0",
             "vlan-tags": bytes(ETHER / Dot1Q() / Dot1Q() / Dot1Q() / OK4 / tcp("S")),
             "ip6-truncated": bytes(ETHER / OK6)[:50],
             "ip6-length-long": bytes(ETHER / OK6 / tcp("S"))[:-1],
             "ip6-ext-truncated": bytes(ETHER / IPv6(src=SRC6, dst=DST6, nh=60) /
                                        Raw(b"\6\7" + bytes(6))),
             "tcp-truncated": bytes(ETHER / OK4.__class__(src=SRC4, dst=DST4, proto=6) /
                                    Raw(bytes(8))),
             "tcp-doff": bytes(ETHER / OK4 / TCP(dataofs=4, sport=1, dport=2)),
             "udp-truncated": bytes(ETHER / IP(src=SRC4, dst=DST4, proto=17) / Raw(bytes(7))),
             "icmp-truncated": bytes(ETHER / IPv6(src=SRC6, dst=DST6, nh=58) / Raw(bytes(7)))}
    for how in PROGRAMS:
        with Filter(how) as programs:
            for reason, frame in cases.items():
                why = []
                programs.write("filter_settings", bytes(200))  # as the map is made
                for mode, want in ((None, (DROP, reason)), (dict(drop=()), (PASS, None)),
                                   (dict(drop=(), count=["malformed"]), (PASS, reason))):
                    if mode is not None:
                        programs.set(**mode)
                    found = programs.judge(frame)
                    if found != (*want, frame):
                        why.append(f"{mode}: {found[:2]}, not {want}")
                report.check(f"filter {how}: malformed: {reason}", why)
            programs.write("filter_settings", bytes(200))
            for check in DEFAULT - {"malformed"}:
                found = [programs.judge(frame)[:2] for frame in frames(FAIL[check], ETHER)]
                report.check(f"filter {how}: {check}: default",
                             found != [(DROP, REASON_OF.get(check, check))] * len(found) and
                             f"{found}")
            for check in set(FAIL) - DEFAULT:
                found = [programs.judge(frame)[:2] for frame in frames(FAIL[check], ETHER)]
                report.check(f"filter {how}: {check}: default",
                             found != [(PASS, None)] * len(found) and f"{found}")


def first4(size=1480, proto=17, payload=None, **fields):
    """First fragment with so many bytes of payload"""
    payload = payload or struct.pack("!HHHH", 53000, 53, 4000, 0)
    data = (payload + bytes(i * 7 & 0xff for i in range(size)))[:size]
    net = dict(src=SRC4, dst=DST4, flags="MF", proto=proto, ttl=57, id=4711)
    return IP(**dict(net, **fields)) / Raw(data)


def first6(size=1448, proto=17, payload=None, before=None, **fields):
    payload = payload or struct.pack("!HHHH", 53000, 53, 4000, 0)
    data = (payload + bytes(i * 7 & 0xff for i in range(size)))[:size]
    head = fragment(0, 1)
    head.nh = proto
    net = IPv6(**dict(dict(src=SRC6, dst=DST6, hlim=57), **fields))
    return (net / before / head if before else net / head) / Raw(data)


def check_answer(frame, out, link, is_ip6):
    """What is wrong with the answer `out` to the fragment `frame`, by Scapy. Yields"""
    l3 = len(bytes(link))
    if len(out) != len(frame):
        yield f"{len(out)} bytes, not {len(frame)}"
    if out[12:l3] != frame[12:l3]:
        yield "tags or EtherType changed"
    if (out[:6], out[6:12]) != (frame[6:12], frame[:6]):
        yield "MAC addresses are not exchanged"
    asked, got = (IPv6 if is_ip6 else IP)(frame[l3:]), (IPv6 if is_ip6 else IP)(out[l3:])
    if (got.src, got.dst) != (asked.dst, asked.src):
        yield f"from {got.src} to {got.dst}"
    if is_ip6:
        size = 40 + got.plen
        data = out[l3:l3 + size]
        icmp, quote = data[40:48], data[48:]
        want_mtu = max(1280, 40 + asked.plen)
        if (got.version, got.tc, got.fl, got.nh, got.hlim) != (6, 0, 0, 58, 64):
            yield f"header {got!r}"
        if size > 1280:
            yield f"{size} bytes of IPv6"
        if icmp[:2] != bytes([2, 0]) or icmp[4:] != struct.pack("!I", want_mtu):
            yield f"ICMPv6 {icmp.hex()}, MTU should be {want_mtu}"
        least = 56
        room = 1280
    else:
        size = got.len
        data = out[l3:l3 + size]
        icmp, quote = data[20:28], data[28:]
        want_mtu = max(576, asked.len)
        if (got.version, got.ihl, got.proto, got.ttl, got.frag, got.flags, got.tos) != \
                (4, 5, 1, 64, 0, "DF", 0xc0):
            yield f"header {got!r}"
        if size > 576:
            yield f"{size} bytes of IPv4"
        if icmp[:2] != bytes([3, 4]) or icmp[4:] != struct.pack("!HH", 0, want_mtu):
            yield f"ICMP {icmp.hex()}, MTU should be {want_mtu}"
        least = asked.ihl * 4 + 8
        room = 576
    l3_len = 40 + asked.plen if is_ip6 else asked.len
    if quote != frame[l3:l3 + len(quote)] or len(quote) < least:
        yield f"quote of {len(quote)} bytes is not what was sent"
    head = size - len(quote)
    if len(quote) != min(room - head, l3_len, (len(frame) - l3 - head) & ~3):
        yield f"quote of {len(quote)} bytes, of {l3_len}"
    # checksums: zeroed, Scapy fills them in anew
    again = (IPv6 if is_ip6 else IP)(data)
    sums = []
    if is_ip6:
        sums.append(again[ICMPv6PacketTooBig].cksum)
        del again[ICMPv6PacketTooBig].cksum
        sums.append((IPv6(bytes(again)))[ICMPv6PacketTooBig].cksum)
    else:
        sums += [again.chksum, again[ICMP].chksum]
        del again.chksum
        del again[ICMP].chksum
        fresh = IP(bytes(again))
        sums += [fresh.chksum, fresh[ICMP].chksum]
    if sums[:len(sums) // 2] != sums[len(sums) // 2:]:
        yield f"checksums {sums}"


ANSWERED = {
    "udp": (first4(), False), "icmp echo": (first4(proto=1, payload=b"\x08\0\0\0\0\1\0\1"), False),
    "tcp": (first4(proto=6, payload=struct.pack("!HHIIBBHHH", 1, 2, 3, 4, 0x50, 0x10, 5, 0,
                                                   0)), False),
    "gre": (first4(proto=47), False), "esp": (first4(proto=50), False),
    "small mtu": (first4(size=1376), False), "below 576": (first4(size=400), False),
    "576": (first4(size=552), False), "shortest": (first4(size=64), False),
    "options": (first4(options=[IPOption_Router_Alert()]), False),
    "40 bytes of options": (first4(options=[IPOption_Router_Alert()] * 10), False),
    "df and mf": (first4(flags="MF+DF"), False), "tos": (first4(tos=0xb8), False),
    "padding": ((first4(size=1376), 100), False),
    "udp6": (first6(), True), "icmp6 echo": (first6(proto=58, payload=b"\x80\0\0\0\0\1\0\1"), True),
    "small mtu6": (first6(size=1280), True), "below 1280": (first6(size=800), True),
    "1280": (first6(size=1232), True), "shortest6": (first6(size=64), True),
    "extensions": (first6(before=HOP_BY_HOP), True), "padding6": ((first6(size=1400), 37), True),
    "traffic class": (first6(tc=0xb8, fl=12345), True),
    "jumbo": (first4(size=8952), False), "jumbo6": (first6(size=8904), True),
}
UNFIT = {
    "icmp errors": [first4(proto=1, payload=bytes([t]) + bytes(7))
                    for t in (3, 4, 5, 11, 12, 19, 255)],
    "icmp6 errors": [first6(proto=58, payload=bytes([t]) + bytes(7))
                     for t in (1, 2, 3, 4, 127, 137)],
    "not a multiple of 8": [first4(size=n) for n in (1471, 1479, 1476)] +
                           [first6(size=n) for n in (1441, 1444)],
    "multicast": [first4(dst="224.0.0.5"), first4(dst="255.255.255.255"), first6(dst="ff02::5")],
    "special destinations": [first4(dst="0.0.0.1"), first4(dst="127.0.0.1"),
                             first4(dst="240.1.1.1"),
                             first6(dst="::1")],
    "martian sources": [first4(src=src) for src in ("0.0.0.0", "127.0.0.1", "224.0.0.1",
                                                    "255.255.255.255", "240.0.0.1")] +
                       [first6(src=src) for src in ("::", "::1", "ff02::1", "::ffff:1.2.3.4")],
    "own broadcast address": [first4(dst="198.51.100.255"), first4(src="198.51.100.255")],
    "wrong checksum": [first4(chksum=0x1234)],
    "wrong checksum, options": [first4(chksum=0x1234, options=options) for options in (
        [IPOption_Router_Alert()], [IPOption_Router_Alert()] * 10)],
    "source is destination": [first4(src=DST4), first6(src=DST6)],
    "too short for its header": [first4(size=8, proto=6)],
    "no payload": [first4(size=0, proto=47), first6(size=0, proto=47)],
}
ROOM = {"room": [first4(size=n) for n in (8, 16, 24)] + [first6(size=n) for n in (8, 16, 32)]}


def decode_by_tcpdump(report, out):
    """tcpdump has a decoder of its own, and sees no bad checksum either"""
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        with PcapWriter(file.name) as writer:
            for frame in out.values():
                writer.write(Ether(frame))
        found = subprocess.run(["tcpdump", "-nvvve", "-r", file.name],
                               capture_output=True, text=True,
                               check=True).stdout
    wrong = [line for line in found.splitlines()
             if "bad" in line or "wrong" in line or "incorrect" in line and "udp" not in line]
    answers = found.count("need to frag") + found.count("packet too big")
    if answers != len(out):
        wrong.append(f"{answers} answers of {len(out)}")
    report.check("filter: answers, as tcpdump decodes them", wrong)


def test_answers(report):
    """Answers to first fragments, in both families, tagged and untagged, byte by byte"""
    out = {}
    for how in PROGRAMS:
        with Filter(how) as programs:
            for link_name, link in TAGS.items():
                programs.set(drop=(), frags=FRAGS_PTB, frags6=FRAGS_PTB)
                for name, (packet, is_ip6) in ANSWERED.items():
                    frame, = frames(packet, link)
                    if len(frame) > 3500:
                        continue  # test_frags
                    verdict, reason, out[how, link_name, name] = programs.judge(frame)
                    why = list(check_answer(frame, out[how, link_name, name], link, is_ip6))
                    want = (TX, "ip6-ptb-sent" if is_ip6 else "ip-ptb-sent")
                    if (verdict, reason) != want:
                        why.insert(0, f"{verdict}, {reason}, not {want}")
                    report.check(f"filter {how}, {link_name}: answer: {name}", why)
    decode_by_tcpdump(report, out)


def test_no_answers(report):
    """What gets none, and why"""
    broadcast = bytes.fromhex("ffffffffffff"), bytes.fromhex("01005e000005")
    for how in PROGRAMS:
        with Filter(how) as programs:
            programs.write_key("filter_addrs", addr_key("198.51.100.255", 32),
                               struct.pack("=I", BROADCAST))
            programs.set(drop=(), frags=FRAGS_PTB, frags6=FRAGS_PTB)
            for kind, cases in (("unfit", UNFIT), ("room", ROOM)):
                for name, packets in cases.items():
                    why = []
                    for frame in frames(packets, ETHER):
                        family = "ip6" if frame[12] == 0x86 else "ip"
                        found, want = programs.judge(frame), (DROP, f"{family}-ptb-{kind}", frame)
                        if found != want:
                            why.append(f"{frame.hex()[:100]}: {found[:2]}, not {want[:2]}")
                    report.check(f"filter {how}: no answer: {name}", why)
            why = []
            for packet in (first4(), first6()):
                for mac in broadcast:
                    for frame in (mac + bytes(ETHER / packet)[6:],
                                  bytes(ETHER)[:6] + mac + bytes(ETHER / packet)[12:]):
                        found = programs.judge(frame)
                        if found[0] != DROP or not found[1].endswith("-ptb-unfit"):
                            why.append(f"{found[:2]}")
            report.check(f"filter {how}: no answer: broadcast and multicast frames", why)
            why = []
            other = bytes.fromhex("020000000099")
            programs.write_key("filter_addrs", mac_key(other, 2), struct.pack("=I", MAC))
            for packet, want in ((first4(), "ip-ptb-unfit"), (first6(), "ip6-ptb-unfit")):
                frame = other + bytes(ETHER / packet)[6:]
                found = programs.judge(frame)
                if found != (DROP, want, frame):
                    why.append(f"{found[:2]}")
            report.check(f"filter {how}: no answer: frames for another host, another port", why)


def test_fragments(report):
    """pass, drop, ptb, per family; local addresses, VIPs"""
    later4 = IP(src=SRC4, dst=DST4, frag=185, proto=17) / Raw(bytes(100))
    later6 = OK6 / fragment(185, 0) / tcp("S")
    atomic = OK6 / fragment(0, 0) / tcp("S")
    for how in PROGRAMS:
        for link_name, link in TAGS.items():
            with Filter(how) as programs:
                why = []

                def expect(what, packet, verdict, reason, programs=programs, link=link, why=why):
                    frame, = frames(packet, link)
                    found = programs.judge(frame)
                    if found[:2] != (verdict, reason) or verdict != TX and found[2] != frame:
                        why.append(f"{what}: {found[:2]}, not {(verdict, reason)}")

                for mode in (FRAGS_PASS, FRAGS_DROP, FRAGS_PTB):
                    for mode6 in (FRAGS_PASS, FRAGS_DROP, FRAGS_PTB):
                        programs.set(frags=mode, frags6=mode6)
                        sent = [(PASS, ""), (DROP, "fragment"), (TX, "ptb-sent")]
                        rest = [(PASS, ""), (DROP, "fragment"), (DROP, "fragment")]
                        for packet, family, verdict in (
                                (first4(), "ip-", sent[mode]), (later4, "ip-", rest[mode]),
                                (first6(), "ip6-", sent[mode6]), (later6, "ip6-", rest[mode6])):
                            expect(f"{mode}, {mode6}", packet, verdict[0],
                                   family + verdict[1] if verdict[1] else None)
                        expect("atomic", atomic, PASS, None)
                        expect("no fragment", OK4 / tcp("S"), PASS, None)
                report.check(f"filter {how}, {link_name}: fragments: modes", list(why))
                why.clear()
                for kind, verdict in ((LOCAL, (PASS, None)), (VIP, (DROP, "fragment")),
                                      (BROADCAST, (DROP, "fragment"))):
                    programs.set(frags=FRAGS_DROP, frags6=FRAGS_DROP)
                    for addr, length in ((DST4, 32), (DST6, 128), ("198.51.100.0", 24),
                                         ("2001:db8:1::", 48)):
                        programs.write_key("filter_addrs", addr_key(addr, length),
                                           struct.pack("=I", kind))
                    for packet, family in ((first4(), "ip-"), (later4, "ip-"), (first6(), "ip6-"),
                                           (later6, "ip6-"), (first4(dst="198.51.100.77"), "ip-"),
                                           (first6(dst="2001:db8:1::77"), "ip6-")):
                        expect(f"kind {kind}", packet, verdict[0],
                               verdict[1] and family + verdict[1])
                    expect("other", first4(dst="198.51.101.1"), DROP, "ip-fragment")
                    expect("other", first6(dst="2001:db8:2::1"), DROP, "ip6-fragment")
                report.check(f"filter {how}, {link_name}: fragments: addresses", list(why))


def test_counts(report):
    """A count and a fragment; verdicts and bytes"""
    with Filter("alone") as programs:
        programs.set(drop=(), count=CHECKS, frags=FRAGS_DROP)
        found = programs.judge(bytes(ETHER / first4(flags="MF+evil")))[:2]
        report.check("filter: a drop goes before a count",
                     found != (DROP, "ip-fragment") and f"{found}")
        programs.set(drop=["land"], count=["port-zero", "frag-tiny", "tcp-null"])
        found = programs.judge(bytes(ETHER / IP(src=DST4, dst=DST4) / tcp(0, sport=0)))[:2]
        report.check("filter: what drops gives the reason", found != (DROP, "land") and f"{found}")
        programs.set(drop=(), count=["port-zero", "tcp-null"])
        found = programs.judge(bytes(ETHER / IP(src=DST4, dst=DST4) / tcp(0, sport=0)))[:2]
        report.check("filter: of two the first", found != (PASS, "tcp-null") and f"{found}")


def test_sampling(report):
    """A packet that is answered is sampled once, as it came in"""
    with Filter("alone", sampling_on=1) as programs:
        programs.samples()
        programs.write("sampling", struct.pack("=4I", 0, 1, 200, 0))
        programs.set(frags=FRAGS_PTB)
        programs.run(bytes(ETHER / first4()))  # the first gap is drawn
        programs.samples()
        frame = bytes(ETHER / first4())
        verdicts = [programs.run(frame)[0] for _ in range(3)] + \
            [programs.run(bytes(ETHER / first4(size=8)))[0]]
        found = programs.samples()
        why = []
        if verdicts != [TX] * 3 + [DROP] or len(found) != 4:
            why.append(f"{verdicts}, {len(found)} samples")
        why += ["not as it came in" for one in found[:3] if one[88:88 + 200] != frame[:200]]
        report.check("filter: samples of what is answered", why)


def test_secret(report):
    """Nobody who does not know the seed can tell which sources share a budget of answers"""
    def used(seed):
        with Filter("alone") as programs:
            programs.write("filter_settings", settings(drop=(), frags=FRAGS_PTB)[:-8] +
                           struct.pack("=Q", seed))
            for last in range(1, 4):
                packet = first4(size=64)
                packet[IP].src = f"192.0.2.{last}"
                verdict, _ = programs.run(bytes(ETHER / packet))
                if verdict != TX:
                    raise AssertionError(f"no answer: {verdict}")
            return [i for i in range(16384) if any(programs.read("filter_ptb_sources", i))]
    first = used(1)
    report.check("filter: the same seed: the same budgets", used(1) != first and f"not {first}")
    report.check("filter: another seed: other budgets", used(2) == first and f"all in {first}")


def test_frags(report):
    """Answers to frames with XDP fragments"""
    if not has_frags():
        report.skip("filter: frags", NO_FRAGS)
        return
    with Filter("alone", xdp_frags=1) as programs:
        programs.set(frags=FRAGS_PTB, frags6=FRAGS_PTB)
        for name, (packet, is_ip6) in ANSWERED.items():
            frame, = frames(packet, ETHER)
            if len(frame) < 3500:
                continue
            verdict, out = programs.run(frame, 0, 3000)
            why = list(check_answer(frame, out, ETHER, is_ip6))
            report.check(f"filter: frags: {name}", verdict != TX and f"verdict {verdict}" or why)


def worst(times_ns):
    """
    Most of them in what is certainly less than a second: the kernel's one is of jiffies, which a
    busy machine may count late, and the times are those after the run
    """
    first, most = 0, 0
    for last, time_ns in enumerate(times_ns):
        while time_ns - times_ns[first] >= 900000000:
            first += 1
        most = max(most, last - first + 1)
    return most


def hz():
    """Jiffies a second: the resolution of CLOCK_MONOTONIC_COARSE"""
    import time  # pylint: disable=import-outside-toplevel
    return round(1 / time.clock_getres(6))


def test_flood(report):
    """A flood of first fragments on all CPUs: never more answers than the cap in any second"""
    seconds = float(os.environ.get("ECBPF_FLOOD", "4"))
    for name, packet, offset in (("ip", first4(size=64), 26), ("ip6", first6(size=64), 22)):
        for cap, source_cap, sources in ((50, 10 ** 9, 0xffffffff), (200, 3, 7), (50, 5, 255),
                                         (1, 1, 0xffffffff)):
            with Filter("alone") as programs:
                frame = bytearray(bytes(ETHER / packet))
                frame[offset:offset + 4] = bytes([198, 18, 0, 0] if name == "ip" else
                                                 [32, 1, 13, 184])
                programs.set(drop=(), frags=FRAGS_PTB, frags6=FRAGS_PTB, pps=cap,
                             source_pps=source_cap, hz=hz())
                # the bytes that vary: the last ones of an address, of a /64
                runs, sent = programs.flood(bytes(frame), int(seconds * 1000), offset=offset + (
                    2 if name == "ip" and sources < 256 else 0 if name == "ip" else 4),
                    mask=sources)
                reasons, _ = programs.counters()
            why = []
            most = worst([time_ns for time_ns, _ in sent])
            if most > cap:
                why.append(f"{most} answers in a second, cap {cap}")
            by_source = {}
            for time_ns, data in sent:
                by_source.setdefault(data, []).append(time_ns)
            most_one = max(map(worst, by_source.values()), default=0)
            if most_one > source_cap:
                why.append(f"{most_one} answers to one source in a second, cap {source_cap}")
            if most < min(cap, source_cap * len(by_source)) * .6:
                why.append(f"only {most} answers in any second")
            if reasons.get(f"{name}-ptb-sent") != len(sent):
                why.append(f"{reasons}, {len(sent)} sent")
            if runs < 1000 * seconds:
                why.append(f"{runs} runs are no flood")
            report.check(f"filter: flood, {name}, cap {cap}, {source_cap} a source: {runs} "
                         f"fragments, {len(sent)} answers, {most} in the worst second", why)


if __name__ == "__main__":
    main([test_hygiene, test_router_alert, test_links, test_malformed, test_answers,
          test_no_answers, test_fragments, test_counts, test_sampling, test_secret, test_frags,
          test_flood])
