#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Stage fastpath and its egress half through BPF_PROG_TEST_RUN: verdicts, reasons, bytes, leases.

    BUILD=DIR test_fastpath.py [TEST...]

What the kernel would send is made by Scapy: new addresses, one less TTL, checksums anew.
"""
import os
import random
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
# pylint: disable=wrong-import-position
from packets import (ETHER, HOP_BY_HOP, ICMP, IP, TCP, UDP, Dot1AD, Dot1Q, Ether,
                     IPOption_Router_Alert, IPv6, Raw, fragment)
from testrun import ACTION_MAX, DROP, PASS, TX, TestRun, main
from scapy.utils import checksum

REASONS = {"lease": 72, "unknown": 73, "expired": 74, "sample": 75, "syn": 76, "fin": 77,
           "rst": 78, "length": 79, "ttl": 80, "checksum": 81, "special": 82, "port": 83,
           "monitor": 84, "shield": 85, "reset": 86, "dead": 87, "ingress": 88, "partial": 89}
MALFORMED = {"ip-length-long": 8}
EGRESS = ("granted renewed moved revoked dead evicted excluded mismatch local hops_full tags "
          "udp routed").split()
REAL1, REAL2, DIRECTOR = "02:00:00:00:01:01", "02:00:00:00:01:02", "02:00:00:00:00:02"
XDP, TC = 0, 1
FOREVER = 1 << 28
COARSE = 6  # CLOCK_MONOTONIC_COARSE: a jiffy is what it advances by
SETTINGS = struct.Struct("=QQIHHIIIIIIQQII4QIIII")
FIELDS = ("seed mult groups generation flags hz lease sample sample_fin inactive window target "
          "ceiling drop_max reset_gap refill cost max full target_pps spike_percent max_percent "
          "reset_pps").split()
MONITOR, LIMIT, ROUTED = 1, 2, 4
SAMPLE = struct.Struct("=QQQIIIIIHH")  # the last one: action, reason
FLOW = struct.Struct("=4QIBBHQIIIHBB")


def hz():
    return round(1 / time.clock_getres(COARSE))


class FastPath(TestRun):
    """Both programs, and the settings"""

    def __init__(self, groups=64, fused=False, flags=0, program="fastpath:ecbpf_fastpath",
                 **settings):
        program = (("fused:ecbpf_fused", {"fused_stages": [6], "map:fastpath_flows": groups,
                                          "map:fastpath_tags": groups}) if fused else
                   (program, {"map:fastpath_flows": groups, "map:fastpath_tags": groups}))
        super().__init__(program, ("fastpath_egress:ecbpf_egress",
                                   {"map:fastpath_flows": groups, "map:fastpath_tags": groups}))
        self.groups = groups
        self.settings = dict.fromkeys(FIELDS, 0)
        self.set(groups=groups, seed=0x0123456789abcdef, mult=0x9e3779b97f4a7c15, hz=hz(),
                 lease=FOREVER, sample=FOREVER, sample_fin=FOREVER, inactive=FOREVER, window=1,
                 reset_gap=0, flags=flags | ROUTED, **settings)

    def set(self, **settings):
        self.settings.update(settings)
        self.write("fastpath", SETTINGS.pack(*(self.settings[name] for name in FIELDS)))

    def xdp(self, packet):
        """Return: verdict, reason, frame"""
        before = self.read_sums("counters")
        verdict, frame = self.run(bytes(packet))
        counted = [b - a for a, b in zip(before, self.read_sums("counters"))]
        reasons = [i for i, n in enumerate(counted[2 * ACTION_MAX:]) if n]
        if counted[verdict] != 1 or sum(counted[:ACTION_MAX]) != 1:
            raise AssertionError(f"counted {counted[:ACTION_MAX]} for verdict {verdict}")
        return verdict, reasons[0] if reasons else 0, frame

    def tc(self, packet, gso_size=0, is_local=False, mark=0):
        """Return: names of the counters that went up"""
        before = self.read_sums("fastpath_egress", prog=TC)
        verdict, frame = self.run_skb(bytes(packet), TC, gso_size, is_local, mark)
        if verdict or frame != bytes(packet):
            raise AssertionError(f"egress returned {verdict}, or changed the packet")
        after = self.read_sums("fastpath_egress", prog=TC)
        return " ".join(name for name, a, b in zip(EGRESS, before, after) if b > a)

    def learn(self, packet, to=REAL1):
        """A packet is passed to the stack, and leaves by TC"""
        verdict, _, frame = self.xdp(packet)
        if (verdict, frame) != (PASS, bytes(packet)):
            raise AssertionError(f"not passed on: {verdict}")
        return self.tc(forwarded(untagged(packet), to))

    def flows(self):
        """All flows of the table that have a lease"""
        for group in range(self.groups):
            value = self.read("fastpath_flows", group)
            for flow in FLOW.iter_unpack(value):
                if flow[8]:
                    yield flow


def untagged(packet):
    """Without its tags, as it is at TC: the kernel keeps them apart"""
    packet = Ether(bytes(packet))
    if Dot1Q not in packet and Dot1AD not in packet:
        return packet
    return Ether(dst=packet.dst, src=packet.src) / (packet[IP] if IP in packet else packet[IPv6])


def forwarded(packet, to=REAL1, source=DIRECTOR):
    """What the kernel makes of it"""
    packet = Ether(bytes(packet))
    packet.dst, packet.src = to, source
    if IP in packet:
        packet[IP].ttl -= 1
        del packet[IP].chksum
    else:
        packet[IPv6].hlim -= 1
    return bytes(packet)


def tcp(flags="A", sport=1234, seq=1000, size=0, version=4, ether=ETHER, net=None, **more):
    if version == 4:
        layer = IP(src="192.0.2.1", dst="203.0.113.80", ttl=64, id=seq & 0xffff, flags="DF",
                   **net or {})
    else:
        layer = IPv6(src="2001:db8:1::2", dst="2001:db8:80::80", hlim=64, fl=0x12345, **net or {})
    return Ether(bytes(ether / layer / TCP(sport=sport, dport=80, flags=flags, seq=seq, ack=77,
                                           window=500, **more) / Raw(bytes(size))))


def expect(report, name, got, want):
    """want: (verdict, reason name[, frame])"""
    verdict, reason = want[0], REASONS.get(want[1], MALFORMED.get(want[1], 0))
    why = None
    if got[:2] != (verdict, reason):
        why = f"verdict and reason {got[:2]}, not {(verdict, reason)}"
    elif len(want) > 2 and got[2] != want[2]:
        why = f"frame {got[2].hex()}, not {want[2].hex()}"
    report.check(name, why)


def equal(report, name, got, want):
    report.check(name, None if got == want else f"got {got!r}, not {want!r}")


def test_forward(report):
    """A lease is given for what the kernel sent; packets then leave as it would have sent them"""
    for fused in (False, True):
        for version in (4, 6):
            with FastPath(fused=fused) as f:
                name = f"{'fused' if fused else 'alone'}, IPv{version}: "
                first = tcp(version=version)
                expect(report, name + "unknown", f.xdp(first), (PASS, "unknown", bytes(first)))
                equal(report, name + "granted", f.tc(forwarded(first)), "granted")
                for size in (0, 1, 100, 512):
                    packet = tcp(version=version, seq=2000 + size, size=size)
                    expect(report, f"{name}forwarded, {size} bytes", f.xdp(packet),
                           (TX, "lease", forwarded(packet)))
                other = tcp(version=version, sport=1235)
                expect(report, name + "another port", f.xdp(other), (PASS, "unknown"))


def test_others(report):
    """A lease is for its flow, not for others in the same place of the table"""
    for version in (4, 6):
        net = IP if version == 4 else IPv6
        address = "192.0.2.{}" if version == 4 else "2001:db8:{:x}::2"
        others = {"source": (net, "src", address), "destination": (net, "dst", address),
                  "source port": (TCP, "sport", None), "destination port": (TCP, "dport", None)}
        if version == 6:
            others["source, second half"] = net, "src", "2001:db8:1::{:x}"
            others["destination"] = net, "dst", "2001:db8:{:x}::80"
            others["destination, second half"] = net, "dst", "2001:db8:80::{:x}"
        with FastPath(groups=1) as f:
            f.learn(tcp(version=version))
            expect(report, f"IPv{version}: the flow", f.xdp(tcp(version=version, seq=2)),
                   (TX, "lease"))
            for name, (layer, what, form) in others.items():
                taken = [number for number in range(140, 240) if f.xdp(
                    field(tcp(version=version), layer, what, form.format(number)
                          if form else number))[0] != PASS]
                report.check(f"IPv{version}: another {name}", taken)


def test_checksum(report):
    """TTL and checksum, for every TTL and checksums all over, against Scapy's"""
    rng = random.Random(1)
    with FastPath() as f:
        f.learn(tcp())
        wrong = []
        for ttl in list(range(2, 256)) * 4:
            packet = tcp(net={"tos": rng.randrange(256)}, seq=rng.randrange(1 << 32))
            packet[IP].ttl, packet[IP].id = ttl, rng.randrange(1 << 16)
            del packet[IP].chksum
            packet = Ether(bytes(packet))
            got = f.xdp(packet)
            if got != (TX, REASONS["lease"], forwarded(packet)):
                wrong.append(f"TTL {ttl}, id {packet[IP].id}: {got[:2]}")
        report.check("TTL and checksum", wrong)
        # those where the arithmetic of RFC 1624 goes wrong: the checksum around 0 and all ones
        wrong = []
        for want in (0, 1, 0xfe, 0xff, 0x100, 0xfdff, 0xfeff, 0xff00, 0xfffe):
            packet = tcp()
            packet[IP].id = 0
            packet[IP].chksum = 0
            words = struct.unpack("!10H", bytes(packet)[14:34])
            packet[IP].id = (0xffff - want - sum(words)) % 0xffff
            del packet[IP].chksum
            packet = Ether(bytes(packet))
            if packet[IP].chksum != want or f.xdp(packet)[2] != forwarded(packet):
                wrong.append(f"checksum {packet[IP].chksum:#x}, wanted {want:#x}")
        report.check("checksums at the ends", wrong)


def partial(packet):
    """The packet as a sender leaves it that has the card complete the checksum"""
    upper = packet[TCP] if TCP in packet else packet[UDP]
    if IP in packet:
        pseudo = socket.inet_aton(packet[IP].src) + socket.inet_aton(packet[IP].dst)
    else:
        pseudo = socket.inet_pton(socket.AF_INET6, packet[IPv6].src) + \
            socket.inet_pton(socket.AF_INET6, packet[IPv6].dst)
    pseudo += struct.pack("!II", 6 if TCP in packet else 17, len(bytes(upper)))
    upper.chksum = 0xffff ^ checksum(pseudo)
    return Ether(bytes(packet))


def test_partial(report):
    """A checksum that is not complete: never forwarded, and no lease is given"""
    rng = random.Random(1)
    for version in 4, 6:
        with FastPath() as f:
            f.learn(tcp(version=version))
            wrong = []
            for size in list(range(0, 500)):
                packet = tcp(version=version, seq=rng.randrange(1 << 32), size=size)
                whole, half = f.xdp(packet), f.xdp(partial(packet))
                if whole[:2] != (TX, REASONS["lease"]):
                    wrong.append(f"complete, {size} bytes: {whole[:2]}")
                if half != (PASS, REASONS["partial"], bytes(partial(packet))):
                    wrong.append(f"partial, {size} bytes: {half[:2]}")
            report.check(f"IPv{version}: partial checksums", wrong)
            other = partial(tcp(version=version, sport=7))
            expect(report, f"IPv{version}: of another flow", f.xdp(other), (PASS, "partial"))
            f.tc(forwarded(other))
            equal(report, f"IPv{version}: it gets no lease", len(list(f.flows())), 1)


def test_up(report):
    """What only the kernel can judge is passed to the stack, unchanged, and the lease stays"""
    for version in (4, 6):
        with FastPath() as f:
            f.learn(tcp(version=version))
            cases = [
                ("TTL 1", with_ttl(tcp(version=version), 1), "ttl"),
                ("TTL 0", with_ttl(tcp(version=version), 0), "ttl"),
                ("longer than any before", tcp(version=version, size=1400), "length"),
                ("two tags", tcp(version=version, ether=ETHER / Dot1Q(vlan=1) / Dot1Q(vlan=2)),
                 "special"),
                ("padding", Ether(bytes(tcp(version=version)) + bytes(30)), "special"),
            ]
            if version == 4:
                bad = tcp()
                bad[IP].chksum ^= 1
                cases += [
                    ("options", tcp(net={"options": [IPOption_Router_Alert()]}), "special"),
                    ("first fragment", with_frag(tcp(), "MF", 0), "special"),
                    ("later fragment", with_frag(tcp(), "", 100), "special"),
                    ("reserved bit", with_frag(tcp(), "evil", 0), "special"),
                    ("header checksum", bad, "checksum"),
                    ("ICMP error", ETHER / IP(src="192.0.2.1", dst="203.0.113.80") /
                     ICMP(type=3, code=4) / bytes(tcp()[IP]), "none"),
                ]
            else:
                ip6 = IPv6(src="2001:db8:1::2", dst="2001:db8:80::80")
                cases += [
                    ("hop by hop", ETHER / ip6 / HOP_BY_HOP / bytes(tcp(version=6)[TCP]),
                     "special"),
                    ("fragment", ETHER / ip6 / fragment(0, 1) / bytes(tcp(version=6)[TCP]),
                     "special"),
                ]
            for name, packet, reason in cases:
                if name in ("hop by hop", "fragment"):
                    packet[IPv6].nh = 0 if name == "hop by hop" else 44
                    inner = packet.getlayer(2)
                    inner.nh = 6
                expect(report, f"IPv{version}: {name}", f.xdp(packet),
                       (PASS, reason, bytes(packet)))
            after = tcp(version=version, seq=5)
            expect(report, f"IPv{version}: the lease is still there", f.xdp(after),
                   (TX, "lease", forwarded(after)))


WAYS_IN = {
    "untagged": ETHER,
    "to another address": Ether(src=ETHER.src, dst="02:00:00:00:00:77"),
    "to an address that ends otherwise": Ether(src=ETHER.src, dst=ETHER.dst[:-2] + "99"),
    "sent to the server already": Ether(src=ETHER.src, dst=REAL1),
    "to a group": Ether(src=ETHER.src, dst="01:00:5e:00:00:01"),
    "to all": Ether(src=ETHER.src, dst="ff:ff:ff:ff:ff:ff"),
    "VLAN 100": ETHER / Dot1Q(vlan=100, prio=3),
    "VLAN 101": ETHER / Dot1Q(vlan=101, prio=3),
    "VLAN 0": ETHER / Dot1Q(vlan=0, prio=3),
    "VLAN 100 of 802.1ad": ETHER / Dot1AD(vlan=100, prio=3),
    "VLAN 100 to another address": Ether(src=ETHER.src, dst="02:00:00:00:00:77") /
                                   Dot1Q(vlan=100, prio=3),
}


def test_ingress(report):
    """A lease is for packets that come in as the one did that the kernel forwarded: by the same
    port, with the same tag, to the same Ethernet address. Others go to the stack, which drops them
    or not, and leave the lease as it is"""
    for version, fused, granted in ((4, False, "untagged"), (6, False, "untagged"),
                                    (4, True, "VLAN 100"), (6, False, "VLAN 100"),
                                    (4, False, "VLAN 100 of 802.1ad")):
        with FastPath(fused=fused) as f:
            f.learn(tcp(version=version, ether=WAYS_IN[granted]))
            for name, ether in WAYS_IN.items():
                for flags in "A", "S", "R", "FA":
                    packet = tcp(flags, version=version, seq=2, ether=ether)
                    if name != granted:
                        expect(report, f"IPv{version}, lease {granted}: {name}, {flags}",
                               f.xdp(packet), (PASS, "ingress", bytes(packet)))
            packet = tcp(version=version, seq=3, ether=WAYS_IN[granted])
            expect(report, f"IPv{version}, lease {granted}: as it came in", f.xdp(packet),
                   (TX, "lease", forwarded(untagged(packet))))
            if granted == "VLAN 100":
                packet = tcp(version=version, seq=4, ether=ETHER / Dot1Q(vlan=100, prio=6, id=1))
                expect(report, f"IPv{version}, lease {granted}: another priority", f.xdp(packet),
                       (TX, "lease"))
            hop = f.read("fastpath_hops", 1)
            f.write("fastpath_hops", hop[:36] + struct.pack("=I", 2) + hop[40:], 1)
            packet = tcp(version=version, seq=5, ether=WAYS_IN[granted])
            expect(report, f"IPv{version}, lease {granted}: by another port", f.xdp(packet),
                   (PASS, "ingress", bytes(packet)))
    # One of two copies is sent, and nobody knows which: XDP has seen both before the kernel any
    for size, gso_size in ((10, 0), (20, 10)):
        with FastPath() as f:
            for seq, name in ((1000, "untagged"), (1000, "to another address"),
                              (2000, "untagged"), (1000, "to another address"),
                              (1010, "VLAN 100"), (1000, "to another address")):
                f.xdp(tcp(seq=seq, size=10, ether=WAYS_IN[name]))
                equal(report, f"a copy that comes in otherwise, {name}, {size} bytes: no lease",
                      f.tc(forwarded(tcp(seq=1000, size=size)), gso_size)
                      if name != "untagged" else "mismatch", "mismatch")
            expect(report, "and it is not forwarded", f.xdp(
                tcp(seq=3, ether=WAYS_IN["to another address"])), (PASS, "unknown"))
    with FastPath() as f:
        f.learn(tcp())
        equal(report, "the kernel forwards what came in otherwise: the lease follows",
              f.learn(tcp(seq=2, ether=WAYS_IN["VLAN 100"])), "moved")
        expect(report, "it is for that", f.xdp(tcp(seq=3, ether=WAYS_IN["VLAN 100"])),
               (TX, "lease"))
        expect(report, "and not any more for the other", f.xdp(tcp(seq=3)), (PASS, "ingress"))
        f.set(sample=0)
        f.xdp(tcp(seq=5))
        expect(report, "one that came in otherwise is noted", f.xdp(
            tcp(seq=6, ether=WAYS_IN["VLAN 100"])), (PASS, "sample"))
        equal(report, "and does not keep the lease from being renewed", f.tc(forwarded(tcp(seq=6))),
              "renewed")
        f.xdp(tcp(seq=7, ether=WAYS_IN["VLAN 100"]))
        f.xdp(tcp(seq=8))
        equal(report, "nor if it comes later", f.tc(forwarded(tcp(seq=7))), "renewed")
        f.set(sample=FOREVER)
        f.tc(resets(4), is_local=True)
        f.set(reset_pps=10, refill=10, cost=hz(), max=3 * hz(), full=hz())
        expect(report, "dead: one that came in otherwise", f.xdp(tcp(seq=4)), (PASS, "ingress"))
        want = Ether(dst=ETHER.src, src=ETHER.dst) / Dot1Q(vlan=100, prio=3) / resets(4).payload
        expect(report, "dead: as it came in", f.xdp(tcp(seq=4, ether=WAYS_IN["VLAN 100"])),
               (TX, "reset", bytes(want)))


def resets(version, source=DIRECTOR):
    """The reset of tcp()'s flow by the service"""
    first = tcp(version=version)
    if version == 4:
        net = IP(src=first[IP].dst, dst=first[IP].src, ttl=64, id=0, flags="DF")
    else:
        net = IPv6(src=first[IPv6].dst, dst=first[IPv6].src, hlim=64)
    return Ether(bytes(Ether(dst="02:00:00:00:00:01", src=source) / net /
                       TCP(sport=80, dport=1234, flags="R", seq=77, window=0)))


def test_hops(report):
    """Next hops that no lease uses are given to others; those in use never"""
    with FastPath() as f:
        f.set(lease=max(1, hz() // 50))

        def mac(number):
            return f"02:00:00:01:{number >> 8:02x}:{number & 255:02x}"

        def count():
            return struct.unpack("=II", f.read("fastpath_hop_use", prog=TC)[:8])[1]
        learned = []
        for number in range(300):
            learned.append(time.monotonic())
            f.learn(tcp(sport=number, seq=number), mac(number))
        before = count()
        # under load the first ones may be given to others already: those of the last second are not
        recent = sum(at > learned[-1] - 0.9 for at in learned)
        report.check("300 servers: next hops", not recent <= before <= 300 and
                     f"{before}, {recent} at least")
        f.set(lease=FOREVER)
        f.learn(tcp(sport=5000), mac(5000))
        f.set(lease=max(1, hz() // 50))
        time.sleep(1.3)
        for number in range(300, 300 + before - 10):
            f.learn(tcp(sport=number, seq=number), mac(number))
        report.check("and nearly as many others later: no more of them", count() > before + 2 and
                     f"{count()}, not {before}")
        expect(report, "one in use is kept", f.xdp(tcp(sport=5000, seq=2)),
               (TX, "lease", forwarded(tcp(sport=5000, seq=2), mac(5000))))
        time.sleep(1.3)
        f.set(lease=FOREVER)
        wrong, kinds = [], set()
        for number in range(1000, 1000 + 4200):
            port = number % 200  # of 512 flows
            kind = f.learn(tcp("A", sport=port, seq=number, net={"tos": 0}), mac(number)) \
                if f.xdp(tcp("S", sport=port))[0] == PASS else "no SYN"
            kinds.add(kind)
            packet = tcp(sport=port, seq=number + 9)
            got = f.xdp(packet)
            if ("granted" in kind) != (got[0] == TX):
                wrong.append(f"{number}: {kind}, {got[:2]}")
            if got[0] == TX and got[2] != forwarded(packet, mac(number)):
                wrong.append(f"{number}: sent to {got[2][:6].hex()}")
        report.check("each packet to its own server, while there are next hops", wrong)
        report.check("then none is given", "hops_full" not in kinds and f"{kinds}")
        report.check("4,095 at most", count() != 4095 and f"{count()}")


def with_ttl(packet, ttl):
    if IP in packet:
        packet[IP].ttl = ttl
        del packet[IP].chksum
    else:
        packet[IPv6].hlim = ttl
    return Ether(bytes(packet))


def with_frag(packet, flags, offset):
    packet[IP].flags, packet[IP].frag = flags, offset
    del packet[IP].chksum
    return Ether(bytes(packet))


def test_length(report):
    """What the kernel has sent once may go by XDP, nothing longer; for as long as a lease"""
    for version, least in ((4, 552), (6, 1280)):
        with FastPath() as f:
            head = 40 if version == 4 else 60
            f.learn(tcp(version=version))
            fits = tcp(version=version, size=least - head)
            expect(report, f"IPv{version}: {least} bytes", f.xdp(fits), (TX, "lease"))
            longer = tcp(version=version, size=least - head + 1, seq=8)
            expect(report, f"IPv{version}: one more", f.xdp(longer), (PASS, "length"))
            equal(report, f"IPv{version}: the kernel sends it", f.tc(forwarded(longer)), "renewed")
            expect(report, f"IPv{version}: now it goes", f.xdp(longer),
                   (TX, "lease", forwarded(longer)))
            f.set(lease=hz() // 10)
            time.sleep(0.15)
            expect(report, f"IPv{version}: not any more", f.xdp(longer), (PASS, "length"))
            f.tc(forwarded(fits))
    with FastPath() as f: # what GRO has merged is as long as its segments
        packet = tcp(size=1400)
        f.xdp(packet)
        big = tcp(size=2 * 1400)
        equal(report, "merged: granted", f.tc(forwarded(big), gso_size=1400), "granted")
        expect(report, "merged: a segment goes", f.xdp(packet), (TX, "lease"))
        longer = tcp(size=1401)
        expect(report, "merged: a longer one does not", f.xdp(longer), (PASS, "length"))


def test_flags(report):
    """SYN and RST end a lease, FIN does not; no lease for them"""
    for flags, reason, stays in (("S", "syn", False), ("SA", "syn", False), ("R", "rst", False),
                                 ("RA", "rst", False), ("FA", "fin", True), ("F", "fin", True)):
        with FastPath() as f:
            first = tcp(flags)
            want = {"F": "unknown"}.get(flags[0], reason)
            expect(report, f"{flags}: unknown flow", f.xdp(first), (PASS, want))
            equal(report, f"{flags}: no lease for it", f.tc(forwarded(first)), "")
            f.learn(tcp())
            packet = tcp(flags, seq=6)
            expect(report, f"{flags}: passed to the stack", f.xdp(packet),
                   (PASS, reason, bytes(packet)))
            after = tcp(seq=7)
            expect(report, f"{flags}: afterwards", f.xdp(after),
                   (TX, "lease") if stays else (PASS, "expired"))
    with FastPath() as f: # the kernel sends a SYN of a flow that XDP has not seen
        f.learn(tcp())
        equal(report, "SYN at egress ends the lease", f.tc(forwarded(tcp("S", seq=9))), "revoked")
        expect(report, "SYN at egress: afterwards", f.xdp(tcp(seq=7)), (PASS, "expired"))


def test_egress(report):
    """A lease only for what came in, header for header; a changed decision is followed at once"""
    changed = {
        "TTL not less": lambda p: with_ttl(p, 64),
        "TTL two less": lambda p: with_ttl(p, 62),
        "another TOS": lambda p: field(p, IP, "tos", 8),
        "another id": lambda p: field(p, IP, "id", 9),
        "another DF": lambda p: field(p, IP, "flags", 0),
        "another sequence": lambda p: field(p, TCP, "seq", 1),
        "another window": lambda p: field(p, TCP, "window", 1),
        "another acknowledgement": lambda p: field(p, TCP, "ack", 1),
        "another payload": lambda p: Ether(bytes(p)[:-1] + b"\xff"),
    }
    for name, change in changed.items():
        with FastPath() as f:
            packet = tcp(size=30)
            f.xdp(packet)
            sent = Ether(forwarded(packet))
            sent = change(sent)
            if name == "another payload": # with its checksum
                sent = field(sent, TCP, "window", 500)
            equal(report, f"{name}: no lease", f.tc(sent), "mismatch")
            expect(report, f"{name}: passed to the stack", f.xdp(tcp(seq=3)), (PASS, "unknown"))
    with FastPath() as f: # what IPVS has balanced: testing/vm/tests/fastpath-attacks.sh
        f.set(flags=0)
        equal(report, "not of IPVS: no lease", f.learn(tcp(sport=99)), "routed")
        f.set(flags=ROUTED)
        equal(report, "not of IPVS, but routed flows, too", f.learn(tcp()), "granted")
        f.set(flags=0, sample=0)
        equal(report, "not of IPVS any more: the lease ends", f.learn(tcp(seq=4)),
              "revoked routed")
        expect(report, "not of IPVS any more: passed to the stack", f.xdp(tcp(seq=5)),
               (PASS, "expired"))
    with FastPath() as f:
        equal(report, "never came in: no lease", f.tc(forwarded(tcp())), "mismatch")
        equal(report, "never came in: no next hop", f.read("fastpath_hops", 1)[:20], bytes(20))
        packet = tcp()
        f.xdp(packet)
        equal(report, "sent: a lease", f.tc(forwarded(packet)), "granted")
        equal(report, "sent: a next hop", f.read("fastpath_hops", 1)[:6],
              bytes.fromhex(REAL1.replace(":", "")))
        equal(report, "sent twice: the second counts for nothing", f.tc(forwarded(packet)),
              "mismatch")
        # a packet that XDP does not wait for leaves to elsewhere: the lease is over
        equal(report, "elsewhere, unasked", f.tc(forwarded(tcp(seq=4), REAL2)),
              "revoked mismatch")
        expect(report, "elsewhere, unasked: passed to the stack", f.xdp(tcp(seq=5)),
               (PASS, "expired"))
        equal(report, "elsewhere: moved", f.tc(forwarded(tcp(seq=5), REAL2)), "granted")
        f.set(sample=0)
        f.xdp(tcp(seq=6))
        f.set(sample=FOREVER)
        equal(report, "back: moved", f.tc(forwarded(tcp(seq=6), REAL1)), "moved")
        packet = tcp(seq=7)
        expect(report, "back: it goes there", f.xdp(packet), (TX, "lease", forwarded(packet)))


def field(packet, layer, name, value):
    setattr(packet[layer], name, value)
    for other in (IP, TCP):
        if other in packet:
            del packet[other].chksum
    return Ether(bytes(packet))


def test_time(report):
    """Leases run out, samples are passed to the stack, and come back"""
    tick = 1 / hz()
    with FastPath() as f:
        f.set(lease=hz())
        f.learn(tcp())
        expect(report, "within the lease", f.xdp(tcp(seq=2)), (TX, "lease"))
        time.sleep(1 + 2 * tick)
        packet = tcp(seq=3)
        expect(report, "after the lease", f.xdp(packet), (PASS, "expired"))
        equal(report, "renewed", f.tc(forwarded(packet)), "renewed")
        expect(report, "renewed: it goes", f.xdp(tcp(seq=4)), (TX, "lease"))
        f.set(lease=FOREVER, sample=hz())
        f.learn(tcp(seq=5, sport=99))
        time.sleep(1 + 2 * tick)
        packet = tcp(seq=6, sport=99)
        expect(report, "one is passed to the stack as a sample", f.xdp(packet), (PASS, "sample"))
        expect(report, "the next one does not", f.xdp(tcp(seq=7, sport=99)), (TX, "lease"))
        equal(report, "the sample renews", f.tc(forwarded(packet)), "renewed")
        f.set(sample=FOREVER, sample_fin=hz() // 10)
        f.xdp(tcp("FA", seq=8, sport=99))
        time.sleep(0.1 + 2 * tick)
        packet = tcp(seq=9, sport=99)
        expect(report, "after a FIN, by its own interval", f.xdp(packet), (PASS, "sample"))
        f.tc(forwarded(packet))
        f.xdp(tcp("S", seq=10, sport=99))
        f.learn(tcp(seq=11, sport=99))
        time.sleep(0.1 + 2 * tick)
        expect(report, "a new connection of these ports is not at its end",
               f.xdp(tcp(seq=12, sport=99)), (TX, "lease"))


def test_vlan(report):
    """Tags in and out: kept, pushed, popped, rewritten"""
    tag = ETHER / Dot1Q(vlan=100, prio=3)
    for version in (4, 6):
        for in_tag in (False, True):
            for out_tag in (False, True):
                with FastPath() as f:
                    f.learn(tcp(version=version, ether=tag if in_tag else ETHER))
                    # at TC there is no tag in a test run: the hop is made by hand
                    mac = bytes.fromhex(REAL1.replace(":", "")) + \
                        bytes.fromhex(DIRECTOR.replace(":", ""))
                    f.write("fastpath_hops", struct.pack("=12sHHI", mac, 0x2005 if out_tag else 0,
                                                         1 if out_tag else 0, 1) +
                            f.read("fastpath_hops", 1)[20:], 1)
                    packet = tcp(version=version, seq=2, ether=tag if in_tag else ETHER)
                    plain = Ether(forwarded(tcp(version=version, seq=2)))
                    want = bytes(plain)
                    if out_tag:
                        want = bytes(Ether(dst=REAL1, src=DIRECTOR) / Dot1Q(vlan=5, prio=1) /
                                     plain.payload)
                    expect(report, f"IPv{version}: {'tagged' if in_tag else 'untagged'} in, "
                           f"{'tagged' if out_tag else 'untagged'} out", f.xdp(packet),
                           (TX, "lease", want))


def test_settings(report):
    """Off, monitor, another generation, a port that is not there"""
    with FastPath() as f:
        f.learn(tcp())
        f.set(flags=ROUTED | MONITOR)
        packet = tcp(seq=2)
        expect(report, "monitor", f.xdp(packet), (PASS, "monitor", bytes(packet)))
        f.set(flags=ROUTED, groups=0)
        expect(report, "off", f.xdp(packet), (PASS, "none", bytes(packet)))
        f.set(groups=f.groups)
        expect(report, "on again", f.xdp(packet), (TX, "lease"))
        f.set(generation=1)
        expect(report, "another generation", f.xdp(packet), (PASS, "unknown"))
        f.set(generation=0)
        hop = f.read("fastpath_hops", 1)
        f.write("fastpath_hops", hop[:16] + struct.pack("=I", 7777) + hop[20:], 1)
        expect(report, "leaves by a port that is not loaded", f.xdp(packet), (PASS, "port",
                                                                           bytes(packet)))


def test_udp(report):
    """Without a service in the list: no lease"""
    with FastPath() as f:
        packet = ETHER / IP(src="192.0.2.1", dst="203.0.113.80", ttl=64) / \
            UDP(sport=5000, dport=53) / Raw(bytes(20))
        equal(report, "UDP: no lease", f.learn(packet), "udp")
        equal(report, "UDP: no next hop", f.read("fastpath_hops", 1)[:20], bytes(20))
        expect(report, "UDP: passed to the stack", f.xdp(packet), (PASS, "unknown"))


def test_local(report):
    """No lease for what this host itself sends, be it like a packet that came in"""
    for version in (4, 6):
        with FastPath() as f:
            packet = tcp(version=version)
            f.xdp(packet)
            equal(report, f"IPv{version}: sent by this host",
                  f.tc(forwarded(packet), is_local=True),
                  "local")
            expect(report, f"IPv{version}: passed to the stack", f.xdp(tcp(version=version, seq=2)),
                   (PASS, "unknown"))


def exclude(f, addr):
    """struct ecbpf_exclude_key, for one address"""
    packed = bytes(IPv6(src=addr))[8:24] if ":" in addr else \
        bytes(10) + b"\xff\xff" + bytes(IP(src=addr))[12:16]
    f.write_key("fastpath_exclude", struct.pack("=I", 128) + packed, b"\1")


EXCLUDED = {"source": ("192.0.2.1", "2001:db8:1::2"),
            "destination": ("203.0.113.80", "2001:db8:80::80")}


def test_exclude(report):
    """An excluded address, source or destination: no lease, and never dropped by the shield"""
    for version in (4, 6):
        for side, addrs in EXCLUDED.items():
            with FastPath(flags=LIMIT) as f:
                f.set(window=FOREVER)
                name = f"IPv{version}, {side} excluded: "
                exclude(f, addrs[version == 6])
                equal(report, name + "no lease", f.learn(tcp(version=version)), "excluded")
                expect(report, name + "passed to the stack", f.xdp(tcp(version=version, seq=2)),
                       (PASS, "unknown"))
                other = {4: 6, 6: 4}[version]
                f.write("fastpath_shield", bytes(32))
                f.learn(tcp(version=other, sport=9))
                now = max(flow[8] for flow in f.flows()) // (1 << 24) - f.settings["lease"]
                f.write("fastpath_shield", struct.pack("=IIQQQ", 0, 65536, 0, now, 0))
                expect(report, name + "the shield drops others",
                       f.xdp(tcp("S", sport=77, version=other)), (DROP, "shield"))
                for port in range(7000, 7010):
                    expect(report, f"{name}the shield lets {port} in",
                           f.xdp(tcp("S", sport=port, version=version)), (PASS, "syn"))


def test_mark(report):
    """UDP services: by firewall mark, by address and port, by address alone"""
    packet = ETHER / IP(src="192.0.2.1", dst="203.0.113.80", ttl=64) / \
        UDP(sport=5000, dport=53) / Raw(bytes(20))
    addr = bytes(10) + b"\xff\xff" + bytes([203, 0, 113, 80])
    for name, key, mark, want in (
            ("mark 7", bytes(20) + struct.pack("=I", 7), 7, "granted"),
            ("another mark", bytes(20) + struct.pack("=I", 7), 8, "udp"),
            ("no mark", bytes(20) + struct.pack("=I", 7), 0, "udp"),
            ("its port", addr + struct.pack("!HHI", 53, 0, 0), 0, "granted"),
            ("another port", addr + struct.pack("!HHI", 54, 0, 0), 0, "udp"),
            ("all ports", addr + bytes(8), 0, "granted"),
            ("all ports, and a mark of none", addr + bytes(8), 9, "granted")):
        with FastPath() as f:
            f.write_key("fastpath_udp", key, b"\1", prog=TC)
            f.xdp(packet)
            equal(report, f"UDP service, {name}", f.tc(forwarded(packet), mark=mark), want)


def places(secrets):
    """Where flows are in the table, under a seed and a multiplier"""
    with FastPath() as f:
        f.set(**secrets)
        found = []
        for port in range(1, 9):
            before = {flow[:5] for group in range(f.groups)
                      for flow in FLOW.iter_unpack(f.read("fastpath_flows", group)) if flow[8]}
            f.learn(tcp(sport=port))
            for group in range(f.groups):
                for way, flow in enumerate(FLOW.iter_unpack(f.read("fastpath_flows", group))):
                    if flow[8] and flow[:5] not in before:
                        found.append((group, way))
        return found


def test_secrets(report):
    """Nobody who does not know both secrets can tell where a flow goes"""
    first = places({})
    equal(report, "the same secrets: the same places", places({}), first)
    for name, value in ("seed", 0xfedcba9876543210), ("mult", 0xc2b2ae3d27d4eb4f):
        same = sum(a == b for a, b in zip(first, places({name: value})))
        report.check(f"another {name}: other places", same > 4 and f"{same} of 8 are the same")


def test_table(report):
    """As many flows as it was made for; then the oldest make room; a lease is its flow's only"""
    groups = 512
    with FastPath(groups=groups) as f:
        capacity = groups * 8 * 8 // 15
        lost = [port for port in range(1, capacity + 1)
                if "granted" not in f.learn(tcp(sport=port))]
        report.check(f"{capacity} flows: all get a lease", lost)
        kept = len(list(f.flows()))
        report.check(f"{capacity} flows: nearly all are kept",
                     f"only {kept}" if kept < 0.98 * capacity else None)
        wrong, found = [], 0
        for port in range(1, capacity + 1):
            packet = tcp(sport=port, seq=port)
            verdict, reason, frame = f.xdp(packet)
            found += verdict == TX
            if verdict == TX and frame != forwarded(packet):
                wrong.append(f"port {port}")
            if verdict != TX and reason != REASONS["unknown"]:
                wrong.append(f"port {port}: {reason}")
        report.check("each packet by the lease of its flow", wrong)
        equal(report, "every flow that is kept is found", found, kept)
        # once more as many: the table stays full, of the later ones
        for port in range(30000, 30000 + 3 * capacity):
            f.learn(tcp(sport=port))
        late = sum(1 for flow in f.flows() if socket_port(flow[4]) >= 30000)
        report.check("later flows push out older ones", None if late > capacity else f"{late}")


def socket_port(ports):
    return struct.unpack("!H", struct.pack("=I", ports)[:2])[0]


def test_race(report):
    """Another CPU replaces the flow while its packet is decided on: it goes to the stack"""
    for version in 4, 6:
        def packet(sport, seq=9, version=version):
            return tcp(sport=sport, seq=seq, version=version)
        for name, instant, is_other in (("by another, once found", 1, True),
                                        ("by another, once its lease was read", 2, True),
                                        ("by its lease to elsewhere", 2, False)):
            with FastPath(groups=1, program="race:ecbpf_fastpath") as f:
                f.learn(packet(1), REAL1)
                f.learn(packet(2), REAL2)
                own, other = ([bytes(FLOW.pack(*flow)) for flow in f.flows()
                               if flow[4] & 0xffff == socket.htons(port)][0] for port in (1, 2))
                expect(report, f"IPv{version}: not replaced", f.xdp(packet(1)),
                       (TX, "lease", forwarded(packet(1))))
                f.write("race", struct.pack("=Q", instant) + (
                    other if is_other else own[:40] + other[40:]) + bytes(56))
                expect(report, f"IPv{version}: replaced {name}", f.xdp(packet(1)),
                       (PASS, "unknown", bytes(packet(1))))


def test_race_hop(report):
    """A CPU stops when it has read a lease: no packet goes to what its hop has become meanwhile"""
    for version in 4, 6:
        def packet(sport, seq=9, version=version):
            return tcp(sport=sport, seq=seq, version=version)
        for name, wait, to, want in (
                ("shortly, the hop is the same", hz() // 4, REAL1, (TX, "lease")),
                ("for a second, the hop is another one", hz(), REAL2, (DROP, "expired"))):
            with FastPath(groups=1, program="race:ecbpf_fastpath") as f:
                f.learn(packet(1), REAL1)
                f.learn(packet(2), REAL2)
                hop = {port: f.read("fastpath_hops", flow[8] & 0xffffff)[:40]
                       for port in (1, 2) for flow in f.flows()
                       if flow[4] & 0xffff == socket.htons(port)}
                f.write("race", struct.pack("=Q64x", 3) + hop[1 if to == REAL1 else 2] +
                        struct.pack("=QQ", wait, 0))
                verdict, reason, frame = f.xdp(packet(1))
                report.check(f"IPv{version}: it stops {name}",
                             ((verdict, reason) != (want[0], REASONS[want[1]]) or
                              verdict == TX and frame != bytes(forwarded(packet(1), to))) and
                             f"{verdict}, {reason}, to {frame[:6].hex()}")


def test_reset(report):
    """A flow that the kernel resets is dead; its packets are answered as the kernel would"""
    for version in (4, 6):
        with FastPath() as f:
            f.learn(tcp(version=version))
            reset = resets(version)
            equal(report, f"IPv{version}: a reset that is forwarded", f.tc(reset), "")
            packet = tcp(version=version, seq=2)
            expect(report, f"IPv{version}: it changes nothing", f.xdp(packet), (TX, "lease"))
            equal(report, f"IPv{version}: the kernel resets", f.tc(reset, is_local=True), "dead")
            packet = tcp(version=version, seq=2, size=300)
            expect(report, f"IPv{version}: no resets wanted", f.xdp(packet),
                   (PASS, "dead", bytes(packet)))
            f.set(reset_pps=10, refill=10, cost=hz(), max=3 * hz(), full=hz())
            answer = Ether(bytes(reset))
            answer.dst, answer.src = ETHER.src, ETHER.dst
            packet = tcp(version=version, seq=2, size=300)
            expect(report, f"IPv{version}: answered", f.xdp(packet), (TX, "reset", bytes(answer)))
            f.set(reset_pps=1, refill=0, max=hz(), full=1 << 40)
            f.xdp(packet)
            expect(report, f"IPv{version}: no token left", f.xdp(packet), (PASS, "dead"))
            f.set(reset_pps=10, refill=10, max=3 * hz(), full=0, reset_gap=hz())
            f.xdp(packet)
            expect(report, f"IPv{version}: not twice within the gap", f.xdp(packet),
                   (PASS, "dead"))
            f.set(lease=1)
            expect(report, f"IPv{version}: a SYN is passed to the stack",
                   f.xdp(tcp("S", version=version)),
                   (PASS, "syn"))


def test_sampling(report):
    """Packets that are forwarded or answered are sampled once, as they came in"""
    tag = ETHER / Dot1Q(vlan=9)
    for fused in (False, True):
        with FastPath(fused=fused) as f:
            f.samples()
            f.write("sampling", struct.pack("=4I", 0, 1, 1000, 0))
            f.learn(tcp())
            f.learn(tcp(sport=77, ether=tag))
            f.xdp(tcp(seq=2))  # the first gap is drawn
            f.samples()
            packets = [tcp(seq=3, size=300), tcp(seq=3, size=300, sport=77, ether=tag)]
            want = [(bytes(packet), 6, TX, REASONS["lease"]) for packet in packets]
            got = [f.xdp(packet)[0] for packet in packets]
            equal(report, f"fastpath{', fused' if fused else ''}: tagged and untagged, forwarded",
                  got, [TX, TX])
            f.tc(resets(4), is_local=True)
            f.set(reset_pps=10, refill=10, cost=hz(), max=3 * hz(), full=hz())
            packet = tcp(seq=9, size=300)
            want.append((bytes(packet), 6, TX, REASONS["reset"]))
            equal(report, f"fastpath{', fused' if fused else ''}: answered", f.xdp(packet)[0], TX)
            found = []
            for event in f.samples():
                *_, length, _, stage, verdict = SAMPLE.unpack_from(event)
                found.append((event[88:88 + length], stage, verdict & 0xff, verdict >> 8))
            equal(report, f"fastpath{', fused' if fused else ''}: samples", found, want)


def shield_ratio(f, drop, ports):
    """Part of unknown flows that is dropped when that part is asked for"""
    dropped = 0
    for port in ports:
        # what the shield has measured, as if just now
        now = shield_now(f)
        f.write("fastpath_shield", struct.pack("=IIQQQ", 0, drop, 0, now, 0))
        verdict, _, _ = f.xdp(tcp("S", sport=port))
        dropped += verdict == DROP
    return dropped / len(ports)


def shield_now(f):
    """The kernel's jiffies, by a lease"""
    f.write("fastpath_shield", bytes(32))
    f.clock = getattr(f, "clock", 50000) + 1
    f.learn(tcp(sport=f.clock))
    return max(flow[8] for flow in f.flows()) // (1 << 24) - f.settings["lease"]


# what the fast path leaves to the stack, and what is malformed: unknown flows, all of them
UNUSUAL = {
    "SYN with an IP option": ETHER / IP(src="192.0.2.1", dst="203.0.113.80", options=b"\1") /
        TCP(sport=40002, dport=443, flags="S"),
    "SYN behind a hop-by-hop header": ETHER / IPv6(src="2001:db8::1", dst="2001:db8:80::80") /
        HOP_BY_HOP / TCP(sport=40002, dport=443, flags="S"),
    "SYN with two tags": ETHER / Dot1Q(vlan=1) / Dot1Q(vlan=2) /
        IP(src="192.0.2.1", dst="203.0.113.80") / TCP(sport=40002, dport=443, flags="S"),
    "first fragment": ETHER / IP(src="192.0.2.1", dst="203.0.113.80", flags="MF") /
        UDP(sport=40002, dport=443) / Raw(bytes(24)),
    "later fragment": ETHER / IP(src="192.0.2.1", dst="203.0.113.80", frag=3, proto=17) /
        Raw(bytes(24)),
    "TCP data offset 4": ETHER / IP(src="192.0.2.1", dst="203.0.113.80") /
        TCP(sport=40002, dport=443, flags="S", dataofs=4),
}


def test_shield(report):
    """Unknown flows are dropped as asked, known ones never, a SYN that comes again is let in"""
    with FastPath(flags=LIMIT) as f:
        f.set(window=FOREVER)
        for drop, low, high in ((0, 0, 0), (16384, 0.15, 0.35), (49152, 0.65, 0.85),
                                (65536, 1, 1)):
            got = shield_ratio(f, drop, range(10000 + drop // 2, 10400 + drop // 2))
            report.check(f"{drop} of 65536 dropped",
                         None if low <= got <= high else f"{got}")
        now = shield_now(f)
        f.learn(tcp(sport=1, seq=5))
        f.write("fastpath_shield", struct.pack("=IIQQQ", 0, 65536, 0, now, 0))
        expect(report, "known flows go on", f.xdp(tcp(sport=1, seq=9)), (TX, "lease"))
        new = tcp("S", sport=40000)
        expect(report, "a new one is dropped", f.xdp(new), (DROP, "shield"))
        expect(report, "again at once: dropped", f.xdp(new), (DROP, "shield"))
        time.sleep(0.6)
        expect(report, "again later: let in", f.xdp(new), (PASS, "syn"))
        expect(report, "and what follows", f.xdp(tcp(sport=40000)), (PASS, "unknown"))
        expect(report, "a third time at once: dropped", f.xdp(new), (DROP, "shield"))
        time.sleep(0.6)
        expect(report, "a third time later: let in", f.xdp(new), (PASS, "syn"))
        expect(report, "an ACK of nobody is dropped", f.xdp(tcp(sport=40001)), (DROP, "shield"))
        other = ETHER / IP(src="192.0.2.1", dst="203.0.113.80") / ICMP()
        expect(report, "other protocols are not touched", f.xdp(other), (PASS, "none"))
        for name, packet in UNUSUAL.items():
            f.write("fastpath_shield", struct.pack("=IIQQQ", 0, 65536, 0, now, 0))
            expect(report, f"{name}: dropped", f.xdp(packet), (DROP, "shield"))
            f.write("fastpath_shield", struct.pack("=IIQQQ", 0, 0, 0, now, 0))
            verdict = f.xdp(packet)
            report.check(f"{name}: passed without a flood",
                         None if verdict[0] == PASS else f"{verdict}")


def test_shield_replay(report):
    """A source that repeats SYNs, or goes on with what was let in, may send 128 at once, and a
    second"""
    for version in (4, 6):
        with FastPath(flags=LIMIT) as f:
            f.set(window=FOREVER)
            f.write("fastpath_shield", struct.pack("=IIQQQ", 0, 65536, 0, shield_now(f), 0))

            def syn(sport, host=1, low=2):
                packet = tcp("S", sport=sport, version=version)
                if version == 4:
                    packet[IP].src = f"192.0.2.{host}"
                    del packet[IP].chksum
                else:
                    packet[IPv6].src = f"2001:db8:{host}::{low:x}"
                return Ether(bytes(packet))
            tries = [syn(port, low=port) for port in range(1, 301)] + [syn(5, host=9)]
            got = [f.xdp(packet)[0] for packet in tries]
            equal(report, f"IPv{version}: 301 SYNs are dropped", got, [DROP] * 301)
            time.sleep(0.6)
            start = time.monotonic()
            got = [f.xdp(packet)[0] for packet in tries]
            more = 1 + 128 * (time.monotonic() - start)
            report.check(f"IPv{version}: again, 300 of one source: 128 get through",
                         not 128 <= got[:300].count(PASS) <= 128 + more and f"{got.count(PASS)}")
            equal(report, f"IPv{version}: one of another source gets through", got[300], PASS)
            ack = syn(5, host=9)
            ack[TCP].flags = "A"
            del ack[TCP].chksum
            ack = Ether(bytes(ack))
            start = time.monotonic()
            got = [f.xdp(ack)[0] for _ in range(300)]
            more = 1 + 128 * (time.monotonic() - start)
            report.check(f"IPv{version}: 300 ACKs of a flow that was let in: 127 more",
                         not 127 <= got.count(PASS) <= 127 + more and f"{got.count(PASS)}")


def test_ramp(report):
    """The rate decides: nothing to the target, the most from the ceiling on, between them a line"""
    with FastPath(flags=LIMIT) as f:
        f.set(window=1000, target=1000, ceiling=2000, drop_max=60000)
        last, wrong = 0, []
        for rate in range(0, 4001, 250):
            now = shield_now(f)
            # half of it is the average so far: as if it had been this for long
            f.write("fastpath_shield", struct.pack("=IIQQQ", 0, 0, rate - 32 if rate else 0,
                                                   now - 1000, rate))
            f.write("fastpath_shield_cpu", struct.pack("=I4x", 31) * len_cpus(f))
            f.xdp(ETHER / IP() / ICMP())
            drop = struct.unpack("=IIQQQ", f.read("fastpath_shield"))[1]
            want = min(max(rate - 1000, 0) * 60000 // 1000, 60000)
            if drop < last or abs(drop - want) > 3000 or (rate <= 1000 and drop):
                wrong.append(f"rate {rate}: {drop}, about {want}")
            last = drop
        report.check("ramp", wrong)
        report.check("ramp: reaches the most", None if last == 60000 else f"{last}")


def len_cpus(f):
    return len(f.read("fastpath_shield_cpu")) // 8


if __name__ == "__main__":
    main([test_forward, test_others, test_checksum, test_partial, test_up, test_ingress,
          test_hops, test_length, test_flags, test_egress, test_time, test_vlan, test_settings,
          test_udp, test_local, test_exclude, test_mark, test_secrets, test_table, test_race,
          test_race_hop, test_reset,
          test_sampling, test_shield, test_shield_replay, test_ramp])
