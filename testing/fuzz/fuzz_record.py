#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Mutated packets through the parser, native and in the kernel, against the reference.

    BUILD=DIR fuzz_record.py [--count N] [--seed S] [--jobs J] [--bpf-every N]

All packets go through the native parser, a quarter of them once more as if only a part of them
were linear; every Nth batch goes through ecbpf_parse() and ecbpf_record_get() in the kernel, too.
All three and the reference have to give the same 40 bytes.
Packets come in runs that are alike, so that the shared area has stale records at hand. Half of
the batches are the same in every run, half depend on the seed.

It fails if any two disagree, or if a reason or a stack of headers was never reached.
"""
import argparse
import array
import collections
import concurrent.futures
import ctypes
import itertools
import multiprocessing
import os
import random
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "oracle"), os.path.join(HERE, "..", "bpf")]
# pylint: disable=wrong-import-position
from packets import fix_length, stacks
from reference import REASONS, RECORD_SIZE, Record, parse
from testrun import BUILD, TestRun

FIXED_SEED = 1
BATCH = 10000
RUN = 16
# what BPF_PROG_TEST_RUN takes: an Ethernet header to a page less head- and tailroom
KERNEL_MIN, KERNEL_MAX = 14, 3400
INTERESTING = bytes((0, 1, 4, 5, 6, 7, 8, 0x0f, 17, 0x14, 0x20, 0x3f, 0x40, 43, 44, 0x45, 0x46,
                     0x4f, 0x50, 51, 58, 59, 60, 0x60, 0x7f, 0x80, 0x81, 0x86, 0x88, 0xa8, 0xdd,
                     0xff))
ETHERTYPES = (0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x9100, 46)
EXTENSIONS = (0, 43, 44, 51, 60)
PROTOS = (6, 17, 58, 1, 59, 47, 50, 41, 132)


class Mutator:
    """Makes packets of packets. Each random number is drawn once and used bit by bit: it is fast"""

    def __init__(self, seeds, seed):
        self.seeds = seeds
        self.bits = random.Random(seed).getrandbits
        self.operations = (
            self.flip_bits, self.flip_bits, self.flip_bits, self.set_bytes, self.set_bytes,
            self.set_bytes, self.set_length, self.set_fragment, self.cut, self.cut_rightly,
            self.pad, self.splice, self.set_ihl, self.add_tag, self.set_next, self.set_upper)

    def packets(self, count):
        """So many mutated packets, as bytes, and those they were made of"""
        packets = []
        for _ in range(count // RUN):
            draw = self.bits(32)
            if draw & 15 == 0:
                stack, base = None, self.extension_chain()
                l3, ends = 14, (14, 54)
            else:
                stack = self.seeds[(draw >> 4) % len(self.seeds)]
                base, l3 = stack.frame, stack.l3
                ends = [end for end, _ in stack.ends]
            packets.append(base)
            for _ in range(RUN):
                draw = self.bits(64)
                frame = bytearray(base)
                for _ in range(1 + (draw & 3 == 0) + (draw & 12 == 0)):
                    draw >>= 8
                    frame = self.operations[draw & 15](frame, l3, ends, draw >> 4)
                packets.append(bytes(frame))
        return packets

    @staticmethod
    def flip_bits(frame, _l3, _ends, draw):
        size = len(frame) - 12
        if size > 0:
            frame[12 + (draw >> 3) % size] ^= 1 << (draw & 7)
        return frame

    @staticmethod
    def set_bytes(frame, _l3, _ends, draw):
        size = len(frame) - 12
        if size > 0:
            frame[12 + (draw >> 5) % size] = INTERESTING[draw & 31]
        return frame

    @staticmethod
    def set_length(frame, l3, _ends, draw):
        """Length field of IP: the right one, give or take a few; or anything"""
        if l3 and len(frame) >= l3 + 6:
            is_ip4 = frame[l3] >> 4 == 4
            size = len(frame) - l3 - (0 if is_ip4 else 40)
            if draw & 7:
                size += (draw >> 3) % 81 - 60
            else:
                size = (0, 0xffff, draw >> 5, 0)[draw >> 3 & 3]
            struct.pack_into("!H", frame, l3 + (2 if is_ip4 else 4), size & 0xffff)
        return frame

    @staticmethod
    def set_fragment(frame, l3, _ends, draw):
        """Fragment word of IPv4, or the place it has in an IPv6 extension header"""
        if l3 and len(frame) >= l3 + 44:
            word = (0, 0x2000, 0x4000, 0x8000, 1, 0x2001, 0x1fff, draw >> 3)[draw & 7] & 0xffff
            struct.pack_into("!H", frame, l3 + (6 if frame[l3] >> 4 == 4 else 42), word)
        return frame

    @staticmethod
    def cut(frame, _l3, _ends, draw):
        del frame[draw % (len(frame) + 1):]
        return frame

    def cut_rightly(self, frame, l3, _ends, draw):
        """Cut, and say so in the length field"""
        return bytearray(fix_length(self.cut(frame, None, None, draw), l3))

    @staticmethod
    def pad(frame, _l3, _ends, draw):
        return frame + bytes((draw & 63,)) * (draw >> 6 & 63)

    def splice(self, frame, l3, ends, draw):
        """The first headers of this packet, the last ones of another"""
        other = self.seeds[(draw >> 8) % len(self.seeds)]
        end, _ = other.ends[draw % len(other.ends)]
        frame[ends[(draw >> 4) % len(ends)]:] = other.frame[end:]
        return bytearray(fix_length(frame, l3)) if draw & 3 else frame

    @staticmethod
    def set_ihl(frame, l3, _ends, draw):
        """Version and header length, with as many bytes of options put in, mostly"""
        if l3 and len(frame) >= l3 + 20:
            words = draw & 15
            frame[l3] = (0x40 if draw & 0x70 else draw >> 8 & 0xf0) | words
            if draw & 0x180:
                frame[l3 + 20:l3 + 20] = bytes(max(0, words - 5) * 4)
                return bytearray(fix_length(frame, l3))
        return frame

    @staticmethod
    def add_tag(frame, _l3, _ends, draw):
        tag = struct.pack("!HH", ETHERTYPES[(draw >> 16) % 7] if draw & 7 == 0 else
                          0x88a8 if draw & 8 else 0x8100, draw >> 4 & 0xffff)
        frame[12:12] = tag
        return frame

    @staticmethod
    def set_next(frame, l3, ends, draw):
        """Protocol of IPv4, next header of IPv6 and of extension headers, EtherType"""
        proto = (EXTENSIONS + PROTOS)[(draw >> 4) % 14]
        at = ends[draw % len(ends)] if draw & 1 else l3 + 6
        if draw & 6 == 0 and len(frame) >= 14:
            struct.pack_into("!H", frame, 12, ETHERTYPES[(draw >> 8) % 7])
        elif l3 and len(frame) > l3 + 9 and frame[l3] >> 4 == 4:
            frame[l3 + 9] = proto
        elif at < len(frame):
            frame[at] = proto
        return frame

    def set_upper(self, frame, _l3, ends, _draw):
        """Anything from some header on"""
        draw = self.bits(192)
        start = ends[draw % len(ends)]
        size = min(20, len(frame) - start)
        if size > 0:
            frame[start:start + size] = (draw >> 8).to_bytes(24, "big")[-size:]
        return frame

    def extension_chain(self):
        """IPv6 with any number of extension headers of any kind and size, fitting or not"""
        draw = self.bits(128)
        count, draw = draw % 11, draw >> 4
        proto = PROTOS[draw % 9]
        last = EXTENSIONS[draw % 5] if draw & 0xf00 == 0 else proto
        body, draw, following = self.bits(192).to_bytes(24, "big"), draw >> 12, last
        if proto == 6 and draw & 7:
            body = body[:12] + b"\x50" + body[13:]
        for _ in range(count):
            kind, units = EXTENSIONS[draw % 5], draw >> 3 & 3
            if draw & 0xe0 == 0 and len(body) < 1300:
                units = 255 - units * 16
            if kind == 44:
                header = struct.pack("!BBHI", following, units,
                                     (0, 0, 1, 0, 6, 8, 9, 1)[draw >> 5 & 7], draw & 0xffff)
            elif kind == 51:
                header = bytes((following, units)) + bytes((units + 2) * 4 - 2)
            else:
                header = bytes((following, units)) + bytes((units + 1) * 8 - 2)
            body, following, draw = header + body, kind, draw >> 8
        return bytes(12) + struct.pack("!HIHBB", 0x86dd, 0x60000000, len(body), following, 64) + \
            bytes(32) + body


class Disagreement(Exception):
    """Two parsers differ, or one of them with itself"""


class Worker:
    """One of the processes"""

    def __init__(self, seeds, cpu):
        self.seeds = seeds
        library = ctypes.CDLL(os.path.join(BUILD, "parse_many.so"))
        self.native = library.parse_many
        self.native.restype = ctypes.c_char_p
        self.programs = TestRun("record:record_parse", "record:record_get", cpu=cpu)

    def parse_natively(self, frames, linear_lens=None):
        """Records of all frames, one after another"""
        whole_lens, parts = array.array("I", map(len, frames)), frames
        if linear_lens:
            parts = [frame[:size] for frame, size in zip(frames, linear_lens)]
        records, done = ctypes.create_string_buffer(len(frames) * RECORD_SIZE), ctypes.c_size_t()
        wrong = self.native(b"".join(parts), array.array("I", map(len, parts)).tobytes(),
                            whole_lens.tobytes(), ctypes.c_size_t(len(frames)), records,
                            ctypes.byref(done))
        if wrong:
            raise Disagreement(f"{wrong.decode()}: {frames[done.value - 1].hex()}")
        return records.raw

    @staticmethod
    def compare(name, found, want, frames):
        if found == want:
            return
        for i, frame in enumerate(frames):
            one, other = (records[i * RECORD_SIZE:][:RECORD_SIZE] for records in (found, want))
            if one != other:
                raise Disagreement(f"{name}: {Record.unpack(one)}\nreference: "
                                   f"{Record.unpack(other)}\nframe: {frame.hex()}\n"
                                   f"the one before: {frames[max(0, i - 1)].hex()}")
        raise Disagreement(f"{name}: {len(found)} bytes of records")

    def batch(self, seed, with_kernel):
        """Return: packets that went through the kernel, reasons, well-formed stacks"""
        mutator = Mutator(self.seeds, seed)
        frames = mutator.packets(BATCH)
        packed = [parse(frame).pack() for frame in frames]
        want, in_kernel = b"".join(packed), 0
        self.compare("native", self.parse_natively(frames), want, frames)
        quarter = frames[::4]
        linear_lens = [mutator.bits(16) % (len(frame) + 1) for frame in quarter]
        self.compare("native, linear in part", self.parse_natively(quarter, linear_lens),
                     b"".join([parse(*frame).pack() for frame in zip(quarter, linear_lens)]),
                     quarter)
        if with_kernel:
            chosen = [i for i, frame in enumerate(frames)
                      if KERNEL_MIN <= len(frame) <= KERNEL_MAX]
            want_chosen, in_kernel = b"".join([packed[i] for i in chosen]), len(chosen)
            chosen = [frames[i] for i in chosen]
            for prog, name in enumerate(("BPF, parsed", "BPF, got")):
                self.compare(name, self.programs.records(chosen, prog), want_chosen, chosen)
        # offsets in struct ecbpf_record
        columns = [want[offset::RECORD_SIZE] for offset in (31, 22, 28, 29, 30)]
        extensions = want[23::RECORD_SIZE]
        arp = [record[20:22] == b"\x08\x06" for record in packed]
        return in_kernel, collections.Counter(columns[0]), \
            collections.Counter(zip(*columns, map(bool, extensions), arp))


WORKER = None


def start_worker(seeds, cpus):
    """In a new process"""
    global WORKER  # pylint: disable=global-statement
    WORKER = Worker(seeds, cpus.get())


def run_batch(job):
    """Return: what Worker.batch() returns, or what is wrong"""
    try:
        return WORKER.batch(*job)
    except Disagreement as error:
        return f"batch {job[0]}: {error}"


def wrong_big(seeds, count=20000):
    """Packets merged to more than 65,535 bytes (BIG TCP), or nearly so, through the native parser:
    their length fields are 0. Return: what is wrong, or None"""
    parse_many = ctypes.CDLL(os.path.join(BUILD, "parse_many.so")).parse_many
    parse_many.restype = ctypes.c_char_p
    rng, found = random.Random(FIXED_SEED), 0
    stacks_ip = [stack for stack in seeds if stack.l3 and len(stack.frame) > stack.l3 + 48]
    for _ in range(count):
        stack = rng.choice(stacks_ip)
        frame, l3 = bytearray(stack.frame), stack.l3
        if frame[l3] >> 4 == 4:
            frame[l3 + 2:l3 + 4] = b"\0\0"
        else:
            frame[l3 + 4:l3 + 6] = b"\0\0"
            if not frame[l3 + 6] and rng.random() < .8:
                struct.pack_into("!BBL", frame, l3 + 42, rng.choice((0xc2, 0xc2, 0xc2, 0xc3)),
                                 rng.choice((4, 4, 4, 5)),
                                 rng.choice((65535, 65536, 70000, 99946, 99947, 1 << 31)))
        size = rng.choice((len(frame), 65535, rng.randint(65540, 65620), 100001))
        packed, done = ctypes.create_string_buffer(RECORD_SIZE), ctypes.c_size_t()
        wrong = parse_many(bytes(frame), (ctypes.c_uint32 * 1)(len(frame)),
                           (ctypes.c_uint32 * 1)(size), ctypes.c_size_t(1), packed,
                           ctypes.byref(done))
        want = parse(bytes(frame) + bytes(size - len(frame)), len(frame))
        if wrong or packed.raw != want.pack():
            return f"{stack.name}, {size} bytes: {wrong or Record.unpack(packed.raw)}, not {want}"
        found += not want.reason and want.l3_len > 65535
    return None if found > count / 50 else "there are none"


def stack_name(version, proto, frag, has_extensions, is_arp):
    """Which of the stacks that are told apart a record is of"""
    if not version:
        return "arp" if is_arp else "other"
    names = {6: "tcp", 17: "udp", 1 if version == 4 else 58: "icmp"}
    if version == 4:
        return f"ip {names.get(proto, 'other')}{('', ', first', ', later')[frag]}"
    return f"ip6{' ext' if has_extensions else ''} {names.get(proto, 'other')}" \
        f"{('', ', first', ', later', ', atomic')[frag]}"


def all_stacks():
    """Names of all there are, in order"""
    upper = ("tcp", "udp", "icmp", "other")
    yield from ("arp", "other")
    yield from (f"ip {name}{frag}" for name in upper for frag in ("", ", first", ", later"))
    yield from (f"ip6 {name}" for name in upper)
    yield from (f"ip6 ext {name}{frag}" for name in upper
                for frag in ("", ", first", ", later", ", atomic"))


def report(reasons, details):
    """Print the distribution. Return: names of what was never reached"""
    never = []
    print(f"{'reason':<20}{'packets':>12}")
    for number, name in enumerate(REASONS):
        print(f"{name:<20}{reasons[number]:>12}")
        if not reasons[number]:
            never.append(name)
    table = collections.Counter()
    for (reason, tags, *facts), count in details.items():
        if not reason:
            table[tags, stack_name(*facts)] += count
    print(f"\n{'well-formed':<24}{'untagged':>12}{'one tag':>12}{'two tags':>12}")
    for name in all_stacks():
        print(f"{name:<24}" + "".join(f"{table[tags, name]:>12}" for tags in range(3)))
        never += [f"{name} with {tags} tags" for tags in range(3) if not table[tags, name]]
    print()
    return never


def main():
    """Return: exit status"""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10000000, help="packets; default: 10 million")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32),
                        help="of the half that differs from run to run; default: random")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--bpf-every", type=int, default=1, metavar="N",
                        help="every Nth batch goes through the kernel; default: all")
    parser.add_argument("--corpus", metavar="DIR",
                        help="write the packets that all others are made of to files, as "
                             "fuzz_parse wants them, and do nothing else")
    args = parser.parse_args()
    if args.corpus:
        for i, stack in enumerate(stacks()):
            with open(os.path.join(args.corpus, f"{i:03}"), "wb") as file:
                file.write(b"\0\0" + stack.frame)
        return 0

    print(f"seeds {FIXED_SEED} (fixed) and {args.seed}, {args.jobs} processes", flush=True)
    seeds, cpus = list(stacks()), multiprocessing.Queue()
    wrong = wrong_big(seeds)
    if wrong:
        print(f"DISAGREEMENT merged packets: {wrong}")
        return 1
    allowed = sorted(os.sched_getaffinity(0))
    for job in range(args.jobs):
        cpus.put(allowed[job % len(allowed)])
    jobs = ((f"{(FIXED_SEED, args.seed)[batch % 2]}/{batch}", batch // 2 % args.bpf_every == 0)
            for batch in itertools.count())
    jobs = itertools.islice(jobs, (args.count + BATCH - 1) // BATCH)
    packets = in_kernel = 0
    reasons, details = collections.Counter(), collections.Counter()
    start = time.monotonic()
    # a worker that dies, of a bad read say, breaks the pool
    with concurrent.futures.ProcessPoolExecutor(args.jobs, None, start_worker,
                                                (seeds, cpus)) as pool:
        for result in pool.map(run_batch, jobs):
            if isinstance(result, str):
                print(f"DISAGREEMENT {result}", flush=True)
                pool.shutdown(cancel_futures=True)
                return 1
            packets += BATCH
            in_kernel += result[0]
            reasons.update(result[1])
            details.update(result[2])
    seconds = time.monotonic() - start
    never = report(reasons, details)
    print(f"{packets} mutated packets in {seconds:.0f} s, {packets / seconds:.0f} a second; "
          f"{in_kernel} through the kernel, twice, with those they were made of; "
          "no disagreement")
    if never:
        print(f"NEVER REACHED: {', '.join(never)}")
    return 1 if never else 0


if __name__ == "__main__":
    sys.exit(main())
