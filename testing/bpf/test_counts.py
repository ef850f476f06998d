#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The counts of the installed BPF programs are those in counts.txt; and would it be noticed?"""
import contextlib
import io
import os
import struct
import tempfile

import counts
from testrun import Report, main

OLD = counts.Counts(1000, 4000, 50000, 2000, 1000, 400, 20, 10, "300+100")
RELEASE = "6.1.0-1-amd64"


def table(rows, kernel="6.1", release=RELEASE, jit=300, compiler="clang 14.0.6 -O2"):
    made = counts.Table(compiler)
    made.kernels[kernel] = counts.Kernel(release, jit)
    made.rows = {(name, kernel): row for name, row in rows.items()}
    return made


def reported(new, old=None, **more):
    """What is said of a table: lines"""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        counts.compare(Report(), old or table({"fw": OLD}), new, **more)
    return out.getvalue().splitlines()


def test_compare(report):
    """A count that grows is a failure, one that shrinks is told, what cannot be compared skipped"""
    renew = "if that is meant, renew the file: testing/bpf/counts --update"
    same, row = table({"fw": OLD}), OLD._replace
    cases = {
        "the same": (same, ["ok counts: fw"]),
        "another frame, as deep": (table({"fw": row(frames="300+50+50")}), ["ok counts: fw"]),
        "2% more for the verifier": (table({"fw": row(insns=51000, states=2040, peak=1020)}),
                                     ["ok counts: fw"]),
        "2% less": (table({"fw": row(xlated=980, helpers=20, stack=392)}), ["ok counts: fw"]),
        "less": (table({"fw": row(xlated=979, stack=300, frames="300")}),
                 ["ok counts: fw", "NOTE counts: fw: kernel 6.1: xlated 1000 -> 979 (-2.1%), stack "
                  "400 -> 300 (-25.0%), 300+100 -> 300; renew the file: testing/bpf/counts "
                  "--update"]),
        "more and less": (table({"fw": row(xlated=1001, insns=40000)}),
                          [f"FAIL counts: fw: kernel 6.1: xlated 1000 -> 1001 (+0.1%); {renew}",
                           "NOTE counts: fw: kernel 6.1: insns 50000 -> 40000 (-20.0%); renew the "
                           "file: testing/bpf/counts --update"]),
        "another JIT": (table({"fw": row(jited=5000)}, jit=301),
                        ["SKIP counts: jited: the JIT makes 301 bytes of jit.bpf.c here, 300 where "
                         "counts.txt was made: other CPU or mitigations", "ok counts: fw"]),
        "another release": (table({"fw": row(calls=11)}, release="6.1.0-2-amd64"),
                            ["FAIL counts: fw: kernel 6.1 (6.1.0-2-amd64, counts.txt is of "
                             f"6.1.0-1-amd64): calls 10 -> 11 (+10.0%); {renew}"]),
        "another kernel": (table({"fw": OLD}, kernel="6.2"),
                           ["SKIP counts: counts.txt has no figures of kernel 6.2"]),
        "another clang": (table({"fw": row(xlated=2000)}, compiler="clang 19.1.7 -O2"),
                          ["SKIP counts: counts.txt is of clang 14.0.6 -O2; this is clang 19.1.7 "
                           "-O2"]),
        "another program": (table({"filter": OLD}),
                            ["FAIL counts: filter: is not in counts.txt, kernel 6.1; renew the "
                             "file: testing/bpf/counts --update",
                             "FAIL counts: fw: is in counts.txt only, kernel 6.1; renew the file: "
                             "testing/bpf/counts --update"]),
    }
    limits = {"xlated": 1001, "jited": 4001, "insns": 51001, "states": 2041, "peak": 1021,
              "stack": 401, "helpers": 21, "calls": 11}
    report.check("compare: each column has a case here",
                 set(limits) != {name for name, *_ in counts.COLUMNS} and f"{counts.COLUMNS}")
    for name, value in limits.items():
        before = getattr(OLD, name)
        cases[f"{name} grows"] = (table({"fw": row(**{name: value})}),
                                  [f"FAIL counts: fw: kernel 6.1: {name} {before} -> {value} "
                                   f"({(value - before) / before:+.1%}); {renew}"])
    for name, (new, want) in cases.items():
        found = reported(new)
        report.check(f"compare: {name}", found != want and f"{found}, not {want}")
    found = reported(table({"fw": row(helpers=1)}), table({"fw": row(helpers=0)}))
    want = [f"FAIL counts: fw: kernel 6.1: helpers 0 -> 1; {renew}"]
    report.check("compare: the first one", found != want and f"{found}")
    found = reported(same, table({"fw": OLD, "fused-fw": OLD}), wanted=lambda name: name == "fw")
    report.check("compare: only those wanted", found != ["ok counts: fw"] and f"{found}")


def test_file(report):
    """What is written is read back; kernels that were not measured are kept, programs that are gone
    are not"""
    wide = OLD._replace(jited=100000, insns=999999, states=100000, frames="312+112+48+24+16")
    mine = table({"fastpath_egress": wide, "fw": OLD, "pass": OLD._replace(frames="400")})
    mine.merge(table({"fw": OLD._replace(calls=7)}, "6.18", "6.18.44", 268))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "counts.txt")
        mine.write(path)
        found = counts.Table.read(path)
    report.check("file: read back", vars(found) != vars(mine) and f"{vars(found)}")
    wide = [line for line in mine.text().splitlines() if len(line) > 100]
    report.check("file: lines fit", wide)
    found.merge(table({"pass": OLD._replace(calls=8)}, release="6.1.0-2-amd64"))
    report.check("file: merged", (
        {key: row.calls for key, row in found.rows.items()} != {("pass", "6.1"): 8,
                                                                ("fw", "6.18"): 7} or
        found.kernels["6.1"].release != "6.1.0-2-amd64") and f"{found.rows} {found.kernels}")


def instruction(opcode, source=0, immediate=0):
    return struct.pack("<BBhi", opcode, source << 4, 0, immediate)


def test_count(report):
    """Counts of a program made by hand: 0 calls 1 and 2, 1 calls 3, 2 calls 3; nothing calls 4"""
    end, helper, kfunc = instruction(0x95), instruction(0x85, 0, 5), instruction(0x85, 2, 99)
    call = [instruction(0x85, 1, number) for number in range(5)]
    functions = [[call[1], call[2], call[2], helper, end], [call[3], end], [helper, call[3], end],
                 [kfunc, instruction(0x07), end], [helper, call[3], end]]
    starts = [sum(map(len, functions[:number])) for number in range(5)]
    code = b"".join(b"".join(function) for function in functions)
    log = ("verification time 9 usec\nstack depth 96+16+24+8+400\nprocessed 27474 insns (limit "
           "1000000) max_states_per_insn 13 total_states 1462 peak_states 804 mark_read 0\n")
    found = counts.count(log, 555, code, starts)
    want = counts.Counts(16, 555, 27474, 1462, 804, 128, 3, 5, "96+24+8")
    report.check("count: by hand", found != want and f"{found}, not {want}")
    wrong = {"no statistics": ("", code), "a callback": (log, code + instruction(0x18, 4)),
             "hidden addresses": (log, code.replace(call[1], call[0])),
             "fewer stacks": (log.replace("+400", ""), code)}
    for name, (said, left) in wrong.items():
        try:
            report.check(f"count: {name}", f"{counts.count(said, 555, left, starts)}")
        except ValueError:
            report.check(f"count: {name}", None)


def test_counts(report):
    """The programs of $ECBPF_BUILD on this kernel; an emulated one has no time for all"""
    counts.check(report, counts.is_needed if "ECBPF_VM" in os.environ else counts.is_any)


if __name__ == "__main__":
    main([test_compare, test_file, test_count, test_counts])
