#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The shared area hands records on, and never one for a packet it was not made from.

    BUILD=DIR test_shared.py [TEST...]

Programs that share the area, as programs of a chain do, run on one CPU on packet after packet; what
they get must be what the reference finds in the packet at hand. That this test would notice a
stale record is shown by taking each element of the proof out of a copy of the headers.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
# pylint: disable=wrong-import-position
from packets import (ARP, DESTINATION, ETHER, HOP_BY_HOP, ICMP, IP, IP4, IP6, PAYLOAD, ROUTING,
                     TCP_SYN, UDP_QUERY, Dot1AD, Dot1Q, ICMPv6EchoRequest, IPOption_Router_Alert,
                     Raw, authentication, build, fragment, stacks)
from reference import Record, parse
from testrun import ABORTED, BUILD, DROP, NO_FRAGS, TestRun, has_frags, main

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

# Packets whose records are handed on, as they are not plain: see ecbpf_run()
HANDED_ON = {
    "ip options": build(IP(**IP4, options=[IPOption_Router_Alert()]) / TCP_SYN / PAYLOAD),
    "ip first fragment": build(IP(**IP4, flags="MF") / UDP_QUERY / PAYLOAD),
    "ip later fragment": build(IP(**IP4, frag=185, proto=17) / PAYLOAD),
    "ip6 hop-by-hop": build(IP6 / HOP_BY_HOP / TCP_SYN / PAYLOAD),
    "ip6 first fragment": build(IP6 / fragment(0, 1) / UDP_QUERY / PAYLOAD),
    "ip6 in two tags": bytes(ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=8) / IP6 / TCP_SYN / PAYLOAD),
    "ip version": build(IP(version=6) / TCP_SYN),
}
# Longer headers than the area keeps bytes of
LONG = bytes(ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=8) / IP6 / HOP_BY_HOP / DESTINATION / ROUTING /
             fragment(0, 0) / authentication(6) / TCP_SYN / PAYLOAD)
FRAMES = list(HANDED_ON.values()) + [LONG, build(ARP()), build(IP(**IP4) / ICMP() / PAYLOAD),
                                     build(IP6 / ICMPv6EchoRequest() / PAYLOAD),
                                     build(IP(**IP4) / TCP_SYN), build(IP6 / UDP_QUERY)]
FIRST, SECOND, MARK, BUSY, REWRITE, PASS_DROP, BUSY_SPARE = range(7)
MARK_BITS = 0xff


def load(build_dir):
    """The programs; they share the area"""
    return TestRun("record:record_get", "record:record_get", "record:shared_mark",
                   "record:shared_busy", "record:record_rewrite",
                   ("pass:ecbpf_pass", {"malformed_action": DROP}), "record:shared_busy_spare",
                   build=build_dir)


def wrong(what, packed, frame, linear_len=None):
    """Yields what is wrong with the record of a frame"""
    want = parse(frame, linear_len)
    if packed != want.pack():
        yield f"{what}: {Record.unpack(packed)}, not {want}, of {frame[:200].hex()}"


def changed(frame, pos, mask):
    return frame[:pos] + bytes([frame[pos] ^ mask]) + frame[pos + 1:]


def stale_bytes(programs):
    """A packet of the same length that differs in one byte follows, on the same page"""
    for frame in FRAMES:
        for mask in (0xff, 0x01, 0x10, 0x20):
            others = [changed(frame, pos, mask) for pos in range(12, len(frame))]
            sequence = [one for other in others for one in (frame, other)]
            records = programs.records(sequence)
            for i, one in enumerate(sequence):
                yield from wrong(f"byte {12 + i // 2}", records[i * 40:][:40], one)


def stale_length(programs):
    """The same bytes follow, but more or fewer of them"""
    for frame in FRAMES:
        for other in [frame[:size] for size in range(14, len(frame))] + \
                [frame + bytes(size) for size in range(1, 20)]:
            programs.run(frame, FIRST)
            yield from wrong("other length", programs.record(other, SECOND), other)
            yield from wrong("length again", programs.record(frame, SECOND), frame)


def stale_stacks(programs):
    """Every stack after every other one, cut or padded to the same length"""
    frames = [stack.frame for stack in stacks()][::3]
    for size in (60, 90, 130):
        frames_cut = [frame[:size].ljust(size, b"\0") for frame in frames]
        for step in (1, 5, 17):
            sequence = [frames_cut[i * step % len(frames_cut)] for i in range(len(frames_cut))]
            records = programs.records(sequence, SECOND)
            for i, one in enumerate(sequence):
                yield from wrong("after another stack", records[i * 40:][:40], one)


def stale_rewrite(programs):
    """A third party between two programs rewrites a byte in place"""
    for frame in FRAMES:
        for pos in range(12, min(len(frame), 256)):
            for mask in (0xff, 0x01, 0x20):
                asked = bytes([pos, mask]) + frame[2:]
                _, out = programs.run(asked, REWRITE)
                if out != changed(asked, pos, mask):
                    yield f"byte {pos} was not rewritten"
                yield from wrong("before", programs.read("records", 0, REWRITE), asked)
                yield from wrong(f"byte {pos} rewritten", programs.read("records", 1, REWRITE), out)


def stale_chain(programs):
    """The first program drops what the second one never sees; then the first one is gone"""
    malformed = [frame for frame in HANDED_ON.values() if parse(frame).reason]
    malformed += [frame[:-1] for frame in FRAMES if parse(frame[:-1]).reason]
    for dropped in malformed:
        for frame in FRAMES:
            for other in (frame[:len(dropped)].ljust(len(dropped), b"\0"),
                          changed(dropped, 12 + len(frame) % 20, 0x40)):
                verdict, _ = programs.run(dropped, PASS_DROP)
                if verdict != DROP:
                    yield f"verdict {verdict} on {dropped.hex()}"
                yield from wrong("after a drop", programs.record(other, SECOND), other)
                programs.run(other, FIRST)
                yield from wrong("chain replaced", programs.record(dropped, SECOND), dropped)


def stale_busy(programs):
    """A program that interrupts another one leaves its slot alone and takes nothing from it"""
    for name, frame in HANDED_ON.items():
        other = HANDED_ON["ip6 hop-by-hop" if name == "ip options" else "ip options"]
        programs.run(frame, FIRST)
        programs.run(frame, MARK)
        programs.run(frame, BUSY)
        for one in (frame, other, changed(other, 20, 0x20), frame, frame):
            yield from wrong(f"interrupting, {name}", programs.record(one, SECOND), one)
        programs.run(frame, BUSY)
        want = parse(frame)
        want.tcp_flags ^= MARK_BITS
        if programs.record(frame, SECOND) != want.pack():
            yield f"{name}: the slot was written to by the program that interrupted"


def stale_all_busy(programs):
    """Where both slots are in use, no record is made up: the packet is dropped"""
    for name, frame in HANDED_ON.items():
        other = HANDED_ON["ip6 hop-by-hop" if name == "ip options" else "ip options"]
        programs.run(other, FIRST)
        programs.run(frame, BUSY)
        programs.run(frame, BUSY_SPARE)
        verdict, _ = programs.run(frame, SECOND)
        if verdict != ABORTED:
            yield f"{name}: verdict {verdict}"
        plain = build(IP(**IP4) / TCP_SYN / PAYLOAD) # needs no slot
        yield from wrong("plain", programs.record(plain, SECOND), plain)
        programs.run(frame, BUSY)
        programs.run(frame, BUSY_SPARE)
        yield from wrong(f"free again, {name}", programs.record(frame, SECOND), frame)


def stale_frags(build_dir):
    """The linear part is equal, what follows in XDP fragments is not"""
    with TestRun(("record:record_get", {"xdp_frags": 1}), ("record:record_get", {"xdp_frags": 1}),
                 build=build_dir) as programs:
        for headers in (IP(**IP4) / ICMP(), IP6 / HOP_BY_HOP / UDP_QUERY, ARP(),
                        IP(**IP4, options=[IPOption_Router_Alert()]) / TCP_SYN,
                        IP(version=6) / TCP_SYN):
            whole = build(headers / Raw(bytes(3000)))
            for linear_len in (len(build(headers)), 100, 1000):
                for first, second in ((3000, 3014), (3014, 3000), (linear_len, 3000),
                                      (3000, linear_len), (linear_len, len(whole)),
                                      (len(whole), linear_len), (3000, len(whole))):
                    programs.run(whole[:first], FIRST, linear_len)
                    programs.run(whole[:second], SECOND, linear_len)
                    yield from wrong(f"linear {linear_len}, {first} then {second} bytes",
                                     programs.read("records", 0, SECOND), whole[:second],
                                     linear_len)
            # the same frame, but another part of it is linear
            for first in range(14, 100):
                for second in (first + 1, 100, first):
                    programs.run(whole, FIRST, first)
                    programs.run(whole, SECOND, second)
                    yield from wrong(f"linear {first}, then {second}",
                                     programs.read("records", 0, SECOND), whole, second)


SCENARIOS = (stale_bytes, stale_length, stale_stacks, stale_rewrite, stale_chain, stale_busy,
             stale_all_busy)


def test_handed_on(report):
    """A marked record is taken by the second program, if the packet is the same"""
    with load(BUILD) as programs:
        for name, frame in HANDED_ON.items():
            want = parse(frame)
            want.tcp_flags ^= MARK_BITS
            programs.run(frame, FIRST)
            programs.run(frame, MARK)
            found = programs.record(frame, SECOND)
            report.check(f"handed on: {name}", found != want.pack() and
                         f"{Record.unpack(found)}, not {want}")


def test_stale(report):
    """No scenario makes a stale record match"""
    for scenario in SCENARIOS:
        with load(BUILD) as programs:
            report.check(scenario.__name__, list(scenario(programs)))
    if has_frags():
        report.check("stale_frags", list(stale_frags(BUILD)))
    else:
        report.skip("stale_frags", NO_FRAGS)


# An element of the proof; the expression that it is in headers/ecbpf/shared.bpf.h, what to put
# in its place
PROOF = (
    ("comparing the length", r"area->linear_len != linear_len", "!area->linear_len"),
    ("comparing the length with fragments",
     r"area->record\.frame_len != ecbpf_frame_len\(ctx, linear_len\)", "false"),
    ("comparing the words", r"area->head\[i\] != word\[i\]", "false"),
    ("comparing the last word", r"(ECBPF_SHARED_FROM \+ i \* 8)( >= area->record\.hdr_len)",
     r"\1 + 8\2"),
    ("the bound on hdr_len", r"hdr_len > ECBPF_SHARED_FROM \+ ECBPF_SHARED_WORDS \* 8", "false"),
    ("the busy mark", r"if \(area && area->busy\)", "if (false)"),
    ("the spare's busy mark", r"if \(!area \|\| area->busy\)", "if (!area)"),
)


def build_without(directory, pattern, replacement):
    """Compile the programs with one expression of the shared area replaced"""
    headers = shutil.copytree(os.path.join(TOP, "headers"), os.path.join(directory, "headers"))
    path = os.path.join(headers, "ecbpf", "shared.bpf.h")
    with open(path, encoding="ascii") as file:
        text, count = re.subn(pattern, replacement, file.read())
    if count != 1:
        raise ValueError(f"'{pattern}' is {count} times in shared.bpf.h, not once")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    subprocess.run([os.path.join(TOP, "testing", "bpf", "build"), directory, headers, "record",
                    "pass"], check=True)


def test_teeth(report):
    """Without any one element of the proof, a scenario fails"""
    for name, pattern, replacement in PROOF:
        with tempfile.TemporaryDirectory() as directory:
            try:
                build_without(directory, pattern, replacement)
            except (ValueError, subprocess.CalledProcessError) as error:
                report.check(f"teeth: {name}", str(error))
                continue
            noticed = []
            for scenario in SCENARIOS:
                with load(directory) as programs:
                    noticed += [scenario.__name__] if next(scenario(programs), None) else []
            if has_frags():
                noticed += ["stale_frags"] if next(stale_frags(directory), None) else []
            elif not noticed and "length" in name:
                report.skip(f"teeth: {name}", NO_FRAGS)
                continue
            report.check(f"teeth: {name}, noticed by {' '.join(noticed) or 'nobody'}",
                         not noticed and "no test notices that it is gone")


if __name__ == "__main__":
    main([test_handed_on, test_stale, test_teeth])
