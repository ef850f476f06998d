#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Longest-prefix match of BPF programs (trie.bpf.h), compared with a model in Python.

    BUILD=DIR test_trie.py [TEST...]
"""
import os
import random
import struct

from testrun import BUILD, Child, main

WIDTH = {4: 32, 6: 128}
PREFIXES = ADDRESSES = 100_000


class Table(Child):
    """The table itself, in maps, by trierun"""

    def __init__(self):
        super().__init__([os.path.join(BUILD, "trierun"), os.path.join(BUILD, "trie.bpf.o")])
        self._answer()

    def _answer(self):
        return self._read("=I")[0]

    def _do(self, request, payload=b"", arg=0):
        self._process.stdin.write(struct.pack("=III", ord(request), arg, len(payload)) + payload)
        self._process.stdin.flush()
        return self._answer()

    @staticmethod
    def _ops(changes):
        pack = struct.Struct("=QQIBBH").pack
        return b"".join(pack((bits << 128 - WIDTH[family]) >> 64,
                             bits << 128 - WIDTH[family] & (1 << 64) - 1, value, family, length, 0)
                        for (family, bits, length), value in changes)

    @staticmethod
    def _questions(addresses):
        return b"".join(struct.pack("=I", family) + bits.to_bytes(WIDTH[family] // 8, "big") +
                        bytes(16 if family == 4 else 4) for family, bits in addresses)

    def build(self, prefixes):
        """Return: bytes of the table"""
        return struct.unpack("=Q", self._do("b", self._ops(prefixes.items())))[0]

    def change(self, changes):
        """changes: (prefix, value or 0)"""
        self._do("c", self._ops(changes))

    def ask(self, addresses):
        return struct.unpack(f"={len(addresses)}I", self._do("a", self._questions(addresses)))

    def reopen(self):
        self._do("o")

    def entries(self):
        found = {}
        for high, low, value, family, length, _ in struct.iter_unpack("=QQIBBH", self._do("e")):
            found[family, (high << 64 | low) >> 128 - WIDTH[family], length] = value
        return found

    def race(self, addresses, changes):
        """Return: (index of address, changes done before, begun afterwards, value) each"""
        return struct.iter_unpack("=IIII", self._do("r", self._questions(addresses) +
                                                    self._ops(changes), len(addresses)))


class Model:
    """A dictionary for each length; prefix: (family, address, length)"""

    def __init__(self):
        self.prefixes = {}
        self._lengths = {4: {}, 6: {}}

    def change(self, prefix, value):
        family, bits, length = prefix
        table = self._lengths[family].setdefault(length, {})
        if value:
            table[bits] = self.prefixes[prefix] = value
        else:
            table.pop(bits, None)
            self.prefixes.pop(prefix, None)
            if not table:
                del self._lengths[family][length]

    def ask(self, family, bits):
        width = WIDTH[family]
        for length in sorted(self._lengths[family], reverse=True):
            value = self._lengths[family][length].get(bits >> width - length << width - length)
            if value:
                return value
        return 0


def prefix_of(family, bits, length):
    width = WIDTH[family]
    return family, bits >> width - length << width - length, length


def random_bits(draw, family):
    """Addresses as lists have them: crowded here, alone there"""
    width = WIDTH[family]
    bits = draw.getrandbits(width)
    kind = draw.randrange(4)
    if kind == 0:  # a few networks
        fixed = draw.choice((8, 16, 24)) if family == 4 else draw.choice((20, 32, 48, 64))
        net = random.Random(draw.randrange(5)).getrandbits(width)
        bits = net >> width - fixed << width - fixed | bits & (1 << width - fixed) - 1
    elif kind == 1:  # few ones
        bits &= draw.getrandbits(width) & draw.getrandbits(width)
    elif kind == 2 and family == 6:  # 2000::/3
        bits = bits >> 3 | 1 << 125
    return bits


def random_prefix(draw, family=None):
    family = family or draw.choice((4, 6))
    width = WIDTH[family]
    length = draw.choice((width, width, 24, draw.randrange(width + 1))) if family == 4 else \
        draw.choice((width, 32, 48, 56, 64, draw.randrange(width + 1)))
    return prefix_of(family, random_bits(draw, family), length)


def random_addresses(draw, prefixes, count):
    """Half of them in one of the prefixes, or right beside it"""
    prefixes = list(prefixes)
    for i in range(count):
        if not prefixes or i % 2:
            family = draw.choice((4, 6))
            yield family, random_bits(draw, family)
            continue
        family, bits, length = draw.choice(prefixes)
        host = (1 << WIDTH[family] - length) - 1
        bits |= draw.choice((0, host, draw.getrandbits(WIDTH[family]) & host))
        if length and draw.randrange(4) == 0:
            bits ^= host + 1
        yield family, bits


def wrong(table, model, addresses):
    addresses = list(addresses)
    return [f"IPv{family} {bits:#x}: {got}, not {model.ask(family, bits)}"
            for (family, bits), got in zip(addresses, table.ask(addresses))
            if got != model.ask(family, bits)]


def random_prefixes(report):
    """All built at once, then all deleted and added one by one"""
    draw = random.Random(3)
    model, value = Model(), 0
    while len(model.prefixes) < PREFIXES:
        value += 1
        model.change(random_prefix(draw), value)
    with Table() as table:
        table.build(model.prefixes)
        report.check("100,000 random prefixes, built",
                     wrong(table, model, random_addresses(draw, model.prefixes, ADDRESSES)))
        changes = []
        for prefix in draw.sample(sorted(model.prefixes), PREFIXES // 2):
            changes.append((prefix, 0))
        for _ in range(PREFIXES // 2):
            changes.append((random_prefix(draw), draw.randrange(1, 1 << 24)))
        draw.shuffle(changes)
        for prefix, new in changes:
            model.change(prefix, new)
        table.change(changes)
        table.reopen()
        report.check("and changed 100,000 times",
                     wrong(table, model, random_addresses(draw, model.prefixes, ADDRESSES)))
        report.check("its entries", "differ" if table.entries() != model.prefixes else "")
        table.change([(prefix, 0) for prefix in model.prefixes])
        report.check("all deleted", wrong(table, Model(),
                                          random_addresses(draw, model.prefixes, 1000)))
        table.change(model.prefixes.items())
        report.check("and added again",
                     wrong(table, model, random_addresses(draw, model.prefixes, ADDRESSES)))


def edges(report):
    """/0, host routes, all prefixes of one address; alone and together"""
    draw = random.Random(4)
    with Table() as table:
        for family, width in WIDTH.items():
            bits = draw.getrandbits(width)
            for lengths in ((0,), (width,), (0, width), (1,), (width - 1, width),
                            range(width + 1)):
                model = Model()
                for length in lengths:
                    model.change(prefix_of(family, bits, length), length + 1)
                addresses = [(family, bits ^ (1 << i)) for i in range(width)] + \
                    [(family, 0), (family, (1 << width) - 1), (family, bits)] + \
                    [(10 - family, 0)]
                table.build(model.prefixes)
                why = wrong(table, model, addresses)
                table.build({})
                table.change(model.prefixes.items())
                why += wrong(table, model, addresses)
                report.check(f"IPv{family}, {len(lengths)} lengths from {lengths[0]}", why)


def race_changes(draw, count):
    """Changes that concern few addresses: their prefixes come and go"""
    prefixes = []
    for family in (4, 6):
        for bits in [random_bits(draw, family) for _ in range(8)]:
            prefixes += [prefix_of(family, bits ^ draw.getrandbits(4), length)
                         for length in draw.sample(range(WIDTH[family] + 1), 12)]
    model, changes = Model(), []
    for i in range(count):
        prefix = draw.choice(prefixes)
        value = 0 if prefix in model.prefixes and draw.randrange(3) else i + 1
        model.change(prefix, value)
        changes.append((prefix, value))
    return prefixes, changes


def race(report):
    """Every answer that two CPUs got is that before the change which was under way, or after it"""
    draw = random.Random(5)
    prefixes, changes = race_changes(draw, 6000)
    addresses = list(random_addresses(draw, prefixes, 256))
    for title, ground in (("a few", {}), ("a crowd", {random_prefix(draw): 1 << 23 | i
                                                      for i in range(20000)})):
        model = Model()
        for prefix, value in ground.items():
            model.change(prefix, value)
        history = [[model.ask(*address)] for address in addresses]
        for prefix, value in changes:
            model.change(prefix, value)
            family, _, length = prefix
            for address, answers in zip(addresses, history):
                is_in = address[0] == family and prefix_of(*address, length) == prefix
                answers.append(model.ask(*address) if is_in else answers[-1])
        why, states = [], set()
        with Table() as table:
            # as often as it takes until the CPUs were there in many of the states
            for _ in range(20):
                table.build(ground)
                for question, done, begun, value in table.race(addresses, changes):
                    states.add(done)
                    if value not in history[question][done:begun + 1]:
                        why.append(f"{addresses[question]}: {value}, not one of "
                                   f"{history[question][done:begun + 1]}")
                if len(states) > 500:
                    break
            else:
                why.append(f"no race: {len(states)} states seen")
            report.check(f"two CPUs while {title} change", why)
            report.check(f"{title}, in the end", wrong(table, model, addresses))


if __name__ == "__main__":
    main([random_prefixes, edges, race])
