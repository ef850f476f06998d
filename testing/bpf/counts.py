#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What each installed BPF program is for a kernel, in numbers that do not depend on time.

See testing/bpf/counts, which builds what this needs. The figures to compare with are in counts.txt.

Tolerances come from measurements. The same object on the same kernel has the same counts: 4 loads
on a busy 6.18 and 2 boots of 6.1 did not differ in one; commits that change only comments change
none. The verifier's three depend on what it happens to have seen before, too: in 14 commits to the
programs some grew by up to 1.4% where there were fewer instructions than before. Those that were
worth a look had grown by 8% to 24%.
"""
import argparse
import bisect
import glob
import os
import re
import shlex
import struct
import subprocess
import sys
import tempfile
from typing import NamedTuple

from testrun import Report, TestRun

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("ECBPF_BUILD") or os.path.join(TOP, "build/test"))
FILE = os.path.join(HERE, "counts.txt")
RENEW = "testing/bpf/counts --update"
VM_KERNELS = ("6.1",)  # measured in a virtual machine by --update

# column, share of itself that it may grow by; what it means
COLUMNS = (
    ("xlated", 0, "instructions when the verifier is done: without dead code, helpers inlined"),
    ("jited", 0, "bytes of machine code; compared where the JIT makes the same of jit.bpf.c"),
    ("insns", .02, "instructions that the verifier has processed, of 1,000,000"),
    ("states", .02, "states that it made"),
    ("peak", .02, "states that it held at once"),
    ("stack", 0, "bytes of stack along the deepest chain of calls, of 512; rounded up by the"
     " kernel, function by function"),
    ("helpers", 0, "calls of helpers that are not inlined"),
    ("calls", 0, "calls of functions"),
)
SHRUNK = .02  # by more than this share: time to renew the file

OTHER_PROGRAMS = {"fastpath_egress": "ecbpf_egress", "dispatcher": "xdp_dispatcher"}
CHAIN = ("filter", "fw", "fastpath", "sampler")
SLOTS = 8
# as if 10 programs were attached, of which each goes on at XDP_PASS and at no program in its slot
DISPATCHER = list(struct.pack("=4B10I", 0, 2, 10, 0, *[1 << 2 | 1 << 31] * 10))


class Counts(NamedTuple):
    """Of a program on a kernel; frames: of the functions along the deepest chain of calls"""
    xlated: int
    jited: int
    insns: int
    states: int
    peak: int
    stack: int
    helpers: int
    calls: int
    frames: str


class Kernel(NamedTuple):
    """One that was measured; jit: bytes that it makes of jit.bpf.c"""
    release: str
    jit: int


class Table:
    """What counts.txt holds"""

    def __init__(self, compiler=None):
        self.compiler = compiler
        self.kernels = {}  # by series: "6.1"
        self.rows = {}  # (program, series): Counts

    @classmethod
    def read(cls, path):
        table = cls()
        with open(path, encoding="utf-8") as file:
            for line in file:
                words = line.split()
                if not words or line.startswith("#") or words[0] == "program":
                    continue
                if words[0] == "compiler":
                    table.compiler = " ".join(words[1:])
                elif words[0] == "kernel":
                    table.kernels[words[1]] = Kernel(words[2], int(words[4]))
                else:
                    table.rows[words[0], words[1]] = Counts(*map(int, words[2:-1]), words[-1])
        return table

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.text())

    def text(self):
        lines = ["# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause",
                 "# Counts of the installed BPF programs, written by testing/bpf/counts --update.",
                 "# A change that makes one of them grow fails the test until the file is renewed.",
                 "#"]
        for name, limit, meaning in COLUMNS:
            meaning = f"#   {name:8} {meaning}" + (f"; {limit:.0%} more are no failure"
                                                   if limit else "")
            while len(meaning) > 96:
                space = meaning.rindex(" ", 0, 96)
                lines.append(meaning[:space])
                meaning = f"#   {'':8}{meaning[space:]}"
            lines.append(meaning)
        lines += [f"#   {'frames':8} the stack of the functions along that chain",
                  f"# fused-chain: ecbpf_fused with {','.join(CHAIN)};",
                  f"# fused-slots: with {','.join(eight(stages()))}",
                  "# On 6.1, ecbpf_fused has here the global functions of the stages that it does "
                  "not run, too;", "# the library has the kernel take no notice of them.", "",
                  f"compiler {self.compiler}"]
        for series, kernel in sorted(self.kernels.items(), key=lambda item: version(item[0])):
            lines.append(f"kernel {series:5} {kernel.release} jit {kernel.jit}")
        names = list(dict.fromkeys(name for name, _ in self.rows))
        widths = [max(len(name), 6) for name, _, _ in COLUMNS]
        lines += ["", f"{'program':15} kernel" +
                  "".join(f" {name:>{width}}" for (name, _, _), width in zip(COLUMNS, widths)) +
                  "  frames"]
        for name, series in sorted(self.rows, key=lambda key: (names.index(key[0]),
                                                               version(key[1]))):
            *counts, frames = self.rows[name, series]
            lines.append(f"{name:15} {series:6}" +
                         "".join(f" {n:{width}}" for n, width in zip(counts, widths)) +
                         f"  {frames}")
        return "\n".join(lines) + "\n"

    def merge(self, other):
        """The other's kernels and their rows instead of ours"""
        rows = {key: row for key, row in self.rows.items() if key[1] not in other.kernels}
        # in the order of the other, which was measured now
        self.rows = {**other.rows, **rows}
        self.kernels.update(other.kernels)
        self.compiler = other.compiler


def version(series):
    return [int(number) for number in series.split(".")]


def stages():
    """The stages, by name: their numbers"""
    with open(os.path.join(TOP, "headers/ecbpf/stage.h"), encoding="utf-8") as file:
        return {name: int(number)
                for number, name in re.findall(r"^\tX\((\d+), \w+, (\w+),", file.read(), re.M)}


def eight(names):
    """All slots in use, by all stages but the sampler, which has to be last"""
    used = [name for name in names if name != "sampler"]
    return (used + ["pass"] * SLOTS)[:SLOTS]


def programs():
    """Yields name, object, program, constants of each that is measured"""
    numbers = stages()
    # stages by number, then what is none
    objects = list(numbers)
    for path in sorted(glob.glob(os.path.join(TOP, "progs/*.bpf.c"))):
        name = os.path.basename(path)[:-len(".bpf.c")]
        if name not in objects and name != "fused":
            objects.append(name)
    for name in objects:
        constants = {"conf": DISPATCHER} if name == "dispatcher" else {}
        yield name, name, OTHER_PROGRAMS.get(name, f"ecbpf_{name}"), constants
    lists = {f"fused-{name}": [name] for name in numbers}
    lists.update({"fused-chain": CHAIN, "fused-slots": eight(numbers)})
    for name, used in lists.items():
        yield name, "fused", "ecbpf_fused", {"fused_stages": [numbers[stage] for stage in used]}


def is_any(_):
    return True


def is_needed(name):
    """Whether it is one of the few that together have the code of all"""
    alone = not name.startswith("fused-") and name not in eight(stages())
    return alone or name == "fused-slots"


def count(log, jited, code, starts):
    """Counts, from what the verifier said, and from TestRun.code()"""
    processed = re.search(r"^processed (\d+) insns .* total_states (\d+) peak_states (\d+)", log,
                          re.M)
    depths = re.search(r"^stack depth ([\d+]+)", log, re.M)
    if not processed or not depths:
        raise ValueError(f"the verifier's log has no statistics: {log!r}")
    frames = [int(depth) for depth in depths[1].split("+")]
    if len(starts) != len(frames):
        raise ValueError(f"{len(starts)} functions, and stacks {frames}")
    calls = [[] for _ in frames]  # by each function, of which
    helpers = [0 for _ in frames]
    for at, (opcode, registers, _, immediate) in enumerate(struct.iter_unpack("<BBhi", code)):
        function = bisect.bisect(starts, at) - 1
        if opcode == 0x18 and registers >> 4 == 4:  # BPF_PSEUDO_FUNC: of a callback
            raise ValueError("a callback: counts.py does not know its stack")
        if opcode != 0x85:  # BPF_CALL
            continue
        if registers >> 4 != 1:  # BPF_PSEUDO_CALL
            helpers[function] += 1
        elif 0 < immediate < len(frames):
            calls[function].append(immediate)
        else:
            raise ValueError(f"a call of function {immediate} of {len(frames)}; see "
                             "kernel.kptr_restrict")
    chains = {}  # by function that is reached, from it on

    def chain(function):
        if function not in chains:
            below = [chain(one) for one in sorted(set(calls[function]))]
            chains[function] = [frames[function]] + max(below, key=sum, default=[])
        return chains[function]

    deepest = chain(0)
    # older kernels keep global functions that nothing calls
    return Counts(len(code) // 8, jited, *map(int, processed.groups()), sum(deepest),
                  sum(helpers[function] for function in chains),
                  sum(len(calls[function]) for function in chains),
                  "+".join(map(str, deepest)))


def load(name, constants, build):
    with TestRun((name, constants), build=build, wants_log=True) as run:
        return run.log(), *run.code()


def series_here():
    return re.match(r"\d+\.\d+", os.uname().release)[0]


def why_not():
    """What keeps us from counting here, or None"""
    if os.uname().machine != "x86_64":
        return "the figures are of x86_64"
    if not os.path.exists(os.path.join(BUILD, "config.status")):
        return f"nothing is built in {BUILD}; see testing/build"
    return None


def make():
    """The objects, if they are older than their sources"""
    names = [os.path.basename(path)[:-1] + "o"
             for path in glob.glob(os.path.join(TOP, "progs/*.bpf.c"))]
    subprocess.run(["make", "-s", "-C", BUILD, *(f"progs/{name}" for name in sorted(names))],
                   check=True, stdout=sys.stderr)


def compiler():
    """With which the objects were made, and how: version and flags"""
    with open(os.path.join(BUILD, "Makefile"), encoding="utf-8") as file:
        variables = dict(re.findall(r"^(CLANG|BPF_CFLAGS) = (.*)$", file.read(), re.M))
    said = subprocess.run([*shlex.split(variables["CLANG"]), "--version"], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    return f"clang {re.search(r'version ([0-9.]+)', said)[1]} {variables['BPF_CFLAGS']}"


def measure(wanted=is_any):
    """Return: a table of this kernel, of those programs that are wanted by name"""
    if "ECBPF_VM" not in os.environ:
        make()
    table, series = Table(compiler()), series_here()
    table.kernels[series] = Kernel(os.uname().release,
                                   load("jit:jit_all", {}, os.environ["BUILD"])[1])
    for name, obj, program, constants in programs():
        if not wanted(name):
            continue
        try:
            loaded = load(f"{obj}:{program}", constants, os.path.join(BUILD, "progs"))
        except RuntimeError as error:
            raise RuntimeError(f"{name} is not loaded: {error}") from error
        table.rows[name, series] = count(*loaded)
    return table


def grown(old, new, is_same_jit):
    """Return: what grew by more than it may, what shrank so that the file is to be renewed"""
    more, less = [], []
    for name, limit, _ in COLUMNS:
        before, now = getattr(old, name), getattr(new, name)
        if name == "jited" and not is_same_jit:
            continue
        change = f"{name} {before} -> {now}"
        if before:
            change += f" ({(now - before) / before:+.1%})"
        if name == "stack" and old.frames != new.frames:
            change += f", {old.frames} -> {new.frames}"
        if now > before * (1 + limit):
            more.append(change)
        elif now < before * (1 - SHRUNK):
            less.append(change)
    return more, less


def why_no_comparison(old, made_by, series):
    """What keeps us from comparing with table `old`, or None"""
    if old.compiler != made_by:
        return f"counts.txt is of {old.compiler}; this is {made_by}"
    if series not in old.kernels:
        return f"counts.txt has no figures of kernel {series}"
    return None


def compare(report, old, new, wanted=is_any):
    """Report the programs of table `new`, which is of one kernel, by what table `old` has of it of
    those that are wanted"""
    (series, kernel), = new.kernels.items()
    why = why_no_comparison(old, new.compiler, series)
    if why:
        report.skip("counts", why)
        return
    was = old.kernels[series]
    is_same_jit = was.jit == kernel.jit
    if not is_same_jit:
        report.skip("counts: jited", f"the JIT makes {kernel.jit} bytes of jit.bpf.c here, "
                    f"{was.jit} where counts.txt was made: other CPU or mitigations")
    where = f"kernel {series}"
    if was.release != kernel.release:
        where += f" ({kernel.release}, counts.txt is of {was.release})"
    for name in dict.fromkeys(name for name, of in [*new.rows, *old.rows]
                              if of == series and wanted(name)):
        before, now = old.rows.get((name, series)), new.rows.get((name, series))
        if not before or not now:
            there = "is not in counts.txt" if now else "is in counts.txt only"
            report.check(f"counts: {name}", f"{there}, {where}; renew the file: {RENEW}")
            continue
        more, less = grown(before, now, is_same_jit)
        report.check(f"counts: {name}", more and
                     f"{where}: {', '.join(more)}; if that is meant, renew the file: {RENEW}")
        if less:
            report.note(f"counts: {name}",
                        f"{where}: {', '.join(less)}; renew the file: {RENEW}")


def measure_in_vm(kernel):
    """Return: a table of a stock kernel"""
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="counts.") as share:
        path = os.path.join(share, "counts.txt")
        subprocess.run([os.path.join(TOP, "testing/vm/run"), "--kernel", kernel,
                        "--timeout", "1800", "--share", share, "--",
                        "env", f"BUILD={os.environ['BUILD']}", f"ECBPF_BUILD={BUILD}",
                        os.path.join(HERE, "counts.py"), "--measure", path],
                       check=True, stdout=sys.stderr)
        return Table.read(path)


def update():
    """counts.txt of this kernel and of those that a virtual machine has; of others, what it has"""
    tables = [measure()]
    for kernel in VM_KERNELS:
        if kernel not in tables[0].kernels:
            tables.append(measure_in_vm(kernel))
    table = Table.read(FILE) if os.path.exists(FILE) else Table()
    others = set(table.kernels) - {series for one in tables for series in one.kernels}
    for series in sorted(others, key=version):
        what = "kept" if table.compiler == tables[0].compiler else "dropped, of another compiler"
        print(f"counts: figures of kernel {series}: {what}; renew them on a host with this kernel")
    if table.compiler != tables[0].compiler:
        table = Table()
    for one in reversed(tables):
        table.merge(one)
    names = [name for name, *_ in programs()]
    table.rows = {key: row for key, row in table.rows.items() if key[0] in names}
    table.write(FILE)


def check(report, wanted=is_any):
    """Report what is here, of the programs that are wanted, by counts.txt"""
    old = Table.read(FILE)
    why = why_not() or why_no_comparison(old, compiler(), series_here())
    if why:
        report.skip("counts", why)
    else:
        compare(report, old, measure(wanted), wanted)


def main():
    parser = argparse.ArgumentParser(prog="counts", description="Compare the counts of the "
                                     "installed BPF programs on this kernel with counts.txt.")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--update", action="store_true", help="write counts.txt anew: of this "
                       f"kernel, and of {', '.join(VM_KERNELS)} in a virtual machine")
    group.add_argument("--measure", metavar="FILE", help="write the counts of this kernel to FILE")
    args = parser.parse_args()
    if not args.update and not args.measure:
        report = Report()
        check(report)
        sys.exit(report.finish())
    why = why_not()
    if why:
        sys.exit(f"counts: {why}")
    if args.update:
        update()
    else:
        measure().write(args.measure)


if __name__ == "__main__":
    main()
