#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What scripts and cron jobs need of the tools, as they are called by a user without privileges.

TOOLS: where the tools are (default: tools of the build that this runs in).
"""
import os
import subprocess
import sys
import tempfile

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")]
from tools import TOOLS  # pylint: disable=wrong-import-position

counts = {"PASS": 0, "FAIL": 0}


def check(name, is_good, problem=""):
    """Print a test's result"""
    verdict = "PASS" if is_good else "FAIL"
    counts[verdict] += 1
    print(f"{verdict} {name}" + ("" if is_good else f": {problem}"))


def shell(command, **env):
    """Of a command of bash: exit status, stdout, stderr"""
    done = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=20, check=False,
                          env={**os.environ, "PATH": TOOLS + ":" + os.environ["PATH"], **env})
    return done.returncode, done.stdout, done.stderr.decode("utf-8", "backslashreplace")


def closed_stdin():
    """What cannot be read is no empty file: a list would be emptied by it"""
    for command in ("ecbpf-fw check -f -", "ecbpf-fw check -f /dev/stdin",
                    "ecbpf-fw check -f /proc/self/fd/0", "ecbpf-loader apply -c -",
                    "ecbpf-loader apply -c /dev/stdin"):
        status, out, err = shell(f"{command} <&-")
        check(f"{command} <&-", status == 1 and not out and ("director" in err or "descr" in err or
                                                             "cannot be read" in err),
              f"status {status}, {out}, {err}")
    status, out, err = shell("ecbpf-fw check -f - 0>/dev/null")
    check("stdin for writing only", status == 1 and not out and err, f"status {status}, {out}")
    status, _, err = shell("ecbpf-fw check -f - </dev/null")
    check("an empty file of rules", status == 0, err)


def main():
    """All of them"""
    closed_stdin()
    print(f"{counts['PASS']} passed, {counts['FAIL']} failed, 0 skipped")
    return 1 if counts["FAIL"] else 0


sys.exit(main())
