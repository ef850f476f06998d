#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Token buckets: exact at any rate, for packets and bytes, and with CPUs that take at once.

    BUILD=DIR test_bucket.py [TEST...]
"""
import os
import random
import struct
import sys
from fractions import Fraction

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from testrun import DROP, PASS, TestRun, main

PROGRAM = "bucket:bucket_take"
BUCKETS = 4096


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


def test_concurrent(report):
    """Several CPUs take at once: exactly what is in the bucket is given out"""
    with TestRun(PROGRAM) as programs:
        capacity, now = 2000000, 2 ** 32
        programs.write("rate", units(1, capacity, 250))
        runs, _ = programs.flood(order(1, now, 1), 1500, repeat=5000)
        found = programs.read_sums("granted")[0]
        why = found != capacity and f"{found} of {capacity} given out, in {runs} runs"
        if runs <= capacity:
            why = f"{runs} runs are too few to tell"
        report.check("bucket: one jiffy, all CPUs", why)


if __name__ == "__main__":
    main([test_rates, test_concurrent])
