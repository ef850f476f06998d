#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Random rulesets and packets: the firewall's program against the model (../fw_model.py).

For each ruleset the real program is loaded with it, and run on each packet by BPF_PROG_TEST_RUN;
the verdict, the rule that decided, and what each rule counted in the end, are to be the model's.
Then packets are cut. A verdict on a cut packet must be that of all packets that begin so, of which
the model sees some; if all that a rule can ask for is there, there must be one.
Rulesets are numbered by their seeds, from --seed on; a failure is repeated by its seed alone.
"""
import argparse
import ctypes
import errno
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
import fw_model  # pylint: disable=wrong-import-position
import reference  # pylint: disable=wrong-import-position

NO_RULE = ctypes.c_size_t(-1).value
MISSING = "the verdict depends on bytes that were not captured"
ACTIONS = {1: "drop", 2: "pass"}


class Stat(ctypes.Structure):
    """struct ecbpf_fw_stat"""
    # pylint: disable=too-few-public-methods
    _fields_ = [("packets", ctypes.c_uint64), ("bytes", ctypes.c_uint64),
                ("over", ctypes.c_uint64), ("shared", ctypes.c_uint64),
                ("dropped", ctypes.c_uint64)]


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

    def run_captured(self, frame, captured):
        """Likewise, of a packet whose first bytes were captured; or why that is unknown"""
        result = self.fw.lib.ecbpf_fw_trial_run_captured(
            self.fw.handle, self.trial, frame[:captured], ctypes.c_size_t(captured),
            ctypes.c_size_t(len(frame)), ctypes.byref(self.action), ctypes.byref(self.rule))
        if result == -errno.ENODATA:
            return self.fw.lib.ecbpf_error(self.fw.handle).decode()
        self.fw.check(result)
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


def enough(frame):
    """Bytes of a frame that are all that rules can ask for"""
    rec = reference.parse(frame)
    end = rec.hdr_len
    if rec.version:
        end = max(end, rec.l3_off + (20 if rec.version == 4 else 40))
    if rec.version and rec.proto == fw_model.TCP and rec.l4_off and not rec.reason:
        end = max(end, rec.l4_off + 16)
    return end


def endings(rng, frame, cut, frames):
    """Frames that begin like this one: it itself, with bytes of others, with random ones"""
    yield frame
    for _ in range(6):
        other = rng.choice(frames)[cut:len(frame)]
        yield frame[:cut] + other + frame[cut + len(other):]
    for _ in range(6):
        end = bytearray(frame[cut:])
        for _ in range(rng.randint(1, 4)):
            end[min(rng.randrange(len(end)), rng.randrange(len(end)))] = rng.getrandbits(8)
        yield frame[:cut] + bytes(end)
    yield frame[:cut] + rng.randbytes(len(frame) - cut)


def fuzz_cut(firewall, seed, count):
    """Cut packets of one ruleset. Return: disagreements, packets, unknown ones, and how many of
    these had two packets that begin so and differ"""
    rng, text = random.Random(f"cut {seed}"), fw_model.generate(seed, size_of(seed))
    model = fw_model.parse(text)
    frames = [frame for frame in fw_model.packets(seed + 1, model, count) if len(frame) >= 15]
    trial, failed, unknown, seen, counted = firewall.trial, 0, 0, 0, [0] * len(model.rules)
    trial.set(text)
    for frame in frames:
        need = enough(frame)
        cut = min(rng.choice((need, need - 1, rng.randint(0, need), rng.randint(0, len(frame)))),
                  len(frame) - 1)
        got = trial.run_captured(frame, cut)
        wanted = [model.verdict(whole) for whole in endings(rng, frame, cut, frames)]
        if isinstance(got, str):
            unknown += 1
            seen += any(verdict != wanted[0] for verdict in wanted)
            wrong = cut >= need and got == MISSING and "enough is there"
        else:
            for rule in wanted[0].counted:
                counted[rule] += 1
            wrong = next((f"not {verdict}" for verdict in wanted
                          if (verdict.action, verdict.rule) != got or
                          verdict.counted != wanted[0].counted), None)
        if wrong:
            failed += 1
            print(f"FAIL seed {seed}: {got} of {cut} bytes, {wrong}: {frame.hex()[:200]}")
    if trial.counts(len(counted)) != counted:
        failed += 1
        print(f"FAIL seed {seed}: counted {trial.counts(len(counted))}, expected {counted}")
    return failed, len(frames), unknown, seen


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
    cut = [sum(column) for column in zip(*(fuzz_cut(firewall, seed + i, args.packets)
                                           for i in range(args.rulesets)))]
    failed += cut[0]
    print(f"fuzz_fw: {cut[1]} cut packets, {cut[2]} unknown, {cut[3]} of them seen to differ, "
          f"{cut[0]} disagreements")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
