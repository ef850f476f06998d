#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Rules mean to ecbpf-fw what they mean to the model.

    test_fw_rules.py [COUNT]    COUNT: random rulesets; default: 12

The tool is $ECBPF_FW, by default that of the directory that make works in. What it prints of a
ruleset (check --print) is held against the ruleset, on packets, by the model; so are the examples
of the manual. That the model's packets are what they look like is left to Scapy.
"""
import os
import random
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
# pylint: disable=wrong-import-position
try:
    from packets import ICMP, IP, TCP, UDP, IPv6
except ImportError:
    print("SKIP: no Scapy (Debian: python3-scapy)")
    sys.exit(77)
import fw_attacks
import fw_cover
import fw_model
from scapy.layers.inet6 import IPv6ExtHdrFragment
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether

TOOL = os.environ.get("ECBPF_FW", "tools/ecbpf-fw")
FIXED_SEED = 7


def printed(text):
    """What ecbpf-fw prints of rules; what it prints of that is the same"""
    results = []
    for rules in text, None:
        done = subprocess.run([TOOL, "check", "-p", "-f", "-"], input=rules or results[0],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(f"exit status {done.returncode}: {done.stderr[:1000]}")
        results.append(done.stdout)
    if results[0] != results[1]:
        raise ValueError("printed rules are printed in another way")
    return results[0]


def wrong_rules(seed):
    """What is wrong with a random ruleset, or None; rules that no packet has met are no test"""
    text = fw_model.generate(seed, random.Random(seed).choice((1, 3, 20, 100, 300)))
    ruleset = fw_model.parse(text)
    again = fw_model.parse(printed(text))
    if [rule.name for rule in again.rules] != [rule.name for rule in ruleset.rules]:
        return "names or order of rules are not kept"
    counted = 0
    for frame in fw_model.packets(seed, ruleset, 100):
        want, have = ruleset.verdict(frame), again.verdict(frame)
        counted += len(want.counted)
        if want != have:
            return f"{have}, not {want}: {frame.hex()}"
    # few rules may all be of an empty set
    return None if counted or len(ruleset.rules) < 20 else "no packet was counted by any rule"


def wrong_examples():
    """The examples of the manual that say how a rule is printed: yields what is wrong"""
    with open(fw_attacks.PAGE, encoding="ascii") as file:
        found = re.findall(r'^\.\\" example: printed\n\.EX\n(.*?)^\.EE$', file.read(),
                           re.MULTILINE | re.DOTALL)
    if not found:
        yield "there are none"
    for line in "".join(found).replace("\\-", "-").splitlines():
        rule, want = (part.strip() for part in line.split("#"))
        if re.search("http|gre", rule) and not (fw_model.name_of("dport", "tcp", 443) and
                                                fw_model.name_of("proto", None, 47)):
            continue  # a system without names
        have = printed(rule).strip()
        if have != want:
            yield f"{rule!r} is printed as {have!r}, not {want!r}"


def check(text, *options):
    """Exit status, standard output and errors of ecbpf-fw check"""
    done = subprocess.run([TOOL, "check", "-f", "-", *options], input=text, capture_output=True,
                          text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def wrong_too_many():
    """What is too much for the tables is refused, printed or not"""
    for options in [], ["-p"], ["-j"]:
        status, out, errors = check("inet udp\n" * 5121, *options)
        if status != 1 or out or "5121 rules are 10242 in the tables" not in errors:
            return f"check {options}: exit status {status}, {out[:100]!r}, {errors[:1000]!r}"
    return None


def wrong_name():
    """Standard input has one name in errors, warnings and the summary"""
    for text, want in (("ip udp ttl 256", "stdin:1:12: ttl: "), ("ip proto 58", "stdin:1: protocol 58"),
                       ("ip6 proto any", "stdin: rule 1 drops"), ("ip udp", "stdin: 1 rule,")):
        answer = "".join(check(text)[1:])
        if want not in answer or "-:" in answer:
            return f"{text!r}: {answer!r}, not {want!r}"
    return None


def wrong_services():
    """A port above 65535 in /etc/services is none, and no other one either"""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("high 65589/tcp tall # 53\nhigh 53/udp\nlow 53/tcp\n")
        file.flush()
        shell = f"mount --bind {file.name} /etc/services && exec {TOOL} check -p -f -"
        for port, want in (("low", "dport 53 "), ("high", "'high' is 65589, more than 65535"),
                           ("tall", "'tall' is 65589, more than 65535"),
                           ("{1 - high}", "'high' is 65589, more than 65535"),
                           ("low-high", "'low-high' is 65589, more than 65535")):
            done = subprocess.run(["unshare", "-rm", "sh", "-c", shell], capture_output=True,
                                  input=f"ip tcp dport {port}", text=True, check=False)
            if "unshare: " in done.stderr or "mount: " in done.stderr:
                print("SKIP services that have no port: no mount in a namespace")
                return None
            if want not in done.stdout + done.stderr:
                return f"dport {port}: {done.stdout}{done.stderr}, not {want}"
    return None


def wrong_packet(frame):
    """What Scapy sees in a frame, and the model does not; None if nothing"""
    packet, layers = fw_model.Packet(frame), Ether(frame)
    ip = next((layer for layer in map(layers.getlayer, range(1, 4))
               if isinstance(layer, (IP, IPv6))), None)
    if packet.malformed or not ip:
        return None
    inner = ip.payload.getlayer(IP) or ip.payload.getlayer(IPv6)
    if inner:  # Scapy looks into tunnels
        inner.underlayer.remove_payload()
    want = {"length": len(frame), "ttl": ip.ttl if ip.version == 4 else ip.hlim}
    if isinstance(layers.payload, (Dot1Q, Dot1AD)):  # a VID of 0 is a priority, and no VLAN
        want["vlan"] = layers.payload.vlan or getattr(layers.payload.payload, "vlan", 0)
    fragment = layers.getlayer(IPv6ExtHdrFragment)
    offset = ip.frag if ip.version == 4 else fragment.offset if fragment else 0
    upper = layers.getlayer(TCP) or layers.getlayer(UDP)
    if upper and not offset:
        want.update(sport=upper.sport, dport=upper.dport)
    if TCP in layers and not offset:
        want.update(window=layers[TCP].window, flags=int(layers[TCP].flags) & 0xff)
    if ICMP in layers and not offset:
        want.update(type=layers[ICMP].type, code=layers[ICMP].code)
    if offset:
        want.update(frag="later", sport=-1, flags=-1, type=-1)
    have = {name: getattr(packet, name) for name in want}
    return None if have == want else f"{have}, not {want}: {frame.hex()}"


def wrong_warnings(seed):
    """Rules that never match: those of which the tool warns, and those of the model"""
    text = fw_cover.generate(seed)
    done = subprocess.run([TOOL, "check", "-f", "-"], input=text, capture_output=True, text=True,
                          check=False)
    if done.returncode:
        return done.stderr
    numbers = [number for number, line in enumerate(text.splitlines(), 1) if line[:4] != "set "]
    have = {numbers.index(int(match[1])): int(match[2]) - 1 for match in re.finditer(
        r":(\d+): this rule never matches: rule (\d+) \(line", done.stderr)}
    ruleset = fw_model.parse(text)
    for frame in fw_model.packets(seed, ruleset, 100):
        for rule in ruleset.verdict(frame).counted:
            if rule in have:
                return f"rule {rule + 1} matches {frame.hex()}\n{text}"
    want = fw_cover.covered(ruleset)
    # at most ten warnings are shown, of others, too
    if "more warnings" in done.stderr:
        want = {rule: by for rule, by in want.items() if rule in have}
    return None if have == want else f"{have}, not {want}\n{text}"


def main(count):
    """See above"""
    seeds = [FIXED_SEED, random.randrange(1 << 32)]
    tests = {f"rules, seed {seed}+{i}": (wrong_rules, f"{seed}+{i}")
             for seed in seeds for i in range(count // 2)}
    tests |= {f"rules that never match, seed {seed}+{i}": (wrong_warnings, f"{seed}+{i}")
              for seed in seeds for i in range(count // 2)}
    ruleset = fw_model.parse(fw_model.generate(seeds[1], 50))
    frames = fw_model.packets(seeds[1], ruleset, 200)
    tests[f"packets, seed {seeds[1]}"] = (
        lambda frames: next(filter(None, map(wrong_packet, frames)), None), frames)
    tests["examples of printed rules"] = (lambda none: next(wrong_examples(), none), None)
    tests["check of too many rules"] = (lambda none: wrong_too_many(), None)
    tests["services that have no port"] = (lambda none: wrong_services(), None)
    tests["the name of standard input"] = (lambda none: wrong_name(), None)
    failed = 0
    for name, (test, argument) in tests.items():
        try:
            wrong = test(argument)
        except ValueError as error:
            wrong = str(error)
        failed += wrong is not None
        print(f"FAIL {name}: {wrong}" if wrong else f"PASS {name}")
    print(f"{len(tests) - failed} passed, {failed} failed, 0 skipped")
    return failed != 0 or fw_attacks.main([TOOL])


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 12))
