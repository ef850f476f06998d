#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An independent model of the firewall: rules tried one after the other, as ecbpf-fw-rules(5) says.

Written from the manual, not from the C source. What a packet is, the model of the parser tells
(reference.py). Also makes random rulesets, and packets that are at the edges of their rules.

    ruleset = parse(text)               a Ruleset; ValueError if it is none
    ruleset.verdict(frame, now)         a Verdict; now: the clock of `limit`, in jiffies
    generate(seed, rules)               text of a random ruleset, of 1 to 10,240 rules by default
    packets(seed, ruleset, count)       frames
    expect(ruleset, frames)             a Verdict each

    fw_model.py SEED [RULES]            print a random ruleset
    fw_model.py --match FILE HEX...     verdicts on frames, by the rules of FILE
"""
import fractions
import functools
import ipaddress
import itertools
import os
import random
import re
import socket
import struct
import sys
from collections import namedtuple

import reference

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")
BITS = {4: 32, 6: 128}
FAMILIES = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}
RULES_MAX = 10240
REASONS = reference.REASONS[1:]
HZ = 1000  # of the model's clock

# action: "pass", "drop"; rule: index of the one that decided, or None; counted: indices of all
# that count the packet, the one that decided included; malformed: the reason, or None
Verdict = namedtuple("Verdict", "action rule counted malformed")


# --- packets --------------------------------------------------------------------------------------

class Packet:
    """What rules look at; -1: the packet has no such field"""
    # pylint: disable=too-many-instance-attributes,too-few-public-methods
    __slots__ = ("malformed", "version", "length", "vlan", "src", "dst", "ttl", "frag", "options",
                 "proto", "tcp", "udp", "icmp", "icmp6", "sport", "dport", "window", "flags", "type",
                 "code")

    def __init__(self, frame):
        rec = reference.parse(frame)
        self.malformed = reference.REASONS[rec.reason] if rec.reason else None
        self.version, self.proto, self.length = rec.version, rec.proto, len(frame)
        self.frag = ("no", "first", "later", "no")[rec.frag]
        self.vlan = rec.vlan_tci0 % 4096 or rec.vlan_tci1 % 4096 if rec.vlan_count else -1
        self.sport = self.dport = self.window = self.flags = self.type = self.code = -1
        if not rec.version:
            return
        at = rec.l3_off
        if rec.version == 4:
            self.ttl, self.options = frame[at + 8], bool(rec.flags & reference.IP_OPTIONS)
            self.src, self.dst = struct.unpack_from("!LL", frame, at + 12)
        else:
            self.ttl, self.options = frame[at + 7], rec.ext_count > 0
            self.src = int.from_bytes(frame[at + 8:at + 24], "big")
            self.dst = int.from_bytes(frame[at + 24:at + 40], "big")
        if self.malformed:  # rules see no more of it
            return
        self.tcp, self.udp = rec.proto == TCP, rec.proto == UDP
        self.icmp = rec.version == 4 and rec.proto == ICMP
        self.icmp6 = rec.version == 6 and rec.proto == ICMP6
        if not rec.l4_off:
            return
        if self.tcp or self.udp:
            self.sport, self.dport = rec.sport, rec.dport
        if self.tcp:
            self.flags = rec.tcp_flags
            self.window, = struct.unpack_from("!H", frame, rec.l4_off + 14)
        if self.icmp or self.icmp6:
            self.type, self.code = rec.icmp_type, rec.icmp_code


# --- rules ----------------------------------------------------------------------------------------

class Values:
    """Ranges of a field; ranges: None for any"""
    def __init__(self, ranges=None, negated=False):
        self.ranges, self.negated = ranges, negated

    def test(self, field):
        """As an expression of Python"""
        if self.ranges is None:
            return None
        inside = " or ".join(f"{a} <= p.{field} <= {b}" for a, b in self.ranges)
        return f"p.{field} >= 0 and not ({inside})" if self.negated else f"({inside})"

    def test_port(self):
        """Of `port`: one of both has it; negated: neither"""
        if self.ranges is None:
            return None
        inside = " or ".join(f"{a} <= p.sport <= {b} or {a} <= p.dport <= {b}"
                             for a, b in self.ranges)
        return f"p.sport >= 0 and {'not ' if self.negated else ''}({inside})"


class Addresses:
    """Prefixes by length, of a rule or of a set; None: any"""
    def __init__(self, networks=None, negated=False, name=None):
        self.negated, self.name = negated, name
        self.families = {}  # those of one family, of a rule of both
        self.networks = networks
        self.by_length = {}
        for network in networks or ():
            self.by_length.setdefault(network.max_prefixlen - network.prefixlen, set()).add(
                int(network.network_address) >> network.max_prefixlen - network.prefixlen)

    def test(self, field):
        """As an expression of Python, where this is known by the field's name"""
        inside = f"{field}.has(p.{field})"
        if len(self.networks) <= 3:
            inside = " or ".join(f"p.{field} >> {shift} == {number}" for shift, found in
                                 self.by_length.items() for number in found) or "False"
        return f"not ({inside})" if self.negated else f"({inside})"

    def of_family(self, family):
        """Those of the prefixes; all other addresses, if they are negated"""
        if self.networks is None or family not in BITS:
            return self
        if family not in self.families:
            self.families[family] = Addresses(
                [network for network in self.networks if network.version == family], self.negated)
        return self.families[family]

    def is_test(self):
        """Are there addresses that it does not match?"""
        return self.name is not None or self.networks is not None and any(
            not any(network.prefixlen == 0 for network in self.networks
                    if network.version == family)
            for family in {network.version for network in self.networks})

    def has(self, address):
        """Is the address, a number, in one of the prefixes?"""
        return any(address >> shift in found for shift, found in self.by_length.items())


class Bucket:
    """Of `limit`: holds `burst` tokens, gains `rate` a second, evenly a jiffy; full at first"""
    def __init__(self, rate, burst):
        self.rate, self.max, self.level, self.time = rate, burst * HZ, burst * HZ, None

    def take(self, now, count):
        """All or none"""
        if self.time is not None and now > self.time:
            self.level = min(self.max, self.level + (now - self.time) * self.rate)
        self.time = now if self.time is None else max(now, self.time)
        if self.level < count * HZ:
            return False
        self.level -= count * HZ
        return True


class Rule:
    """One rule. tests: by family, functions of a Packet, made of the rule's selectors"""
    # pylint: disable=too-many-instance-attributes,too-few-public-methods
    def __init__(self):
        self.name, self.families, self.action, self.dry = None, (), "drop", False
        self.rate = self.burst = self.src_len = None
        self.is_bytes = False
        self.src = self.dst = Addresses()
        self.fields = {}    # length, vlan, ttl: Values
        self.frag, self.options = None, False
        self.malformed = None   # or a set of reasons
        self.protos = {}    # "tcp": {"sport": Values, ..., "flags": (F, M)}, ..., "proto": Values
        self.buckets = {}
        self.tests = {}

    def compile(self, sets):
        """To be called when it is complete"""
        for family in self.families or (0, 4, 6):
            self.tests[family] = self._compile(sets, family)

    def _compile(self, sets, family):
        tests, scope, addresses_tests = [], {}, []
        for name, addresses in ("src", self.src), ("dst", self.dst):
            if addresses.name is not None:
                addresses = Addresses(sets[addresses.name].networks, addresses.negated)
            addresses = addresses.of_family(family)
            if addresses.networks is not None:
                scope[name] = addresses
                addresses_tests.append(addresses.test(name))
        tests += [values.test(field) for field, values in self.fields.items()]
        if self.frag:
            tests.append("p.frag != 'no'" if self.frag == "any" else f"p.frag == '{self.frag}'")
        if self.options:
            tests.append("p.options")
        protos = ["True"] if self.malformed else []
        for proto, options in self.protos.items():
            if proto == "proto":
                protos.append(options.test("proto") or "True")
                continue
            parts = [f"p.{proto}"]
            for field, values in options.items():
                if field == "flags":
                    if values[1]:
                        parts.append(f"p.flags >= 0 and p.flags & {values[1]} == {values[0]}")
                elif field == "port":
                    parts.append(values.test_port())
                else:
                    parts.append(values.test(field))
            protos.append(" and ".join(filter(None, parts)))
        tests.append("(" + " or ".join(f"({proto})" for proto in protos) + ")")
        tests += addresses_tests
        # pylint: disable=eval-used
        return eval("lambda p: " + " and ".join(filter(None, tests)), scope)

    def above(self, packet, now):
        """Is it above the budget? Spends it if not"""
        key = None
        if self.src_len:
            key = packet.src >> BITS[packet.version] - self.src_len
        if key not in self.buckets:
            self.buckets[key] = Bucket(self.rate, self.burst)
        return not self.buckets[key].take(now, packet.length if self.is_bytes else 1)


class Ruleset:
    """Rules in order, sets by name, assertions as (sha1, action)"""
    def __init__(self):
        self.rules, self.sets, self.assertions = [], {}, []
        self.by_family, self.of_malformed = {}, []

    def complete(self):
        """When all rules are there"""
        for rule in self.rules:
            rule.compile(self.sets)
        self.by_family = {family: [(i, rule) for i, rule in enumerate(self.rules)
                                   if family in rule.families and not rule.malformed]
                          for family in BITS}
        self.of_malformed = [(i, rule) for i, rule in enumerate(self.rules) if rule.malformed]

    def verdict(self, frame, now=0):
        """What becomes of a frame"""
        packet = Packet(frame)
        counted, bad = [], packet.malformed
        if not bad and not packet.version:
            return Verdict("pass", None, counted, None)
        for i, rule in self.by_family[packet.version] if not bad else self.of_malformed:
            if bad and (bad not in rule.malformed or packet.version not in rule.tests):
                continue
            if not rule.tests[packet.version](packet):
                continue
            if rule.action == "limit":
                is_above = rule.above(packet, now)
                if rule.dry and not is_above:
                    continue
                counted.append(i)
                if rule.dry or not is_above:
                    continue
                return Verdict("drop", i, counted, bad)
            counted.append(i)
            if not rule.dry and rule.action != "count":
                return Verdict(rule.action, i, counted, bad)
        return Verdict("drop" if bad else "pass", None, counted, bad)


def expect(ruleset, frames, now=0):
    """Verdicts on frames, one after the other"""
    return [ruleset.verdict(frame, now) for frame in frames]


# --- text -----------------------------------------------------------------------------------------

TOKEN = re.compile(r'"([^"\n]*)"|([{},!@])|([^\s{},!@"]+)')
MAXIMA = dict(length=65535, vlan=4095, ttl=255, sport=65535, dport=65535, window=65535, type=255,
              code=255, proto=255, port=65535)
BEHIND = dict(length=("packet",), sport=("tcp", "udp"), dport=("tcp", "udp"), port=("tcp", "udp"),
              window=("tcp",),
              flags=("tcp",), type=("icmp", "icmp6"), code=("icmp", "icmp6"),
              **{"from": tuple(FAMILIES), "to": tuple(FAMILIES)})
UNITS = {"/s": (1, False), "pps": (1, False), "kpps": (1000, False), "Mpps": (1000000, False),
         "kbit/s": (125, True), "Mbit/s": (125000, True), "Gbit/s": (125000000, True)}
Quoted = namedtuple("Quoted", "text")


def _no_comment(line):
    """A # inside quotes does not begin one"""
    return re.sub(r'("[^"]*")|#.*', lambda match: match[1] or "", line)


class Tokens:
    """Of one line, or of several"""
    def __init__(self, text):
        self.items = [Quoted(m[1]) if m[1] is not None else m[2] or m[3]
                      for m in TOKEN.finditer(text)]

    def peek(self):
        """The next one, or ''"""
        return self.items[0] if self.items else ""

    def take(self, *wanted):
        """The next one, if it is one of these"""
        if self.items and (not wanted or self.items[0] in wanted):
            return self.items.pop(0)
        return None

    def need(self, *wanted):
        """Likewise, or an error"""
        token = self.take(*wanted)
        if token is None:
            raise ValueError(f"{self.peek()!r} instead of {wanted}")
        return token

    def list(self, take):
        """Either one element or several in braces"""
        if not self.take("{"):
            return [take()]
        found = []
        while not self.take("}"):
            if found:
                self.need(",")
            found.append(take())
        return found


def named(field, proto, word):
    """The number that a service of the protocol, or a protocol, has on this host; or ValueError"""
    try:
        return socket.getprotobyname(word) if field == "proto" else \
            socket.getservbyname(word, proto)
    except OSError as error:
        raise ValueError(f"no {field} {word!r}") from error


@functools.lru_cache(None)
def name_of(field, proto, number):
    """Or None: there is none that stands for this number alone"""
    try:
        if field == "proto":
            names = [name[len("IPPROTO_"):].lower() for name in dir(socket)
                     if name.startswith("IPPROTO_") and getattr(socket, name) == number]
            return next(name for name in names if named(field, proto, name) == number)
        name = socket.getservbyport(number, proto)
        return name if named(field, proto, name) == number else None
    except (OSError, ValueError, StopIteration):
        return None


def _take_values(tokens, field, proto=None):
    def number(text):
        if re.fullmatch(r"\d+", text):
            return int(text)
        if field not in ("proto", "sport", "dport", "port"):
            raise ValueError(f"{text!r} is no number")
        return named(field, proto, text)

    def take_range():
        text = tokens.need()
        # 1 - 2, 1- 2 and 1 -2 are the same
        if tokens.peek() and tokens.peek() != "-" and text.endswith("-"):
            text += tokens.need()
        elif isinstance(tokens.peek(), str) and re.fullmatch(r"-[^-\s]*", tokens.peek()):
            text += tokens.need()
            if text.endswith("-"):
                text += tokens.need()
        # names can have hyphens
        for match in itertools.chain([(text, text)], (
                (text[:m.start()], text[m.end():]) for m in re.finditer("-", text))):
            try:
                first, last = map(number, match)
            except ValueError:
                continue
            if not first <= last <= MAXIMA[field]:
                raise ValueError(f"{text!r} is no range of {field}")
            return first, last
        raise ValueError(f"{text!r} is no range")

    negated = bool(tokens.take("!"))
    if not negated and tokens.take("any"):
        return Values()
    ranges = tokens.list(take_range)
    if not ranges:
        raise ValueError(f"no {field} at all")
    return Values(ranges, negated)


def _take_network(tokens):
    text = tokens.need()
    while tokens.peek() and (text.endswith("/") or str(tokens.peek()).startswith("/")):
        text += tokens.need()
    return ipaddress.ip_network(text, strict=False)


def _take_addresses(tokens, families):
    negated = bool(tokens.take("!"))
    if not negated and tokens.take("any"):
        return Addresses()
    if tokens.take("@"):
        return Addresses(None, negated, tokens.need())
    networks = tokens.list(lambda: _take_network(tokens))
    if {network.version for network in networks} != set(families):
        raise ValueError("addresses are not of the rule's family")
    return Addresses(networks, negated)


def _take_flags(tokens):
    def take_set():
        names = tokens.list(tokens.need) if tokens.peek() == "{" else ()
        return sum(1 << FLAGS.index(name) for name in set(names))

    flags = mask = take_set()
    if tokens.take("mask"):
        mask = take_set()
    if flags & ~mask:
        raise ValueError("flags that are not in the mask")
    return flags, mask


def _take_limit(tokens, rule):
    match = re.fullmatch(r"([\d.]+)(.*)", tokens.need())
    factor, rule.is_bytes = UNITS[match[2] or tokens.need()]
    rate = fractions.Fraction(match[1]) * factor
    rule.rate = int(rate)
    if rule.rate != rate:
        raise ValueError(f"{match[1]} is no whole number")
    rule.burst = max(rule.rate // 10, 65535 if rule.is_bytes else 1)
    if tokens.take("burst"):
        rule.burst = int(tokens.need())
    if tokens.take("per"):
        match = re.fullmatch(r"src(?:/(\d+))?", tokens.need())
        rule.src_len = int(match[1] or 0) or -1


def _parse_rule(tokens):
    # pylint: disable=too-many-branches
    rule, group = Rule(), None
    while tokens.peek():
        word = tokens.need()
        if word in BEHIND and group not in BEHIND[word]:
            raise ValueError(f"{word!r} behind {group!r}")
        if word in FAMILIES:
            group, rule.families = word, FAMILIES[word]
        elif word == "from":
            rule.src = _take_addresses(tokens, rule.families)
        elif word == "to":
            rule.dst = _take_addresses(tokens, rule.families)
        elif word in ("tcp", "udp", "icmp", "icmp6"):
            group = word
            rule.protos[word] = {}
        elif word == "packet":
            group = word
        elif word == "proto":
            group = word
            rule.protos[word] = _take_values(tokens, word)
        elif word in ("length", "ttl", "vlan"):
            rule.fields[word] = _take_values(tokens, word)
        elif word == "flags":
            rule.protos[group][word] = _take_flags(tokens)
        elif word in BEHIND:
            rule.protos[group][word] = _take_values(tokens, word, group)
        elif word == "frag":
            rule.frag = tokens.need("first", "later", "any", "no")
        elif word == "options":
            rule.options = True
        elif word == "malformed":
            rule.malformed = set(tokens.list(lambda: tokens.need(*REASONS, "any")))
            if "any" in rule.malformed:
                rule.malformed = set(REASONS)
        elif word == "name":
            rule.name = tokens.need().text or None
        elif word == "dry":
            rule.dry = True
        elif word in ("drop", "pass", "accept", "count", "limit"):
            rule.action = "pass" if word == "accept" else word
            if word == "limit":
                _take_limit(tokens, rule)
        else:
            raise ValueError(f"{word!r} is no option")
    if not rule.malformed:
        if not rule.families:
            raise ValueError("no family")
        if not rule.protos:
            if not (rule.frag or rule.options or rule.src.is_test() or rule.dst.is_test() or
                    any(values.ranges for values in rule.fields.values())):
                raise ValueError("matches all packets")
            rule.protos["proto"] = Values()
    if rule.src_len == -1:
        rule.src_len, = ({4: 32, 6: 64}[family] for family in rule.families)
    return rule


def _parse_set(text, directory):
    match = re.match(r"\s*set\s+([\w.-]+)\s*(?:ip6?\b)?\s*", text)
    rest = text[match.end():]
    if rest.startswith("file"):
        with open(os.path.join(directory, Tokens(rest).items[1].text), encoding="ascii") as file:
            words = re.findall(r"[^\s,]+", re.sub("#.*", "", file.read()))
    else:
        words = re.findall(r"[^\s,{}]+", rest)
    return match[1], Addresses([ipaddress.ip_network(word, strict=False) for word in words])


def parse(text, directory="."):
    """A Ruleset"""
    ruleset, open_set = Ruleset(), ""
    for line in text.split("\n"):
        line = open_set + _no_comment(line)
        open_set = ""
        tokens = Tokens(line)
        if tokens.peek() == "set":
            if "{" in line and "}" not in line:
                open_set = line + " "
                continue
            name, addresses = _parse_set(line, directory)
            ruleset.sets[name] = addresses
        elif tokens.peek() == "test":
            ruleset.assertions.append((tokens.items[2].lower(), tokens.items[4]))
        elif tokens.peek():
            try:
                ruleset.rules.append(_parse_rule(tokens))
            except ValueError as error:
                raise ValueError(f"{line!r}: {error}") from error
    ruleset.complete()
    return ruleset


# --- random rulesets ------------------------------------------------------------------------------

def _network(number, length, family):
    kind = ipaddress.IPv4Network if family == 4 else ipaddress.IPv6Network
    return kind((number, length), strict=False)


class Generator:
    """Rules that overlap: what they are made of is drawn from few values"""
    def __init__(self, seed, rules=None):
        self.random = rng = random.Random(f"ruleset {seed}")
        self.count = rules or min(RULES_MAX, int(2 ** rng.uniform(0, 13.4)))
        # some count as several, of as many as there can be
        self.has_parts = self.count <= RULES_MAX // 4
        # how many rules take much: of many, all others would be dead behind them
        self.broad = rng.choice((.5, .1, .02) if self.count <= 64 else (.03, .003, 0))
        self.values = {field: self._values(maximum) for field, maximum in MAXIMA.items()}
        for proto in 0, TCP, UDP, ICMP, ICMP6, 47, 50:
            self.values["proto"].append(proto)
        # addresses: nested, so that one prefix lies in another
        self.networks = {}
        for family, bits in BITS.items():
            roots, roots_max = [rng.getrandbits(bits) for _ in range(4)], 64 + self.count // 8
            self.networks[family] = [_network(0, 0, family)]
            for _ in range(max(8, self.count // 4)):
                root, length = rng.choice(roots), rng.choice((0, 1, 8, 12, 15, 16, 17, 20, 23, 24,
                                                              25, 31, 32, 33, 47, 48, 64, 127, 128))
                flip = 1 << rng.randrange(bits) if rng.random() < .5 else 0
                network = _network(root ^ flip, min(length, bits), family)
                self.networks[family].append(network)
                if len(roots) < roots_max:
                    roots.append(root ^ flip)
        self.narrow = {family: [network for network in networks if network.prefixlen >= 15] or
                       networks[1:] for family, networks in self.networks.items()}
        self.sets = {}
        for i in range(rng.choice((0, 0, 1, 3, 8))):
            family = rng.choice((4, 6, 0))
            size = rng.choice((0, 1, 5, 100))
            self.sets[f"set-{i}.x"] = family, [
                rng.choice(self.narrow[family or rng.choice((4, 6))]) for _ in range(size)]

    def _values(self, maximum):
        rng = self.random
        common = [value for value in (0, 1, 19, 53, 60, 64, 80, 123, 128, 255, 443, 1500, 4095)
                  if value <= maximum]
        return common + [maximum, maximum - 1] + [rng.randint(0, maximum) for _ in range(12)]

    def _spelled(self, field, proto, number):
        """The number, or its name on this host"""
        if self.random.random() < .7 or not (proto or field == "proto"):
            return f"{number}"
        name = name_of(field, proto, number)
        return f"{number}" if name in (None, "ip") else name

    def _range(self, field, proto):
        rng = self.random
        first, last = sorted(rng.choices(self.values[field], k=2))
        words = [self._spelled(field, proto, number) for number in (first, last)]
        if rng.random() < .6 or first == last:
            return words[0]
        # hyphens in names
        return rng.choice((f"{first}-{last}" if "-" in words[0] + words[1] else "-".join(words),
                           " - ".join(words)))

    def _list(self, make):
        rng = self.random
        if rng.random() < .4:
            return make()
        comma = rng.choice((",", ", ", " ,\t"))
        items = comma.join(make() for _ in range(rng.choice((1, 2, 2, 3, 6))))
        return rng.choice((f"{{{items}}}", f"{{ {items} }}"))

    def _take_all(self, text, field, proto):
        """Would its negation take nothing? Some do not have to be negated"""
        values = _take_values(Tokens(text), field, proto)
        next_value = 0
        for first, last in sorted(values.ranges):
            if first > next_value:
                return False
            next_value = max(next_value, last + 1)
        return next_value > MAXIMA[field]

    def _field(self, field, chance, proto=None):
        rng = self.random
        if rng.random() > chance:
            return [f"{field} any"] if rng.random() < .05 else []
        text = self._list(lambda: self._range(field, proto))
        if rng.random() < .2 and not self._take_all(text, field, proto):
            text = "!" + text
        return [f"{field} {text}"]

    def _addresses(self, word, is_broad):
        rng, families = self.random, FAMILIES[word]
        networks = self.networks if is_broad else self.narrow
        networks = sum((networks[family] for family in families), [])
        named = [name for name, (its, _) in self.sets.items() if its == 0 or (its,) == families]
        if is_broad and rng.random() < .5:
            return "any"
        if named and rng.random() < .2:
            return rng.choice(("@", "!@", "! @") if is_broad else ("@",)) + rng.choice(named)

        def one():
            network = rng.choice(networks)
            if network.prefixlen == network.max_prefixlen and rng.random() < .5:
                return str(network.network_address)
            # bits behind the prefix do not matter
            host = int(network.network_address) | rng.getrandbits(
                network.max_prefixlen - network.prefixlen) if rng.random() < .3 else \
                int(network.network_address)
            address = type(network.network_address)(host)
            return f"{address}/{network.prefixlen}"

        text = self._list(one)
        if len(families) > 1:
            text = self._list(lambda: f"{one()}, {one()}, {one()}")
            text = text if text.startswith("{") else f"{{{text}}}"
            if len({":" in word for word in re.split("[{},]", text) if word.strip()}) < 2:
                return "any"
        if is_broad and rng.random() < .2 and not re.search(r"/0(?!\d)", text):
            text = "!" + text
        return text

    def _from_to(self, family, is_src_broad, is_dst_broad):
        """@family: a word"""
        rng, parts = self.random, []
        for word, is_broad in ("from", is_src_broad), ("to", is_dst_broad):
            addresses = self._addresses(family, is_broad)
            if addresses != "any" or rng.random() < .5:
                parts.append(f"{word} {addresses}")
        if rng.random() < .2:
            parts.reverse()
        return " ".join([family] + parts)

    def _flags(self):
        rng = self.random
        mask = rng.sample(FLAGS, rng.choice((1, 2, 3, 4, 8)))
        flags = [name for name in mask if rng.random() < .5]

        def braces(names):
            return "{" + ", ".join(names) + "}"

        if flags and rng.random() < .4:
            return f"flags {braces(flags)}"
        return f"flags {braces(flags)} mask {braces(mask)}"

    def _ports(self, chance, proto):
        if self.has_parts and self.random.random() < .2:
            return self._field("port", chance, proto)
        return self._field("sport", chance, proto) + self._field("dport", chance, proto)

    def _protos(self, family):
        """Options of protocols, and whether one takes packets without a header of its own"""
        rng = self.random
        chance = rng.choice((0, .3, .6))
        ports = {name: self._ports(chance, name) for name in ("tcp", "udp")}
        icmp = {"ip": "icmp", "ip6": "icmp6", "inet": "both"}[family]
        options = {
            "tcp": ports["tcp"] + self._field("window", chance / 2) +
            ([self._flags()] if rng.random() < chance else []),
            "udp": ports["udp"],
        }
        for kind in "icmp", "icmp6":
            options[kind] = self._field("type", chance) + self._field("code", chance / 2)
        kinds = rng.choice((("tcp",), ("tcp",), ("udp",), ("udp",), (icmp,), ("tcp", "udp"),
                            ("tcp", "udp", icmp), ("proto",), ("proto", "tcp")))
        parts, takes_later = [], False
        kinds = sum((("icmp", "icmp6") if kind == "both" else (kind,) for kind in kinds), ())
        for kind in kinds:
            if kind == "proto":
                if len(kinds) > 1:
                    parts.append(["proto 47"])
                else:
                    parts.append(self._field("proto", 1) if rng.random() < .9 else
                                 [rng.choice(("proto any", ""))])
                takes_later = True
                continue
            rng.shuffle(options[kind])
            takes_later |= all(option.endswith(" any") for option in options[kind])
            parts.append([kind] + options[kind])
        return [" ".join(part) for part in parts], takes_later

    def _limit(self, family):
        """One that takes all, or nothing, at any time: tests need not know the kernel's clock"""
        rng = self.random
        rate = rng.choice(("1000Mpps", "1000000 kpps", "1000000000/s", "1 Mbit/s burst 1",
                           "1000000Mbit/s", "999.999Gbit/s", "1000 Gbit/s", "0.9Gbit/s burst 1",
                           "64kbit/s burst 1", "999.5 Mpps"))
        per = rng.choice(("", "", " per src",
                          f" per src/{rng.randint(1, BITS[FAMILIES[family][0]])}"))
        if family == "inet":
            per = ""
        return f"limit {rate}{per}"

    def malformed(self):
        """Text of a rule for malformed packets"""
        rng = self.random
        parts = ["malformed " + (rng.choice(("any", rng.choice(REASONS))) if rng.random() < .5 else
                                 f"{{{', '.join(rng.sample(REASONS, rng.randint(1, 6)))}}}")]
        family = rng.choice((None, None, "ip", "ip6", "inet" if self.has_parts else "ip"))
        if family:
            parts.append(self._from_to(family, rng.random() < .7, True))
        parts += [f"packet {field}" for field in self._field("length", .1)] + self._field("vlan", .1)
        rng.shuffle(parts)
        limit = self._limit(family) if family else "limit 1000Mpps"
        return " ".join(parts + [rng.choice(("drop", "pass", "count", "dry drop", limit))])

    def rule(self):
        """Text of one"""
        rng = self.random
        if rng.random() < .05:
            return self.malformed()
        family = rng.choice(("ip", "ip", "ip", "ip6", "ip6", "inet" if self.has_parts else "ip"))
        protos, takes_later = self._protos(family)
        length = self._field("length", .15)
        parts = protos + [f"packet {length[0]}"] if length else protos + ["packet"] * (
            rng.random() < .05)
        is_broad = [rng.random() < self.broad, True]
        rng.shuffle(is_broad)
        parts.append(self._from_to(family, *is_broad))
        parts += self._field("ttl", .15) + self._field("vlan", .1)
        if rng.random() < .15:
            kinds = ("first", "any", "no", "later") if takes_later else ("first", "any", "no")
            parts.append(f"frag {rng.choice(kinds)}")
        parts += ["options"] * (rng.random() < .08)
        if rng.random() < .2:
            parts.append(f'name "rule # {rng.randrange(self.count)}"')
        rng.shuffle(parts)
        action = rng.choice(("", "", "drop", "pass", "accept", "count", self._limit(family)))
        if rng.random() < .15:
            action = f"dry {action}".strip()
        if action:
            parts.insert(rng.choice((0, len(parts))), action)
        if "" in protos:
            try:
                _parse_rule(Tokens(" ".join(parts)))
            except ValueError:  # it selects nothing
                parts.append("proto any")
        return rng.choice((" ", "  ", "\t")).join(parts)

    def text(self):
        """All of it"""
        rng = self.random
        lines = []
        for name, (family, networks) in self.sets.items():
            comma = rng.choice((", ", "\n\t", ",\n"))
            lines.append(f"set {name} {({4: 'ip ', 6: 'ip6 ', 0: ''})[family]}"
                         f"{{ {comma.join(map(str, networks))} }}")
        at = rng.choice((0, self.count))
        rules = [self.rule() for _ in range(self.count)]
        lines = rules[:at] + lines + rules[at:]
        for _ in range(len(lines) // 8):
            lines.insert(rng.randrange(len(lines) + 1) if not lines[0].startswith("set") else
                         len(lines), rng.choice(("", "# comment", "  \t")))
        return "\n".join(lines) + rng.choice(("", "\n"))


def generate(seed, rules=None):
    """Text of a random ruleset"""
    return Generator(seed, rules).text()


# --- packets at the edges of rules ----------------------------------------------------------------

def _checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Frames:
    """Frames that a rule takes, or nearly"""
    def __init__(self, seed, ruleset):
        self.random, self.ruleset = random.Random(f"frames {seed}"), ruleset

    def _value(self, values, maximum, bits):
        rng = self.random
        if not values or values.ranges is None or rng.random() < .05:
            return rng.getrandbits(bits)
        first, last = rng.choice(values.ranges)
        edges = (first, last, first, last, rng.randint(first, last), first - 1, last + 1)
        return min(max(rng.choice(edges), 0), maximum)

    def _address(self, addresses, family):
        rng, bits = self.random, BITS[family]
        if addresses.name is not None:
            addresses = self.ruleset.sets[addresses.name]
        if not addresses.networks or rng.random() < .05:
            return rng.getrandbits(bits)
        networks = [network for network in addresses.networks if network.version == family]
        if not networks:
            return rng.getrandbits(bits)
        network = rng.choice(networks)
        first, last = int(network.network_address), int(network.broadcast_address)
        edges = (first, last, rng.randint(first, last), rng.randint(first, last), first - 1,
                 last + 1)
        return rng.choice(edges) % (1 << bits)

    def _upper(self, rule):
        """Protocol, its header, and what the packet may not be short of"""
        rng, fields = self.random, None
        proto, options = rng.choice(list(rule.protos.items())) if rule and rule.protos else \
            (rng.choice(("tcp", "udp", "icmp", "icmp6", "proto")), {})
        if proto == "proto":
            number = self._value(options or None, 255, 8)
            fields, options = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMP6: "icmp6"}.get(number), {}
            proto = fields or proto
        if proto in ("tcp", "udp"):
            ports = [self._value(options.get(field), 65535, 16) for field in ("sport", "dport")]
            if "port" in options:
                for i in rng.choice(((0,), (1,), (0, 1))):
                    ports[i] = self._value(options["port"], 65535, 16)
        if proto == "tcp":
            flags, mask = options.get("flags", (0, 0))
            flags |= rng.getrandbits(8) & ~mask
            if rng.random() < .1:
                flags ^= 1 << rng.randrange(8)
            return TCP, struct.pack("!HHLLBBHHH", *ports, 1, 2, 0x50, flags,
                                    self._value(options.get("window"), 65535, 16), 0, 0)
        if proto == "udp":
            return UDP, struct.pack("!HHHH", *ports, 8, 0)
        if proto in ("icmp", "icmp6"):
            return ICMP if proto == "icmp" else ICMP6, struct.pack(
                "!BBHL", self._value(options.get("type"), 255, 8),
                self._value(options.get("code"), 255, 8), 0, 0)
        if not (rule and rule.protos):
            number = rng.choice((47, 50, 132))
        return number, rng.getrandbits(64).to_bytes(8, "big")

    def _fragment(self, rule):
        """Offset in units of 8 bytes, more to come?, a fragment header even so?"""
        rng = self.random
        kind = rule.frag if rule and rule.frag else "no"
        if rng.random() < .1:
            kind = rng.choice(("no", "first", "later"))
        if kind == "any":
            kind = rng.choice(("first", "later"))
        return {"no": (0, 0, rng.random() < .05), "first": (0, 1, True),
                "later": (rng.choice((1, 185, 8191)), rng.randrange(2), True)}[kind]

    def _options(self, family):
        """IPv4: the options; IPv6: which extension headers"""
        if family == 4:
            return b"\x94\x04\0\0" * self.random.choice((1, 10))
        return self.random.choice(((0,), (60,), (0, 60), (43,)))

    @staticmethod
    def _ip4(addresses, ttl, proto, options, fragment, upper):
        header = struct.pack("!BBHHHBBHLL", 0x45 + len(options) // 4, 0,
                             20 + len(options) + len(upper), 7,
                             fragment[1] << 13 | fragment[0], ttl, proto, 0, *addresses) + options
        return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + upper

    @staticmethod
    def _ip6(addresses, ttl, proto, options, fragment, upper):
        extensions, data = options + (44,) * fragment[2], b""
        for i, kind in enumerate(extensions):
            following = extensions[i + 1] if i + 1 < len(extensions) else proto
            data += struct.pack("!BBHL", following, 0, fragment[0] << 3 | fragment[1], 9) \
                if kind == 44 else bytes((following, 0, 1, 4, 0, 0, 0, 0))
        return struct.pack("!LHBB", 6 << 28, len(data) + len(upper),
                           extensions[0] if extensions else proto, ttl) + \
            b"".join(address.to_bytes(16, "big") for address in addresses) + data + upper

    def frame(self):
        """One, made for a rule that is drawn, or for none"""
        rng = self.random
        rule = rng.choice(self.ruleset.rules) if self.ruleset.rules and rng.random() < .95 else None
        is_broken = rule and rule.malformed
        family = rng.choice(rule.families if rule and rule.families else (4, 6))
        if rng.random() < .03:
            family = 10 - family
        is_its_own = rule and family in rule.families
        addresses = [self._address(spec, family) for spec in (
            (rule.src, rule.dst) if is_its_own else (Addresses(), Addresses()))]
        fields = rule.fields if rule else {}
        proto, upper = self._upper(rule)
        fragment = self._fragment(rule)
        options = b"" if family == 4 else ()
        if rule.options if rule and rng.random() < .9 else rng.random() < .1:
            options = self._options(family)
        ttl = self._value(fields.get("ttl"), 255, 8)
        vlan = fields.get("vlan")
        tags = rng.choice((1, 1, 2)) if vlan and vlan.ranges and rng.random() < .9 else \
            rng.choice((0,) * 9 + (1,))
        at = tags > 1 and rng.random() < .3 # a priority tag before the one that counts
        link = b"\2\0\0\0\0\2\2\0\0\0\0\1" + b"".join(
            struct.pack("!HH", 0x88a8 if i < tags - 1 else 0x8100,
                        rng.getrandbits(4) << 12 |
                        (self._value(vlan if i == at else None, 4095, 12) if i >= at else 0))
            for i in range(tags)) + struct.pack("!H", 0x0800 if family == 4 else 0x86dd)
        upper += bytes(rng.choice((0, 0, 1, 10, 26)))
        make = self._ip4 if family == 4 else self._ip6
        frame = link + make(addresses, ttl, proto, options, fragment, upper)
        if fields.get("length") and fields["length"].ranges:
            wanted = min(self._value(fields["length"], 65535, 11), 9000)
            upper += bytes(max(0, wanted - len(frame)))
            frame = link + make(addresses, ttl, proto, options, fragment, upper)
        elif is_broken or rng.random() < .02:
            return self._broken(frame)
        return frame + bytes(max(0, 60 - len(frame))) if rng.random() < .5 else frame

    def _broken(self, frame):
        """A frame that is cut, or has a byte changed, behind its EtherType"""
        rng = self.random
        if rng.random() < .5:
            return frame[:rng.randrange(14, len(frame))]
        at = rng.randrange(12, len(frame))
        return frame[:at] + bytes((rng.getrandbits(8),)) + frame[at + 1:]


def packets(seed, ruleset, count):
    """Frames, of 14 to some 9,000 bytes"""
    frames = Frames(seed, ruleset)
    return [frames.frame() for _ in range(count)]


def main(arguments):
    """See above"""
    if arguments[:1] == ["--match"]:
        with open(arguments[1], encoding="utf-8") as file:
            ruleset = parse(file.read(), os.path.dirname(arguments[1]))
        for text in itertools.islice(arguments, 2, None):
            print(ruleset.verdict(bytes.fromhex(text)))
    elif arguments:
        print(generate(arguments[0], int(arguments[1]) if arguments[1:] else None), end="")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
