# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Which rules an earlier one leaves nothing for, by trying values at the edges of both.

    covered(ruleset)    {index: index of the first rule that covers it alone}; a Ruleset of
                        fw_model, with one set at most
    generate(seed)      text of a few rules that often cover each other

Packets are told apart by protocol, kind of fragment, and whether there are IP options or extension
headers. Of packets of one kind, a rule tests each field by itself: if a rule does not cover another
one, a packet shows it that differs from any packet of the other one in a single field.
"""
import random

import fw_model

EXTENSIONS = (0, 43, 44, 51, 60)
UPPER = {6: 20, 17: 8}
FIELDS = {"tcp": ("window",), "icmp": ("type", "code"), "icmp6": ("type", "code")}


def _has(values, value):
    """Has a Values, or None, this value? -1: the packet has no such field"""
    if values is None or values.ranges is None:
        return True
    return value >= 0 and any(a <= value <= b for a, b in values.ranges) != values.negated


def _has_address(addresses, address, is_in_set):
    """A set can change: it may have any address, or not"""
    if addresses.name is not None:
        return is_in_set != addresses.negated
    if addresses.networks is None:
        return True
    return addresses.has(address) != addresses.negated


def _edges(maximum, *all_values):
    """Values at the edges of Values"""
    found = {0, maximum}
    for values in all_values:
        for first, last in (values.ranges if values is not None and values.ranges else ()):
            found |= {first - 1, first, last, last + 1}
    return {value for value in found if 0 <= value <= maximum}


def _address_edges(family, *all_addresses):
    last = (1 << fw_model.BITS[family]) - 1
    found = {0, last}
    for addresses in all_addresses:
        for network in addresses.networks or ():
            a, b = int(network.network_address), int(network.broadcast_address)
            found |= {a - 1, a, b, b + 1}
    return {address for address in found if 0 <= address <= last}


NAMES = {(4, 6): "tcp", (6, 6): "tcp", (4, 17): "udp", (6, 17): "udp", (4, 1): "icmp",
         (6, 58): "icmp6"}


def _part(rule, family, proto):
    """Name of the rule's part for the protocol, or None"""
    name = NAMES.get((family, proto))
    if name in rule.protos:
        return name
    if "proto" in rule.protos and _has(rule.protos["proto"], proto):
        return "proto"
    return None


def _frag_has(rule, kind):
    return rule.frag in (None, kind) or (rule.frag == "any" and kind != "no")


def _is_kind(family, proto, kind, options):
    """Are there such packets?"""
    if family == 4:
        return True
    return (options or kind == "no") and (kind == "later" or proto not in EXTENSIONS)


def _least(family, proto, kind, options):
    """Bytes of the shortest frame"""
    upper = 0 if kind == "later" else UPPER.get(proto, 0)
    if proto == {4: 1, 6: 58}[family] and kind != "later":
        upper = 8
    return 14 + (20 if family == 4 else 40) + options * (4 if family == 4 else 8) + upper


def _addresses(rule, side, family):
    addresses = getattr(rule, side)
    return addresses if addresses.name is not None else addresses.of_family(family)


def _common(inner, outer, family, least):
    """Fields that also malformed packets have"""
    lengths, vlans = ([rule.fields.get(name) for rule in (inner, outer)]
                      for name in ("length", "vlan"))
    yield "length, vlan", [
        (_has(lengths[0], length if length < 65536 else -1) and _has(vlans[0], vlan),
         _has(lengths[1], length if length < 65536 else -1) and _has(vlans[1], vlan))
        for vlan in _edges(4095, *vlans) | {-1}
        for length in _edges(65535, *lengths) | {least, least + 4, 70000}
        if length >= least + 4 * (vlan >= 0)]
    for side in ("src", "dst") if family else ():
        both = [_addresses(rule, side, family) for rule in (inner, outer)]
        yield side, [tuple(_has_address(addresses, address, is_in_set) for addresses in both)
                     for address in _address_edges(family, *both) for is_in_set in (False, True)]


def _has_ports(part, source, dest):
    port = part.get("port")
    if port is None or port.ranges is None:
        return _has(part.get("sport"), source) and _has(part.get("dport"), dest)
    one = any(a <= value <= b for a, b in port.ranges for value in (source, dest))
    return source >= 0 and one != port.negated


def _upper(inner, outer, family, proto, is_later):
    """Fields of the header above IP"""
    name = NAMES.get((family, proto))
    parts = [rule.protos.get(name, {}) if _part(rule, family, proto) == name else {}
             for rule in (inner, outer)]
    for field in FIELDS.get(name, ()):
        both = [part.get(field) for part in parts]
        values = {-1} if is_later else _edges(fw_model.MAXIMA[field], *both)
        yield field, [tuple(_has(one, value) for one in both) for value in values]
    ports = [part.get(field) for part in parts for field in ("sport", "dport", "port")]
    values = {-1} if is_later else _edges(65535, *ports)
    yield "ports", [tuple(_has_ports(part, source, dest) for part in parts)
                    for source in values for dest in values]
    both = [part.get("flags", (0, 0)) for part in parts]
    yield "flags", [tuple(not mask or (not is_later and value & mask == flags)
                          for flags, mask in both) for value in range(256)]


def _dimensions(inner, outer, family, proto, kind, options):
    """Of packets of one kind: for each field, pairs of whether both rules have a value"""
    yield "kind", [(_frag_has(inner, kind) and (options or not inner.options),
                    family in outer.families and _part(outer, family, proto) is not None and
                    _frag_has(outer, kind) and (options or not outer.options))]
    ttls = [rule.fields.get("ttl") for rule in (inner, outer)]
    yield "ttl", [tuple(_has(ttl, value) for ttl in ttls) for value in _edges(255, *ttls)]
    yield from _common(inner, outer, family, _least(family, proto, kind, options))
    yield from _upper(inner, outer, family, proto, kind == "later")


def _well_formed(inner, outer):
    """The dimensions of each kind of packets that the inner one may match"""
    for family in inner.families:
        for proto in range(256):
            if _part(inner, family, proto) is None:
                continue
            for kind in "no", "first", "later":
                for options in False, True:
                    if _is_kind(family, proto, kind, options):
                        yield dict(_dimensions(inner, outer, family, proto, kind, options))


# versions that malformed packets may have: of others none
VERSIONS = {**{name: (4,) for name in ("ip-ihl", "ip-length-short", "ip-length-long")},
            **{name: (6,) for name in ("ip6-length-long", "ip6-jumbogram", "ip6-ext-truncated",
                                       "ip6-ext-limit")},
            **{name: (4, 6) for name in ("tcp-truncated", "tcp-doff", "udp-truncated",
                                         "icmp-truncated")}, "ip-truncated": (0, 4)}


def _malformed(inner, outer):
    """Likewise, of those that are malformed; runts are left out: XDP sees none"""
    for reason in sorted(inner.malformed - {"runt"}):
        for version in VERSIONS.get(reason, (0,)):
            if inner.families and version not in inner.families:
                continue
            yield {"reason": [(True, reason in outer.malformed and (
                not outer.families or version in outer.families))],
                   **dict(_common(inner, outer, version, {0: 14, 4: 34, 6: 54}[version]))}


def covers(outer, inner):
    """Does it match all packets that the inner one matches? None: no packet matches that"""
    has_any = False
    if bool(inner.malformed) != bool(outer.malformed):
        return False
    for fields in _malformed(inner, outer) if inner.malformed else _well_formed(inner, outer):
        if not all(any(mine for mine, _ in pairs) for pairs in fields.values()):
            continue
        has_any = True
        if any(mine and not its for pairs in fields.values() for mine, its in pairs):
            return False
    return True if has_any else None


def covered(ruleset):
    """See above"""
    found = {}
    for i, rule in enumerate(ruleset.rules):
        for k, earlier in enumerate(ruleset.rules[:i]):
            if not earlier.dry and earlier.action in ("drop", "pass") and covers(earlier, rule):
                found[i] = k
                break
    return found


class _Few:
    """Rules of few words"""
    ADDRESSES = {
        4: ("any", "any", "10.0.0.0/8", "10.0.0.0/9", "{10.0.0.0/9, 10.128.0.0/9}", "!10.0.0.0/8",
            "{0.0.0.0/1, 128.0.0.0/1}", "!{10.0.0.0/9, 192.0.2.1}", "10.1.2.3", "@s", "!@s",
            "{10.1.0.0/16, 11.0.0.0/8}"),
        6: ("any", "any", "2001:db8::/32", "2001:db8:1::/48", "!2001:db8::/32", "2001:db8:1::7",
            "{2001:db8::/33, 2001:db8:8000::/33}", "{::/1, 8000::/1}", "@s", "!@s"),
        10: ("any", "any", "@s", "!@s", "{10.0.0.0/8, 2001:db8::/32}", "!{10.0.0.0/8, 2001:db8::/32}",
             "{10.0.0.0/9, 10.128.0.0/9, ::/0}", "{0.0.0.0/0, 2001:db8:1::/48}")}
    REASONS = ("any", "ip-ihl", "{ip-ihl, ip-length-long}", "ip-truncated", "tcp-doff",
               "{vlan-tags, ip6-jumbogram}", "{tcp-doff, ip6-length-long}", "ip6-truncated")
    PORTS = ("any", "any", "80", "80-90", "{80, 443}", "0-65535", "!80", "0", "{0-79, 81-65535}")

    def __init__(self, seed):
        self.random = random.Random(f"few {seed}")

    def _some(self, chance, *words):
        return [self.random.choice(words)] if self.random.random() < chance else []

    def _proto(self, kind):
        if kind == "proto":
            return self.random.choice(("proto any", "proto 47", "proto {0-5, 7-255}", "proto 44",
                                       "proto 0-255"))
        words, rng = [kind], self.random
        if kind in ("tcp", "udp") and rng.random() < .2:
            words += [f"port {rng.choice(self.PORTS)}"]
        elif kind in ("tcp", "udp"):
            words += [f"dport {rng.choice(self.PORTS)}"] * (rng.random() < .7)
            words += [f"sport {rng.choice(self.PORTS)}"] * (rng.random() < .2)
        else:
            words += self._some(.5, "type 8", "type 0-255", "type {0, 8}", "type !8", "code 0")
        if kind == "tcp":
            words += self._some(.3, "flags {syn}", "flags {syn} mask {syn, ack}",
                                "flags {syn} mask {syn, ack, rst}", "window 0-65535",
                                "flags mask {syn}")
        return " ".join(words)

    def _ends(self):
        return self._some(.1, "vlan 0-4095", "vlan 7", "vlan !7") + \
            self._some(.15, "packet length 0-65535", "packet length 54-65535",
                       "packet length 42-65535", "packet length 0-41", "packet length 60-100",
                       "packet length 0-100", "packet length !60", "packet length 38-60",
                       "packet length 34-100") + \
            self._some(.3, "pass", "count", "dry drop", "limit 1/s")

    def rule(self):
        """One"""
        rng = self.random
        family = rng.choice((4, 4, 6, 10))
        kinds = {"icmp": {4: ("icmp",), 6: ("icmp6",), 10: ("icmp", "icmp6")}[family]}
        names = rng.choice((("tcp",), ("udp",), ("tcp", "udp"), ("icmp",), ("tcp", "udp", "icmp"),
                            ("proto",), ("proto",)))
        words = [{4: "ip", 6: "ip6", 10: "inet"}[family], "from",
                 rng.choice(self.ADDRESSES[family]), "to",
                 rng.choice(self.ADDRESSES[family]) if rng.random() < .3 else "any"]
        if rng.random() < .1:
            return " ".join([f"malformed {rng.choice(self.REASONS)}"] + words *
                            (rng.random() < .6) + self._ends())
        words += [self._proto(kind) for name in names for kind in kinds.get(name, (name,))]
        words += self._some(.15, "ttl 0-255", "ttl 1", "ttl !1", "ttl {0-1, 2-255}")
        words += self._some(.15, "frag no", "frag any", "frag first")
        words += self._some(.1, "options")
        return " ".join(words + self._ends())


def generate(seed, rules=10):
    """See above"""
    few = _Few(seed)
    return "set s { 192.0.2.1, 2001:db8::1 }\n" + "\n".join(few.rule() for _ in range(rules)) + "\n"
