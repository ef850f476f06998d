#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Random rulesets and packets: the firewall's program against the model (../fw_model.py).

For each ruleset the real program is loaded with it, and run on each packet by BPF_PROG_TEST_RUN;
the verdict, the rule that decided, and what each rule counted in the end, are to be the model's.
Rulesets are numbered by their seeds, from --seed on; a failure is repeated by its seed alone.
"""
import argparse
import ctypes
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
import fw_model  # pylint: disable=wrong-import-position

NO_RULE = ctypes.c_size_t(-1).value
ACTIONS = {1: "drop", 2: "pass"}


class Stat(ctypes.Structure):
    """struct ecbpf_fw_stat"""
    # pylint: disable=too-few-public-methods
    _fields_ = [("packets", ctypes.c_uint64), ("bytes", ctypes.c_uint64),
                ("over", ctypes.c_uint64), ("shared", ctypes.c_uint64)]


class Firewall:
    """The library"""
    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        self.lib.ecbpf_error.restype = ctypes.c_char_p
        self.handle = ctypes.c_void_p()
        self.check(self.lib.ecbpf_new(ctypes.byref(self.handle)))
        self.trial = Trial(self)

    def check(self, result):
        """Of a call"""
        if result:
            raise RuntimeError(self.lib.ecbpf_error(self.handle).decode())


class Trial:
    """See libecbpf-fw.h"""
    def __init__(self, firewall):
        self.fw, self.trial = firewall, ctypes.c_void_p()
        self.action, self.rule = ctypes.c_uint32(), ctypes.c_size_t()

    def set(self, text):
        """Begin with a ruleset"""
        ruleset, lib, text = ctypes.c_void_p(), self.fw.lib, text.encode()
        self.fw.check(lib.ecbpf_fw_parse(self.fw.handle, b"text", text, ctypes.c_size_t(len(text)),
                                         ctypes.byref(ruleset)))
        if self.trial:
            self.fw.check(lib.ecbpf_fw_trial_set(self.fw.handle, self.trial, ruleset))
        else:
            self.fw.check(lib.ecbpf_fw_trial_new(self.fw.handle, ruleset,
                                                 ctypes.byref(self.trial)))
        lib.ecbpf_fw_ruleset_free(ruleset)

    def run(self, frame):
        """Return: verdict, index of the rule or None"""
        self.fw.check(self.fw.lib.ecbpf_fw_trial_run(
            self.fw.handle, self.trial, frame, ctypes.c_size_t(len(frame)),
            ctypes.byref(self.action), ctypes.byref(self.rule)))
        rule = self.rule.value
        return ACTIONS.get(self.action.value), None if rule == NO_RULE else rule

    def counts(self, rules):
        """Packets that each rule counted"""
        stats = (Stat * (rules + 1))()
        self.fw.check(self.fw.lib.ecbpf_fw_trial_stats(self.fw.handle, self.trial, stats))
        return [stat.packets for stat in stats[:rules]]


def size_of(seed):
    """How many rules: mostly few, and up to all that there can be"""
    rng = random.Random(f"size {seed}")
    return min(int(2 ** rng.uniform(0, 14)), fw_model.RULES_MAX)


def fuzz(firewall, seed, count):
    """One ruleset. Return: disagreements"""
    # some of each size, and the limit
    text = fw_model.generate(seed, size_of(seed))
    model = fw_model.parse(text)
    frames = fw_model.packets(seed, model, count)
    frames = [frame for frame in frames if len(frame) >= 14]
    trial, failed, counted = firewall.trial, 0, [0] * len(model.rules)
    trial.set(text)
    for number, (frame, expected) in enumerate(zip(frames, fw_model.expect(model, frames))):
        for rule in expected.counted:
            counted[rule] += 1
        got = trial.run(frame)
        if got == (expected.action, expected.rule):
            continue
        failed += 1
        if failed <= 3:
            print(f"FAIL seed {seed} packet {number}: {got}, expected {expected.action}, "
                  f"{expected.rule}: {frame.hex()[:200]}")
    for rule, (got, expected) in enumerate(zip(trial.counts(len(counted)), counted)):
        if got != expected:
            failed += 1
            if failed <= 5:
                print(f"FAIL seed {seed} rule {rule + 1}: counted {got}, expected {expected}")
    return failed, len(frames)


def main():
    """See above"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, help="libecbpf.so")
    parser.add_argument("--rulesets", type=int, default=1000)
    parser.add_argument("--packets", type=int, default=1000, help="for each ruleset")
    parser.add_argument("--seed", type=int, default=1, help="of the first ruleset; 0: a random one")
    args = parser.parse_args()
    seed = args.seed or random.SystemRandom().randrange(1 << 32)
    print(f"fuzz_fw: seed {seed}, {args.rulesets} rulesets", flush=True)
    firewall, failed, packets, start = Firewall(args.library), 0, 0, time.monotonic()
    said = start
    for i in range(args.rulesets):
        bad, count = fuzz(firewall, seed + i, args.packets)
        failed += bad
        packets += count
        if time.monotonic() - said > 60:
            said = time.monotonic()
            print(f"fuzz_fw: {i + 1} rulesets, {packets} packets, {failed} disagreements, "
                  f"{time.monotonic() - start:.0f} s", flush=True)
    print(f"fuzz_fw: {args.rulesets} rulesets, {packets} packets, {failed} disagreements")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
