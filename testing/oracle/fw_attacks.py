#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The attacks of ecbpf-fw-rules(5): packets that their rules drop, and packets that they let alone.

    fw_attacks.py TOOL [test]    parse each example with ecbpf-fw, TOOL; hold what it understood,
                                 and the example itself, against the packets by the model; with
                                 "test", by `ecbpf-fw test`, too, which needs root

Prints a line a test, and the sum.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import namedtuple

import fw_model
from packets import (ETHER, GRE, HOP_BY_HOP, ICMP, IP, TCP, UDP, Dot1AD, Dot1Q, ICMPv6EchoRequest,
                     IPOption_Router_Alert, IPv6, Raw, fragment)
# pylint: disable=wrong-import-order,ungrouped-imports
from scapy.utils import wrpcap
from scapy.layers.l2 import Ether

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PAGE = os.path.join(TOP, "man", "ecbpf-fw-rules.5.in")

# drop, keep: frames; floods: (frame, how many are within the budget)
Attack = namedtuple("Attack", "drop keep floods", defaults=((),))

ALL_FLAGS = "FSRPAUEC"
OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("WScale", 7)]


def ip4(upper, src="192.0.2.1", dst="198.51.100.1", **fields):
    """A frame of 60 bytes or more, as from a wire"""
    return bytes(ETHER / IP(src=src, dst=dst, **fields) / upper).ljust(60, b"\0")


def ip6(upper, src="2001:db8::1", dst="2001:db8::2", **fields):
    """Likewise"""
    return bytes(ETHER / IPv6(src=src, dst=dst, **fields) / upper)


def tcp(flags, **fields):
    """A TCP header, with options as a real system's SYN has unless said otherwise"""
    return TCP(**{**dict(sport=40000, dport=443, flags=flags, window=64240, options=OPTIONS),
                  **fields})


def payload(size):
    """So many bytes"""
    return Raw(b"x" * size)


def udp(sport, size=40, dport=40000):
    """A datagram"""
    return UDP(sport=sport, dport=dport) / payload(size)


HTTP = ip4(tcp("PA", options=[]) / payload(300))
SYN = ip4(tcp("S"))
QUIC = ip4(udp(50000, 1200, 443), ttl=57)
ANSWER_LATER = dict(flags=0, frag=185, proto=17)

ATTACKS = {
    "syn-window": Attack(
        drop=[ip4(tcp("S", window=512)), ip4(tcp("S", window=512, dport=80)),
              ip4(tcp("S", options=[])),
              bytes(ETHER / Dot1Q(vlan=5) / IP(src="192.0.2.1", dst="198.51.100.9") /
                    tcp("S", window=512)),
              ip4(tcp("S", window=512), options=[IPOption_Router_Alert()])],
        keep=[SYN, HTTP, ip4(tcp("SA", window=512)), ip4(tcp("A", window=512))]),
    "dns": Attack(
        drop=[ip4(udp(53, 1000)), ip4(udp(53, 1400), flags="MF"),
              ip4(payload(800), **ANSWER_LATER)],
        keep=[ip4(udp(53, 100), src="192.0.2.53"), ip4(udp(40000, 40, 53)), HTTP, QUIC,
              ip4(payload(500), src="192.0.2.54", **ANSWER_LATER)]),
    "ntp": Attack(
        drop=[ip4(udp(123, 440)), ip4(udp(123, 49)),
              bytes(ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=8) / IP(dst="198.51.100.1") /
                    udp(123, 440))],
        keep=[ip4(udp(123, 48)), ip4(udp(40000, 48, 123)), HTTP],
        floods=((ip4(udp(123, 48)), 100),)),
    "reflectors": Attack(
        drop=[ip4(udp(port, 1400)) for port in (19, 389, 1900, 11211)] +
        [ip6(udp(11211, 1400)), ip6(HOP_BY_HOP / udp(389))],
        keep=[ip4(udp(40000, 40, 11211)), ip4(tcp("A", sport=11211)), QUIC, HTTP,
              ip6(udp(5353))]),
    "fragments": Attack(
        drop=[ip4(tcp("A"), flags="MF"), ip4(payload(100), frag=3, proto=6)],
        keep=[HTTP, QUIC, ip6(fragment(0, 0) / udp(53))],
        floods=((ip4(payload(1000), frag=185, proto=17), 50),
                (ip6(fragment(185, 0) / payload(1000)), 50))),
    "ack": Attack(
        drop=[ip4(tcp("A", options=[]), src="203.0.113.5"),
              ip4(tcp("A", options=[]), src="203.0.0.0")],
        keep=[ip4(tcp("A", options=[]), src="203.1.0.0"), ip4(tcp("S"), src="203.0.113.5"),
              ip4(tcp("PA", options=[]) / payload(100), src="203.0.113.5"),
              ip4(tcp("A", options=[]) / payload(1200), src="203.0.113.5"), HTTP]),
    "flags": Attack(
        drop=[ip4(tcp(flags)) for flags in ("", "FPU", ALL_FLAGS, "SF", "SFA", "SR")],
        keep=[ip4(tcp(flags)) for flags in ("S", "SA", "A", "PA", "FA", "R", "RA", "PAU", "SEC")]),
    "bots": Attack(
        drop=[ip4(tcp("S"), src="203.0.113.1"), ip4(udp(53), src="203.0.113.127"),
              ip4(GRE() / payload(20), src="192.0.2.66"),
              ip4(tcp("S", dport=80), src="203.0.113.7")],
        keep=[ip4(tcp("S"), src="203.0.113.7"), ip4(tcp("S"), src="203.0.113.128"),
              ip4(udp(53), src="192.0.2.65")]),
    "ping": Attack(
        drop=[ip4(ICMP(type=kind) / payload(1400), flags="MF") for kind in (0, 8)],
        keep=[ip4(ICMP() / payload(56)), ip4(ICMP(type=3, code=4) / payload(28)),
              ip6(ICMPv6EchoRequest()), HTTP],
        floods=((ip4(ICMP() / payload(56), src="192.0.2.9"), 5),
                (ip6(ICMPv6EchoRequest(), src="2001:db8:0:9::1"), 5))),
    "spoofed": Attack(
        drop=[ip4(udp(50000, 1200, 443), ttl=238), ip4(udp(50000, 1200, 443), ttl=241),
              ip4(GRE() / IP() / payload(20)), ip4(payload(20), proto=132)],
        keep=[QUIC, ip4(udp(50000, 1200, 443), ttl=242), ip4(payload(20), proto=50), HTTP,
              ip6(udp(50000))],
        floods=((ip6(HOP_BY_HOP / udp(50000)), 10),)),
}


def examples():
    """Rules of each attack, by name, from the manual page"""
    with open(PAGE, encoding="ascii") as file:
        found = re.findall(r'^\.\\" example: attack (\S+)\n\.EX\n(.*?)^\.EE$', file.read(),
                           re.MULTILINE | re.DOTALL)
    return {name: text.replace("\\-", "-").replace("\\(aq", "'") for name, text in found}


def wrong_by_model(text, attack):
    """Yields what is wrong, as the model sees it; all at one instant"""
    ruleset = fw_model.parse(text)
    for action, frames in ("drop", attack.drop), ("pass", attack.keep):
        for frame in frames:
            verdict = fw_model.parse(text).verdict(frame)
            if verdict.malformed or verdict.action != action:
                yield f"{verdict}, not {action}: {Ether(frame).summary()}"
    for frame, budget in attack.floods:
        actions = [ruleset.verdict(frame).action for _ in range(2 * budget)]
        if actions != ["pass"] * budget + ["drop"] * budget:
            yield f"not {budget} within the budget: {actions}"


def run_tool(tool, *arguments):
    """What it prints; its failure is one of this"""
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{' '.join(arguments)}: exit status {done.returncode}: {done.stderr}")
    return done.stdout


def wrong_by_program(tool, rules, text, attack, directory):
    """Yields where the program does not do what the model says; of floods, the later ones"""
    ruleset = fw_model.parse(text)
    singles = attack.drop + attack.keep
    flood = [frame for frame, budget in attack.floods for _ in range(budget + 1000)]
    pcap = os.path.join(directory, "packets.pcap")
    # each single frame is within its budget, the order being that of the model
    wrpcap(pcap, [Ether(frame) for frame in singles + flood])
    packets = json.loads(run_tool(tool, "test", "-j", "-f", rules, "-r", pcap))["packets"]
    for frame, packet in zip(singles, packets):
        want = ruleset.verdict(frame)
        rule = None if want.rule is None else want.rule + 1
        if (packet["action"], packet["rule"]) != (f"XDP_{want.action.upper()}", rule):
            yield f"{packet}, not {want}: {Ether(frame).summary()}"
    at = len(singles)
    for frame, budget in attack.floods:
        actions = [packet["action"] for packet in packets[at:at + budget + 1000]]
        at += budget + 1000
        # one of the singles may have taken a token
        if actions[:budget - 1] != ["XDP_PASS"] * (budget - 1) or "XDP_DROP" not in actions:
            yield f"the flood was not limited: {Ether(frame).summary()}"


def main(arguments):
    """See above"""
    tool, by_program = arguments[0], "test" in arguments[1:]
    texts = examples()
    names = sorted(set(texts) | set(ATTACKS))
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        rules = os.path.join(directory, "rules")
        for name in names:
            wrong = []
            try:
                text, attack = texts[name], ATTACKS[name]
                with open(rules, "w", encoding="ascii") as file:
                    file.write(text)
                wrong += wrong_by_model(text, attack)
                wrong += wrong_by_model(run_tool(tool, "check", "-p", "-f", rules), attack)
                if by_program:
                    wrong += wrong_by_program(tool, rules, text, attack, directory)
            except KeyError:
                wrong.append("an example without packets, or packets without an example")
            except ValueError as error:
                wrong.append(str(error))
            failed += bool(wrong)
            print(f"FAIL attack {name}: " + "\n  ".join(wrong) if wrong else f"PASS attack {name}")
    print(f"{len(names) - failed} passed, {failed} failed, 0 skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) if len(sys.argv) > 1 else __doc__)
