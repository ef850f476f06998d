#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Text that somebody else wrote reaches a terminal without control characters.

Every tool gets hostile texts as interface, file name, name and value, for every verb and option of
its --help, and as a file's content. Python's codec is the second opinion about what is UTF-8. Run by
a user without privileges: nothing is attached. What a tool prints when all goes well is for
testing/netns/names.sh. TOOLS: where the tools are (default: tools of the build that this runs in).
"""
import concurrent.futures
import glob
import os
import random
import re
import subprocess
import sys
import tempfile

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]
from tools import NOBODY, TOOLS  # pylint: disable=wrong-import-position

# a colour, a line of its own, a title, CSI and OSC in UTF-8 and as single bytes, DEL, a tab
HOSTILE = b"x\x1b[31mred\n\r\x1b]0;title\x07\xc2\x9b2J\xc2\x9d\x9b1m\x7f\xff\t\xe2\x82"
counts = {"PASS": 0, "FAIL": 0}


def check(name, problems):
    """Print a test's result"""
    verdict = "FAIL" if problems else "PASS"
    counts[verdict] += 1
    print(f"{verdict} {name}" + (f": {'; '.join(problems[:5])}" if problems else ""))


def run(*argv):
    """Status, and what was printed on both"""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          timeout=5, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def controls(output):
    """Bytes that a terminal would obey, but for the end of a line and tabs of our own"""
    found = set(re.findall(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", output))
    if not output.decode("utf-8", "ignore").encode() == output:
        found.add(b"no UTF-8")
    return found


def model(text):
    """How a text is shown"""
    out = ""
    for char in text.decode("utf-8", "surrogateescape"):
        if 0xdc80 <= ord(char) <= 0xdcff:
            out += f"\\x{ord(char) - 0xdc00:02x}"
        elif ord(char) < 0x20 or 0x7f <= ord(char) < 0xa0:
            out += "".join(f"\\x{byte:02x}" for byte in char.encode())
        else:
            out += char
    return out.encode()


def check_model():
    """All sequences of two bytes, and many longer ones"""
    rng = random.Random(1)
    bytes_ = range(1, 256)
    texts = [b" ".join(bytes((i, j)) for i in part for j in bytes_)
             for part in (bytes_[:64], bytes_[64:128], bytes_[128:192], bytes_[192:])]
    edges = (0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0)
    texts.append(b" ".join(
        bytes((first, second, third)) + bytes(rng.choices(edges, k=rng.randrange(2)))
        for first in range(0xdf, 0xf8) for second in edges for third in edges))
    problems = []
    for text in texts:
        want = b"ecbpf-pcap: --top: '" + model(text) + b"' is not"
        got = run(os.path.join(TOOLS, "ecbpf-pcap"), "--top", text)[1]
        if not got.startswith(want):
            at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b),
                      min(len(got), len(want)))
            problems.append(f"{got[max(0, at - 20):at + 20]} instead of {want[max(0, at - 20):at + 20]}")
    check("what is shown, and how", problems)


def calls(tool, hostile_file):
    """Command lines with hostile texts"""
    path = os.path.join(TOOLS, tool)
    listed = re.search(r"^Verbs:\n((?:  .*\n)+)", run(path, "--help")[1].decode(), re.M)
    verbs = re.findall(r"^  ([a-z]+)", listed[1], re.M) if listed else [None]
    yield [path, HOSTILE]
    yield [path, b"--" + HOSTILE]
    for verb in verbs:
        argv = [path] + ([verb] if verb else [])
        text = run(*argv, "--help")[1].decode()
        yield argv + [HOSTILE]
        yield argv + [b"--" + HOSTILE]
        yield argv + [hostile_file]
        yield argv + ["-f", HOSTILE]
        yield argv + ["-f", hostile_file]
        yield argv + ["add", HOSTILE]
        yield argv + ["lo", HOSTILE]
        yield argv + [HOSTILE + b"=" + HOSTILE]
        yield argv + ["lo", "lo", HOSTILE]
        for option in re.findall(r"^ +(?:-\w, )?(--[a-z0-9-]+) [A-Z]", text, re.M):
            yield argv + [option, HOSTILE]
            yield argv + [option + "=" + os.fsdecode(HOSTILE), "lo"]


def output_of(argv):
    """Of a command line; None: it does not end, as it waits for samples, say"""
    try:
        return run(*argv)[1]
    except subprocess.TimeoutExpired:
        return None


def check_tool(tool, directory, pool):
    """No control character, however it is called"""
    hostile_file = os.path.join(os.fsencode(directory), HOSTILE.replace(b"/", b""))
    with open(hostile_file, "wb") as file:
        file.write(b"ip from any to " + HOSTILE + b"\n[" + HOSTILE + b"]\n" + HOSTILE + b"=1\n")
    problems, shown, count, endless = [], 0, 0, []
    argvs = list(calls(tool, hostile_file))
    for argv, output in zip(argvs, pool.map(output_of, argvs)):
        if output is None:
            endless.append(argv[1:])
            continue
        count += 1
        shown += b"\\x1b" in output
        found = controls(output)
        if found:
            problems.append(f"{argv[1:]}: {sorted(found)} in {output[:120]}")
    if len(endless) > 4:
        problems.append(f"do not end: {endless}")
    if not shown:
        problems.append("shows none of the texts")
    check(f"{tool}: {count} calls, {shown} show the text", problems)


def main():
    """All tools"""
    if not os.geteuid():
        os.execvp(NOBODY[0], [*NOBODY, sys.executable, *sys.argv])
    check_model()
    with tempfile.TemporaryDirectory() as directory, \
            concurrent.futures.ThreadPoolExecutor(2 * os.cpu_count()) as pool:
        os.chmod(directory, 0o755)
        for path in sorted(glob.glob(os.path.join(TOOLS, "ecbpf-*"))):
            if os.access(path, os.X_OK) and os.path.isfile(path):
                check_tool(os.path.basename(path), directory, pool)
    print(f"{counts['PASS']} passed, {counts['FAIL']} failed, 0 skipped")
    return 1 if counts["FAIL"] or counts["PASS"] < 7 else 0


sys.exit(main())
