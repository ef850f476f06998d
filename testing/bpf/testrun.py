# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The Python side of testrun.c: BPF programs loaded and run on packets; and test results."""
import errno
import os
import struct
import subprocess
import sys

ABORTED, DROP, PASS, TX, REDIRECT = range(5)
ACTION_MAX, REASON_MAX = 6, 128
STAGES = {"pass": 1, "count": 2, "printk": 3, "filter": 4, "fastpath": 6, "sampler": 7}
BUILD = os.environ.get("BUILD", ".")


class Child:
    """A program of ours that answers requests on its standard input"""

    def __init__(self, argv):
        # pylint: disable=consider-using-with
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _read(self, head_format):
        """An answer: the fields of its head, of which the last is the size of the rest, and that"""
        size = struct.calcsize(head_format)
        head = self._process.stdout.read(size)
        if len(head) != size:
            raise RuntimeError(f"{self._process.args[0]}: exit status {self._process.wait()}")
        *fields, size = struct.unpack(head_format, head)
        return *fields, self._process.stdout.read(size)


class TestRun(Child):
    """BPF programs, loaded by one testrun process; programs count from 0.

    A program is ("OBJECT:PROGRAM", {constant: value or list of values}); the object file is
    OBJECT.bpf.o in the build directory, if not given as a path.
    """
    __test__ = False

    def __init__(self, *programs, cpu=None, build=BUILD, wants_log=False):
        argv = [os.path.join(BUILD, "testrun")]
        if cpu is not None:
            argv += ["-c", str(cpu)]
        if wants_log:
            argv.append("-l")
        for program in programs:
            name, constants = (program, {}) if isinstance(program, str) else program
            argv.append(os.path.join(build, name.replace(":", ".bpf.o:")))
            for constant, value in constants.items():
                values = value if isinstance(value, (list, tuple)) else [value]
                argv.append(f"{constant}={','.join(str(int(value)) for value in values)}")
        super().__init__(argv)
        self.cpu, _ = self._answer()

    @property
    def pid(self):
        return self._process.pid

    def _answer(self):
        return self._read("=iI")

    def _ask(self, request, prog, arg, payload=b""):
        self._process.stdin.write(struct.pack("=IIII", ord(request), prog, arg, len(payload)))
        self._process.stdin.write(payload)
        self._process.stdin.flush()
        result, answer = self._answer()
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result, answer

    def run(self, frame, prog=0, linear_len=0):
        """Return: (verdict, frame after the program)"""
        return self._ask("r", prog, linear_len, frame)

    def run_skb(self, frame, prog=0, gso_size=0, is_local=False, mark=0):
        """Likewise, of a program at TC, for a packet that was forwarded, or sent by this host"""
        return self._ask("c", prog, gso_size | mark << 16 | is_local << 31, frame)

    def repeat(self, frame, times, prog=0):
        """Return: verdict of the last"""
        return self._ask("n", prog, times, frame)[0]

    def records(self, frames, prog=0):
        """What program `prog` of record.bpf.c stored for each of the frames, one after another"""
        return self._ask("b", prog, 0, b"".join(pack_frames(frames)))[1]

    def record(self, frame, prog=0):
        """Likewise, for one frame"""
        return self.records([frame], prog)

    def read(self, name, key=0, prog=0):
        """Value of a map; the values of all CPUs, if it is a per-CPU map"""
        return self._ask("m", prog, key, name.encode())[1]

    def write(self, name, value, key=0, prog=0):
        self._ask("w", prog, key, name.encode() + b"\0" + value)

    def write_key(self, name, key, value, prog=0):
        """Of a map with keys of any kind"""
        self._ask("k", prog, 0, name.encode() + b"\0" + key + value)

    def read_sums(self, name, key=0, prog=0):
        """Values of a per-CPU map whose value consists of 64-bit counters, summed over the CPUs"""
        cpus, values = self._ask("m", prog, key, name.encode())
        counters = struct.unpack(f"={len(values) // 8}Q", values)
        size = len(counters) // cpus
        return [sum(counters[i::size]) for i in range(size)]

    def flood(self, frame, milliseconds, repeat=1, offset=0, mask=0xffffffff, prog=0):
        """Run on all CPUs at once, with 4 bytes at an offset of the frame, if it is not 0, of which
        the bits in the mask are random. Return: number of runs; of each that ended with XDP_TX
        (time in ns, these bytes)"""
        runs, sent = self._ask("f", prog, milliseconds,
                               struct.pack("=III", repeat, offset, mask) + frame)
        return runs, sorted((time_ns, data) for time_ns, data in struct.iter_unpack("=Q4s4x", sent))

    def verdicts(self, frame, milliseconds, offset, values, prog=0):
        """Run on one packet after another, again and again: the frame with each of the values,
        all of one size, at the offset. Return: of each run (time in ns before it, how long it
        took, number of the value, verdict)"""
        head = struct.pack("=III", len(values), offset, len(values[0]))
        return struct.iter_unpack("=QIHH", self._ask("v", prog, milliseconds,
                                                     head + b"".join(values) + frame)[1])

    def code(self, prog=0):
        """What the verifier left. Return: bytes of machine code, instructions (struct bpf_insn),
        number of the first instruction of each function"""
        jited, answer = self._ask("i", prog, 0)
        functions, = struct.unpack("=I", answer[-4:])
        end = len(answer) - 4 - 8 * functions
        return jited, answer[:end], [start for start, _ in struct.iter_unpack("=II",
                                                                              answer[end:-4])]

    def log(self, prog=0):
        """What the verifier said of a program, if it wants_log"""
        return self._ask("l", prog, 0)[1].decode()

    def samples(self):
        """Events since the last call; the first call opens the ring"""
        events, pos, found = self._ask("s", 0, 0)[1], 0, []
        while pos < len(events):
            size, = struct.unpack_from("=I", events, pos)
            found.append(events[pos + 4:pos + 4 + size])
            pos += 4 + size
        return found


NO_FRAGS = "no XDP fragments in this kernel (5.18), or not where wanted in BPF_PROG_TEST_RUN (6.18)"


def has_frags():
    """Whether BPF_PROG_TEST_RUN takes the length of the linear part"""
    with TestRun("record:record_get"):
        pass  # or it is not the fragments that keep it from being loaded
    try:
        with TestRun(("record:record_get", {"xdp_frags": 1})) as programs:
            programs.run(bytes(100), 0, 50)
    except RuntimeError:  # not loaded
        return False
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return False
    return True


def pack_frames(frames):
    """The way the batch request wants them"""
    pack = struct.Struct("=I").pack
    for frame in frames:
        yield pack(len(frame))
        yield frame


class Report:
    """Prints one line a test, and the sum"""
    __test__ = False

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, name, why):
        """why: what is wrong, or nothing; a list counts as its first item"""
        if not why:
            self.passed += 1
            print(f"ok {name}", flush=True)
            return
        self.failed += 1
        more = ""
        if isinstance(why, list):
            more = f" (and {len(why) - 1} more)" if len(why) > 1 else ""
            why = why[0]
        print(f"FAIL {name}: {why}{more}", flush=True)

    def skip(self, name, why):
        self.skipped += 1
        print(f"SKIP {name}: {why}", flush=True)

    def note(self, name, what):
        """Something to do that is no failure; not counted"""
        print(f"NOTE {name}: {what}", flush=True)

    def finish(self):
        """Print the sum. Return: exit status"""
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed else 0


def main(tests):
    """Run test functions, each with the report; those named on the command line only, if any"""
    report = Report()
    names = [test.__name__ for test in tests]
    for name in sys.argv[1:]:
        if name not in names:
            print(f"{sys.argv[0]}: no test '{name}'; there are {' '.join(names)}", file=sys.stderr)
            sys.exit(2)
    for test in tests:
        if sys.argv[1:] and test.__name__ not in sys.argv[1:]:
            continue
        try:
            test(report)
        except Exception as error:  # pylint: disable=broad-except
            report.check(test.__name__, f"{type(error).__name__}: {error}")
    sys.exit(report.finish())
