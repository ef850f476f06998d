#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Token buckets: exact at any rate, for packets and bytes, and with CPUs that take at once; those
of which CPUs take ahead never give more; one for each key, which nobody else's packets can touch
while there is room.

    BUILD=DIR test_bucket.py [TEST...]
"""
import os
import random
import struct
import sys
from fractions import Fraction

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from testrun import DROP, PASS, REDIRECT, TX, TestRun, main

PROGRAM = "bucket:bucket_take"
AHEAD_PROGRAM = "bucket:bucket_take_ahead" # an eighth of the bucket
KEY_PROGRAM = "bucket:bucket_take_key"
GROUPS, WAYS = 4096, 16


class Bucket:
    """The model: tokens are fractions, time is in seconds"""

    def __init__(self, rate, burst):
        self.rate, self.burst, self.level, self.time = Fraction(rate), burst, None, None

    def take(self, count, now):
        """Whether there are `count` tokens at the time `now`, seconds"""
        if self.time is None:
            self.level, self.time = Fraction(self.burst), now
        if now > self.time:
            self.level = min(self.level + (now - self.time) * self.rate, Fraction(self.burst))
            self.time = now
        if self.level < count:
            return False
        self.level -= count
        return True


    def is_full(self, now):
        """Whether it holds at the time `now` what a new one would"""
        elapsed = max(Fraction(0), now - self.time)
        return self.level + elapsed * self.rate >= self.burst


class Group:
    """The model of a group: buckets by key, those that are not full; and the one for all others"""

    def __init__(self, rate, burst):
        self.rate, self.burst, self.own, self.shared = rate, burst, {}, Bucket(rate, burst)

    def take(self, key, count, now):
        """Return: verdict"""
        self.own = {k: bucket for k, bucket in self.own.items() if not bucket.is_full(now)}
        if key not in self.own and len(self.own) == WAYS:
            return TX if self.shared.take(count, now) else REDIRECT
        bucket = self.own.setdefault(key, Bucket(self.rate, self.burst))
        return PASS if bucket.take(count, now) else DROP


class Table:
    """As the firewall's limits choose group and tag: see ecbpf_bucket_hash()"""

    def __init__(self, rng):
        self.secret = [rng.getrandbits(64) for _ in range(5)]

    def order(self, key, now, count=1):
        """The packet to run for a key (high, low)"""
        words = [word >> shift & 0xffffffff for word in key for shift in (0, 32)]
        a = [secret + word for secret, word in zip(self.secret, words)]
        mixed = (self.secret[4] + a[0] * a[1] + a[2] * a[3]) >> 32 & 0xffffffff
        return key_order(mixed * GROUPS >> 32, mixed & 0xffff, key, now, count)


def key_order(group, tag, key, now, count):
    return struct.pack("=12xIQQQQI4x", tag, *key, now, count, group)


def units(rate, burst, hz):
    """struct ecbpf_rate; see ecbpf_rate_burst()"""
    return struct.pack("=QQQQ", rate, hz, burst * hz, -(-burst * hz // rate))


def order(bucket, now, count):
    return struct.pack("=12xIQQ", bucket, now, count)


def test_rates(report):
    """Every answer as the model's: rates from 1 to 10^9 a second, packets and bytes"""
    rng = random.Random(7)
    with TestRun(PROGRAM) as programs:
        bucket = 0
        for hz in (100, 250, 300, 1000):
            for rate in (1, 3, 20, 999, 10 ** 4, 1234567, 10 ** 9):
                for burst, most in ((1, 1), (7, 3), (rate // 10 + 1, 2), (10 ** 9, 10 ** 9),
                                    (65536, 1514)):
                    model, why, bucket = Bucket(rate, burst), [], bucket + 1
                    programs.write("rate", units(rate, burst, hz))
                    now = 2 ** 32 - 300 * hz  # the kernel's first one
                    results = set()
                    for _ in range(60):
                        now += rng.choice((0, 0, 0, 1, 1, 2, -1, hz // 10, hz, hz * 3600,
                                           max(1, hz * burst // rate)))
                        count = rng.randint(1, most)
                        want = model.take(count, Fraction(now, hz))
                        found, _ = programs.run(order(bucket, now, count))
                        results.add(want)
                        if found != (PASS if want else DROP):
                            why.append(f"{count} at {now}: verdict {found}, model says {want}")
                    report.check(f"bucket: HZ {hz}, {rate}/s, burst {burst}, up to {most} at once",
                                 why)


def drained(report, program, name):
    """Several CPUs take at once: exactly what is in the bucket is given out"""
    with TestRun(program) as programs:
        capacity, now = 2000000, 2 ** 32
        programs.write("rate", units(1, capacity, 250))
        runs, _ = programs.flood(order(1, now, 1), 1500, repeat=5000)
        found = programs.read_sums("granted")[0]
        why = found != capacity and f"{found} of {capacity} given out, in {runs} runs"
        if runs <= capacity:
            why = f"{runs} runs are too few to tell"
        report.check(f"{name}: one jiffy, all CPUs", why)


def test_concurrent(report):
    """Several CPUs, one bucket"""
    drained(report, PROGRAM, "bucket")


def takes_ahead(programs, rng, bucket, rate, burst, most, hz):
    """One bucket, on CPUs in any order. Return: what is wrong, answers that were seen"""
    cpus = os.cpu_count()
    # what was given must be in a bucket of this size, and of the other one there was too little
    upper = Bucket(rate, burst)
    lower = Bucket(rate, burst - Fraction(burst * (2 * cpus - 1), 8))
    now, why, seen = 2 ** 32 - 300 * hz, [], set()
    for _ in range(400):
        os.sched_setaffinity(programs.pid, {rng.randrange(cpus)})
        now += rng.choice((0, 0, 0, 0, 0, 1, 1, -1, max(1, hz * burst // rate // 8), hz))
        count = rng.randint(1, most)
        given = programs.run(order(bucket, now, count))[0] == PASS
        seen.add(given)
        is_there = lower.take(count, Fraction(now, hz))
        if given and not upper.take(count, Fraction(now, hz)):
            why.append(f"{count} at {now}: more than there is")
        if given and not is_there:
            lower.level -= count
        if not given and is_there:
            why.append(f"{count} at {now}: refused, though there is more")
            break
    return why, seen


def test_ahead(report):
    """CPUs that take ahead: never more than the bucket has, and not less than what is with others"""
    rng = random.Random(11)
    with TestRun(AHEAD_PROGRAM) as programs:
        bucket, seen = 0, set()
        for hz in (100, 250, 1000):
            for rate, burst, most in ((1, 16, 1), (40, 64, 1), (1000, 100, 7), (10 ** 6, 800, 30),
                                      (125000, 65536, 9000)):
                bucket += 1
                programs.write("rate", units(rate, burst, hz))
                why, found = takes_ahead(programs, rng, bucket, rate, burst, most, hz)
                seen |= found
                report.check(f"ahead: HZ {hz}, {rate}/s, burst {burst}, up to {most} at once", why)
        report.check("ahead: both answers were seen", len(seen) < 2 and f"only {seen}")


def test_ahead_owner(report):
    """A bucket that is made anew: what was taken ahead from the old one is not used"""
    with TestRun(AHEAD_PROGRAM, cpu=0) as programs:
        now = 2 ** 32
        programs.write("rate", units(1, 80, 250))
        why = [i for i in range(80) if programs.run(order(5, now, 1))[0] != PASS]
        report.check("ahead: all of a bucket, one CPU", why)
        report.check("ahead: and no more", programs.run(order(5, now, 1))[0] != DROP and "it does")
        programs.write("rate", units(1, 8, 250))
        cpus = len(programs.read("stocks", key=6)) // 24
        programs.write("stocks", struct.pack("=QQQ", 99 * 250, 99 * 250, 77) * cpus, key=6)
        given = sum(programs.run(order(6, now, 1))[0] == PASS for _ in range(100))
        report.check("ahead: a stock of another owner", given != 8 and f"{given} of 8 given out")


def test_ahead_concurrent(report):
    """Several CPUs, which take ahead"""
    drained(report, AHEAD_PROGRAM, "ahead")


def test_keys(report):
    """Groups with fewer and more keys than ways: every answer as the model's"""
    rng = random.Random(8)
    with TestRun(KEY_PROGRAM) as programs:
        group, seen = 0, set()
        for hz in (100, 250, 1000):
            for rate, burst, most in ((5, 5, 1), (1, 1, 1), (1000, 100, 1), (125000, 65535, 1514),
                                      (10 ** 9, 10, 11)):
                for keys in (3, 16, 17, 24, 200):
                    model, why, group = Group(rate, burst), [], group + 1
                    programs.write("rate", units(rate, burst, hz))
                    now = 2 ** 32 - 300 * hz
                    for _ in range(600):
                        now += rng.choice((0, 0, 0, 0, 0, 0, 1, 1, hz * burst // rate // 4,
                                           hz * burst // rate // 2))
                        key = (rng.randrange(keys), 7)
                        count = rng.randint(1, most)
                        # keys of one tag: told apart by themselves only
                        tag = key[0] * 40503 & 0xffff if key[0] % 3 else 9
                        want = model.take(key, count, Fraction(now, hz))
                        found = programs.run(key_order(group, tag, key, now, count))[0]
                        seen.add(found)
                        if found != want:
                            why.append(f"key {key} {count} at {now}: verdict {found}, "
                                       f"model says {want}")
                    report.check(f"keys: HZ {hz}, {rate}/s, burst {burst}, {keys} keys", why)
        report.check("keys: every verdict was seen",
                     seen != {PASS, DROP, TX, REDIRECT} and f"only {seen}")


def test_keys_late_clock(report):
    """A CPU that has read the clock before another one takes no bucket that is in use"""
    with TestRun(KEY_PROGRAM) as programs:
        programs.write("rate", units(5, 5, 250))
        now, why = 2 ** 32, []
        for key, count, at, want in [((way, 1), 5, now, PASS) for way in range(WAYS)] + [
                ((99, 1), 5, now - 1, TX), ((3, 1), 1, now - 1, DROP),
                ((99, 1), 1, now - 1, REDIRECT), ((98, 1), 1, now + 249, TX),
                ((98, 1), 1, now + 250, PASS)]:
            found = programs.run(key_order(0, 1, key, at, count))[0]
            if found != want:
                why.append(f"key {key} {count} at {at - now}: verdict {found}, not {want}")
        report.check("keys: a clock that is late", why)


def test_key_words(report):
    """Keys that differ in one bit, with one tag, are different ones"""
    with TestRun(KEY_PROGRAM) as programs:
        programs.write("rate", units(1, 1, 250))
        why = []
        for bit in range(128):
            now = 2 ** 32 + bit * 10000
            number = (1 << 127 | 12345) ^ 1 << bit
            one, other = (1 << 63, 12345), (number >> 64, number & 2 ** 64 - 1)
            for key, want in ((one, PASS), (other, PASS), (one, DROP)):
                found = programs.run(key_order(0, 0, key, now, 1))[0]
                if found != want:
                    why.append(f"bit {bit}: verdict {found}, not {want}")
        report.check("keys: every bit counts", why)


def test_keys_concurrent(report):
    """Several CPUs take for one key, and for more keys than there are ways, at once"""
    with TestRun(KEY_PROGRAM) as programs:
        capacity, now = 1000000, 2 ** 32
        programs.write("rate", units(1, capacity, 250))
        runs, _ = programs.flood(key_order(1, 5, (1, 2), now, 1), 1500, repeat=5000)
        found = programs.read_sums("granted")[0]
        why = found != capacity and f"{found} of {capacity} given out, in {runs} runs"
        if runs <= capacity:
            why = f"{runs} runs are too few to tell"
        report.check("keys: one key, all CPUs", why)

        # 64 keys, by the lowest bits of the second word, in a group that nobody has used
        programs.write("rate", units(1, 1000, 250))
        runs, _ = programs.flood(key_order(2, 5, (1, 0), now, 1), 1500, repeat=50, offset=24,
                                 mask=63)
        found = programs.read_sums("granted")[0] - found
        capacity = (WAYS + 1) * 1000
        why = found != capacity and f"{found} of {capacity} given out, in {runs} runs"
        report.check("keys: 64 keys in a group of 16, all CPUs", why)


def honest(programs, rng, limit, attacker, seconds=1):
    """Run 150,000 packets a second of `attacker` (function: key), and 1,000 of sources of their own
    among them. Return: how many of the latter were refused"""
    hz, refused = 250, 0
    table, start = Table(rng), 2 ** 32 + rng.randrange(2 ** 30)
    programs.write("rate", units(*limit, hz))
    for jiffy in range(hz * seconds):
        for i in range(600):
            programs.run(table.order(attacker(), start + jiffy))
            if i % 150 == 0:
                source = rng.getrandbits(64) << 64 | rng.getrandbits(64)
                verdict, _ = programs.run(table.order((source >> 64, source & 2 ** 64 - 1),
                                                      start + jiffy))
                refused += verdict not in (PASS, TX)
    return refused


def test_sources(report):
    """What limits for each source are for: nobody's packets are another one's loss"""
    rng = random.Random(9)
    with TestRun(KEY_PROGRAM) as programs:
        table, why, shared = Table(rng), [], 0
        programs.write("rate", units(5, 5, 250))
        sources = [(0, rng.getrandbits(32)) for _ in range(20000)]
        for round_ in range(2):
            for key in sources:
                for _ in range(5):
                    verdict = programs.run(table.order(key, 2 ** 32 + round_ * 250))[0]
                    shared += verdict == TX
                    if verdict not in (PASS, TX):
                        why.append(f"source {key[1]:08x}: verdict {verdict}")
        report.check("sources: 20,000 within their limits, none over", why)
        report.check("sources: at most a few of 20,000 share a bucket",
                     shared > 20 and f"{shared} packets")
    for limit in (5, 5), (1, 1), (100, 10):
        with TestRun(KEY_PROGRAM) as programs:
            refused = honest(programs, rng, limit, lambda: (0x20010db800000001, 0))
            report.check(f"sources: {limit[0]}/s, a /64 at 150 kpps: all of 1,000 others get "
                         "through", refused and f"{refused} refused")
    with TestRun(KEY_PROGRAM) as programs:
        refused = honest(programs, rng, (5, 5),
                         lambda: (0x20010db800000001, rng.getrandbits(64)))
        report.check("sources: 5/s, each address of a /64 by itself at 150 kpps: 995 of 1,000",
                     refused > 5 and f"{refused} refused")


if __name__ == "__main__":
    main([test_rates, test_concurrent, test_ahead, test_ahead_owner, test_ahead_concurrent,
          test_keys, test_keys_late_clock, test_key_words, test_keys_concurrent, test_sources])
